//! Content of one repository as content of another: files are cut and named anew by the other's secrets, so that they meet what its own backups store.

use crate::error::{Error, FormatError, Result};
use crate::format::content::{ContentRoot, ListOf, Record};
use crate::format::entry::{Entry, Node, decode_stream_raw};
use crate::format::header::BlobKind;
use crate::format::limits;
use crate::keys::Keyring;
use crate::ops::Progress;
use crate::ops::carried::{Made, Memory, small};
use crate::ops::cutting::Cut;
use crate::repo::directory::DirectoryBuilder;
use crate::repo::reader::{BlobReader, describe};
use crate::repo::writer::BlobWriter;

/// So many records of a file are read together.
const WINDOW_RECORDS: usize = 256;
/// Of the small files of a folder so much is announced at a time.
const ANNOUNCED_BYTES: u64 = 16 << 20;

/// Makes content of the target of what the source has.
pub(super) struct Copier<'a> {
    pub from: &'a BlobReader<'a>,
    /// The target's.
    pub keys: &'a Keyring,
    /// What was copied before, by the source's content.
    pub memory: Memory<'a>,
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
            Node::Inline(bytes) => small(bytes.clone(), self.keys, out)?,
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
        let made = self.made(root, ListOf::Directory);
        if let Some((Node::Dir(known), _)) = self.memory.recall(&made, out)? {
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
        self.memory.remember(&made, Node::Dir(new.clone()), None, out)?;
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
            if root.depth > 0
                || bytes + root.len_bytes() > ANNOUNCED_BYTES
                || self.memory.has(&self.made(root, ListOf::File))?
            {
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
        let made = self.made(root, ListOf::File);
        if let Some((known, _)) = self.memory.recall(&made, out)? {
            return Ok(known);
        }
        let (mut records, mut cut) = (Vec::new(), Cut::new(self.keys, Vec::new()));
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
        self.memory.remember(&made, new.clone(), None, out)?;
        Ok(new)
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

    fn made(&self, root: &ContentRoot, of: ListOf) -> Made {
        let mut bytes = Vec::new();
        root.records.iter().for_each(|record| record.encode(&mut bytes));
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.from.repo().keys().repo().0).update(&[u8::from(of == ListOf::File), root.depth]);
        *hasher.update(&bytes).finalize().as_bytes()
    }
}
