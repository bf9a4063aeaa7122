//! The file system as it is written by a restore: objects, then their attributes.
//!
//! Whoever else can write to the target may swap a directory for a symlink at any time. So nothing here resolves a
//! path of more than one step below the target's root: each directory is opened by one name in the handle of the
//! one above it, and no symlink is followed.

mod attrs;
mod dir;
mod flags;
mod owner;
mod remove;
mod right;

pub use attrs::{AttrProblem, Attrs, Policy, apply, apply_fd};
pub use dir::TargetDir;
pub use flags::{COMPRESSION, Missing, NOCOW, flags, set_compression, set_early_flags, set_late_flags, unfix};
pub use owner::OwnerMap;
pub use right::has_attrs;
