//! The damage matrix: each kind of object, damaged in each way. What is damaged is found and named; what is not, reads as before.

use crate::b2_kit;
use crate::damage_world::{Objects, Place, World, age_file, open, random_bytes, read_all, renamed, store_of};
use crate::fake_b2::FakeB2;
use panther::error::{Error, Result};
use panther::format::header::{BlobKind, Kind};
use panther::format::name::Name;
use panther::format::pack::TRAILER_BYTES;
use panther::id::ObjectId;
use panther::ops::Silent;
use panther::ops::check::{Amount, CheckOptions, CheckReport, FindingKind, check};
use panther::repo::Repository;
use panther::seal::system_random;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a case is to lead to.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Expect {
    /// A finding that is not `Newer`.
    Damaged,
    /// A finding `Newer`.
    Newer,
    /// Nothing in the store tells that it is gone.
    Unseen,
}

struct Case {
    what: String,
    objects: Objects,
    /// What the error and a finding must name.
    named: String,
    expect: Expect,
}

impl Case {
    /// Whether `text` names an object that this case has changed.
    fn has_changed(&self, world: &World, text: &str) -> bool {
        self.objects.iter().any(|(name, bytes)| text.contains(name) && world.objects.get(name) != Some(bytes))
    }
}

/// The exit codes with which opening may end, by what was damaged.
fn open_codes(case: &Case) -> &'static [u8] {
    match (case.named == "panther.cbor", case.expect) {
        (true, Expect::Newer) | (false, Expect::Newer) => &[14],
        (true, _) if case.what.ends_with("missing") => &[10],
        // A flipped byte can look like a key that only a newer program knows: the signature covers it, but is looked at last.
        (true, _) => &[4, 14],
        // 12: where a key file is gone, no key opens.
        (false, _) => &[4, 12],
    }
}

fn everything() -> CheckOptions {
    CheckOptions { read_data: Some(Amount::All), threads: 1, ..CheckOptions::default() }
}

fn id_in(name: &str) -> &str {
    name.rsplit('/').next().unwrap().trim_end_matches(".age")
}

/// Where the objects of a case are put.
enum Where {
    Memory,
    /// A bucket of the fake B2; each case has a prefix of its own.
    B2(Box<FakeB2>, AtomicU64),
}

impl Where {
    fn b2() -> Self {
        Self::B2(Box::new(b2_kit::fake()), AtomicU64::new(0))
    }

    fn open(&self, objects: &Objects, secret: &str) -> Result<Repository> {
        let Self::B2(fake, next) = self else { return open(store_of(objects), secret) };
        let prefix = format!("case{}", next.fetch_add(1, Ordering::Relaxed));
        for (name, bytes) in objects {
            fake.shadow(b2_kit::BUCKET, &format!("{prefix}/{name}"), bytes);
        }
        open(b2_kit::open(&b2_kit::options(fake, &prefix)), secret)
    }
}

/// Runs a case; what went otherwise than it should.
fn run(world: &World, case: &Case, place: &Where) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut say = |what: String| wrong.push(format!("{}: {what}", case.what));
    let is_key = case.objects.keys().chain(world.objects.keys()).any(|n| *n == format!("keys/{}.age", case.named));
    let about_start = case.named == "panther.cbor" || is_key;
    let repo = match place.open(&case.objects, &world.admin) {
        Ok(repo) => repo,
        Err(error) => {
            if !about_start || !open_codes(case).contains(&error.exit_code()) {
                say(format!("opening ends with {error} ({})", error.exit_code()));
            }
            let is_strange = case.what.ends_with("of another repository");
            if matches!(error.exit_code(), 4 | 14) && !error.to_string().contains(&case.named) && !is_strange {
                say(format!("the error does not name it: {error}"));
            }
            // Another key must not be locked out.
            match place.open(&case.objects, &world.second) {
                Ok(repo) => repo,
                Err(_) if case.named == "panther.cbor" => return wrong,
                Err(error) => return vec![format!("{}: the second key does not open: {error}", case.what)],
            }
        }
    };
    // A state of its own: one that has seen the sound repository knows more (see vanished.rs).
    let report = match check(&repo, &world.new_state(&repo), &everything(), &Silent) {
        Ok(report) => report,
        Err(error) => return vec![format!("{}: the check ends with {error}", case.what)],
    };
    let names = |f: &panther::ops::check::Finding| f.object.contains(&case.named) || f.what.contains(&case.named);
    let is_newer = |f: &panther::ops::check::Finding| f.kind == FindingKind::Newer;
    let is_found = match case.expect {
        Expect::Damaged => report.errors.iter().any(|f| names(f) && !is_newer(f)) && report.exit_code() == 4,
        Expect::Newer => report.errors.iter().any(|f| names(f) && is_newer(f)) && [4, 14].contains(&report.exit_code()),
        Expect::Unseen => report.errors.iter().all(|f| !names(f)),
    };
    // A key file is not looked into unless it is opened.
    let is_closed = is_key && case.what.contains("inside");
    if !is_found && !is_closed {
        say(format!("it is not found as {:?}: {:?}", case.expect, report.errors));
    }
    if let Err(what) = compare(world, &repo, &report, case) {
        say(what);
    }
    wrong
}

