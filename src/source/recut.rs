//! Cutting a changed file anew where it changed: blobs that no change touches keep their cuts, and of the rest only what is needed is read.
//!
//! A cut depends on nothing but the bytes from the cut before it on, up to one byte after it (spec 5.1), so from the first cut that meets an old one everything is as it was until
//! the next change. The result is the list that reading everything gives; a property test holds it to that.

use crate::chunk::Chunker;
use crate::error::Result;
use crate::format::content::{ContentRoot, Record};
use crate::id::BlobId;
use std::io;
use std::ops::Range;

/// What the new list is made of, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Part {
    /// A hole.
    Hole {
        /// Length.
        len_bytes: u64,
    },
    /// A blob as it was.
    Known(Record),
    /// A whole node of the old list: it stands for all that is below it.
    Node {
        /// Its depth: that of the list in which its record stands, at least 1.
        depth: u8,
        /// Its record.
        record: Record,
    },
    /// A blob that was read.
    Data(Vec<u8>),
}

/// The file as it is now, and how it differs.
pub struct Changed<'a> {
    /// Its length.
    pub size_bytes: u64,
    /// Where it has data: ascending, with a hole between each two.
    pub regions: &'a [Range<u64>],
    /// What may differ from the old content: ascending, with a gap between each two.
    pub ranges: &'a [Range<u64>],
}

/// Where the parts come from and go to.
pub trait Recut {
    /// The records of a node of the old list, `depth` being that of the list in which it stands; nothing if it is not remembered.
    ///
    /// # Errors
    /// Of the local state.
    fn node(&mut self, id: &BlobId, depth: u8) -> Result<Option<Vec<Record>>>;

    /// Appends `len_bytes` bytes from `offset` on, or fewer if the file ends; returns how many.
    ///
    /// # Errors
    /// Those of pread(2).
    fn read(&mut self, offset: u64, len_bytes: usize, data: &mut Vec<u8>) -> io::Result<usize>;

    /// Takes the next part.
    ///
    /// # Errors
    /// When nobody listens any more.
    fn emit(&mut self, part: Part) -> Result<()>;
}

/// How it ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// All parts were emitted.
    Done,
    /// A node of the old list is not remembered, or the file ended early: it must be read as a whole.
    Unknown,
}

/// A little more than what is expected is read, to see that a cut is where it was.
const BEYOND_BYTES: u64 = 4 << 10;

/// Makes the parts of the new list from the `old` one.
///
/// # Errors
/// What the parts of [`Recut`] say; reading errors through `failed`.
pub fn recut(
    changed: &Changed<'_>,
    old: &ContentRoot,
    chunker: &Chunker,
    work: &mut dyn Recut,
    failed: &dyn Fn(io::Error) -> crate::Error,
) -> Result<Outcome> {
    let mut run = Run { changed, chunker, work, failed, at: 0, data: Vec::new(), data_at: 0 };
    let mut start = 0;
    for (index, record) in old.records.iter().enumerate() {
        let next = old.records.get(index + 1).map(Record::is_hole);
        if run.visit(old.depth, record, start, next)? == Outcome::Unknown {
            return Ok(Outcome::Unknown);
        }
        start += record.len_bytes;
    }
    run.advance(changed.size_bytes, None)
}

struct Run<'a> {
    changed: &'a Changed<'a>,
    chunker: &'a Chunker,
    work: &'a mut dyn Recut,
    failed: &'a dyn Fn(io::Error) -> crate::Error,
    /// So far the parts reach; the next cut begins here.
    at: u64,
    /// Bytes read ahead, from `data_at` on.
    data: Vec<u8>,
    data_at: u64,
}

