//! `prune` and `undelete` over B2: in bad weather, killed at any moment, and what lost answers have left twice.
//!
//! `PANTHER_B2_PRUNE_SEEDS=N` takes so many seeds of weather, `PANTHER_B2_PRUNE_KILLS=N` kills that often.

use crate::b2_kit::{BUCKET, credential, fake, options_with};
use crate::b2_lab::{B2Lab, PREFIX, STORE_CODES};
use crate::b2_place::{HOME, Place, lost_answers};
use crate::cli_common::document;
use crate::common::{Lab, noise, write};
use crate::crash::run_for;
use crate::fake_b2::{FakeB2, KeySpec, WRITER_CAPABILITIES, Weather};
use crate::generations::manifest::Manifest;
use crate::generations::number;
use crate::prune::{in_days, options};
use crate::undelete::bring_back;
use panther::backend::b2::{Lock, RetentionMode};
use panther::error::Error;
use panther::format::index::Index;
use panther::format::name::Name;
use panther::id::ObjectId;
use panther::ops::Silent;
use panther::ops::check::{CheckOptions, check};
use panther::ops::prune::{PruneOptions, PruneReport, prune};
use panther::prune::MaxUnused;
use panther::repo::Repository;
use panther::state::State;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::HashSet;
use std::time::Duration;

/// Forgets every snapshot but this one.
pub fn forget_all_but(place: &Place, id: &str) {
    let listing = place.json(&["snapshots"]);
    let ids = listing["snapshots"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned());
    let others: Vec<String> = ids.filter(|other| other != id).collect();
    let mut arguments = vec!["forget", "-q"];
    arguments.extend(others.iter().map(String::as_str));
    place.ok(&arguments);
}

fn prune_at(repo: &Repository, state: &State, days: i64) -> panther::Result<PruneReport> {
    let options = PruneOptions { max_unused: MaxUnused::Share(0.0), ..options(in_days(days)) };
    prune(repo, state, &options, &Silent)
}

/// Prunes until nothing is left to be done; then every object that is in the bucket must be there for a reason.
pub fn assert_explained(place: &Place, snapshots: usize) {
    let (repo, state, _folder) = place.open();
    assert_all_explained(&place.fake, &format!("{HOME}/"), &repo, &state, snapshots);
    place.assert_single();
}

fn assert_all_explained(fake: &FakeB2, prefix: &str, repo: &Repository, state: &State, snapshots: usize) {
    for days in [30, 40, 50] {
        let done = prune_at(repo, state, days).unwrap();
        assert!(done.problems.is_empty(), "{:?}", done.problems);
    }
    let last = prune_at(repo, state, 60).unwrap();
    let left = (last.condemned_packs, last.waiting_packs, last.young_packs, last.removed_packs, last.unused_bytes);
    assert_eq!((left, last.snapshots), ((0, 0, 0, 0, 0), snapshots as u64), "{last:?}");
    let found = check(repo, state, &CheckOptions::default(), &Silent).unwrap();
    assert!(found.errors.is_empty() && found.notes.is_empty(), "{:?} {:?}", found.errors, found.notes);
    // By their names, and by what names them; the bucket has nothing else.
    let statements = repo.statements().unwrap();
    let listed: HashSet<ObjectId> =
        repo.snapshots(&statements).unwrap().snapshots.iter().map(|snapshot| snapshot.head.id).collect();
    let names: Vec<String> = fake.versions(BUCKET).into_iter().map(|version| version.name).collect();
    let names: Vec<Name> = names
        .iter()
        .map(|name| name.strip_prefix(prefix).and_then(Name::parse).unwrap_or_else(|| panic!("{name}")))
        .collect();
    let packs: HashSet<ObjectId> =
        names.iter().filter(|name| matches!(name, Name::Pack(..))).filter_map(Name::id).collect();
    let mut named = HashSet::new();
    for name in names.iter().filter(|name| matches!(name, Name::Index(..))) {
        let index = repo.signed(name, |opened| Index::decode(&opened.plaintext)).unwrap();
        named.extend(index.packs.into_iter().map(|pack| pack.id));
    }
    assert_eq!(named, packs, "packs in index objects, packs in the bucket");
    assert_eq!(last.packs, packs.len() as u64);
    let manifests: HashSet<ObjectId> =
        names.iter().filter(|name| matches!(name, Name::Snapshot(..))).filter_map(Name::id).collect();
    assert_eq!(manifests, listed);
    let statements_kept = names.iter().filter(|name| matches!(name, Name::Gc(_))).count();
    assert!(
        statements.condemned.is_empty() && statements_kept <= statements.forgotten.len(),
        "{statements_kept} gc objects"
    );
}

