//! What snapshots reach is marked. Each tree blob is read once, whatever snapshots share it (once for each group of writers that rely on different copies).

use super::catalogue::Catalogue;
use crate::error::{Error, FormatError, Result};
use crate::format::content::{ContentRoot, ListOf, Record, decode_node};
use crate::format::entry::{Entry, Node, decode_stream};
use crate::format::header::BlobKind;
use crate::format::snapshot::Manifest;
use crate::ops::Progress;
use crate::repo::reader::{BlobReader, describe};

/// A record that is still to be visited.
struct Visit {
    record: Record,
    depth: u8,
    of: ListOf,
}

/// Marks what snapshots reach.
pub(crate) struct Walk<'a, 'r> {
    pub catalogue: &'a mut Catalogue,
    pub reader: &'a BlobReader<'r>,
    pub progress: &'a dyn Progress,
    /// Blobs met.
    pub tree_blobs: u64,
    /// Blobs met.
    pub data_blobs: u64,
    group: u8,
    stack: Vec<Visit>,
}

impl<'a, 'r> Walk<'a, 'r> {
    pub fn new(catalogue: &'a mut Catalogue, reader: &'a BlobReader<'r>, progress: &'a dyn Progress) -> Self {
        Self { catalogue, reader, progress, tree_blobs: 0, data_blobs: 0, group: 0, stack: Vec::new() }
    }

    /// Marks everything below a snapshot of a writer of `group` that was not met below another.
    ///
    /// # Errors
    /// [`Error::Missing`] for a blob that no index object names; whatever is wrong with a tree blob; [`Error::Interrupted`].
    pub fn snapshot(&mut self, manifest: &Manifest, group: u8) -> Result<()> {
        self.group = group;
        for root in &manifest.roots {
            self.entry(&root.entry);
        }
        while let Some(visit) = self.stack.pop() {
            self.visit(&visit)?;
        }
        Ok(())
    }

    fn entry(&mut self, entry: &Entry) {
        match &entry.node {
            Node::File(root) => self.push(root, ListOf::File),
            Node::Dir(root) => self.push(root, ListOf::Directory),
            _ => {}
        }
    }

    fn push(&mut self, root: &ContentRoot, of: ListOf) {
        self.push_all(&root.records, root.depth, of);
    }

    /// Last first: so they are visited in their order, which is that in which they lie in packs.
    fn push_all(&mut self, records: &[Record], depth: u8, of: ListOf) {
        let visits = records.iter().rev().filter(|record| !record.is_hole());
        self.stack.extend(visits.map(|record| Visit { record: *record, depth, of }));
    }

    fn visit(&mut self, visit: &Visit) -> Result<()> {
        let Visit { record, depth, of } = *visit;
        let is_data = depth == 0 && of == ListOf::File;
        let kind = if is_data { BlobKind::Data } else { BlobKind::Tree };
        match self.catalogue.mark(&record.id, self.group) {
            None => return Err(Error::Missing(describe(kind, &record.id))),
            Some(false) => return Ok(()),
            Some(true) if is_data => {
                self.data_blobs += 1;
                return Ok(());
            }
            Some(true) => self.tree_blobs += 1,
        }
        if self.progress.cancelled() {
            return Err(Error::Interrupted);
        }
        let bad = |error| Error::format(describe(kind, &record.id), error);
        // A node's record covers what is below it, not the node's own bytes.
        if let Some(below) = depth.checked_sub(1) {
            let blob = self.reader.any_blob(kind, &record.id)?;
            let (records, total) = decode_node(&blob, below, of).map_err(bad)?;
            if total != record.len_bytes {
                return Err(bad(FormatError::Invalid("a content list covers another length than its parent says")));
            }
            self.push_all(&records, below, of);
            return Ok(());
        }
        let blob = self.reader.blob(kind, &record.id, record.len_bytes)?;
        let mut entries = Vec::new();
        decode_stream(&blob, &mut Vec::new(), |entry| entries.push(entry)).map_err(bad)?;
        drop(blob);
        self.progress.advance(entries.len() as u64, record.len_bytes);
        entries.iter().rev().for_each(|entry| self.entry(entry));
        Ok(())
    }
}
