//! Restoring from a damaged repository, and to a disk that is full.

use super::restore_kit::{Kit, identities, is_root, noise};
use panther::Error;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;

/// The packs of the repository that begin as ones of this kind.
fn packs(kit: &Kit, kind: u8) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![kit.path("repo")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if fs::read(&path).unwrap().get(..9).is_some_and(|b| b.starts_with(b"PANTHER\0") && b[8] == kind) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn spoil(path: &Path, offset: u64) {
    let mut permissions = fs::metadata(path).unwrap().permissions();
    #[allow(clippy::permissions_set_readonly_false)]
    permissions.set_readonly(false);
    fs::set_permissions(path, permissions).unwrap();
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
}

fn many_files(kit: &Kit) {
    for dir in ["a", "b"] {
        fs::create_dir(kit.source(dir)).unwrap();
        for number in 0..30 {
            fs::write(
                kit.source(&format!("{dir}/{number:02}")),
                noise(number + u64::from(dir.as_bytes()[0]) * 100, 400_000),
            )
            .unwrap();
        }
    }
    fs::hard_link(kit.source("a/10"), kit.source("b/linked")).unwrap();
}

#[test]
fn one_damaged_segment_costs_only_what_is_in_it() {
    let kit = Kit::new();
    many_files(&kit);
    let snapshot = kit.backup();
    let data = packs(&kit, 1);
    spoil(&data[0], 3_000_000);
    let report = kit.restore(&snapshot, &kit.options("target")).unwrap();
    assert!(report.incomplete);
    let named: BTreeSet<_> = report.problems.iter().map(|p| PathBuf::from(&p.path)).collect();
    assert!((1..10).contains(&named.len()), "{:?}", report.problems);
    assert!(report.problems.iter().any(|p| p.error.contains("damaged")), "{:?}", report.problems);
    let mut good = 0;
    for path in identities(&kit.path("source")).keys() {
        let (source, target) = (kit.path("source").join(path), kit.path("target").join(path));
        if named.contains(&source) {
            assert!(!target.exists(), "{} must not look complete", target.display());
        } else if source.is_file() {
            good += 1;
            assert!(fs::read(&source).unwrap() == fs::read(&target).unwrap());
        }
    }
    assert_eq!(report.files + report.links, good);
    // What is there already is not taken away, and what is right in the target need not be read.
    let first = named.iter().next().unwrap().strip_prefix(kit.path("source")).unwrap();
    fs::write(kit.path("target").join(first), b"older").unwrap();
    let mut options = kit.options("target");
    options.delete = true;
    let report = kit.restore(&snapshot, &options).unwrap();
    assert_eq!(report.problem_count, named.len() as u64);
    assert_eq!(fs::read(kit.path("target").join(first)).unwrap(), b"older");
}

#[test]
fn a_missing_pack_and_a_hard_link_into_it() {
    let kit = Kit::new();
    many_files(&kit);
    fs::write(kit.source("inline"), b"in the tree itself").unwrap();
    let snapshot = kit.backup();
    for pack in packs(&kit, 1) {
        fs::remove_file(pack).unwrap();
    }
    let report = kit.restore(&snapshot, &kit.options("target")).unwrap();
    assert_eq!((report.files, report.problem_count), (1, 61));
    assert!(report.problems.iter().any(|p| p.path.ends_with("b/linked") && p.error.contains("another name")));
    assert_eq!(fs::read(kit.path("target/inline")).unwrap(), b"in the tree itself");
    assert_eq!(fs::read_dir(kit.path("target/a")).unwrap().count(), 0);
}

#[test]
fn a_damaged_directory_loses_nothing_of_the_target() {
    let kit = Kit::new();
    let snapshots: Vec<_> = ["a", "b", "c"]
        .into_iter()
        .map(|dir| {
            fs::create_dir(kit.source(dir)).unwrap();
            fs::write(kit.source(&format!("{dir}/file")), dir).unwrap();
            kit.backup()
        })
        .collect();
    kit.good(&snapshots[2], &kit.options("target"));
    fs::write(kit.path("target/b/extra"), b"x").unwrap();
    fs::write(kit.path("target/c/extra"), b"x").unwrap();
    // Each backup wrote one tree pack; the second has the stream of `b`.
    let known: BTreeSet<_> = packs(&kit, 2).into_iter().collect();
    let mut hit = 0;
    for pack in known {
        spoil(&pack, 140);
        let mut options = kit.options("target");
        options.delete = true;
        let report = kit.restore(&snapshots[2], &options).unwrap();
        spoil(&pack, 140);
        assert!(kit.path("target/a/file").exists() && kit.path("target/b/file").exists(), "{report:?}");
        if report.problems.iter().any(|p| p.path.ends_with("/b")) {
            hit += 1;
            assert!(report.problems[0].error.contains("a part of this directory cannot be read"));
            assert!(kit.path("target/b/extra").exists() && !kit.path("target/c/extra").exists());
        }
        fs::write(kit.path("target/b/extra"), b"x").unwrap();
        fs::write(kit.path("target/c/extra"), b"x").unwrap();
    }
    assert!(hit > 0);
}

#[test]
fn a_full_disk_stops_with_a_clear_error() {
    if !is_root() {
        return;
    }
    let kit = Kit::new();
    many_files(&kit);
    let snapshot = kit.backup();
    let target = kit.path("target");
    fs::create_dir(&target).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"]).arg(&target).status();
    if !mounted.is_ok_and(|status| status.success()) {
        println!("skipped: no file system can be mounted here");
        return;
    }
    let result = kit.restore(&snapshot, &kit.options("target"));
    let sizes: Vec<u64> =
        fs::read_dir(target.join("a")).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).collect();
    assert!(Command::new("umount").arg(&target).status().unwrap().success());
    let error = result.unwrap_err();
    assert!(matches!(&error, Error::Io { path, .. } if path.starts_with(kit.path("source"))), "{error}");
    assert!(!sizes.is_empty() && sizes.iter().all(|size| *size == 400_000), "{sizes:?}");
}

#[test]
fn a_store_that_is_gone_ends_the_run() {
    let kit = Kit::new();
    for number in 0..100 {
        fs::write(kit.source(&format!("{number:03}")), noise(number, 1_000_000)).unwrap();
    }
    let snapshot = kit.backup();
    // The trees, the pack's key and some segments.
    kit.reads_left.store(12, Ordering::Relaxed);
    let error = kit.restore(&snapshot, &kit.options("target")).unwrap_err();
    assert!(matches!(error, Error::Store { .. }), "{error}");
    kit.reads_left.store(u64::MAX, Ordering::Relaxed);
    let mut options = kit.options("target");
    options.overwrite = true;
    kit.good(&snapshot, &options);
    kit.assert_same("target");
}