/// Reads everything back and compares it with what was there and with what the check says.
fn compare(world: &World, repo: &Repository, report: &CheckReport, case: &Case) -> Result<(), String> {
    let state = world.new_state(repo);
    let (read, bad) = match read_all(repo, &state) {
        Ok(read) => read,
        // A gc object that cannot be read stops everything that must obey it.
        Err(error) if [4, 14].contains(&error.exit_code()) && case.has_changed(world, &error.to_string()) => {
            return Ok(());
        }
        Err(error) => return Err(format!("reading ends with {error}")),
    };
    let odd = |e: &&Error| !case.has_changed(world, &e.to_string()) || ![4, 14].contains(&e.exit_code());
    if let Some(odd) = bad.iter().find(odd) {
        return Err(format!("index objects and snapshots: {odd}"));
    }
    let said = |place: &Place| report.affected.iter().any(|a| (a.snapshot, &a.path) == (place.0, &place.1));
    let above = |place: &Place| {
        report.affected.iter().any(|a| a.snapshot == place.0 && a.path.ends_with('/') && place.1.starts_with(&a.path))
    };
    for (place, bytes) in &world.files {
        let is_there = case.objects.keys().any(|name| name.ends_with(&place.0.to_hex()));
        let gone = !is_there || bad.iter().any(|e| e.to_string().contains(&place.0.to_hex()));
        match read.get(place) {
            Some(Ok(same)) if same == bytes && !said(place) => {}
            Some(Ok(same)) if same == bytes => return Err(format!("{place:?} is said to be lost, and reads well")),
            Some(Ok(_)) => return Err(format!("{place:?} reads as something else")),
            Some(Err(error)) if ![4, 14].contains(&error.exit_code()) => return Err(format!("{place:?}: {error}")),
            Some(Err(_)) if said(place) => {}
            None if gone || above(place) => {}
            _ => return Err(format!("{place:?} is lost, and the check does not say so: {:?}", report.affected)),
        }
    }
    Ok(())
}

/// Runs all cases in memory, and some of them (`PANTHER_DAMAGE_ON_B2=all`: all) over B2.
fn run_all(world: &World, cases: &[Case], what: &str) {
    run_at(world, &cases.iter().collect::<Vec<_>>(), what, &Where::Memory);
    let all = std::env::var_os("PANTHER_DAMAGE_ON_B2").is_some_and(|value| value == "all");
    let step = if all { 1 } else { (cases.len() / 25).max(1) };
    run_at(world, &cases.iter().step_by(step).collect::<Vec<_>>(), &format!("{what}, over B2"), &Where::b2());
}

