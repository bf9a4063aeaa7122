//! What the index objects of the store say, and which of it turned out to be bad.
//!
//! A check does not look at what the local state remembers: that may be of another time. A blob takes 32 bytes here.

use crate::format::header::BlobKind;
use crate::format::index::PackRecord;
use crate::format::name::Name;
use crate::format::pack::{Codec, encode_toc};
use crate::id::{BlobId, ObjectId};
use crate::state::blobs::{BlobKey, PackInfo, key_of};
use rayon::slice::ParallelSliceMut;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{PoisonError, RwLock};

/// A pack as an index object describes it. Two that differ about one pack are two of these.
pub(in crate::ops) struct Pack {
    pub name: Name,
    pub info: PackInfo,
    /// BLAKE3 of the plaintext of its table of contents.
    pub toc_hash: [u8; 32],
    /// The index objects that name it, by their numbers in [`Catalogue::indexes`].
    pub named_by: Vec<u32>,
    /// Whether a gc object condemns it: what is wrong with it is no error, and other copies are better.
    pub condemned: bool,
    /// Whether nothing of it can be read.
    bad: AtomicBool,
    /// Whether a finding says what is wrong with it.
    reported: AtomicBool,
    some_bad: AtomicBool,
    bad_segments: RwLock<BTreeSet<u16>>,
}

impl Pack {
    /// Marks the whole pack as unreadable. Whether it was not yet.
    pub fn mark_bad(&self) -> bool {
        !self.bad.swap(true, Relaxed)
    }

    /// Marks a segment as unreadable. Whether it was not yet.
    pub fn mark_segment(&self, ordinal: u16) -> bool {
        let new = self.bad_segments.write().unwrap_or_else(PoisonError::into_inner).insert(ordinal);
        self.some_bad.store(true, Relaxed);
        new
    }

    /// Remembers that a finding names the pack.
    pub fn mark_reported(&self) {
        self.reported.store(true, Relaxed);
    }

    /// Whether a segment is not known to be bad.
    pub fn is_good(&self, segment: u16) -> bool {
        let hit = |segment| self.bad_segments.read().unwrap_or_else(PoisonError::into_inner).contains(&segment);
        !(self.bad.load(Relaxed) || self.some_bad.load(Relaxed) && hit(segment))
    }

    /// Whether anything of it is known to be bad, be it only its table of contents.
    pub fn is_hit(&self) -> bool {
        self.bad.load(Relaxed) || self.some_bad.load(Relaxed) || self.reported.load(Relaxed)
    }

    /// Marks the segments that lie beyond the first `size_bytes` bytes.
    pub fn mark_beyond(&self, size_bytes: u64) {
        for (ordinal, segment) in (0..).zip(&self.info.segments) {
            if segment.offset + u64::from(segment.stored_bytes) > size_bytes {
                self.mark_segment(ordinal);
            }
        }
    }
}

/// A copy of a blob.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(in crate::ops) struct Spot {
    pub key: BlobKey,
    pub pack: u32,
    /// Where it begins in the segment's plaintext.
    pub offset: u32,
    pub len_bytes: u32,
    pub segment: u16,
}

/// Why there is no good copy of a blob.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::ops) enum Loss {
    /// No index object names it.
    Unknown,
    /// The index objects say that it has another length.
    Length,
    /// All packs or segments that should hold it are bad; whether each of these packs is named by a finding.
    Gone { reported: bool },
}

#[derive(Default)]
pub(in crate::ops) struct Catalogue {
    pub packs: Vec<Pack>,
    /// The index objects that are sound.
    pub indexes: Vec<Name>,
    /// Those that a sound index object of the same writer replaces.
    pub superseded: HashSet<Name>,
    by_name: HashMap<Name, u32>,
    spots: Vec<Spot>,
    bad_spots: RwLock<HashSet<Spot>>,
}

impl Catalogue {
    /// Takes in what index object number `index` says of a pack. False if another says something else.
    pub fn add(&mut self, record: &PackRecord, index: u32) -> bool {
        let name = Name::Pack(record.writer.clone(), record.id);
        let toc_hash = *blake3::hash(&encode_toc(&record.segments)).as_bytes();
        let known = self.by_name.get(&name).copied();
        if let Some(pack) = known.and_then(|n| self.packs.get_mut(n as usize))
            && (pack.toc_hash, pack.info.kind, pack.info.size_bytes) == (toc_hash, record.kind, record.size_bytes)
        {
            pack.named_by.push(index);
            return true;
        }
        let number = u32::try_from(self.packs.len()).unwrap_or(u32::MAX);
        self.by_name.entry(name.clone()).or_insert(number);
        for (segment, described) in (0..).zip(&record.segments) {
            let mut offset = 0;
            for (id, len_bytes) in &described.blobs {
                self.spots.push(Spot { key: key_of(id), pack: number, offset, len_bytes: *len_bytes, segment });
                offset += len_bytes;
            }
        }
        self.packs.push(Pack {
            name,
            info: PackInfo::of(record, false),
            toc_hash,
            named_by: vec![index],
            condemned: false,
            bad: AtomicBool::new(false),
            reported: AtomicBool::new(false),
            some_bad: AtomicBool::new(false),
            bad_segments: RwLock::default(),
        });
        known.is_none()
    }

    /// Notes which packs are condemned.
    pub fn condemn(&mut self, condemned: &HashSet<ObjectId>) {
        self.packs.iter_mut().for_each(|pack| pack.condemned = condemned.contains(&pack.info.id));
    }

