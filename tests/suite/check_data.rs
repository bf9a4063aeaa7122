//! Reading the data in portions: what was verified longest ago first, within a budget, with bad reads repeated.

use crate::cli_common::Sandbox;
use crate::damage_check::{ALL, STRUCTURE, brief};
use crate::damage_world::{World, open, store_of};
use panther::backend::fault::{Fault, FaultBackend, Op, connection_reset};
use panther::egress::{Budget, Limit};
use panther::error::Error;
use panther::format::header::BlobKind;
use panther::format::name::Name;
use panther::format::time::Time;
use panther::id::ObjectId;
use panther::ops::check::{Amount, CheckOptions, CheckReport, FindingKind, check};
use panther::ops::{Progress, Silent, Totals};
use panther::repo::Repository;
use panther::state::State;
use panther::state::verified::Reading;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

const DAY_SECS: i64 = 86_400;

fn with(read_data: Amount) -> CheckOptions {
    CheckOptions { read_data: Some(read_data), ..ALL }
}

fn id(name: &str) -> ObjectId {
    Name::parse(name).unwrap().id().unwrap()
}

/// The packs that are verified by the state's memory.
fn verified(state: &State) -> BTreeSet<ObjectId> {
    state.verified().load().unwrap().into_iter().filter(|(_, r)| r.sound).map(|(id, _)| id).collect()
}

fn run(repo: &Repository, state: &State, options: &CheckOptions) -> CheckReport {
    check(repo, state, options, &Silent).unwrap()
}

#[test]
fn a_third_a_day_reads_everything_in_three_days() {
    let world = World::new();
    let (repo, packs) = (world.repo(), world.names("/packs/"));
    let state = world.new_state(&repo);
    let mut seen = BTreeSet::new();
    let mut verified_packs = 0;
    for day in 1..=3 {
        let report = run(&repo, &state, &with(Amount::Share(1.0 / 3.0)));
        assert_eq!((brief(&report.errors), brief(&report.notes)), (vec![], vec![]));
        let now = verified(&state);
        assert!(now.len() > seen.len(), "day {day} has read nothing new");
        assert_eq!(report.verification.never_verified_packs as usize, packs.len() - now.len());
        verified_packs += report.verification.verified_packs;
        seen = now;
    }
    assert_eq!(seen, packs.iter().map(|name| id(name)).collect());
    // To fill the last third, at most one pack was read a second time.
    assert!((packs.len()..=packs.len() + 1).contains(&(verified_packs as usize)), "{verified_packs}");
    let report = run(&repo, &state, &STRUCTURE);
    let is = report.verification;
    assert_eq!((is.verified_packs, is.never_verified_packs, is.recent_share), (0, 0, Some(1.0)));
    assert!(is.oldest_age_secs.unwrap() < 600 && is.recent_bytes == report.pack_bytes);

    for odd in [Amount::Share(1.5), Amount::Share(0.0), Amount::Bytes(0)] {
        assert!(matches!(check(&repo, &state, &with(odd), &Silent), Err(Error::Usage(_))));
    }
}

#[test]
fn the_oldest_is_read_first_and_ages_are_told() {
    let world = World::new();
    let (repo, packs) = (world.repo(), world.names("/packs/"));
    let state = world.new_state(&repo);
    let now_secs = Time::now().secs;
    let reading = |days: i64, sound| Reading { at_secs: now_secs - days * DAY_SECS, sound };
    // The one of which the reading is oldest was damaged then.
    let readings: Vec<_> = packs.iter().zip(1..).map(|(name, days)| (id(name), reading(days * 9, true))).collect();
    state.verified().note(&readings).unwrap();
    let last = id(packs.last().unwrap());
    state.verified().note(&[(last, reading(900, false)), (ObjectId([7; 32]), reading(1, true))]).unwrap();

    let size = |n: usize| world.objects[&packs[n]].len() as u64;
    let report = run(&repo, &state, &STRUCTURE);
    let is = report.verification;
    assert_eq!(is.never_verified_packs, 1);
    assert_eq!(is.recent_bytes, size(0) + size(1) + size(2));
    assert_eq!(is.oldest_age_secs.unwrap() as i64 / DAY_SECS, (packs.len() as i64 - 1) * 9);
    // What is not in the store is forgotten.
    assert!(!state.verified().load().unwrap().contains_key(&ObjectId([7; 32])));

    let mut order: Vec<ObjectId> = packs.iter().rev().map(|name| id(name)).collect();
    for expected in order.drain(..).take(3) {
        run(&repo, &state, &with(Amount::Bytes(1)));
        let reading = state.verified().load().unwrap()[&expected];
        assert!(reading.sound && reading.at_secs >= now_secs, "{expected}: {reading:?}");
    }
    let fresh = state.verified().load().unwrap().values().filter(|r| r.at_secs >= now_secs).count();
    assert_eq!(fresh, 3);
}

