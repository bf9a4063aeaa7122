//! The trees of all snapshots: every tree blob is read once and decoded strictly, every data blob must be known.

use super::blobs::TreeBlobs;
use super::catalogue::Loss;
use super::report::{FindingKind as Kind, lock};
use super::signed::Snapshot;
use crate::error::{Error, FormatError, Result};
use crate::format::content::{ContentRoot, ListOf, Record, decode_node};
use crate::format::entry::{Entry, Node, decode_stream};
use crate::format::header::BlobKind;
use crate::format::limits;
use crate::id::BlobId;
use crate::ops::Progress;
use crate::repo::reader::describe;
use crate::state::blobs::{BlobKey, key_of};
use rayon::Scope;
use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// The name with which a blob of a directory stream begins and the one with which it ends.
type Edges = Option<Box<(Vec<u8>, Vec<u8>)>>;

/// Walks the trees of one snapshot after another, side by side within each.
pub(super) struct Walk<'a> {
    pub blobs: &'a TreeBlobs<'a>,
    pub progress: &'a dyn Progress,
    /// Whether anything is lost.
    pub lost: AtomicBool,
    /// Whether the egress budget ended it before everything was met.
    pub cut_short: AtomicBool,
    /// Blobs of directory streams.
    streams: Mutex<HashMap<BlobKey, Edges>>,
    /// Nodes of content lists of files, keyed with what their parent says of them.
    nodes: Mutex<HashSet<BlobKey>>,
}

/// The key of a node: its own, changed by what its parent says of it, so that it is read again where that differs.
pub(in crate::ops) fn node_key(record: &Record, depth: u8) -> BlobKey {
    let mut key = key_of(&record.id);
    let said = record.len_bytes ^ (u64::from(depth) << 56);
    key.iter_mut().zip(said.to_le_bytes()).for_each(|(byte, with)| *byte ^= with);
    key
}

/// Where a directory is.
#[derive(Clone, Copy)]
struct At {
    /// A number for the nearest boundary at or above it (spec 8.1).
    region: u64,
    /// Folders above it.
    depth: usize,
}

/// One snapshot.
struct Visit<'w> {
    walk: &'w Walk<'w>,
    snapshot: &'w Snapshot,
    regions: AtomicU64,
    /// Hard-link groups and a hash of their first entry.
    links: Mutex<HashMap<(u64, u8, u64), u64>>,
}

impl<'a> Walk<'a> {
    pub fn new(blobs: &'a TreeBlobs<'a>, progress: &'a dyn Progress) -> Self {
        let (lost, cut_short) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { blobs, progress, lost, cut_short, streams: Mutex::default(), nodes: Mutex::default() }
    }

    /// Walks what is below a snapshot and was not met below another.
    ///
    /// # Errors
    /// [`Error::Interrupted`]. What is wrong with trees is collected.
    pub fn snapshot(&self, snapshot: &Snapshot) -> Result<()> {
        let visit = Visit { walk: self, snapshot, regions: AtomicU64::new(0), links: Mutex::default() };
        rayon::scope(|scope| {
            for root in &snapshot.roots {
                visit.entry(scope, &root.entry, At { region: visit.new_region(), depth: 0 });
            }
        });
        self.blobs.findings.go_on()
    }

    /// Whether to read no more: somebody has stopped it, or the egress budget is used up.
    fn halted(&self) -> bool {
        let spent = self.blobs.meter.is_spent();
        self.cut_short.fetch_or(spent, Relaxed);
        spent || self.blobs.findings.go_on().is_err()
    }

    fn lose(&self, kind: BlobKind, id: &BlobId, loss: Loss) {
        self.lost.store(true, Relaxed);
        self.blobs.report_loss(kind, id, loss);
    }

    fn bad(&self, id: &BlobId, error: &FormatError) {
        self.lost.store(true, Relaxed);
        self.blobs.findings.fault(&Error::format(describe(BlobKind::Tree, id), error.clone()));
    }

    /// The records of a node, checked against what its parent says; whether this is the first visit of it.
    fn node(&self, record: &Record, below: u8, of: ListOf, first: bool) -> Option<Vec<Record>> {
        let blob = match self.blobs.read(&record.id, None) {
            Ok(blob) => blob,
            Err(loss) => {
                if first {
                    self.lose(BlobKind::Tree, &record.id, loss);
                }
                return None;
            }
        };
        match decode_node(&blob, below, of).and_then(|(records, total)| right_total(records, total, record)) {
            Ok(records) => Some(records),
            Err(error) => {
                if first {
                    self.bad(&record.id, &error);
                }
                None
            }
        }
    }

    /// Checks the blobs of a file.
    fn file(&self, records: &[Record], depth: u8) {
        if depth > 0 && self.halted() {
            return;
        }
        for record in records.iter().filter(|r| !r.is_hole()) {
            let Some(below) = depth.checked_sub(1) else {
                if let Err(loss) = self.blobs.catalogue.find(BlobKind::Data, &record.id, Some(record.len_bytes)) {
                    self.lose(BlobKind::Data, &record.id, loss);
                }
                continue;
            };
            if lock(&self.nodes).insert(node_key(record, depth))
                && let Some(records) = self.node(record, below, ListOf::File, true)
            {
                self.file(&records, below);
            }
        }
    }
}

