//! Where two lists of extents give different bytes, and where a file's bytes lie on the disk. Pure, but for the lists.

use super::items::{Extent, ExtentKind};
use std::io;
use std::ops::Range;

/// Byte ranges: ascending, not empty, with a gap between each two.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct RangeSet(Vec<Range<u64>>);

impl RangeSet {
    /// Adds a range that begins no earlier than any before.
    pub fn push(&mut self, range: Range<u64>) {
        match self.0.last_mut() {
            _ if range.is_empty() => {}
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => self.0.push(range),
        }
    }

    /// How many ranges.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The ranges, with all from `from` to `size_bytes` added and nothing beyond that.
    pub fn finish(mut self, from: u64, size_bytes: u64) -> Vec<Range<u64>> {
        self.0.retain_mut(|range| {
            range.end = range.end.min(from);
            !range.is_empty()
        });
        self.push(from..size_bytes);
        self.0
    }
}

impl Extent {
    /// Where it ends in the file. Inline data fills its block with zeros.
    pub fn end(&self, sector_bytes: u64) -> u64 {
        let end = self.start.saturating_add(self.len_bytes);
        match self.kind {
            ExtentKind::Inline { .. } => end.checked_next_multiple_of(sector_bytes.max(1)).unwrap_or(end),
            _ => end,
        }
    }

    /// So much of it as lies in `range` counts in the inode's sum of bytes.
    pub fn counted_within(&self, range: &Range<u64>, sector_bytes: u64) -> u64 {
        match self.kind {
            ExtentKind::Hole => 0,
            // Counted with its own length, not that of its block.
            ExtentKind::Inline { .. } if range.contains(&self.start) => self.len_bytes,
            ExtentKind::Inline { .. } => 0,
            _ => self.end(sector_bytes).min(range.end).saturating_sub(self.start.max(range.start)),
        }
    }

    fn reads_as_zeros(&self) -> bool {
        matches!(self.kind, ExtentKind::Hole | ExtentKind::Prealloc)
    }
}

/// Extents in order of their starts, one ahead.
struct Side<N> {
    next: N,
    current: Option<Extent>,
    sector_bytes: u64,
    ended: bool,
}

impl<N: FnMut() -> io::Result<Option<Extent>>> Side<N> {
    fn new(next: N, sector_bytes: u64) -> Self {
        Self { next, current: None, sector_bytes, ended: false }
    }

    /// What is at `position`, which never goes back, and up to where; nothing is a hole.
    fn at(&mut self, position: u64) -> io::Result<(Option<&Extent>, u64)> {
        while !self.ended && self.current.as_ref().is_none_or(|extent| extent.end(self.sector_bytes) <= position) {
            self.current = (self.next)()?;
            self.ended = self.current.is_none();
        }
        Ok(match &self.current {
            None => (None, u64::MAX),
            Some(extent) if extent.start > position => (None, extent.start),
            Some(extent) => (Some(extent), extent.end(self.sector_bytes)),
        })
    }
}

/// Whether both read as the same bytes where both are; false if that cannot be said.
fn same(old: Option<&Extent>, new: Option<&Extent>) -> bool {
    let zeros = |extent: Option<&Extent>| extent.is_none_or(Extent::reads_as_zeros);
    let (Some(old), Some(new)) = (old, new) else { return zeros(old) && zeros(new) };
    match (&old.kind, &new.kind) {
        (ExtentKind::Inline { .. }, ExtentKind::Inline { .. }) => old == new,
        (
            ExtentKind::Data { disk_bytenr, disk_bytes, offset, compression },
            ExtentKind::Data {
                disk_bytenr: new_bytenr,
                disk_bytes: new_bytes,
                offset: new_offset,
                compression: new_compression,
            },
        ) => {
            // The same place of the extent at the same place of the file.
            let shift = |offset: u64, start: u64| offset.wrapping_sub(start);
            (disk_bytenr, disk_bytes, compression) == (new_bytenr, new_bytes, new_compression)
                && shift(*offset, old.start) == shift(*new_offset, new.start)
        }
        _ => old.reads_as_zeros() && new.reads_as_zeros(),
    }
}

/// Adds to `found` where in `window` the two lists differ.
///
/// # Errors
/// Those of the lists.
pub fn compare(
    old: impl FnMut() -> io::Result<Option<Extent>>,
    new: impl FnMut() -> io::Result<Option<Extent>>,
    window: Range<u64>,
    sector_bytes: u64,
    found: &mut RangeSet,
) -> io::Result<()> {
    let mut old = Side::new(old, sector_bytes);
    let mut new = Side::new(new, sector_bytes);
    let mut position = window.start;
    while position < window.end {
        let (old_part, old_end) = old.at(position)?;
        let (new_part, new_end) = new.at(position)?;
        let end = old_end.min(new_end).min(window.end);
        if !same(old_part, new_part) {
            found.push(position..end);
        }
        position = end;
    }
    Ok(())
}

/// What a run of a file's bytes is made of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PhysicalKind {
    /// Data on the disk. All of it together is the identity of the bytes: two runs of which it is the same read as the
    /// same, for as long as a snapshot that holds both is there.
    Data {
        /// Where the extent begins in the file system's address space.
        disk_bytenr: u64,
        /// Its length there, in bytes.
        disk_bytes: u64,
        /// Where in the extent, decompressed, the run begins, in bytes.
        offset: u64,
        /// 0 none, 1 zlib, 2 LZO, 3 zstd.
        compression: u8,
    },
    /// In the tree.
    Inline,
    /// Room that was set aside: reads as zeros.
    Prealloc,
    /// Zeros.
    Hole,
    /// Something that is not known here.
    Unknown,
}

/// A run of a file's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PhysicalRun {
    /// Where in the file it begins, in bytes.
    pub file_offset: u64,
    /// Its length, in bytes.
    pub len_bytes: u64,
    /// What it is made of.
    pub kind: PhysicalKind,
}

/// All of `window`, in runs. The extents may begin before it.
///
/// # Errors
/// Those of the list.
pub fn runs(
    next: impl FnMut() -> io::Result<Option<Extent>>,
    window: Range<u64>,
    sector_bytes: u64,
) -> io::Result<Vec<PhysicalRun>> {
    let mut side = Side::new(next, sector_bytes);
    let mut runs: Vec<PhysicalRun> = Vec::new();
    let mut position = window.start;
    while position < window.end {
        let (part, end) = side.at(position)?;
        let end = end.min(window.end);
        let kind = match part.map(|part| (part, &part.kind)) {
            None | Some((_, ExtentKind::Hole)) => PhysicalKind::Hole,
            Some((_, ExtentKind::Prealloc)) => PhysicalKind::Prealloc,
            Some((_, ExtentKind::Inline { .. })) => PhysicalKind::Inline,
            Some((_, ExtentKind::Unknown)) => PhysicalKind::Unknown,
            Some((part, ExtentKind::Data { disk_bytenr, disk_bytes, offset, compression })) => PhysicalKind::Data {
                disk_bytenr: *disk_bytenr,
                disk_bytes: *disk_bytes,
                offset: offset.saturating_add(position - part.start),
                compression: *compression,
            },
        };
        match runs.last_mut() {
            Some(last) if last.kind == kind && kind == PhysicalKind::Hole => last.len_bytes += end - position,
            _ => runs.push(PhysicalRun { file_offset: position, len_bytes: end - position, kind }),
        }
        position = end;
    }
    Ok(runs)
}

#[cfg(test)]
#[path = "extents_tests.rs"]
mod tests;
