//! Index objects (spec 7).

use super::cbor::{Dec, Enc, need};
use super::cert::decode_writer;
use super::header::BlobKind;
use super::limits;
use super::pack::{PREAMBLE_BYTES, Segment, TAG_BYTES, TRAILER_BYTES, decode_segments, encode_segments};
use crate::error::FormatError;
use crate::id::{ObjectId, WriterName};

/// A pack as an index object describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PackRecord {
    /// Its id.
    pub id: ObjectId,
    /// The kind of its blobs.
    pub kind: BlobKind,
    /// Its size.
    pub size_bytes: u64,
    /// Its table of contents.
    pub segments: Vec<Segment>,
    /// In whose folder it lies.
    pub writer: WriterName,
    /// Whether the signer wrote it or has checked every blob in it.
    pub checked: bool,
    /// Whether the signer, an admin, repeats what the folder's writer said in that way, without having looked.
    pub repeated: bool,
    /// What a later program has put into the record: keys, and values as they were encoded. Whoever writes the record anew keeps them.
    pub later: Vec<(u64, Vec<u8>)>,
}

/// The content of an index object.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Index {
    /// The packs that it describes.
    pub packs: Vec<PackRecord>,
    /// Index objects that it replaces.
    pub superseded: Vec<ObjectId>,
}

impl PackRecord {
    fn encode(&self, e: &mut Enc) {
        e.map(5 + usize::from(self.checked) + usize::from(self.repeated) + self.later.len());
        e.pair_bytes(0, &self.id.0);
        e.pair_uint(1, self.kind.pack() as u64);
        e.pair_uint(2, self.size_bytes);
        e.uint(3);
        encode_segments(&self.segments, e);
        e.pair_text(4, self.writer.as_str());
        if self.checked {
            e.uint(5);
            e.yes();
        }
        if self.repeated {
            e.uint(6);
            e.yes();
        }
        for (key, value) in &self.later {
            e.uint(*key);
            e.raw(value);
        }
    }

    fn decode(d: &mut Dec<'_>) -> Result<Self, FormatError> {
        let (mut id, mut kind, mut size, mut segments, mut writer) = (None, None, None, None, None);
        let (mut checked, mut repeated, mut later) = (false, false, Vec::new());
        d.map(|d, key| {
            match key {
                0 => id = Some(ObjectId(d.fixed("pack id")?)),
                1 => kind = Some(BlobKind::from_number(d.uint()?)?),
                2 => size = Some(d.uint_max("pack size", limits::PACK_BYTES)?),
                3 => segments = Some(decode_segments(d)?),
                4 => writer = Some(decode_writer(d)?),
                5 => checked = d.yes()?,
                6 => repeated = d.yes()?,
                7.. => later.push((key.unsigned_abs(), d.raw()?.to_vec())),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let record = Self {
            id: need(id)?,
            kind: need(kind)?,
            size_bytes: need(size)?,
            segments: need(segments)?,
            writer: need(writer)?,
            checked,
            repeated,
            later,
        };
        let stored: u64 = record.segments.iter().map(|s| u64::from(s.stored_bytes)).sum();
        // The least that follows the segments is a table of one byte, its tag and the trailer.
        if stored + (PREAMBLE_BYTES + 1 + TAG_BYTES + TRAILER_BYTES) as u64 > record.size_bytes {
            return Err(FormatError::Invalid("a pack's segments are larger than the pack"));
        }
        Ok(record)
    }
}

impl Index {
    /// The plaintext of the box.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Enc::default();
        e.map(1 + usize::from(!self.superseded.is_empty()));
        e.uint(0);
        e.array(self.packs.len());
        for pack in &self.packs {
            pack.encode(&mut e);
        }
        if !self.superseded.is_empty() {
            e.pair_bytes(1, &join(&self.superseded));
        }
        e.done()
    }

    /// Decodes the plaintext of the box.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn decode(plaintext: &[u8]) -> Result<Self, FormatError> {
        let (mut packs, mut superseded) = (None, None);
        let mut d = Dec::new(plaintext);
        d.map(|d, key| {
            match key {
                0 => packs = Some(d.list("packs", limits::INDEX_PACKS, PackRecord::decode)?),
                1 => superseded = Some(d.ids("superseded index objects", limits::INDEX_BYTES / 32, ObjectId)?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        d.finish()?;
        if superseded.as_ref().is_some_and(Vec::is_empty) {
            return Err(FormatError::Invalid("a list of superseded index objects is there and empty"));
        }
        Ok(Self { packs: need(packs)?, superseded: superseded.unwrap_or_default() })
    }
}

/// An id list.
pub(crate) fn join(ids: &[ObjectId]) -> Vec<u8> {
    ids.iter().flat_map(|id| id.0).collect()
}
