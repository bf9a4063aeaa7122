//! The folder in a subvolume in which panther keeps snapshots of it: `.panther`, in the subvolume's root.
//!
//! Names sort by time:
//! - `backup-20261123T020000Z-0123456789abcdef`: made by a backup, which removes it once a later one has taken its place; the last part is the region;
//! - `20261123T020000Z`, `20261123T020000Z-label`: made by `panther snapshot create` ([`super::local_name`]);
//! - `pin-0123456789abcdef`: a symlink to the snapshot that the next backup of that region compares with; whoever removes snapshots leaves that one;
//! - `lock-0123456789abcdef`: locked (flock) while a backup of that region runs.
//!
//! Whoever reads a snapshot holds a shared lock on its root; nobody removes one without having it alone.

use super::btrfs::{create_snapshot, delete_subvolume, is_subvolume_root};
use crate::error::{Error, Result};
use crate::format::time::Time;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The folder's name.
pub const FOLDER: &str = ".panther";
const BACKUP: &str = "backup-";
const PIN: &str = "pin-";

/// An open snapshot folder.
pub struct SnapshotFolder {
    path: PathBuf,
    fd: OwnedFd,
}

/// Held while a backup of a region runs; given back when it is dropped, or by the kernel when the process dies.
pub struct RegionLock(#[expect(dead_code, reason = "open as long as the lock is held")] OwnedFd);

/// How a removal has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Removal {
    /// It is gone.
    Removed,
    /// Somebody reads it: it is still there.
    InUse,
    /// It is pinned: it is still there.
    Pinned,
    /// It is no subvolume: it is still there.
    Other,
}

