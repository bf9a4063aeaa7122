//! Where something else is read than what lies at a path: a snapshot in place of the live files.

use super::btrfs::Delta;
use super::items::OpenDir;
use crate::format::entry::Boundary;
use crate::format::time::Time;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is read at one path.
pub struct Overlay {
    /// In which directory it lies.
    pub dir: Arc<OpenDir>,
    /// Under which name; `.` for the directory itself.
    pub name: CString,
    /// The region under which what is seen there is remembered.
    pub region: u64,
    /// What begins there, unless it is a root.
    pub boundary: Option<Boundary>,
    /// The snapshot that it is; none for live files.
    pub snapshot: Option<SnapshotView>,
}

/// A read-only snapshot, and how it differs from the one before.
pub struct SnapshotView {
    /// When it was taken.
    pub taken: Time,
    /// What has changed since the parent snapshot; none if everything is to be looked at.
    pub delta: Option<Arc<Delta>>,
    /// The session that backed the parent up: what was written down later does not describe the parent.
    pub parent_session: u32,
    /// The inode numbers of what was read of the parent: of anything else what is remembered is older.
    pub parent_roots: Vec<u64>,
}

/// All overlays of a run, by the path at which they appear.
#[derive(Default)]
pub struct Overlays {
    by_path: BTreeMap<PathBuf, Overlay>,
}

impl Overlays {
    /// Adds one, or replaces the one at the same path.
    pub fn insert(&mut self, path: PathBuf, overlay: Overlay) {
        self.by_path.insert(path, overlay);
    }

    /// What is to be read at exactly this path.
    pub fn at(&self, path: &Path) -> Option<&Overlay> {
        if self.by_path.is_empty() { None } else { self.by_path.get(path) }
    }

    /// Whether there is one somewhere below `path`.
    pub fn leads_to(&self, path: &Path) -> bool {
        let after = (Bound::Excluded(path), Bound::Unbounded);
        self.by_path.range::<Path, _>(after).next().is_some_and(|(below, _)| below.starts_with(path))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&Path, &Overlay)> {
        self.by_path.iter().map(|(path, overlay)| (&**path, overlay))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_path.is_empty()
    }
}
