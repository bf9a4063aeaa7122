//! Where blobs are.
//!
//! A blob takes 16 bytes of key (its id, truncated: ids are keyed hashes, so nobody outside can make two that meet) and 12 of value.

use super::{State, copies, guarded, unguarded};
use crate::error::{Error, FormatError, Result};
use crate::format::header::BlobKind;
use crate::format::index::{Index, PackRecord};
use crate::format::pack::{Codec, PREAMBLE_BYTES, Segment};
use crate::id::{BlobId, ObjectId, WriterName};
use redb::{Durability, ReadOnlyTable, ReadableTable, ReadableTableMetadata, TableDefinition, WriteTransaction};
use std::collections::HashSet;
use std::sync::Arc;

/// Bytes of a blob's key.
pub(super) const BLOB_KEY_BYTES: usize = 16;
/// Bytes of an encoded place.
pub(super) const PLACE_BYTES: usize = 12;

const BLOBS: TableDefinition<[u8; BLOB_KEY_BYTES], [u8; PLACE_BYTES]> = TableDefinition::new("blobs");
const PACKS: TableDefinition<u32, &[u8]> = TableDefinition::new("packs");
const PACK_NUMBERS: TableDefinition<[u8; 32], u32> = TableDefinition::new("pack numbers");
const INDEX_OBJECTS: TableDefinition<[u8; 32], ()> = TableDefinition::new("index objects");

/// Entries inserted in one transaction, in order: random inserts are many times slower.
const BATCH: usize = 500_000;

/// The truncated id under which a blob is remembered.
pub type BlobKey = [u8; 16];

/// The key of a blob.
pub fn key_of(id: &BlobId) -> BlobKey {
    let mut key = [0; 16];
    key.copy_from_slice(&id.0[..16]);
    key
}

/// A place of a blob.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The pack's number in this state.
    pub pack: u32,
    /// The segment's ordinal in the pack.
    pub segment: u16,
    /// Where the blob begins in the segment's plaintext.
    pub offset: u32,
    /// The blob's length.
    pub len_bytes: u32,
}

impl Place {
    fn encode(self) -> [u8; 12] {
        let mut out = [0; 12];
        out[..4].copy_from_slice(&self.pack.to_le_bytes());
        out[4..6].copy_from_slice(&self.segment.to_le_bytes());
        out[6..9].copy_from_slice(&self.offset.to_le_bytes()[..3]);
        // 1 to 2^24 bytes fit in three bytes less one.
        out[9..].copy_from_slice(&(self.len_bytes - 1).to_le_bytes()[..3]);
        out
    }

    fn decode(bytes: [u8; 12]) -> Self {
        let three = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], 0]);
        Self {
            pack: u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
            segment: u16::from_le_bytes([bytes[4], bytes[5]]),
            offset: three(6),
            len_bytes: three(9) + 1,
        }
    }
}

/// A segment's place in its pack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentPlace {
    /// Offset in the pack.
    pub offset: u64,
    /// Sealed bytes.
    pub stored_bytes: u32,
    /// Plaintext bytes.
    pub plain_bytes: u32,
    /// Compression.
    pub codec: Codec,
}

/// A pack as the state knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PackInfo {
    /// Its id.
    pub id: ObjectId,
    /// In whose folder it lies.
    pub writer: WriterName,
    /// The kind of its blobs.
    pub kind: BlobKind,
    /// Its size.
    pub size_bytes: u64,
    /// Whether a run of ours may rely on it without storing the blob itself.
    pub trusted: bool,
    /// Its segments.
    pub segments: Vec<SegmentPlace>,
}

