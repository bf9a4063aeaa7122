//! The limits of spec 1.6. A decoder refuses what exceeds one before it allocates.

/// `panther.cbor` and key files.
pub const SMALL_OBJECT_BYTES: u64 = 64 << 10;
/// A pack.
pub const PACK_BYTES: u64 = 256 << 20;
/// Segments in a pack, and blobs in a segment.
pub const SEGMENTS: u64 = 65_535;
/// Blobs in a segment.
pub const SEGMENT_BLOBS: u64 = 65_535;
/// Plaintext of a segment or a blob.
pub const BLOB_BYTES: u64 = 16 << 20;
/// A sealed segment.
pub const SEALED_SEGMENT_BYTES: u64 = (16 << 20) + (64 << 10);
/// A sealed table of contents.
pub const TOC_BYTES: u64 = 32 << 20;
/// An index object or a gc object.
pub const INDEX_BYTES: u64 = 64 << 20;
/// A manifest.
pub const MANIFEST_BYTES: u64 = 16 << 20;
/// A drill record.
pub const RECORD_BYTES: u64 = 64 << 10;
/// Packs in one index object.
pub const INDEX_PACKS: u64 = 65_536;
/// A certificate.
pub const CERTIFICATE_BYTES: u64 = 1 << 10;
/// An entry.
pub const ENTRY_BYTES: u64 = 4 << 20;
/// A name in an entry.
pub const NAME_BYTES: u64 = 4_096;
/// A symlink target or a root's path.
pub const PATH_BYTES: u64 = 65_536;
/// Extended attributes of an entry.
pub const XATTRS: u64 = 4_096;
/// The name of an extended attribute.
pub const XATTR_NAME_BYTES: u64 = 255;
/// The value of an extended attribute.
pub const XATTR_VALUE_BYTES: u64 = 65_536;
/// Inline content.
pub const INLINE_BYTES: u64 = 65_536;
/// Records in a content root.
pub const ROOT_RECORDS: u64 = 32;
/// Records in a content-list node.
pub const NODE_RECORDS: u64 = 1_024;
/// Depth of a content list.
pub const CONTENT_DEPTH: u64 = 8;
/// Depth of directories.
pub const DIRECTORY_DEPTH: usize = 4_096;
/// Roots of a snapshot.
pub const ROOTS: u64 = 4_096;
/// Tags of a snapshot.
pub const TAGS: u64 = 256;
/// A tag.
pub const TAG_BYTES: u64 = 256;
/// Exclude patterns of a snapshot.
pub const EXCLUDES: u64 = 65_536;
/// Any other text.
pub const TEXT_BYTES: u64 = 4_096;
/// Predecessors of a manifest.
pub const PREDECESSORS: u64 = 16;
/// Epochs in a key file.
pub const EPOCHS: u64 = 256;
/// Nesting of CBOR structures.
pub const NESTING: u32 = 16;
