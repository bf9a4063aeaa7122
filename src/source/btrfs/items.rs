//! Items of Btrfs trees, from bytes: `linux/btrfs_tree.h`. Pure; bytes of any length and content give a value or an error.

use crate::source::Time;
use linux_raw_sys::btrfs as raw;
use std::io;
use std::mem::{offset_of, size_of};

/// Types of items that are read here.
pub mod kind {
    use linux_raw_sys::btrfs as raw;

    /// An inode.
    pub const INODE_ITEM: u8 = raw::BTRFS_INODE_ITEM_KEY as u8;
    /// Names of an inode in one folder.
    pub const INODE_REF: u8 = raw::BTRFS_INODE_REF_KEY as u8;
    /// Names of an inode, those for which there was no room in the former.
    pub const INODE_EXTREF: u8 = raw::BTRFS_INODE_EXTREF_KEY as u8;
    /// A part of a file's content.
    pub const EXTENT_DATA: u8 = raw::BTRFS_EXTENT_DATA_KEY as u8;
    /// A subvolume.
    pub const ROOT_ITEM: u8 = raw::BTRFS_ROOT_ITEM_KEY as u8;
    /// Subvolumes by UUID.
    pub const UUID_SUBVOL: u8 = raw::BTRFS_UUID_KEY_SUBVOL as u8;
}

/// The largest number of an inode (`BTRFS_LAST_FREE_OBJECTID`).
pub const LAST_INO: u64 = raw::BTRFS_LAST_FREE_OBJECTID as i64 as u64;

/// Bytes are not the item that they should be.
fn broken(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn word(data: &[u8], at: usize) -> Option<u64> {
    data.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}

fn half(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

fn short(data: &[u8], at: usize) -> Option<u16> {
    data.get(at..)?.first_chunk().copied().map(u16::from_le_bytes)
}

/// The key of an item.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key {
    /// Object: an inode's number, mostly.
    pub object: u64,
    /// Type.
    pub kind: u8,
    /// Offset: a place in a file, or what the type makes of it.
    pub offset: u64,
}

impl Key {
    /// The next key in order; nothing after the last.
    pub fn next(self) -> Option<Self> {
        let Self { object, kind, offset } = self;
        if let Some(offset) = offset.checked_add(1) {
            return Some(Self { object, kind, offset });
        }
        if let Some(kind) = kind.checked_add(1) {
            return Some(Self { object, kind, offset: 0 });
        }
        object.checked_add(1).map(|object| Self { object, kind: 0, offset: 0 })
    }
}

/// An item as a search returns it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Item<'a> {
    /// Its key.
    pub key: Key,
    /// The transaction that wrote its block. It moves with the neighbours.
    pub block_transid: u64,
    /// Its bytes.
    pub data: &'a [u8],
}

impl<'a> Item<'a> {
    /// The first item of a search's results, which are in the machine's byte order, and its length with the header.
    ///
    /// # Errors
    /// `InvalidData` if it is not whole.
    pub fn parse(results: &'a [u8]) -> io::Result<(Self, usize)> {
        const HEAD: usize = size_of::<raw::btrfs_ioctl_search_header>();
        let head = results.first_chunk::<HEAD>().ok_or_else(|| broken("the kernel's answer is cut short"))?;
        let word = |at: usize| head[at..].first_chunk().copied().map_or(0, u64::from_ne_bytes);
        let half = |at: usize| head[at..].first_chunk().copied().map_or(0, u32::from_ne_bytes);
        let len_bytes = half(offset_of!(raw::btrfs_ioctl_search_header, len)) as usize;
        let kind = half(offset_of!(raw::btrfs_ioctl_search_header, type_));
        let end = HEAD.saturating_add(len_bytes);
        let data = results.get(HEAD..end).ok_or_else(|| broken("the kernel's answer is cut short"))?;
        let key = Key {
            object: word(offset_of!(raw::btrfs_ioctl_search_header, objectid)),
            kind: u8::try_from(kind).map_err(|_| broken("an item's type is no byte"))?,
            offset: word(offset_of!(raw::btrfs_ioctl_search_header, offset)),
        };
        let block_transid = word(offset_of!(raw::btrfs_ioctl_search_header, transid));
        Ok((Self { key, block_transid, data }, end))
    }
}