    /// To be called after the last [`add`](Self::add).
    pub fn finish(&mut self) {
        self.spots.par_sort_unstable_by_key(|spot| (spot.key, spot.pack, spot.segment, spot.offset));
        self.spots.shrink_to_fit();
    }

    /// The numbers of the packs of this name: more than one if index objects differ about it.
    pub fn numbers(&self, name: &Name) -> Vec<u32> {
        let Some(first) = self.by_name.get(name) else { return Vec::new() };
        // Hardly ever do index objects differ about a pack.
        let same = self.packs.len() == self.by_name.len();
        let rest = if same { &[] } else { &self.packs[*first as usize + 1..] };
        let others = (*first + 1..).zip(rest).filter(|(_, p)| p.name == *name).map(|(n, _)| n);
        std::iter::once(*first).chain(others).collect()
    }

    /// Whether any index object names the pack.
    pub fn names(&self, name: &Name) -> bool {
        self.by_name.contains_key(name)
    }

    /// Whether every index object that names the pack is replaced by one that is there.
    pub fn is_superseded(&self, pack: &Pack) -> bool {
        pack.named_by.iter().all(|n| self.indexes.get(*n as usize).is_some_and(|name| self.superseded.contains(name)))
    }

    /// Segments that need a newer program: the packs' numbers and the segments' ordinals.
    pub fn newer_segments(&self) -> impl Iterator<Item = (u32, u16)> {
        (0..).zip(&self.packs).flat_map(|(number, pack)| {
            let newer = |codec: Codec| matches!(codec, Codec::Other(_));
            (0..)
                .zip(&pack.info.segments)
                .filter(move |(_, s)| newer(s.codec))
                .map(move |(ordinal, _)| (number, ordinal))
        })
    }

    fn spots(&self, key: BlobKey) -> &[Spot] {
        let start = self.spots.partition_point(|spot| spot.key < key);
        let rest = &self.spots[start..];
        &rest[..rest.iter().take_while(|spot| spot.key == key).count()]
    }

    /// A good copy of a blob, of `len_bytes` bytes if that is known.
    pub fn find(&self, kind: BlobKind, id: &BlobId, len_bytes: Option<u64>) -> Result<Spot, Loss> {
        let (mut known, mut fits, mut reported, mut condemned) = (false, false, true, None);
        for spot in self.spots(key_of(id)) {
            let Some(pack) = self.packs.get(spot.pack as usize).filter(|p| p.info.kind == kind) else { continue };
            known = true;
            if len_bytes.is_some_and(|len| len != u64::from(spot.len_bytes)) {
                continue;
            }
            fits = true;
            if pack.is_good(spot.segment) && !self.is_bad(spot) {
                if !pack.condemned {
                    return Ok(*spot);
                }
                condemned.get_or_insert(*spot);
            }
            reported &= pack.reported.load(Relaxed);
        }
        if let Some(spot) = condemned {
            return Ok(spot);
        }
        Err(match (known, fits) {
            (_, true) => Loss::Gone { reported },
            (true, false) => Loss::Length,
            (false, false) => Loss::Unknown,
        })
    }

    /// Whether a copy is known not to be its blob.
    pub fn is_bad(&self, spot: &Spot) -> bool {
        let bad = self.bad_spots.read().unwrap_or_else(PoisonError::into_inner);
        !bad.is_empty() && bad.contains(spot)
    }

    /// Marks one copy of a blob as not being that blob. Whether it was not yet.
    pub fn mark_spot(&self, spot: Spot) -> bool {
        self.bad_spots.write().unwrap_or_else(PoisonError::into_inner).insert(spot)
    }

    /// The numbers of the packs of which something is known to be bad.
    pub fn hit_packs(&self) -> Vec<u32> {
        let bad = self.bad_spots.read().unwrap_or_else(PoisonError::into_inner);
        let with_spots: HashSet<u32> = bad.iter().map(|spot| spot.pack).collect();
        let hit = |(number, pack): &(u32, &Pack)| pack.is_hit() || with_spots.contains(number);
        (0..).zip(&self.packs).filter(hit).map(|(number, _)| number).collect()
    }

    /// Marks the copy of a blob that lies at this place of a pack.
    pub fn mark_place(&self, pack: u32, segment: u16, offset: u32, key: BlobKey) {
        for spot in self.spots(key).iter().filter(|s| (s.pack, s.segment, s.offset) == (pack, segment, offset)) {
            self.mark_spot(*spot);
        }
    }

    /// All blobs of a pack in order. Slow: for packs that do not say it themselves.
    pub fn blobs_of(&self, pack: u32) -> Vec<Spot> {
        let mut found: Vec<Spot> = self.spots.iter().filter(|spot| spot.pack == pack).copied().collect();
        found.sort_unstable_by_key(|spot| (spot.segment, spot.offset));
        found
    }

    /// How many different blobs of each kind there are: trees, data.
    pub fn count(&self) -> (u64, u64) {
        let (mut trees, mut data) = (0, 0);
        for same in self.spots.chunk_by(|a, b| a.key == b.key) {
            let has = |kind| same.iter().any(|s| self.packs.get(s.pack as usize).is_some_and(|p| p.info.kind == kind));
            trees += u64::from(has(BlobKind::Tree));
            data += u64::from(has(BlobKind::Data));
        }
        (trees, data)
    }
}
