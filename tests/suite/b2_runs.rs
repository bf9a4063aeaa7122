//! Whole runs over B2: what they cost in calls, and what is left when they are disturbed.

use crate::b2_kit::{BUCKET, credential, fake, open, options, options_with};
use crate::common::{Lab, noise, passphrase, settle, write};
use crate::fake_b2::{Call, FakeB2, Fault, KeySpec, Kind, WRITER_CAPABILITIES, Weather};
use panther::backend::b2::B2Options;
use panther::ops::Silent;
use panther::ops::backup::backup;
use panther::ops::restore::{RestoreOptions, restore};
use panther::repo::Repository;
use panther::state::State;
use panther::target::OwnerMap;
use std::sync::Arc;
use tempfile::TempDir;

/// A repository in the fake, with a source and a state of its own.
fn lab(options: &B2Options) -> Lab {
    let folder = TempDir::new().unwrap();
    let recipient = panther::keys::wrap::Recipient::Passphrase(passphrase());
    let repo = Repository::init(Arc::new(open(options)), &recipient, "test", 2).unwrap();
    let state = State::open(&folder.path().join("state"), &repo.keys().repo()).unwrap();
    std::fs::create_dir(folder.path().join("source")).unwrap();
    Lab { folder, repo, state }
}

/// The same repository as another run sees it.
fn again(lab: Lab, options: &B2Options) -> Lab {
    let Lab { folder, repo, state } = lab;
    drop((repo, state));
    let opener = panther::keys::wrap::Opener::Passphrase(passphrase());
    let repo = Repository::open(Arc::new(open(options)), &opener).unwrap();
    let state = State::open(&folder.path().join("state"), &repo.keys().repo()).unwrap();
    Lab { folder, repo, state }
}

fn restore_options(lab: &Lab, to: &str) -> RestoreOptions {
    RestoreOptions {
        owners: OwnerMap::by_name(),
        threads: 2,
        ..RestoreOptions::new(Some(lab.source().to_str().unwrap().as_bytes().to_vec()), lab.folder.path().join(to))
    }
}

/// Restores the newest snapshot and compares it with the source.
fn restores(lab: &Lab, to: &str) {
    let statements = lab.repo.statements().unwrap();
    let listing = lab.repo.snapshots(&statements).unwrap();
    assert!(listing.bad.is_empty(), "{:?}", listing.bad);
    lab.repo.sync(&lab.state, None, &statements).unwrap();
    let options = restore_options(lab, to);
    let done = restore(&lab.repo, &lab.state, listing.snapshots.last().unwrap(), &options, &Silent).unwrap();
    assert!(!done.incomplete, "{:?}", done.problems);
    let out = std::process::Command::new("diff").arg("-r").arg(lab.source()).arg(&options.target).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
}

/// 150 MiB that do not compress in one file, and small files.
fn fill(lab: &Lab) {
    write(&lab.source().join("large"), &noise(1, 150 << 20));
    for number in 0..300 {
        write(&lab.source().join(format!("d{}/f{number}", number % 10)), &noise(1_000 + number, 5_000));
    }
    settle();
}

#[test]
fn a_first_backup_an_unchanged_night_and_a_restore_make_few_calls() {
    let fake = fake();
    let options = options(&fake, "home");
    let lab = lab(&options);
    fill(&lab);
    fake.reset_counts();
    lab.backup();
    let counts = fake.counts();
    // 25 uploads a GiB.
    let gib = fake.stored_bytes() as f64 / f64::from(1 << 30);
    let uploads = counts.of(Kind::UploadFile);
    assert!(uploads <= 3 + 3, "{uploads} uploads for {gib} GiB");
    assert_eq!(fake.violations(), Vec::<String>::new());

    fake.reset_counts();
    let lab = again(lab, &options);
    let report = lab.backup();
    assert_eq!((report.packs, report.summary.files_new + report.summary.files_changed), (0, 0));
    let counts = fake.counts();
    assert!(counts.all() <= 10, "{:?}", counts.calls);
    assert_eq!((counts.of(Kind::UploadFile), fake.log().iter().filter(|l| l.up_bytes > 100_000).count()), (1, 0));

    fake.reset_counts();
    let lab = again(lab, &options);
    let mut skip = lab.options();
    skip.skip_if_unchanged = true;
    assert_eq!(lab.backup_with(&skip).snapshot, None);
    assert_eq!(fake.counts().of(Kind::UploadFile), 0);

    fake.reset_counts();
    restores(&lab, "restored");
    let counts = fake.counts();
    // 40 downloads a GiB of data, besides snapshots, index objects and the like.
    let downloads = counts.downloads();
    assert!(downloads <= 6 + 7, "{downloads} downloads for {gib} GiB: {:?}", counts.calls);
    assert!(counts.lists() <= 4, "{:?}", counts.calls);
    let wasted = counts.downloaded_bytes as f64 / fake.stored_bytes() as f64;
    assert!(wasted < 1.1, "{wasted} of what is stored was downloaded");
}

