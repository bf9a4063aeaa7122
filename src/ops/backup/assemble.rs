//! From items in order to trees: content lists, directory streams, records of what was seen.

use super::Unreadable;
use crate::chunk::directory_cut;
use crate::error::{Error, Result};
use crate::format::content::{ContentRoot, ListOf, Record, decode_node};
use crate::format::entry::{Entry, FileKind, Node};
use crate::format::header::BlobKind;
use crate::format::limits;
use crate::format::snapshot::{Root, Summary};
use crate::id::BlobId;
use crate::keys::Keyring;
use crate::ops::Progress;
use crate::repo::content::{ContentBuilder, Trees};
use crate::repo::writer::BlobWriter;
use crate::source::items::{Batch, Change, DirEnd, FileDone, InodeKey, Item, Leaf, Piece, ReadJob};
use crate::source::read::{ReadContext, too_large};
use crate::state::dirs::{DirChange, DirKey, DirView, RecordBuilder, Stamp, Totals};
use crate::state::lists::node_key;
use std::collections::{HashMap, HashSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many unreadable objects are listed by name.
const LISTED: usize = 1_000;

/// A file that was to be read by another of its names is read as a whole, if it is no larger than this.
const READ_AGAIN_BYTES: u64 = 64 << 20;

/// Memory for content that other files may share, and what one takes beside its list.
const SHARED_BYTES: usize = 16 << 20;
const SHARED_ENTRY_BYTES: usize = 100;

/// Files of this size or more may have content lists of several nodes.
const LONG_BYTES: u64 = 1 << 20;

/// A directory while its children come.
struct OpenDir {
    key: DirKey,
    stream: Vec<u8>,
    first_name: Vec<u8>,
    content: ContentBuilder,
    record: RecordBuilder,
    records: HashSet<Vec<u8>>,
    /// What is in it, without itself.
    totals: Totals,
}

/// What a child counts.
enum Held {
    /// This, as nothing else says: a directory, or one of several names of a file.
    Recorded(Totals),
    /// This, as its size says.
    Plain(Totals),
}

/// What one of the names of a regular file counts.
fn one_name(entry: &Entry, nlink: u64) -> Held {
    let totals = Totals::of_file(entry.size_bytes(), nlink);
    if nlink > 1 { Held::Recorded(totals) } else { Held::Plain(totals) }
}

impl OpenDir {
    fn new(key: DirKey) -> Self {
        Self {
            key,
            stream: Vec::new(),
            first_name: Vec::new(),
            content: ContentBuilder::default(),
            record: RecordBuilder::default(),
            records: HashSet::new(),
            totals: Totals::default(),
        }
    }
}

/// Builds the trees of a snapshot.
pub(super) struct Assembler<'a, 'w, 'b> {
    read: &'a ReadContext<'a>,
    keys: &'a Keyring,
    writer: &'w mut BlobWriter<'b>,
    memory: Option<&'a DirView>,
    progress: &'a dyn Progress,
    dirs: Vec<OpenDir>,
    large: Option<ContentBuilder>,
    /// Files with several links, as they were read, what they looked like then, and how many they had: until the next link is met they may have changed.
    links: HashMap<InodeKey, (Entry, Stamp, u64)>,
    /// The content list of the file under way, as long as there is room for it.
    flat: Vec<Record>,
    /// The content lists of files with which others may share theirs.
    shared: HashMap<InodeKey, Arc<[Record]>>,
    shared_bytes: usize,
    /// Regions in which the content lists of long files are remembered.
    list_regions: &'a HashSet<u64>,
    root: Option<Vec<u8>>,
    pub visited: HashSet<DirKey>,
    pub roots: Vec<Root>,
    pub summary: Summary,
    pub unreadable: Vec<Unreadable>,
    pub warnings: Vec<String>,
}

