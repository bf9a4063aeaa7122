//! The file system as it is read: metadata, names, extended attributes, data regions, and what to leave out.
//!
//! Everything is relative to directory handles, never follows a symlink in its last step, and costs as few system
//! calls as the kernel allows.

pub mod btrfs;
mod exclude;
pub mod items;
pub mod local_name;
mod meta;
mod names;
pub mod overlay;
mod owners;
pub mod read;
pub mod recut;
mod regions;
mod shares;
mod size;
pub mod snapshot_folder;
pub mod walk;
mod walk_delta;
mod walk_file;
mod xattr;

pub use exclude::{CACHE_TAG_NAME, ExcludeOptions, Excludes, is_cache_dir};
pub use meta::{
    Kind, Stat, Time, file_clock, file_type_of, kind_of, open_dir_at, open_file_at, readlink_at, stat_at, stat_fd,
};
pub use names::{Name, Names, read_names, read_names_and_inodes};
pub use owners::OwnerNames;
pub use regions::{REGIONS_MAX, data_regions};
pub use size::parse_size;
pub use xattr::{Xattr, xattrs_fd, xattrs_path, xattrs_pinned};

/// A POSIX ACL as an xattr's value: rwx for the owner, r-x for user `uid`, r-x for the group, nothing for others.
#[cfg(test)]
pub(crate) fn test_acl(uid: u32) -> Vec<u8> {
    let mut acl = 2_u32.to_le_bytes().to_vec();
    let none = u32::MAX;
    for (tag, bits, id) in [(1_u16, 7_u16, none), (2, 5, uid), (4, 5, none), (16, 5, none), (32, 0, none)] {
        acl.extend(tag.to_le_bytes());
        acl.extend(bits.to_le_bytes());
        acl.extend(id.to_le_bytes());
    }
    acl
}
