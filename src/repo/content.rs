//! Content lists, built record by record (spec 5.3).

use crate::chunk::list_cut;
use crate::error::Result;
use crate::format::content::{ContentRoot, Record};
use crate::format::header::BlobKind;
use crate::format::limits::ROOT_RECORDS;
use crate::id::BlobId;
use crate::state::dirs::{DirChange, DirKey};
use crate::state::lists::node_key;

/// One depth of a list.
#[derive(Default)]
struct Level {
    /// Records since the last cut.
    node: Vec<Record>,
    /// Records in all.
    count: u64,
}

/// Builds a content tree from its records.
#[derive(Default)]
pub struct ContentBuilder {
    levels: Vec<Level>,
}

/// Where tree blobs go: computes the id and stores the blob.
pub trait TreeStore {
    /// Stores a tree blob, and returns its id.
    ///
    /// # Errors
    /// Why it could not be stored.
    fn store_tree(&mut self, bytes: &[u8]) -> Result<BlobId>;
}

impl ContentBuilder {
    /// Adds a record.
    ///
    /// # Errors
    /// What the store says.
    pub fn push(&mut self, record: Record, store: &mut dyn TreeStore) -> Result<()> {
        self.push_at(0, record, store)
    }

    fn push_at(&mut self, depth: usize, record: Record, store: &mut dyn TreeStore) -> Result<()> {
        if self.levels.len() <= depth {
            self.levels.push(Level::default());
        }
        let level = &mut self.levels[depth];
        level.node.push(record);
        level.count += 1;
        if list_cut(level.node.len(), &record.id) { self.cut(depth, store) } else { Ok(()) }
    }

    /// Adds a whole node of another list, `depth` being that of the list in which its record stands. Only possible where this list has just been cut at
    /// all depths below (else nothing is done, and the answer is no), and only for a node that was not cut short by its list's end.
    ///
    /// # Errors
    /// What the store says.
    pub fn push_node(&mut self, depth: u8, record: Record, store: &mut dyn TreeStore) -> Result<bool> {
        let depth = usize::from(depth);
        if self.levels.iter().take(depth).any(|level| !level.node.is_empty()) {
            return Ok(false);
        }
        while self.levels.len() < depth {
            self.levels.push(Level::default());
        }
        // So many at least: what matters is that they are more than a root holds.
        self.levels.iter_mut().take(depth).for_each(|level| level.count += ROOT_RECORDS + 1);
        self.push_at(depth, record, store)?;
        Ok(true)
    }

    fn cut(&mut self, depth: usize, store: &mut dyn TreeStore) -> Result<()> {
        let node = std::mem::take(&mut self.levels[depth].node);
        let mut bytes = Vec::with_capacity(node.len() * crate::format::content::RECORD_BYTES);
        let mut len_bytes = 0;
        for record in &node {
            record.encode(&mut bytes);
            len_bytes += record.len_bytes;
        }
        let id = store.store_tree(&bytes)?;
        self.push_at(depth + 1, Record { id, len_bytes }, store)
    }

    /// The root.
    ///
    /// # Errors
    /// What the store says.
    pub fn finish(mut self, store: &mut dyn TreeStore) -> Result<ContentRoot> {
        let mut depth = 0;
        while let Some(level) = self.levels.get_mut(depth) {
            if level.count <= ROOT_RECORDS {
                return Ok(ContentRoot { depth: depth as u8, records: std::mem::take(&mut level.node) });
            }
            if !level.node.is_empty() {
                self.cut(depth, store)?;
            }
            depth += 1;
        }
        Ok(ContentRoot::default())
    }
}

/// Computes ids of tree blobs and stores them.
pub struct Trees<'k, 'w, 'b> {
    /// For ids.
    pub keys: &'k crate::keys::Keyring,
    /// Where blobs go.
    pub writer: &'w mut crate::repo::writer::BlobWriter<'b>,
    /// The file whose list it is, if its nodes are to be remembered.
    pub file: Option<DirKey>,
}

