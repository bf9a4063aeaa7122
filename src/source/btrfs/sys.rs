//! Btrfs as the kernel offers it: the ioctls of `linux/btrfs.h` and `linux/fs.h`.
//!
//! The only module with unsafe code. What it hands out are the kernel's bytes and numbers; nothing here believes them.
#![allow(unsafe_code)]

use linux_raw_sys::btrfs as raw;
use linux_raw_sys::ioctl as op;
use rustix::io::Errno;
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, ioctl};
use std::ffi::{CStr, c_char, c_void};
use std::io;
use std::mem::{MaybeUninit, offset_of, size_of};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Bytes of a search's arguments before its results.
const SEARCH_HEAD_BYTES: usize = size_of::<raw::btrfs_ioctl_search_args_v2>();

/// A structure of integers (and unions or arrays of such), of which every bit pattern is a value.
///
/// # Safety
/// It must be that.
unsafe trait Plain: Sized {
    fn zeroed() -> Box<Self> {
        let mut zeroed = Box::new(MaybeUninit::<Self>::uninit());
        // SAFETY: the place is valid for one Self; all zero bits are a value of it, as the trait promises.
        unsafe {
            zeroed.as_mut_ptr().write_bytes(0, 1);
            zeroed.assume_init()
        }
    }
}

// SAFETY: integers and arrays of integers.
unsafe impl Plain for raw::btrfs_ioctl_get_subvol_info_args {}
// SAFETY: integers and arrays of integers.
unsafe impl Plain for raw::btrfs_ioctl_fs_info_args {}
// SAFETY: integers and arrays of integers.
unsafe impl Plain for raw::btrfs_ioctl_get_subvol_rootref_args {}
// SAFETY: integers and arrays of integers.
unsafe impl Plain for raw::btrfs_ioctl_ino_lookup_user_args {}
// SAFETY: integers and arrays of integers.
unsafe impl Plain for raw::btrfs_ioctl_vol_args {}
// SAFETY: integers, arrays of integers, and a raw pointer, which may be null.
unsafe impl Plain for raw::btrfs_ioctl_vol_args_v2 {}

// SAFETY: integers and arrays of integers.
unsafe impl Plain for raw::fsxattr {}

/// An ioctl whose argument is a pointer. Its return value, which some kernels make 1 on success, means nothing.
struct Call {
    opcode: u32,
    argument: *mut c_void,
}

// SAFETY: whoever makes a Call sees to it that the argument is what the operation wants; nothing is made of the output.
unsafe impl Ioctl for Call {
    type Output = ();
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        self.opcode as Opcode
    }

    fn as_ptr(&mut self) -> *mut c_void {
        self.argument
    }

    unsafe fn output_from_ptr(_: IoctlOutput, _: *mut c_void) -> rustix::io::Result<()> {
        Ok(())
    }
}

/// Runs the ioctl `opcode` on `fd`.
///
/// # Safety
/// `T` must be the structure that `opcode` is defined with.
unsafe fn call<T>(fd: BorrowedFd<'_>, opcode: u32, argument: &mut T) -> rustix::io::Result<()> {
    let argument = std::ptr::from_mut(argument).cast();
    // SAFETY: the argument is valid for reads and writes of a T, which is what the kernel reads and writes.
    unsafe { ioctl(fd, Call { opcode, argument }) }
}

/// What a search is for: keys from `first` to `last` as (object id, type, offset) in one linear order, in blocks of
/// the tree that were written in transaction `min_transid` or later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SearchKey {
    /// Which tree; 0 is the one that the descriptor lies in.
    pub tree_id: u64,
    /// The first key.
    pub first: (u64, u8, u64),
    /// The last key, included.
    pub last: (u64, u8, u64),
    /// The oldest transaction.
    pub min_transid: u64,
    /// So many items at most.
    pub items_max: u32,
}

/// Memory for the results of searches.
#[derive(Debug)]
pub struct SearchBuffer {
    bytes: Vec<u8>,
}

