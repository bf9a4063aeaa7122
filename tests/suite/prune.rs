//! `prune` on repositories made by real backups, with the time of the years to come.

use crate::common::{Lab, noise, write};
use panther::egress::{Budget, Limit};
use panther::error::Error;
use panther::format::time::Time;
use panther::id::{ObjectId, WriterName};
use panther::ops::Silent;
use panther::ops::backup::BackupReport;
use panther::ops::check::{Amount, CheckOptions, check};
use panther::ops::forget::{ForgetOptions, GroupBy, forget};
use panther::ops::prune::{PruneOptions, PruneReport, prune};
use panther::prune::MaxUnused;
use panther::retention::Policy;

pub const DAY_SECS: i64 = 86_400;

/// So many days from now.
pub fn in_days(days: i64) -> Time {
    let now = Time::now();
    Time { secs: now.secs + days * DAY_SECS, ..now }
}

pub fn lab_writer() -> WriterName {
    WriterName::new("lab").unwrap()
}

/// At that time, for small repositories: every pack of theirs is small.
pub fn options(now: Time) -> PruneOptions {
    PruneOptions { now: Some(now), repack_small: false, threads: 2, ..PruneOptions::new(lab_writer()) }
}

pub fn prune_in(lab: &Lab, days: i64) -> PruneReport {
    prune(&lab.repo, &lab.state, &options(in_days(days)), &Silent).unwrap()
}

pub fn forget_ids(lab: &Lab, ids: &[ObjectId]) {
    try_forget_ids(lab, ids).unwrap();
}

pub fn try_forget_ids(lab: &Lab, ids: &[ObjectId]) -> panther::Result<()> {
    let options = ForgetOptions {
        filter: Default::default(),
        ids: ids.iter().map(|id| id.to_hex()).collect(),
        policy: Policy::default(),
        group_by: GroupBy::default(),
        zone: jiff::tz::TimeZone::UTC,
        dry_run: false,
        remove_all: true,
        writer: lab_writer(),
    };
    forget(&lab.repo, &lab.state, &options, &Silent).map(drop)
}

pub fn id_of(report: &BackupReport) -> ObjectId {
    report.snapshot.unwrap()
}

/// Every blob of every pack is right, and nothing is missing.
pub fn assert_sound(lab: &Lab) {
    let options = CheckOptions { read_data: Some(Amount::All), threads: 2, ..CheckOptions::default() };
    let found = check(&lab.repo, &lab.state, &options, &Silent).unwrap();
    assert!(found.errors.is_empty(), "{:?}", found.errors);
}

/// Names of packs and of index objects.
fn stored(lab: &Lab) -> (Vec<String>, Vec<String>) {
    lab.objects("writers/lab/").into_iter().filter(|n| !n.contains("/snapshots/")).partition(|n| n.contains("/packs/"))
}

#[test]
fn what_is_forgotten_goes_after_the_grace_time() {
    let lab = Lab::new();
    write(&lab.source().join("stays"), &noise(1, 3 << 20));
    write(&lab.source().join("goes"), &noise(2, 2 << 20));
    let first = id_of(&lab.backup());
    std::fs::remove_file(lab.source().join("goes")).unwrap();
    write(&lab.source().join("new"), &noise(3, 1 << 20));
    let second = id_of(&lab.backup());
    let nothing = prune_in(&lab, 30);
    assert_eq!((nothing.condemned_packs, nothing.removed_packs, nothing.statement), (0, 0, None), "{nothing:?}");

    forget_ids(&lab, &[first]);
    let before = stored(&lab);
    // The first pack holds what goes and what stays.
    let dry = PruneOptions { dry_run: true, ..options(in_days(30)) };
    let planned = prune(&lab.repo, &lab.state, &dry, &Silent).unwrap();
    assert_eq!(stored(&lab), before);
    assert!(planned.repacked_packs >= 1 && planned.condemned_packs >= 2, "{planned:?}");

    let marked = prune_in(&lab, 30);
    assert!(marked.problems.is_empty() && marked.repacked_packs == planned.repacked_packs, "{marked:?}");
    assert!(marked.written_bytes < 4 << 20 && marked.written_bytes > 3 << 20);
    assert_eq!((marked.condemned_packs, marked.removed_packs), (planned.condemned_packs, 0));
    assert!(stored(&lab).0.len() > before.0.len() && before.0.iter().all(|name| stored(&lab).0.contains(name)));
    assert_sound(&lab);

    // Nothing goes before its time.
    let early = prune_in(&lab, 36);
    assert_eq!((early.removed_packs, early.condemned_packs), (0, 0), "{early:?}");
    assert_eq!(early.waiting_packs, marked.condemned_packs);
    let swept = prune_in(&lab, 38);
    assert_eq!(
        (swept.removed_packs, swept.removed_bytes),
        (marked.condemned_packs, marked.condemned_bytes),
        "{swept:?}"
    );
    assert!(swept.removed_index_objects >= 1);
    let total: u64 = stored(&lab).0.iter().map(|name| lab.repo.backend().size(name).unwrap()).sum();
    assert!(total < (4 << 20) + (100 << 10), "{total} bytes are left of 4 MiB that are needed");
    assert_sound(&lab);
    // Then the gc object goes, too; that of the forgotten snapshot stays.
    assert_eq!(prune_in(&lab, 40).removed_gc_objects, 1);
    assert_eq!(lab.objects("gc/").len(), 1);

    let again = lab.backup();
    assert_eq!((again.summary.data_blobs, again.vanished.len()), (0, 0), "{again:?}");
    assert_eq!(lab.repo.statements().unwrap().forgotten.len(), 1);
    assert_ne!(again.snapshot, Some(second));
    assert_sound(&lab);
}

