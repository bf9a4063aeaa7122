//! Trees as sequences of items.

use super::items::{Extent, InodeItem, InodeName, Item, Key, RootItem, kind, parse_names, parse_tree_ids};
use super::subvol::Uuid;
use super::sys::{SearchBuffer, SearchKey, search};
use linux_raw_sys::btrfs::{BTRFS_ROOT_TREE_OBJECTID, BTRFS_UUID_TREE_OBJECTID};
use rustix::io::Errno;
use std::io;
use std::ops::RangeInclusive;
use std::os::fd::BorrowedFd;

/// Memory of a search that reads much.
pub const SCAN_BYTES: usize = 1 << 20;
/// Memory of a search that looks something up. Grows where nodes are larger.
pub const LOOKUP_BYTES: usize = 20 << 10;
/// No item is larger than a node, and no node than 64 KiB.
const BUFFER_MAX_BYTES: usize = 2 << 20;

/// A search under way: the items with keys in a range, in order, read in portions.
pub struct Cursor<'fd> {
    fd: BorrowedFd<'fd>,
    key: SearchKey,
    buffer: SearchBuffer,
    at: usize,
    left: u32,
    done: bool,
}

impl<'fd> Cursor<'fd> {
    /// The items of the tree in which `fd` lies with keys in `range`, in blocks written in `min_transid` or later.
    pub fn new(fd: BorrowedFd<'fd>, range: RangeInclusive<Key>, min_transid: u64, buffer_bytes: usize) -> Self {
        let triple = |key: &Key| (key.object, key.kind, key.offset);
        let key = SearchKey {
            tree_id: 0,
            first: triple(range.start()),
            last: triple(range.end()),
            min_transid,
            items_max: u32::MAX,
        };
        Self { fd, key, buffer: SearchBuffer::new(buffer_bytes), at: 0, left: 0, done: false }
    }

    /// The same in another tree.
    pub(super) fn in_tree(mut self, tree_id: u64) -> Self {
        self.key.tree_id = tree_id;
        self
    }

    /// Only the first `items_max` of them.
    fn first(mut self, items_max: u32) -> Self {
        self.key.items_max = items_max;
        self
    }

    /// The next item; nothing at the end.
    ///
    /// # Errors
    /// Those of the search; `InvalidData` if its answer makes no sense.
    pub fn next(&mut self) -> io::Result<Option<Item<'_>>> {
        if self.left == 0 && !self.fill()? {
            return Ok(None);
        }
        let (item, len_bytes) = Item::parse(self.buffer.results().get(self.at..).unwrap_or_default())?;
        self.at += len_bytes;
        self.left -= 1;
        match item.key.next() {
            Some(Key { object, kind, offset }) => self.key.first = (object, kind, offset),
            None => self.done = true,
        }
        Ok(Some(item))
    }

    fn fill(&mut self) -> io::Result<bool> {
        // The search of a limited number of items is over after the first portion.
        if self.done || self.key.first > self.key.last {
            return Ok(false);
        }
        self.at = 0;
        self.left = loop {
            match search(self.fd, &self.key, &mut self.buffer) {
                // The first item does not fit.
                Err(error) if Errno::from_io_error(&error) == Some(Errno::OVERFLOW) => {
                    let larger = self.buffer.results().len() * 4;
                    if larger > BUFFER_MAX_BYTES {
                        return Err(error);
                    }
                    self.buffer = SearchBuffer::new(larger);
                }
                other => break other?,
            }
        };
        self.done = self.left == 0 || self.left >= self.key.items_max;
        Ok(self.left > 0)
    }
}

/// The tree of the subvolume in which a descriptor lies.
#[derive(Clone, Copy)]
pub struct Tree<'fd>(pub BorrowedFd<'fd>);

impl<'fd> Tree<'fd> {
    /// The inode with this number.
    ///
    /// # Errors
    /// Those of the search.
    pub fn inode(self, ino: u64) -> io::Result<Option<InodeItem>> {
        let key = Key { object: ino, kind: kind::INODE_ITEM, offset: 0 };
        let mut cursor = Cursor::new(self.0, key..=key, 0, 1 << 10);
        cursor.next()?.map(|item| InodeItem::parse(item.data)).transpose()
    }

