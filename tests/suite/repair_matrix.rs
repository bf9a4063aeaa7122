//! The damage matrix with `repair`: every pack and every index object, damaged in each way. With a second copy everything comes back; without one what is lost
//! is named file by file, and everything else restores as it was.

use crate::damage_check::ALL;
use crate::damage_world::{Objects, Place, World, objects_of, open, random_bytes, read_all, store_of, writer};
use panther::egress::Budget;
use panther::format::header::BlobKind;
use panther::id::ObjectId;
use panther::ops::Silent;
use panther::ops::check::{Amount, check};
use panther::ops::repair::Sources;
use panther::ops::repair::index::{IndexOptions, IndexReport, repair_index};
use panther::ops::repair::packs::{PacksOptions, PacksReport, repair_packs};
use panther::ops::repair::snapshots::{SnapshotsOptions, SnapshotsReport, repair_snapshots};
use panther::repo::Repository;
use panther::repo::reader::BlobReader;
use panther::state::State;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

/// The store, the repository on it and a state.
struct Bench {
    store: panther::backend::memory::MemoryBackend,
    repo: Repository,
    state: State,
}

impl Bench {
    fn new(world: &World, objects: &Objects) -> Self {
        let store = store_of(objects);
        let repo = open(store.clone(), &world.admin).unwrap();
        let state = world.new_state(&repo);
        Self { store, repo, state }
    }

    fn index(&self) -> IndexReport {
        repair_index(&self.repo, &self.state, &IndexOptions::default(), &Silent, &mut |_| Ok(true)).unwrap()
    }

    fn packs(&self, copies: &[BlobReader<'_>]) -> PacksReport {
        let writer = writer("alpha");
        // What the source of the world's snapshots is, now that it has gone on, is another test's.
        let sources = Sources { repositories: copies, folders: &[], live: false, excludes: &[] };
        let options = PacksOptions { read_data: Amount::All, budget: Budget::default(), sources, writer: &writer };
        repair_packs(&self.repo, &self.state, &options, &Silent, &mut |_| Ok(true)).unwrap()
    }

    fn snapshots(&self) -> SnapshotsReport {
        let writer = writer("alpha");
        let options =
            SnapshotsOptions { read_data: Amount::Doubtful, budget: Budget::default(), forget: true, writer: &writer };
        repair_snapshots(&self.repo, &self.state, &options, &Silent, &mut |_| Ok(true)).unwrap()
    }

    /// Everything that reads well now, with another state; and with which code `check` ends.
    fn now(&self, world: &World) -> (BTreeMap<Place, Vec<u8>>, u8) {
        let (read, _) = read_all(&self.repo, &world.new_state(&self.repo)).unwrap();
        let right = read.into_iter().filter_map(|(place, bytes)| Some((place, bytes.ok()?))).collect();
        (right, check(&self.repo, &world.new_state(&self.repo), &ALL, &Silent).unwrap().exit_code())
    }
}

/// Each way of damage: its name, and what becomes of the bytes.
fn ways(bytes: &[u8]) -> Vec<(&'static str, Option<Vec<u8>>)> {
    let len = bytes.len();
    let flipped = |at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 0x55;
        Some(bytes)
    };
    vec![
        ("missing", None),
        ("cut to half", Some(bytes[..len / 2].to_vec())),
        ("cut to nothing", Some(Vec::new())),
        ("header flipped", flipped(9)),
        ("key flipped", flipped(100)),
        ("early byte flipped", flipped(140)),
        ("middle byte flipped", flipped(len / 2)),
        ("table flipped", flipped(len - 40)),
        ("trailer flipped", flipped(len - 10)),
        ("other bytes", Some(random_bytes(3, len))),
    ]
}

fn damaged(world: &World, name: &str, bytes: Option<Vec<u8>>) -> Objects {
    let mut objects = world.objects.clone();
    objects.remove(name);
    objects.extend(bytes.map(|bytes| (name.to_owned(), bytes)));
    objects
}

/// With a second copy: everything that every snapshot had.
fn with_a_copy(world: &World, objects: &Objects) -> Result<(), String> {
    let bench = Bench::new(world, objects);
    let copy = world.repo();
    let state = world.new_state(&copy);
    copy.sync(&state, None, &copy.statements().unwrap()).unwrap();
    bench.index();
    let report = bench.packs(&[BlobReader::new(&copy, &state).unwrap()]);
    if report.lost_blobs > 0 || !report.affected.is_empty() {
        return Err(format!("{} blobs are lost although a copy has them", report.lost_blobs));
    }
    let (now, code) = bench.now(world);
    if now != world.files || code != 0 {
        return Err(format!("not everything is back, or check ends with {code}"));
    }
    // Nothing that was there has gone.
    let after = objects_of(&bench.store);
    match objects.iter().find(|(name, bytes)| after.get(*name) != Some(bytes)) {
        Some((name, _)) => Err(format!("{name} was changed or removed")),
        None => Ok(()),
    }
}

