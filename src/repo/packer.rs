//! Segments into packs: sealed, hashed, written to a spool file.

use super::effort::Effort;
use crate::buffers::Buffers;
use crate::error::{Error, Result};
use crate::format::header::{BlobKind, Header};
use crate::format::index::PackRecord;
use crate::format::keyfile::Epoch;
use crate::format::limits;
use crate::format::pack::{Codec, PREAMBLE_BYTES, Segment, TRAILER_BYTES, Trailer, encode_toc};
use crate::id::{BlobId, ObjectId, RepoId, WriterName};
use crate::seal::{self, PackSeal};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A compressed segment on its way into a pack.
pub(super) struct Sealable {
    pub kind: BlobKind,
    /// From 1, for each kind.
    pub sequence: u64,
    pub codec: Codec,
    pub plain_bytes: u32,
    pub bytes: Vec<u8>,
    pub blobs: Vec<(BlobId, u32)>,
}

/// A pack in its spool file, removed when dropped (unless the store took it).
pub(super) struct SpooledPack {
    pub path: PathBuf,
    pub record: PackRecord,
    /// The last segment in it.
    pub last_sequence: u64,
}

impl Drop for SpooledPack {
    fn drop(&mut self) {
        // Gone already if the store renamed it away.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What all packs of a session share.
pub(super) struct PackContext<'a> {
    pub repo: RepoId,
    pub epoch: &'a Epoch,
    pub writer: WriterName,
    pub spool: PathBuf,
    /// Says when a data pack is full.
    pub effort: &'a Effort,
    pub tree_pack_bytes: u64,
}

/// A pack that is being filled.
struct OpenPack {
    file: File,
    path: PathBuf,
    seal: PackSeal,
    hasher: blake3::Hasher,
    segments: Vec<Segment>,
    blobs: usize,
    size_bytes: u64,
    last_sequence: u64,
}

/// One kind's packs. Segments may come in any order; they are packed in the order of their numbers.
pub(super) struct Packer<'a> {
    context: &'a PackContext<'a>,
    kind: BlobKind,
    buffers: &'a Buffers,
    open: Option<OpenPack>,
    waiting: BTreeMap<u64, Sealable>,
    next: u64,
    flush_after: Option<u64>,
}

impl<'a> Packer<'a> {
    pub fn new(context: &'a PackContext<'a>, kind: BlobKind, buffers: &'a Buffers) -> Self {
        Self { context, kind, buffers, open: None, waiting: BTreeMap::new(), next: 1, flush_after: None }
    }

    /// Takes a segment; returns how many were packed by it, and packs that are full.
    pub fn add(&mut self, segment: Sealable, full: &mut Vec<SpooledPack>) -> Result<usize> {
        self.waiting.insert(segment.sequence, segment);
        let mut packed = 0;
        while let Some(segment) = self.waiting.remove(&self.next) {
            self.next += 1;
            packed += 1;
            self.pack(segment, full)?;
            self.flush_if_due(full)?;
        }
        Ok(packed)
    }

    /// Ends the pack once segment `after` is in it.
    pub fn flush(&mut self, after: u64, full: &mut Vec<SpooledPack>) -> Result<()> {
        self.flush_after = Some(after);
        self.flush_if_due(full)
    }

    fn flush_if_due(&mut self, full: &mut Vec<SpooledPack>) -> Result<()> {
        if self.flush_after.is_some_and(|after| self.next > after) {
            self.flush_after = None;
            self.finish(full)?;
        }
        Ok(())
    }

    fn pack(&mut self, mut segment: Sealable, full: &mut Vec<SpooledPack>) -> Result<()> {
        if self.open.is_none() {
            self.open = Some(OpenPack::create(self.context, self.kind)?);
        }
        let Some(open) = self.open.as_mut() else { return Err(Error::Aborted) };
        open.seal.seal_segment(open.segments.len() as u32, &mut segment.bytes);
        open.write(&segment.bytes)?;
        open.blobs += segment.blobs.len();
        open.segments.push(Segment {
            stored_bytes: segment.bytes.len() as u32,
            plain_bytes: segment.plain_bytes,
            codec: segment.codec,
            blobs: segment.blobs,
        });
        open.last_sequence = segment.sequence;
        self.buffers.give(segment.bytes);
        let full_now = match self.kind {
            BlobKind::Data => self.context.effort.is_full(open.size_bytes),
            BlobKind::Tree => open.size_bytes >= self.context.tree_pack_bytes,
        };
        // The table takes 36 bytes a blob and must stay well below its limit; so must the index object that names the pack.
        let crowded = open.blobs >= 400_000 || open.segments.len() as u64 >= limits::SEGMENTS - 1;
        if full_now || crowded {
            self.finish(full)?;
        }
        Ok(())
    }

