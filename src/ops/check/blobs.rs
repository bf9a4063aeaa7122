//! Reading tree blobs: any good copy serves, and a copy that is none is remembered as bad.

use super::catalogue::{Catalogue, Loss, Pack, Spot};
use super::presence::wrong;
use super::report::{FindingKind as Kind, Findings, again, describe, lock};
use crate::egress::Meter;
use crate::error::{Error, FormatError, Result, StoreError};
use crate::format::header::BlobKind;
use crate::format::pack::PREAMBLE_BYTES;
use crate::id::BlobId;
use crate::repo::Repository;
use crate::repo::reader::{decompress, describe as describe_blob};
use crate::seal::PackSeal;
use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

/// How much plaintext of segments is kept.
const CACHE_BYTES: usize = 48 << 20;
/// How many packs' keys are kept.
const OPEN_PACKS: usize = 4_096;

/// A verified blob: a part of a segment.
pub(in crate::ops) struct Blob {
    segment: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl std::ops::Deref for Blob {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.segment[self.range.clone()]
    }
}

#[derive(Default)]
struct Cache {
    segments: HashMap<(u32, u16), Arc<Vec<u8>>>,
    order: VecDeque<(u32, u16)>,
    bytes: usize,
}

/// Reads tree blobs. May be used from many threads.
pub(in crate::ops) struct TreeBlobs<'a> {
    pub repo: &'a Repository,
    pub catalogue: &'a Catalogue,
    pub findings: &'a Findings<'a>,
    pub meter: &'a Meter,
    pub read_bytes: AtomicU64,
    seals: Mutex<HashMap<u32, Arc<PackSeal>>>,
    cache: Mutex<Cache>,
}

impl<'a> TreeBlobs<'a> {
    pub fn new(repo: &'a Repository, catalogue: &'a Catalogue, findings: &'a Findings<'a>, meter: &'a Meter) -> Self {
        let (seals, cache, read_bytes) = (Mutex::default(), Mutex::default(), AtomicU64::new(0));
        Self { repo, catalogue, findings, meter, read_bytes, seals, cache }
    }

    /// A tree blob from any copy that is good. What is wrong with a copy becomes a finding.
    ///
    /// # Errors
    /// Why there is none.
    pub fn read(&self, id: &BlobId, len_bytes: Option<u64>) -> Result<Blob, Loss> {
        loop {
            let spot = self.catalogue.find(BlobKind::Tree, id, len_bytes)?;
            if let Some(blob) = self.copy(&spot, id) {
                return Ok(blob);
            }
        }
    }

    /// What lies at a place of a pack, whatever it is: nothing if that cannot be read.
    pub fn bytes_at(&self, spot: &Spot) -> Option<Blob> {
        let pack = self.catalogue.packs.get(spot.pack as usize)?;
        let seal = again(self.findings, |again| self.seal(spot.pack, pack, again)).ok()?;
        let segment = again(self.findings, |again| self.segment(spot, pack, &seal, again)).ok()?;
        let range = spot.offset as usize..spot.offset as usize + spot.len_bytes as usize;
        segment.get(range.clone())?;
        Some(Blob { segment, range })
    }

    /// The blob at this place. If it is not there, the place is marked as bad, so that it is not found again.
    fn copy(&self, spot: &Spot, id: &BlobId) -> Option<Blob> {
        let pack = self.catalogue.packs.get(spot.pack as usize)?;
        let seal = match again(self.findings, |again| self.seal(spot.pack, pack, again)) {
            Ok(seal) => seal,
            Err(error) => {
                if pack.mark_bad() {
                    self.report(pack, &error);
                }
                return None;
            }
        };
        let segment = match again(self.findings, |again| self.segment(spot, pack, &seal, again)) {
            Ok(segment) => segment,
            Err(error) => {
                if pack.mark_segment(spot.segment) {
                    self.report(pack, &error);
                }
                return None;
            }
        };
        let range = spot.offset as usize..spot.offset as usize + spot.len_bytes as usize;
        let is_it = segment.get(range.clone()).is_some_and(|b| self.repo.keys().blob_id(BlobKind::Tree, b) == *id);
        if is_it {
            return Some(Blob { segment, range });
        }
        if self.catalogue.mark_spot(*spot) {
            let what = format!(
                "{} is not where the index says: the bytes hash to another id",
                describe_blob(BlobKind::Tree, id)
            );
            wrong(self.findings, Kind::Index, pack, what);
        }
        None
    }