/// Does it again, each time as a new process, until it succeeds; how often it ended with an error.
fn until<T>(mut lab: B2Lab, what: &str, work: impl Fn(&Lab) -> panther::Result<T>) -> (B2Lab, T, u64) {
    let mut refusals = 0;
    loop {
        match work(&lab.lab) {
            Ok(done) => return (lab, done, refusals),
            Err(error) => {
                assert!(STORE_CODES.contains(&error.exit_code()), "{what}: {error:?}");
                refusals += 1;
                assert!(refusals < 30, "{what}: {error:?}");
            }
        }
        lab = reopened(lab, what);
    }
}

fn reopened(lab: B2Lab, what: &str) -> B2Lab {
    let mut left = 30;
    lab.reopen_until(|error| {
        left -= 1;
        assert!(left > 0 && STORE_CODES.contains(&error.exit_code()), "{what}: {error:?}");
    })
}

/// By a run that ended with an error after all was done, there is nothing left to be done.
fn done_before(done: panther::Result<()>) -> panther::Result<()> {
    if matches!(done, Err(Error::Usage(_))) { Ok(()) } else { done }
}

fn in_weather(seed: u64) -> (u64, u64) {
    let what = format!("seed {seed}");
    let fake = fake();
    let mut lab = B2Lab::new(&fake);
    for _ in 0..3 {
        lab.backup().unwrap();
        lab.change();
    }
    lab.backup().unwrap();
    let ids: Vec<ObjectId> = lab.snapshots.iter().map(|(id, _)| *id).collect();
    fake.reset_counts();
    let weather = Weather::new(seed).share([0.1, 0.25, 0.4][seed as usize % 3]).at_most(120);
    fake.weather(if seed % 3 == 1 { weather.with_caps() } else { weather });
    let mut refused = 0;
    let (lab, (), more) = until(lab, &what, |lab| done_before(crate::prune::try_forget_ids(lab, &ids[..2])));
    refused += more;
    let (lab, _, more) = until(lab, &what, |lab| prune_at(&lab.repo, &lab.state, 30));
    refused += more;
    // What was forgotten comes back, or not.
    let back = if seed.is_multiple_of(2) { &ids[1..2] } else { &[] };
    let (lab, more) = if back.is_empty() {
        (lab, 0)
    } else {
        let (lab, (), more) = until(lab, &what, |lab| done_before(bring_back(lab, back, false, 31).map(drop)));
        (lab, more)
    };
    refused += more;
    let (lab, _, more) = until(lab, &what, |lab| prune_at(&lab.repo, &lab.state, 38));
    refused += more;
    let (mut lab, _, more) = until(lab, &what, |lab| prune_at(&lab.repo, &lab.state, 46));
    refused += more;
    let faults = fake.log().iter().filter(|call| call.fault.is_some()).count() as u64;
    fake.fair_weather();
    lab.snapshots.retain(|(id, _)| back.contains(id) || !ids[..2].contains(id));
    lab.assert_nothing_is_lost(&what);
    let left = lab.snapshots.len();
    assert_all_explained(&fake, &format!("{PREFIX}/"), &lab.lab.repo, &lab.lab.state, left);
    lab.assert_all_is_well(&what);
    assert_eq!(fake.violations(), Vec::<String>::new(), "{what}");
    (faults, refused)
}

#[test]
fn pruning_in_bad_weather_loses_nothing_and_leaves_nothing() {
    let count = number("PANTHER_B2_PRUNE_SEEDS", 6);
    let (mut faults, mut refused) = (0, 0);
    for seed in 0..count {
        let (met, ended) = in_weather(seed);
        (faults, refused) = (faults + met, refused + ended);
    }
    println!("{count} seeds: {faults} faults, {refused} runs ended with an error");
    assert!(faults > 5 * count && refused > 0, "{faults} faults, {refused} errors");
}