#[test]
fn a_damaged_pack_does_not_keep_others_from_their_turn() {
    let world = World::new();
    let pack = world.packs(BlobKind::Data)[0].clone();
    let mut objects = world.objects.clone();
    let middle = objects[&pack].len() / 2;
    objects.get_mut(&pack).unwrap()[middle] ^= 1;
    let repo = open(store_of(&objects), &world.admin).unwrap();
    let state = world.new_state(&repo);
    let packs = world.names("/packs/").len();
    for _ in 0..packs {
        run(&repo, &state, &with(Amount::Bytes(1)));
    }
    let readings = state.verified().load().unwrap();
    assert_eq!((readings.len(), verified(&state).len()), (packs, packs - 1));
    assert!(!readings[&id(&pack)].sound);
    // A store that does not answer says nothing of a pack.
    let at = pack.clone();
    let dead = FaultBackend::new(store_of(&world.objects), move |call| {
        (call.op == Op::GetRange && call.name == at).then_some(Fault::Error(connection_reset))
    });
    let dead = open(dead, &world.admin).unwrap();
    let state = world.new_state(&dead);
    assert_eq!(run(&dead, &state, &ALL).exit_code(), 5);
    assert_eq!(state.verified().load().unwrap().len(), packs - 1);
}

#[test]
fn bad_reads_are_repeated_before_they_are_damage() {
    let world = World::new();
    let pack = world.packs(BlobKind::Data)[0].clone();
    // How many reads in a row are bad, whether that is damage, how many are told of.
    for (bad_reads, damaged) in [(1, false), (1_000, true)] {
        let (at, left) = (pack.clone(), AtomicU32::new(bad_reads));
        let store = FaultBackend::new(store_of(&world.objects), move |call| {
            let hit = call.op == Op::GetRange && call.name == at;
            let bad = hit && left.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1)).is_ok();
            bad.then_some(Fault::FlipByte(60))
        });
        let repo = open(store, &world.admin).unwrap();
        let state = world.new_state(&repo);
        let report = run(&repo, &state, &ALL);
        assert_eq!(report.errors.is_empty(), !damaged, "{bad_reads}: {:?}", report.errors);
        assert_eq!(report.exit_code(), if damaged { 4 } else { 0 });
        assert_eq!(report.verification.transient_reads, u64::from(!damaged), "{bad_reads}");
        let transient = report.notes.iter().filter(|f| f.kind == FindingKind::Transient).count();
        assert_eq!(transient, usize::from(!damaged));
        assert_eq!(verified(&state).contains(&id(&pack)), !damaged);
    }
    // Other objects than packs, too.
    let index = world.names("/index/")[0].clone();
    let (at, first) = (index.clone(), AtomicU32::new(1));
    let store = FaultBackend::new(store_of(&world.objects), move |call| {
        let bad = call.name == at && first.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1)).is_ok();
        bad.then_some(Fault::FlipByte(60))
    });
    let repo = open(store, &world.admin).unwrap();
    let report = run(&repo, &world.new_state(&repo), &STRUCTURE);
    assert_eq!((brief(&report.errors), brief(&report.notes)), (vec![], vec![(FindingKind::Transient, index)]));
    assert_eq!(report.verification.transient_reads, 1);
}