/// An inode (`btrfs_inode_item`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InodeItem {
    /// The transaction that made it. With the number it says which inode this is.
    pub generation: u64,
    /// The transaction that last changed it.
    pub transid: u64,
    /// Length of the content.
    pub size_bytes: u64,
    /// Bytes of its extents.
    pub extent_bytes: u64,
    /// How many names it has.
    pub nlink: u32,
    /// Type and permissions.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Major and minor number.
    pub rdev: (u32, u32),
    /// `BTRFS_INODE_*` bits.
    pub flags: u64,
    /// Last change of anything.
    pub ctime: Time,
    /// Last change of the content.
    pub mtime: Time,
}

impl InodeItem {
    /// The inode in an item's bytes.
    ///
    /// # Errors
    /// `InvalidData` if they are too few.
    pub fn parse(data: &[u8]) -> io::Result<Self> {
        Self::read(data).ok_or_else(|| broken("an inode's item is too short"))
    }

    fn read(data: &[u8]) -> Option<Self> {
        macro_rules! at {
            ($field:ident) => {
                offset_of!(raw::btrfs_inode_item, $field)
            };
        }
        let time = |at: usize| {
            let nanos = half(data, at + offset_of!(raw::btrfs_timespec, nsec))?.min(999_999_999);
            Some(Time { secs: word(data, at)?.cast_signed(), nanos })
        };
        let rdev = word(data, at!(rdev))?;
        Some(Self {
            generation: word(data, at!(generation))?,
            transid: word(data, at!(transid))?,
            size_bytes: word(data, at!(size))?,
            extent_bytes: word(data, at!(nbytes))?,
            nlink: half(data, at!(nlink))?,
            mode: half(data, at!(mode))?,
            uid: half(data, at!(uid))?,
            gid: half(data, at!(gid))?,
            rdev: ((rdev >> 20) as u32, (rdev & 0xf_ffff) as u32),
            flags: word(data, at!(flags))?,
            ctime: time(at!(ctime))?,
            mtime: time(at!(mtime))?,
        })
    }
}

/// A name of an inode.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct InodeName {
    /// The folder in which it is.
    pub dir_ino: u64,
    /// The name.
    pub name: Vec<u8>,
}

/// The names in an item of type `INODE_REF` or `INODE_EXTREF`; none in any other.
///
/// # Errors
/// `InvalidData` if the lengths do not fit.
pub fn parse_names(item: &Item<'_>) -> io::Result<Vec<InodeName>> {
    const REF: usize = size_of::<raw::btrfs_inode_ref>();
    const EXTREF: usize = size_of::<raw::btrfs_inode_extref>();
    let extended = item.key.kind == kind::INODE_EXTREF;
    if !extended && item.key.kind != kind::INODE_REF {
        return Ok(Vec::new());
    }
    let (head, len_at) = if extended {
        (EXTREF, offset_of!(raw::btrfs_inode_extref, name_len))
    } else {
        (REF, offset_of!(raw::btrfs_inode_ref, name_len))
    };
    let mut names = Vec::new();
    let mut rest = item.data;
    while !rest.is_empty() {
        let one = || {
            let dir_ino = if extended { word(rest, 0)? } else { item.key.offset };
            let end = head + usize::from(short(rest, len_at)?);
            let name = rest.get(head..end)?.to_vec();
            Some((InodeName { dir_ino, name }, rest.get(end..)?))
        };
        let (name, after) = one().ok_or_else(|| broken("an inode's names are cut short"))?;
        names.push(name);
        rest = after;
    }
    Ok(names)
}

/// What is in a part of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExtentKind {
    /// Bytes in the tree, as they lie there; `compression` as below.
    Inline {
        /// Compression.
        compression: u8,
        /// The bytes, compressed.
        bytes: Vec<u8>,
    },
    /// Data on the disk.
    Data {
        /// Where the extent begins in the file system's address space.
        disk_bytenr: u64,
        /// Its length there.
        disk_bytes: u64,
        /// Where in the extent, decompressed, this part begins.
        offset: u64,
        /// 0 none, 1 zlib, 2 LZO, 3 zstd.
        compression: u8,
    },
    /// Room that was set aside: reads as zeros.
    Prealloc,
    /// Zeros without room.
    Hole,
    /// Something that is not known here: nothing can be said of what it reads as.
    Unknown,
}

