//! Tests of [`super`].

use super::*;
use crate::format::config::Params;
use proptest::prelude::*;
use std::collections::HashMap;

/// Small sizes, so that little data has many cuts.
fn chunker() -> Chunker {
    let params = Params {
        min_bytes: 64,
        avg_bytes: 256,
        max_bytes: 1024,
        mask_s: 0x0590_0035_3000,
        mask_l: 0x0190_0035_3000,
        inline_max_bytes: 0,
    };
    Chunker::new(&[7; 32], &params)
}

const BLOCK: usize = 128;

/// A file in blocks: none is a hole.
type Blocks = Vec<Option<u8>>;

fn bytes(blocks: &Blocks, size: usize) -> Vec<u8> {
    let block = |b: &Option<u8>| match b {
        None => vec![0; BLOCK],
        Some(seed) => {
            let mut out = vec![0; BLOCK];
            blake3::Hasher::new_keyed(&[*seed % 5; 32]).update(&[*seed]).finalize_xof().fill(&mut out);
            out
        }
    };
    let mut all: Vec<u8> = blocks.iter().flat_map(block).collect();
    all.truncate(size);
    all
}

fn regions(blocks: &Blocks, size: usize) -> Vec<Range<u64>> {
    let mut out: Vec<Range<u64>> = Vec::new();
    for (n, _) in blocks.iter().enumerate().filter(|(_, b)| b.is_some()) {
        let (start, end) = ((n * BLOCK) as u64, ((n + 1) * BLOCK).min(size) as u64);
        match out.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ if start < end => out.push(start..end),
            _ => {}
        }
    }
    out
}

fn id_of(bytes: &[u8]) -> BlobId {
    BlobId(*blake3::hash(bytes).as_bytes())
}

/// What reading everything gives.
fn list(chunker: &Chunker, content: &[u8], regions: &[Range<u64>]) -> Vec<Record> {
    let mut out = Vec::new();
    let mut at = 0;
    for region in regions {
        if region.start > at {
            out.push(Record { id: BlobId::HOLE, len_bytes: region.start - at });
        }
        at = region.start;
        while at < region.end {
            let rest = &content[at as usize..region.end as usize];
            let len = chunker.cut(rest);
            out.push(Record { id: id_of(&rest[..len]), len_bytes: len as u64 });
            at += len as u64;
        }
    }
    if content.len() as u64 > at {
        out.push(Record { id: BlobId::HOLE, len_bytes: content.len() as u64 - at });
    }
    out
}

struct Work<'a> {
    content: &'a [u8],
    nodes: &'a HashMap<BlobId, Vec<Record>>,
    out: Vec<Record>,
    read_bytes: usize,
    whole_nodes: usize,
}

impl Work<'_> {
    fn flatten(&mut self, depth: u8, record: &Record) {
        if depth == 0 {
            self.out.push(*record);
        } else {
            self.nodes[&record.id].clone().iter().for_each(|below| self.flatten(depth - 1, below));
        }
    }
}

impl Recut for Work<'_> {
    fn node(&mut self, id: &BlobId, _: u8) -> Result<Option<Vec<Record>>> {
        Ok(self.nodes.get(id).cloned())
    }
    fn read(&mut self, offset: u64, len_bytes: usize, data: &mut Vec<u8>) -> io::Result<usize> {
        let rest = self.content.get(offset as usize..).unwrap_or_default();
        let got = &rest[..len_bytes.min(rest.len())];
        data.extend_from_slice(got);
        self.read_bytes += got.len();
        Ok(got.len())
    }
    fn emit(&mut self, part: Part) -> Result<()> {
        match part {
            Part::Hole { len_bytes } => match self.out.last_mut() {
                Some(last) if last.is_hole() => last.len_bytes += len_bytes,
                _ => self.out.push(Record { id: BlobId::HOLE, len_bytes }),
            },
            Part::Known(record) => self.out.push(record),
            Part::Node { depth, record } => {
                self.whole_nodes += 1;
                self.flatten(depth, &record);
            }
            Part::Data(blob) => self.out.push(Record { id: id_of(&blob), len_bytes: blob.len() as u64 }),
        }
        Ok(())
    }
}

