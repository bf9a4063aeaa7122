//! The trees of all snapshots, each blob of them at most once for the first snapshot that has it, once more for the second, and once for each further host:
//! after that it is known that several need all that is below.

use super::sorter::Sorter;
use crate::error::{Error, FormatError, Result};
use crate::format::content::{ContentRoot, ListOf, Record, decode_node};
use crate::format::entry::{Entry, Node, decode_stream};
use crate::format::header::BlobKind;
use crate::format::limits;
use crate::format::snapshot::Manifest;
use crate::id::BlobId;
use crate::ops::Progress;
use crate::repo::reader::{BlobReader, describe};
use crate::state::blobs::{BlobKey, key_of};
use std::collections::HashMap;

/// So many hosts are told apart; those beyond count as one.
pub(super) const HOSTS: usize = 128;

/// Who was met at a tree blob.
struct Seen {
    hosts: u128,
    first: u32,
    several: bool,
}

/// Collects which snapshot needs which blob.
pub(super) struct Walk<'a> {
    reader: &'a BlobReader<'a>,
    progress: &'a dyn Progress,
    seen: HashMap<BlobKey, Seen>,
    pub pairs: Sorter,
    snapshot: u32,
    host: u128,
    /// Parts of trees that cannot be read.
    pub unread: u64,
}

impl<'a> Walk<'a> {
    pub fn new(reader: &'a BlobReader<'a>, pairs: Sorter, progress: &'a dyn Progress) -> Self {
        Self { reader, progress, seen: HashMap::new(), pairs, snapshot: 0, host: 0, unread: 0 }
    }

    /// Walks a snapshot; `host` is the number of its host, below [`HOSTS`].
    ///
    /// # Errors
    /// [`Error::Store`] when nothing can be read now, [`Error::Io`], [`Error::State`], [`Error::Interrupted`]. What is damaged is counted.
    pub fn snapshot(&mut self, number: u32, host: usize, manifest: &Manifest) -> Result<()> {
        (self.snapshot, self.host) = (number, 1 << host.min(HOSTS - 1));
        manifest.roots.iter().try_for_each(|root| self.entry(&root.entry, 0))
    }

    /// Whether what is below a tree blob is to be looked at.
    fn enter(&mut self, id: &BlobId) -> Result<bool> {
        let key = key_of(id);
        let Some(seen) = self.seen.get_mut(&key) else {
            self.seen.insert(key, Seen { hosts: self.host, first: self.snapshot, several: false });
            self.pairs.add(key, self.snapshot)?;
            return Ok(true);
        };
        let is_second = !seen.several && seen.first != self.snapshot;
        let is_new = is_second || seen.hosts & self.host == 0;
        seen.several |= is_second;
        seen.hosts |= self.host;
        if is_new {
            self.pairs.add(key, self.snapshot)?;
        }
        Ok(is_new)
    }

    fn entry(&mut self, entry: &Entry, depth: usize) -> Result<()> {
        match &entry.node {
            Node::File(root) => self.list(&root.records, root.depth, ListOf::File, depth),
            Node::Dir(root) => self.directory(root, depth + 1),
            _ => Ok(()),
        }
    }

    fn directory(&mut self, root: &ContentRoot, depth: usize) -> Result<()> {
        if self.progress.cancelled() {
            return Err(Error::Interrupted);
        }
        if depth > limits::DIRECTORY_DEPTH {
            self.unread += 1;
            return Ok(());
        }
        self.list(&root.records, root.depth, ListOf::Directory, depth)
    }

    fn list(&mut self, records: &[Record], depth: u8, of: ListOf, folders: usize) -> Result<()> {
        for record in records.iter().filter(|record| !record.is_hole()) {
            let Some(below) = depth.checked_sub(1) else {
                match of {
                    ListOf::File => self.pairs.add(key_of(&record.id), self.snapshot)?,
                    ListOf::Directory => self.stream(record, folders)?,
                }
                continue;
            };
            if self.enter(&record.id)? {
                let read = self.reader.node(&record.id).and_then(|node| {
                    let decoded = decode_node(&node, below, of);
                    decoded.map_err(|e| Error::format(describe(BlobKind::Tree, &record.id), e))
                });
                if let Some((records, _)) = self.or_unread(read)? {
                    self.list(&records, below, of, folders)?;
                }
            }
        }
        Ok(())
    }

    fn stream(&mut self, record: &Record, folders: usize) -> Result<()> {
        if !self.enter(&record.id)? {
            return Ok(());
        }
        let read = self.reader.blob(BlobKind::Tree, &record.id, record.len_bytes).and_then(|blob| {
            let mut entries = Vec::new();
            let decoded = decode_stream(&blob, &mut Vec::new(), |entry| entries.push(entry));
            let newer = |e: &FormatError| e.is_newer();
            match decoded {
                Err(e) if !newer(&e) => Err(Error::format(describe(BlobKind::Tree, &record.id), e)),
                _ => Ok(entries),
            }
        });
        let Some(entries) = self.or_unread(read)? else { return Ok(()) };
        self.progress.advance(entries.len() as u64, 0);
        entries.iter().try_for_each(|entry| self.entry(entry, folders))
    }

    /// Nothing, and one more that could not be read, if that is the damage of one thing and not of all.
    fn or_unread<T>(&mut self, read: Result<T>) -> Result<Option<T>> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(Error::Missing(_) | Error::Damaged { .. } | Error::Newer { .. }) => {
                self.unread += 1;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
