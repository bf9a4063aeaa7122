//! Btrfs: subvolumes, snapshots, and what changed between two of them without walking either.

mod delta;
mod extents;
mod items;
mod places;
mod quota;
mod ranges;
mod record;
mod subvol;
mod sys;
mod tree;

pub use delta::{Delta, Standing};
pub use extents::{PhysicalKind, PhysicalRun};
pub use places::{ExtentAt, Places};
pub use quota::{exclusive_bytes, may_search};
pub use ranges::ChangedRanges;
pub use record::{ParentRecord, Refused, Which};
pub use subvol::{
    FsInfo, NestedSubvol, ROOT_INO, STUB_INO, SubvolInfo, Uuid, create_snapshot, create_subvolume, delete_subvolume,
    fs_info, is_btrfs, is_read_only, is_subvolume_root, nested_subvolumes, set_read_only, subvol_info,
};
pub use sys::{XFlags, clone_range, set_xflags};
