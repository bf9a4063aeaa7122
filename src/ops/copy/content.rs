//! Content of one repository as content of another: files are cut and named anew by the other's secrets, so that they meet what its own backups store.

use crate::error::{Error, FormatError, Result};
use crate::format::cbor::Dec;
use crate::format::content::{ContentRoot, ListOf, Record};
use crate::format::entry::{Entry, Node, decode_stream_raw};
use crate::format::header::BlobKind;
use crate::format::limits;
use crate::format::time::Time;
use crate::keys::Keyring;
use crate::ops::Progress;
use crate::ops::cutting::Cut;
use crate::repo::directory::DirectoryBuilder;
use crate::repo::reader::{BlobReader, describe};
use crate::repo::writer::BlobWriter;
use crate::state::dirs::{DirChange, DirKey, DirView, RecordBuilder, Stamp};

/// So many records of a file are read together.
const WINDOW_RECORDS: usize = 256;
/// Of the small files of a folder so much is announced at a time.
const ANNOUNCED_BYTES: u64 = 16 << 20;

/// Makes content of the target of what the source has.
pub(super) struct Copier<'a> {
    pub from: &'a BlobReader<'a>,
    /// The target's.
    pub keys: &'a Keyring,
    /// What was copied before, by the source's content; of runs that came to their end, or as far as they came.
    pub known: &'a DirView,
    pub progress: &'a dyn Progress,
    /// Bytes of content that were read.
    pub read_bytes: u64,
}