impl SearchBuffer {
    /// Room for so many bytes of results. It must exceed the file system's node size, or nothing may fit.
    pub fn new(capacity_bytes: usize) -> Self {
        Self { bytes: vec![0; SEARCH_HEAD_BYTES + capacity_bytes] }
    }

    /// The results of the last search, and what was there before behind them.
    pub fn results(&self) -> &[u8] {
        &self.bytes[SEARCH_HEAD_BYTES..]
    }
}

/// `BTRFS_IOC_TREE_SEARCH_V2`: fills the buffer with items, headers included; returns how many. None is the end.
///
/// # Errors
/// `EPERM` without `CAP_SYS_ADMIN`, `EOVERFLOW` if the first item does not fit, `ENOENT` for an unknown tree.
pub fn search(fd: BorrowedFd<'_>, key: &SearchKey, buffer: &mut SearchBuffer) -> io::Result<u32> {
    const COUNT_AT: usize = offset_of!(raw::btrfs_ioctl_search_key, nr_items);
    let mut head = Vec::with_capacity(SEARCH_HEAD_BYTES);
    for word in [key.tree_id, key.first.0, key.last.0, key.first.2, key.last.2, key.min_transid, u64::MAX] {
        head.extend_from_slice(&word.to_ne_bytes());
    }
    for half in [u32::from(key.first.1), u32::from(key.last.1), key.items_max, 0] {
        head.extend_from_slice(&half.to_ne_bytes());
    }
    head.resize(size_of::<raw::btrfs_ioctl_search_key>(), 0);
    let room = (buffer.bytes.len() - SEARCH_HEAD_BYTES) as u64;
    head.extend_from_slice(&room.to_ne_bytes());
    buffer.bytes[..SEARCH_HEAD_BYTES].copy_from_slice(&head);
    rustix::io::retry_on_intr(|| {
        let argument = buffer.bytes.as_mut_ptr().cast();
        // SAFETY: the kernel reads and writes the head, and behind it no more than the `room` bytes that it names; all of
        // that is the buffer's. It asks for no alignment: it copies.
        unsafe { ioctl(fd, Call { opcode: op::BTRFS_IOC_TREE_SEARCH_V2, argument }) }
    })?;
    let count = buffer.bytes[COUNT_AT..].first_chunk().copied().map_or(0, u32::from_ne_bytes);
    Ok(count)
}

/// `BTRFS_IOC_GET_SUBVOL_INFO` of the subvolume in which `fd` lies.
///
/// # Errors
/// `ENOENT` once it is deleted, `ENOTTY` where there is no Btrfs.
pub fn get_subvol_info(fd: BorrowedFd<'_>) -> io::Result<Box<raw::btrfs_ioctl_get_subvol_info_args>> {
    let mut info = raw::btrfs_ioctl_get_subvol_info_args::zeroed();
    // SAFETY: the structure is that of the operation.
    unsafe { call(fd, op::BTRFS_IOC_GET_SUBVOL_INFO, &mut *info)? };
    Ok(info)
}

/// `BTRFS_IOC_FS_INFO`.
///
/// # Errors
/// Those of ioctl(2).
pub fn get_fs_info(fd: BorrowedFd<'_>) -> io::Result<Box<raw::btrfs_ioctl_fs_info_args>> {
    let mut info = raw::btrfs_ioctl_fs_info_args::zeroed();
    // SAFETY: the structure is that of the operation.
    unsafe { call(fd, op::BTRFS_IOC_FS_INFO, &mut *info)? };
    Ok(info)
}

