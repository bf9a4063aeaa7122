//! Going through a directory's stream entry by entry, without recursion and past what is damaged.

use crate::error::{Error, FormatError, Result};
use crate::format::content::{ContentRoot, ListOf, Record, decode_node};
use crate::format::entry::{Entry, decode_stream};
use crate::format::header::BlobKind;
use crate::repo::reader::{BlobReader, describe};
use std::vec;

/// What comes next in a directory.
pub enum Next {
    /// An entry.
    Entry(Box<Entry>),
    /// A part of the directory cannot be read; what follows may be.
    Gap(Error),
    /// Nothing.
    End,
}

/// A place in a directory's stream. Memory: one blob's entries, and a node for each level of the content list.
pub struct Cursor {
    /// The lists that are being gone through, each with its depth.
    lists: Vec<(u8, vec::IntoIter<Record>)>,
    entries: vec::IntoIter<Entry>,
    last: Vec<u8>,
}

impl Cursor {
    /// At the beginning of the stream.
    pub fn new(root: ContentRoot) -> Self {
        let lists = vec![(root.depth, root.records.into_iter())];
        Self { lists, entries: Vec::new().into_iter(), last: Vec::new() }
    }

    /// At the beginning of a part of a stream: blobs of it, in order.
    pub fn of_blobs(blobs: Vec<Record>) -> Self {
        Self { lists: vec![(0, blobs.into_iter())], entries: Vec::new().into_iter(), last: Vec::new() }
    }

    /// Goes one step on.
    pub fn next(&mut self, reader: &BlobReader<'_>) -> Next {
        loop {
            if let Some(entry) = self.entries.next() {
                return Next::Entry(Box::new(entry));
            }
            let Some((depth, list)) = self.lists.last_mut() else { return Next::End };
            let depth = *depth;
            let Some(record) = list.next() else {
                self.lists.pop();
                continue;
            };
            if let Err(error) = self.enter(reader, depth, &record) {
                return Next::Gap(error);
            }
        }
    }

    fn enter(&mut self, reader: &BlobReader<'_>, depth: u8, record: &Record) -> Result<()> {
        let bad = |e| Error::format(describe(BlobKind::Tree, &record.id), e);
        let Some(below) = depth.checked_sub(1) else {
            let blob = reader.blob(BlobKind::Tree, &record.id, record.len_bytes)?;
            let mut entries = Vec::new();
            decode_stream(&blob, &mut self.last, |entry| entries.push(entry)).map_err(bad)?;
            self.entries = entries.into_iter();
            return Ok(());
        };
        // A node's own length is not in the record that names it.
        let node = reader.node(&record.id)?;
        let (records, total) = decode_node(&node, below, ListOf::Directory).map_err(bad)?;
        if total != record.len_bytes {
            return Err(bad(FormatError::Invalid("a content list covers another length than its parent says")));
        }
        self.lists.push((below, records.into_iter()));
        Ok(())
    }
}