impl PackInfo {
    /// What the state keeps of a pack record.
    pub fn of(record: &PackRecord, trusted: bool) -> Self {
        let mut offset = PREAMBLE_BYTES as u64;
        let segments = record
            .segments
            .iter()
            .map(|s| {
                let place =
                    SegmentPlace { offset, stored_bytes: s.stored_bytes, plain_bytes: s.plain_bytes, codec: s.codec };
                offset += u64::from(s.stored_bytes);
                place
            })
            .collect();
        Self {
            id: record.id,
            writer: record.writer.clone(),
            kind: record.kind,
            size_bytes: record.size_bytes,
            trusted,
            segments,
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.segments.len() * 9);
        out.extend_from_slice(&self.id.0);
        out.push(self.kind.pack() as u8);
        out.push(u8::from(self.trusted));
        out.extend_from_slice(&self.size_bytes.to_le_bytes());
        out.push(self.writer.as_str().len() as u8);
        out.extend_from_slice(self.writer.as_str().as_bytes());
        for s in &self.segments {
            out.extend_from_slice(&s.stored_bytes.to_le_bytes());
            out.extend_from_slice(&s.plain_bytes.to_le_bytes());
            out.push(match s.codec {
                Codec::None => 0,
                Codec::Zstd => 1,
                Codec::Other(_) => 2,
            });
        }
        out
    }

    /// Our own encoding: nothing if it is not.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (id, rest) = bytes.split_first_chunk::<32>()?;
        let (&[kind, trusted], rest) = rest.split_first_chunk::<2>()?;
        let (size, rest) = rest.split_first_chunk::<8>()?;
        let (len, rest) = rest.split_first()?;
        let (writer, rest) = rest.split_at_checked(usize::from(*len))?;
        let mut offset = PREAMBLE_BYTES as u64;
        let mut segments = Vec::new();
        for s in rest.as_chunks::<9>().0 {
            let stored_bytes = u32::from_le_bytes([s[0], s[1], s[2], s[3]]);
            let plain_bytes = u32::from_le_bytes([s[4], s[5], s[6], s[7]]);
            let codec = match s[8] {
                0 => Codec::None,
                1 => Codec::Zstd,
                other => Codec::Other(other.into()),
            };
            segments.push(SegmentPlace { offset, stored_bytes, plain_bytes, codec });
            offset += u64::from(stored_bytes);
        }
        Some(Self {
            id: ObjectId(*id),
            writer: WriterName::new(std::str::from_utf8(writer).ok()?).ok()?,
            kind: BlobKind::from_number(kind.into()).ok()?,
            size_bytes: u64::from_le_bytes(*size),
            trusted: trusted == 1,
            segments,
        })
    }
}

pub(super) fn create_tables(state: &State, write: &WriteTransaction) -> Result<()> {
    write.open_table(BLOBS).map_err(|e| state.failed(e))?;
    write.open_table(PACKS).map_err(|e| state.failed(e))?;
    write.open_table(PACK_NUMBERS).map_err(|e| state.failed(e))?;
    write.open_table(INDEX_OBJECTS).map_err(|e| state.failed(e))?;
    Ok(())
}

/// A consistent view of where blobs are.
pub struct BlobView {
    blobs: ReadOnlyTable<[u8; BLOB_KEY_BYTES], [u8; PLACE_BYTES]>,
    copies: ReadOnlyTable<copies::Copy, ()>,
    packs: ReadOnlyTable<u32, &'static [u8]>,
    numbers: ReadOnlyTable<[u8; 32], u32>,
    path: std::path::PathBuf,
}

impl BlobView {
    fn failed(&self, error: impl Into<redb::Error>) -> Error {
        Error::State { path: self.path.clone(), what: error.into().to_string() }
    }