/// `BTRFS_IOC_GET_SUBVOL_ROOTREF`: (tree id, inode number of the folder) of the subvolumes directly in that of `fd`, in
/// order of their ids, from `min_tree_id` on; and whether there are more.
///
/// # Errors
/// Those of ioctl(2).
pub fn get_root_refs(fd: BorrowedFd<'_>, min_tree_id: u64) -> io::Result<(Vec<(u64, u64)>, bool)> {
    let mut refs = raw::btrfs_ioctl_get_subvol_rootref_args::zeroed();
    refs.min_treeid = min_tree_id;
    // SAFETY: the structure is that of the operation.
    let more = match unsafe { call(fd, op::BTRFS_IOC_GET_SUBVOL_ROOTREF, &mut *refs) } {
        Ok(()) => false,
        Err(Errno::OVERFLOW) => true,
        Err(error) => return Err(error.into()),
    };
    let found = refs.rootref.iter().take(usize::from(refs.num_items)).map(|r| (r.treeid, r.dirid)).collect();
    Ok((found, more))
}

/// `BTRFS_IOC_INO_LOOKUP_USER`: the path below `fd`'s folder at which the subvolume `tree_id` lies in folder `dir_ino`.
///
/// # Errors
/// Those of ioctl(2); `EACCES` where the user may not go.
pub fn lookup_subvol_path(fd: BorrowedFd<'_>, tree_id: u64, dir_ino: u64) -> io::Result<Vec<u8>> {
    let mut args = raw::btrfs_ioctl_ino_lookup_user_args::zeroed();
    args.treeid = tree_id;
    args.dirid = dir_ino;
    // SAFETY: the structure is that of the operation.
    unsafe { call(fd, op::BTRFS_IOC_INO_LOOKUP_USER, &mut *args)? };
    // The folder's path ends with a slash.
    let mut path = text(&args.path);
    path.extend(text(&args.name));
    Ok(path)
}

/// The bytes before the first NUL.
pub fn text(chars: &[c_char]) -> Vec<u8> {
    chars.iter().take_while(|c| **c != 0).map(|c| c.to_ne_bytes()[0]).collect()
}

fn set_name(place: &mut [c_char], name: &CStr) -> io::Result<()> {
    let bytes = name.to_bytes_with_nul();
    let place = place.get_mut(..bytes.len()).ok_or(Errno::NAMETOOLONG)?;
    for (to, from) in place.iter_mut().zip(bytes) {
        *to = c_char::from_ne_bytes([*from]);
    }
    Ok(())
}

fn args_v2(name: &CStr) -> io::Result<Box<raw::btrfs_ioctl_vol_args_v2>> {
    let mut args = raw::btrfs_ioctl_vol_args_v2::zeroed();
    // SAFETY: all members of the union are integers or arrays of such.
    set_name(unsafe { &mut args.__bindgen_anon_2.name }, name)?;
    Ok(args)
}

/// `BTRFS_IOC_SNAP_CREATE_V2`: makes the snapshot `name` in `into` of the subvolume whose root is `source`.
///
/// # Errors
/// Those of ioctl(2): `EEXIST`, `EPERM`, `EXDEV`, `EROFS`, …
pub fn snap_create(source: BorrowedFd<'_>, into: BorrowedFd<'_>, name: &CStr, read_only: bool) -> io::Result<()> {
    let mut args = args_v2(name)?;
    args.fd = i64::from(source.as_raw_fd());
    args.flags = if read_only { u64::from(raw::BTRFS_SUBVOL_RDONLY) } else { 0 };
    // SAFETY: the structure is that of the operation; `source` is open during the call.
    Ok(unsafe { call(into, op::BTRFS_IOC_SNAP_CREATE_V2, &mut *args) }?)
}

/// `BTRFS_IOC_SUBVOL_CREATE_V2`: makes the empty subvolume `name` in `into`.
///
/// # Errors
/// Those of ioctl(2).
pub fn subvol_create(into: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    let mut args = args_v2(name)?;
    // SAFETY: the structure is that of the operation.
    Ok(unsafe { call(into, op::BTRFS_IOC_SUBVOL_CREATE_V2, &mut *args) }?)
}

