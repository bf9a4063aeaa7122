//! Metadata of one file-system object, read without following symlinks.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

pub use crate::format::entry::FileKind as Kind;
pub use crate::format::time::Time;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Statx, StatxFlags, StatxTimestamp};
use rustix::io::{Errno, retry_on_intr};

/// The time by the clock from which file systems take theirs (clock_gettime(2), `CLOCK_REALTIME_COARSE`). It stands still between ticks, for long where
/// a virtual machine gets no processor: by the exact clock a change could look settled that the next one will not differ from.
pub fn file_clock() -> Time {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    Time { secs: now.tv_sec, nanos: u32::try_from(now.tv_nsec).unwrap_or(0) }
}

/// The kind of a type as the kernel has it; `None` for a type that Linux does not have.
pub fn kind_of(file_type: FileType) -> Option<Kind> {
    match file_type {
        FileType::RegularFile => Some(Kind::File),
        FileType::Directory => Some(Kind::Dir),
        FileType::Symlink => Some(Kind::Symlink),
        FileType::Fifo => Some(Kind::Fifo),
        FileType::Socket => Some(Kind::Socket),
        FileType::CharacterDevice => Some(Kind::Char),
        FileType::BlockDevice => Some(Kind::Block),
        _ => None,
    }
}

/// The type as the kernel has it.
pub fn file_type_of(kind: Kind) -> FileType {
    match kind {
        Kind::File => FileType::RegularFile,
        Kind::Dir => FileType::Directory,
        Kind::Symlink => FileType::Symlink,
        Kind::Fifo => FileType::Fifo,
        Kind::Socket => FileType::Socket,
        Kind::Char => FileType::CharacterDevice,
        Kind::Block => FileType::BlockDevice,
    }
}

fn time_of(time: StatxTimestamp) -> Time {
    Time { secs: time.tv_sec, nanos: time.tv_nsec }
}

/// What statx(2) says of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// Permission bits with setuid, setgid and sticky: 0 to 07777.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Length of the content, in bytes.
    pub size_bytes: u64,
    /// Allocated space, in units of 512 bytes.
    pub blocks: u64,
    /// How many names it has.
    pub nlink: u64,
    /// Inode number.
    pub ino: u64,
    /// Major and minor number of the file system's device.
    pub dev: (u32, u32),
    /// Major and minor number of the device that it is; zeros for what is not a device.
    pub rdev: (u32, u32),
    /// Last modification of the content.
    pub mtime: Time,
    /// Last change of content or metadata.
    pub ctime: Time,
    /// Birth, where the file system keeps it.
    pub btime: Option<Time>,
    /// The `STATX_ATTR_*` bits that are set, out of those that the file system supports.
    pub attributes: u64,
}

impl Stat {
    /// `STATX_ATTR_MOUNT_ROOT`: the object is the root of a mount.
    pub const MOUNT_ROOT: u64 = 0x2000;

    /// Whether both are the same inode of the same file system.
    pub fn is_same_inode(&self, other: &Self) -> bool {
        (self.dev, self.ino) == (other.dev, other.ino)
    }

    fn new(raw: &Statx) -> io::Result<Self> {
        let raw_mode = u32::from(raw.stx_mode);
        let kind = kind_of(FileType::from_raw_mode(raw_mode))
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "its type is not known"))?;
        Ok(Self {
            kind,
            mode: raw_mode & 0o7777,
            uid: raw.stx_uid,
            gid: raw.stx_gid,
            size_bytes: raw.stx_size,
            blocks: raw.stx_blocks,
            nlink: u64::from(raw.stx_nlink),
            ino: raw.stx_ino,
            dev: (raw.stx_dev_major, raw.stx_dev_minor),
            rdev: (raw.stx_rdev_major, raw.stx_rdev_minor),
            mtime: time_of(raw.stx_mtime),
            ctime: time_of(raw.stx_ctime),
            btime: (raw.stx_mask & StatxFlags::BTIME.bits() != 0).then(|| time_of(raw.stx_btime)),
            attributes: (raw.stx_attributes & raw.stx_attributes_mask).bits(),
        })
    }
}

