//! Which bytes of a changed file may differ.

use super::delta::Delta;
use super::extents::{RangeSet, compare};
use super::items::{Extent, InodeItem};
use super::tree::LOOKUP_BYTES;
use std::io;
use std::ops::Range;

/// Memory of a search over a whole list of extents.
pub(super) const LIST_BYTES: usize = 64 << 10;
/// The list of a file with fewer bytes mostly fits less.
const SMALL_BYTES: u64 = 256 << 10;
/// A file with fewer bytes is compared as a whole: that takes two searches.
const WHOLE_MAX_BYTES: u64 = 4 << 20;
/// So many extents of a run are kept in memory.
const RUN_EXTENTS_MAX: usize = 4096;
/// A file with more ranges is read as a whole.
const RANGES_MAX: usize = 1 << 20;

/// What may differ in a file's content.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ChangedRanges {
    /// Nothing.
    Same,
    /// At most these bytes of the new file: ascending, not empty, with a gap between each two. All beyond the end of the
    /// shorter of the two is among them. None at all means that the new file is empty, or a shorter old one at a block's end.
    Ranges(Vec<Range<u64>>),
    /// Anything: it is another file, or nothing can be said.
    Whole,
}

impl ChangedRanges {
    /// What follows from where the extents of two files differ, as far as both have any.
    pub(super) fn of(found: RangeSet, old_bytes: u64, new_bytes: u64, sector_bytes: u64) -> Self {
        if found.len() > RANGES_MAX {
            return Self::Whole;
        }
        // The last block of the shorter one: what is behind its end there need not be zeros.
        let least = old_bytes.min(new_bytes);
        let from = if old_bytes == new_bytes { new_bytes } else { least - least % sector_bytes };
        let ranges = found.finish(from, new_bytes);
        if ranges.is_empty() && old_bytes == new_bytes {
            return Self::Same;
        }
        Self::Ranges(ranges)
    }
}

impl Delta {
    /// Which bytes of a file may differ from what they were in the parent snapshot.
    ///
    /// # Errors
    /// Those of the search.
    pub fn changed_ranges(&self, ino: u64) -> io::Result<ChangedRanges> {
        if !self.is_changed(ino) {
            return Ok(ChangedRanges::Same);
        }
        let Some((old, new)) = self.both(ino)? else { return Ok(ChangedRanges::Whole) };
        let mut found = None;
        if old.extent_bytes.max(new.extent_bytes) > WHOLE_MAX_BYTES {
            found = self.proportional(ino, &old, &new)?;
        }
        let found = match found {
            Some(found) => found,
            None => self.whole(ino, &old, &new)?,
        };
        Ok(self.finish(found, &old, &new))
    }

    /// As [`Delta::changed_ranges`] by each of its two ways: all extents compared, and only those in what was written since,
    /// if that suffices. For tests that compare the two.
    ///
    /// # Errors
    /// Those of the search.
    #[doc(hidden)]
    pub fn changed_ranges_both_ways(&self, ino: u64) -> io::Result<(ChangedRanges, Option<ChangedRanges>)> {
        let Some((old, new)) = self.both(ino)? else { return Ok((ChangedRanges::Whole, None)) };
        let proportional = self.proportional(ino, &old, &new)?;
        let whole = self.whole(ino, &old, &new)?;
        Ok((self.finish(whole, &old, &new), proportional.map(|found| self.finish(found, &old, &new))))
    }

    fn finish(&self, found: RangeSet, old: &InodeItem, new: &InodeItem) -> ChangedRanges {
        ChangedRanges::of(found, old.size_bytes, new.size_bytes, self.sector_bytes)
    }

    /// Compares all extents, reading both lists side by side.
    fn whole(&self, ino: u64, old: &InodeItem, new: &InodeItem) -> io::Result<RangeSet> {
        let end = old.size_bytes.min(new.size_bytes);
        let last = end.saturating_sub(1);
        let small = old.extent_bytes.max(new.extent_bytes) <= SMALL_BYTES;
        let buffer_bytes = if small { LOOKUP_BYTES } else { LIST_BYTES };
        let mut old = self.parent_tree().extents(ino, 0..=last, 0, buffer_bytes);
        let mut new = self.new_tree().extents(ino, 0..=last, 0, buffer_bytes);
        let mut found = RangeSet::default();
        compare(|| old.next(), || new.next(), 0..end, self.sector_bytes, &mut found)?;
        Ok(found)
    }

    /// Compares only where the new tree was written since. What was taken out of the tree leaves nothing there; so nothing
    /// comes of it unless the bytes elsewhere add up to the same: elsewhere the new tree has no extent that the old one has
    /// not, because its blocks are the old one's.
    fn proportional(&self, ino: u64, old: &InodeItem, new: &InodeItem) -> io::Result<Option<RangeSet>> {
        let mut seen = self.new_tree().extents(ino, 0..=u64::MAX, self.since, LIST_BYTES);
        let (mut old_rest, mut new_rest) = (old.extent_bytes, new.extent_bytes);
        let mut found = RangeSet::default();
        let mut next = seen.next()?;
        let mut reached = 0;
        while let Some(first) = next.take() {
            if first.start < reached {
                // Extents that overlap: nothing that a whole file system has.
                return Ok(None);
            }
            let window_start = first.start;
            let mut window_end = first.end(self.sector_bytes);
            let mut run = vec![first];
            while run.len() < RUN_EXTENTS_MAX {
                match seen.next()? {
                    Some(extent) if extent.start == window_end => {
                        window_end = extent.end(self.sector_bytes);
                        run.push(extent);
                    }
                    other => {
                        next = other;
                        break;
                    }
                }
            }
            if next.is_none() {
                next = seen.next()?;
            }
            let window = window_start..window_end;
            reached = window_end;
            let counted = |extent: &Extent| extent.counted_within(&window, self.sector_bytes);
            let Some(rest) = new_rest.checked_sub(run.iter().map(&counted).sum()) else { return Ok(None) };
            new_rest = rest;
            let mut old_bytes = 0_u64;
            let mut before = self.parent_tree().reaching_into(ino, window.clone(), self.sector_bytes)?;
            let mut run = run.into_iter();
            let old = || {
                let extent = before.next()?;
                old_bytes = old_bytes.saturating_add(extent.as_ref().map_or(0, &counted));
                Ok(extent)
            };
            compare(old, || Ok(run.next()), window.clone(), self.sector_bytes, &mut found)?;
            // Those behind the last that the comparison wanted.
            while let Some(extent) = before.next()? {
                old_bytes = old_bytes.saturating_add(counted(&extent));
            }
            let Some(rest) = old_rest.checked_sub(old_bytes) else { return Ok(None) };
            old_rest = rest;
        }
        Ok((old_rest == new_rest).then_some(found))
    }
}
