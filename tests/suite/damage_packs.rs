//! Checks of packs made by hand: those that lie, those of a newer program, and very many blobs.

use crate::damage_check::{ALL, STRUCTURE, brief, check_objects};
use crate::damage_world::{Objects, World, open, random_bytes, read_all, writer};
use panther::backend::local::LocalBackend;
use panther::error::Result;
use panther::format::content::{ContentRoot, Record};
use panther::format::entry::{Entry, Node};
use panther::format::header::{BlobKind, Header, Kind};
use panther::format::index::{Index, PackRecord};
use panther::format::name::Name;
use panther::format::pack::{Codec, Segment, Trailer, encode_toc};
use panther::format::snapshot::{Manifest, Root, Summary};
use panther::format::time::Time;
use panther::id::{BlobId, ObjectId};
use panther::keys::wrap::{Recipient, new_identity};
use panther::ops::Silent;
use panther::ops::check::{FindingKind, check};
use panther::repo::Repository;
use panther::seal::{PackSeal, system_random};
use std::sync::Arc;

/// Makes a pack by hand: for each segment its codec and blobs.
fn make_pack(repo: &Repository, kind: BlobKind, segments: &[(Codec, Vec<Vec<u8>>)]) -> Result<(PackRecord, Vec<u8>)> {
    let epoch = repo.keys().current_epoch();
    let header = Header { kind: kind.pack(), epoch: epoch.number, repo: repo.keys().repo() };
    let seal = PackSeal::create(&header, epoch, &mut system_random()).unwrap();
    let mut bytes = seal.preamble().to_vec();
    let mut table = Vec::new();
    for (ordinal, (codec, blobs)) in (0..).zip(segments) {
        let mut buffer = blobs.concat();
        let plain_bytes = u32::try_from(buffer.len()).unwrap();
        let blobs = blobs.iter().map(|b| (repo.keys().blob_id(kind, b), u32::try_from(b.len()).unwrap())).collect();
        seal.seal_segment(ordinal, &mut buffer);
        table.push(Segment { stored_bytes: u32::try_from(buffer.len()).unwrap(), plain_bytes, codec: *codec, blobs });
        bytes.extend(buffer);
    }
    let mut toc = encode_toc(&table);
    seal.seal_toc(&mut toc);
    let count = u32::try_from(table.len()).unwrap();
    bytes.extend(&toc);
    bytes.extend(Trailer { toc_bytes: u32::try_from(toc.len()).unwrap(), segments: count }.encode());
    let (id, size_bytes, owner) = (ObjectId::of(&bytes), bytes.len() as u64, writer("alpha"));
    let (repeated, later) = (false, Vec::new());
    Ok((PackRecord { id, kind, size_bytes, segments: table, writer: owner, checked: true, repeated, later }, bytes))
}

/// The objects with a pack more that an index object names.
fn add_pack(world: &World, objects: &mut Objects, packs: Vec<(PackRecord, Vec<u8>)>) -> Vec<String> {
    let repo = world.repo();
    let mut records = Vec::new();
    let mut names = Vec::new();
    for (record, bytes) in packs {
        let name = Name::Pack(record.writer.clone(), record.id).to_string();
        objects.insert(name.clone(), bytes);
        names.push(name);
        records.push(record);
    }
    let signer = world.signer(&repo, "alpha");
    let plaintext = Index { packs: records, superseded: Vec::new() }.encode();
    let object = signer.seal(Kind::Index, repo.keys().current_epoch(), plaintext, &mut system_random());
    objects.insert(Name::Index(writer("alpha"), ObjectId::of(&object)).to_string(), object);
    names
}

#[test]
fn a_segment_of_a_newer_program_is_no_damage() {
    let world = World::new();
    let segments = [(Codec::Other(9), vec![random_bytes(1, 500)]), (Codec::None, vec![random_bytes(2, 500)])];
    let mut objects = world.objects.clone();
    let made = make_pack(&world.repo(), BlobKind::Data, &segments).unwrap();
    let names = add_pack(&world, &mut objects, vec![made]);
    let report = check_objects(&world, &objects, &ALL);
    assert_eq!(report.exit_code(), 14, "{:?}", report.errors);
    assert!(report.errors.iter().all(|f| f.object.contains(&names[0]) && f.object.contains("segment 0")));
}

#[test]
fn packs_that_lie_are_found_out() {
    let world = World::new();
    let repo = world.repo();
    let honest = make_pack(&repo, BlobKind::Data, &[(Codec::None, vec![random_bytes(1, 500), random_bytes(2, 300)])]);
    let (record, bytes) = honest.unwrap();
    // The index names other blobs than the table, and other lengths.
    let mut liar = record.clone();
    liar.segments[0].blobs[0].0 = BlobId([7; 32]);
    let mut objects = world.objects.clone();
    let names = add_pack(&world, &mut objects, vec![(liar, bytes.clone())]);
    let report = check_objects(&world, &objects, &ALL);
    assert!(report.errors.iter().any(|f| f.kind == FindingKind::Index && f.object == names[0]), "{:?}", report.errors);
    // Two index objects that differ.
    add_pack(&world, &mut objects, vec![(record, bytes)]);
    let report = check_objects(&world, &objects, &STRUCTURE);
    assert!(
        report.errors.iter().any(|f| f.kind == FindingKind::Index && f.what.contains(&names[0])),
        "{:?}",
        report.errors
    );
    // One whose bytes are right, but are not what it says.
    let mut table_lies = make_pack(&repo, BlobKind::Data, &[(Codec::Zstd, vec![random_bytes(3, 400)])]).unwrap();
    table_lies.0.checked = false;
    let mut objects = world.objects.clone();
    let names = add_pack(&world, &mut objects, vec![table_lies]);
    let report = check_objects(&world, &objects, &ALL);
    assert_eq!(brief(&report.errors), [(FindingKind::Damaged, names[0].clone())]);
}

