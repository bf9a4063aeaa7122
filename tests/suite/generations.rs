//! Generation after generation of a tree that changes at random: every one comes back exactly.
//!
//! `PANTHER_GENERATIONS=N` makes N of them for each seed, `PANTHER_SEEDS=N` takes so many seeds.

mod edits;
pub mod manifest;

use crate::common::{Lab, settle};
use edits::Field;
use manifest::Manifest;
use panther::id::ObjectId;
use panther::ops::Silent;
use panther::ops::restore::{RestoreOptions, restore};
use panther::repo::snapshots::Snapshot;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The number in an environment variable.
pub fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

/// A whole snapshot of `path` into a target, written over what is there.
fn options(path: &Path, target: PathBuf) -> RestoreOptions {
    RestoreOptions { threads: 2, ..RestoreOptions::new(Some(path.as_os_str().as_bytes().to_vec()), target) }
}

fn snapshot(lab: &Lab, id: ObjectId) -> Snapshot {
    let statements = lab.repo.statements().unwrap();
    let all = lab.repo.snapshots(&statements).unwrap().snapshots;
    all.into_iter().find(|snapshot| snapshot.head.id == id).unwrap()
}

/// Backs up once more, reading everything: the trees must be the same.
fn assert_forced_is_the_same(lab: &Lab, id: ObjectId, what: &str) {
    let mut options = lab.options();
    options.force = true;
    let forced = lab.backup_with(&options);
    let roots = |id| snapshot(lab, id).manifest.roots;
    assert_eq!(roots(forced.snapshot.unwrap()), roots(id), "{what}: reading everything gives something else");
    assert_eq!(forced.summary.data_blobs, 0, "{what}: reading everything stores something");
}

/// Two of three seeds live in memory where there is room: another file system, and a quick one.
fn folder(seed: u64) -> TempDir {
    let memory = Path::new("/dev/shm");
    let room = || rustix::fs::statvfs(memory).map_or(0, |stat| stat.f_bavail * stat.f_frsize);
    if !seed.is_multiple_of(3) && room() > 2 << 30 { TempDir::new_in(memory).unwrap() } else { TempDir::new().unwrap() }
}

fn live_through(seed: u64, generations: u64) {
    let mut lab = Lab::within(folder(seed));
    let mut chance = ChaCha8Rng::seed_from_u64(!seed);
    let mut field = Field::new(seed, &lab.source());
    let mut history: Vec<(ObjectId, Manifest)> = Vec::new();
    for generation in 0..generations {
        let what = format!("seed {seed}, generation {generation}");
        match chance.random_range(0..8) {
            0 => lab = lab.reopen(),
            1 => {
                std::fs::remove_dir_all(lab.folder.path().join("state")).unwrap();
                lab = lab.reopen();
            }
            // What is older than a tick of the clock is not read again; what is younger is.
            2..6 => settle(),
            _ => {}
        }
        let report = lab.backup();
        let is_expected = |warning: &String| warning.contains("far smaller");
        assert!(report.unreadable.is_empty() && report.warnings.iter().all(is_expected), "{what}: {report:?}");
        let id = report.snapshot.unwrap();
        if chance.random_range(0..4) == 0 {
            assert_forced_is_the_same(&lab, id, &what);
        }
        history.push((id, Manifest::of(&lab.source())));
        let times = chance.random_range(1..60);
        field.edit(times);
    }

    // In any order, some into a folder of their own, the others one after the other into the same one.
    let same = lab.folder.path().join("same");
    while !history.is_empty() {
        let (id, mut manifest) = history.swap_remove(chance.random_range(0..history.len()));
        let what = format!("seed {seed}, snapshot {}, {} objects", id.short(), manifest.len());
        let is_alone = chance.random_range(0..3) == 0;
        let mut options = options(&lab.source(), lab.folder.path().join("fresh"));
        if !is_alone {
            options = RestoreOptions { target: same.clone(), delete: true, verify: true, ..options };
            manifest = manifest.without_holes();
        }
        let report = restore(&lab.repo, &lab.state, &snapshot(&lab, id), &options, &Silent).unwrap();
        assert!(!report.incomplete, "{what}: {:?}", report.problems);
        manifest.assert_is(&options.target, &what);
        if is_alone {
            std::fs::remove_dir_all(&options.target).unwrap();
        }
    }
}

#[test]
fn every_generation_comes_back_exactly() {
    let generations = number("PANTHER_GENERATIONS", 10);
    for seed in 0..number("PANTHER_SEEDS", 3) {
        live_through(seed, generations);
    }
}
