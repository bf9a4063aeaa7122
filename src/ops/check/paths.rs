//! Which paths of which snapshots are hit: a second walk, made only when something is lost.

use super::blobs::TreeBlobs;
use super::signed::Snapshot;
use super::trees::{node_key, right_total};
use crate::error::{FormatError, Result};
use crate::format::content::{ContentRoot, ListOf, Record, decode_node};
use crate::format::entry::{Entry, Node, decode_stream};
use crate::format::header::BlobKind;
use crate::format::limits;
use crate::state::blobs::{BlobKey, key_of};
use std::collections::HashSet;

/// A directory.
#[derive(Clone, Copy)]
struct At {
    /// Folders above it.
    depth: usize,
    /// Whether its stream is one blob.
    single: bool,
}

/// Finds paths below which something is lost. What is found to be whole is not walked again.
pub(super) struct Affected<'a> {
    blobs: &'a TreeBlobs<'a>,
    /// Whether the egress budget ended it before everything was met.
    pub cut_short: bool,
    whole: HashSet<BlobKey>,
    path: Vec<u8>,
}

impl<'a> Affected<'a> {
    pub fn new(blobs: &'a TreeBlobs<'a>) -> Self {
        Self { blobs, cut_short: false, whole: HashSet::new(), path: Vec::new() }
    }

    /// Reports the paths of a snapshot that are hit.
    ///
    /// # Errors
    /// [`crate::Error::Interrupted`], [`crate::Error::Aborted`].
    pub fn snapshot(&mut self, snapshot: &Snapshot) -> Result<()> {
        for root in &snapshot.roots {
            self.path.clone_from(&root.path);
            self.entry(snapshot, &root.entry, 0)?;
        }
        Ok(())
    }

    /// Whether nothing of an entry is lost.
    fn entry(&mut self, snapshot: &Snapshot, entry: &Entry, depth: usize) -> Result<bool> {
        match &entry.node {
            Node::File(root) => {
                let whole = self.file(&root.records, root.depth);
                if !whole {
                    self.blobs.findings.affected(snapshot.id, &self.path);
                }
                Ok(whole)
            }
            Node::Dir(root) => self.directory(snapshot, root, depth),
            _ => Ok(true),
        }
    }

    fn file(&mut self, records: &[Record], depth: u8) -> bool {
        records.iter().filter(|r| !r.is_hole()).all(|record| {
            let Some(below) = depth.checked_sub(1) else {
                return self.blobs.catalogue.find(BlobKind::Data, &record.id, Some(record.len_bytes)).is_ok();
            };
            let key = node_key(record, depth);
            if self.whole.contains(&key) {
                return true;
            }
            let whole = self.node(record, below, ListOf::File).is_some_and(|records| self.file(&records, below));
            if whole {
                self.whole.insert(key);
            }
            whole
        })
    }

    fn node(&self, record: &Record, below: u8, of: ListOf) -> Option<Vec<Record>> {
        let blob = self.blobs.read(&record.id, None).ok()?;
        decode_node(&blob, below, of).and_then(|(records, total)| right_total(records, total, record)).ok()
    }

    fn directory(&mut self, snapshot: &Snapshot, root: &ContentRoot, depth: usize) -> Result<bool> {
        self.blobs.findings.go_on()?;
        if self.blobs.meter.is_spent() {
            self.cut_short = true;
            // Not known to be whole, and not known to be hit.
            return Ok(false);
        }
        let mut last = Some(Vec::new());
        let single = root.depth == 0 && root.records.len() == 1;
        let whole = depth <= limits::DIRECTORY_DEPTH
            && self.list(snapshot, &root.records, root.depth, At { depth, single }, &mut last)?;
        // What cannot be named is named by its folder.
        if last.is_none() || depth > limits::DIRECTORY_DEPTH {
            let mut folder = self.path.clone();
            if folder.last() != Some(&b'/') {
                folder.push(b'/');
            }
            self.blobs.findings.affected(snapshot.id, &folder);
        }
        Ok(whole)
    }

    /// Whether nothing is lost below a directory's content list. `last` is the name before it; nothing once entries are lost.
    fn list(
        &mut self,
        snapshot: &Snapshot,
        records: &[Record],
        list_depth: u8,
        at: At,
        last: &mut Option<Vec<u8>>,
    ) -> Result<bool> {
        let mut whole = true;
        for record in records {
            whole &= match list_depth.checked_sub(1) {
                None => self.stream(snapshot, record, at, last)?,
                Some(below) => match self.node(record, below, ListOf::Directory) {
                    Some(records) => self.list(snapshot, &records, below, at, last)?,
                    None => {
                        *last = None;
                        false
                    }
                },
            };
        }
        Ok(whole)
    }

    fn stream(&mut self, snapshot: &Snapshot, record: &Record, at: At, last: &mut Option<Vec<u8>>) -> Result<bool> {
        let key = key_of(&record.id);
        // Of several blobs the order of names is to be checked, so they are read again.
        if at.single && self.whole.contains(&key) {
            return Ok(true);
        }
        let Ok(entries) = self.entries(record, last) else {
            *last = None;
            return Ok(false);
        };
        let mut whole = true;
        let length = self.path.len();
        for entry in &entries {
            if self.path.last() != Some(&b'/') {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(&entry.name);
            whole &= self.entry(snapshot, entry, at.depth + 1)?;
            self.path.truncate(length);
        }
        if whole {
            self.whole.insert(key);
        }
        Ok(whole)
    }

    /// The entries of a blob, if all of it can be read.
    fn entries(&self, record: &Record, last: &mut Option<Vec<u8>>) -> Result<Vec<Entry>, FormatError> {
        let blob = self.blobs.read(&record.id, Some(record.len_bytes)).map_err(|_| FormatError::Truncated)?;
        let mut entries = Vec::new();
        // After a gap the order can only be checked within the blob.
        let mut name = last.clone().unwrap_or_default();
        decode_stream(&blob, &mut name, |entry| entries.push(entry))?;
        if let Some(last) = last {
            *last = name;
        }
        Ok(entries)
    }
}
