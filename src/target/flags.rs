//! Inode flags (`FS_IOC_SETFLAGS`) and the Btrfs compression property.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{IFlags, XattrFlags, fgetxattr, fremovexattr, fsetxattr, ioctl_getflags, ioctl_setflags};
use rustix::io::Errno;

use crate::source::btrfs::{XFlags, set_xflags};

/// The name of the xattr that is the Btrfs compression property.
pub const COMPRESSION: &[u8] = b"btrfs.compression";
/// `FS_NOCOW_FL`: no copy-on-write.
pub const NOCOW: u32 = 0x80_0000;
/// `FS_COMPR_FL`: compressed.
const COMPRESSED: u32 = 0x4;
/// `FS_NOCOMP_FL`: not to be compressed.
const NOT_COMPRESSED: u32 = 0x400;
/// `FS_IMMUTABLE_FL` and `FS_APPEND_FL`: what has them cannot be changed, nor get other names.
const FIXED: u32 = 0x10 | 0x20;
/// Compressed, directory sync, no copy-on-write: to be set while a file is empty, and inherited by what is made in a
/// directory.
const EARLY: u32 = COMPRESSED | 0x1_0000 | NOCOW;
/// Synchronous, immutable, append only, no dump, no atime.
const LATE: u32 = 0x8 | FIXED | 0x40 | 0x80;
/// All flags that a snapshot records (spec 8.1), in words.
const NAMES: [(u32, &str); 8] = [
    (COMPRESSED, "the flag compressed (c)"),
    (0x8, "the flag synchronous (S)"),
    (0x10, "the flag immutable (i)"),
    (0x20, "the flag append only (a)"),
    (0x40, "the flag no dump (d)"),
    (0x80, "the flag no atime (A)"),
    (0x1_0000, "the flag directory sync (D)"),
    (NOCOW, "the flag no copy-on-write (C)"),
];

/// Flags that could not be set; that is no error.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Missing {
    /// `FS_IOC_GETFLAGS` bits.
    pub flags: u32,
    /// Whether it was this user who may not; if not, the file system does not have them.
    pub not_allowed: bool,
}

impl Missing {
    /// The flags in words.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.into_iter().filter(move |(bit, _)| self.flags & bit != 0).map(|(_, name)| name)
    }
}

/// Sets those of `flags` that must be there before there is content, and clears those of `clear`. Returns what could
/// not be set.
///
/// # Errors
/// Those of ioctl(2).
pub fn set_early_flags(fd: BorrowedFd<'_>, flags: u32, clear: u32) -> io::Result<Missing> {
    let flags = flags & EARLY;
    // What is compressed cannot go without copy-on-write, and neither goes by itself.
    let clear = (clear & EARLY | if flags & NOCOW != 0 { COMPRESSED } else { 0 }) & !flags;
    set(fd, flags, clear)
}

/// Sets the others of `flags`, as the very last thing: nothing can be changed any more in what is immutable. With
/// `exact`, those that are not among `flags` are cleared. Returns what could not be set.
///
/// # Errors
/// Those of ioctl(2).
pub fn set_late_flags(fd: BorrowedFd<'_>, flags: u32, exact: bool) -> io::Result<Missing> {
    let flags = flags & LATE;
    set(fd, flags, if exact { LATE & !flags } else { 0 })
}

/// Lets an immutable or append-only object be changed; returns its flags as they were if it was one.
///
/// # Errors
/// Those of ioctl(2); `EPERM` if this user may not.
pub fn unfix(fd: BorrowedFd<'_>) -> io::Result<Option<u32>> {
    let have = match ioctl_getflags(fd) {
        Ok(have) => have.bits(),
        Err(_) => return Ok(None),
    };
    if have & FIXED == 0 {
        return Ok(None);
    }
    change(fd, have, have & !FIXED)?;
    Ok(Some(have))
}

/// The flags that an open object has; none where there are no flags.
pub fn flags(fd: BorrowedFd<'_>) -> u32 {
    ioctl_getflags(fd).map_or(0, |flags| flags.bits())
}