#[test]
fn a_writers_night_with_two_keys_makes_few_calls_too() {
    let fake = fake();
    let admin = lab(&options(&fake, "home"));
    drop(admin.backup_with(&{
        write(&admin.source().join("file"), b"x");
        admin.options()
    }));
    let mut both = options_with(&fake, "home", &KeySpec::new(BUCKET, &WRITER_CAPABILITIES).within("home/writers/lab/"));
    both.read_credential = Some(credential(&fake, &KeySpec::new(BUCKET, &["listBuckets", "listFiles", "readFiles"])));
    let lab = again(admin, &both);
    lab.backup();
    fake.reset_counts();
    let lab = again(lab, &both);
    let report = lab.backup();
    assert!(report.snapshot.is_some());
    assert!(fake.counts().all() <= 10, "{:?}", fake.counts().calls);
}

#[test]
fn a_backup_in_bad_weather_loses_nothing() {
    for seed in 0..6 {
        let fake = fake();
        let options = options(&fake, "");
        let mut lab = lab(&options);
        for number in 0..40 {
            write(&lab.source().join(format!("f{number}")), &noise(seed * 100 + number, 200_000));
        }
        settle();
        fake.weather(Weather::new(seed).share(0.25).at_most(60));
        // A run may fail with a clear error; sooner or later one does not.
        let mut done = false;
        for _ in 0..10 {
            match backup(&lab.repo, &lab.state, &lab.options(), &Silent) {
                Ok(_) => {
                    done = true;
                    break;
                }
                Err(error) => assert!([4, 5, 7].contains(&error.exit_code()), "seed {seed}: {error:?}"),
            }
            lab = again(lab, &options);
        }
        assert!(done, "seed {seed}");
        let mut weather = Weather::new(seed + 1_000).share(0.25).at_most(60);
        // With a listing that lacks the newest there is no newest snapshot to restore.
        fake.plan(move |call| weather.meet(call).filter(|fault| !matches!(fault, Fault::StaleListing(..))));
        restores(&lab, "restored");
        assert_eq!(fake.violations(), Vec::<String>::new());
    }
}

#[test]
fn wrong_bytes_are_read_again_over_another_connection() {
    let fake = fake();
    let options = options(&fake, "");
    let lab = lab(&options);
    write(&lab.source().join("large"), &noise(7, 20 << 20));
    settle();
    lab.backup();
    // Every object's first download is wrong, whole or in part, for as long as its connection lasts.
    let mut seen = std::collections::HashSet::new();
    fake.plan(move |call: &Call| {
        let first = call.kind.downloads() && seen.insert(call.name.clone());
        first.then_some(Fault::Corrupt)
    });
    let lab = again(lab, &options);
    restores(&lab, "restored");
}

#[test]
fn a_shadowed_pack_is_still_restored() {
    let fake = fake();
    let options = options(&fake, "p");
    let lab = lab(&options);
    write(&lab.source().join("large"), &noise(8, 3 << 20));
    settle();
    lab.backup();
    for version in fake.versions(BUCKET) {
        if version.name.contains("/packs/") || version.name.contains("/index/") {
            fake.shadow(BUCKET, &version.name, &noise(9, version.data.len()));
        } else if version.name.contains("/snapshots/") {
            fake.hide(BUCKET, &version.name);
        }
    }
    let Lab { folder, repo, state } = again(lab, &options);
    drop(state);
    // Without what is remembered: index objects, too, are read anew.
    std::fs::remove_dir_all(folder.path().join("state")).unwrap();
    let state = State::open(&folder.path().join("state"), &repo.keys().repo()).unwrap();
    let lab = Lab { folder, repo, state };
    restores(&lab, "restored");
    assert!(lab.repo.backend().oddities().len() >= 3);
}

/// Packs of the bucket with their numbers of versions.
fn packs(fake: &FakeB2) -> usize {
    fake.versions(BUCKET).iter().filter(|v| v.name.contains("/packs/")).count()
}

#[test]
fn a_cap_stops_and_the_next_run_goes_on() {
    let fake = fake();
    let options = options(&fake, "");
    let lab = lab(&options);
    write(&lab.source().join("large"), &noise(10, 200 << 20));
    settle();
    fake.plan(|call| {
        (call.kind == Kind::UploadFile && call.body_bytes > 1 << 20 && call.nth > 2 + 2)
            .then_some(Fault::Cap("storage_cap_exceeded"))
    });
    let error = backup(&lab.repo, &lab.state, &lab.options(), &Silent).unwrap_err();
    assert_eq!(error.exit_code(), 6, "{error:?}");
    assert!(error.hint().unwrap().contains("storage cap"));
    let stored = packs(&fake);
    assert!(stored >= 1, "{stored}");
    fake.fair_weather();
    let lab = again(lab, &options);
    let report = lab.backup();
    // Nothing that was stored is stored again.
    assert_eq!(report.packs as usize + stored, packs(&fake));
    assert!(fake.stored_bytes() < 202 << 20, "{}", fake.stored_bytes());
    restores(&lab, "restored");
}
