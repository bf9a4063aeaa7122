//! What a pack is made of, and what can be wrong with it.

use super::catalogue::{Catalogue, Pack};
use super::report::{FindingKind as Kind, store_failure};
use crate::error::{FormatError, StoreError};
use crate::format::pack::{Codec, PREAMBLE_BYTES, Segment, TRAILER_BYTES, Trailer, decode_toc, encode_toc};
use crate::id::BlobId;
use crate::seal::PackSeal;
use crate::state::blobs::{BlobKey, key_of};

/// What of a pack a problem makes unreadable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scope {
    /// Nothing that anybody needs to read a blob.
    Frame,
    /// All of it.
    Whole,
    /// One segment.
    Segment(u16),
    /// One blob of a segment, which begins there in its plaintext.
    Blob(u16, u32, BlobKey),
}

/// Something that is wrong with a pack.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Problem {
    pub scope: Scope,
    pub kind: Kind,
    pub what: String,
}

impl Problem {
    pub fn format(scope: Scope, error: &FormatError) -> Self {
        let kind = if error.is_newer() { Kind::Newer } else { Kind::Damaged };
        Self { scope, kind, what: error.to_string() }
    }

    pub fn store(scope: Scope, error: &StoreError) -> Self {
        let (kind, what) = store_failure(error);
        Self { scope, kind, what }
    }
}

/// A segment's place, and its blobs if they are known.
pub(super) struct Part {
    pub ordinal: u16,
    pub offset: u64,
    pub stored_bytes: u64,
    pub plain_bytes: u32,
    pub codec: Codec,
    pub blobs: Vec<(Wanted, u32)>,
}

/// What a blob is to be: the table of contents has its whole id, the catalogue the beginning of it.
#[derive(Clone, Copy)]
pub(super) enum Wanted {
    Id(BlobId),
    Key(BlobKey),
}

impl Wanted {
    pub fn is(&self, id: &BlobId) -> bool {
        match self {
            Self::Id(whole) => whole == id,
            Self::Key(key) => *key == key_of(id),
        }
    }

    pub fn key(&self) -> BlobKey {
        match self {
            Self::Id(id) => key_of(id),
            Self::Key(key) => *key,
        }
    }
}

/// Decodes the end of a pack of `size_bytes`.
pub(super) fn decode_trailer(bytes: &[u8], size_bytes: u64) -> Result<Trailer, Problem> {
    let bytes =
        bytes.last_chunk::<TRAILER_BYTES>().ok_or_else(|| Problem::format(Scope::Frame, &FormatError::Truncated))?;
    Trailer::decode(bytes, size_bytes).map_err(|e| Problem::format(Scope::Frame, &e))
}

/// Opens the table of contents, and compares it with the trailer and the index.
pub(super) fn table(
    tail: &[u8],
    size_bytes: u64,
    seal: &PackSeal,
    pack: Option<&Pack>,
) -> Result<Vec<Segment>, Problem> {
    let frame = |error| Problem::format(Scope::Frame, &error);
    let trailer = decode_trailer(tail, size_bytes)?;
    let mut buffer = tail[..tail.len() - TRAILER_BYTES].to_vec();
    if buffer.len() as u64 != u64::from(trailer.toc_bytes) {
        return Err(frame(FormatError::Invalid("its table of contents has another length than the index says")));
    }
    seal.open_toc(&mut buffer).map_err(frame)?;
    let segments = decode_toc(&buffer).map_err(frame)?;
    trailer.check(&segments, size_bytes).map_err(frame)?;
    // Encoded anew: unknown keys are no difference.
    if pack.is_some_and(|p| *blake3::hash(&encode_toc(&segments)).as_bytes() != p.toc_hash) {
        let what = "its table of contents says something else than the index".to_owned();
        return Err(Problem { scope: Scope::Frame, kind: Kind::Index, what });
    }
    Ok(segments)
}

/// The segments that lie before `end`, as the table has them, else as the index has them.
pub(super) fn parts(catalogue: &Catalogue, table: Option<Vec<Segment>>, number: Option<u32>, end: u64) -> Vec<Part> {
    let mut offset = PREAMBLE_BYTES as u64;
    let mut part = |ordinal, stored: u32, plain_bytes, codec, blobs| {
        let stored_bytes = u64::from(stored);
        offset += stored_bytes;
        Part { ordinal, offset: offset - stored_bytes, stored_bytes, plain_bytes, codec, blobs }
    };
    let whole = |s: &Segment| s.blobs.iter().map(|(id, len_bytes)| (Wanted::Id(*id), *len_bytes)).collect();
    let all: Vec<Part> = match (table, number) {
        (Some(table), _) => {
            (0..).zip(&table).map(|(n, s)| part(n, s.stored_bytes, s.plain_bytes, s.codec, whole(s))).collect()
        }
        (None, Some(number)) => {
            let mut spots = catalogue.blobs_of(number).into_iter().peekable();
            let places = catalogue.packs.get(number as usize).map(|p| &p.info.segments[..]).unwrap_or_default();
            let mut blobs_of = |ordinal| {
                let mut blobs = Vec::new();
                while let Some(spot) = spots.next_if(|spot| spot.segment == ordinal) {
                    blobs.push((Wanted::Key(spot.key), spot.len_bytes));
                }
                blobs
            };
            (0..).zip(places).map(|(n, s)| part(n, s.stored_bytes, s.plain_bytes, s.codec, blobs_of(n))).collect()
        }
        (None, None) => Vec::new(),
    };
    all.into_iter().take_while(|p| p.offset + p.stored_bytes <= end).collect()
}

/// The first few places and what is wrong there.
pub(super) fn join(places: &[String], what: &str) -> String {
    match places {
        [] => what.to_owned(),
        few if few.len() <= 4 => format!("{}: {what}", few.join(", ")),
        many => format!("{} and {} more: {what}", many[..4].join(", "), many.len() - 4),
    }
}