    fn report(&self, pack: &Pack, error: &Error) {
        let (object, kind, what) = describe(error);
        if pack.condemned {
            return self.findings.note(kind, object, what);
        }
        self.findings.error(kind, object, what);
        pack.mark_reported();
    }

    fn seal(&self, number: u32, pack: &Pack, again: Option<u32>) -> Result<Arc<PackSeal>> {
        if let Some(seal) = lock(&self.seals).get(&number) {
            return Ok(Arc::clone(seal));
        }
        let bad = |e| Error::format(&pack.name, e);
        let preamble = self.range(pack, 0, PREAMBLE_BYTES, again)?;
        let header = self.repo.pack_header(&preamble, &pack.name)?;
        if header.kind != pack.info.kind.pack() {
            return Err(bad(FormatError::Invalid("it is of another kind than the index says")));
        }
        let preamble = preamble.first_chunk::<PREAMBLE_BYTES>().ok_or_else(|| bad(FormatError::Truncated))?;
        let private = self.repo.keys().private(header.epoch).map_err(bad)?;
        let seal = Arc::new(PackSeal::open(preamble, private).map_err(bad)?);
        let mut seals = lock(&self.seals);
        if seals.len() >= OPEN_PACKS {
            seals.clear();
        }
        seals.insert(number, Arc::clone(&seal));
        Ok(seal)
    }

    fn segment(&self, spot: &Spot, pack: &Pack, seal: &PackSeal, again: Option<u32>) -> Result<Arc<Vec<u8>>> {
        let key = (spot.pack, spot.segment);
        if let Some(found) = lock(&self.cache).segments.get(&key) {
            return Ok(Arc::clone(found));
        }
        let bad = |e| Error::format(format!("segment {} of {}", spot.segment, pack.name), e);
        let place = pack.info.segments.get(usize::from(spot.segment)).ok_or_else(|| bad(FormatError::Truncated))?;
        let mut buffer = self.range(pack, place.offset, place.stored_bytes as usize, again)?;
        seal.open_segment(spot.segment.into(), &mut buffer).map_err(bad)?;
        let plain = Arc::new(decompress(buffer, place.codec, place.plain_bytes).map_err(bad)?);
        let mut cache = lock(&self.cache);
        if cache.segments.insert(key, Arc::clone(&plain)).is_none() {
            cache.order.push_back(key);
            cache.bytes += plain.len();
        }
        while cache.bytes > CACHE_BYTES && cache.order.len() > 1 {
            if let Some(old) = cache.order.pop_front().and_then(|key| cache.segments.remove(&key)) {
                cache.bytes -= old.len();
            }
        }
        drop(cache);
        Ok(plain)
    }

    fn range(&self, pack: &Pack, offset: u64, len_bytes: usize, again: Option<u32>) -> Result<Vec<u8>> {
        let (backend, name) = (self.repo.backend(), pack.name.to_string());
        let read = match again {
            None => backend.get_range(&name, offset, len_bytes).map(Some),
            Some(again) => backend.get_range_again(&name, offset, len_bytes, again),
        };
        let bytes = match read {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err(Error::format(name, FormatError::Truncated)),
            Err(StoreError::NotFound) => return Err(Error::Missing(name)),
            Err(StoreError::Length { .. }) => return Err(Error::format(name, FormatError::Truncated)),
            Err(other) => return Err(Error::store("read", name, other)),
        };
        // A store that breaks its promise must not break the check.
        if bytes.len() != len_bytes {
            return Err(Error::format(&pack.name, FormatError::Truncated));
        }
        self.read_bytes.fetch_add(bytes.len() as u64, Relaxed);
        self.meter.charge(bytes.len() as u64);
        Ok(bytes)
    }

    /// Says that a blob is lost, unless findings on all its packs say so.
    pub fn report_loss(&self, kind: BlobKind, id: &BlobId, loss: Loss) {
        let (finding, what) = match loss {
            Loss::Gone { reported: true } => return,
            Loss::Gone { reported: false } => {
                (Kind::Missing, "a snapshot needs it, and no pack that has it can be read")
            }
            Loss::Unknown => (Kind::Missing, "a snapshot needs it, and no index object names it"),
            Loss::Length => (Kind::Index, "a snapshot needs it, and the index says that it has another length"),
        };
        self.findings.error(finding, describe_blob(kind, id), what);
    }
}