/// A part of a file's content (`btrfs_file_extent_item`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Extent {
    /// Where it begins in the file.
    pub start: u64,
    /// Its length in the file; of inline data that of the content.
    pub len_bytes: u64,
    /// What it is.
    pub kind: ExtentKind,
}

impl Extent {
    /// The extent in an item of type `EXTENT_DATA`.
    ///
    /// # Errors
    /// `InvalidData` if it is too short, or reaches further than a file can.
    pub fn parse(item: &Item<'_>) -> io::Result<Self> {
        let extent = Self::read(item).ok_or_else(|| broken("an extent's item is too short"))?;
        let reaches = extent.start.checked_add(extent.len_bytes).is_some_and(|end| i64::try_from(end).is_ok());
        if reaches { Ok(extent) } else { Err(broken("an extent reaches too far")) }
    }

    fn read(item: &Item<'_>) -> Option<Self> {
        const TYPE: usize = offset_of!(raw::btrfs_file_extent_item, type_);
        const INLINE: u8 = raw::BTRFS_FILE_EXTENT_INLINE as u8;
        const REGULAR: u8 = raw::BTRFS_FILE_EXTENT_REG as u8;
        const PREALLOC: u8 = raw::BTRFS_FILE_EXTENT_PREALLOC as u8;
        let data = item.data;
        let at = |at: usize| word(data, at);
        let compression = *data.get(offset_of!(raw::btrfs_file_extent_item, compression))?;
        let encoded = *data.get(offset_of!(raw::btrfs_file_extent_item, encryption))? != 0
            || short(data, offset_of!(raw::btrfs_file_extent_item, other_encoding))? != 0;
        let start = item.key.offset;
        let kind = *data.get(TYPE)?;
        if kind == INLINE {
            let bytes = data.get(TYPE + 1..)?.to_vec();
            let len_bytes = at(offset_of!(raw::btrfs_file_extent_item, ram_bytes))?;
            let kind = if encoded { ExtentKind::Unknown } else { ExtentKind::Inline { compression, bytes } };
            return Some(Self { start, len_bytes, kind });
        }
        let disk_bytenr = at(offset_of!(raw::btrfs_file_extent_item, disk_bytenr))?;
        let disk_bytes = at(offset_of!(raw::btrfs_file_extent_item, disk_num_bytes))?;
        let offset = at(offset_of!(raw::btrfs_file_extent_item, offset))?;
        let len_bytes = at(offset_of!(raw::btrfs_file_extent_item, num_bytes))?;
        let kind = match kind {
            REGULAR if disk_bytenr == 0 => ExtentKind::Hole,
            PREALLOC => ExtentKind::Prealloc,
            REGULAR if !encoded => ExtentKind::Data { disk_bytenr, disk_bytes, offset, compression },
            _ => ExtentKind::Unknown,
        };
        Some(Self { start, len_bytes, kind })
    }
}

/// What is read of a `ROOT_ITEM` (`btrfs_root_item`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RootItem {
    /// The subvolume's UUID.
    pub uuid: [u8; 16],
    /// That of what it is a snapshot of.
    pub parent_uuid: [u8; 16],
    /// The transaction that made it.
    pub otransid: u64,
}

impl RootItem {
    /// The root in an item's bytes.
    ///
    /// # Errors
    /// `InvalidData` if they are too few.
    pub fn parse(data: &[u8]) -> io::Result<Self> {
        let read = || {
            Some(Self {
                uuid: *data.get(offset_of!(raw::btrfs_root_item, uuid)..)?.first_chunk()?,
                parent_uuid: *data.get(offset_of!(raw::btrfs_root_item, parent_uuid)..)?.first_chunk()?,
                otransid: word(data, offset_of!(raw::btrfs_root_item, otransid))?,
            })
        };
        read().ok_or_else(|| broken("a subvolume's item is too short"))
    }
}

/// The tree ids in an item of the UUID tree.
pub fn parse_tree_ids(data: &[u8]) -> Vec<u64> {
    data.as_chunks().0.iter().copied().map(u64::from_le_bytes).collect()
}

#[cfg(test)]
#[path = "items_tests.rs"]
mod tests;
