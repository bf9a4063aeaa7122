//! One reading of a pack, in parts.

use super::catalogue::Pack;
use super::pack_parts::{Part, Problem, Scope, decode_trailer, parts, table};
use super::packs::PackCheck;
use super::report::FindingKind as Kind;
use crate::error::{Error, FormatError, Result, StoreError};
use crate::format::header::BlobKind;
use crate::format::limits;
use crate::format::name::Name;
use crate::format::pack::{PREAMBLE_BYTES, TAG_BYTES, TRAILER_BYTES};
use crate::id::ObjectId;
use crate::repo::reader::decompress;
use crate::seal::PackSeal;
use std::cell::Cell;
use std::sync::atomic::Ordering::Relaxed;

/// How much is read at a time. A segment is read at once, so it may be more.
const PART_BYTES: u64 = 4 << 20;
/// As before, where each read is a request.
const REMOTE_PART_BYTES: u64 = 16 << 20;

/// A pack to be read, as one index object describes it or as it describes itself.
pub(super) struct PackRead<'a> {
    pub check: &'a PackCheck<'a>,
    pub name: &'a Name,
    pub size_bytes: u64,
    /// Its number in the catalogue.
    pub number: Option<u32>,
}

/// One reading.
struct Attempt<'a> {
    of: &'a PackRead<'a>,
    /// Nothing for the first one; then in which other way the store is to read.
    again: Option<u32>,
    /// Whether the store knows no such way, or was not asked.
    no_way: Cell<bool>,
}

impl<'a> PackRead<'a> {
    /// What is wrong with the pack by this reading; nothing if there is no other way of reading left.
    pub fn attempt(&self, again: Option<u32>) -> Option<Vec<Problem>> {
        let attempt = Attempt { of: self, again, no_way: Cell::new(again.is_some()) };
        let mut problems = Vec::new();
        if let Err(problem) = attempt.read(&mut problems) {
            problems.push(problem);
        }
        (!attempt.no_way.get()).then_some(problems)
    }

    pub fn pack(&self) -> Option<&'a Pack> {
        self.number.and_then(|n| self.check.catalogue.packs.get(n as usize))
    }
}

impl<'a> std::ops::Deref for Attempt<'a> {
    type Target = PackRead<'a>;
    fn deref(&self) -> &PackRead<'a> {
        self.of
    }
}