impl Copier<'_> {
    /// The entry as the target has it.
    ///
    /// # Errors
    /// What is wrong with the source; why the target could not store it.
    pub fn entry(&mut self, entry: &Entry, depth: usize, out: &mut BlobWriter<'_>) -> Result<Entry> {
        let node = match &entry.node {
            Node::Dir(root) => Node::Dir(self.directory(root, depth + 1, out)?),
            Node::File(root) => self.file(root, entry.size_bytes(), out)?,
            Node::Inline(bytes) => self.small(bytes.clone(), out)?,
            other => other.clone(),
        };
        if !matches!(node, Node::Dir(_)) {
            self.progress.advance(1, entry.size_bytes());
        }
        Ok(Entry { node, ..entry.clone() })
    }

    fn directory(&mut self, root: &ContentRoot, depth: usize, out: &mut BlobWriter<'_>) -> Result<ContentRoot> {
        if self.progress.cancelled() {
            return Err(Error::Interrupted);
        }
        if depth > limits::DIRECTORY_DEPTH {
            return Err(Error::format("a folder", FormatError::Invalid("its folders are nested too deep")));
        }
        if let Some(Node::Dir(known)) = self.recall(root, ListOf::Directory, out)? {
            return Ok(known);
        }
        let mut parts = Vec::new();
        self.from.each_record(root, ListOf::Directory, &mut |record| {
            parts.push(record);
            Ok(())
        })?;
        let (mut builder, mut last) = (DirectoryBuilder::default(), Vec::new());
        for part in parts {
            let blob = self.from.blob(BlobKind::Tree, &part.id, part.len_bytes)?;
            let bad = |e| Error::format(describe(BlobKind::Tree, &part.id), e);
            let (mut entries, mut newer) = (Vec::new(), None);
            decode_stream_raw(&blob, &mut last, |_, _, entry| match entry {
                Ok(entry) => entries.push(entry),
                Err(error) => drop(newer.get_or_insert(error)),
            })
            .map_err(bad)?;
            drop(blob);
            // Its content could not be named anew.
            newer.map_or(Ok(()), |error| Err(bad(error)))?;
            self.announce(&entries)?;
            for entry in &entries {
                let entry = self.entry(entry, depth, out)?;
                builder.push(&entry.name, &entry.encode_onto(Vec::new()), self.keys, out)?;
            }
        }
        let new = builder.finish(self.keys, out)?;
        self.remember(root, ListOf::Directory, Node::Dir(new.clone()), out)?;
        Ok(new)
    }

    /// Tells a store over a network what of a folder's small files comes next.
    fn announce(&self, entries: &[Entry]) -> Result<()> {
        if !self.from.repo().backend().is_remote() {
            return Ok(());
        }
        let (mut segments, mut bytes) = (Vec::new(), 0);
        for entry in entries {
            let Node::File(root) = &entry.node else { continue };
            if root.depth > 0 || bytes + root.len_bytes() > ANNOUNCED_BYTES || self.is_known(root)? {
                continue;
            }
            bytes += root.len_bytes();
            self.places(&root.records, &mut segments)?;
        }
        self.announce_all(segments);
        Ok(())
    }

    fn places(&self, records: &[Record], segments: &mut Vec<(u32, u16)>) -> Result<()> {
        for record in records.iter().filter(|record| !record.is_hole()) {
            segments.extend(self.from.view().place(&record.id)?.map(|place| (place.pack, place.segment)));
        }
        Ok(())
    }

    fn announce_all(&self, mut segments: Vec<(u32, u16)>) {
        segments.sort_unstable();
        segments.dedup();
        self.from.announce(&segments);
    }

    fn file(&mut self, root: &ContentRoot, size_bytes: u64, out: &mut BlobWriter<'_>) -> Result<Node> {
        if root.records.is_empty() {
            return Ok(Node::File(ContentRoot::default()));
        }
        if let Some(known) = self.recall(root, ListOf::File, out)? {
            return Ok(known);
        }
        let mut records = Vec::new();
        let mut cut = Cut::new(self.keys, Vec::new());
        let inline_max_bytes = u64::from(self.keys.chunker().params().inline_max_bytes);
        let is_sparse = root.depth > 0 || root.records.iter().any(Record::is_hole);
        if size_bytes <= inline_max_bytes && !is_sparse {
            let mut bytes = Vec::new();
            for record in &root.records {
                bytes.extend_from_slice(&self.from.blob(BlobKind::Data, &record.id, record.len_bytes)?);
            }
            self.read_bytes += size_bytes;
            return Ok(Node::Inline(bytes));
        }
        let from = self.from;
        from.each_record(root, ListOf::File, &mut |record| {
            records.push(record);
            if records.len() >= WINDOW_RECORDS { self.window(&mut records, &mut cut, out) } else { Ok(()) }
        })?;
        self.window(&mut records, &mut cut, out)?;
        let new = Node::File(cut.finish(out)?);
        self.remember(root, ListOf::File, new.clone(), out)?;
        Ok(new)
    }

    /// Content that was in its entry: the target may have another bound for that.
    fn small(&mut self, bytes: Vec<u8>, out: &mut BlobWriter<'_>) -> Result<Node> {
        if bytes.len() as u64 <= u64::from(self.keys.chunker().params().inline_max_bytes) {
            return Ok(Node::Inline(bytes));
        }
        let cut = Cut::new(self.keys, bytes);
        Ok(Node::File(cut.finish(out)?))
    }

    fn window(&mut self, records: &mut Vec<Record>, cut: &mut Cut<'_>, out: &mut BlobWriter<'_>) -> Result<()> {
        if self.progress.cancelled() {
            return Err(Error::Interrupted);
        }
        if self.from.repo().backend().is_remote() {
            let mut segments = Vec::new();
            self.places(records, &mut segments)?;
            self.announce_all(segments);
        }
        for record in records.drain(..) {
            if record.is_hole() {
                // What follows a hole is cut by itself (spec 5.1).
                cut.end(out)?;
                cut.push(record, out)?;
                continue;
            }
            let blob = self.from.blob(BlobKind::Data, &record.id, record.len_bytes)?;
            self.read_bytes += record.len_bytes;
            cut.data.extend_from_slice(&blob);
            cut.go_on(out)?;
        }
        Ok(())
    }

    fn key(&self, root: &ContentRoot, of: ListOf) -> (DirKey, Vec<u8>) {
        let mut bytes = Vec::new();
        root.records.iter().for_each(|record| record.encode(&mut bytes));
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.from.repo().keys().repo().0).update(&[u8::from(of == ListOf::File), root.depth]);
        let hash = *hasher.update(&bytes).finalize().as_bytes();
        let word = |at: usize| hash[at..at + 8].try_into().map_or(0, u64::from_le_bytes);
        (DirKey { region: region_of(self.from), ino: word(0) }, hash[8..].to_vec())
    }

    fn is_known(&self, root: &ContentRoot) -> Result<bool> {
        let (key, name) = self.key(root, ListOf::File);
        Ok(self.known.child(key, &name)?.is_some())
    }

    /// What the target has for content of the source that was copied before.
    fn recall(&self, root: &ContentRoot, of: ListOf, out: &BlobWriter<'_>) -> Result<Option<Node>> {
        let (key, name) = self.key(root, of);
        let Some((_, child)) = self.known.child(key, &name)? else { return Ok(None) };
        let Ok(entry) = Entry::decode(&mut Dec::new(&child.entry), false) else { return Ok(None) };
        // Packs of the target were condemned since, or are gone.
        if child.doubtful {
            let Node::File(new) = &entry.node else { return Ok(None) };
            // Of a folder, or a long list, nobody can say quickly that all of it is still there.
            if new.depth > 0 {
                return Ok(None);
            }
            for record in new.records.iter().filter(|record| !record.is_hole()) {
                if !out.knows(&record.id)? {
                    return Ok(None);
                }
            }
        }
        Ok(Some(entry.node))
    }

    /// Writes down what the target has for content of the source; it comes to hold when all of it is stored.
    fn remember(&self, root: &ContentRoot, of: ListOf, node: Node, out: &BlobWriter<'_>) -> Result<()> {
        let (key, name) = self.key(root, of);
        let entry = Entry {
            name: vec![b'x'],
            node,
            mode: 0,
            uid: 0,
            gid: 0,
            user: None,
            group: None,
            mtime: Time::default(),
            btime: None,
            xattrs: Vec::new(),
            link: None,
            flags: 0,
            boundary: None,
        };
        let stamp = Stamp { ino: 0, size_bytes: 0, mtime: Time::default(), ctime: Time::default() };
        let mut record = RecordBuilder::default();
        record.push(&name, &stamp, &entry.encode_onto(Vec::new()), None);
        out.note(DirChange::Put { key: key.record(&name), children: record.take(), needs: out.mark() })
    }
}

/// Under which region it is remembered what was copied from a repository.
fn region_of(from: &BlobReader<'_>) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"copy").update(&from.repo().keys().repo().0);
    hasher.finalize().as_bytes().first_chunk::<8>().map_or(0, |b| u64::from_le_bytes(*b))
}
