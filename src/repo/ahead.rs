//! Which parts of a pack to ask a store over a network for: few large ranges rather than many small ones.

use crate::format::pack::PREAMBLE_BYTES;
use crate::state::blobs::PackInfo;
use std::ops::Range;

/// Of a tree pack so many segments are fetched at once.
pub(super) const TREE_SEGMENTS: u16 = 12;
/// So many neighbouring segments show that the pack is being read from front to back …
const RUN_SEGMENTS: usize = 4;
/// … and that up to so many times their bytes, of what comes after them, will be wanted next.
const AHEAD: u64 = 8;

/// The ranges for these segments, which are in order, of a pack whose preamble was read if `is_open`; and what is likely to be read after them.
/// `follows`: another pack was read to its end.
pub(super) fn ranges(info: &PackInfo, ordinals: &[u16], is_open: bool, follows: bool) -> Vec<Range<u64>> {
    let place =
        |ordinal: u16| info.segments.get(usize::from(ordinal)).map(|s| s.offset..s.offset + u64::from(s.stored_bytes));
    let mut ranges: Vec<Range<u64>> = ordinals.iter().filter_map(|ordinal| place(*ordinal)).collect();
    if ranges.is_empty() {
        return ranges;
    }
    if let Some(last) = ordinals.last() {
        let in_run = ordinals.iter().rev().zip((0..=*last).rev()).take_while(|(have, next)| **have == *next).count();
        let run_bytes: u64 = ranges.iter().rev().take(in_run).map(|range| range.end - range.start).sum();
        let comes_on = follows && in_run == ordinals.len() && ordinals.first() == Some(&0);
        if comes_on || in_run >= RUN_SEGMENTS {
            let mut left_bytes = if comes_on { u64::MAX } else { run_bytes.saturating_mul(AHEAD) };
            for range in (last.saturating_add(1)..).map_while(place) {
                let len_bytes = range.end - range.start;
                if len_bytes > left_bytes {
                    break;
                }
                left_bytes -= len_bytes;
                ranges.push(range);
            }
        }
    }
    if !is_open {
        ranges.push(0..PREAMBLE_BYTES as u64);
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::header::BlobKind;
    use crate::format::pack::Codec;
    use crate::id::{ObjectId, WriterName};
    use crate::state::blobs::SegmentPlace;

    const FIRST: u64 = PREAMBLE_BYTES as u64;

    /// A pack of 60 segments of 1,000 bytes.
    fn pack() -> PackInfo {
        let segment = |n: u64| SegmentPlace {
            offset: FIRST + n * 1_000,
            stored_bytes: 1_000,
            plain_bytes: 1,
            codec: Codec::None,
        };
        PackInfo {
            id: ObjectId([0; 32]),
            writer: WriterName::from_host("w"),
            kind: BlobKind::Data,
            size_bytes: FIRST + 61_000,
            trusted: true,
            segments: (0..60).map(segment).collect(),
        }
    }

    /// How many segments are asked for, and whether the preamble.
    fn asked(ordinals: &[u16], is_open: bool, follows: bool) -> (usize, bool) {
        let ranges = ranges(&pack(), ordinals, is_open, follows);
        let preamble = ranges.contains(&(0..FIRST));
        (ranges.len() - usize::from(preamble), preamble)
    }

    #[test]
    fn reading_on_is_foreseen() {
        assert_eq!(asked(&[], false, true), (0, false));
        assert_eq!(asked(&[3], false, false), (1, true));
        assert_eq!(asked(&[3, 9, 20], true, false), (3, false));
        assert_eq!(asked(&[0, 1, 2, 3], true, false), (36, false));
        assert_eq!(asked(&[20, 30, 31, 32, 33], true, false), (31, false));
        assert_eq!(asked(&(0..30).collect::<Vec<_>>(), true, false), (60, false));
        // Another pack was read to its end.
        assert_eq!(asked(&[0], false, true), (60, true));
        assert_eq!(asked(&[1], false, true), (1, true));
        assert_eq!(asked(&[0, 5], false, true), (2, true));
        // What the index does not have is not asked for.
        assert_eq!(asked(&[59, 60, 61], true, false), (1, false));
    }
}
