//! How many names the files of a snapshot have that have several: nobody but a walk through all of it knows.

use crate::error::Result;
use crate::format::entry::FileKind;
use crate::ops::list::list;
use crate::ops::view::regions::{LinkKey, Regions};
use crate::repo::reader::BlobReader;
use crate::repo::snapshots::Snapshot;
use std::collections::HashMap;

/// The counts of a snapshot.
#[derive(Debug, Default)]
pub(super) struct LinkCounts {
    /// The number of each region, by the path of its folder.
    regions: HashMap<Vec<u8>, u32>,
    counts: HashMap<LinkKey, u32>,
}

impl LinkCounts {
    /// Counts. Memory: the files that have several names.
    ///
    /// # Errors
    /// What is wrong with the trees.
    pub fn new(reader: &BlobReader<'_>, snapshot: &Snapshot) -> Result<Self> {
        let mut found = Self::default();
        let mut walk = Regions::default();
        let is_root = |path: &[u8]| snapshot.manifest.roots.iter().any(|root| root.path == path);
        list(reader, &snapshot.manifest, None, true, &mut |path, entry| {
            let key = walk.enter(path, entry);
            if entry.boundary.is_some() || is_root(path) {
                found.regions.insert(path.to_vec(), walk.region());
            }
            if let Some(key) = key {
                *found.counts.entry(key).or_default() += 1;
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// How many names a group has in the region whose folder is at `path`.
    pub fn count(&self, path: &[u8], link: u64, kind: FileKind) -> u32 {
        let region = self.regions.get(path).copied().unwrap_or(0);
        self.counts.get(&LinkKey { link, region, kind: kind as u8 }).copied().unwrap_or(1)
    }
}