/// Everything but the access time, which nobody here reads.
const WANTED: StatxFlags = StatxFlags::BASIC_STATS.difference(StatxFlags::ATIME).union(StatxFlags::BTIME);

/// The metadata of `name` in `dir`; one statx(2), which follows no symlink and mounts nothing.
///
/// # Errors
/// Those of statx(2).
pub fn stat_at(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<Stat> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let raw = retry_on_intr(|| rustix::fs::statx(dir, name, flags, WANTED))?;
    Stat::new(&raw)
}

/// The metadata of an open object, also of one opened with `O_PATH`.
///
/// # Errors
/// Those of statx(2).
pub fn stat_fd(fd: BorrowedFd<'_>) -> io::Result<Stat> {
    let raw = retry_on_intr(|| rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH, WANTED))?;
    Stat::new(&raw)
}

/// The target of the symlink `name` in `dir`, raw, without a NUL.
///
/// # Errors
/// Those of readlinkat(2); `EINVAL` if it is no symlink.
pub fn readlink_at(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<Vec<u8>> {
    let target = rustix::fs::readlinkat(dir, name, Vec::new())?;
    Ok(target.into_bytes())
}

/// `name` in `dir`, open for reading, without following a symlink and without touching its access time where that
/// is allowed.
///
/// It does not wait for a writer if the name has become a fifo meanwhile: the caller looks with [`stat_fd`] whether
/// it got a regular file.
///
/// # Errors
/// Those of openat(2); `ELOOP` for a symlink.
pub fn open_file_at(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    open_at(dir, name, flags).map(File::from)
}

/// The directory `name` in `dir`, open for reading, without following a symlink and without touching its access
/// time where that is allowed.
///
/// # Errors
/// Those of openat(2); `ENOTDIR` or `ELOOP` for a symlink.
pub fn open_dir_at(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    open_at(dir, name, OFlags::RDONLY | OFlags::DIRECTORY)
}

fn open_at(dir: BorrowedFd<'_>, name: &CStr, flags: OFlags) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = |flags| retry_on_intr(|| rustix::fs::openat(dir, name, flags, Mode::empty()));
    match open(flags | OFlags::NOATIME) {
        // Only the owner and root may leave the access time alone.
        Err(Errno::PERM) => Ok(open(flags)?),
        other => Ok(other?),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::ffi::{CString, OsStr};
    use std::os::fd::AsFd;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    fn dir() -> (tempfile::TempDir, File) {
        let temp = tempfile::tempdir().unwrap();
        let handle = File::open(temp.path()).unwrap();
        (temp, handle)
    }

    #[test]
    fn stat_says_what_the_kernel_says() {
        let (temp, handle) = dir();
        let path = temp.path().join("file");
        std::fs::write(&path, b"hello").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o4751)).unwrap();
        std::fs::hard_link(&path, temp.path().join("second")).unwrap();
        let want = std::fs::metadata(&path).unwrap();

        let stat = stat_at(handle.as_fd(), c"file").unwrap();
        assert_eq!((stat.kind, stat.mode), (Kind::File, 0o4751));
        assert_eq!((stat.uid, stat.gid), (want.uid(), want.gid()));
        assert_eq!((stat.size_bytes, stat.blocks), (5, want.blocks()));
        assert_eq!((stat.nlink, stat.ino), (2, want.ino()));
        assert_eq!(stat.mtime.secs, want.mtime());
        assert_eq!(i64::from(stat.mtime.nanos), want.mtime_nsec());
        assert_eq!(stat.ctime.secs, want.ctime());
        assert_eq!(stat.rdev, (0, 0));
        let second = stat_at(handle.as_fd(), c"second").unwrap();
        assert!(stat.is_same_inode(&second));
        assert_eq!(stat, stat_fd(File::open(&path).unwrap().as_fd()).unwrap());
        assert_eq!(stat_fd(handle.as_fd()).unwrap().kind, Kind::Dir);
        let error = stat_at(handle.as_fd(), c"nothing").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn times_before_the_epoch() {
        let (temp, handle) = dir();
        let file = File::create(temp.path().join("old")).unwrap();
        let then = std::time::UNIX_EPOCH - std::time::Duration::from_nanos(1_500_000_000);
        file.set_modified(then).unwrap();
        let stat = stat_at(handle.as_fd(), c"old").unwrap();
        let want = Time { secs: -2, nanos: 500_000_000 };
        assert_eq!(stat.mtime, want);
    }

    #[test]
    fn symlinks_are_not_followed() {
        let (temp, handle) = dir();
        let target: &[u8] = b"/etc/\xff\xfe";
        symlink(OsStr::from_bytes(target), temp.path().join("link")).unwrap();
        symlink("/etc", temp.path().join("etc")).unwrap();
        symlink("/etc/hostname", temp.path().join("out")).unwrap();
        assert_eq!(stat_at(handle.as_fd(), c"link").unwrap().kind, Kind::Symlink);
        assert_eq!(readlink_at(handle.as_fd(), c"link").unwrap(), target);
        assert!(open_dir_at(handle.as_fd(), c"etc").is_err());
        assert!(open_file_at(handle.as_fd(), c"out").is_err());
        assert!(readlink_at(handle.as_fd(), c".").is_err());
    }

    #[test]
    fn special_files() {
        let (_temp, handle) = dir();
        let make = |name: &CStr, kind: FileType, dev| {
            rustix::fs::mknodat(&handle, name, kind, Mode::from_raw_mode(0o600), dev)
        };
        make(c"fifo", FileType::Fifo, 0).unwrap();
        make(c"socket", FileType::Socket, 0).unwrap();
        let at = handle.as_fd();
        assert_eq!(stat_at(at, c"fifo").unwrap().kind, Kind::Fifo);
        assert_eq!(stat_at(at, c"socket").unwrap().kind, Kind::Socket);
        // Would wait for ever without O_NONBLOCK.
        let fifo = open_file_at(at, c"fifo").unwrap();
        assert_eq!(stat_fd(fifo.as_fd()).unwrap().kind, Kind::Fifo);
        if !rustix::process::geteuid().is_root() {
            println!("skipped: devices can only be made by root");
            return;
        }
        make(c"null", FileType::CharacterDevice, rustix::fs::makedev(1, 3)).unwrap();
        make(c"loop", FileType::BlockDevice, rustix::fs::makedev(7, 300)).unwrap();
        let null = stat_at(at, c"null").unwrap();
        assert_eq!((null.kind, null.rdev), (Kind::Char, (1, 3)));
        let block = stat_at(at, c"loop").unwrap();
        assert_eq!((block.kind, block.rdev), (Kind::Block, (7, 300)));
    }

    #[test]
    fn long_and_odd_names() {
        let (temp, handle) = dir();
        for name in [vec![b'x'; 255], b"\xff\xfe\n".to_vec()] {
            let path = temp.path().join(OsStr::from_bytes(&name));
            std::fs::write(path, b"!").unwrap();
            let name = CString::new(name).unwrap();
            assert_eq!(stat_at(handle.as_fd(), &name).unwrap().size_bytes, 1);
            open_file_at(handle.as_fd(), &name).unwrap();
        }
    }

    #[test]
    fn kinds_map_both_ways() {
        for number in 0..7_u8 {
            let kind = [Kind::File, Kind::Dir, Kind::Symlink, Kind::Fifo, Kind::Socket, Kind::Char, Kind::Block]
                [usize::from(number)];
            assert_eq!(kind as u8, number);
            assert_eq!(kind_of(file_type_of(kind)), Some(kind));
        }
        assert_eq!(kind_of(FileType::Unknown), None);
    }
}
