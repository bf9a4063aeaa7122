//! Walking content lists and directory streams of a snapshot.

use super::reader::BlobReader;
use crate::error::{Error, FormatError, Result};
use crate::format::content::{ContentRoot, ListOf, Record, decode_node};
use crate::format::entry::{Entry, Node, decode_stream};
use crate::format::header::BlobKind;
use crate::format::snapshot::Manifest;

impl BlobReader<'_> {
    /// Visits the records of a content tree that name content (depth 0), in order. Memory: one node for each level.
    ///
    /// # Errors
    /// What is wrong with a node, or what `visit` says.
    pub fn each_record(
        &self,
        root: &ContentRoot,
        of: ListOf,
        visit: &mut dyn FnMut(Record) -> Result<()>,
    ) -> Result<()> {
        let mut after_hole = false;
        self.records_below(&root.records, root.depth, of, &mut |record| {
            if record.is_hole() && after_hole {
                // Within a node the decoder sees to it; across nodes only this can.
                return Err(Error::format("a content list", FormatError::Invalid("two holes follow each other")));
            }
            after_hole = record.is_hole();
            visit(record)
        })
    }

    fn records_below(
        &self,
        records: &[Record],
        depth: u8,
        of: ListOf,
        visit: &mut dyn FnMut(Record) -> Result<()>,
    ) -> Result<()> {
        for record in records {
            let Some(below) = depth.checked_sub(1) else {
                visit(*record)?;
                continue;
            };
            // A node's own length is not in the record that names it.
            let node = self.node(&record.id)?;
            let bad = |e| Error::format(super::reader::describe(BlobKind::Tree, &record.id), e);
            let (records, total) = decode_node(&node, below, of).map_err(bad)?;
            if total != record.len_bytes {
                return Err(bad(FormatError::Invalid("a content list covers another length than its parent says")));
            }
            self.records_below(&records, below, of, visit)?;
        }
        Ok(())
    }

    /// Visits the entries of a directory in order. Memory: one blob of its stream.
    ///
    /// # Errors
    /// What is wrong with the stream, or what `visit` says.
    pub fn each_entry(&self, root: &ContentRoot, visit: &mut dyn FnMut(Entry) -> Result<()>) -> Result<()> {
        let mut last = Vec::new();
        self.each_record(root, ListOf::Directory, &mut |record| {
            let blob = self.blob(BlobKind::Tree, &record.id, record.len_bytes)?;
            let mut entries = Vec::new();
            let whole = decode_stream(&blob, &mut last, |entry| entries.push(entry));
            drop(blob);
            // What could be decoded is delivered, also when the rest needs a newer program (spec 13.1).
            entries.into_iter().try_for_each(&mut *visit)?;
            whole.map_err(|e| Error::format(super::reader::describe(BlobKind::Tree, &record.id), e))
        })
    }

    /// The child of a directory with this name.
    ///
    /// # Errors
    /// What is wrong with the stream.
    pub fn child(&self, root: &ContentRoot, name: &[u8]) -> Result<Option<Entry>> {
        let mut found = None;
        self.each_entry(root, &mut |entry| {
            if entry.name == name {
                found = Some(entry);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// What a snapshot has at an absolute path. A directory above all roots that lead there is `Above`.
    ///
    /// # Errors
    /// [`Error::Usage`] when there is nothing; what is wrong with the trees.
    pub fn find(&self, manifest: &Manifest, path: &[u8]) -> Result<Found> {
        let nothing = || Error::Usage(format!("the snapshot has no {}", String::from_utf8_lossy(path)));
        let wanted: Vec<&[u8]> = parts(path).collect();
        for root in &manifest.roots {
            let at: Vec<&[u8]> = parts(&root.path).collect();
            let Some(rest) = wanted.strip_prefix(&at[..]) else { continue };
            let mut entry = root.entry.clone();
            for name in rest {
                let Node::Dir(content) = &entry.node else { return Err(nothing()) };
                entry = self.child(content, name)?.ok_or_else(nothing)?;
            }
            return Ok(Found::Entry(Box::new(entry)));
        }
        let below = |root: &[u8]| parts(root).collect::<Vec<_>>().starts_with(&wanted);
        if manifest.roots.iter().any(|root| below(&root.path)) { Ok(Found::Above) } else { Err(nothing()) }
    }
}

/// What is at a path of a snapshot.
#[derive(Debug)]
pub enum Found {
    /// This.
    Entry(Box<Entry>),
    /// A folder that is not in the snapshot itself but has roots below it.
    Above,
}

/// The components of a path.
pub fn parts(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|b| *b == b'/').filter(|part| !part.is_empty())
}