/// Puts records into nodes of `width`, `depth` times.
fn tree(mut records: Vec<Record>, depth: u8, width: usize, nodes: &mut HashMap<BlobId, Vec<Record>>) -> ContentRoot {
    for _ in 0..depth {
        let groups: Vec<Vec<Record>> = records.chunks(width).map(<[Record]>::to_vec).collect();
        records = groups
            .into_iter()
            .map(|group| {
                let mut bytes = vec![depth];
                group.iter().for_each(|record| record.encode(&mut bytes));
                let record = Record { id: id_of(&bytes), len_bytes: group.iter().map(|r| r.len_bytes).sum() };
                nodes.insert(record.id, group);
                record
            })
            .collect();
    }
    ContentRoot { depth: if records.is_empty() { 0 } else { depth }, records }
}

fn check(old: &Blocks, old_size: usize, new: &Blocks, new_size: usize, extra: &[usize], depth: u8) -> (usize, usize) {
    let chunker = chunker();
    let (before, after) = (bytes(old, old_size), bytes(new, new_size));
    let mut nodes = HashMap::new();
    let old_root = tree(list(&chunker, &before, &regions(old, old_size)), depth, 5, &mut nodes);
    let new_regions = regions(new, new_size);
    // Block by block, and some that have not changed as well; all beyond the shorter one's last whole block.
    let common = old_size.min(new_size) / BLOCK;
    let mut ranges: Vec<Range<u64>> = Vec::new();
    let mut add = |range: Range<u64>| match ranges.last_mut() {
        Some(last) if last.end >= range.start => last.end = range.end,
        _ if range.is_empty() => {}
        _ => ranges.push(range),
    };
    for n in 0..common {
        if old[n] != new[n] || extra.contains(&n) {
            add((n * BLOCK) as u64..((n + 1) * BLOCK) as u64);
        }
    }
    if old_size != new_size || old.get(common) != new.get(common) {
        add((common * BLOCK) as u64..new_size as u64);
    }
    let changed = Changed { size_bytes: new_size as u64, regions: &new_regions, ranges: &ranges };
    let mut work = Work { content: &after, nodes: &nodes, out: Vec::new(), read_bytes: 0, whole_nodes: 0 };
    let done = recut(&changed, &old_root, &chunker, &mut work, &|e| crate::Error::io("read", "it", e)).unwrap();
    assert_eq!(done, Outcome::Done);
    assert_eq!(work.out, list(&chunker, &after, &new_regions));
    (work.read_bytes, work.whole_nodes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn as_if_everything_had_been_read(
        old in proptest::collection::vec(proptest::option::weighted(0.8, 0u8..40), 0..120),
        edits in proptest::collection::vec((0usize..120, proptest::option::weighted(0.7, 0u8..40)), 0..12),
        cut in (0usize..BLOCK, 0usize..BLOCK, 0usize..120, any::<bool>()),
        extra in proptest::collection::vec(0usize..120, 0..4),
        depth in 0u8..3,
    ) {
        let mut new = old.clone();
        for (at, block) in edits {
            if at < new.len() { new[at] = block } else if cut.3 { new.push(block) }
        }
        if !cut.3 { new.truncate(cut.2.max(1)) }
        let size = |blocks: &Blocks, less: usize| (blocks.len() * BLOCK).saturating_sub(less);
        // Without a change of length the file mostly ends within a block.
        let (old_size, new_size) = (size(&old, cut.0), size(&new, if old.len() == new.len() { cut.0 } else { cut.1 }));
        check(&old, old_size, &new, new_size, &extra, depth);
    }
}

#[test]
fn little_is_read_for_a_little_change() {
    let old: Blocks = (0..4000usize).map(|n| Some((n * n % 251) as u8)).collect();
    let mut new = old.clone();
    new[2000] = Some(99);
    let size = old.len() * BLOCK;
    let (read_bytes, whole_nodes) = check(&old, size, &new, size, &[], 2);
    assert!(read_bytes < 3 * 1024 + BEYOND_BYTES as usize, "{read_bytes}");
    assert!(whole_nodes > 30, "{whole_nodes}");
    assert_eq!(check(&old, size, &old, size, &[], 2).0, 0, "nothing is read for nothing");
}

#[test]
fn what_is_not_remembered_is_said() {
    let chunker = chunker();
    let content = vec![1; 4096];
    let old = ContentRoot { depth: 1, records: vec![Record { id: id_of(b"gone"), len_bytes: 4096 }] };
    let changed = Changed { size_bytes: 4096, regions: &[0..4096], ranges: &[0..128] };
    let mut work = Work { content: &content, nodes: &HashMap::new(), out: Vec::new(), read_bytes: 0, whole_nodes: 0 };
    let done = recut(&changed, &old, &chunker, &mut work, &|e| crate::Error::io("read", "it", e)).unwrap();
    assert_eq!(done, Outcome::Unknown);
}
