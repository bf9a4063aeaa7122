//! What quota groups tell of a snapshot, and whether this process may search trees at all.

use super::items::Key;
use super::tree::{Cursor, LOOKUP_BYTES};
use linux_raw_sys::btrfs::{
    BTRFS_QGROUP_INFO_KEY, BTRFS_QGROUP_STATUS_FLAG_INCONSISTENT, BTRFS_QGROUP_STATUS_FLAG_ON,
    BTRFS_QGROUP_STATUS_FLAG_RESCAN, BTRFS_QGROUP_STATUS_FLAG_SIMPLE_MODE, BTRFS_QGROUP_STATUS_KEY,
    BTRFS_QUOTA_TREE_OBJECTID, btrfs_qgroup_info_item, btrfs_qgroup_status_item,
};
use std::io;
use std::mem::offset_of;
use std::os::fd::BorrowedFd;

/// The bytes that only the subvolume `tree_id` refers to: what removing it would free. Nothing without quota groups, while they are being counted
/// anew, where they are known to be wrong, and in their simple mode, which counts something else.
///
/// # Errors
/// Those of the search: `EPERM` without `CAP_SYS_ADMIN`.
pub fn exclusive_bytes(fd: BorrowedFd<'_>, tree_id: u64) -> io::Result<Option<u64>> {
    let status = match lookup(fd, BTRFS_QGROUP_STATUS_KEY, 0) {
        // There is no such tree.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let word = |data: &[u8], at: usize| data.get(at..).and_then(|d| d.first_chunk().copied()).map(u64::from_le_bytes);
    let flags = status.and_then(|data| word(&data, offset_of!(btrfs_qgroup_status_item, flags))).unwrap_or(0);
    let bad =
        BTRFS_QGROUP_STATUS_FLAG_RESCAN | BTRFS_QGROUP_STATUS_FLAG_INCONSISTENT | BTRFS_QGROUP_STATUS_FLAG_SIMPLE_MODE;
    if flags & u64::from(BTRFS_QGROUP_STATUS_FLAG_ON) == 0 || flags & u64::from(bad) != 0 {
        return Ok(None);
    }
    let info = lookup(fd, BTRFS_QGROUP_INFO_KEY, tree_id)?;
    Ok(info.and_then(|data| word(&data, offset_of!(btrfs_qgroup_info_item, excl))))
}

fn lookup(fd: BorrowedFd<'_>, kind: u32, offset: u64) -> io::Result<Option<Vec<u8>>> {
    let key = Key { object: 0, kind: u8::try_from(kind).map_err(io::Error::other)?, offset };
    let mut cursor = Cursor::new(fd, key..=key, 0, LOOKUP_BYTES).in_tree(u64::from(BTRFS_QUOTA_TREE_OBJECTID));
    Ok(cursor.next()?.map(|item| item.data.to_vec()))
}

/// Whether this process may search the tree in which `fd` lies, and so remove snapshots of it: a capability in a user namespace is not enough.
///
/// # Errors
/// Those of the search other than `EPERM`.
pub fn may_search(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let key = Key { object: super::ROOT_INO, kind: super::items::kind::INODE_ITEM, offset: 0 };
    match Cursor::new(fd, key..=key, 0, LOOKUP_BYTES).next() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(false),
        Err(error) => Err(error),
    }
}
