//! `--read-data`: packs are read whole, in parts.

use super::catalogue::{Catalogue, Pack};
use super::pack_parts::{Part, Problem, Scope, decode_trailer, join, parts, table};
use super::report::{FindingKind as Kind, Findings};
use crate::egress::Meter;
use crate::error::{Error, FormatError, Result};
use crate::format::header::BlobKind;
use crate::format::limits;
use crate::format::name::Name;
use crate::format::pack::{PREAMBLE_BYTES, TAG_BYTES, TRAILER_BYTES};
use crate::id::ObjectId;
use crate::repo::Repository;
use crate::repo::reader::decompress;
use crate::seal::PackSeal;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How much is read at a time. A segment is read at once, so it may be more.
const PART_BYTES: u64 = 4 << 20;
/// How often a pack that seems wrong is read again, unless two readings in a row agree on what is wrong.
const REPEATS: u32 = 2;

/// What reading a pack came to, from good to bad.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Outcome {
    /// Everything in it is right.
    Sound,
    /// The store did not give all of it.
    Unread,
    /// Something in it is wrong, or only a newer program can tell.
    Bad,
}

impl Outcome {
    fn of(problem: &Problem) -> Self {
        if problem.kind == Kind::Unreadable { Self::Unread } else { Self::Bad }
    }
}

/// Reads packs and checks everything in them that the keys at hand can check.
pub(super) struct PackCheck<'a> {
    pub repo: &'a Repository,
    pub catalogue: &'a Catalogue,
    pub findings: &'a Findings<'a>,
    pub meter: &'a Meter,
    pub read_bytes: AtomicU64,
}

