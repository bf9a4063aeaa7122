//! Subvolumes and snapshots: what they are, making and removing them, which lie in which.

use super::sys;
use crate::source::{Stat, Time, stat_fd};
use linux_raw_sys::btrfs::{BTRFS_FIRST_FREE_OBJECTID, BTRFS_SUBVOL_RDONLY, btrfs_ioctl_timespec};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// `BTRFS_SUPER_MAGIC` of `linux/magic.h`.
const SUPER_MAGIC: u32 = 0x9123_683e;
/// The inode number of the root of every subvolume.
pub const ROOT_INO: u64 = BTRFS_FIRST_FREE_OBJECTID as u64;
/// The inode number of the empty folder that stands in a snapshot where a subvolume lay.
pub const STUB_INO: u64 = 2;

/// A UUID. All zeros is none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// Enough of it to tell the file systems of one machine apart.
    pub(super) fn short(&self) -> u64 {
        self.0.first_chunk::<8>().map_or(0, |first| u64::from_le_bytes(*first))
    }

    /// It, unless it is all zeros.
    pub fn some(self) -> Option<Self> {
        (self != Self::default()).then_some(self)
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = data_encoding::HEXLOWER.encode(&self.0);
        let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| hex.get(range).unwrap_or_default());
        f.write_str(&parts.join("-"))
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uuid({self})")
    }
}

/// What is the same for a whole file system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FsInfo {
    /// Its id.
    pub fsid: Uuid,
    /// Size of a block of metadata.
    pub node_bytes: u32,
    /// Size of a block of data.
    pub sector_bytes: u32,
}

/// What is known of a subvolume or snapshot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SubvolInfo {
    /// The file system's id.
    pub fsid: Uuid,
    /// The id of its tree, which the `subvolid=` mount option takes.
    pub tree_id: u64,
    /// The tree in which its name lies; 0 for the top level and for what is being deleted.
    pub parent_tree_id: u64,
    /// The folder in which its name lies.
    pub dir_ino: u64,
    /// Its name there.
    pub name: Vec<u8>,
    /// Its id.
    pub uuid: Uuid,
    /// The id of what it is a snapshot of.
    pub parent_uuid: Option<Uuid>,
    /// The id that it had where it was sent from.
    pub received_uuid: Option<Uuid>,
    /// The transaction that last wrote its tree. It moves even while it is read-only.
    pub generation: u64,
    /// The transaction that made it.
    pub otransid: u64,
    /// The transaction in which something in it was last changed.
    pub ctransid: u64,
    /// When it was made.
    pub otime: Time,
    /// Whether it is read-only.
    pub read_only: bool,
}

impl SubvolInfo {
    /// Whether it is a snapshot in which nothing has been changed since it was made. Making one ends a transaction, so that
    /// every change comes in a later one; an empty subvolume may be filled in the transaction that makes it.
    pub fn is_pristine(&self) -> bool {
        self.parent_uuid.is_some() && self.ctransid <= self.otransid
    }
}

/// A subvolume that lies in another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NestedSubvol {
    /// Its path, relative to the root of the outermost.
    pub path: Vec<u8>,
    /// The id of its tree.
    pub tree_id: u64,
}

/// Whether the object lies on a Btrfs.
pub fn is_btrfs(fd: BorrowedFd<'_>) -> bool {
    // The type differs between architectures; the number has 32 bits.
    rustix::fs::fstatfs(fd).is_ok_and(|s| s.f_type as u32 == SUPER_MAGIC)
}

/// Whether it is the root of a subvolume of a Btrfs.
pub fn is_subvolume_root(fd: BorrowedFd<'_>) -> bool {
    is_btrfs(fd) && stat_fd(fd).is_ok_and(|stat: Stat| stat.ino == ROOT_INO)
}

/// What is known of the file system on which `fd` lies.
///
/// # Errors
/// `ENOTTY` if it is no Btrfs.
pub fn fs_info(fd: BorrowedFd<'_>) -> io::Result<FsInfo> {
    let raw = sys::get_fs_info(fd)?;
    Ok(FsInfo { fsid: Uuid(raw.fsid), node_bytes: raw.nodesize, sector_bytes: raw.sectorsize })
}

/// What is known of the subvolume in which `fd` lies. Needs no privilege.
///
/// # Errors
/// `ENOENT` once it is deleted, `ENOTTY` if it is on no Btrfs.
pub fn subvol_info(fd: BorrowedFd<'_>) -> io::Result<SubvolInfo> {
    let raw = sys::get_subvol_info(fd)?;
    Ok(SubvolInfo {
        fsid: fs_info(fd)?.fsid,
        tree_id: raw.treeid,
        parent_tree_id: raw.parent_id,
        dir_ino: raw.dirid,
        name: sys::text(&raw.name),
        uuid: Uuid(raw.uuid),
        parent_uuid: Uuid(raw.parent_uuid).some(),
        received_uuid: Uuid(raw.received_uuid).some(),
        generation: raw.generation,
        otransid: raw.otransid,
        ctransid: raw.ctransid,
        otime: time_of(raw.otime),
        read_only: is_read_only(fd)?,
    })
}