impl Run<'_> {
    /// Whether a change touches `range`, its ends included.
    fn is_touched(&self, range: &Range<u64>) -> bool {
        let ranges = self.changed.ranges;
        let first = ranges.partition_point(|changed| changed.end < range.start);
        ranges.get(first).is_some_and(|changed| changed.start <= range.end)
    }

    /// Takes an old record into account. `next_is_hole` is whether the record after it at depth 0 is one, as far as that is known in its list.
    fn visit(&mut self, depth: u8, record: &Record, start: u64, next_is_hole: Option<bool>) -> Result<Outcome> {
        let range = start..start + record.len_bytes;
        if range.end <= self.at || range.start >= self.changed.size_bytes {
            return Ok(Outcome::Done);
        }
        let is_same = self.at == start && range.end <= self.changed.size_bytes && !self.is_touched(&range);
        if depth > 0 {
            // What follows the node is as it was too, or the change would touch it.
            if is_same && self.region_is_wide(range.end) {
                self.at = range.end;
                self.work.emit(Part::Node { depth, record: *record })?;
                return Ok(Outcome::Done);
            }
            let Some(records) = self.work.node(&record.id, depth)? else { return Ok(Outcome::Unknown) };
            let mut start = start;
            for (index, below) in records.iter().enumerate() {
                let next = records.get(index + 1).map(Record::is_hole);
                if self.visit(depth - 1, below, start, next)? == Outcome::Unknown {
                    return Ok(Outcome::Unknown);
                }
                start += below.len_bytes;
            }
            return Ok(Outcome::Done);
        }
        if !record.is_hole() && self.is_cut_as_before(&range, next_is_hole) {
            self.at = range.end;
            self.work.emit(Part::Known(*record))?;
            return Ok(Outcome::Done);
        }
        self.advance(range.end, Some(range.end))
    }

    /// The region of the new file in which `at` lies.
    fn region(&self, at: u64) -> Option<&Range<u64>> {
        let index = self.changed.regions.partition_point(|region| region.end <= at);
        self.changed.regions.get(index).filter(|region| region.start <= at)
    }

    /// A node that ends where the file ends may end in a blob that was cut short there: that is looked at one by one.
    fn region_is_wide(&self, end: u64) -> bool {
        end < self.changed.size_bytes
    }

    /// Whether the blob at `range` comes out of cutting the new content at its start.
    fn is_cut_as_before(&self, range: &Range<u64>, next_is_hole: Option<bool>) -> bool {
        if self.at != range.start || self.is_changed(range) {
            return false;
        }
        let Some(region) = self.region(range.start) else { return false };
        if region.end <= range.end {
            // Cut short by the end of the region, wherever the old one would have been cut.
            return region.end == range.end;
        }
        // The byte after a cut has its part in it.
        if self.is_changed(&(range.end..range.end + 1)) {
            return false;
        }
        // There is more data now; was there before? If the old region ended here, the cut may have been made by that alone.
        let has_full_length = range.end - range.start == self.chunker.max_bytes() as u64;
        has_full_length || (next_is_hole == Some(false)) || (next_is_hole.is_none() && !self.is_touched(range))
    }

    /// Whether a change lies in `range`.
    fn is_changed(&self, range: &Range<u64>) -> bool {
        let ranges = self.changed.ranges;
        let first = ranges.partition_point(|changed| changed.end <= range.start);
        ranges.get(first).is_some_and(|changed| changed.start < range.end)
    }

    /// Goes on from new content until `end` is reached or passed. `hint` is where a cut is expected.
    fn advance(&mut self, end: u64, hint: Option<u64>) -> Result<Outcome> {
        let size_bytes = self.changed.size_bytes;
        while self.at < end.min(size_bytes) {
            match self.region(self.at).cloned() {
                Some(region) => {
                    if !self.cut(region.end.min(size_bytes), hint)? {
                        return Ok(Outcome::Unknown);
                    }
                }
                None => {
                    let index = self.changed.regions.partition_point(|region| region.start <= self.at);
                    let next = self.changed.regions.get(index).map_or(size_bytes, |region| region.start);
                    let len_bytes = next.min(size_bytes) - self.at;
                    self.work.emit(Part::Hole { len_bytes })?;
                    self.at += len_bytes;
                }
            }
        }
        Ok(Outcome::Done)
    }

    /// Cuts one blob of the region that ends at `region_end`; false if the file has fewer bytes than it should.
    fn cut(&mut self, region_end: u64, hint: Option<u64>) -> Result<bool> {
        self.drop_before();
        let left = region_end - self.at;
        let max = (self.chunker.max_bytes() as u64).min(left);
        let params = self.chunker.params();
        let mut wanted = match hint {
            Some(end) if end > self.at => end - self.at + BEYOND_BYTES,
            _ => u64::from(params.avg_bytes) * 3 / 2,
        };
        loop {
            wanted = wanted.min(max);
            let have = self.data.len() as u64;
            if have < wanted {
                let got = self.work.read(self.at + have, (wanted - have) as usize, &mut self.data);
                if (got.map_err(self.failed)? as u64) < wanted - have {
                    return Ok(false);
                }
            }
            let seen = (self.data.len() as u64).min(max);
            let len = self.chunker.cut(&self.data[..seen as usize]) as u64;
            // A cut before the end of what was seen is where it is, whatever follows.
            if len < seen || seen == max {
                let rest = self.data.split_off(len as usize);
                let blob = std::mem::replace(&mut self.data, rest);
                self.at += len;
                self.data_at = self.at;
                self.work.emit(Part::Data(blob))?;
                return Ok(true);
            }
            wanted = seen + u64::from(params.avg_bytes) / 2;
        }
    }

    /// Forgets what was read ahead and is not needed.
    fn drop_before(&mut self) {
        let skip = self.at - self.data_at;
        if skip >= self.data.len() as u64 {
            self.data.clear();
        } else {
            self.data.drain(..skip as usize);
        }
        self.data_at = self.at;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::single_range_in_vec_init)]
#[path = "recut_tests.rs"]
mod tests;
