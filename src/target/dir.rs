//! A directory of the target, held by a handle.

use std::ffi::CString;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RawDir, SeekFrom};
use rustix::io::{Errno, retry_on_intr};

use super::flags::{set_late_flags, unfix};
use super::remove::remove;
use crate::source::btrfs::create_subvolume;
use crate::source::{Kind, Names, Stat, file_type_of, read_names, readlink_at, stat_at, stat_fd};

/// How often something in the way is removed before giving up: somebody else keeps putting it back.
const ATTEMPTS: usize = 8;

/// An open directory of the target.
///
/// All names are raw and of one step: an empty one, `.`, `..`, and one with `/` or NUL are refused with
/// [`io::ErrorKind::InvalidInput`]. Where a method takes `replace`, it removes what has the name, whatever it is
/// ([`TargetDir::remove`]); without, that is an error ([`io::ErrorKind::AlreadyExists`]).
///
/// What is made is open to its owner only, until [`super::apply`] says otherwise.
#[derive(Debug)]
pub struct TargetDir {
    fd: OwnedFd,
}

impl AsFd for TargetDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl TargetDir {
    /// The directory at `path`, made with its parents if it is missing and `create` is true.
    ///
    /// Symlinks in `path` are followed: it is the user's own word.
    ///
    /// # Errors
    /// Those of open(2) and mkdir(2).
    pub fn root(path: &Path, create: bool) -> io::Result<Self> {
        if create {
            DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = retry_on_intr(|| rustix::fs::openat(CWD, path, flags, Mode::empty()))?;
        Ok(Self { fd })
    }

    /// The directory `name`; if it is missing and `create` is true, it is made.
    ///
    /// With `replace`, what is there and is no directory (a symlink to one is none) is removed first; a directory
    /// is kept.
    ///
    /// # Errors
    /// Those of openat(2) and mkdirat(2): `NotFound` if it is missing, `ENOTDIR` if something else is there.
    pub fn child_dir(&self, name: &[u8], create: bool, replace: bool) -> io::Result<Self> {
        let name = checked(name)?;
        let mut last = Errno::NOTDIR;
        for _ in 0..ATTEMPTS {
            last = match open_dir(self.as_fd(), &name) {
                Ok(fd) => return Ok(Self { fd }),
                Err(errno) => errno,
            };
            match last {
                Errno::NOENT if create => {
                    match rustix::fs::mkdirat(&self.fd, &name, Mode::RWXU) {
                        // The next round looks at what is there.
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(errno) => return Err(errno.into()),
                    }
                }
                Errno::NOTDIR | Errno::LOOP if replace => remove(self.as_fd(), &name)?,
                _ => break,
            }
        }
        Err(last.into())
    }

    /// A new directory.
    ///
    /// # Errors
    /// Those of mkdirat(2) and openat(2): [`io::ErrorKind::AlreadyExists`] if something has the name.
    pub fn new_dir(&self, name: &[u8]) -> io::Result<Self> {
        let name = checked(name)?;
        rustix::fs::mkdirat(&self.fd, &name, Mode::RWXU)?;
        Ok(Self { fd: open_dir(self.as_fd(), &name)? })
    }

    /// A new subvolume, where this lies on a Btrfs.
    ///
    /// # Errors
    /// Those of ioctl(2) and openat(2): [`io::ErrorKind::AlreadyExists`] if something has the name, `ENOTTY` where there
    /// is no Btrfs, `EPERM`.
    pub fn new_subvolume(&self, name: &[u8]) -> io::Result<Self> {
        let name = checked(name)?;
        create_subvolume(self.as_fd(), &name)?;
        let made = Self { fd: open_dir(self.as_fd(), &name)? };
        made.set_mode(0o700)?;
        Ok(made)
    }

    /// The directory above, which must be the one whose metadata was `want`: if this one was moved meanwhile, its
    /// `..` leads to a place that is none of ours.
    ///
    /// # Errors
    /// Those of openat(2) and statx(2); an error of its own if it is another directory.
    pub fn parent(&self, want: &Stat) -> io::Result<Self> {
        let fd = open_dir(self.as_fd(), c"..")?;
        if stat_fd(fd.as_fd())?.is_same_inode(want) {
            Ok(Self { fd })
        } else {
            Err(io::Error::other("a directory was moved while it was being restored"))
        }
    }

    /// A new empty file, open for reading and writing.
    ///
    /// # Errors
    /// Those of openat(2).
    pub fn create_file(&self, name: &[u8], replace: bool) -> io::Result<File> {
        let name = checked(name)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY;
        let mode = Mode::RUSR | Mode::WUSR;
        let fd = self.make(&name, replace, || retry_on_intr(|| rustix::fs::openat(&self.fd, &name, flags, mode)))?;
        Ok(File::from(fd))
    }

    /// The regular file `name` as it is, open for reading and writing.
    ///
    /// It may have other names, also outside the target: see [`Stat::nlink`] before writing to it.
    ///
    /// # Errors
    /// Those of openat(2); [`io::ErrorKind::InvalidInput`] if it is no regular file.
    pub fn open_existing(&self, name: &[u8]) -> io::Result<File> {
        let name = checked(name)?;
        let no_file = || io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file");
        // Looked at before it is opened, as opening a device may do something.
        let before = stat_at(self.as_fd(), &name)?;
        if before.kind != Kind::File {
            return Err(no_file());
        }
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let open = || rustix::fs::openat(&self.fd, &name, flags, Mode::empty());
        let file = File::from(retry_on_intr(open)?);
        let after = stat_fd(file.as_fd())?;
        // Swapped between the two calls.
        if after.kind != Kind::File || !after.is_same_inode(&before) {
            return Err(no_file());
        }
        Ok(file)
    }

    /// The regular file or directory `name` as it is, open for reading.
    ///
    /// # Errors
    /// Those of openat(2); [`io::ErrorKind::InvalidInput`] if it is something else.
    pub fn open_read(&self, name: &[u8]) -> io::Result<File> {
        let name = checked(name)?;
        let plain = |kind| matches!(kind, Kind::File | Kind::Dir);
        let refused = || io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file");
        // Looked at before it is opened, as opening a device may do something.
        let before = stat_at(self.as_fd(), &name)?;
        if !plain(before.kind) {
            return Err(refused());
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = File::from(retry_on_intr(|| rustix::fs::openat(&self.fd, &name, flags, Mode::empty()))?);
        if !stat_fd(file.as_fd())?.is_same_inode(&before) {
            return Err(refused());
        }
        Ok(file)
    }

    /// Makes a symlink to `target`, which is stored as it is.
    ///
    /// # Errors
    /// Those of symlinkat(2).
    pub fn symlink(&self, name: &[u8], target: &[u8], replace: bool) -> io::Result<()> {
        let name = checked(name)?;
        self.make(&name, replace, || rustix::fs::symlinkat(target, &self.fd, &name))
    }

    /// Makes a fifo, a socket or a device; `rdev` is the major and minor number of a device.
    ///
    /// # Errors
    /// Those of mknodat(2), `EPERM` for a device if not root; [`io::ErrorKind::InvalidInput`] for another kind.
    pub fn mknod(&self, name: &[u8], kind: Kind, rdev: (u32, u32), replace: bool) -> io::Result<()> {
        let name = checked(name)?;
        let device = match kind {
            Kind::Fifo | Kind::Socket => 0,
            Kind::Char | Kind::Block => rustix::fs::makedev(rdev.0, rdev.1),
            Kind::File | Kind::Dir | Kind::Symlink => {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no special file"));
            }
        };
        let mode = Mode::RUSR | Mode::WUSR;
        self.make(&name, replace, || rustix::fs::mknodat(&self.fd, &name, file_type_of(kind), mode, device))
    }

    /// Makes `name` another name of `from_name` in `from_dir`, which is not followed if it is a symlink.
    ///
    /// If both are the same inode already, nothing happens.
    ///
    /// # Errors
    /// Those of linkat(2).
    pub fn hard_link(&self, from_dir: &Self, from_name: &[u8], name: &[u8], replace: bool) -> io::Result<()> {
        let name = checked(name)?;
        let from_name = checked(from_name)?;
        let link = || rustix::fs::linkat(&from_dir.fd, &from_name, &self.fd, &name, AtFlags::empty());
        match link() {
            Err(Errno::EXIST) => {}
            Err(Errno::PERM) => return self.link_fixed(from_dir, from_name.as_bytes(), &name, replace),
            other => return Ok(other?),
        }
        // Removing `name` might remove `from_name`.
        let from = stat_at(from_dir.as_fd(), &from_name)?;
        if stat_at(self.as_fd(), &name).is_ok_and(|there| there.is_same_inode(&from)) {
            return Ok(());
        }
        match self.make(&name, replace, link) {
            // What was in the way is noticed before what is immutable.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.link_fixed(from_dir, from_name.as_bytes(), &name, replace)
            }
            other => other,
        }
    }

    /// Links what is immutable or append-only, which must not be that for the moment.
    fn link_fixed(&self, from_dir: &Self, from_name: &[u8], name: &CString, replace: bool) -> io::Result<()> {
        let from = from_dir.open_read(from_name)?;
        let Some(flags) = unfix(from.as_fd())? else { return Err(Errno::PERM.into()) };
        let from_name = checked(from_name)?;
        let link = || rustix::fs::linkat(&from_dir.fd, &from_name, &self.fd, name, AtFlags::empty());
        let linked = self.make(name, replace, link);
        set_late_flags(from.as_fd(), flags, false)?;
        linked
    }

    /// Removes `name` and, if it is a directory, all that is in it, however deep. No symlink is followed, and what
    /// is mounted below is not touched. Nothing happens if there is no such name.
    ///
    /// # Errors
    /// Those of unlinkat(2); [`io::ErrorKind::ResourceBusy`] if a file system is mounted there. What was met before
    /// the error is gone.
    pub fn remove(&self, name: &[u8]) -> io::Result<()> {
        remove(self.as_fd(), &checked(name)?)
    }

    /// The metadata of `name`, a symlink's own.
    ///
    /// # Errors
    /// Those of statx(2).
    pub fn stat(&self, name: &[u8]) -> io::Result<Stat> {
        stat_at(self.as_fd(), &checked(name)?)
    }

    /// The metadata of the directory itself.
    ///
    /// # Errors
    /// Those of statx(2).
    pub fn own_stat(&self) -> io::Result<Stat> {
        stat_fd(self.as_fd())
    }

    /// The target of the symlink `name`.
    ///
    /// # Errors
    /// Those of readlinkat(2).
    pub fn readlink(&self, name: &[u8]) -> io::Result<Vec<u8>> {
        readlink_at(self.as_fd(), &checked(name)?)
    }

    /// The names in the directory.
    ///
    /// # Errors
    /// Those of getdents(2).
    pub fn names(&self) -> io::Result<Names> {
        read_names(self.as_fd())
    }

    /// Whether there are no names in the directory.
    ///
    /// # Errors
    /// Those of getdents(2).
    pub fn is_empty(&self) -> io::Result<bool> {
        let mut buffer = Vec::with_capacity(1024);
        rustix::fs::seek(&self.fd, SeekFrom::Start(0))?;
        let mut entries = RawDir::new(&self.fd, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Sets the permission bits.
    ///
    /// # Errors
    /// Those of fchmod(2).
    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        Ok(rustix::fs::fchmod(&self.fd, Mode::from_raw_mode(mode))?)
    }

    /// Lets the owner make and remove names in it, if this process is the owner. The mode that it is to have comes
    /// at the end.
    pub fn make_usable(&self) {
        if let Ok(stat) = self.own_stat()
            && stat.mode & 0o700 != 0o700
        {
            // If not, the first name that is to be made says why.
            let _ = self.set_mode(stat.mode | 0o700);
        }
    }

    /// Another handle of the same directory.
    ///
    /// # Errors
    /// Those of fcntl(2).
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { fd: self.fd.try_clone()? })
    }

