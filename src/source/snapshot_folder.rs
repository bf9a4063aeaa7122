//! The folder in a subvolume in which panther keeps snapshots of it: `.panther`, in the subvolume's root.
//!
//! Names sort by time:
//! - `backup-20261123T020000Z-0123456789abcdef`: made by a backup, which removes it once a later one has taken its place; the last part is the region;
//! - `20261123T020000Z`, with what a person adds after it: made by `panther snapshot create`;
//! - `pin-0123456789abcdef`: a symlink to the snapshot that the next backup of that region compares with; whoever removes snapshots leaves that one;
//! - `lock-0123456789abcdef`: locked (flock) while a backup of that region runs.

use super::btrfs::{create_snapshot, delete_subvolume};
use crate::error::{Error, Result};
use crate::format::time::Time;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

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

    /// Takes a read-only snapshot of the subvolume `source` for a backup of `region`. Returns its name.
    ///
    /// # Errors
    /// [`Error::Io`]: `EPERM` for who may not.
    pub fn take(&self, source: &File, region: u64) -> Result<OsString> {
        let stamp = stamp_text(Time::now());
        for attempt in 0..1_000 {
            let again = if attempt == 0 { String::new() } else { format!(".{attempt}") };
            let name = format!("{BACKUP}{stamp}{again}-{}", hex(region));
            match create_snapshot(source.as_fd(), self.fd.as_fd(), &c_name(OsStr::new(&name))?, true) {
                Ok(()) => return Ok(name.into()),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::io("take the snapshot", self.path.join(name), error)),
            }
        }
        Err(Error::io("take a snapshot in", &self.path, std::io::ErrorKind::AlreadyExists))
    }

    /// Removes a snapshot; that it is not there is no error.
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

fn c_name(name: &OsStr) -> Result<CString> {
    CString::new(name.as_bytes()).map_err(|_| Error::Usage("the name of a snapshot has a NUL".into()))
}