    /// Where a blob is, if that is known.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn place(&self, id: &BlobId) -> Result<Option<Place>> {
        let found = self.blobs.get(key_of(id)).map_err(|e| self.failed(e))?;
        Ok(found.map(|v| Place::decode(v.value())))
    }

    /// The places of a blob beside [`BlobView::place`]; hardly any blob has one.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn copies(&self, id: &BlobId) -> Result<Vec<Place>> {
        let found = copies::places(&self.copies, &key_of(id)).map_err(|e| self.failed(e))?;
        Ok(found.into_iter().map(Place::decode).collect())
    }

    /// A pack by its number.
    ///
    /// # Errors
    /// [`Error::State`], also when there is no such pack.
    pub fn pack(&self, number: u32) -> Result<Arc<PackInfo>> {
        let found = self.packs.get(number).map_err(|e| self.failed(e))?;
        let info = found.and_then(|v| PackInfo::decode(unguarded(&number.to_le_bytes(), v.value())?));
        info.map(Arc::new).ok_or_else(|| Error::State {
            path: self.path.clone(),
            what: format!("pack number {number} is unknown or damaged"),
        })
    }

    /// The number of a pack, if it is known.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn number(&self, id: &ObjectId) -> Result<Option<u32>> {
        Ok(self.numbers.get(id.0).map_err(|e| self.failed(e))?.map(|v| v.value()))
    }

    /// Visits all packs.
    ///
    /// # Errors
    /// [`Error::State`], or what `visit` says.
    pub fn each_pack(&self, mut visit: impl FnMut(u32, PackInfo) -> Result<()>) -> Result<()> {
        for item in self.packs.iter().map_err(|e| self.failed(e))? {
            let (number, value) = item.map_err(|e| self.failed(e))?;
            let info = unguarded(&number.value().to_le_bytes(), value.value())
                .and_then(PackInfo::decode)
                .ok_or_else(|| Error::State { path: self.path.clone(), what: "a pack's record is damaged".into() })?;
            visit(number.value(), info)?;
        }
        Ok(())
    }

    /// How many blobs are known.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn len(&self) -> Result<u64> {
        self.blobs.len().map_err(|e| self.failed(e))
    }

    /// Whether no blob is known.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn is_empty(&self) -> Result<bool> {
        self.len().map(|n| n == 0)
    }
}

