//! Files of snapshots that have extents in common, so that these are read once in a run.

use super::btrfs::{ChangedRanges, ExtentAt, Places};
use super::items::InodeKey;
use std::collections::HashMap;
use std::io;

/// Shorter files are read sooner than looked up.
const SHARED_BYTES: u64 = 128 << 10;
/// So many files are known at most; one takes some 100 bytes.
const FILES_MAX: usize = 200_000;
/// The extents by which a file is known: what begins it may be its own.
const EXTENTS: usize = 3;

/// A file that is read in this run.
#[derive(Clone, Copy, Debug)]
struct Origin {
    inode: InodeKey,
    size_bytes: u64,
}

/// The files of this run, by what their first extents are.
#[derive(Default, Debug)]
pub(super) struct Shares {
    by_extent: HashMap<ExtentAt, Origin>,
}

/// What is known of a file.
pub(super) enum Shared {
    /// It is not worth a look, or nothing can be said.
    No,
    /// It is the first of its kind: what is read of it may serve others.
    First,
    /// It has the content of this file but for the ranges.
    Like(InodeKey, ChangedRanges),
}

impl Shares {
    /// Looks a file up by its extents, and notes it if none is known that it is like.
    ///
    /// # Errors
    /// Those of the search.
    pub fn look(&mut self, places: Places<'_>, inode: InodeKey, size_bytes: u64) -> io::Result<Shared> {
        if size_bytes < SHARED_BYTES {
            return Ok(Shared::No);
        }
        let keys = places.keys(inode.ino, EXTENTS)?;
        let known = keys.iter().find_map(|key| self.by_extent.get(key));
        // The extents of another subvolume's file would have to be looked for there.
        if let Some(origin) = known.filter(|origin| origin.inode.region == inode.region) {
            let changed = places.differing((origin.inode.ino, origin.size_bytes), (inode.ino, size_bytes))?;
            return Ok(Shared::Like(origin.inode, changed));
        }
        if keys.is_empty() || self.by_extent.len() >= FILES_MAX {
            return Ok(Shared::No);
        }
        self.by_extent.extend(keys.into_iter().map(|key| (key, Origin { inode, size_bytes })));
        Ok(Shared::First)
    }
}
