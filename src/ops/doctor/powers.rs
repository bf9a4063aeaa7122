//! What the application keys can do in fact. Nothing is changed: an upload address is asked for and not used, and what is to be deleted does not exist.

use super::Machine;
use super::report::{Line, with_causes};
use crate::backend::b2::roles::Purpose;
use crate::backend::b2::{B2Backend, Which};
use crate::error::StoreError;

/// A file that does not exist: nobody ever stores under this name, …
const NOBODY: &str = "no-such-object";
/// … and no file has this id, which has the form of one ("Files" in the vendor's documentation).
const NO_SUCH_ID: &str = "4_z000000000000000000000000_f0000000000000000_d20000101_m000000_c000_v0000000_t0000";

pub(super) fn lines(b2: &B2Backend, machine: &Machine) -> Vec<Line> {
    let mut lines = Vec::new();
    let failed = |check, what: &str, error: &StoreError, hint: &str| {
        Line::error(check, format!("{what}: {}", with_causes(error)), hint)
    };
    let which = if b2.has_reading_key() { Which::Reading } else { Which::Own };
    match b2.versions(which, "", 1) {
        Ok(_) => lines.push(Line::ok("list", "the repository can be listed")),
        Err(error) => {
            let hint = "the key needs listFiles for the repository's prefix; without it nothing works";
            lines.push(failed("list", "the repository cannot be listed", &error, hint));
        }
    }
    let Some(purpose) = machine.purpose() else { return lines };
    if purpose != Purpose::Reading {
        match b2.may_upload() {
            Ok(()) => lines.push(Line::ok("write", "the service hands out an address to upload to")),
            Err(error) => lines.push(failed("write", "nothing can be uploaded", &error, "the key needs writeFiles")),
        }
        lines.push(delete(b2, machine, purpose));
    }
    lines
}

fn delete(b2: &B2Backend, machine: &Machine, purpose: Purpose) -> Line {
    // In the folder that the key reaches: elsewhere it would be refused whatever it may do.
    let name = match &machine.writer {
        Some(writer) => format!("writers/{writer}/{NOBODY}"),
        None => NOBODY.to_owned(),
    };
    let answer = b2.delete_version(&name, NO_SUCH_ID, false);
    let refused = match &answer {
        Err(StoreError::Forbidden(_)) => true,
        // It was looked for: the key may.
        Ok(()) | Err(StoreError::NotFound) => false,
        // It was the id that was refused, maybe before the key was looked at.
        Err(StoreError::Io(_)) => !b2.account(Which::Own).is_ok_and(|account| account.allowed.can("deleteFiles")),
        Err(error) => {
            let what = format!("whether the key can delete is not known: {}", with_causes(error));
            return Line::warning("delete", what, "once the service answers, run it again");
        }
    };
    match (purpose, refused) {
        (Purpose::Admin, false) => Line::ok("delete", "the admin's key can delete"),
        (Purpose::Admin, true) => Line::error(
            "delete",
            "the admin's key cannot delete",
            "the key needs deleteFiles; without it prune frees nothing",
        ),
        (_, true) => Line::ok("delete", "an attempt to delete was refused, as it should be"),
        (_, false) => Line::error(
            "delete",
            "the key of a machine that backs up can delete: whoever steals it can destroy the backups",
            "make another key without deleteFiles; `capabilities` above has the command",
        ),
    }
}