/// Gives an open object, still empty, the compression property `wanted`, or takes what it inherited. To be called after
/// [`set_early_flags`], which changes the property.
///
/// # Errors
/// Those of fsetxattr(2).
pub fn set_compression(fd: BorrowedFd<'_>, wanted: Option<&[u8]>) -> io::Result<()> {
    let mut value = [0; 64];
    let have = match fgetxattr(fd, COMPRESSION, &mut value[..]) {
        Ok(len) => value.get(..len),
        Err(_) => None,
    };
    match wanted {
        _ if have == wanted => Ok(()),
        Some(wanted) => Ok(fsetxattr(fd, COMPRESSION, wanted, XattrFlags::empty())?),
        None => Ok(fremovexattr(fd, COMPRESSION)?),
    }
}

fn set(fd: BorrowedFd<'_>, flags: u32, clear: u32) -> io::Result<Missing> {
    if flags | clear == 0 {
        return Ok(Missing::default());
    }
    let have = match ioctl_getflags(fd) {
        Ok(have) => have.bits(),
        Err(errno) if is_refusal(errno) => return Ok(Missing { flags, not_allowed: false }),
        Err(errno) => return Err(errno.into()),
    };
    let all = have & !clear | flags;
    match change(fd, have, all) {
        // Not all, so each by itself.
        Err(errno) if is_refusal(errno) => {}
        other => return other.map(|()| Missing::default()).map_err(io::Error::from),
    }
    let (mut have, mut missing) = (have, Missing::default());
    if change(fd, have, have & !clear).is_ok() {
        have &= !clear;
    }
    let wanted = flags & !have;
    for (bit, _) in NAMES.into_iter().filter(|(bit, _)| wanted & bit != 0) {
        match change(fd, have, have | bit) {
            Ok(()) => have |= bit,
            Err(errno) if is_refusal(errno) => {
                missing.flags |= bit;
                missing.not_allowed |= matches!(errno, Errno::PERM | Errno::ACCESS);
            }
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(missing)
}

fn is_refusal(errno: Errno) -> bool {
    matches!(errno, Errno::NOTTY | Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS | Errno::PERM | Errno::ACCESS)
}

fn change(fd: BorrowedFd<'_>, have: u32, want: u32) -> Result<(), Errno> {
    if have == want {
        return Ok(());
    }
    // On a Btrfs, setting any flag by `FS_IOC_SETFLAGS` also makes the compression property that of the mount.
    let is_late_only = (have ^ want) & !LATE == 0;
    if is_late_only && have & (COMPRESSED | NOT_COMPRESSED) != 0 {
        let bits = |flags: u32| XFlags {
            synchronous: flags & 0x8 != 0,
            immutable: flags & 0x10 != 0,
            append_only: flags & 0x20 != 0,
            no_dump: flags & 0x40 != 0,
            no_atime: flags & 0x80 != 0,
        };
        match set_xflags(fd, &bits(want)) {
            Ok(()) => return Ok(()),
            Err(Errno::NOTTY | Errno::OPNOTSUPP) => {}
            Err(errno) => return Err(errno),
        }
    }
    ioctl_setflags(fd, IFlags::from_bits_retain(want))
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
        assert_eq!(set_early_flags(file.as_fd(), 0x40, 0).unwrap(), Missing::default(), "not an early one");
        // No dump: the owner may set it where there are flags at all.
        let missing = set_late_flags(file.as_fd(), 0x40, false).unwrap();
        assert_eq!(missing.flags == 0, flags(file.as_fd()) & 0x40 != 0);
        set_late_flags(file.as_fd(), 0, true).unwrap();
        assert_eq!(flags(file.as_fd()) & 0x40, 0);
        // Nowhere but on a Btrfs; the other one is set all the same.
        let both = set(file.as_fd(), 0x40 | NOCOW, 0).unwrap();
        assert_eq!(both.names().count(), both.flags.count_ones() as usize);
        assert_eq!(flags(file.as_fd()) & NOCOW == 0, both.flags & NOCOW != 0);
    }
}
