//! The Btrfs snapshots with which the next backups compare. Looking at them changes nothing.

use super::Patient;
use super::report::Line;
use crate::ops::backup::{PARENT_NOTES, noted_parent};
use crate::repo::Repository;
use crate::source::btrfs::{ParentRecord, is_subvolume_root, subvol_info};
use crate::state::examine::{Condition, examine, notes};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

/// What becomes of a backup without.
const HINT: &str = "the next backup looks at all files of that subvolume once; if nobody removed it, look for what deletes snapshots besides panther (docs/btrfs.md)";

pub(super) fn lines(patient: &Patient, repo: Option<&Repository>) -> Vec<Line> {
    let (Some(folder), Some(repo)) = (&patient.state_folder, repo) else { return Vec::new() };
    // What is wrong with the files of the state is said elsewhere.
    let slots = examine(folder, &repo.config().repo).unwrap_or_default();
    let sound = slots.iter().filter(|slot| slot.condition == Condition::Sound);
    let mut lines = Vec::new();
    let mut there = 0;
    for (_, value) in sound.flat_map(|slot| notes(&slot.path, PARENT_NOTES)) {
        let Some((path, record)) = noted_parent(&value) else { continue };
        match look(&path, &record) {
            Ok(None) => there += 1,
            Ok(Some(what)) => {
                let what = format!("the snapshot {}, with which the next backup would compare, {what}", path.display());
                lines.push(Line::warning("parent", what, HINT));
            }
            Err(error) => {
                let what = format!("the snapshot {} cannot be looked at: {error}", path.display());
                lines.push(Line::warning("parent", what, "run doctor as the user that backs up"));
            }
        }
    }
    match there {
        0 => {}
        1 => lines.push(Line::ok("parent", "the snapshot with which the next backup compares is there")),
        _ => lines.push(Line::ok("parent", format!("{there} snapshots with which the next backups compare are there"))),
    }
    lines
}

/// What is wrong with it, if anything.
fn look(path: &Path, record: &ParentRecord) -> io::Result<Option<&'static str>> {
    let root = match File::open(path) {
        Ok(root) => root,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some("is gone")),
        Err(error) => return Err(error),
    };
    if !is_subvolume_root(root.as_fd()) {
        return Ok(Some("is no subvolume any more"));
    }
    let info = subvol_info(root.as_fd())?;
    let is_same = (info.fsid, info.uuid, info.tree_id, info.otransid)
        == (record.fsid, record.uuid, record.tree_id, record.otransid);
    Ok(match (is_same, info.read_only && info.ctransid == record.ctransid) {
        (false, _) => Some("is another one now"),
        (true, false) => Some("was changed"),
        (true, true) => None,
    })
}