impl State {
    /// A view of where blobs are, as it is now.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn blob_view(&self) -> Result<BlobView> {
        let read = self.read()?;
        Ok(BlobView {
            blobs: read.open_table(BLOBS).map_err(|e| self.failed(e))?,
            copies: read.open_table(copies::COPIES).map_err(|e| self.failed(e))?,
            packs: read.open_table(PACKS).map_err(|e| self.failed(e))?,
            numbers: read.open_table(PACK_NUMBERS).map_err(|e| self.failed(e))?,
            path: self.path().to_owned(),
        })
    }

    /// The index objects whose statements are in the state.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn index_objects(&self) -> Result<HashSet<ObjectId>> {
        let read = self.read()?;
        let table = read.open_table(INDEX_OBJECTS).map_err(|e| self.failed(e))?;
        let mut known = HashSet::new();
        for item in table.iter().map_err(|e| self.failed(e))? {
            known.insert(ObjectId(item.map_err(|e| self.failed(e))?.0.value()));
        }
        Ok(known)
    }

    /// Forgets where blobs are and what was seen of the source: everything is to be learnt anew.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn clear(&self) -> Result<()> {
        let write = self.write(Durability::Immediate)?;
        self.clear_blobs_in(&write)?;
        super::dirs::clear(self, &write)?;
        super::lists::clear(self, &write)?;
        self.commit(write)
    }

    /// Forgets where blobs are. What was seen of the source is in doubt from then on.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn clear_blobs(&self) -> Result<()> {
        let write = self.write(Durability::Immediate)?;
        self.clear_blobs_in(&write)?;
        self.doubt_in(&write)?;
        self.commit(write)
    }

    fn clear_blobs_in(&self, write: &WriteTransaction) -> Result<()> {
        write.delete_table(BLOBS).map_err(|e| self.failed(e))?;
        write.delete_table(PACKS).map_err(|e| self.failed(e))?;
        write.delete_table(PACK_NUMBERS).map_err(|e| self.failed(e))?;
        write.delete_table(INDEX_OBJECTS).map_err(|e| self.failed(e))?;
        create_tables(self, write)?;
        copies::clear(self, write)
    }

    /// Takes in packs, and the index objects that name them.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn learn(&self, packs: &[(PackRecord, bool)], objects: &[ObjectId]) -> Result<()> {
        self.learn_but(packs, objects, &HashSet::new())
    }

    /// As [`State::learn`]; of a blob that is also elsewhere, the place in a pack of `weak` does not count.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn learn_but(
        &self,
        packs: &[(PackRecord, bool)],
        objects: &[ObjectId],
        weak: &HashSet<ObjectId>,
    ) -> Result<()> {
        let write = self.write(Durability::Immediate)?;
        let (weak, strong): (Vec<_>, Vec<_>) = packs.iter().partition(|(pack, _)| weak.contains(&pack.id));
        self.places_in(&write, strong, true)?;
        self.places_in(&write, weak, false)?;
        self.objects_in(&write, objects)?;
        self.commit(write)
    }

    pub(super) fn learn_in(
        &self,
        write: &WriteTransaction,
        packs: &[(PackRecord, bool)],
        objects: &[ObjectId],
    ) -> Result<()> {
        self.places_in(write, packs, true)?;
        self.objects_in(write, objects)
    }

    fn places_in<'p>(
        &self,
        write: &WriteTransaction,
        packs: impl IntoIterator<Item = &'p (PackRecord, bool)>,
        wins: bool,
    ) -> Result<()> {
        let mut entries: Vec<(BlobKey, [u8; 12])> = Vec::new();
        for (record, trusted) in packs {
            let number = self.register(write, &PackInfo::of(record, *trusted))?;
            for (ordinal, segment) in record.segments.iter().enumerate() {
                push_places(number, ordinal, segment, &mut entries)?;
            }
            if entries.len() >= BATCH {
                self.insert(write, &mut entries, wins)?;
            }
        }
        self.insert(write, &mut entries, wins)
    }

    fn objects_in(&self, write: &WriteTransaction, objects: &[ObjectId]) -> Result<()> {
        let mut table = write.open_table(INDEX_OBJECTS).map_err(|e| self.failed(e))?;
        for object in objects {
            table.insert(object.0, ()).map_err(|e| self.failed(e))?;
        }
        Ok(())
    }

    /// The number of a pack, a new one if it is new; a pack that was not trusted becomes so.
    fn register(&self, write: &WriteTransaction, info: &PackInfo) -> Result<u32> {
        let mut numbers = write.open_table(PACK_NUMBERS).map_err(|e| self.failed(e))?;
        let mut packs = write.open_table(PACKS).map_err(|e| self.failed(e))?;
        let known = numbers.get(info.id.0).map_err(|e| self.failed(e))?.map(|v| v.value());
        let number = match known {
            Some(number) => number,
            None => packs.last().map_err(|e| self.failed(e))?.map_or(0, |(n, _)| n.value() + 1),
        };
        if known.is_none() {
            numbers.insert(info.id.0, number).map_err(|e| self.failed(e))?;
        }
        if known.is_none() || info.trusted {
            packs.insert(number, &guarded(&number.to_le_bytes(), &info.encode())[..]).map_err(|e| self.failed(e))?;
        }
        Ok(number)
    }

    fn insert(&self, write: &WriteTransaction, entries: &mut Vec<(BlobKey, [u8; 12])>, wins: bool) -> Result<()> {
        entries.sort_unstable();
        let mut table = write.open_table(BLOBS).map_err(|e| self.failed(e))?;
        let mut others = Vec::new();
        for (key, value) in entries.drain(..) {
            let before = table.get(key).map_err(|e| self.failed(e))?.map(|v| v.value());
            let other = if wins { before } else { before.map(|_| value) };
            if wins || before.is_none() {
                table.insert(key, value).map_err(|e| self.failed(e))?;
            }
            others.extend(other.filter(|_| before != Some(value)).map(|v| copies::record(&key, &v)));
        }
        copies::insert(self, write, &others)
    }
}

fn push_places(pack: u32, ordinal: usize, segment: &Segment, out: &mut Vec<(BlobKey, [u8; 12])>) -> Result<()> {
    let segment_number = u16::try_from(ordinal)
        .map_err(|_| Error::format("an index object", FormatError::Invalid("a pack has too many segments")))?;
    let mut offset = 0;
    for (id, len_bytes) in &segment.blobs {
        out.push((key_of(id), Place { pack, segment: segment_number, offset, len_bytes: *len_bytes }.encode()));
        offset += len_bytes;
    }
    Ok(())
}

/// All packs of an index, each with whether `is_trusted` says so.
pub fn with_trust(index: Index, is_trusted: impl Fn(&PackRecord) -> bool) -> impl Iterator<Item = (PackRecord, bool)> {
    index.packs.into_iter().map(move |pack| {
        let trusted = is_trusted(&pack);
        (pack, trusted)
    })
}