fn run_at(world: &World, cases: &[&Case], what: &str, place: &Where) {
    let (wrong, rest) = (Mutex::new(Vec::new()), Mutex::new(cases.iter()));
    let next = || rest.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(case) = next() {
                    let found = run(world, case, place);
                    wrong.lock().unwrap().extend(found);
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    println!("{what}: {} cases", cases.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong[..wrong.len().min(20)].join("\n"));
}

/// What kind of object a name is, for the titles of cases.
fn kind_of(world: &World, name: &str) -> &'static str {
    match Name::parse(name).unwrap() {
        Name::Config => "configuration",
        Name::Key(_) => "key file",
        Name::Pack(..) if world.objects[name][8] == 1 => "data pack",
        Name::Pack(..) => "tree pack",
        Name::Index(..) => "index object",
        Name::Snapshot(..) => "snapshot",
        Name::Gc(_) => "gc object",
    }
}

fn with(world: &World, name: &str, bytes: Vec<u8>) -> Objects {
    let mut objects = world.objects.clone();
    objects.insert(name.to_owned(), bytes);
    objects
}

fn damaged(world: &World, name: &str, how: &str, bytes: Vec<u8>) -> Case {
    let what = format!("{} {}: {how}", kind_of(world, name), &id_in(name)[..8]);
    Case { what, objects: with(world, name, bytes), named: id_in(name).to_owned(), expect: Expect::Damaged }
}

#[test]
fn bytes_of_every_object_are_damaged() {
    let world = World::new();
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut cases = Vec::new();
    for (name, bytes) in &world.objects {
        let len = bytes.len();
        for cut in [0, 1, 47, 48, 64, 127, 128, 160, len / 3, len / 2, len - 100, len - 17, len - 16, len - 1] {
            if cut < len {
                cases.push(damaged(&world, name, &format!("cut to {cut}"), bytes[..cut].to_vec()));
            }
        }
        cases.push(damaged(&world, name, "longer", [&bytes[..], b"x"].concat()));
        let ends =
            [0, 7, 8, 9, 10, 12, 15, 16, 47, 48, 49, 80, 127, 128, len - 1, len - 9, len - 12, len - 16, len - 17];
        let spread = (0..24).map(|n| len * n / 24 + random.random_range(0..len / 24));
        for at in ends.into_iter().chain(spread.collect::<Vec<_>>()) {
            let mut flipped = bytes.clone();
            flipped[at] ^= random.random_range(1..=255u8);
            cases.push(damaged(&world, name, &format!("byte {at} flipped"), flipped));
        }
        cases.push(damaged(&world, name, "all other bytes", random_bytes(1, len)));
        cases.push(damaged(&world, name, "all zero", vec![0; len]));
    }
    run_all(&world, &cases, "bytes damaged");
}

#[test]
fn objects_change_places() {
    let world = World::new();
    let mut cases = Vec::new();
    for (name, bytes) in world.objects.iter().filter(|(name, _)| *name != "panther.cbor") {
        let kind = kind_of(&world, name);
        for (other, theirs) in world.objects.iter().filter(|(n, b)| kind_of(&world, n) == kind && *b != bytes) {
            let mut case = damaged(&world, name, &format!("swapped with {}", &id_in(other)[..8]), theirs.clone());
            // Of the key files one is left right, so that one opens.
            if kind != "key file" {
                case.objects.insert(other.clone(), bytes.clone());
            }
            cases.push(case);
        }
    }
    let other = World::new();
    cases.push(damaged(&world, "panther.cbor", "of another repository", other.objects["panther.cbor"].clone()));
    for (name, bytes) in
        other.objects.iter().filter(|(name, _)| name.contains("/snapshots/") || name.contains("/index/"))
    {
        // A sound object of another repository under its own name.
        let named = id_in(name).to_owned();
        let what = format!("{} of another repository", kind_of(&other, name));
        cases.push(Case { what, objects: with(&world, name, bytes.clone()), named, expect: Expect::Damaged });
    }
    run_all(&world, &cases, "swapped");
}