    /// Ends the open pack, if there is one.
    pub fn finish(&mut self, full: &mut Vec<SpooledPack>) -> Result<()> {
        if let Some(open) = self.open.take() {
            full.push(open.finish(self.context, self.kind)?);
        }
        Ok(())
    }
}

impl OpenPack {
    fn create(context: &PackContext<'_>, kind: BlobKind) -> Result<Self> {
        let header = Header { kind: kind.pack(), epoch: context.epoch.number, repo: context.repo };
        let seal = PackSeal::create(&header, context.epoch, &mut seal::system_random())
            .map_err(|e| Error::format("the repository's public key", e))?;
        let (file, path) = create_spool(&context.spool)?;
        let preamble = *seal.preamble();
        let mut open = Self {
            file,
            path,
            seal,
            hasher: blake3::Hasher::new(),
            segments: Vec::new(),
            blobs: 0,
            size_bytes: 0,
            last_sequence: 0,
        };
        open.write(&preamble)?;
        Ok(open)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        self.size_bytes += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|e| spool_error(&self.path, e))
    }

    fn finish(mut self, context: &PackContext<'_>, kind: BlobKind) -> Result<SpooledPack> {
        let mut toc = encode_toc(&self.segments);
        self.seal.seal_toc(&mut toc);
        self.write(&toc)?;
        let trailer = Trailer { toc_bytes: toc.len() as u32, segments: self.segments.len() as u32 };
        self.write(&trailer.encode())?;
        debug_assert!(self.size_bytes > (PREAMBLE_BYTES + TRAILER_BYTES) as u64);
        let record = PackRecord {
            id: ObjectId(*self.hasher.finalize().as_bytes()),
            kind,
            size_bytes: self.size_bytes,
            segments: std::mem::take(&mut self.segments),
            writer: context.writer.clone(),
            checked: true,
            repeated: false,
            later: Vec::new(),
        };
        // Taken, so that dropping this does not remove the file.
        let path = std::mem::take(&mut self.path);
        Ok(SpooledPack { path, record, last_sequence: self.last_sequence })
    }
}

impl Drop for OpenPack {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A full disk under the spool is a full store: it is the same folder, or the next thing to it.
fn spool_error(path: &Path, error: std::io::Error) -> Error {
    Error::store("store", format!("a pack (through {})", path.display()), error.into())
}

/// A file in the spool folder that is locked as long as it is open, so that others can tell it from one that a killed run left.
fn create_spool(folder: &Path) -> Result<(File, PathBuf)> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let mut salt = [0; 8];
    getrandom::fill(&mut salt).map_err(|e| Error::io("make", folder, std::io::Error::other(e)))?;
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let name = format!("spool-{}-{number}-{}", std::process::id(), data_encoding::HEXLOWER.encode(&salt));
    let path = folder.join(name);
    let file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(|e| spool_error(&path, e))?;
    // Best effort: some network file systems have no locks.
    let _ = rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive);
    Ok((file, path))
}

/// Removes what killed runs left in the spool folder: files that nobody holds locked.
pub(super) fn clean_spool(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with("spool-"));
        // A spool file this young may not be locked yet. What a store puts beside it is never locked, but done within a day.
        let least_secs = if ours { 5 } else { 24 * 3600 };
        let old = entry.metadata().is_ok_and(|meta| {
            let age = meta.modified().ok().and_then(|time| time.elapsed().ok());
            meta.is_file() && age.is_some_and(|age| age.as_secs() > least_secs)
        });
        if old
            && let Ok(file) = File::open(entry.path())
            && rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok()
        {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
