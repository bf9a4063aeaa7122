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
pub(super) fn ranges(info: &PackInfo, ordinals: &[u16], is_open: bool) -> Vec<Range<u64>> {
    let place =
        |ordinal: u16| info.segments.get(usize::from(ordinal)).map(|s| s.offset..s.offset + u64::from(s.stored_bytes));
    let mut ranges: Vec<Range<u64>> = ordinals.iter().filter_map(|ordinal| place(*ordinal)).collect();
    if ranges.is_empty() {
        return ranges;
    }
    if let Some(last) = ordinals.last() {
        let in_run = ordinals.iter().rev().zip((0..=*last).rev()).take_while(|(have, next)| **have == *next).count();
        let run_bytes: u64 = ranges.iter().rev().take(in_run).map(|range| range.end - range.start).sum();
        if in_run >= RUN_SEGMENTS {
            let mut left_bytes = run_bytes.saturating_mul(AHEAD);
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
