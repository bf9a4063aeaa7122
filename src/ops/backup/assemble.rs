//! From items in order to trees: content lists, directory streams, records of what was seen.

use super::Unreadable;
use super::content::{ContentBuilder, Trees};
use crate::chunk::directory_cut;
use crate::error::{Error, Result};
use crate::format::content::{ContentRoot, Record};
use crate::format::entry::{Entry, FileKind, Node};
use crate::format::header::BlobKind;
use crate::format::limits;
use crate::format::snapshot::{Root, Summary};
use crate::id::BlobId;
use crate::keys::Keyring;
use crate::ops::Progress;
use crate::repo::writer::BlobWriter;
use crate::source::items::{Batch, Change, DirEnd, FileDone, InodeKey, Item, Leaf, Piece, ReadJob};
use crate::source::read::{ReadContext, too_large};
use crate::state::dirs::{DirChange, DirKey, DirView, RecordBuilder, Stamp};
use std::collections::{HashMap, HashSet};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// How many unreadable objects are listed by name.
const LISTED: usize = 1_000;

/// A file that was to be read by another of its names is read as a whole, if it is no larger than this.
const READ_AGAIN_BYTES: u64 = 64 << 20;

/// A directory while its children come.
struct OpenDir {
    key: DirKey,
    stream: Vec<u8>,
    first_name: Vec<u8>,
    content: ContentBuilder,
    record: RecordBuilder,
    records: HashSet<Vec<u8>>,
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
    /// Files with several links, as they were read, and what they looked like then: until the next link is met they may have changed.
    links: HashMap<InodeKey, (Entry, Stamp)>,
    counted: HashSet<InodeKey>,
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
            counted: HashSet::new(),
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
                Item::Part(pieces) => {
                    let mut list = self.large.take().unwrap_or_default();
                    self.pieces(&pieces, data, &mut list)?;
                    self.large = Some(list);
                }
                Item::PartsEnd(done) => {
                    files += 1;
                    self.file(*done, data)?;
                }
                Item::PartsFailed => self.large = None,
                Item::Again { job, inode, last } => self.again(job, inode, last)?,
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

    fn pieces(&mut self, pieces: &[Piece], data: &[u8], list: &mut ContentBuilder) -> Result<()> {
        for piece in pieces {
            let record = match piece {
                Piece::Hole { len_bytes } => Record { id: BlobId::HOLE, len_bytes: *len_bytes },
                Piece::Blob { start, len_bytes, id } => {
                    self.writer.add(BlobKind::Data, *id, &data[*start..*start + *len_bytes as usize])?;
                    Record { id: *id, len_bytes: u64::from(*len_bytes) }
                }
            };
            list.push(record, &mut Trees { keys: self.keys, writer: self.writer })?;
        }
        Ok(())
    }

    fn file(&mut self, done: FileDone, data: &[u8]) -> Result<()> {
        let mut list = self.large.take().unwrap_or_default();
        self.pieces(&done.pieces, data, &mut list)?;
        let mut entry = done.entry;
        entry.node = match done.inline {
            Some(bytes) => Node::Inline(bytes),
            None => Node::File(list.finish(&mut Trees { keys: self.keys, writer: self.writer })?),
        };
        if let Some(warning) = done.warning {
            self.progress.warn(&warning);
            if self.warnings.len() < LISTED {
                self.warnings.push(warning);
            }
        }
        self.summary.source_bytes += entry.size_bytes();
        self.count_file(done.change);
        let encoded = entry.encode_onto(Vec::new());
        let name = entry.name.clone();
        if let Some(inode) = done.remember {
            self.links.insert(inode, (entry, done.stamp));
        }
        self.child(&name, &done.stamp, &encoded)
    }

    fn count_file(&mut self, change: Change) {
        self.summary.files += 1;
        match change {
            Change::New => self.summary.files_new += 1,
            Change::Changed => self.summary.files_changed += 1,
            Change::Same => self.summary.files_unchanged += 1,
        }
    }

    fn leaf(&mut self, leaf: Leaf) -> Result<()> {
        match leaf.file_bytes {
            Some(bytes) => {
                self.count_file(leaf.change);
                if leaf.linked.is_none_or(|inode| self.counted.insert(inode)) {
                    self.summary.source_bytes += bytes;
                }
            }
            None => self.summary.others += 1,
        }
        self.child(&leaf.name, &leaf.stamp, &leaf.entry)
    }

    fn again(&mut self, job: Box<ReadJob>, inode: InodeKey, last: bool) -> Result<()> {
        let found = if last { self.links.remove(&inode) } else { self.links.get(&inode).cloned() };
        let Some((mut entry, stamp)) = found else { return self.read_again(job) };
        entry.name = job.name.to_bytes().to_vec();
        self.count_file(job.change);
        let encoded = entry.encode_onto(Vec::new());
        self.child(&entry.name, &stamp, &encoded)
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
    fn child(&mut self, name: &[u8], stamp: &Stamp, encoded: &[u8]) -> Result<()> {
        if encoded.len() as u64 > limits::ENTRY_BYTES {
            let path = String::from_utf8_lossy(name).into_owned();
            self.failed(Path::new(&path), &too_large(Path::new(&path)));
            return Ok(());
        }
        let Some(dir) = self.dirs.last_mut() else { return self.end_root(encoded) };
        if dir.stream.is_empty() {
            dir.first_name = name.to_vec();
        }
        dir.stream.extend_from_slice(encoded);
        dir.record.push(name, stamp, encoded);
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
        dir.content.push(record, &mut Trees { keys: self.keys, writer: self.writer })?;
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
        self.summary.dirs += 1;
        let mut entry = end.entry;
        entry.node = Node::Dir(dir.content.finish(&mut Trees { keys: self.keys, writer: self.writer })?);
        let encoded = entry.encode_onto(Vec::new());
        self.child(&entry.name, &end.stamp, &encoded)
    }

    fn end_root(&mut self, encoded: &[u8]) -> Result<()> {
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
