//! Where the bytes of a file are on the disk.

use super::delta::Delta;
use super::extents::{PhysicalRun, RangeSet, compare, runs};
use super::items::{Extent, ExtentKind};
use super::ranges::{ChangedRanges, LIST_BYTES};
use super::subvol::fs_info;
use super::tree::{Extents, LOOKUP_BYTES, Tree};
use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;

/// So far before a place is looked at once for what reaches into it.
const BACK_BYTES: u64 = 64 << 10;
/// So many extents are looked at for the first one with data.
const FIRST_EXTENTS_MAX: usize = 16;

/// An extent at its place of a file: files that have one in common have its bytes in common, where both show them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ExtentAt {
    fs: u64,
    disk_bytenr: u64,
    file_offset: u64,
}

/// The places of the files of one read-only subvolume. For reading files in their order on the disk, and once what several
/// of them share.
#[derive(Clone, Copy)]
pub struct Places<'fd> {
    tree: Tree<'fd>,
    sector_bytes: u64,
    fs: u64,
}

impl<'fd> Places<'fd> {
    /// Those in the subvolume in which `fd` lies.
    ///
    /// # Errors
    /// Those of ioctl(2).
    pub fn of(fd: BorrowedFd<'fd>) -> io::Result<Self> {
        let info = fs_info(fd)?;
        Ok(Self { tree: Tree(fd), sector_bytes: u64::from(info.sector_bytes.max(1)), fs: info.fsid.short() })
    }

    /// The first `most` extents with data of a file, each with where in the file it would begin.
    ///
    /// # Errors
    /// As [`Places::first`].
    pub fn keys(self, ino: u64, most: usize) -> io::Result<Vec<ExtentAt>> {
        let mut list = self.tree.extents(ino, 0..=u64::MAX, 0, LOOKUP_BYTES);
        let mut keys = Vec::new();
        for _ in 0..FIRST_EXTENTS_MAX {
            let Some(extent) = list.next()? else { break };
            if let ExtentKind::Data { disk_bytenr, offset, .. } = extent.kind {
                keys.push(ExtentAt { fs: self.fs, disk_bytenr, file_offset: extent.start.wrapping_sub(offset) });
                if keys.len() == most {
                    break;
                }
            }
        }
        Ok(keys)
    }

    /// Which bytes of the second file, in the same subvolume, may differ from those of the first; each is an inode number and a size in bytes.
    ///
    /// # Errors
    /// As [`Places::first`].
    pub fn differing(self, first: (u64, u64), second: (u64, u64)) -> io::Result<ChangedRanges> {
        let end = first.1.min(second.1);
        let last = end.saturating_sub(1);
        let mut old = self.tree.extents(first.0, 0..=last, 0, LIST_BYTES);
        let mut new = self.tree.extents(second.0, 0..=last, 0, LIST_BYTES);
        let mut found = RangeSet::default();
        compare(|| old.next(), || new.next(), 0..end, self.sector_bytes, &mut found)?;
        Ok(ChangedRanges::of(found, first.1, second.1, self.sector_bytes))
    }

    /// Where a file's data begins in the file system's address space; nothing for what has none, or has it in the tree.
    ///
    /// # Errors
    /// Those of the search: `EPERM` without `CAP_SYS_ADMIN`.
    pub fn first(self, ino: u64) -> io::Result<Option<u64>> {
        let mut list = self.tree.extents(ino, 0..=u64::MAX, 0, LOOKUP_BYTES);
        for _ in 0..FIRST_EXTENTS_MAX {
            match list.next()? {
                Some(Extent { kind: ExtentKind::Data { disk_bytenr, offset, compression, .. }, .. }) => {
                    // A part of a compressed extent is read from its beginning.
                    return Ok(Some(if compression == 0 { disk_bytenr.saturating_add(offset) } else { disk_bytenr }));
                }
                Some(_) => {}
                None => break,
            }
        }
        Ok(None)
    }