#[test]
fn the_budget_ends_it_cleanly() {
    let world = World::new();
    let repo = world.repo();
    let everything = run(&repo, &world.new_state(&repo), &ALL);
    let stored_bytes: u64 = world.objects.values().map(|bytes| bytes.len() as u64).sum();
    let small_bytes = stored_bytes - everything.pack_bytes;
    let structure = run(&repo, &world.new_state(&repo), &STRUCTURE);
    let with_budget = |limit, used_bytes, options: &CheckOptions| {
        let options = CheckOptions { budget: Budget { limit, used_bytes }, ..*options };
        run(&repo, &world.new_state(&repo), &options)
    };
    // Enough for everything.
    let report = with_budget(Limit::Bytes(3 * stored_bytes), 0, &ALL);
    assert!(!report.incomplete && report.exit_code() == 0);
    let egress = report.egress.unwrap();
    assert_eq!((egress.limit_bytes, egress.used_bytes, egress.reached), (3 * stored_bytes, 0, false));
    assert!(egress.read_bytes > stored_bytes);
    // Between that and nothing: never over, never silent, trees before data.
    let mut reads = BTreeSet::new();
    for limit in (0..20).map(|n| n * (stored_bytes * 2) / 20) {
        let report = with_budget(Limit::Bytes(limit + 1_000), 1_000, &ALL);
        let (is, egress) = (report.verification, report.egress.unwrap());
        assert_eq!(brief(&report.errors), [], "{limit}");
        // What is under way when the last byte is taken is read to its end: a segment a thread.
        assert!(egress.read_bytes <= limit.max(small_bytes) + (2 << 20), "{limit}: {egress:?}");
        assert_eq!(is.verified_packs + is.unread_packs, report.packs);
        assert_eq!(report.incomplete, egress.reached);
        assert_eq!(report.exit_code(), if report.incomplete { 3 } else { 0 });
        let trees_cut = report.notes.iter().any(|f| f.object == "the trees");
        assert!(is.verified_packs == 0 || !trees_cut, "{limit}: data before trees: {report:?}");
        assert!(report.incomplete || is.unread_packs == 0 && !trees_cut);
        reads.insert(is.verified_packs);
    }
    assert!(reads.len() > 3 && reads.contains(&0) && reads.contains(&everything.packs), "{reads:?}");
    // Used up before it began: only what a check cannot do without is read.
    let report = with_budget(Limit::Free, u64::MAX, &STRUCTURE);
    assert_eq!((report.read_bytes, report.incomplete), (0, true));
    assert!(structure.read_bytes > 0 && report.snapshots == structure.snapshots);
    assert!(report.notes.iter().any(|f| f.object == "the trees"), "{:?}", report.notes);
}

/// Stops after so many packs.
struct StopAfter {
    packs: AtomicU64,
    stage: Mutex<&'static str>,
}

impl Progress for StopAfter {
    fn stage(&self, what: &'static str, _: Totals) {
        *self.stage.lock().unwrap() = what;
    }
    fn advance(&self, files: u64, _: u64) {
        if *self.stage.lock().unwrap() == "packs" {
            let _ = self.packs.fetch_update(Relaxed, Relaxed, |left| Some(left.saturating_sub(files)));
        }
    }
    fn warn(&self, _: &str) {}
    fn cancelled(&self) -> bool {
        self.packs.load(Relaxed) == 0
    }
}

#[test]
fn what_was_verified_before_an_interruption_is_remembered() {
    let world = World::new();
    let repo = world.repo();
    let state = world.new_state(&repo);
    let stop = StopAfter { packs: AtomicU64::new(3), stage: Mutex::new("") };
    assert!(matches!(check(&repo, &state, &ALL, &stop), Err(Error::Interrupted)));
    // Each of two threads may have been at one more.
    let done = verified(&state).len();
    assert!((3..=5).contains(&done), "{done}");
    run(&repo, &state, &with(Amount::Bytes(1)));
    assert_eq!(verified(&state).len(), done + 1);
}

#[test]
fn the_program_remembers_from_run_to_run() {
    let sandbox = Sandbox::new();
    for n in 0..3u64 {
        sandbox.write("source/file", crate::common::noise(n, 60_000));
        sandbox.ok(&["backup", "source"]);
    }
    let first = sandbox.json(&["check", "--read-data-subset", "1/2"]);
    let packs = first["packs"].as_u64().unwrap();
    let never = first["verification"]["never_verified_packs"].as_u64().unwrap();
    assert!(never > 0 && never < packs, "{first}");
    let second = sandbox.json(&["check", "--read-data-subset", "1M"]);
    assert_eq!(second["verification"]["never_verified_packs"], 0);
    assert_eq!(second["verification"]["recent_share"], 1.0);
    let said = sandbox.ok(&["check"]);
    assert!(said.contains("0 packs now, 100 % within 30 days, the oldest "), "{said}");

    let run = sandbox.run(&["check", "--read-data", "--egress-budget", "0", "--json"]);
    let report = crate::cli_common::document(&run.out);
    assert_eq!((run.code, report["incomplete"].as_bool()), (3, Some(true)), "{}", run.err);
    assert_eq!(report["verification"]["unread_packs"], packs);
    assert_eq!(report["egress"]["limit_bytes"], 0);
    let run = sandbox.run(&["check", "--read-data", "--egress-budget", "0"]);
    assert!(run.out.contains("the egress budget is used up"), "{}", run.out);
    assert_eq!(sandbox.json(&["check", "--read-data", "--egress-budget", "free"])["incomplete"], false);
}
