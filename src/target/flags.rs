//! Inode flags (`FS_IOC_SETFLAGS`).

use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use rustix::io::Errno;

/// Compressed and no copy-on-write: to be set while a file is empty, and inherited by what is made in a directory.
const EARLY: u32 = 0x4 | 0x80_0000;
/// Synchronous, immutable, append only, no dump, no atime, directory sync.
const LATE: u32 = 0x8 | 0x10 | 0x20 | 0x40 | 0x80 | 0x1_0000;

/// Sets those of `flags` that must be there before there is content. Returns whether all are set; a file system
/// that does not have them, or a user who may not set them, is no error.
///
/// # Errors
/// Those of ioctl(2).
pub fn set_early_flags(fd: BorrowedFd<'_>, flags: u32) -> io::Result<bool> {
    set(fd, flags & EARLY)
}

/// Sets the others of `flags`, as the very last thing: nothing can be changed any more in what is immutable.
/// Returns as [`set_early_flags`].
///
/// # Errors
/// Those of ioctl(2).
pub fn set_late_flags(fd: BorrowedFd<'_>, flags: u32) -> io::Result<bool> {
    set(fd, flags & LATE)
}

fn set(fd: BorrowedFd<'_>, flags: u32) -> io::Result<bool> {
    if flags == 0 {
        return Ok(true);
    }
    let set = || {
        let have = ioctl_getflags(fd)?;
        let want = have | IFlags::from_bits_retain(flags);
        if have == want { Ok(()) } else { ioctl_setflags(fd, want) }
    };
    match set() {
        Ok(()) => Ok(true),
        Err(Errno::NOTTY | Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS | Errno::PERM | Errno::ACCESS) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn flags_are_set_or_said_not_to_be() {
        let temp = tempfile::tempdir().unwrap();
        let file = std::fs::File::create(temp.path().join("f")).unwrap();
        assert!(set_early_flags(file.as_fd(), 0x40).unwrap(), "not an early one");
        // No dump: the owner may set it where there are flags at all.
        if set_late_flags(file.as_fd(), 0x40).unwrap() {
            assert!(ioctl_getflags(&file).unwrap().bits() & 0x40 != 0);
        }
    }
}