impl<'a, 'w, 'b> Assembler<'a, 'w, 'b> {
    pub fn new(
        read: &'a ReadContext<'a>,
        writer: &'w mut BlobWriter<'b>,
        memory: Option<&'a DirView>,
        list_regions: &'a HashSet<u64>,
        progress: &'a dyn Progress,
    ) -> Self {
        Self {
            read,
            keys: read.keys,
            writer,
            memory,
            progress,
            dirs: Vec::new(),
            large: None,
            links: HashMap::new(),
            flat: Vec::new(),
            shared: HashMap::new(),
            shared_bytes: 0,
            list_regions,
            root: None,
            visited: HashSet::new(),
            roots: Vec::new(),
            summary: Summary::default(),
            unreadable: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Takes the items of a batch whose files have been read, and its data.
    pub fn take(&mut self, batch: Batch, data: &[u8]) -> Result<()> {
        let items = batch.items;
        self.summary.read_bytes += data.len() as u64;
        let (mut files, mut bytes) = (0, data.len() as u64);
        for item in items {
            match item {
                Item::Root(path) => self.root = Some(path),
                Item::Enter(key) => self.dirs.push(OpenDir::new(key)),
                Item::Leaf(leaf) => {
                    files += 1;
                    bytes += leaf.file_bytes.unwrap_or(0);
                    self.leaf(*leaf)?;
                }
                Item::File(done) => {
                    files += 1;
                    self.file(*done, data)?;
                }
                Item::Part { pieces, inode } => {
                    let mut list = self.large.take().unwrap_or_default();
                    self.pieces(&pieces, data, &mut list, inode)?;
                    self.large = Some(list);
                }
                Item::PartsEnd(done) => {
                    files += 1;
                    self.file(*done, data)?;
                }
                Item::PartsFailed => {
                    self.large = None;
                    self.flat.clear();
                }
                // Whoever asks has given up if nobody takes the answer.
                Item::Ask { inode, answer } => drop(answer.send(self.shared.get(&inode).cloned())),
                Item::Again { job, last } => self.again(job, last)?,
                Item::Leave(end) => self.leave(*end)?,
                Item::Failed { path, error } => self.failed(&path, &error),
                // Readers have made something else of it.
                Item::Read(_) => return Err(Error::Aborted),
            }
        }
        self.progress.advance(files, bytes);
        Ok(())
    }

    fn failed(&mut self, path: &Path, error: &Error) {
        self.summary.unreadable += 1;
        if let Some(dir) = self.dirs.last_mut() {
            dir.totals.unreadable += 1;
        }
        let mut why = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            why = format!("{why}: {cause}");
            source = cause.source();
        }
        self.progress.warn(&why);
        if self.unreadable.len() < LISTED {
            self.unreadable.push(Unreadable { path: path.display().to_string(), error: why });
        }
    }

    fn pieces(&mut self, pieces: &[Piece], data: &[u8], list: &mut ContentBuilder, inode: InodeKey) -> Result<()> {
        for piece in pieces {
            let record = match piece {
                Piece::Hole { len_bytes } => Record { id: BlobId::HOLE, len_bytes: *len_bytes },
                Piece::Blob { start, len_bytes, id } => {
                    self.writer.add(BlobKind::Data, *id, &data[*start..*start + *len_bytes as usize])?;
                    Record { id: *id, len_bytes: u64::from(*len_bytes) }
                }
                Piece::Known(record) => *record,
                Piece::Node { depth, record } => {
                    self.old_node(*depth, *record, list, inode)?;
                    continue;
                }
            };
            // One more than there is room for: then it is not kept.
            if size_of_val(self.flat.as_slice()) <= SHARED_BYTES {
                self.flat.push(record);
            }
            list.push(record, &mut self.trees(Some(inode)))?;
        }
        Ok(())
    }

    /// A node of the file's earlier list: as it is, where the new list was cut at the same place, else what is below it.
    fn old_node(&mut self, depth: u8, record: Record, list: &mut ContentBuilder, inode: InodeKey) -> Result<()> {
        if depth == 0 {
            return list.push(record, &mut self.trees(Some(inode)));
        }
        if list.push_node(depth, record, &mut self.trees(Some(inode)))? {
            return Ok(());
        }
        let node = self.memory.map(|view| view.node(&node_key(inode.into(), &record.id))).transpose()?.flatten();
        let records = node.and_then(|node| decode_node(&node, depth - 1, ListOf::File).ok());
        let Some((records, _)) = records else {
            let what = "a part of a file's content list that was there before is missing".to_owned();
            return Err(Error::State { path: PathBuf::new(), what });
        };
        records.into_iter().try_for_each(|below| self.old_node(depth - 1, below, list, inode))
    }

    fn trees(&mut self, inode: Option<InodeKey>) -> Trees<'_, '_, 'b> {
        let file = inode.filter(|inode| self.list_regions.contains(&inode.region)).map(DirKey::from);
        Trees { keys: self.keys, writer: self.writer, file }
    }