impl TreeStore for Trees<'_, '_, '_> {
    fn store_tree(&mut self, bytes: &[u8]) -> Result<BlobId> {
        let id = self.keys.blob_id(BlobKind::Tree, bytes);
        self.writer.add(BlobKind::Tree, id, bytes)?;
        if let Some(file) = self.file {
            self.writer.note(DirChange::PutNode { key: node_key(file, &id), node: bytes.to_vec() })?;
        }
        Ok(id)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::format::content::{ListOf, decode_node};
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[derive(Default)]
    struct Memory(HashMap<BlobId, Vec<u8>>);

    impl TreeStore for Memory {
        fn store_tree(&mut self, bytes: &[u8]) -> Result<BlobId> {
            let id = BlobId(*blake3::hash(bytes).as_bytes());
            self.0.insert(id, bytes.to_vec());
            Ok(id)
        }
    }

    fn flatten(store: &Memory, records: &[Record], depth: u8, out: &mut Vec<Record>) {
        for record in records {
            if depth == 0 {
                out.push(*record);
            } else {
                let (below, total) = decode_node(&store.0[&record.id], depth - 1, ListOf::File).unwrap();
                assert_eq!(total, record.len_bytes);
                flatten(store, &below, depth - 1, out);
            }
        }
    }

    fn records(seed: u64, count: usize) -> Vec<Record> {
        (0..count)
            .map(|i| {
                let id = BlobId(*blake3::hash(&[seed.to_le_bytes(), i.to_le_bytes()].concat()).as_bytes());
                Record { id, len_bytes: 1 + i as u64 % 7 }
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn a_list_is_what_went_in(seed: u64, count in prop_oneof![0usize..40, 100usize..3000, Just(40_000usize)]) {
            let list = records(seed, count);
            let (mut store, mut builder) = (Memory::default(), ContentBuilder::default());
            for record in &list {
                builder.push(*record, &mut store).unwrap();
            }
            let root = builder.finish(&mut store).unwrap();
            prop_assert!(root.records.len() <= 32);
            prop_assert_eq!(root.depth == 0, count <= 32);
            let mut out = Vec::new();
            flatten(&store, &root.records, root.depth, &mut out);
            prop_assert_eq!(out, list);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// Whole nodes of an earlier list, where it was cut at the same place, and records elsewhere make the list that records alone make.
        #[test]
        fn nodes_of_an_earlier_list_fit(seed: u64, count in 200usize..12_000, changes in proptest::collection::vec(0usize..12_000, 0..6)) {
            let old = records(seed, count);
            let mut new = old.clone();
            for at in &changes {
                if let Some(record) = new.get_mut(*at) {
                    // Every other change makes a place at which a list is cut, or takes one away.
                    record.id.0[0] = if at % 2 == 0 { 0 } else { 7 };
                    record.id.0[9] ^= 0x55;
                }
            }
            let whole = |list: &[Record]| {
                let (mut store, mut builder) = (Memory::default(), ContentBuilder::default());
                list.iter().for_each(|record| builder.push(*record, &mut store).unwrap());
                (builder.finish(&mut store).unwrap(), store)
            };
            let ((old_root, old_store), (new_root, _)) = (whole(&old), whole(&new));
            let (mut store, mut builder, mut taken) = (Memory::default(), ContentBuilder::default(), 0);
            let mut reuse = Reuse { old: &old, new: &new, nodes: &old_store, store: &mut store, builder: &mut builder, taken: &mut taken };
            let mut at = 0;
            for record in &old_root.records {
                at = reuse.add(old_root.depth, record, at);
            }
            prop_assert_eq!(builder.finish(&mut store).unwrap(), new_root);
            prop_assert!(taken > 0 || count < 6_000 || changes.len() > 2, "some node could be taken as it was");
        }
    }

    struct Reuse<'a> {
        old: &'a [Record],
        new: &'a [Record],
        nodes: &'a Memory,
        store: &'a mut Memory,
        builder: &'a mut ContentBuilder,
        taken: &'a mut usize,
    }

    impl Reuse<'_> {
        fn count(&self, depth: u8, record: &Record) -> usize {
            let Some(below) = depth.checked_sub(1) else { return 1 };
            let (records, _) = decode_node(&self.nodes.0[&record.id], below, ListOf::File).unwrap();
            records.iter().map(|record| self.count(below, record)).sum()
        }

        /// Adds what `record` stands for, from record `at` on; returns what follows.
        fn add(&mut self, depth: u8, record: &Record, at: usize) -> usize {
            let end = at + self.count(depth, record);
            if depth == 0 {
                self.builder.push(self.new[at], self.store).unwrap();
                return end;
            }
            // Not the last node: the end of its list may have cut it.
            let is_same = self.old[at..end] == self.new[at..end] && end < self.old.len();
            if is_same && self.builder.push_node(depth, *record, self.store).unwrap() {
                *self.taken += 1;
                return end;
            }
            let (records, _) = decode_node(&self.nodes.0[&record.id], depth - 1, ListOf::File).unwrap();
            records.iter().fold(at, |at, below| self.add(depth - 1, below, at))
        }
    }

    #[test]
    fn a_change_in_a_long_list_changes_few_nodes() {
        let build = |list: &[Record]| {
            let (mut store, mut builder) = (Memory::default(), ContentBuilder::default());
            for record in list {
                builder.push(*record, &mut store).unwrap();
            }
            builder.finish(&mut store).unwrap();
            store
        };
        let mut list = records(1, 100_000);
        let before = build(&list);
        list[50_000].id.0[5] ^= 1;
        list.insert(70_000, records(2, 1)[0]);
        let after = build(&list);
        let new = after.0.keys().filter(|id| !before.0.contains_key(*id)).count();
        assert!((1..=8).contains(&new), "{new} new nodes");
    }
}
