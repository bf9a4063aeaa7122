//! Trees written anew without some of what is in them. What does not change stays as it is, byte for byte, also what only a newer program understands.

use crate::error::{Error, FormatError, Result};
use crate::format::content::{ContentRoot, ListOf, Record, decode_node};
use crate::format::entry::{Entry, Node, decode_stream_raw};
use crate::format::header::BlobKind;
use crate::format::limits;
use crate::format::snapshot::{Root, Summary};
use crate::ops::Progress;
use crate::repo::directory::DirectoryBuilder;
use crate::repo::reader::{BlobReader, describe};
use crate::repo::writer::BlobWriter;
use std::collections::HashMap;

/// Folders are remembered up to so many; then all are forgotten.
const MOST_FOLDERS: usize = 200_000;

/// What is left out.
pub(in crate::ops) trait Edit: Send {
    /// Whether an entry, with all below it, is left out.
    ///
    /// # Errors
    /// Why that cannot be said.
    fn is_dropped(&mut self, path: &[u8], entry: &Entry) -> Result<bool>;

    /// A part of a folder cannot be read: it is left out if this returns.
    ///
    /// # Errors
    /// `error`, if that is not to be.
    fn gap(&mut self, path: &[u8], error: Error) -> Result<()>;

    /// Whether the same folder at the same path always comes out the same, so that it need not be looked at twice.
    fn is_repeatable(&self) -> bool;
}

/// What was left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Dropped {
    /// Names of regular files.
    pub files: u64,
    /// Directories.
    pub dirs: u64,
    /// Names of anything else.
    pub others: u64,
    /// Content of files with one name.
    pub bytes: u64,
    /// Parts of folders of which nobody can say what was in them.
    pub unknown: u64,
}

impl Dropped {
    fn add(&mut self, other: &Self) {
        self.files += other.files;
        self.dirs += other.dirs;
        self.others += other.others;
        self.bytes += other.bytes;
        self.unknown += other.unknown;
    }

    fn entry(&mut self, entry: &Entry) {
        match &entry.node {
            Node::Dir(_) => self.dirs += 1,
            Node::File(_) | Node::Inline(_) => {
                self.files += 1;
                self.bytes += if entry.link.is_none() { entry.size_bytes() } else { 0 };
            }
            _ => self.others += 1,
        }
    }

    /// The figures of a snapshot without this.
    pub(in crate::ops) fn less(&self, summary: &Summary) -> Summary {
        Summary {
            files: summary.files.saturating_sub(self.files),
            dirs: summary.dirs.saturating_sub(self.dirs),
            others: summary.others.saturating_sub(self.others),
            source_bytes: summary.source_bytes.saturating_sub(self.bytes),
            ..*summary
        }
    }
}

/// Folders that were written, by path and content: the new content if it has changed, and what was left out.
#[derive(Default)]
pub(in crate::ops) struct Folders(HashMap<[u8; 32], (Option<ContentRoot>, Dropped)>);

/// Writes trees anew.
pub(in crate::ops) struct Rewriter<'a> {
    reader: &'a BlobReader<'a>,
    edit: &'a mut dyn Edit,
    progress: &'a dyn Progress,
    /// Whether copies of what stays may be such as nothing new may rest on: then they are stored anew.
    is_doubtful: bool,
    path: Vec<u8>,
    folders: &'a mut Folders,
}

/// A folder that is being written.
struct Folder {
    builder: DirectoryBuilder,
    has_changed: bool,
    dropped: Dropped,
    depth: usize,
}

impl<'a> Rewriter<'a> {
    pub fn new(
        reader: &'a BlobReader<'a>,
        edit: &'a mut dyn Edit,
        folders: &'a mut Folders,
        is_doubtful: bool,
        progress: &'a dyn Progress,
    ) -> Self {
        Self { reader, edit, progress, is_doubtful, path: Vec::new(), folders }
    }

