//! The three things that every byte or blob goes through: cutting, sealing, look-up.
#![allow(clippy::unwrap_used, missing_docs)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use panther::chunk::Chunker;
use panther::format::config::Params;
use panther::format::header::{BlobKind, Header};
use panther::format::index::PackRecord;
use panther::format::keyfile::{Epoch, Secret};
use panther::format::pack::{Codec, Segment};
use panther::id::{BlobId, ObjectId, RepoId, WriterName};
use panther::seal::{self, PackSeal};
use panther::state::State;
use std::hint::black_box;

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    blake3::Hasher::new_keyed(&key).finalize_xof().fill(&mut out);
    out
}

fn cutting(c: &mut Criterion) {
    let chunker = Chunker::new(&[7; 32], &Params::default());
    let data = noise(1, 16 << 20);
    let mut group = c.benchmark_group("cutting");
    group.throughput(Throughput::Bytes(data.len() as u64));
    group.bench_function("cut 16 MiB", |b| {
        b.iter(|| {
            let (mut rest, mut count) = (&data[..], 0);
            while !rest.is_empty() {
                rest = &rest[chunker.cut(rest)..];
                count += 1;
            }
            black_box(count)
        });
    });
    group.bench_function("ids of 64 KiB blobs of 16 MiB", |b| {
        b.iter(|| {
            data.chunks(64 << 10)
                .map(|blob| blake3::keyed_hash(&[3; 32], blob).as_bytes()[0])
                .fold(0u8, u8::wrapping_add)
        });
    });
    group.finish();
}

fn sealing(c: &mut Criterion) {
    let random = &mut seal::system_random();
    let (private, public) = seal::new_key_pair(random);
    let epoch = Epoch { number: 1, public, index_key: Secret([1; 32]), private: None };
    let header = Header { kind: BlobKind::Data.pack(), epoch: 1, repo: RepoId([2; 32]) };
    let pack = PackSeal::create(&header, &epoch, random).unwrap();
    let plain = noise(2, 1 << 20);
    let mut group = c.benchmark_group("sealing");
    group.bench_function("open a pack's key", |b| {
        b.iter(|| PackSeal::open(black_box(pack.preamble()), &private).is_ok());
    });
    group.throughput(Throughput::Bytes(plain.len() as u64));
    group.bench_function("seal 1 MiB", |b| {
        b.iter_batched(
            || Vec::from(&plain[..]),
            |mut buffer| {
                pack.seal_segment(0, &mut buffer);
                buffer
            },
            criterion::BatchSize::LargeInput,
        );
    });
    let mut sealed = plain.clone();
    pack.seal_segment(0, &mut sealed);
    group.bench_function("open 1 MiB", |b| {
        b.iter_batched(
            || sealed.clone(),
            |mut buffer| {
                pack.open_segment(0, &mut buffer).unwrap();
                buffer
            },
            criterion::BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn look_up(c: &mut Criterion) {
    const BLOBS: u64 = 1_000_000;
    let folder = tempfile::TempDir::new().unwrap();
    let state = State::open(folder.path(), &RepoId([1; 32])).unwrap();
    let id = |n: u64| BlobId(*blake3::hash(&n.to_le_bytes()).as_bytes());
    let segments = |pack: u64| {
        (0..100)
            .map(|s| Segment {
                stored_bytes: 1016,
                plain_bytes: 100_000,
                codec: Codec::Zstd,
                blobs: (0..100).map(|b| (id(pack * 10_000 + s * 100 + b), 1_000)).collect(),
            })
            .collect()
    };
    let packs: Vec<_> = (0..BLOBS / 10_000)
        .map(|pack| {
            let record = PackRecord {
                id: ObjectId::of(&pack.to_le_bytes()),
                kind: BlobKind::Data,
                size_bytes: 1 << 20,
                segments: segments(pack),
                writer: WriterName::new("bench").unwrap(),
                checked: true,
                repeated: false,
                later: Vec::new(),
            };
            (record, true)
        })
        .collect();
    state.learn(&packs, &[]).unwrap();
    let size_bytes = std::fs::metadata(state.path()).unwrap().len();
    eprintln!("state of {BLOBS} blobs: {size_bytes} bytes, {:.1} a blob", size_bytes as f64 / BLOBS as f64);
    let view = state.blob_view().unwrap();
    let mut group = c.benchmark_group("look-up");
    group.throughput(Throughput::Elements(1_000));
    let mut next = 0;
    group.bench_function("1,000 known blobs of 1,000,000", |b| {
        b.iter(|| {
            next = (next + 7_919_000) % BLOBS;
            (0..1_000).filter(|n| view.place(&id((next + n * 991) % BLOBS)).unwrap().is_some()).count()
        });
    });
    group.bench_function("1,000 unknown blobs of 1,000,000", |b| {
        b.iter(|| {
            next += 1_000;
            (0..1_000).filter(|n| view.place(&id(BLOBS + next + n)).unwrap().is_some()).count()
        });
    });
    group.finish();
}

criterion_group!(benches, cutting, sealing, look_up);
criterion_main!(benches);
