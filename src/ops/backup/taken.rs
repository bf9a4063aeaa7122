//! Snapshots that a backup takes, holds while it reads them, and keeps as the next one's parents.

use super::sources::open_dir;
use crate::error::{Error, Result};
use crate::source::btrfs::{Delta, ParentRecord, may_search};
use crate::source::snapshot_folder::{FOLDER, RegionLock, SnapshotFolder, hold, release};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A subvolume that is read from a snapshot.
pub(super) struct Subvolume {
    pub region: u64,
    /// The subvolume itself.
    pub at: PathBuf,
    /// Where the snapshot is.
    pub path: PathBuf,
    /// Once it was looked at.
    pub record: Option<ParentRecord>,
    pub delta: Option<Arc<Delta>>,
    pub runs_since_full: u32,
    /// The inode numbers of what is read of it.
    pub roots: Vec<u64>,
    /// What this run has taken.
    pub own: Option<Own>,
    /// Nobody removes it while this is open.
    #[expect(dead_code, reason = "open as long as the snapshot is read")]
    pub held: OwnedFd,
    /// The same of the parent.
    pub held_parent: Option<OwnedFd>,
}

/// A snapshot that this run has taken. It is removed when this is dropped, unless it was kept.
pub(super) struct Own {
    folder: SnapshotFolder,
    /// None if another run looks after the region.
    lock: Option<RegionLock>,
    name: OsString,
    is_kept: bool,
}

impl Own {
    /// Takes a snapshot of the subvolume at `path`. Returns its root, too, held.
    ///
    /// # Errors
    /// [`Error::NoSnapshot`].
    pub fn take(path: &Path, live: &File, region: u64) -> Result<(Self, OwnedFd)> {
        let no = |source: io::Error| Error::NoSnapshot { path: path.to_owned(), source };
        // The owner of a subvolume may take a snapshot, but not remove it, nor ask it what has changed.
        if !may_search(live.as_fd()).map_err(no)? {
            let what = "this process has not CAP_SYS_ADMIN, or has it in a user namespace only";
            return Err(no(io::Error::new(io::ErrorKind::PermissionDenied, what)));
        }
        let take = || {
            let folder = SnapshotFolder::make(path)?;
            let lock = folder.lock(region)?;
            let (name, held) = folder.take(live, region)?;
            Ok((Self { folder, lock, name, is_kept: false }, held))
        };
        take().map_err(|error: Error| match error {
            Error::Io { op, path: at, source } => {
                no(io::Error::new(source.kind(), format!("cannot {op} {}: {source}", at.display())))
            }
            other => other,
        })
    }

    /// Where the snapshot is.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join(&self.name)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if !self.is_kept {
            // If it cannot be removed now, the next run will.
            let _ = self.folder.remove(&self.name);
        }
    }
}

impl Subvolume {
    /// Whether no other run looks after the same.
    pub fn is_alone(&self) -> bool {
        self.own.as_ref().is_none_or(|own| own.lock.is_some())
    }

    /// The state remembers this run's snapshot as the next run's parent: pins it, and removes the earlier ones that backups have taken.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn clear_earlier(&mut self) -> Result<()> {
        if let Some(parent) = &self.held_parent {
            release(parent.as_fd());
        }
        match &mut self.own {
            Some(own) => {
                own.is_kept = true;
                keep_only(&own.folder, self.region, &own.name)
            }
            // Somebody else's: only said to be in use, where panther's own folder is.
            None => match (self.path.parent(), self.path.file_name()) {
                (Some(folder), Some(name)) if folder.file_name() == Some(OsStr::new(FOLDER)) => {
                    keep_only(&SnapshotFolder::open(folder)?, self.region, name)
                }
                _ => Ok(()),
            },
        }
    }
}

/// Pins one, and removes the others that backups of the region have taken. What somebody still reads is removed by a later run.
fn keep_only(folder: &SnapshotFolder, region: u64, name: &OsStr) -> Result<()> {
    folder.pin(region, name)?;
    let mut earlier = folder.made_for(region)?;
    earlier.retain(|other| other != name);
    // One that cannot be removed keeps none of the others.
    let failed = earlier.iter().filter_map(|other| folder.remove_unless_used(other, false).err()).next_back();
    failed.map_or(Ok(()), Err)
}

/// The root of a snapshot that somebody else has taken, held.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn open_held(path: &Path) -> Result<OwnedFd> {
    let fd = open_dir(path)?;
    match hold(fd.as_fd()) {
        Ok(true) => Ok(fd),
        Ok(false) => Err(Error::io("open", path, io::Error::new(io::ErrorKind::NotFound, "it is being removed"))),
        Err(error) => Err(Error::io("lock", path, error)),
    }
}
