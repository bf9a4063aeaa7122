//! The local state is a cache: whatever happens to it costs time, never a snapshot.

use super::{assert_comes_back, assert_says};
use crate::cli_common::Sandbox;
use crate::common::{noise, settle};
use crate::crash::packs::assert_nothing_twice;
use crate::generations::manifest::Manifest;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fs;
use std::path::{Path, PathBuf};

fn filled() -> Sandbox {
    let sandbox = Sandbox::new();
    for n in 0..300_u64 {
        sandbox.write(&format!("source/dir{}/file{n}", n % 9), noise(n, n as usize * 20));
    }
    settle();
    sandbox.ok(&["backup", "source", "-q"]);
    sandbox
}

/// The one state file of a sandbox.
fn state_of(sandbox: &Sandbox) -> PathBuf {
    let folders = fs::read_dir(sandbox.path("state")).unwrap().map(|entry| entry.unwrap().path());
    folders.into_iter().find(|path| path.is_dir()).unwrap().join("state.redb")
}

/// Backs up with whatever is the state now: it must succeed and store nothing that is stored.
fn assert_recovers(sandbox: &Sandbox, what: &str) {
    let run = sandbox.run(&["backup", "source", "--json", "-q"]);
    assert_eq!(run.code, 0, "{what}: {}", run.err);
    let report = crate::cli_common::document(&run.out);
    assert_eq!(report["summary"]["data_blobs"], 0, "{what}: {report}");
    assert_eq!(report["summary"]["files"], 300, "{what}: {report}");
}

#[test]
fn a_state_that_is_no_state_is_replaced() {
    let sandbox = filled();
    let manifest = Manifest::of(&sandbox.path("source"));
    let state = state_of(&sandbox);
    let good = fs::read(&state).unwrap();
    let cases: [(&str, Vec<u8>); 6] = [
        ("empty", Vec::new()),
        ("garbage", noise(1, good.len())),
        ("a little garbage", noise(2, 10)),
        ("half of it", good[..good.len() / 2].to_vec()),
        ("the first page", good[..4_096].to_vec()),
        ("zeros", vec![0; good.len()]),
    ];
    for (what, bytes) in cases {
        fs::write(&state, bytes).unwrap();
        assert_recovers(&sandbox, what);
        for arguments in [&["ls", "latest"][..], &["check"]] {
            sandbox.ok(arguments);
        }
    }
    assert_comes_back(&sandbox, &manifest);
    assert_nothing_twice(&sandbox);
}

#[test]
fn a_state_with_damage_somewhere_is_noticed_or_harmless() {
    let sandbox = filled();
    let manifest = Manifest::of(&sandbox.path("source"));
    let state = state_of(&sandbox);
    let good = fs::read(&state).unwrap();
    let mut chance = ChaCha8Rng::seed_from_u64(5);
    for round in 0..crate::generations::number("PANTHER_STATES", 40) {
        let mut bad = good.clone();
        for _ in 0..chance.random_range(1..200) {
            let at = chance.random_range(0..bad.len());
            bad[at] ^= 1 << chance.random_range(0..8);
        }
        fs::write(&state, bad).unwrap();
        // It may succeed, or say which file is bad; then the next run makes that anew. No snapshot may lack anything.
        let run = sandbox.run(&["backup", "source", "-q"]);
        if run.code != 0 {
            assert_says(&run, 1, &["state.redb", "delete the file"]);
            assert_recovers(&sandbox, &format!("round {round}"));
        }
        sandbox.ok(&["check"]);
    }
    // The last one may be damaged still: then a restore says so, and the next one is right.
    let path = sandbox.path("source").canonicalize().unwrap();
    let run = sandbox.run(&["restore", &format!("latest:{}", path.display()), "--target", "back", "-q"]);
    if run.code != 0 {
        assert!(matches!(run.code, 1 | 3) && run.err.contains("state"), "{}", run.err);
    }
    fs::remove_dir_all(sandbox.path("back")).unwrap_or_default();
    assert_comes_back(&sandbox, &manifest);
}

#[test]
fn a_state_that_is_gone_or_another_repositorys() {
    let sandbox = filled();
    let manifest = Manifest::of(&sandbox.path("source"));
    fs::remove_dir_all(sandbox.path("state")).unwrap();
    assert_recovers(&sandbox, "gone");
    assert_nothing_twice(&sandbox);

    // What another repository has, this one does not have.
    let state = fs::read(state_of(&sandbox)).unwrap();
    let other = Sandbox::new();
    copy_tree(&sandbox.path("source"), &other.path("source"));
    other.ok(&["snapshots"]);
    other.ok(&["backup", "password", "-q"]);
    fs::write(state_of(&other), state).unwrap();
    let report = other.json(&["backup", "source"]);
    assert!(report["summary"]["data_blobs"].as_u64().unwrap() > 200, "{report}");
    other.ok(&["check", "--read-data"]);
    assert_comes_back(&other, &Manifest::of(&other.path("source")));
    assert_comes_back(&sandbox, &manifest);
}

#[test]
fn a_repository_that_has_gone_back_in_time() {
    let sandbox = filled();
    copy_tree(&sandbox.path("repo"), &sandbox.path("copy of the repo"));
    for n in 0..50 {
        sandbox.write(&format!("source/new/file{n}"), noise(1_000 + n, 3_000));
    }
    settle();
    sandbox.ok(&["backup", "source", "-q"]);
    fs::remove_dir_all(sandbox.path("repo")).unwrap();
    fs::rename(sandbox.path("copy of the repo"), sandbox.path("repo")).unwrap();
    // The state knows of packs that are no more.
    let run = sandbox.run(&["backup", "source", "--json"]);
    let report = crate::cli_common::document(&run.out);
    assert_eq!((run.code, &report["summary"]["data_blobs"]), (3, &50.into()), "{report}");
    // The snapshot that was made meanwhile is missed, until somebody says that it is right.
    let gone = report["vanished"][0]["object"].as_str().unwrap().rsplit('/').next().unwrap();
    assert_eq!(sandbox.run(&["check"]).code, 4);
    sandbox.ok(&["forget", gone]);
    sandbox.ok(&["check", "--read-data"]);
    assert_comes_back(&sandbox, &Manifest::of(&sandbox.path("source")));
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() { copy_tree(&entry.path(), &to) } else { assert!(fs::copy(entry.path(), to).is_ok()) }
    }
}