fn time_of(time: btrfs_ioctl_timespec) -> Time {
    Time { secs: time.sec.cast_signed(), nanos: time.nsec.min(999_999_999) }
}

/// Whether the subvolume in which `fd` lies is read-only.
///
/// # Errors
/// Those of ioctl(2).
pub fn is_read_only(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(sys::subvol_flags(fd)? & u64::from(BTRFS_SUBVOL_RDONLY) != 0)
}

/// Makes the subvolume whose root is `fd` read-only, or writable again.
///
/// # Errors
/// Those of ioctl(2); `EPERM` for one that is somebody else's.
pub fn set_read_only(fd: BorrowedFd<'_>, read_only: bool) -> io::Result<()> {
    let bit = u64::from(BTRFS_SUBVOL_RDONLY);
    let flags = sys::subvol_flags(fd)?;
    sys::set_subvol_flags(fd, if read_only { flags | bit } else { flags & !bit })
}

/// Makes the snapshot `name` in the folder `into`, of the subvolume whose root is `source`. It is on the disk when this
/// returns, with all that was written before.
///
/// # Errors
/// Those of ioctl(2): `EEXIST`, `EPERM`, `EXDEV`, …
pub fn create_snapshot(source: BorrowedFd<'_>, into: BorrowedFd<'_>, name: &CStr, read_only: bool) -> io::Result<()> {
    sys::snap_create(source, into, name, read_only)
}

/// Makes the empty subvolume `name` in the folder `into`.
///
/// # Errors
/// Those of ioctl(2).
pub fn create_subvolume(into: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    sys::subvol_create(into, name)
}

/// Removes the subvolume `name` from the folder `dir`; its space is freed in the background.
///
/// # Errors
/// Those of ioctl(2): `ENOTEMPTY` if others lie in it, `EPERM`, …
pub fn delete_subvolume(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    sys::snap_destroy(dir, name)
}

/// The subvolumes that lie in the one whose root is `root`, at any depth, sorted by path. A snapshot has none: where they
/// lay are empty folders with the inode number [`STUB_INO`].
///
/// # Errors
/// Those of ioctl(2) and openat2(2).
pub fn nested_subvolumes(root: BorrowedFd<'_>) -> io::Result<Vec<NestedSubvol>> {
    let mut found = Vec::new();
    let mut todo: Vec<(Option<OwnedFd>, Vec<u8>)> = vec![(None, Vec::new())];
    while let Some((opened, prefix)) = todo.pop() {
        let fd = opened.as_ref().map_or(root, AsFd::as_fd);
        for (tree_id, dir_ino) in root_refs(fd)? {
            let below = match sys::lookup_subvol_path(fd, tree_id, dir_ino) {
                Ok(path) => path,
                // Deleted since it was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let path = if prefix.is_empty() { below.clone() } else { [&prefix[..], b"/", &below[..]].concat() };
            if let Some(opened) = open_nested(fd, below, tree_id)? {
                todo.push((Some(opened), path.clone()));
            }
            found.push(NestedSubvol { path, tree_id });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn root_refs(fd: BorrowedFd<'_>) -> io::Result<Vec<(u64, u64)>> {
    let mut all = Vec::new();
    let mut from = 0;
    loop {
        let (part, more) = sys::get_root_refs(fd, from)?;
        let last = part.last().map(|(tree_id, _)| *tree_id);
        all.extend(part);
        match last.and_then(|id| id.checked_add(1)) {
            Some(next) if more && next > from => from = next,
            _ => return Ok(all),
        }
    }
}

/// The root of the subvolume at `path`; nothing if something else lies there, such as a mount.
fn open_nested(fd: BorrowedFd<'_>, path: Vec<u8>, tree_id: u64) -> io::Result<Option<OwnedFd>> {
    let path = CString::new(path).map_err(io::Error::other)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let opened = match rustix::fs::openat2(fd, &path, flags, Mode::empty(), resolve) {
        Ok(opened) => opened,
        Err(Errno::NOENT | Errno::XDEV | Errno::LOOP | Errno::NOTDIR) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let same = sys::get_subvol_info(opened.as_fd()).is_ok_and(|info| info.treeid == tree_id);
    Ok(same.then_some(opened))
}
