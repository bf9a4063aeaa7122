//! What a check says of a repository that is sound, and of one that is odd.

use crate::damage_world::{Objects, World, open, read_all, renamed, store_of, writer};
use panther::backend::fault::{Fault, FaultBackend, Op, connection_reset};
use panther::egress::{Budget, Limit};
use panther::error::Error;
use panther::format::gc::{Condemned, Gc, Revoked};
use panther::format::header::{BlobKind, Kind};
use panther::format::index::Index;
use panther::format::name::Name;
use panther::format::time::Time;
use panther::id::ObjectId;
use panther::ops::check::{Amount, CheckOptions, CheckReport, FindingKind, check};
use panther::ops::{Progress, Silent, Totals};
use panther::repo::Repository;
use panther::seal::system_random;

const NO_BUDGET: Budget = Budget { limit: Limit::None, used_bytes: 0 };
pub const ALL: CheckOptions = CheckOptions { read_data: Some(Amount::All), budget: NO_BUDGET, threads: 2 };
pub const STRUCTURE: CheckOptions = CheckOptions { read_data: None, ..ALL };

pub fn check_objects(world: &World, objects: &Objects, options: &CheckOptions) -> CheckReport {
    let repo = open(store_of(objects), &world.admin).unwrap();
    check(&repo, &world.new_state(&repo), options, &Silent).unwrap()
}

/// Kinds and objects of findings, to compare.
pub fn brief(findings: &[panther::ops::check::Finding]) -> Vec<(FindingKind, String)> {
    findings.iter().map(|f| (f.kind, f.object.clone())).collect()
}

fn gc(world: &World, gc: &Gc) -> (String, Vec<u8>) {
    let repo = world.repo();
    let signer = world.signer(&repo, "alpha");
    let object = signer.seal(Kind::Gc, repo.keys().current_epoch(), gc.encode(), &mut system_random());
    (Name::Gc(ObjectId::of(&object)).to_string(), object)
}

fn no_gc() -> Gc {
    Gc { created: Time::now(), ..Gc::default() }
}

#[test]
fn a_sound_repository_has_no_findings() {
    let world = World::new();
    let report = check_objects(&world, &world.objects, &ALL);
    assert_eq!((brief(&report.errors), brief(&report.notes)), (Vec::new(), Vec::new()));
    assert_eq!((report.exit_code(), report.affected_paths), (0, 0));
    let packs = world.names("/packs/");
    assert_eq!((report.snapshots, report.index_objects, report.packs), (3, 4, packs.len() as u64));
    let bytes: usize = packs.iter().map(|name| world.objects[name].len()).sum();
    assert_eq!(report.pack_bytes, bytes as u64);
    assert!(report.read_bytes >= report.pack_bytes && report.read_bytes < 2 * report.pack_bytes);
    assert!(report.tree_blobs > 8 && report.data_blobs > 8, "{report:?}");
    let structure = check_objects(&world, &world.objects, &STRUCTURE);
    assert!(structure.read_bytes < report.pack_bytes / 2, "{}", structure.read_bytes);
    assert_eq!((structure.data_blobs, structure.tree_blobs), (report.data_blobs, report.tree_blobs));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["snapshots"], 3);
}

#[test]
fn a_writers_key_checks_what_it_can() {
    let world = World::new();
    let repo = open(store_of(&world.objects), &world.writer).unwrap();
    let report = check(&repo, &world.new_state(&repo), &ALL, &Silent).unwrap();
    assert_eq!(brief(&report.errors), []);
    assert_eq!(brief(&report.notes), [(FindingKind::Key, "the repository".to_owned())]);
    assert!(report.read_bytes == report.pack_bytes && report.snapshots == 3, "{report:?}");
    for name in world.objects.keys().filter(|name| *name != "panther.cbor") {
        let mut objects = world.objects.clone();
        let bytes = objects.get_mut(name).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        if let Ok(repo) = open(store_of(&objects), &world.writer) {
            let report = check(&repo, &world.new_state(&repo), &ALL, &Silent).unwrap();
            assert!(report.errors.iter().any(|f| f.object.contains(name)), "{name}: {report:?}");
        }
    }
}

