//! Which names are one file: hard-link groups count within regions (spec 8.1).

use crate::format::entry::Entry;
use crate::format::snapshot::is_below;

/// A file with several names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LinkKey {
    /// The group's number.
    pub link: u64,
    /// The region: counts the roots and boundary folders met so far.
    pub region: u32,
    /// The kind's number: equal groups of other kinds are other objects.
    pub kind: u8,
}

/// Follows a walk from folders to what is in them, and knows the region of each object.
#[derive(Debug, Default)]
pub struct Regions {
    /// The folders with a boundary, and roots, on the way to where the walk is.
    above: Vec<(Vec<u8>, u32)>,
    count: u32,
}

impl Regions {
    /// The walk is at this object now. Its key, if it has more than one name.
    pub fn enter(&mut self, path: &[u8], entry: &Entry) -> Option<LinkKey> {
        while self.above.last().is_some_and(|(folder, _)| path != folder && !is_below(path, folder)) {
            self.above.pop();
        }
        if self.above.is_empty() || entry.boundary.is_some() {
            self.count += 1;
            self.above.push((path.to_vec(), self.count));
        }
        entry.link.map(|link| LinkKey { link, region: self.region(), kind: entry.kind() as u8 })
    }

    /// The region where the walk is.
    pub fn region(&self) -> u32 {
        self.above.last().map_or(0, |(_, region)| *region)
    }
}