    fn file(&mut self, done: FileDone, data: &[u8]) -> Result<()> {
        let mut list = self.large.take().unwrap_or_default();
        self.pieces(&done.pieces, data, &mut list, done.inode)?;
        let mut entry = done.entry;
        entry.node = match done.node {
            Some(node) => node,
            None => Node::File(list.finish(&mut self.trees(Some(done.inode)))?),
        };
        if let Some(warning) = done.warning {
            self.warn(warning);
        }
        let flat = std::mem::take(&mut self.flat);
        if done.shared {
            self.share(done.inode, flat);
        } else {
            // Its room is of use again.
            self.flat = flat;
            self.flat.clear();
        }
        self.count_file(done.change, entry.size_bytes(), done.inode);
        let encoded = entry.encode_onto(Vec::new());
        let name = entry.name.clone();
        let held = one_name(&entry, done.nlink);
        if done.remember {
            self.links.insert(done.inode, (entry, done.stamp, done.nlink));
        }
        self.child(&name, &done.stamp, &encoded, held)
    }

    /// Keeps the content of a file for others that share its extents, as long as there is room.
    fn share(&mut self, inode: InodeKey, records: Vec<Record>) {
        let bytes = SHARED_ENTRY_BYTES + size_of_val(records.as_slice());
        if self.shared_bytes + bytes <= SHARED_BYTES {
            self.shared_bytes += bytes;
            self.shared.insert(inode, records.into());
        }
    }

    /// Something to look at that is not an error.
    pub fn warn(&mut self, warning: String) {
        self.progress.warn(&warning);
        if self.warnings.len() < LISTED {
            self.warnings.push(warning);
        }
    }

    fn count_file(&mut self, change: Change, bytes: u64, inode: InodeKey) {
        match change {
            Change::New => self.summary.files_new += 1,
            Change::Changed => self.summary.files_changed += 1,
            Change::Same => {}
        }
        if bytes >= LONG_BYTES {
            // Its content list may be remembered.
            self.visited.insert(inode.into());
        }
    }

    fn leaf(&mut self, leaf: Leaf) -> Result<()> {
        let held = match (leaf.totals, leaf.file_bytes) {
            (Some(totals), _) if totals.is_dir() => Held::Recorded(totals),
            (totals, Some(bytes)) => {
                self.count_file(leaf.change, bytes, leaf.inode);
                totals.map_or(Held::Plain(Totals::of_file(bytes, 1)), Held::Recorded)
            }
            (_, None) => Held::Plain(Totals { others: 1, ..Totals::default() }),
        };
        self.child(&leaf.name, &leaf.stamp, &leaf.entry, held)
    }

    fn again(&mut self, job: Box<ReadJob>, last: bool) -> Result<()> {
        let found = if last { self.links.remove(&job.inode) } else { self.links.get(&job.inode).cloned() };
        let Some((mut entry, stamp, nlink)) = found else { return self.read_again(job) };
        entry.name = job.name.to_bytes().to_vec();
        self.count_file(job.change, entry.size_bytes(), job.inode);
        let encoded = entry.encode_onto(Vec::new());
        self.child(&entry.name, &stamp, &encoded, one_name(&entry, nlink))
    }

    /// The name by which a file was to be read has become another's, or nobody's, meanwhile.
    fn read_again(&mut self, job: Box<ReadJob>) -> Result<()> {
        if job.size_bytes > READ_AGAIN_BYTES {
            let path = job.dir.path.join(std::ffi::OsStr::from_bytes(job.name.to_bytes()));
            let error = std::io::Error::other("another name of the same file changed while the folder was read");
            self.failed(&path, &Error::io("read", &path, error));
            return Ok(());
        }
        let mut batch = Batch { items: vec![Item::Read(job)], ..Batch::default() };
        self.read.process(&mut batch);
        let data = std::mem::take(&mut batch.data);
        self.take(batch, &data)
    }