/// The blobs of a pack, as the index has them.
fn ids_of(world: &World, pack: &str) -> Vec<(BlobId, u32)> {
    let repo = world.repo();
    let mut found = Vec::new();
    for name in world.names("/index/") {
        let index = repo.signed(&Name::parse(&name).unwrap(), |o| Index::decode(&o.plaintext)).unwrap();
        let records = index.packs.into_iter().filter(|p| Name::Pack(p.writer.clone(), p.id).to_string() == pack);
        found.extend(records.flat_map(|p| p.segments).flat_map(|s| s.blobs));
    }
    found
}

#[test]
fn a_second_good_copy_saves_a_blob() {
    let world = World::new();
    let repo = world.repo();
    let state = world.new_state(&repo);
    read_all(&repo, &state).unwrap();
    let lost = world.packs(BlobKind::Tree)[0].clone();
    // Every blob of that pack once more, in a pack of its own.
    let view = panther::repo::reader::BlobReader::new(&repo, &state).unwrap();
    let mut blobs = Vec::new();
    for (id, len_bytes) in ids_of(&world, &lost) {
        blobs.push(view.blob(BlobKind::Tree, &id, len_bytes.into()).unwrap().to_vec());
    }
    let mut objects = world.objects.clone();
    let made = make_pack(&repo, BlobKind::Tree, &[(Codec::None, blobs)]).unwrap();
    add_pack(&world, &mut objects, vec![made]);
    let bytes = objects.get_mut(&lost).unwrap();
    bytes[60] ^= 1;
    let report = check_objects(&world, &objects, &ALL);
    assert!(!report.errors.is_empty() && report.errors.iter().all(|f| f.object.contains(&lost)), "{:?}", report.errors);
    assert!(report.affected.is_empty(), "{:?}", report.affected);
}

/// Bytes of memory of this process: now, and at most so far.
fn memory_bytes() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    };
    (field("VmRSS:"), field("VmHWM:"))
}

#[test]
#[ignore = "slow: makes a million blobs; to be run alone"]
fn a_million_blobs_take_little_memory() {
    const BLOBS: u64 = 1_000_000;
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(LocalBackend::create(&folder.path().join("repo")).unwrap());
    let (secret, recipient) = new_identity();
    let repo = Repository::init(store, &Recipient::Recipients(vec![recipient]), "test", 1).unwrap();
    let mut packs = Vec::new();
    let mut store_pack = |kind, blobs: Vec<Vec<u8>>| {
        let segments: Vec<_> =
            blobs.chunks(if kind == BlobKind::Data { 5_000 } else { 20 }).map(|c| (Codec::None, c.to_vec())).collect();
        let (record, bytes) = make_pack(&repo, kind, &segments).unwrap();
        repo.put(&Name::Pack(record.writer.clone(), record.id), &bytes).unwrap();
        packs.push(record);
    };
    let mut records = Vec::new();
    for start in (0..BLOBS).step_by(100_000) {
        let blobs: Vec<Vec<u8>> = (start..start + 100_000).map(|n| random_bytes(n, 200)).collect();
        records.extend(blobs.iter().map(|b| Record { id: repo.keys().blob_id(BlobKind::Data, b), len_bytes: 200 }));
        store_pack(BlobKind::Data, blobs);
    }
    let mut depth = 0;
    while records.len() > 32 {
        let mut nodes = Vec::new();
        let mut above = Vec::new();
        for node in records.chunks(1_000) {
            let mut bytes = Vec::new();
            node.iter().for_each(|record| record.encode(&mut bytes));
            let id = repo.keys().blob_id(BlobKind::Tree, &bytes);
            above.push(Record { id, len_bytes: node.iter().map(|r| r.len_bytes).sum() });
            nodes.push(bytes);
        }
        store_pack(BlobKind::Tree, nodes);
        records = above;
        depth += 1;
    }
    let signer = repo.keys().signer(Some(&writer("alpha"))).unwrap();
    for pack in packs {
        repo.write_index(&signer, vec![pack]).unwrap();
    }
    let node = Node::File(ContentRoot { depth, records });
    let entry = Entry {
        name: Vec::new(),
        node,
        mode: 0o644,
        uid: 0,
        gid: 0,
        user: None,
        group: None,
        mtime: Time::now(),
        btime: None,
        xattrs: Vec::new(),
        link: None,
        flags: 0,
        boundary: None,
    };
    let manifest = Manifest {
        user: String::new(),
        program: String::new(),
        tags: Vec::new(),
        roots: vec![Root { path: b"/file".to_vec(), entry }],
        summary: Summary::default(),
        excludes: Vec::new(),
        parent: None,
        origin: None,
    };
    repo.write_snapshot(&signer, &[], Time::now(), "host", &manifest).unwrap();
    drop((repo, signer));

    let store = LocalBackend::open(&folder.path().join("repo")).unwrap();
    let repo = open(store, &secret).unwrap();
    let state = panther::state::State::open(&folder.path().join("state"), &repo.keys().repo()).unwrap();
    for options in [STRUCTURE, ALL] {
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let (before, _) = memory_bytes();
        let report = check(&repo, &state, &options, &Silent).unwrap();
        let (_, peak) = memory_bytes();
        assert_eq!((brief(&report.errors), report.data_blobs), (Vec::new(), BLOBS));
        println!("{} MiB above {} MiB, {:.1} s", (peak - before) >> 20, before >> 20, report.elapsed_secs);
        assert!(peak - before < 256 << 20, "{} MiB", (peak - before) >> 20);
    }
}
