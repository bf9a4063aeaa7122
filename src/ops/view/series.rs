//! The snapshots of one thing, one after the other: those of a host with the same paths.

use crate::ops::list::SnapshotFilter;
use crate::repo::snapshots::Snapshot;
use std::collections::BTreeMap;

/// A host, and the paths of its snapshots.
type Key<'s> = (&'s str, Vec<&'s [u8]>);

/// Those that `filter` lets through, each series oldest first. Only within a series does it mean something that a file is missing.
pub fn series<'s>(snapshots: &'s [Snapshot], filter: &SnapshotFilter) -> Vec<Vec<&'s Snapshot>> {
    let mut found: BTreeMap<Key<'s>, Vec<&'s Snapshot>> = BTreeMap::new();
    for snapshot in snapshots.iter().filter(|snapshot| filter.matches(snapshot)) {
        let paths = snapshot.manifest.roots.iter().map(|root| &root.path[..]).collect();
        found.entry((&snapshot.head.cover.host, paths)).or_default().push(snapshot);
    }
    found.into_values().collect()
}