/// Without one: whatever is not named is as it was.
fn alone(world: &World, objects: &Objects) -> Result<u64, String> {
    let bench = Bench::new(world, objects);
    bench.index();
    let packs = bench.packs(&[]);
    let done = bench.snapshots();
    let lost: BTreeSet<(ObjectId, &str)> = done.lost.iter().map(|lost| (lost.snapshot, &lost.path[..])).collect();
    if packs.lost_blobs == 0 && !lost.is_empty() {
        return Err("something is given up although nothing was lost".into());
    }
    let (now, code) = bench.now(world);
    if code != 0 {
        return Err(format!("check ends with {code} after all repairs"));
    }
    let new_id = |old: ObjectId| {
        let one = done.snapshots.iter().find(|one| one.snapshot == old);
        one.map_or(Some(old), |one| if one.nothing_left { None } else { one.new })
    };
    for (place, bytes) in &world.files {
        let is_named = |(snapshot, path): &(ObjectId, &str)| {
            *snapshot == place.0 && (*path == place.1 || (path.ends_with('/') && place.1.starts_with(path)))
        };
        let is_lost = lost.iter().any(is_named);
        let there = new_id(place.0).and_then(|id| now.get(&(id, place.1.clone())));
        match there {
            Some(same) if same == bytes => {}
            None if is_lost => {}
            _ => return Err(format!("{place:?} is not as it was, and nobody says so")),
        }
    }
    Ok(done.lost_paths)
}

fn run(what: &str, names: &[String]) {
    let world = World::new();
    let mut cases = Vec::new();
    for name in names_of(&world, names) {
        for (how, bytes) in ways(&world.objects[&name]) {
            cases.push((format!("{name} {how}"), damaged(&world, &name, bytes)));
        }
    }
    // `PANTHER_REPAIR_MATRIX=all`: all of them, some minutes; else every so many.
    let all = std::env::var_os("PANTHER_REPAIR_MATRIX").is_some_and(|value| value == "all");
    let step = if all { 1 } else { cases.len() / 9 };
    let cases: Vec<_> = cases.into_iter().step_by(step.max(1)).collect();
    let (wrong, rest, lost) = (Mutex::new(Vec::new()), Mutex::new(cases.iter()), Mutex::new((0, 0)));
    let next = || rest.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((title, objects)) = next() {
                    if let Err(error) = with_a_copy(&world, objects) {
                        wrong.lock().unwrap().push(format!("{title}, with a copy: {error}"));
                    }
                    match alone(&world, objects) {
                        Ok(paths) => {
                            let mut lost = lost.lock().unwrap();
                            lost.0 += u64::from(paths > 0);
                            lost.1 += paths;
                        }
                        Err(error) => wrong.lock().unwrap().push(format!("{title}, alone: {error}")),
                    }
                }
            });
        }
    });
    let (wrong, (hit, paths)) = (wrong.into_inner().unwrap(), lost.into_inner().unwrap());
    println!("{what}: {} cases, {hit} of them with losses, {paths} paths named", cases.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong[..wrong.len().min(20)].join("\n"));
}

/// Objects by the words that a test has for them.
fn names_of(world: &World, words: &[String]) -> Vec<String> {
    let of = |word: &String| match &word[..] {
        "data" => world.packs(BlobKind::Data),
        "tree" => world.packs(BlobKind::Tree),
        _ => world.names("/index/"),
    };
    words.iter().flat_map(of).collect()
}

#[test]
fn index_objects_are_repaired() {
    run("index objects", &["index".to_owned()]);
}

#[test]
fn data_packs_are_repaired() {
    run("data packs", &["data".to_owned()]);
}

#[test]
fn tree_packs_are_repaired() {
    run("tree packs", &["tree".to_owned()]);
}

#[test]
fn much_is_damaged_at_once() {
    let world = World::new();
    let mut objects = world.objects.clone();
    // All index objects, and every second pack.
    objects.retain(|name, _| !name.contains("/index/"));
    let packs: Vec<String> = world.names("/packs/").into_iter().step_by(2).collect();
    packs.iter().for_each(|name| drop(objects.remove(name)));
    with_a_copy(&world, &objects).unwrap();
    // A folder of which nothing can be read hides what is in it.
    alone(&world, &objects).unwrap();
}