impl PackCheck<'_> {
    /// Reads and checks a pack of which the meter has taken the bytes. What is wrong with it is collected.
    pub fn one(&self, name: &Name, size_bytes: u64) -> Outcome {
        let numbers = self.catalogue.numbers(name);
        if numbers.is_empty() {
            return self.described(name, size_bytes, None);
        }
        let mut worst = Outcome::Sound;
        for (nth, number) in numbers.into_iter().enumerate() {
            // Index objects differ about it: it is read for each.
            self.meter.charge(if nth > 0 { size_bytes } else { 0 });
            worst = worst.max(self.described(name, size_bytes, Some(number)));
        }
        worst
    }

    /// Checks a pack as one index object describes it, or as it describes itself.
    fn described(&self, name: &Name, size_bytes: u64, number: Option<u32>) -> Outcome {
        let pack = number.and_then(|n| self.catalogue.packs.get(n as usize));
        let mut problems = self.attempt(name, size_bytes, number);
        for _ in 0..REPEATS {
            if problems.iter().all(|p| p.kind == Kind::Newer) {
                break;
            }
            // Whether it is damage must be known, whatever the budget says.
            self.meter.charge(size_bytes);
            let again = self.attempt(name, size_bytes, number);
            let is_same = again == problems;
            if again.is_empty() {
                self.findings.transient(name);
            }
            problems = again;
            if is_same {
                break;
            }
        }
        let outcome = problems.iter().map(Outcome::of).max().unwrap_or(Outcome::Sound);
        let mut said: BTreeMap<(Kind, String), Vec<String>> = BTreeMap::new();
        for problem in problems {
            let place = match problem.scope {
                Scope::Frame => None,
                Scope::Whole => {
                    pack.map(Pack::mark_bad);
                    None
                }
                Scope::Segment(ordinal) => {
                    // What the listing has shown to be cut off is known already.
                    if pack.is_some_and(|p| !p.mark_segment(ordinal)) {
                        continue;
                    }
                    Some(format!("segment {ordinal}"))
                }
                Scope::Blob(segment, offset, key) => {
                    number.inspect(|n| self.catalogue.mark_place(*n, segment, offset, key));
                    Some(format!("the blob at {offset} of segment {segment}"))
                }
            };
            said.entry((problem.kind, problem.what)).or_default().extend(place);
        }
        for ((kind, what), places) in said {
            pack.inspect(|p| p.mark_reported());
            self.findings.error(kind, name, join(&places, &what));
        }
        outcome
    }

    /// Reads the pack once.
    fn attempt(&self, name: &Name, size_bytes: u64, number: Option<u32>) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Err(problem) = self.read(name, size_bytes, number, &mut problems) {
            problems.push(problem);
        }
        problems
    }

    /// Reads a range; counts it.
    fn range(&self, name: &Name, offset: u64, len_bytes: u64, scope: Scope) -> Result<Vec<u8>, Problem> {
        let bytes = self
            .repo
            .backend()
            .get_range(&name.to_string(), offset, size(len_bytes))
            .map_err(|e| Problem::store(scope, &e))?;
        // A store that breaks its promise must not break the check.
        if bytes.len() as u64 != len_bytes {
            return Err(Problem::format(scope, &FormatError::Truncated));
        }
        self.read_bytes.fetch_add(bytes.len() as u64, Relaxed);
        Ok(bytes)
    }

    /// Collects problems that leave something to be looked at; answers with one that does not.
    fn read(
        &self,
        name: &Name,
        size_bytes: u64,
        number: Option<u32>,
        problems: &mut Vec<Problem>,
    ) -> Result<(), Problem> {
        let pack = number.and_then(|n| self.catalogue.packs.get(n as usize));
        let whole = |error| Problem::format(Scope::Whole, &error);
        if size_bytes > limits::PACK_BYTES {
            let what = FormatError::Limit { what: "pack", actual: size_bytes, limit: limits::PACK_BYTES };
            return Err(whole(what));
        }
        if size_bytes < (PREAMBLE_BYTES + TAG_BYTES + TRAILER_BYTES) as u64 {
            return Err(whole(FormatError::Truncated));
        }
        let preamble = self.range(name, 0, PREAMBLE_BYTES as u64, Scope::Whole)?;
        let mut hasher = Some(blake3::Hasher::new());
        hash(&mut hasher, &preamble);
        let seal = match self.open(name, &preamble, pack) {
            Ok(seal) => seal,
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        // A pack of another size than the index says is damaged: only its segments are looked at.
        let is_cut = pack.is_some_and(|p| p.info.size_bytes != size_bytes);
        let tail = if is_cut { None } else { self.tail(name, size_bytes, pack, problems) };
        let table = match (&tail, &seal) {
            (Some(tail), Some(seal)) => table(tail, size_bytes, seal, pack).map_err(|p| problems.push(p)).ok(),
            _ => None,
        };
        let end = tail.as_ref().map_or(size_bytes, |t| size_bytes - t.len() as u64);
        let parts = parts(self.catalogue, table, number, end);
        if seal.is_some() && !parts.is_empty() {
            self.segments(name, &parts, seal.as_ref(), &mut hasher, problems);
        } else {
            self.plain(name, end, &mut hasher)?;
        }
        match &tail {
            Some(tail) => hash(&mut hasher, tail),
            None => hasher = None,
        }
        let is_right = hasher.is_none_or(|h| name.id() == Some(ObjectId(*h.finalize().as_bytes())));
        if !is_right {
            problems.push(Problem::format(Scope::Frame, &FormatError::Hash));
        }
        Ok(())
    }

    /// Checks the header and, with a reader's key, opens the pack's key.
    fn open(&self, name: &Name, preamble: &[u8], pack: Option<&Pack>) -> Result<Option<PackSeal>, Problem> {
        let whole = |error: FormatError| Problem::format(Scope::Whole, &error);
        let header = self.repo.pack_header(preamble, name).map_err(|error| match error {
            Error::Damaged { source, .. } | Error::Newer { source, .. } => whole(source),
            _ => whole(FormatError::Truncated),
        })?;
        if pack.is_some_and(|p| p.info.kind.pack() != header.kind) {
            return Err(whole(FormatError::Invalid("it is of another kind than the index says")));
        }
        if self.repo.keys().need_reader("open packs").is_err() {
            return Ok(None);
        }
        let preamble = preamble.first_chunk::<PREAMBLE_BYTES>().ok_or_else(|| whole(FormatError::Truncated))?;
        let private = self.repo.keys().private(header.epoch).map_err(whole)?;
        PackSeal::open(preamble, private).map(Some).map_err(whole)
    }

    /// Table of contents and trailer, sealed as they are.
    fn tail(&self, name: &Name, size_bytes: u64, pack: Option<&Pack>, problems: &mut Vec<Problem>) -> Option<Vec<u8>> {
        let stored = pack.map(|p| p.info.segments.iter().map(|s| u64::from(s.stored_bytes)).sum::<u64>());
        let start = match stored {
            Some(stored) => Ok(PREAMBLE_BYTES as u64 + stored),
            None => {
                let last = TRAILER_BYTES as u64;
                self.range(name, size_bytes - last, last, Scope::Frame).and_then(|bytes| {
                    let trailer = decode_trailer(&bytes, size_bytes)?;
                    Ok(size_bytes - last - u64::from(trailer.toc_bytes))
                })
            }
        };
        let read = start.and_then(|start| self.range(name, start, size_bytes.saturating_sub(start), Scope::Frame));
        read.map_err(|problem| problems.push(problem)).ok()
    }

    /// Reads and checks the segments, several at a time.
    fn segments(
        &self,
        name: &Name,
        parts: &[Part],
        seal: Option<&PackSeal>,
        hasher: &mut Option<blake3::Hasher>,
        problems: &mut Vec<Problem>,
    ) {
        let mut rest = parts;
        while let Some(first) = rest.first() {
            let mut len_bytes = first.stored_bytes;
            let more = rest[1..].iter().take_while(|part| {
                let fits = len_bytes + part.stored_bytes <= PART_BYTES;
                len_bytes += if fits { part.stored_bytes } else { 0 };
                fits
            });
            let (group, after) = rest.split_at(1 + more.count());
            rest = after;
            match self.range(name, first.offset, len_bytes, Scope::Frame) {
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
            if !bytes.is_some_and(|bytes| wanted.is(&self.repo.keys().blob_id(kind, bytes))) {
                let scope = Scope::Blob(part.ordinal, offset, wanted.key());
                problems.push(Problem::format(scope, &FormatError::Invalid("its bytes do not hash to its id")));
            }
            offset += len_bytes;
        }
    }

    /// Hashes what lies between preamble and `end`.
    fn plain(&self, name: &Name, end: u64, hasher: &mut Option<blake3::Hasher>) -> Result<(), Problem> {
        let mut offset = PREAMBLE_BYTES as u64;
        while offset < end {
            let part = self.range(name, offset, PART_BYTES.min(end - offset), Scope::Frame)?;
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