    /// The roots of a snapshot without what is left out; none if nothing is left out.
    ///
    /// # Errors
    /// What is wrong with trees, unless it is left out; why something could not be stored.
    pub fn roots(&mut self, roots: &[Root], out: &mut BlobWriter<'_>) -> Result<(Option<Vec<Root>>, Dropped)> {
        let (mut new, mut has_changed, mut dropped) = (Vec::new(), false, Dropped::default());
        for root in roots {
            self.path.clone_from(&root.path);
            let mut folder = Folder {
                builder: DirectoryBuilder::default(),
                has_changed: false,
                dropped: Dropped::default(),
                depth: 0,
            };
            if let Some(entry) = self.entry(&root.entry, &mut folder, out)? {
                new.push(Root { path: root.path.clone(), entry: entry.unwrap_or_else(|| root.entry.clone()) });
            }
            has_changed |= folder.has_changed;
            dropped.add(&folder.dropped);
        }
        Ok((has_changed.then_some(new), dropped))
    }

    /// Nothing if an entry is left out; within, the entry as it is now if it has changed.
    #[allow(clippy::option_option)]
    fn entry(&mut self, entry: &Entry, above: &mut Folder, out: &mut BlobWriter<'_>) -> Result<Option<Option<Entry>>> {
        if self.edit.is_dropped(&self.path, entry)? {
            above.has_changed = true;
            above.dropped.entry(entry);
            if let Node::Dir(root) = &entry.node {
                self.count(root, above.depth + 1, &mut above.dropped)?;
            }
            return Ok(None);
        }
        match &entry.node {
            Node::Dir(root) => {
                let (new, dropped) = self.directory(root, above.depth + 1, out)?;
                above.dropped.add(&dropped);
                let Some(new) = new else { return Ok(Some(None)) };
                above.has_changed = true;
                Ok(Some(Some(Entry { node: Node::Dir(new), ..entry.clone() })))
            }
            Node::File(root) if self.is_doubtful => {
                self.keep(&root.records, root.depth, out)?;
                Ok(Some(None))
            }
            _ => Ok(Some(None)),
        }
    }

    /// The new content of a directory if it has changed.
    fn directory(
        &mut self,
        root: &ContentRoot,
        depth: usize,
        out: &mut BlobWriter<'_>,
    ) -> Result<(Option<ContentRoot>, Dropped)> {
        if self.progress.cancelled() {
            return Err(Error::Interrupted);
        }
        if depth > limits::DIRECTORY_DEPTH {
            let object = String::from_utf8_lossy(&self.path).into_owned();
            return Err(Error::format(object, FormatError::Invalid("its folders are nested too deep")));
        }
        let key = self.key(root);
        if let Some(known) = self.folders.0.get(&key) {
            return Ok(known.clone());
        }
        let mut folder =
            Folder { builder: DirectoryBuilder::default(), has_changed: false, dropped: Dropped::default(), depth };
        self.list(&root.records, root.depth, &mut folder, &mut Vec::new(), out)?;
        let keys = self.reader.repo().keys();
        let new = folder.builder.finish(keys, out)?;
        let result = (folder.has_changed.then_some(new), folder.dropped);
        if self.edit.is_repeatable() {
            if self.folders.0.len() >= MOST_FOLDERS {
                self.folders.0.clear();
            }
            self.folders.0.insert(key, result.clone());
        }
        Ok(result)
    }