    /// What a range of a file is made of, without gaps.
    ///
    /// # Errors
    /// As [`Places::first`].
    pub fn runs(self, ino: u64, range: Range<u64>) -> io::Result<Vec<PhysicalRun>> {
        let mut list = self.tree.reaching_into(ino, range.clone(), self.sector_bytes)?;
        runs(|| list.next(), range, self.sector_bytes)
    }
}

impl Delta {
    /// The places of files in the new snapshot.
    pub fn places(&self) -> Places<'_> {
        Places { tree: self.new_tree(), sector_bytes: self.sector_bytes, fs: self.fs }
    }

    /// What a range of a file in the new snapshot is made of, without gaps.
    ///
    /// # Errors
    /// Those of the search.
    pub fn physical(&self, ino: u64, range: Range<u64>) -> io::Result<Vec<PhysicalRun>> {
        self.places().runs(ino, range)
    }
}

/// The extents of a file from the one that reaches into a window on.
pub struct Reaching<'fd> {
    first: Option<Extent>,
    rest: Option<Extents<'fd>>,
}

impl Reaching<'_> {
    /// The next one.
    ///
    /// # Errors
    /// Those of the search.
    pub fn next(&mut self) -> io::Result<Option<Extent>> {
        match (self.first.take(), &mut self.rest) {
            (Some(first), _) => Ok(Some(first)),
            (None, Some(rest)) => rest.next(),
            (None, None) => Ok(None),
        }
    }
}

impl<'fd> Tree<'fd> {
    /// The extents that have bytes in `window`, and no others but such as end before it. A search only goes forward, so
    /// what begins before the window takes some looking for.
    ///
    /// # Errors
    /// Those of the search.
    pub fn reaching_into(self, ino: u64, window: Range<u64>, sector_bytes: u64) -> io::Result<Reaching<'fd>> {
        let Some(last) = window.end.checked_sub(1).filter(|last| *last >= window.start) else {
            return Ok(Reaching { first: None, rest: None });
        };
        let from = window.start.saturating_sub(BACK_BYTES);
        let mut rest = self.extents(ino, from..=last, 0, LOOKUP_BYTES);
        let mut first = rest.next()?;
        // Something that begins before the window hides what begins before that.
        let hidden = first.as_ref().is_some_and(|extent| extent.start <= window.start);
        if !hidden && from > 0 {
            let earlier = self.last_before(ino, from)?.filter(|extent| extent.end(sector_bytes) > window.start);
            if earlier.is_some() {
                return Ok(Reaching { first: earlier, rest: Some(Extents::after(first, rest)) });
            }
        }
        while let Some(extent) = &first
            && extent.end(sector_bytes) <= window.start
        {
            first = rest.next()?;
        }
        Ok(Reaching { first, rest: Some(rest) })
    }

    /// The last extent that begins before `end`.
    fn last_before(self, ino: u64, end: u64) -> io::Result<Option<Extent>> {
        let (mut high, mut step) = (end, BACK_BYTES);
        while high > 0 {
            let low = high.saturating_sub(step);
            if let Some(found) = self.first_extent(ino, low..=high - 1)? {
                return self.last_between(ino, found, high).map(Some);
            }
            high = low;
            step = step.saturating_mul(4);
        }
        Ok(None)
    }

    /// The last extent that begins at or after `known` and before `high`.
    fn last_between(self, ino: u64, mut known: Extent, mut high: u64) -> io::Result<Extent> {
        while high - known.start > BACK_BYTES {
            let middle = known.start + (high - known.start) / 2;
            match self.first_extent(ino, middle..=high - 1)? {
                Some(later) if later.start > known.start => known = later,
                _ => high = middle,
            }
        }
        let mut rest = self.extents(ino, known.start..=high - 1, 0, LOOKUP_BYTES);
        while let Some(later) = rest.next()? {
            known = later;
        }
        Ok(known)
    }
}
