//! Content: inline bytes or a tree of blob references (spec 8.2).

use super::cbor::{Dec, Enc};
use super::limits;
use crate::error::FormatError;
use crate::id::BlobId;

/// Bytes of a record.
pub const RECORD_BYTES: usize = 40;

/// A reference to a blob, or a hole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    /// The blob, or [`BlobId::HOLE`].
    pub id: BlobId,
    /// Bytes of content that it covers; at least 1.
    pub len_bytes: u64,
}

impl Record {
    /// Whether this is a hole.
    pub fn is_hole(&self) -> bool {
        self.id == BlobId::HOLE
    }

    /// Appends the 40 bytes to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.0);
        out.extend_from_slice(&self.len_bytes.to_le_bytes());
    }

    fn decode(bytes: &[u8; RECORD_BYTES]) -> Self {
        let mut id = [0; 32];
        id.copy_from_slice(&bytes[..32]);
        let mut len = [0; 8];
        len.copy_from_slice(&bytes[32..]);
        Self { id: BlobId(id), len_bytes: u64::from_le_bytes(len) }
    }
}

/// The root of a content tree.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ContentRoot {
    /// Levels of nodes between the root and the blobs.
    pub depth: u8,
    /// At most 32 records.
    pub records: Vec<Record>,
}

impl ContentRoot {
    /// Bytes of content.
    pub fn len_bytes(&self) -> u64 {
        self.records.iter().map(|r| r.len_bytes).sum()
    }

    pub(crate) fn encode(&self, e: &mut Enc) {
        e.array(2);
        e.uint(self.depth.into());
        let mut bytes = Vec::with_capacity(self.records.len() * RECORD_BYTES);
        for record in &self.records {
            record.encode(&mut bytes);
        }
        e.bytes(&bytes);
    }

    /// `of` says whose content this is: only a file's list of depth 0 may have holes.
    pub(crate) fn decode(d: &mut Dec<'_>, of: ListOf) -> Result<Self, FormatError> {
        d.tuple(2, |d| {
            let depth = d.uint_max("depth of content", limits::CONTENT_DEPTH)? as u8;
            let bytes = d.bytes("content root", limits::ROOT_RECORDS * RECORD_BYTES as u64)?;
            let (records, total) = decode_records(bytes, depth, of)?;
            if depth > 0 && records.is_empty() {
                return Err(FormatError::Invalid("an empty content list has a depth"));
            }
            if total >= 1 << 63 {
                return Err(FormatError::Invalid("content is longer than any file can be"));
            }
            Ok(Self { depth, records })
        })
    }
}

/// Whose content a list is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ListOf {
    /// A regular file's.
    File,
    /// A directory's.
    Directory,
}

/// The records of a content-list node at `depth` (0: they name blobs of content), and the bytes that they cover.
///
/// # Errors
/// [`FormatError`].
pub fn decode_node(plaintext: &[u8], depth: u8, of: ListOf) -> Result<(Vec<Record>, u64), FormatError> {
    let count = (plaintext.len() / RECORD_BYTES) as u64;
    if count == 0 {
        return Err(FormatError::Truncated);
    }
    if count > limits::NODE_RECORDS {
        return Err(FormatError::Limit { what: "records in a node", actual: count, limit: limits::NODE_RECORDS });
    }
    decode_records(plaintext, depth, of)
}

fn decode_records(bytes: &[u8], depth: u8, of: ListOf) -> Result<(Vec<Record>, u64), FormatError> {
    let (chunks, rest) = bytes.as_chunks::<RECORD_BYTES>();
    if !rest.is_empty() {
        return Err(FormatError::Invalid("a content list is not a multiple of 40 bytes"));
    }
    let mut total = 0u64;
    let mut after_hole = false;
    let mut records = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        let record = Record::decode(chunk);
        total = match total.checked_add(record.len_bytes) {
            Some(sum) if record.len_bytes > 0 => sum,
            _ => return Err(FormatError::Invalid("a content list's lengths are impossible")),
        };
        if record.is_hole() {
            if depth > 0 || of == ListOf::Directory || after_hole {
                return Err(FormatError::Invalid("a hole where none may be"));
            }
        } else if depth == 0 && record.len_bytes > limits::BLOB_BYTES {
            return Err(FormatError::Limit { what: "blob", actual: record.len_bytes, limit: limits::BLOB_BYTES });
        }
        after_hole = record.is_hole();
        records.push(record);
    }
    Ok((records, total))
}