    fn key(&self, root: &ContentRoot) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(self.path.len() as u64).to_le_bytes()).update(&self.path).update(&[root.depth]);
        let mut bytes = Vec::new();
        root.records.iter().for_each(|record| record.encode(&mut bytes));
        *hasher.update(&bytes).finalize().as_bytes()
    }

    fn list(
        &mut self,
        records: &[Record],
        depth: u8,
        folder: &mut Folder,
        last: &mut Vec<u8>,
        out: &mut BlobWriter<'_>,
    ) -> Result<()> {
        for record in records {
            let done = match depth.checked_sub(1) {
                None => self.stream(record, last).map(Ok),
                Some(below) => self.node(record, below, ListOf::Directory).map(|records| Err((records, below))),
            };
            match done {
                Ok(Ok(entries)) => {
                    for (name, encoded, entry) in entries {
                        self.child(&name, encoded, entry, folder, out)?;
                    }
                }
                Ok(Err((records, below))) => self.list(&records, below, folder, last, out)?,
                Err(error @ (Error::State { .. } | Error::Interrupted | Error::Aborted)) => return Err(error),
                Err(error) => {
                    self.edit.gap(&self.path, error)?;
                    folder.has_changed = true;
                    folder.dropped.unknown += 1;
                }
            }
        }
        Ok(())
    }

    fn child(
        &mut self,
        name: &[u8],
        encoded: Vec<u8>,
        entry: Option<Entry>,
        folder: &mut Folder,
        out: &mut BlobWriter<'_>,
    ) -> Result<()> {
        let encoded = match entry {
            // Only a newer program knows what it is: it stays.
            None => Some(encoded),
            Some(entry) => {
                let length = self.path.len();
                if self.path.last() != Some(&b'/') {
                    self.path.push(b'/');
                }
                self.path.extend_from_slice(name);
                let new = self.entry(&entry, folder, out)?;
                self.path.truncate(length);
                new.map(|new| new.map_or(encoded, |entry| entry.encode_onto(Vec::new())))
            }
        };
        let keys = self.reader.repo().keys();
        encoded.map_or(Ok(()), |encoded| folder.builder.push(name, &encoded, keys, out))
    }

    /// The entries of a blob of a stream: names, encodings, and what this program can understand of them.
    #[allow(clippy::type_complexity)]
    fn stream(&self, record: &Record, last: &mut Vec<u8>) -> Result<Vec<(Vec<u8>, Vec<u8>, Option<Entry>)>> {
        let blob = self.reader.blob(BlobKind::Tree, &record.id, record.len_bytes)?;
        let mut entries = Vec::new();
        decode_stream_raw(&blob, last, |name, encoded, entry| {
            entries.push((name.to_vec(), encoded.to_vec(), entry.ok()));
        })
        .map_err(|e| Error::format(describe(BlobKind::Tree, &record.id), e))?;
        Ok(entries)
    }

    fn node(&self, record: &Record, below: u8, of: ListOf) -> Result<Vec<Record>> {
        let bad = |e| Error::format(describe(BlobKind::Tree, &record.id), e);
        let node = self.reader.node(&record.id)?;
        let (records, total) = decode_node(&node, below, of).map_err(bad)?;
        if total != record.len_bytes {
            return Err(bad(FormatError::Invalid("a content list covers another length than its parent says")));
        }
        Ok(records)
    }

    /// Stores what of a file's content has no copy on which something new may rest.
    fn keep(&self, records: &[Record], depth: u8, out: &mut BlobWriter<'_>) -> Result<()> {
        for record in records.iter().filter(|record| !record.is_hole()) {
            let Some(below) = depth.checked_sub(1) else {
                if !out.knows(&record.id)? {
                    let blob = self.reader.blob(BlobKind::Data, &record.id, record.len_bytes)?;
                    out.add(BlobKind::Data, record.id, &blob)?;
                }
                continue;
            };
            let records = self.node(record, below, ListOf::File)?;
            if !out.knows(&record.id)? {
                out.add(BlobKind::Tree, record.id, &self.reader.node(&record.id)?)?;
            }
            self.keep(&records, below, out)?;
        }
        Ok(())
    }

    /// Counts what is below a directory that is left out, as far as it can be read.
    fn count(&self, root: &ContentRoot, depth: usize, dropped: &mut Dropped) -> Result<()> {
        if depth > limits::DIRECTORY_DEPTH {
            return Ok(());
        }
        let mut folders = Vec::new();
        let read = self.reader.each_entry(root, &mut |entry| {
            dropped.entry(&entry);
            if let Node::Dir(root) = entry.node {
                folders.push(root);
            }
            Ok(())
        });
        match read {
            Err(error) if is_lost(&error) => dropped.unknown += 1,
            other => other?,
        }
        folders.iter().try_for_each(|root| self.count(root, depth + 1, dropped))
    }
}

/// Whether an error says that something is gone, and not that it cannot be read now.
fn is_lost(error: &Error) -> bool {
    matches!(error, Error::Missing(_) | Error::Damaged { .. } | Error::Newer { .. })
}