/// `BTRFS_IOC_SNAP_DESTROY`: removes the subvolume `name` from `dir`.
///
/// # Errors
/// Those of ioctl(2): `ENOTEMPTY` if others lie in it, `EPERM`, `ENOENT`, …
pub fn snap_destroy(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    let mut args = raw::btrfs_ioctl_vol_args::zeroed();
    set_name(&mut args.name, name)?;
    // SAFETY: the structure is that of the operation.
    Ok(unsafe { call(dir, op::BTRFS_IOC_SNAP_DESTROY, &mut *args) }?)
}

/// `BTRFS_IOC_SUBVOL_GETFLAGS` of the subvolume in which `fd` lies.
///
/// # Errors
/// Those of ioctl(2).
pub fn subvol_flags(fd: BorrowedFd<'_>) -> io::Result<u64> {
    let mut flags = 0_u64;
    // SAFETY: the argument is a u64.
    unsafe { call(fd, op::BTRFS_IOC_SUBVOL_GETFLAGS, &mut flags)? };
    Ok(flags)
}

/// `BTRFS_IOC_SUBVOL_SETFLAGS` on the subvolume whose root is `fd`.
///
/// # Errors
/// Those of ioctl(2).
pub fn set_subvol_flags(fd: BorrowedFd<'_>, mut flags: u64) -> io::Result<()> {
    // SAFETY: the argument is a u64.
    Ok(unsafe { call(fd, op::BTRFS_IOC_SUBVOL_SETFLAGS, &mut flags) }?)
}

/// `FICLONERANGE`: lets `to` share `len_bytes` bytes of `from`; offsets and length in bytes, aligned to blocks except at
/// the source's end; a length of 0 is all up to it.
///
/// # Errors
/// Those of ioctl_ficlonerange(2): `EINVAL` where not aligned or between COW and NOCOW, `EXDEV`, `EOPNOTSUPP`.
pub fn clone_range(
    from: BorrowedFd<'_>,
    from_offset: u64,
    len_bytes: u64,
    to: BorrowedFd<'_>,
    to_offset: u64,
) -> io::Result<()> {
    let mut args = raw::file_clone_range {
        src_fd: i64::from(from.as_raw_fd()),
        src_offset: from_offset,
        src_length: len_bytes,
        dest_offset: to_offset,
    };
    // SAFETY: the structure is that of the operation; `from` is open during the call.
    Ok(unsafe { call(to, op::FICLONERANGE, &mut args) }?)
}

/// Inode flags that `FS_IOC_FSSETXATTR` sets without touching the compression property.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct XFlags {
    /// `FS_XFLAG_SYNC`.
    pub synchronous: bool,
    /// `FS_XFLAG_IMMUTABLE`.
    pub immutable: bool,
    /// `FS_XFLAG_APPEND`.
    pub append_only: bool,
    /// `FS_XFLAG_NODUMP`.
    pub no_dump: bool,
    /// `FS_XFLAG_NOATIME`.
    pub no_atime: bool,
}

/// `FS_IOC_FSSETXATTR`: gives an open object these flags and leaves all others.
///
/// # Errors
/// Those of ioctl(2): `EPERM`, `EOPNOTSUPP`, `ENOTTY`.
pub fn set_xflags(fd: BorrowedFd<'_>, flags: &XFlags) -> Result<(), Errno> {
    // The bits of `linux/fs.h`.
    let all = [
        (0x8, flags.immutable),
        (0x10, flags.append_only),
        (0x20, flags.synchronous),
        (0x40, flags.no_atime),
        (0x80, flags.no_dump),
    ];
    let mut args = raw::fsxattr::zeroed();
    // SAFETY: the structure is that of the operation.
    unsafe { call(fd, op::FS_IOC_FSGETXATTR, &mut *args)? };
    for (bit, is_set) in all {
        args.fsx_xflags = if is_set { args.fsx_xflags | bit } else { args.fsx_xflags & !bit };
    }
    // SAFETY: the structure is that of the operation.
    unsafe { call(fd, op::FS_IOC_FSSETXATTR, &mut *args) }
}
