//! Tables of contents and trailers of packs (spec 6).

use super::cbor::{Dec, Enc};
use super::header::HEADER_BYTES;
use super::limits;
use crate::error::FormatError;
use crate::id::BlobId;

/// Header, encapsulated key and wrapped pack key.
pub const PREAMBLE_BYTES: usize = HEADER_BYTES + 32 + 48;
/// Table length, segment count and magic.
pub const TRAILER_BYTES: usize = 16;
/// Bytes that an AEAD box is longer than its plaintext.
pub const TAG_BYTES: usize = 16;
const END_MAGIC: &[u8; 8] = b"PANTHEND";

/// How a segment's plaintext is compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Codec {
    /// Not at all.
    None,
    /// One zstd frame.
    Zstd,
    /// One that a newer program knows; such a segment cannot be read.
    Other(u64),
}

/// A segment as the table of contents and the index describe it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Bytes in the pack, tag included.
    pub stored_bytes: u32,
    /// Bytes of plaintext.
    pub plain_bytes: u32,
    /// Compression.
    pub codec: Codec,
    /// Its blobs in order, with their lengths.
    pub blobs: Vec<(BlobId, u32)>,
}

impl Segment {
    pub(crate) fn encode(&self, e: &mut Enc) {
        e.array(5);
        e.uint(self.stored_bytes.into());
        e.uint(self.plain_bytes.into());
        e.uint(match self.codec {
            Codec::None => 0,
            Codec::Zstd => 1,
            Codec::Other(number) => number,
        });
        let mut joined = Vec::with_capacity(self.blobs.len() * 32);
        for (id, _) in &self.blobs {
            joined.extend_from_slice(&id.0);
        }
        e.bytes(&joined);
        joined.clear();
        for (_, len) in &self.blobs {
            joined.extend_from_slice(&len.to_le_bytes());
        }
        e.bytes(&joined);
    }

    pub(crate) fn decode(d: &mut Dec<'_>) -> Result<Self, FormatError> {
        d.tuple(5, |d| {
            let stored_bytes = d.uint_max("sealed segment", limits::SEALED_SEGMENT_BYTES)? as u32;
            let plain_bytes = d.uint_max("segment", limits::BLOB_BYTES)? as u32;
            let codec = match d.uint()? {
                0 => Codec::None,
                1 => Codec::Zstd,
                other => Codec::Other(other),
            };
            let ids = d.ids("blobs in a segment", limits::SEGMENT_BLOBS, BlobId)?;
            let (lengths, rest) = d.bytes("blob lengths", limits::SEGMENT_BLOBS * 4)?.as_chunks::<4>();
            if ids.is_empty() || lengths.len() != ids.len() || !rest.is_empty() {
                return Err(FormatError::Invalid("a segment's ids and lengths do not go together"));
            }
            let blobs: Vec<_> = ids.into_iter().zip(lengths.iter().map(|l| u32::from_le_bytes(*l))).collect();
            let sum: u64 = blobs.iter().map(|(_, len)| u64::from(*len)).sum();
            if blobs.iter().any(|(id, len)| *len == 0 || *id == BlobId::HOLE) || sum != u64::from(plain_bytes) {
                return Err(FormatError::Invalid("a segment's blob lengths do not add up"));
            }
            let tag = TAG_BYTES as u32;
            if stored_bytes <= tag || (codec == Codec::None && stored_bytes != plain_bytes + tag) {
                return Err(FormatError::Invalid("a segment's sealed length is impossible"));
            }
            Ok(Self { stored_bytes, plain_bytes, codec, blobs })
        })
    }
}

pub(crate) fn encode_segments(segments: &[Segment], e: &mut Enc) {
    e.array(segments.len());
    for segment in segments {
        segment.encode(e);
    }
}

pub(crate) fn decode_segments(d: &mut Dec<'_>) -> Result<Vec<Segment>, FormatError> {
    let segments = d.list("segments", limits::SEGMENTS, Segment::decode)?;
    if segments.is_empty() { Err(FormatError::Invalid("a pack without segments")) } else { Ok(segments) }
}

/// The plaintext of a table of contents.
pub fn encode_toc(segments: &[Segment]) -> Vec<u8> {
    let mut e = Enc::default();
    e.map(1);
    e.uint(0);
    encode_segments(segments, &mut e);
    e.done()
}

/// Decodes the plaintext of a table of contents.
///
/// # Errors
/// [`FormatError`].
pub fn decode_toc(plaintext: &[u8]) -> Result<Vec<Segment>, FormatError> {
    let mut segments = None;
    let mut d = Dec::new(plaintext);
    d.map(|d, key| {
        if key != 0 {
            return Ok(false);
        }
        segments = Some(decode_segments(d)?);
        Ok(true)
    })?;
    d.finish()?;
    super::cbor::need(segments)
}

/// The fixed end of a pack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trailer {
    /// Bytes of the sealed table of contents.
    pub toc_bytes: u32,
    /// Number of segments.
    pub segments: u32,
}

impl Trailer {
    /// The 16 bytes.
    pub fn encode(&self) -> [u8; TRAILER_BYTES] {
        let mut out = [0; TRAILER_BYTES];
        out[..4].copy_from_slice(&self.toc_bytes.to_le_bytes());
        out[4..8].copy_from_slice(&self.segments.to_le_bytes());
        out[8..].copy_from_slice(END_MAGIC);
        out
    }

    /// Decodes the last 16 bytes of a pack of `pack_bytes`.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn decode(bytes: &[u8; TRAILER_BYTES], pack_bytes: u64) -> Result<Self, FormatError> {
        if &bytes[8..] != END_MAGIC {
            return Err(FormatError::Truncated);
        }
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let trailer = Self { toc_bytes: word(0), segments: word(4) };
        let actual = u64::from(trailer.toc_bytes);
        if actual > limits::TOC_BYTES {
            return Err(FormatError::Limit { what: "table of contents", actual, limit: limits::TOC_BYTES });
        }
        if actual + (PREAMBLE_BYTES + TRAILER_BYTES) as u64 > pack_bytes {
            return Err(FormatError::Truncated);
        }
        Ok(trailer)
    }

    /// Checks that the segments of the table fill the pack exactly.
    ///
    /// # Errors
    /// [`FormatError`] if they do not.
    pub fn check(&self, segments: &[Segment], pack_bytes: u64) -> Result<(), FormatError> {
        let stored: u64 = segments.iter().map(|s| u64::from(s.stored_bytes)).sum();
        let rest = (PREAMBLE_BYTES + TRAILER_BYTES) as u64 + u64::from(self.toc_bytes);
        if segments.len() as u64 == u64::from(self.segments) && stored + rest == pack_bytes {
            Ok(())
        } else {
            Err(FormatError::Invalid("a pack's segments do not add up to its size"))
        }
    }
}
