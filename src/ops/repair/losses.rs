//! Which blobs snapshots need and nobody has, and where in the snapshots they are.

use crate::error::Result;
use crate::format::content::{ContentRoot, ListOf, Record, decode_node};
use crate::format::entry::{Entry, Node, decode_stream};
use crate::format::header::BlobKind;
use crate::format::limits;
use crate::id::BlobId;
use crate::ops::check::blobs::TreeBlobs;
use crate::ops::check::signed::Snapshot;
use crate::ops::check::trees::node_key;
use crate::state::blobs::BlobKey;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// Of a lost blob so many places are kept: any of them may still have the bytes.
const PLACES: usize = 8;

/// A data blob that is lost.
pub(super) struct LostBlob {
    pub len_bytes: u64,
    /// Files of snapshots, the newest first, and where in them it begins.
    pub places: Vec<(Arc<[u8]>, u64)>,
}

/// What is lost.
#[derive(Default)]
pub(super) struct Losses {
    pub data: HashMap<BlobId, LostBlob>,
    pub trees: HashSet<BlobId>,
    /// Files of which a part of the content list is lost.
    pub files: BTreeSet<Vec<u8>>,
    /// Folders of which a part is lost.
    pub folders: BTreeSet<Vec<u8>>,
}

impl Losses {
    pub fn is_empty(&self) -> bool {
        self.data.is_empty() && self.trees.is_empty()
    }

    pub fn count(&self) -> u64 {
        (self.data.len() + self.trees.len()) as u64
    }

    /// Bytes of the data blobs.
    pub fn data_bytes(&self) -> u64 {
        self.data.values().map(|lost| lost.len_bytes).sum()
    }
}

/// Walks snapshots; what is whole is not walked again.
pub(super) struct Search<'a> {
    blobs: &'a TreeBlobs<'a>,
    whole: HashSet<BlobKey>,
    path: Vec<u8>,
    pub losses: Losses,
}

/// A file on the way.
struct InFile {
    path: Arc<[u8]>,
    offset: u64,
}

impl<'a> Search<'a> {
    pub fn new(blobs: &'a TreeBlobs<'a>) -> Self {
        Self { blobs, whole: HashSet::new(), path: Vec::new(), losses: Losses::default() }
    }

    /// Walks all snapshots, the newest first.
    ///
    /// # Errors
    /// [`crate::Error::Interrupted`], [`crate::Error::Aborted`].
    pub fn all(mut self, snapshots: &[Snapshot]) -> Result<Losses> {
        for snapshot in snapshots.iter().rev() {
            for root in &snapshot.roots {
                self.path.clone_from(&root.path);
                self.entry(&root.entry, 0)?;
            }
        }
        Ok(self.losses)
    }

    /// Fails if it is useless to go on.
    ///
    /// # Errors
    /// [`crate::Error::Interrupted`], [`crate::Error::Aborted`].
    pub fn go_on(&self) -> Result<()> {
        self.blobs.findings.go_on()
    }

    /// Whether nothing of a file's content is lost.
    pub fn is_whole(&mut self, root: &ContentRoot) -> bool {
        self.file(&root.records, root.depth, &mut InFile { path: Arc::from([]), offset: 0 })
    }

    fn entry(&mut self, entry: &Entry, depth: usize) -> Result<bool> {
        match &entry.node {
            Node::File(root) => {
                let mut at = InFile { path: self.path.as_slice().into(), offset: 0 };
                Ok(self.file(&root.records, root.depth, &mut at))
            }
            Node::Dir(root) => self.directory(root, depth),
            _ => Ok(true),
        }
    }

    fn file(&mut self, records: &[Record], depth: u8, at: &mut InFile) -> bool {
        let mut is_whole = true;
        for record in records {
            let start = at.offset;
            is_whole &= self.file_record(record, depth, at);
            at.offset = start.saturating_add(record.len_bytes);
        }
        is_whole
    }

    fn file_record(&mut self, record: &Record, depth: u8, at: &mut InFile) -> bool {
        if record.is_hole() {
            return true;
        }
        let Some(below) = depth.checked_sub(1) else {
            let len_bytes = record.len_bytes;
            if self.blobs.catalogue.find(BlobKind::Data, &record.id, Some(len_bytes)).is_ok() {
                return true;
            }
            let lost = self.losses.data.entry(record.id).or_insert(LostBlob { len_bytes, places: Vec::new() });
            if lost.places.len() < PLACES {
                lost.places.push((Arc::clone(&at.path), at.offset));
            }
            return false;
        };
        let key = node_key(record, depth);
        if self.whole.contains(&key) {
            return true;
        }
        match self.node(record, below, ListOf::File) {
            Some(records) => {
                let is_whole = self.file(&records, below, at);
                if is_whole {
                    self.whole.insert(key);
                }
                is_whole
            }
            None => {
                self.losses.trees.insert(record.id);
                self.losses.files.insert(at.path.to_vec());
                false
            }
        }
    }

    fn node(&self, record: &Record, below: u8, of: ListOf) -> Option<Vec<Record>> {
        let blob = self.blobs.read(&record.id, None).ok()?;
        let (records, total) = decode_node(&blob, below, of).ok()?;
        (total == record.len_bytes).then_some(records)
    }

    fn directory(&mut self, root: &ContentRoot, depth: usize) -> Result<bool> {
        self.blobs.findings.go_on()?;
        if depth > limits::DIRECTORY_DEPTH {
            return Ok(false);
        }
        self.list(&root.records, root.depth, depth)
    }

    fn list(&mut self, records: &[Record], depth: u8, folders: usize) -> Result<bool> {
        let mut is_whole = true;
        for record in records {
            is_whole &= match depth.checked_sub(1) {
                None => self.stream(record, folders)?,
                Some(below) => match self.node(record, below, ListOf::Directory) {
                    Some(records) => self.list(&records, below, folders)?,
                    None => self.lose_part(record),
                },
            };
        }
        Ok(is_whole)
    }

    fn lose_part(&mut self, record: &Record) -> bool {
        self.losses.trees.insert(record.id);
        self.losses.folders.insert(self.path.clone());
        false
    }

    fn stream(&mut self, record: &Record, folders: usize) -> Result<bool> {
        let key = node_key(record, 0);
        if self.whole.contains(&key) {
            return Ok(true);
        }
        let Ok(blob) = self.blobs.read(&record.id, Some(record.len_bytes)) else { return Ok(self.lose_part(record)) };
        let mut entries = Vec::new();
        // Order is for `check`.
        let _ = decode_stream(&blob, &mut Vec::new(), |entry| entries.push(entry));
        drop(blob);
        let (mut is_whole, length) = (true, self.path.len());
        for entry in &entries {
            if self.path.last() != Some(&b'/') {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(&entry.name);
            is_whole &= self.entry(entry, folders + 1)?;
            self.path.truncate(length);
        }
        if is_whole {
            self.whole.insert(key);
        }
        Ok(is_whole)
    }
}