impl Attempt<'_> {
    /// Reads a range; counts it.
    fn range(&self, offset: u64, len_bytes: u64, scope: Scope) -> Result<Vec<u8>, Problem> {
        let (backend, name) = (self.check.repo.backend(), self.name.to_string());
        let read = match self.again {
            None => backend.get_range(&name, offset, size(len_bytes)).map(Some),
            Some(again) => backend.get_range_again(&name, offset, size(len_bytes), again),
        };
        self.no_way.set(matches!(read, Ok(None)));
        let Some(bytes) = read.map_err(|e| self.failed(scope, e))? else {
            return Err(Problem::format(scope, &FormatError::Truncated));
        };
        // A store that breaks its promise must not break the check.
        if bytes.len() as u64 != len_bytes {
            return Err(Problem::format(scope, &FormatError::Truncated));
        }
        self.check.read_bytes.fetch_add(bytes.len() as u64, Relaxed);
        Ok(bytes)
    }

    /// A failure of the store; one that makes it useless to go on ends the check.
    fn failed(&self, scope: Scope, error: StoreError) -> Problem {
        let problem = Problem::store(scope, &error);
        if error.ends_the_run() {
            let _ = self.check.findings.end(Error::store("read", self.name, error));
        }
        problem
    }

    fn part_bytes(&self) -> u64 {
        if self.check.repo.backend().is_remote() { REMOTE_PART_BYTES } else { PART_BYTES }
    }

    /// Collects problems that leave something to be looked at; answers with one that does not.
    fn read(&self, problems: &mut Vec<Problem>) -> Result<(), Problem> {
        let (name, size_bytes, pack) = (self.name, self.size_bytes, self.pack());
        let whole = |error| Problem::format(Scope::Whole, &error);
        if size_bytes > limits::PACK_BYTES {
            let what = FormatError::Limit { what: "pack", actual: size_bytes, limit: limits::PACK_BYTES };
            return Err(whole(what));
        }
        if size_bytes < (PREAMBLE_BYTES + TAG_BYTES + TRAILER_BYTES) as u64 {
            return Err(whole(FormatError::Truncated));
        }
        let preamble = self.range(0, PREAMBLE_BYTES as u64, Scope::Whole)?;
        let mut hasher = Some(blake3::Hasher::new());
        hash(&mut hasher, &preamble);
        let seal = match self.open(&preamble) {
            Ok(seal) => seal,
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        // A pack of another size than the index says is damaged: only its segments are looked at.
        let is_cut = pack.is_some_and(|p| p.info.size_bytes != size_bytes);
        let tail = if is_cut { None } else { self.tail(problems) };
        let table = match (&tail, &seal) {
            (Some(tail), Some(seal)) => table(tail, size_bytes, seal, pack).map_err(|p| problems.push(p)).ok(),
            _ => None,
        };
        let end = tail.as_ref().map_or(size_bytes, |t| size_bytes - t.len() as u64);
        let parts = parts(self.check.catalogue, table, self.number, end);
        if seal.is_some() && !parts.is_empty() {
            self.segments(&parts, seal.as_ref(), &mut hasher, problems);
        } else {
            self.plain(end, &mut hasher)?;
        }
        match &tail {
            Some(tail) => hash(&mut hasher, tail),
            None => hasher = None,
        }
        let is_right = hasher.is_none_or(|h| name.id() == Some(ObjectId(*h.finalize().as_bytes())));
        if !is_right {
            // Bytes that are not those of its name say nothing of a newer program.
            problems.iter_mut().filter(|p| p.kind == Kind::Newer).for_each(|p| p.kind = Kind::Damaged);
            problems.push(Problem::format(Scope::Frame, &FormatError::Hash));
        }
        Ok(())
    }

    /// Checks the header and, with a reader's key, opens the pack's key.
    fn open(&self, preamble: &[u8]) -> Result<Option<PackSeal>, Problem> {
        let whole = |error: FormatError| Problem::format(Scope::Whole, &error);
        let repo = self.check.repo;
        let header = repo.pack_header(preamble, self.name).map_err(|error| match error {
            Error::Damaged { source, .. } | Error::Newer { source, .. } => whole(source),
            _ => whole(FormatError::Truncated),
        })?;
        if self.pack().is_some_and(|p| p.info.kind.pack() != header.kind) {
            return Err(whole(FormatError::Invalid("it is of another kind than the index says")));
        }
        if repo.keys().need_reader("open packs").is_err() {
            return Ok(None);
        }
        let preamble = preamble.first_chunk::<PREAMBLE_BYTES>().ok_or_else(|| whole(FormatError::Truncated))?;
        let private = repo.keys().private(header.epoch).map_err(whole)?;
        PackSeal::open(preamble, private).map(Some).map_err(whole)
    }

    /// Table of contents and trailer, sealed as they are.
    fn tail(&self, problems: &mut Vec<Problem>) -> Option<Vec<u8>> {
        let size_bytes = self.size_bytes;
        let stored = self.pack().map(|p| p.info.segments.iter().map(|s| u64::from(s.stored_bytes)).sum::<u64>());
        let start = match stored {
            Some(stored) => Ok(PREAMBLE_BYTES as u64 + stored),
            None => {
                let last = TRAILER_BYTES as u64;
                self.range(size_bytes - last, last, Scope::Frame).and_then(|bytes| {
                    let trailer = decode_trailer(&bytes, size_bytes)?;
                    Ok(size_bytes - last - u64::from(trailer.toc_bytes))
                })
            }
        };
        let read = start.and_then(|start| self.range(start, size_bytes.saturating_sub(start), Scope::Frame));
        read.map_err(|problem| problems.push(problem)).ok()
    }

    /// Reads and checks the segments, several at a time.
    fn segments(
        &self,
        parts: &[Part],
        seal: Option<&PackSeal>,
        hasher: &mut Option<blake3::Hasher>,
        problems: &mut Vec<Problem>,
    ) {
        let mut rest = parts;
        while let Some(first) = rest.first() {
            let mut len_bytes = first.stored_bytes;
            let more = rest[1..].iter().take_while(|part| {
                let fits = len_bytes + part.stored_bytes <= self.part_bytes();
                len_bytes += if fits { part.stored_bytes } else { 0 };
                fits
            });
            let (group, after) = rest.split_at(1 + more.count());
            rest = after;
            match self.range(first.offset, len_bytes, Scope::Frame) {
                Ok(bytes) => {
                    hash(hasher, &bytes);
                    let mut left = &bytes[..];
                    for part in group {
                        let (sealed, after) = left.split_at(size(part.stored_bytes));
                        left = after;
                        if let Some(seal) = seal {
                            self.segment(part, sealed, seal, problems);
                        }
                    }
                }
                Err(problem) => {
                    *hasher = None;
                    problems.extend(group.iter().map(|part| Problem {
                        scope: Scope::Segment(part.ordinal),
                        kind: problem.kind,
                        what: problem.what.clone(),
                    }));
                }
            }
        }
    }

    /// Opens a segment and recomputes the ids of its blobs.
    fn segment(&self, part: &Part, sealed: &[u8], seal: &PackSeal, problems: &mut Vec<Problem>) {
        let mut buffer = sealed.to_vec();
        let opened = seal.open_segment(part.ordinal.into(), &mut buffer);
        let plain = match opened.and_then(|()| decompress(buffer, part.codec, part.plain_bytes)) {
            Ok(plain) => plain,
            Err(error) => return problems.push(Problem::format(Scope::Segment(part.ordinal), &error)),
        };
        let Ok(kind) = blob_kind(seal) else { return };
        let mut offset = 0u32;
        for (wanted, len_bytes) in &part.blobs {
            let bytes = plain.get(offset as usize..offset as usize + *len_bytes as usize);
            if !bytes.is_some_and(|bytes| wanted.is(&self.check.repo.keys().blob_id(kind, bytes))) {
                let scope = Scope::Blob(part.ordinal, offset, wanted.key());
                problems.push(Problem::format(scope, &FormatError::Invalid("its bytes do not hash to its id")));
            }
            offset += len_bytes;
        }
    }

    /// Hashes what lies between preamble and `end`.
    fn plain(&self, end: u64, hasher: &mut Option<blake3::Hasher>) -> Result<(), Problem> {
        let mut offset = PREAMBLE_BYTES as u64;
        while offset < end {
            let part = self.range(offset, self.part_bytes().min(end - offset), Scope::Frame)?;
            hash(hasher, &part);
            offset += part.len() as u64;
        }
        Ok(())
    }
}

/// Hashes more, unless a part could not be read.
fn hash(hasher: &mut Option<blake3::Hasher>, bytes: &[u8]) {
    if let Some(hasher) = hasher {
        hasher.update(bytes);
    }
}

fn blob_kind(seal: &PackSeal) -> Result<BlobKind, FormatError> {
    BlobKind::from_number(seal.preamble()[8].into())
}

/// All sizes here are below 256 MiB.
fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
