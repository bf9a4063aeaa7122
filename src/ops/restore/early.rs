//! What an object must have before there is anything in it, and what it gets as the very last thing.

use super::run::Run;
use super::tally::Lost;
use crate::format::entry::Entry;
use crate::target::{COMPRESSION, Missing, NOCOW, set_compression, set_early_flags, set_late_flags};
use std::io;
use std::os::fd::BorrowedFd;

/// The compression property that an entry has.
fn compression_of(entry: &Entry) -> Option<&[u8]> {
    entry.xattrs.iter().find(|(name, _)| name == COMPRESSION).map(|(_, value)| value.as_slice())
}

/// Gives a new and empty file or directory the flags and the property that decide how its content is stored. What it
/// has inherited from the directory `above`, which the snapshot has too, is taken from it if it is not to have it.
///
/// # Errors
/// Those of ioctl(2).
pub(super) fn set_early(
    run: &Run<'_>,
    fd: BorrowedFd<'_>,
    entry: &Entry,
    above: Option<&Entry>,
    path: impl Fn() -> Vec<u8>,
) -> io::Result<()> {
    let inherited = above.map_or(0, |above| above.flags & NOCOW);
    note(run, set_early_flags(fd, entry.flags, inherited & !entry.flags)?, &path);
    let (wanted, inherited) = (compression_of(entry), above.and_then(compression_of));
    if run.is_btrfs && !run.options.no_xattrs && (wanted.is_some() || inherited.is_some()) {
        // One that cannot be set is noted when all attributes are.
        let _ = set_compression(fd, wanted);
    }
    Ok(())
}

/// Gives an object the flags after which it may not be changed any more; with `exact`, takes those that it is not to
/// have.
pub(super) fn set_late(run: &Run<'_>, fd: BorrowedFd<'_>, flags: u32, exact: bool, path: impl Fn() -> Vec<u8>) {
    match set_late_flags(fd, flags, exact) {
        Ok(missing) => note(run, missing, &path),
        Err(error) => run.problem(&path(), format!("cannot set its flags: {error}")),
    }
}

fn note(run: &Run<'_>, missing: Missing, path: &impl Fn() -> Vec<u8>) {
    if missing.flags == 0 {
        return;
    }
    if missing.not_allowed && !run.policy.is_root {
        return run.tally.skipped_attributes.add(missing.flags.count_ones().into());
    }
    for name in missing.names() {
        run.lost(Lost::storage(name), path);
    }
}