/// A machine of the place with a dozen files of which some change each time; what each snapshot holds.
fn nights(place: &Place, nights: u64) -> Vec<(String, Manifest)> {
    let file = |n: u64| place.sandbox.path(&format!("source/folder{}/file{n}", n % 3));
    (0..12u64).for_each(|n| write(&file(n), &noise(n, 200_000)));
    (0..nights)
        .map(|night| {
            (0..4u64).for_each(|n| write(&file((night * 4 + n) % 12), &noise(100 + night * 4 + n, 180_000)));
            let manifest = Manifest::of(&place.sandbox.path("source"));
            let made = place.json(&["backup", "source", "--host", "h"]);
            (made["snapshot"].as_str().unwrap().to_owned(), manifest)
        })
        .collect()
}

fn assert_comes_back(place: &Place, id: &str, manifest: &Manifest) {
    let source = place.sandbox.path("source").canonicalize().unwrap();
    let what = format!("{id}:{}", source.display());
    place.ok(&["restore", &what, "--target", "back", "-q", "--numeric-ids", "--delete"]);
    manifest.assert_is(&place.sandbox.path("back"), id);
}

#[test]
fn a_killed_prune_goes_on() {
    let kills = number("PANTHER_B2_PRUNE_KILLS", 8);
    let mut chance = ChaCha8Rng::seed_from_u64(number("PANTHER_B2_SEED", 1));
    let (mut done, mut in_change) = (0, 0);
    while done < kills {
        let place = Place::new();
        place.ok(&["init", "-q"]);
        let made = nights(&place, 5);
        let (last, manifest) = made.last().unwrap();
        forget_all_but(&place, last);
        // Slower, so that a kill meets each step.
        place.fake.delay(Duration::from_millis(15));
        let arguments = ["prune", "--grace", "0s", "--short-grace", "--max-unused", "0%", "--json", "-q"];
        let mut whole = 0;
        while whole < 3 {
            let calls = place.fake.log().len();
            let time = if done < kills { chance.random_range(100..900) } else { 600_000 };
            let Some(run) = run_for(&mut place.command(&arguments), Duration::from_millis(time)) else {
                done += 1;
                let changed = |call: &crate::fake_b2::Logged| call.kind.uploads() || call.kind.api().contains("delete");
                in_change += u64::from(place.fake.log()[calls..].iter().any(changed));
                continue;
            };
            assert_eq!(run.code, 0, "{}{}", run.out, run.err);
            whole += 1;
            assert!(document(&run.out)["problems"].as_array().unwrap().is_empty(), "{}", run.out);
        }
        place.fake.delay(Duration::ZERO);
        place.ok(&["check", "--read-data", "--egress-budget", "none"]);
        assert_comes_back(&place, last, manifest);
        let used: u64 = place.fake.versions(BUCKET).iter().map(|version| version.data.len() as u64).sum();
        assert!(used < 12 * 200_000 * 11 / 10, "{used} bytes are left");
        assert_explained(&place, 1);
    }
    println!("{done} kills, {in_change} of them after a change of the bucket");
    assert!(in_change > 0, "no kill has met a change");
}

/// A lost answer, and a listing that is late: an object is stored twice, and billed twice until somebody looks who may remove it.
#[test]
fn what_lost_answers_have_doubled_is_removed() {
    let fake = fake();
    let mut lab = B2Lab::new(&fake);
    let once = |fake: &FakeB2| fake.names(BUCKET).len();
    fake.plan(lost_answers(2));
    for _ in 0..3 {
        lab.backup().unwrap();
        lab.change();
    }
    fake.fair_weather();
    let (doubled, bytes) = (fake.versions(BUCKET).len() - once(&fake), fake.stored_bytes());
    assert!(doubled >= 5, "{doubled} surplus versions");
    // A writer notices it; its key removes nothing.
    let mut keys = options_with(
        &fake,
        PREFIX,
        &KeySpec::new(BUCKET, &WRITER_CAPABILITIES).within(&format!("{PREFIX}/writers/lab/")),
    );
    keys.read_credential = Some(credential(&fake, &KeySpec::new(BUCKET, &["listBuckets", "listFiles", "readFiles"])));
    let folder = tempfile::tempdir().unwrap();
    let opener = panther::keys::wrap::Opener::Passphrase(crate::common::passphrase());
    let writer = Repository::open(crate::b2_lab::backend(&keys), &opener).unwrap();
    let state = State::open(folder.path(), &writer.keys().repo()).unwrap();
    let noted = check(&writer, &state, &CheckOptions::default(), &Silent).unwrap();
    assert!(noted.errors.is_empty() && noted.notes.len() >= doubled, "{noted:?}");
    let refused = prune(&writer, &state, &options(in_days(1)), &Silent);
    assert!(refused.is_err() && fake.versions(BUCKET).len() == once(&fake) + doubled, "{refused:?}");
    // The next prune removes them, long before any grace time: it forgets and condemns nothing.
    let lab = lab.reopen().unwrap();
    let dry = PruneOptions { dry_run: true, ..options(in_days(0)) };
    let planned = prune(&lab.lab.repo, &lab.lab.state, &dry, &Silent).unwrap();
    let done = prune(&lab.lab.repo, &lab.lab.state, &options(in_days(0)), &Silent).unwrap();
    assert_eq!((done.tidied.removed_versions, done.condemned_packs), (doubled as u64, 0), "{done:?}");
    assert_eq!(planned.tidied, done.tidied);
    assert_eq!(fake.versions(BUCKET).len(), once(&fake));
    assert_eq!(bytes - fake.stored_bytes(), done.tidied.removed_bytes);
    lab.assert_all_is_well("once more");
}