#[test]
fn objects_are_missing() {
    let world = World::new();
    let repo = world.repo();
    let statements = repo.statements().unwrap();
    let chain = repo.snapshots(&statements).unwrap().snapshots;
    let followed: Vec<String> = chain.iter().flat_map(|s| &s.head.cover.predecessors).map(ObjectId::to_hex).collect();
    let mut cases = Vec::new();
    for name in world.objects.keys() {
        let mut objects = world.objects.clone();
        objects.remove(name);
        let kind = kind_of(&world, name);
        let (named, expect) = match kind {
            // What tells of an index object is the blobs that it alone names.
            "index object" => ("blob".to_owned(), Expect::Damaged),
            // What tells of a gc object is the snapshot that nobody has forgotten any more.
            "gc object" if !says_forgotten(&repo, name) => (id_in(name).to_owned(), Expect::Unseen),
            "gc object" => (world.forgotten.to_hex(), Expect::Damaged),
            "key file" => (id_in(name).to_owned(), Expect::Unseen),
            // The newest of a chain leaves no trace (spec 12.2).
            "snapshot" if !followed.iter().any(|id| id == id_in(name)) => (id_in(name).to_owned(), Expect::Unseen),
            _ => (id_in(name).to_owned(), Expect::Damaged),
        };
        cases.push(Case { what: format!("{kind} {}: missing", &id_in(name)[..8]), objects, named, expect });
    }
    run_all(&world, &cases, "missing");
}

fn says_forgotten(repo: &Repository, name: &str) -> bool {
    let read = repo.signed(&Name::parse(name).unwrap(), |o| panther::format::gc::Gc::decode(&o.plaintext));
    !read.unwrap().forgotten.is_empty()
}

/// A case in which `name` gives way to an object with these bytes under the name that they give it.
fn replaced(world: &World, name: &str, how: &str, bytes: Vec<u8>, expect: Expect) -> Case {
    let mut objects = world.objects.clone();
    objects.remove(name);
    let new = renamed(name, &bytes);
    objects.insert(new.clone(), bytes);
    let what = format!("{} {}: {how}", kind_of(world, name), &id_in(name)[..8]);
    Case { what, objects, named: id_in(&new).to_owned(), expect }
}

