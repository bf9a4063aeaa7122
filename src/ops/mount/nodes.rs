//! Which inode number stands for what, for as long as the kernel remembers it.

use crate::ops::view::folders::Spot;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// An object of a snapshot that is no root.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where its entry is.
    pub spot: Spot,
    /// The inode number of the folder through which it was found first.
    pub parent: u64,
    /// Its place there.
    position: u64,
    /// What stands for its region: the inode number of the region's folder.
    pub region: u64,
    /// Its hard-link group, with the kind's number.
    link: Option<(u64, u8)>,
    /// How many times the kernel holds it.
    lookups: u64,
}

/// What is found in a folder.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// Where its entry is.
    pub spot: Spot,
    /// The folder.
    pub parent: u64,
    /// Its place there.
    pub position: u64,
    /// The region.
    pub region: u64,
    /// Its hard-link group, with the kind's number.
    pub link: Option<(u64, u8)>,
}

#[derive(Debug, Default)]
struct Table {
    nodes: HashMap<u64, Node>,
    by_place: HashMap<(u64, u64), u64>,
    by_link: HashMap<(u64, u64, u8), u64>,
    next: u64,
}

/// The table. An entry takes some 250 bytes.
#[derive(Debug)]
pub struct Nodes {
    table: Mutex<Table>,
}

impl Nodes {
    /// An empty one; numbers begin at `first`.
    pub fn new(first: u64) -> Self {
        Self { table: Mutex::new(Table { next: first, ..Table::default() }) }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node of an inode number.
    pub fn get(&self, ino: u64) -> Option<Node> {
        self.table().nodes.get(&ino).cloned()
    }

    /// The number of what was found; all names of a file have one. The kernel holds it once more.
    pub fn number(&self, found: &Found) -> u64 {
        let table = &mut *self.table();
        let link = found.link.map(|(link, kind)| (found.region, link, kind));
        let known = match &link {
            Some(link) => table.by_link.get(link),
            None => table.by_place.get(&(found.parent, found.position)),
        };
        if let Some(ino) = known.copied() {
            if let Some(node) = table.nodes.get_mut(&ino) {
                node.lookups += 1;
            }
            return ino;
        }
        let ino = table.next;
        table.next += 1;
        let Found { spot, parent, position, region, link: group } = *found;
        table.nodes.insert(ino, Node { spot, parent, position, region, link: group, lookups: 1 });
        match link {
            Some(link) => table.by_link.insert(link, ino),
            None => table.by_place.insert((parent, position), ino),
        };
        ino
    }

    /// The kernel holds it `times` less; what it does not hold is forgotten.
    pub fn forget(&self, ino: u64, times: u64) {
        let table = &mut *self.table();
        let Some(node) = table.nodes.get_mut(&ino) else { return };
        node.lookups = node.lookups.saturating_sub(times);
        if node.lookups > 0 {
            return;
        }
        let Some(node) = table.nodes.remove(&ino) else { return };
        match node.link {
            Some((link, kind)) => table.by_link.remove(&(node.region, link, kind)),
            None => table.by_place.remove(&(node.parent, node.position)),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::content::Record;
    use crate::id::BlobId;

    #[test]
    fn numbers_last_as_long_as_they_are_held() {
        let nodes = Nodes::new(10);
        let spot = Spot { record: Record { id: BlobId([1; 32]), len_bytes: 1 }, at: 0 };
        let found = |position, link| Found { spot, parent: 1, position, region: 1, link };
        let (a, b) = (nodes.number(&found(0, None)), nodes.number(&found(1, None)));
        assert!(a == 10 && b == 11 && nodes.number(&found(0, None)) == a);
        let linked = nodes.number(&found(2, Some((7, 0))));
        assert_eq!(nodes.number(&found(3, Some((7, 0)))), linked);
        assert_ne!(nodes.number(&found(4, Some((7, 2)))), linked);
        nodes.forget(a, 1);
        assert!(nodes.get(a).is_some());
        nodes.forget(a, 1);
        assert!(nodes.get(a).is_none() && nodes.number(&found(0, None)) > b);
        nodes.forget(linked, 2);
        assert_ne!(nodes.number(&found(2, Some((7, 0)))), linked);
    }
}