    /// A complete child of the directory that is open, or a root.
    fn child(&mut self, name: &[u8], stamp: &Stamp, encoded: &[u8], held: Held) -> Result<()> {
        if encoded.len() as u64 > limits::ENTRY_BYTES {
            let path = String::from_utf8_lossy(name).into_owned();
            self.failed(Path::new(&path), &too_large(Path::new(&path)));
            return Ok(());
        }
        let (Held::Recorded(totals) | Held::Plain(totals)) = held;
        let Some(dir) = self.dirs.last_mut() else { return self.end_root(encoded, &totals) };
        dir.totals.add(&totals);
        if dir.stream.is_empty() {
            dir.first_name = name.to_vec();
        }
        dir.stream.extend_from_slice(encoded);
        dir.record.push(name, stamp, encoded, matches!(held, Held::Recorded(_)).then_some(&totals));
        if directory_cut(self.keys.directory_cut_key(), name, dir.stream.len()) {
            self.cut()?;
        }
        Ok(())
    }

    /// Ends a blob of the open directory's stream, and the record that goes with it.
    fn cut(&mut self) -> Result<()> {
        let Some(dir) = self.dirs.last_mut() else { return Ok(()) };
        let id = self.keys.blob_id(BlobKind::Tree, &dir.stream);
        self.writer.add(BlobKind::Tree, id, &dir.stream)?;
        let record = Record { id, len_bytes: dir.stream.len() as u64 };
        dir.stream.clear();
        dir.content.push(record, &mut Trees { keys: self.keys, writer: self.writer, file: None })?;
        let key = dir.key.record(&dir.first_name);
        let children = dir.record.take();
        dir.records.insert(std::mem::take(&mut dir.first_name));
        let same = match self.memory {
            Some(memory) => memory.is_same(&key, &children)?,
            None => false,
        };
        if !same {
            self.writer.note(DirChange::Put { key, children, needs: self.writer.mark() })?;
        }
        Ok(())
    }

    fn leave(&mut self, end: DirEnd) -> Result<()> {
        if self.dirs.last().is_some_and(|dir| !dir.stream.is_empty()) {
            self.cut()?;
        }
        let Some(dir) = self.dirs.pop() else { return Err(Error::Aborted) };
        for old in end.old_records {
            if !dir.records.contains(&old) {
                self.writer.note(DirChange::Remove { key: dir.key.record(&old) })?;
            }
        }
        self.visited.insert(dir.key);
        let mut totals = dir.totals;
        totals.dirs += 1;
        let mut entry = end.entry;
        entry.node = Node::Dir(dir.content.finish(&mut self.trees(None))?);
        let encoded = entry.encode_onto(Vec::new());
        self.child(&entry.name, &end.stamp, &encoded, Held::Recorded(totals))
    }

    fn end_root(&mut self, encoded: &[u8], totals: &Totals) -> Result<()> {
        let sum = &mut self.summary;
        sum.files += totals.files;
        sum.dirs += totals.dirs;
        sum.others += totals.others;
        sum.source_bytes += totals.bytes;
        sum.files_unchanged = sum.files.saturating_sub(sum.files_new + sum.files_changed);
        let path = self.root.take().ok_or(Error::Aborted)?;
        let mut d = crate::format::cbor::Dec::new(encoded);
        let mut entry = match Entry::decode(&mut d, false) {
            Ok(entry) => entry,
            Err(error) => return Err(Error::format("the root's entry", error)),
        };
        entry.name.clear();
        // The region begins at the root, whatever file system is above it.
        entry.boundary = None;
        self.roots.push(Root { path, entry });
        Ok(())
    }
}

/// The blobs that a file's entry names directly: nothing for directories and special files.
pub(super) fn content_of(encoded: &[u8]) -> Option<ContentRoot> {
    let entry = Entry::decode(&mut crate::format::cbor::Dec::new(encoded), false).ok()?;
    match entry.node {
        Node::File(root) => Some(root),
        _ if entry.kind() == FileKind::File => Some(ContentRoot::default()),
        _ => None,
    }
}