#[test]
fn what_nobody_needs_is_noted() {
    let world = World::new();
    let mut objects = world.objects.clone();
    objects.insert("writers/alpha/lost+found".into(), vec![1]);
    // The pack of a backup that was stopped.
    let pack = world.packs(BlobKind::Data)[0].clone();
    let mut copy = objects[&pack].clone();
    copy.truncate(400);
    let damaged = renamed(&pack, &copy);
    objects.insert(damaged.clone(), copy);
    let report = check_objects(&world, &objects, &STRUCTURE);
    assert_eq!(brief(&report.errors), []);
    let mut noted = brief(&report.notes);
    noted.sort();
    assert_eq!(
        noted,
        [(FindingKind::Orphan, damaged.clone()), (FindingKind::Foreign, "writers/alpha/lost+found".into())]
    );
    // It is no pack at all, which only reading it shows.
    let report = check_objects(&world, &objects, &ALL);
    assert!(report.errors.iter().all(|f| f.object == damaged) && report.exit_code() == 4, "{:?}", report.errors);
    assert!(report.affected.is_empty());
}

#[test]
fn a_missing_pack_is_no_damage_if_it_is_condemned_or_superseded() {
    let world = World::new();
    let repo = world.repo();
    let pack = world.packs(BlobKind::Data)[0].clone();
    let Some(Name::Pack(owner, id)) = Name::parse(&pack) else { panic!() };
    let mut without = world.objects.clone();
    without.remove(&pack);
    let packs = vec![(owner.clone(), vec![id])];
    let (name, object) = gc(
        &world,
        &Gc {
            condemned: Some(Condemned { not_before: Time::now().plus(std::time::Duration::from_secs(60)), packs }),
            ..no_gc()
        },
    );
    let mut objects = without.clone();
    objects.insert(name, object);
    let report = check_objects(&world, &objects, &STRUCTURE);
    // What snapshots need of it is lost all the same.
    assert!(report.errors.iter().all(|f| f.object.contains("data blob")), "{:?}", report.errors);
    assert!(!report.affected.is_empty() && report.affected_paths == report.affected.len() as u64);

    // An index object that replaces the one that names it, without the pack.
    for old in world.names(&format!("{owner}/index/")) {
        let old_name = Name::parse(&old).unwrap();
        let mut index = repo.signed(&old_name, |o| Index::decode(&o.plaintext)).unwrap();
        if index.packs.iter().any(|p| p.id == id) {
            index.packs.retain(|p| p.id != id);
            index.superseded = vec![old_name.id().unwrap()];
            let signer = world.signer(&repo, owner.as_str());
            let object = signer.seal(Kind::Index, repo.keys().current_epoch(), index.encode(), &mut system_random());
            without.insert(renamed(&old, &object), object);
        }
    }
    let report = check_objects(&world, &without, &STRUCTURE);
    assert!(report.errors.iter().all(|f| f.object.contains("data blob")), "{:?}", report.errors);
}