/// Objects are locked for a month, and a prune has nothing against that: what is locked it leaves, what stays it locks for longer.
#[test]
fn what_is_locked_is_left_and_goes_later() {
    let fake = FakeB2::start();
    fake.bucket(BUCKET, serde_json::json!({ "fileLockEnabled": true }));
    let with = |days: u32| {
        let mut options = crate::b2_kit::options(&fake, PREFIX);
        options.lock = Some(Lock { mode: RetentionMode::Compliance, days });
        options
    };
    let mut lab = B2Lab::with(with(30));
    for _ in 0..2 {
        lab.backup().unwrap();
        // Nothing of the first is in the second.
        (0..20).for_each(|n| lab.write(&format!("folder{}/small{n}", n % 3), 900));
        lab.write("large", 3 << 20);
        lab.change();
    }
    let (first, _) = lab.snapshots.remove(0);
    let count = || fake.names(BUCKET).len();
    let before = count();
    // Its manifest is locked: it is forgotten, and stays, and so does what it needs.
    crate::prune::try_forget_ids(&lab.lab, &[first]).unwrap();
    assert_eq!((count(), lab.lab.repo.statements().unwrap().forgotten.len()), (before + 1, 1));
    let lab = lab.reopen().unwrap();
    let kept = prune_at(&lab.lab.repo, &lab.lab.state, 30).unwrap();
    assert_eq!((kept.condemned_packs, kept.renewed_locks), (0, 0), "{kept:?}");
    // Somebody who may has removed it: packs are condemned that are locked still, and stay when their time comes.
    let manifest = fake.names(BUCKET).into_iter().find(|name| name.ends_with(&first.to_hex())).unwrap();
    fake.destroy(BUCKET, &manifest);
    let marked = prune_at(&lab.lab.repo, &lab.lab.state, 31).unwrap();
    assert!(marked.condemned_packs > 0 && marked.renewed_locks == 0, "{marked:?}");
    let swept = prune_at(&lab.lab.repo, &lab.lab.state, 39).unwrap();
    assert_eq!((swept.removed_packs, swept.locked_packs), (0, marked.condemned_packs), "{swept:?}");
    lab.assert_nothing_is_lost("locked");
    // Less than half of the time is left: what stays is locked anew, what goes is not.
    let locked = |days: i64| {
        let limit = fake.now_millis() + days * 86_400_000;
        fake.versions(BUCKET).iter().filter(|v| v.retention.is_some_and(|r| r.until_millis > limit)).count() as u64
    };
    fake.advance(Duration::from_secs(20 * 86_400));
    let lab = lab.reopen().unwrap();
    let renewed = prune_at(&lab.lab.repo, &lab.lab.state, 40).unwrap();
    assert!(renewed.renewed_locks > 0 && renewed.removed_packs == 0, "{renewed:?}");
    assert_eq!((locked(29), locked(0) > locked(29)), (renewed.renewed_locks, true));
    // The others' locks end.
    fake.advance(Duration::from_secs(11 * 86_400));
    let lab = lab.reopen().unwrap();
    let gone = prune_at(&lab.lab.repo, &lab.lab.state, 60).unwrap();
    assert_eq!((gone.removed_packs, gone.locked_packs), (marked.condemned_packs, 0), "{gone:?}");
    lab.assert_nothing_is_lost("unlocked");
    assert_eq!(fake.violations(), Vec::<String>::new());
}
