//! Lists of extents, against a model that looks at every byte.
#![allow(clippy::unwrap_used, clippy::single_range_in_vec_init)]

use super::*;
use proptest::prelude::*;

/// The model's files are this long.
const END: u64 = 64;
/// Blocks are small, so that much happens in few bytes.
const SECTOR: u64 = 4;

/// What the byte at a place is: equal only if it is known to be the same.
#[derive(Clone, PartialEq, Debug)]
enum Byte {
    Zero,
    Disk(u64, u64, u8, u64),
    Inline(Extent),
    Unknown(usize),
}

fn byte(list: &[Extent], place: u64, side: usize) -> Byte {
    let Some(extent) = list.iter().find(|e| e.start <= place && place < e.end(SECTOR)) else { return Byte::Zero };
    match &extent.kind {
        ExtentKind::Hole | ExtentKind::Prealloc => Byte::Zero,
        ExtentKind::Inline { .. } => Byte::Inline(extent.clone()),
        ExtentKind::Unknown => Byte::Unknown(side),
        ExtentKind::Data { disk_bytenr, disk_bytes, offset, compression } => {
            Byte::Disk(*disk_bytenr, *disk_bytes, *compression, offset + place - extent.start)
        }
    }
}

/// Lists in order without overlap, of few values, so that much is alike.
fn list() -> impl Strategy<Value = Vec<Extent>> {
    let kind = prop_oneof![
        4 => (1_u64..3, 1_u64..3, 0_u64..3, 0_u8..2).prop_map(|(disk_bytenr, disk_bytes, offset, compression)| {
            ExtentKind::Data { disk_bytenr, disk_bytes, offset: offset * SECTOR, compression }
        }),
        1 => Just(ExtentKind::Prealloc),
        1 => Just(ExtentKind::Hole),
        1 => Just(ExtentKind::Unknown),
        1 => proptest::collection::vec(0_u8..2, 0..3).prop_map(|bytes| ExtentKind::Inline { compression: 0, bytes }),
    ];
    proptest::collection::vec((0_u64..3, 1_u64..4, kind), 0..12).prop_map(|parts| {
        let mut at = 0;
        parts
            .into_iter()
            .map(|(gap, len, kind)| {
                let start = at + gap * SECTOR;
                let inline = matches!(kind, ExtentKind::Inline { .. });
                let len_bytes = len * SECTOR - u64::from(inline);
                at = start + len * SECTOR;
                Extent { start, len_bytes, kind }
            })
            .collect()
    })
}

fn supply(list: &[Extent]) -> impl FnMut() -> io::Result<Option<Extent>> {
    let mut list = list.iter();
    move || Ok(list.next().cloned())
}

proptest! {
    #[test]
    fn what_differs_is_what_the_model_says(old in list(), new in list(), from in 0..END, len in 0..END) {
        let window = from..(from + len).min(END);
        let mut found = RangeSet::default();
        compare(supply(&old), supply(&new), window.clone(), SECTOR, &mut found).unwrap();
        for place in 0..END {
            let said = found.0.iter().any(|range| range.contains(&place));
            let differs = window.contains(&place) && byte(&old, place, 0) != byte(&new, place, 1);
            prop_assert_eq!(said, differs, "at {}: {:?}", place, found);
        }
    }

    #[test]
    fn runs_are_what_the_model_says(list in list(), from in 0..END, len in 0..END) {
        let window = from..(from + len).min(END);
        let mut at = window.start;
        for run in runs(supply(&list), window.clone(), SECTOR).unwrap() {
            prop_assert_eq!(run.file_offset, at);
            for n in 0..run.len_bytes {
                let same = match (run.kind, byte(&list, at + n, 0)) {
                    (PhysicalKind::Hole | PhysicalKind::Prealloc, Byte::Zero) => true,
                    (PhysicalKind::Inline, Byte::Inline(_)) | (PhysicalKind::Unknown, Byte::Unknown(_)) => true,
                    (PhysicalKind::Data { disk_bytenr, disk_bytes, offset, compression }, byte) => {
                        byte == Byte::Disk(disk_bytenr, disk_bytes, compression, offset + n)
                    }
                    _ => false,
                };
                prop_assert!(same, "at {}: {:?}", at + n, run);
            }
            at += run.len_bytes;
        }
        prop_assert_eq!(at, window.end);
    }

    #[test]
    fn overlapping_or_disordered_extents_end(mut list in list(), other in list()) {
        list.extend(other.clone());
        let mut found = RangeSet::default();
        compare(supply(&list), supply(&other), 0..END, SECTOR, &mut found).unwrap();
        runs(supply(&list), 0..END, SECTOR).unwrap();
    }
}

#[test]
fn sets_of_ranges() {
    let mut set = RangeSet::default();
    for range in [5..5, 0..4, 4..8, 6..7, 10..12, 11..20] {
        set.push(range);
    }
    assert_eq!(set.len(), 2);
    assert_eq!(set.clone().finish(30, 30), [0..8, 10..20]);
    assert_eq!(set.clone().finish(15, 40), [0..8, 10..40], "what is beyond is there whole");
    assert_eq!(set.clone().finish(10, 10), [0..8]);
    assert_eq!(set.clone().finish(6, 7), [0..7]);
    assert_eq!(RangeSet::default().finish(0, 0), [] as [Range<u64>; 0]);
}

#[test]
fn what_counts_in_the_sum_of_bytes() {
    let data = ExtentKind::Data { disk_bytenr: 1, disk_bytes: 1, offset: 0, compression: 0 };
    let counted = |kind: ExtentKind, window: Range<u64>| {
        Extent { start: 10, len_bytes: 10, kind }.counted_within(&window, SECTOR)
    };
    assert_eq!(counted(data.clone(), 0..100), 10);
    assert_eq!(counted(data.clone(), 12..15), 3);
    assert_eq!(counted(data, 30..40), 0);
    assert_eq!(counted(ExtentKind::Hole, 0..100), 0);
    assert_eq!(counted(ExtentKind::Prealloc, 15..100), 5);
    let inline = ExtentKind::Inline { compression: 0, bytes: vec![1] };
    assert_eq!(counted(inline.clone(), 0..100), 10, "not the whole block");
    assert_eq!(counted(inline, 11..100), 0);
}