#[test]
fn the_chain_tells_of_removed_snapshots() {
    let world = World::new();
    let repo = world.repo();
    let chain = repo.snapshots(&repo.statements().unwrap()).unwrap().snapshots;
    let last = chain.iter().rfind(|s| s.head.writer == writer("alpha")).unwrap();
    let before = Name::Snapshot(writer("alpha"), last.head.cover.predecessors[0]).to_string();
    let mut objects = world.objects.clone();
    objects.remove(&before);
    let report = check_objects(&world, &objects, &STRUCTURE);
    assert_eq!(brief(&report.errors), [(FindingKind::Chain, before.clone())]);
    assert!(report.errors[0].what.contains("no right to"));

    // A number that does not follow.
    let signer = world.signer(&repo, "alpha");
    let mut cover = last.head.cover.clone();
    cover.sequence += 5;
    let epoch = repo.keys().current_epoch();
    let object = signer.seal_manifest(epoch, cover.encode(), &last.manifest.encode(), &mut system_random()).unwrap();
    let mut objects = world.objects.clone();
    let name = renamed(&before, &object);
    objects.insert(name.clone(), object);
    // A predecessor of another writer.
    let foreign = chain.iter().find(|s| s.head.writer == writer("beta")).unwrap();
    cover = foreign.head.cover.clone();
    cover.predecessors = vec![last.head.id];
    cover.sequence = last.head.cover.sequence + 1;
    let beta = world.signer(&repo, "beta");
    let object = beta.seal_manifest(epoch, cover.encode(), &foreign.manifest.encode(), &mut system_random()).unwrap();
    let strange = Name::Snapshot(writer("beta"), ObjectId::of(&object)).to_string();
    objects.insert(strange.clone(), object);
    let mut found = brief(&check_objects(&world, &objects, &STRUCTURE).errors);
    found.sort();
    let mut expected = vec![(FindingKind::Chain, name), (FindingKind::Chain, strange)];
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn a_revoked_writer_counts_as_not_there() {
    let world = World::new();
    let repo = open(store_of(&world.objects), &world.writer).unwrap();
    let signer = repo.keys().signer(None).unwrap();
    let index = Index::default().encode();
    let object = signer.seal(Kind::Index, repo.keys().current_epoch(), index, &mut system_random());
    let name = Name::Index(writer("gamma"), ObjectId::of(&object)).to_string();
    let cert = repo.keys().verifier().certificate(signer.certificate()).unwrap();
    let (gc_name, gc_object) =
        gc(&world, &Gc { revoked: vec![Revoked { key: cert.key, accepted: Vec::new() }], ..no_gc() });
    let mut objects = world.objects.clone();
    objects.insert(name.clone(), object);
    assert_eq!(check_objects(&world, &objects, &STRUCTURE).index_objects, 5);
    objects.insert(gc_name, gc_object);
    let report = check_objects(&world, &objects, &STRUCTURE);
    assert_eq!((report.index_objects, brief(&report.errors)), (4, Vec::new()));
    assert_eq!(brief(&report.notes), [(FindingKind::Key, name)]);
}

/// Forwards to a store in memory with a plan of faults.
fn faulty(
    world: &World,
    plan: impl Fn(&panther::backend::fault::Call<'_>) -> Option<Fault> + Send + Sync + 'static,
) -> Repository {
    open(FaultBackend::new(store_of(&world.objects), plan), &world.admin).unwrap()
}

#[test]
fn a_store_that_fails_is_asked_again() {
    let world = World::new();
    let pack = world.packs(BlobKind::Data)[0].clone();
    let at = pack.clone();
    let first = std::sync::atomic::AtomicBool::new(true);
    let once = faulty(&world, move |call| {
        let hit = call.op == Op::GetRange && call.name == at && first.swap(false, std::sync::atomic::Ordering::Relaxed);
        hit.then_some(Fault::FlipByte(50))
    });
    let report = check(&once, &world.new_state(&once), &ALL, &Silent).unwrap();
    assert_eq!((brief(&report.errors), brief(&report.notes)), (vec![], vec![(FindingKind::Transient, pack.clone())]));

    for fault in [Fault::Error(connection_reset), Fault::Truncate(30), Fault::FlipByte(9)] {
        let at = pack.clone();
        let always = faulty(&world, move |call| (call.op == Op::GetRange && call.name == at).then_some(fault));
        let report = check(&always, &world.new_state(&always), &ALL, &Silent).unwrap();
        assert!(!report.errors.is_empty() && report.errors.iter().all(|f| f.object.contains(&pack)), "{fault:?}");
        assert!(!report.affected.is_empty(), "{fault:?}: {:?}", report.errors);
        if matches!(fault, Fault::Error(_)) {
            assert_eq!(report.exit_code(), 5);
        }
    }
    let dead =
        faulty(&world, |call| (call.op == Op::List && call.name.is_empty()).then_some(Fault::Error(connection_reset)));
    assert!(
        matches!(check(&dead, &world.new_state(&dead), &ALL, &Silent), Err(e @ Error::Store { .. }) if e.exit_code() == 5)
    );
    let odd = faulty(&world, |call| {
        (call.op == Op::Get && call.name.contains("/index/")).then_some(Fault::Error(connection_reset))
    });
    let report = check(&odd, &world.new_state(&odd), &ALL, &Silent).unwrap();
    assert_eq!(report.errors.iter().filter(|f| f.kind == FindingKind::Unreadable).count(), 4);
}

struct Cancelled;

impl Progress for Cancelled {
    fn stage(&self, _: &'static str, _: Totals) {}
    fn advance(&self, _: u64, _: u64) {}
    fn warn(&self, _: &str) {}
    fn cancelled(&self) -> bool {
        true
    }
}

#[test]
fn a_check_can_be_stopped() {
    let world = World::new();
    let repo = world.repo();
    assert!(matches!(check(&repo, &world.new_state(&repo), &ALL, &Cancelled), Err(Error::Interrupted)));
}

#[test]
fn an_index_object_that_was_known_is_missed() {
    let world = World::new();
    let name = world.names("/index/")[1].clone();
    let repo = world.repo();
    let state = world.new_state(&repo);
    read_all(&repo, &state).unwrap();
    let mut objects = world.objects.clone();
    objects.remove(&name);
    let repo = open(store_of(&objects), &world.admin).unwrap();
    let report = check(&repo, &state, &STRUCTURE, &Silent).unwrap();
    let id = name.rsplit('/').next().unwrap();
    assert!(report.notes.iter().any(|f| f.kind == FindingKind::Index && f.object.contains(id)), "{:?}", report.notes);
    assert!(report.errors.iter().all(|f| f.what.contains("no index object")), "{:?}", report.errors);
}
