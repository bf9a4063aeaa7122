//! What was restored beside what it was backed up from: the snapshots on this machine that the backup has read, where they are still there; else the live files, of which
//! nobody knows whether they are what they were.

use crate::error::{Error, Result};
use crate::format::time::Time;
use crate::ops::backup::Origin;
use crate::ops::{Progress, Totals};
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What a comparison came to.
#[derive(Default, Debug)]
pub(super) struct Compared {
    /// Objects compared with the snapshot that was backed up.
    pub with_snapshot: u64,
    /// Of these, what differs.
    pub wrong: Vec<String>,
    /// Live files that have the same content.
    pub with_live: u64,
    /// Live files that are otherwise now, or gone.
    pub changed_since: u64,
}

/// Compares everything but folders below `target`.
///
/// # Errors
/// [`Error::Io`] when the target cannot be read; [`Error::Interrupted`].
pub(super) fn compare(target: &Path, origins: &[Origin], taken: Time, progress: &dyn Progress) -> Result<Compared> {
    progress.stage("compare", Totals::default());
    let mut result = Compared::default();
    let mut folders = vec![target.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|e| Error::io("read", &folder, e))?;
        for entry in entries {
            if progress.cancelled() {
                return Err(Error::Interrupted);
            }
            let entry = entry.map_err(|e| Error::io("read", &folder, e))?;
            let (path, Ok(meta)) = (entry.path(), entry.metadata()) else { continue };
            if meta.is_dir() {
                folders.push(path);
                continue;
            }
            let Ok(below) = path.strip_prefix(target) else { continue };
            let live = Path::new("/").join(below);
            match counterpart(&live, origins) {
                Some(there) => {
                    result.with_snapshot += 1;
                    if let Some(what) = difference(&there, &path, &meta) {
                        result.wrong.push(format!("{}: {what}", live.display()));
                    }
                }
                // Others hold no content.
                None if !meta.is_file() => {}
                None if is_as_it_was(&live, &path, &meta, taken) => result.with_live += 1,
                None => result.changed_since += 1,
            }
            progress.advance(1, meta.len());
        }
    }
    Ok(result)
}

/// Where a path is in the snapshot of the innermost subvolume in which it lies; nothing if none is known.
fn counterpart(live: &Path, origins: &[Origin]) -> Option<PathBuf> {
    let around = origins.iter().filter(|origin| live.starts_with(&origin.at));
    let origin = around.max_by_key(|origin| origin.at.as_os_str().len())?;
    let there = origin.snapshot.join(live.strip_prefix(&origin.at).ok()?);
    if there.symlink_metadata().is_ok() {
        return Some(there);
    }
    // An empty folder above it may be where something else was mounted, or a subvolume that was not in the snapshot: then this one does not know it.
    let above = there.ancestors().skip(1).find(|above| above.is_dir())?;
    let is_empty = std::fs::read_dir(above).is_ok_and(|mut entries| entries.next().is_none());
    (!is_empty).then_some(there)
}

/// In what a restored object is not what it was in the snapshot; nothing if it is the same.
fn difference(there: &Path, restored: &Path, meta: &Metadata) -> Option<&'static str> {
    let Ok(was) = there.symlink_metadata() else { return Some("it is not in the snapshot that was backed up") };
    let kind = |meta: &Metadata| meta.mode() & 0o170_000;
    let owner = |meta: &Metadata| (meta.uid(), meta.gid());
    let is_root = rustix::process::geteuid().is_root();
    match () {
        () if kind(&was) != kind(meta) => Some("it is of another type than in the snapshot that was backed up"),
        () if was.is_symlink() => {
            let same = std::fs::read_link(there).ok() == std::fs::read_link(restored).ok();
            (!same).then_some("it leads elsewhere than in the snapshot that was backed up")
        }
        () if was.is_file() && !same_bytes(there, restored).unwrap_or(false) => {
            Some("its content is not that of the snapshot that was backed up")
        }
        () if (was.mtime(), was.mtime_nsec()) != (meta.mtime(), meta.mtime_nsec()) => {
            Some("its time is not that of the snapshot that was backed up")
        }
        () if was.mode() != meta.mode() => Some("its mode is not that of the snapshot that was backed up"),
        // Only root can give files away.
        () if is_root && owner(&was) != owner(meta) => Some("its owner is not that of the snapshot that was backed up"),
        () => None,
    }
}

/// Whether a live file has not been touched since, and has the same bytes.
fn is_as_it_was(live: &Path, restored: &Path, meta: &Metadata, taken: Time) -> bool {
    let Ok(now) = live.symlink_metadata() else { return false };
    let is_untouched = now.is_file()
        && meta.is_file()
        && now.len() == meta.len()
        && (now.mtime(), now.mtime_nsec()) == (meta.mtime(), meta.mtime_nsec())
        && now.ctime() < taken.secs;
    is_untouched && same_bytes(restored, live).unwrap_or(false)
}

fn same_bytes(one: &Path, other: &Path) -> std::io::Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    let (mut left, mut right) = (vec![0; 256 << 10], vec![0; 256 << 10]);
    loop {
        let read = one.read(&mut left)?;
        if read == 0 {
            return Ok(other.read(&mut right)? == 0);
        }
        other.read_exact(&mut right[..read])?;
        if left[..read] != right[..read] {
            return Ok(false);
        }
    }
}
