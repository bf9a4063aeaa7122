//! The common header of packs, index objects, manifests and gc objects (spec 1.5).

use crate::error::FormatError;
use crate::id::RepoId;

/// Bytes of the header.
pub const HEADER_BYTES: usize = 48;
/// The format version that this program reads and writes.
pub const FORMAT_VERSION: u8 = 1;
const MAGIC: &[u8; 8] = b"PANTHER\0";

/// What an object is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// A pack of data blobs.
    DataPack = 1,
    /// A pack of tree blobs.
    TreePack = 2,
    /// An index object.
    Index = 3,
    /// A snapshot manifest.
    Snapshot = 4,
    /// A gc object.
    Gc = 5,
}

/// The two kinds of blobs, which have separate ids and packs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub enum BlobKind {
    /// File content.
    Data,
    /// Directory streams and content-list nodes.
    Tree,
}

impl BlobKind {
    /// The kind of pack that holds such blobs.
    pub fn pack(self) -> Kind {
        match self {
            Self::Data => Kind::DataPack,
            Self::Tree => Kind::TreePack,
        }
    }

    /// From the number of a pack's kind: 1 or 2.
    ///
    /// # Errors
    /// For any other number.
    pub fn from_number(number: u64) -> Result<Self, FormatError> {
        match number {
            1 => Ok(Self::Data),
            2 => Ok(Self::Tree),
            _ => Err(FormatError::Feature { what: "kind of pack", number: i64::try_from(number).unwrap_or(i64::MAX) }),
        }
    }
}

/// A decoded header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// What the object is.
    pub kind: Kind,
    /// Under which epoch's keys it is sealed; at least 1.
    pub epoch: u32,
    /// To which repository it belongs.
    pub repo: RepoId,
}

impl Header {
    /// The 48 bytes.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[..8].copy_from_slice(MAGIC);
        out[8] = self.kind as u8;
        out[9] = FORMAT_VERSION;
        out[12..16].copy_from_slice(&self.epoch.to_le_bytes());
        out[16..].copy_from_slice(&self.repo.0);
        out
    }

    /// The header of `object`, which must be of one of the kinds in `allowed` and of the repository `repo`.
    ///
    /// # Errors
    /// [`FormatError`], in the order of spec 1.5.
    pub fn decode(object: &[u8], allowed: &[Kind], repo: &RepoId) -> Result<Self, FormatError> {
        let bytes = object.first_chunk::<HEADER_BYTES>().ok_or(FormatError::Truncated)?;
        if &bytes[..8] != MAGIC {
            return Err(FormatError::Invalid("it does not begin as a panther object does"));
        }
        if bytes[9] != FORMAT_VERSION {
            return Err(FormatError::Version(u64::from(bytes[9])));
        }
        let kind = match bytes[8] {
            1 => Kind::DataPack,
            2 => Kind::TreePack,
            3 => Kind::Index,
            4 => Kind::Snapshot,
            5 => Kind::Gc,
            other => return Err(FormatError::Feature { what: "kind of object", number: i64::from(other) }),
        };
        if !allowed.contains(&kind) {
            return Err(FormatError::Invalid("it is of another kind than its name says"));
        }
        if bytes[10..12] != [0, 0] {
            return Err(FormatError::Invalid("reserved bytes of the header are not zero"));
        }
        if bytes[16..] != repo.0 {
            return Err(FormatError::Invalid("it belongs to another repository"));
        }
        let epoch = u32::from_le_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]);
        if epoch == 0 {
            return Err(FormatError::Invalid("its key epoch is 0"));
        }
        Ok(Self { kind, epoch, repo: *repo })
    }
}