/// The records of a node if they cover what its parent says.
pub(super) fn right_total(records: Vec<Record>, total: u64, parent: &Record) -> Result<Vec<Record>, FormatError> {
    if total == parent.len_bytes {
        Ok(records)
    } else {
        Err(FormatError::Invalid("a content list covers another length than its parent says"))
    }
}

impl<'w> Visit<'w> {
    fn new_region(&self) -> u64 {
        self.regions.fetch_add(1, Relaxed)
    }

    fn entry<'s>(&'s self, scope: &Scope<'s>, entry: &Entry, at: At) {
        if let Some(group) = entry.link {
            self.link(entry, group, at.region);
        }
        match &entry.node {
            Node::File(root) => self.walk.file(&root.records, root.depth),
            Node::Dir(root) => {
                let (root, boundary) = (root.clone(), entry.boundary.is_some());
                scope.spawn(move |scope| {
                    let region = if boundary { self.new_region() } else { at.region };
                    self.directory(scope, &root, At { region, depth: at.depth });
                });
            }
            _ => {}
        }
    }

    /// All names of a file must say the same of it.
    fn link(&self, entry: &Entry, group: u64, region: u64) {
        let bare = Entry { name: Vec::new(), ..entry.clone() };
        let hash = blake3::hash(&bare.encode_onto(Vec::new()));
        let hash = hash.as_bytes().first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let known = *lock(&self.links).entry((region, entry.kind() as u8, group)).or_insert(hash);
        if known != hash {
            let name = String::from_utf8_lossy(&entry.name).into_owned();
            let what = format!("{name:?} and another name of the same file differ; a restore takes the first it meets");
            self.walk.blobs.findings.note(Kind::Damaged, &self.snapshot.name, what);
        }
    }

    fn directory<'s>(&'s self, scope: &Scope<'s>, root: &ContentRoot, at: At) {
        if self.walk.halted() {
            return;
        }
        if at.depth > limits::DIRECTORY_DEPTH {
            let actual = at.depth as u64;
            let error = FormatError::Limit { what: "depth of folders", actual, limit: limits::DIRECTORY_DEPTH as u64 };
            self.walk.lost.store(true, Relaxed);
            self.walk.blobs.findings.error(Kind::Damaged, &self.snapshot.name, error.to_string());
            return;
        }
        let single = root.depth == 0 && root.records.len() == 1;
        self.list(scope, &root.records, root.depth, single, at, &mut Vec::new());
    }

    /// A directory's content list. `last` is the name before it.
    fn list<'s>(&'s self, scope: &Scope<'s>, records: &[Record], depth: u8, single: bool, at: At, last: &mut Vec<u8>) {
        for record in records {
            if self.walk.halted() {
                return;
            }
            let Some(below) = depth.checked_sub(1) else {
                self.stream(scope, record, single, at, last);
                continue;
            };
            // These are few, and what is below them must be met in order: they are read each time.
            let first = lock(&self.walk.streams).insert(node_key(record, depth), None).is_none();
            match self.walk.node(record, below, ListOf::Directory, first) {
                Some(records) => self.list(scope, &records, below, single, at, last),
                None => last.clear(),
            }
        }
    }

    /// A blob of a directory's stream.
    fn stream<'s>(&'s self, scope: &Scope<'s>, record: &Record, single: bool, at: At, last: &mut Vec<u8>) {
        let key = key_of(&record.id);
        let known = {
            let mut streams = lock(&self.walk.streams);
            let known = streams.get(&key).map(|edges| edges.as_deref().cloned());
            if known.is_none() {
                streams.insert(key, None);
            }
            known
        };
        let first = known.is_none();
        if let Err(loss) = self.walk.blobs.catalogue.find(BlobKind::Tree, &record.id, Some(record.len_bytes)) {
            if first || loss == Loss::Length {
                self.walk.lose(BlobKind::Tree, &record.id, loss);
            }
            return last.clear();
        }
        if let Some((begin, end)) = known.flatten() {
            if begin <= *last {
                self.walk.bad(&record.id, &FormatError::Invalid("a directory's entries are out of order"));
            }
            return *last = end;
        }
        if single && !first {
            return;
        }
        let Ok(blob) = self.walk.blobs.read(&record.id, Some(record.len_bytes)).map_err(|loss| {
            if first {
                self.walk.lose(BlobKind::Tree, &record.id, loss);
            }
        }) else {
            return last.clear();
        };
        let mut entries = Vec::new();
        let decoded = decode_stream(&blob, last, |entry| entries.push(entry));
        drop(blob);
        if let Err(error) = &decoded {
            self.walk.bad(&record.id, error);
        }
        if let (Ok(()), false, Some(begin)) = (&decoded, single, entries.first()) {
            let edges = Box::new((begin.name.clone(), last.clone()));
            lock(&self.walk.streams).insert(key, Some(edges));
        }
        if first {
            self.walk.progress.advance(entries.len() as u64, record.len_bytes);
            for entry in &entries {
                self.entry(scope, entry, At { region: at.region, depth: at.depth + 1 });
            }
        }
    }
}
