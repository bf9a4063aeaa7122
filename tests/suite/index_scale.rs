//! How large the local index is and how fast blobs are looked up in it.
//!
//! `PANTHER_INDEX_BLOBS=N` measures that many; time is only told, never judged.

use crate::generations::number;
use panther::format::header::BlobKind;
use panther::format::index::PackRecord;
use panther::format::pack::{Codec, Segment};
use panther::id::{BlobId, ObjectId, RepoId, WriterName};
use panther::state::State;
use std::time::Instant;

/// Blobs of a pack: those of 60 MiB of data cut at 64 KiB.
const PACK_BLOBS: u64 = 1_000;
const SEGMENT_BLOBS: u64 = 16;
/// As many as a sync takes in at a time.
const BATCH_BLOBS: u64 = 2_000_000;

fn id(number: u64) -> BlobId {
    BlobId(*blake3::hash(&number.to_le_bytes()).as_bytes())
}

fn pack(number: u64) -> PackRecord {
    let first = number * PACK_BLOBS;
    let segment = |at: u64| {
        let blobs: Vec<_> = (at..(at + SEGMENT_BLOBS).min(first + PACK_BLOBS)).map(|n| (id(n), 60_000)).collect();
        Segment { stored_bytes: 600_000, plain_bytes: 60_000 * blobs.len() as u32, codec: Codec::Zstd, blobs }
    };
    PackRecord {
        id: ObjectId::of(&number.to_le_bytes()),
        kind: BlobKind::Data,
        size_bytes: 60 << 20,
        segments: (first..first + PACK_BLOBS).step_by(SEGMENT_BLOBS as usize).map(segment).collect(),
        writer: WriterName::new("scale").unwrap(),
        checked: true,
        repeated: false,
        later: Vec::new(),
    }
}

#[test]
fn every_blob_is_found() {
    let blobs = number("PANTHER_INDEX_BLOBS", 200_000);
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(folder.path(), &RepoId([7; 32])).unwrap();
    let begun = Instant::now();
    let mut next = 0;
    while next < blobs / PACK_BLOBS {
        let end = (next + BATCH_BLOBS / PACK_BLOBS).min(blobs / PACK_BLOBS);
        let packs: Vec<_> = (next..end).map(|n| (pack(n), true)).collect();
        state.learn(&packs, &[ObjectId::of(&next.to_be_bytes())]).unwrap();
        next = end;
    }
    let learnt_secs = begun.elapsed().as_secs_f64();
    let path = state.path().to_owned();
    let view = state.blob_view().unwrap();
    let begun = Instant::now();
    let looked_up = blobs.min(1_000_000);
    let known = (0..looked_up).filter(|n| view.place(&id(n * 7_919 % blobs)).unwrap().is_some()).count();
    let known_rate = looked_up as f64 / begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let unknown = (0..looked_up).filter(|n| view.place(&id(blobs + n)).unwrap().is_none()).count();
    let unknown_rate = looked_up as f64 / begun.elapsed().as_secs_f64();
    assert_eq!((known as u64, unknown as u64), (looked_up, looked_up));
    drop(view);
    drop(state);
    let bytes = std::fs::metadata(path).unwrap().len();
    let each = bytes as f64 / blobs as f64;
    println!(
        "{blobs} blobs: {each:.1} bytes of disk each, learnt in {learnt_secs:.1} s, {known_rate:.0} known and {unknown_rate:.0} unknown ones looked up a second"
    );
    // Twice what redb takes in random order: something is stored that should not be.
    assert!(each <= 150.0, "{each} bytes of disk a blob");
}