    /// The names of an inode.
    ///
    /// # Errors
    /// Those of the search.
    pub fn names(self, ino: u64) -> io::Result<Vec<InodeName>> {
        let first = Key { object: ino, kind: kind::INODE_REF, offset: 0 };
        let last = Key { object: ino, kind: kind::INODE_EXTREF, offset: u64::MAX };
        let mut cursor = Cursor::new(self.0, first..=last, 0, LOOKUP_BYTES);
        let mut names = Vec::new();
        while let Some(item) = cursor.next()? {
            names.extend(parse_names(&item)?);
        }
        Ok(names)
    }

    /// The extents of a file that begin in `range`, in blocks written in `min_transid` or later.
    pub fn extents(self, ino: u64, range: RangeInclusive<u64>, min_transid: u64, buffer_bytes: usize) -> Extents<'fd> {
        let key = |offset| Key { object: ino, kind: kind::EXTENT_DATA, offset };
        let cursor = Cursor::new(self.0, key(*range.start())..=key(*range.end()), min_transid, buffer_bytes);
        Extents { cursor, ahead: None }
    }

    /// The first of them.
    ///
    /// # Errors
    /// Those of the search.
    pub fn first_extent(self, ino: u64, range: RangeInclusive<u64>) -> io::Result<Option<Extent>> {
        let Extents { cursor, ahead } = self.extents(ino, range, 0, LOOKUP_BYTES);
        Extents { cursor: cursor.first(1), ahead }.next()
    }
}

/// Extents of a file in order.
pub struct Extents<'fd> {
    cursor: Cursor<'fd>,
    ahead: Option<Extent>,
}

impl Extents<'_> {
    /// The extent `ahead`, and after it those of `rest`.
    pub fn after(ahead: Option<Extent>, rest: Self) -> Self {
        Self { ahead, ..rest }
    }

    /// The next one; nothing at the end.
    ///
    /// # Errors
    /// Those of the search.
    pub fn next(&mut self) -> io::Result<Option<Extent>> {
        match self.ahead.take() {
            Some(extent) => Ok(Some(extent)),
            None => self.cursor.next()?.map(|item| Extent::parse(&item)).transpose(),
        }
    }
}

/// The subvolume with this UUID, wherever on the file system of `fd` it lies.
///
/// # Errors
/// Those of the search.
pub fn subvolume_by_uuid(fd: BorrowedFd<'_>, uuid: Uuid) -> io::Result<Option<RootItem>> {
    let (low, high) = uuid.0.split_at(8);
    let word = |part: &[u8]| part.first_chunk().copied().map_or(0, u64::from_le_bytes);
    let key = Key { object: word(low), kind: kind::UUID_SUBVOL, offset: word(high) };
    let mut cursor = Cursor::new(fd, key..=key, 0, LOOKUP_BYTES).in_tree(u64::from(BTRFS_UUID_TREE_OBJECTID));
    let item = match cursor.next() {
        Ok(Some(item)) => item,
        Ok(None) => return Ok(None),
        // A file system on which no tree of UUIDs was made yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    for tree_id in parse_tree_ids(item.data) {
        let first = Key { object: tree_id, kind: kind::ROOT_ITEM, offset: 0 };
        let last = Key { object: tree_id, kind: kind::ROOT_ITEM, offset: u64::MAX };
        let mut cursor = Cursor::new(fd, first..=last, 0, LOOKUP_BYTES).in_tree(u64::from(BTRFS_ROOT_TREE_OBJECTID));
        while let Some(item) = cursor.next()? {
            // Kernels before 3.6 wrote shorter ones, without UUIDs.
            match RootItem::parse(item.data) {
                Ok(root) if root.uuid == uuid.0 => return Ok(Some(root)),
                _ => {}
            }
        }
    }
    Ok(None)
}