#[test]
fn limits_are_kept() {
    let lab = Lab::new();
    let mut ids = Vec::new();
    for n in 0..4u64 {
        write(&lab.source().join(format!("half{n}")), &noise(n, 1 << 20));
        write(&lab.source().join("other"), &noise(100 + n, 1 << 20));
        ids.push(id_of(&lab.backup()));
    }
    forget_ids(&lab, &ids[..3]);
    let dry = |change: &dyn Fn(&mut PruneOptions)| {
        let mut options = PruneOptions { dry_run: true, ..options(in_days(30)) };
        change(&mut options);
        prune(&lab.repo, &lab.state, &options, &Silent).unwrap()
    };
    let all = dry(&|_| {});
    assert!(all.repacked_packs == 3 && !all.limited, "{all:?}");
    assert_eq!(dry(&|options| options.max_unused = MaxUnused::Unlimited).repacked_packs, 0);
    let one = dry(&|options| options.max_repack_bytes = 3 << 20);
    assert!(one.repacked_packs == 1 && one.limited && one.unused_bytes > 1 << 20, "{one:?}");
    let spent = dry(&|options| options.budget = Budget { limit: Limit::Bytes(5 << 20), used_bytes: 5 << 20 });
    assert!(spent.repacked_packs == 0 && spent.limited, "{spent:?}");
    let priced = dry(&|options| options.dollars_per_gib_month = Some(0.007));
    let gib = (priced.condemned_bytes - priced.written_bytes) as f64 / f64::from(1 << 30);
    assert!((priced.saved_dollars.unwrap() - gib * 0.007).abs() < 1e-9);
    // Small packs are put together where there are many.
    let small = PruneOptions { repack_small: true, max_unused: MaxUnused::Unlimited, ..options(in_days(30)) };
    for n in 0..12u64 {
        write(&lab.source().join(format!("small{n}")), &noise(1_000 + n, 100 << 10));
        lab.backup();
    }
    let joined = prune(&lab.repo, &lab.state, &small, &Silent).unwrap();
    assert!(joined.repacked_packs >= 12 && joined.written_packs == 2, "{joined:?}");
    assert_sound(&lab);
    prune_in(&lab, 60);
    assert_sound(&lab);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let lab = Lab::new();
    write(&lab.source().join("file"), b"content");
    lab.backup();
    let short = PruneOptions { grace_secs: 3_600, ..options(in_days(30)) };
    assert!(matches!(prune(&lab.repo, &lab.state, &short, &Silent), Err(Error::Usage(_))));
    prune(&lab.repo, &lab.state, &PruneOptions { short_grace: true, ..short }, &Silent).unwrap();
}

#[test]
fn what_cannot_be_read_stops_it() {
    let lab = Lab::new();
    write(&lab.source().join("file"), &noise(1, 1 << 20));
    let first = id_of(&lab.backup());
    write(&lab.source().join("file"), &noise(2, 1 << 20));
    lab.backup();
    forget_ids(&lab, &[first]);
    let manifest = lab.objects("writers/lab/snapshots/").remove(0);
    let path = lab.folder.path().join("repo").join(manifest);
    let bytes = std::fs::read(&path).unwrap();
    let before = lab.objects("");
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let error = prune(&lab.repo, &lab.state, &options(in_days(30)), &Silent).unwrap_err();
    assert_eq!(error.exit_code(), 4, "{error}");
    assert_eq!(lab.objects(""), before);
    std::fs::write(&path, &bytes).unwrap();
    assert!(prune_in(&lab, 30).condemned_packs > 0);
}

/// A pack that no index object names is an orphan: it goes once it is old.
#[test]
fn orphans_go() {
    let lab = Lab::new();
    write(&lab.source().join("file"), &noise(1, 1 << 20));
    lab.backup();
    let index = lab.objects("writers/lab/index/").remove(0);
    lab.repo.backend().delete(&index).unwrap();
    let snapshot = lab.objects("writers/lab/snapshots/").remove(0);
    lab.repo.backend().delete(&snapshot).unwrap();
    assert_eq!(prune_in(&lab, 6).condemned_packs, 0, "its writer may be at work");
    let marked = prune_in(&lab, 8);
    assert_eq!((marked.condemned_packs, marked.packs), (2, 2), "{marked:?}");
    assert_eq!(prune_in(&lab, 16).removed_packs, 2);
    assert!(stored(&lab).0.is_empty());
}