#[test]
fn lengths_are_huge() {
    let world = World::new();
    let repo = world.repo();
    let mut cases = Vec::new();
    let endless = [0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    for name in world.names("/index/").into_iter().chain(world.names("/snapshots/")).chain(world.names("gc/")) {
        let bytes = &world.objects[&name];
        for (how, head) in [
            ("an endless certificate", [&bytes[48..49], &endless].concat()),
            ("a certificate of 2^40 bytes", [&bytes[48..49], &[0x5b, 0, 0, 1, 0, 0, 0, 0, 0]].concat()),
            ("2^32 elements", vec![0x9b, 0, 0, 0, 1, 0, 0, 0, 0]),
        ] {
            let patched = [&bytes[..48], &head, &bytes[49..]].concat();
            cases.push(replaced(&world, &name, how, patched, Expect::Damaged));
        }
    }
    let boxes: [(&str, &[u8]); 5] = [
        ("2^32 packs", &[0xa1, 0x00, 0x9b, 0, 0, 0, 1, 0, 0, 0, 0]),
        ("a map of 2^32", &[0xbb, 0, 0, 0, 1, 0, 0, 0, 0]),
        ("an endless id list", &[0xa2, 0x00, 0x80, 0x01, 0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xe0]),
        ("deep nesting", &[0x81; 4_000]),
        ("nothing", &[]),
    ];
    let signer = world.signer(&repo, "alpha");
    for (how, plaintext) in boxes {
        for (kind, part) in [(Kind::Index, "alpha/index/"), (Kind::Gc, "gc/")] {
            let object = signer.seal(kind, repo.keys().current_epoch(), plaintext.to_vec(), &mut system_random());
            let mut objects = world.objects.clone();
            let name = renamed(&world.names(part)[0], &object);
            objects.insert(name.clone(), object);
            let what = format!("{kind:?} with {how} in its box");
            cases.push(Case { what, objects, named: id_in(&name).to_owned(), expect: Expect::Damaged });
        }
    }
    for name in world.packs(BlobKind::Data).into_iter().chain(world.packs(BlobKind::Tree)) {
        let bytes = &world.objects[&name];
        let size = u32::try_from(bytes.len()).unwrap();
        let trailer = bytes.len() - TRAILER_BYTES;
        for (at, value) in [(0, u32::MAX), (0, size), (0, 0), (0, size - 144), (4, u32::MAX), (4, 0)] {
            let mut patched = bytes.clone();
            patched[trailer + at..trailer + at + 4].copy_from_slice(&value.to_le_bytes());
            let (objects, new) = world.with_pack(&name, patched);
            let what = format!("{} whose trailer says {value} at {at}", kind_of(&world, &name));
            cases.push(Case { what, objects, named: id_in(&new).to_owned(), expect: Expect::Damaged });
        }
        let objects = world.with_index(&name, |index| {
            index.packs.iter_mut().for_each(|p| p.size_bytes = 256 << 20);
        });
        let what = format!("{} that the index says has 256 MiB", kind_of(&world, &name));
        cases.push(Case { what, objects, named: id_in(&name).to_owned(), expect: Expect::Damaged });
    }
    for (how, plaintext) in
        [("inside, an endless body", [&world.key_plaintext[..14], &endless].concat()), ("inside, nothing", Vec::new())]
    {
        let bytes = age_file(&plaintext, &world.recipient);
        cases.push(replaced(&world, &world.admin_key, how, bytes, Expect::Damaged));
    }
    let config = [&world.objects["panther.cbor"][..10], &endless].concat();
    cases.push(damaged(&world, "panther.cbor", "an endless body", config));
    run_all(&world, &cases, "huge lengths");
}

#[test]
fn versions_are_newer() {
    let world = World::new();
    let repo = world.repo();
    let mut cases = Vec::new();
    for name in world.names("/index/").into_iter().chain(world.names("/snapshots/")).chain(world.names("gc/")) {
        for (how, at, value) in [("version 2", 9, 2), ("version 255", 9, 255), ("kind 77", 8, 77)] {
            let mut bytes = world.objects[&name].clone();
            bytes[at] = value;
            cases.push(replaced(&world, &name, how, bytes, Expect::Newer));
        }
    }
    for name in world.packs(BlobKind::Data).into_iter().chain(world.packs(BlobKind::Tree)) {
        for (how, at, value) in [("version 2", 9, 2), ("kind 77", 8, 77)] {
            let mut bytes = world.objects[&name].clone();
            bytes[at] = value;
            let (objects, new) = world.with_pack(&name, bytes);
            let what = format!("{} {how}", kind_of(&world, &name));
            cases.push(Case { what, objects, named: id_in(&new).to_owned(), expect: Expect::Newer });
        }
    }
    let signer = world.signer(&repo, "alpha");
    for (kind, part, plaintext) in
        [(Kind::Index, "alpha/index/", &[0xa2, 0x00, 0x80, 0x20, 0x00][..]), (Kind::Gc, "gc/", &[0xa1, 0x20, 0x00][..])]
    {
        let object = signer.seal(kind, repo.keys().current_epoch(), plaintext.to_vec(), &mut system_random());
        let mut objects = world.objects.clone();
        let name = renamed(&world.names(part)[0], &object);
        objects.insert(name.clone(), object);
        let what = format!("{kind:?} with an unknown negative key");
        cases.push(Case { what, objects, named: id_in(&name).to_owned(), expect: Expect::Newer });
    }
    let mut config = world.objects["panther.cbor"].clone();
    config[9] = 2;
    let mut case = damaged(&world, "panther.cbor", "version 2", config);
    case.expect = Expect::Newer;
    cases.push(case);
    let mut plaintext = world.key_plaintext.clone();
    plaintext[13] = 2;
    let bytes = age_file(&plaintext, &world.recipient);
    let opened = open_with_key(&world, &bytes);
    assert!(
        matches!(&opened, Err(e @ Error::Newer { .. }) if e.exit_code() == 14 && e.to_string().contains(&ObjectId::of(&bytes).to_hex()))
    );
    run_all(&world, &cases, "newer versions");
}

/// Opens the repository with the first admin's key file replaced.
fn open_with_key(world: &World, bytes: &[u8]) -> Result<()> {
    let mut objects: BTreeMap<_, _> = world.objects.clone();
    objects.remove(&world.admin_key);
    objects.insert(renamed(&world.admin_key, bytes), bytes.to_vec());
    open(store_of(&objects), &world.admin).map(drop)
}