    /// Waits until everything on the directory's file system is on the disk.
    ///
    /// # Errors
    /// Those of syncfs(2), also such as occurred while something was written back earlier.
    pub fn sync_all(&self) -> io::Result<()> {
        Ok(retry_on_intr(|| rustix::fs::syncfs(&self.fd))?)
    }

    /// Waits until the directory's names are on the disk.
    ///
    /// # Errors
    /// Those of fsync(2).
    pub fn sync(&self) -> io::Result<()> {
        Ok(retry_on_intr(|| rustix::fs::fsync(&self.fd))?)
    }

    /// Calls `make`, with `replace` again after removing what is in the way.
    fn make<T>(&self, name: &CString, replace: bool, make: impl Fn() -> Result<T, Errno>) -> io::Result<T> {
        for _ in 0..ATTEMPTS {
            match make() {
                Err(Errno::EXIST) if replace => remove(self.as_fd(), name)?,
                other => return Ok(other?),
            }
        }
        Err(Errno::EXIST.into())
    }
}

/// `name`, if it is one step of a path and leads downwards.
pub(super) fn checked(name: &[u8]) -> io::Result<CString> {
    let refused = || io::Error::new(io::ErrorKind::InvalidInput, "it is no name of one step");
    if matches!(name, b"" | b"." | b"..") || name.contains(&b'/') {
        return Err(refused());
    }
    CString::new(name).map_err(|_| refused())
}

/// The directory `name` in `dir`, of one step, without following it.
pub(super) fn open_dir(dir: BorrowedFd<'_>, name: &std::ffi::CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    retry_on_intr(|| rustix::fs::openat(dir, name, flags, Mode::empty()))
}

#[cfg(test)]
#[path = "dir_tests.rs"]
mod tests;