/// Says that the snapshot whose root is `fd` is being read, until its descriptor and all copies of it are closed. False if it is just being removed.
///
/// # Errors
/// Those of flock(2).
pub fn hold(fd: BorrowedFd<'_>) -> std::io::Result<bool> {
    match rustix::fs::flock(fd, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Takes back what [`hold`] has said.
pub fn release(fd: BorrowedFd<'_>) {
    // It ends with the process in any case.
    let _ = rustix::fs::flock(fd, FlockOperation::Unlock);
}

fn hex(region: u64) -> String {
    format!("{region:016x}")
}

/// A time as it stands in names: to the second, UTC.
pub fn stamp_text(time: Time) -> String {
    jiff::Timestamp::from_second(time.secs)
        .map_or_else(|_| time.secs.to_string(), |at| at.strftime("%Y%m%dT%H%M%SZ").to_string())
}

impl SnapshotFolder {
    /// The folder of the subvolume at `root`, made if need be: for its owner only.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn make(root: &Path) -> Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        let path = root.join(FOLDER);
        match std::fs::DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(Error::io("make", path, error)),
            _ => Self::open(&path),
        }
    }

    /// The folder of the subvolume at `root`; nothing if it has none.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn find(root: &Path) -> Result<Option<Self>> {
        match Self::open(&root.join(FOLDER)) {
            Ok(folder) => Ok(Some(folder)),
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A folder that is there.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|e| Error::io("open", path, e))?;
        Ok(Self { path: path.to_owned(), fd })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The lock for a region; nothing if another process has it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn lock(&self, region: u64) -> Result<Option<RegionLock>> {
        let name = format!("lock-{}", hex(region));
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let io = |e: Errno| Error::io("lock", self.path.join(&name), e);
        let fd = rustix::fs::openat(&self.fd, &name, flags, Mode::from_raw_mode(0o600)).map_err(io)?;
        match rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(RegionLock(fd))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(io(error)),
        }
    }

    /// Takes a read-only snapshot of the subvolume `source` for a backup of `region`. Returns its name and its root, [held](hold).
    ///
    /// # Errors
    /// [`Error::Io`]: `EPERM` for who may not.
    pub fn take(&self, source: &File, region: u64) -> Result<(OsString, OwnedFd)> {
        let stamp = stamp_text(Time::now());
        // Until it is held nobody is to take it for one that is left over.
        let _guard = self.guard(FlockOperation::NonBlockingLockShared);
        for attempt in 0..1_000 {
            let again = if attempt == 0 { String::new() } else { format!(".{attempt}") };
            let name = format!("{BACKUP}{stamp}{again}-{}", hex(region));
            match self.snapshot(source, OsStr::new(&name)) {
                Ok(()) => {
                    let held = self.open_snapshot(OsStr::new(&name)).and_then(|fd| {
                        hold(fd.as_fd()).map_err(|e| Error::io("lock", self.path.join(&name), e))?;
                        Ok(fd)
                    });
                    return match held {
                        Ok(fd) => Ok((name.into(), fd)),
                        Err(error) => {
                            self.remove(OsStr::new(&name))?;
                            Err(error)
                        }
                    };
                }
                Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::io("take a snapshot in", &self.path, std::io::ErrorKind::AlreadyExists))
    }

    /// Makes the read-only snapshot `name` of the subvolume whose root is `source`.
    ///
    /// # Errors
    /// [`Error::Io`]: `EEXIST`, `EPERM`, …
    pub fn snapshot(&self, source: &File, name: &OsStr) -> Result<()> {
        create_snapshot(source.as_fd(), self.fd.as_fd(), &c_name(name)?, true)
            .map_err(|e| Error::io("take the snapshot", self.path.join(name), e))
    }

    /// The root of a snapshot in the folder.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open_snapshot(&self, name: &OsStr) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.fd, name, flags, Mode::empty()).map_err(|e| Error::io("open", self.path.join(name), e))
    }

    /// Removes a snapshot; that it is not there is no error. Only for who has made it in this run.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn remove(&self, name: &OsStr) -> Result<()> {
        match delete_subvolume(self.fd.as_fd(), &c_name(name)?) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io("remove the snapshot", self.path.join(name), error))
            }
            _ => Ok(()),
        }
    }

    /// Removes a snapshot unless somebody reads it or it is pinned; with `only_look`, says what would become of it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn remove_unless_used(&self, name: &OsStr, only_look: bool) -> Result<Removal> {
        let Some(_guard) = self.guard(FlockOperation::NonBlockingLockExclusive) else { return Ok(Removal::InUse) };
        let root = match self.open_snapshot(name) {
            Ok(root) => root,
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Removal::Removed);
            }
            Err(error) => return Err(error),
        };
        if !is_subvolume_root(root.as_fd()) {
            return Ok(Removal::Other);
        }
        match rustix::fs::flock(&root, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(Removal::InUse),
            Err(error) => return Err(Error::io("lock", self.path.join(name), error)),
        }
        // A backup pins what it reads before it lets go of it: now nobody is about to.
        if self.all_pinned()?.iter().any(|pinned| pinned == name) {
            return Ok(Removal::Pinned);
        }
        if !only_look {
            self.remove(name)?;
        }
        Ok(Removal::Removed)
    }

    /// A lock on the folder itself, for the moment between making a snapshot and holding it; nothing if it is not to be had soon.
    fn guard(&self, operation: FlockOperation) -> Option<Guard<'_>> {
        for _ in 0..500 {
            if rustix::fs::flock(&self.fd, operation).is_ok() {
                return Some(Guard(self.fd.as_fd()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }

    /// The snapshots that backups of `region` have made, oldest first.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn made_for(&self, region: u64) -> Result<Vec<OsString>> {
        let end = format!("-{}", hex(region));
        let mut names = self.names()?;
        names
            .retain(|name| name.as_bytes().starts_with(BACKUP.as_bytes()) && name.as_bytes().ends_with(end.as_bytes()));
        Ok(names)
    }

    /// All names in the folder, sorted.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn names(&self) -> Result<Vec<OsString>> {
        let io = |e| Error::io("read", &self.path, e);
        let names = super::read_names(self.fd.as_fd()).map_err(io)?;
        Ok(names.iter().map(|name| OsStr::from_bytes(name.name.to_bytes()).to_owned()).collect())
    }

    /// Pins a snapshot for a region in place of the one before.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn pin(&self, region: u64, snapshot: &OsStr) -> Result<()> {
        let (pin, fresh) = (format!("{PIN}{}", hex(region)), format!("new-{PIN}{}", hex(region)));
        let io = |e: Errno| Error::io("pin the snapshot", self.path.join(snapshot), e);
        match rustix::fs::unlinkat(&self.fd, &fresh, AtFlags::empty()) {
            Err(error) if error != Errno::NOENT => return Err(io(error)),
            _ => {}
        }
        rustix::fs::symlinkat(snapshot, &self.fd, &fresh).map_err(io)?;
        rustix::fs::renameat(&self.fd, &fresh, &self.fd, &pin).map_err(io)
    }

    /// The snapshot that is pinned for a region.
    pub fn pinned(&self, region: u64) -> Option<OsString> {
        self.pinned_by(&format!("{PIN}{}", hex(region)))
    }

    /// All pinned snapshots.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn all_pinned(&self) -> Result<Vec<OsString>> {
        let pins = self.names()?.into_iter().filter(|name| name.as_bytes().starts_with(PIN.as_bytes()));
        Ok(pins.filter_map(|pin| self.pinned_by(&pin.to_string_lossy())).collect())
    }

    fn pinned_by(&self, pin: &str) -> Option<OsString> {
        let target = rustix::fs::readlinkat(&self.fd, pin, Vec::new()).ok()?;
        Some(OsStr::from_bytes(target.as_bytes()).to_owned())
    }
}

struct Guard<'f>(BorrowedFd<'f>);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        release(self.0);
    }
}

fn c_name(name: &OsStr) -> Result<CString> {
    CString::new(name.as_bytes()).map_err(|_| Error::Usage("the name of a snapshot has a NUL".into()))
}
