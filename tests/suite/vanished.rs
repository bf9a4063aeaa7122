//! Manifests, packs and whole repositories that are not what they were: what a machine notices.

use crate::cli_common::{Sandbox, document, run};
use crate::common::{Lab, noise, write};
use crate::damage_check::STRUCTURE;
use panther::ops::Silent;
use panther::ops::check::{CheckReport, FindingKind, check};
use panther::state::State;
use std::fs;
use std::path::Path;

fn checked(lab: &Lab, state: &State) -> CheckReport {
    check(&lab.repo, state, &STRUCTURE, &Silent).unwrap()
}

fn fresh_state(lab: &Lab, name: &str) -> State {
    State::open(&lab.folder.path().join(name), &lab.repo.keys().repo()).unwrap()
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &to.join(entry.file_name())),
            false => drop(fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

/// Three runs of changing files.
fn lab() -> Lab {
    let lab = Lab::new();
    for n in 0..3 {
        write(&lab.source().join("file"), &noise(n, 200_000));
        write(&lab.source().join(format!("only-{n}")), &noise(10 + n, 50_000));
        assert!(lab.backup().vanished.is_empty());
    }
    lab
}

#[test]
fn a_removed_newest_manifest_is_noticed_by_who_has_seen_it() {
    let lab = lab();
    let other = fresh_state(&lab, "other");
    assert!(checked(&lab, &other).is_sound());
    let stranger = fresh_state(&lab, "stranger");
    let all = lab.objects("writers/lab/snapshots/");
    let repo = &lab.repo;
    let newest = repo.snapshots(&repo.statements().unwrap()).unwrap().snapshots.pop().unwrap().name().to_string();
    assert!(all.contains(&newest));
    repo.backend().delete(&newest).unwrap();

    let report = checked(&lab, &other);
    assert_eq!(report.errors.len(), 1, "{:?}", report.errors);
    assert_eq!((report.errors[0].kind, &report.errors[0].object), (FindingKind::Chain, &newest));
    assert_eq!(report.exit_code(), 4);
    // Who has not seen it cannot know (spec 12.2).
    assert!(checked(&lab, &stranger).is_sound());
    // It is said each time, until an admin says that it is right.
    for _ in 0..2 {
        let made = lab.backup();
        assert_eq!(made.vanished.len(), 1, "{:?}", made.vanished);
        assert_eq!(made.vanished[0].object, newest);
        assert!(made.snapshot.is_some());
    }
}

#[test]
fn a_removed_older_manifest_is_noticed_by_everybody() {
    let lab = lab();
    let repo = &lab.repo;
    let first = repo.snapshots(&repo.statements().unwrap()).unwrap().snapshots[0].name().to_string();
    repo.backend().delete(&first).unwrap();
    // By the chain alone.
    let stranger = fresh_state(&lab, "stranger");
    let report = checked(&lab, &stranger);
    assert_eq!((report.errors.len(), &report.errors[0].object), (1, &first));
    // And by memory: said once, not twice.
    let made = lab.backup();
    assert_eq!(made.vanished.iter().map(|v| &v.object).collect::<Vec<_>>(), [&first]);
}

#[test]
fn a_repository_put_back_to_an_older_state_is_noticed() {
    let lab = lab();
    let (folder, copy) = (lab.folder.path().join("repo"), lab.folder.path().join("copy"));
    copy_folder(&folder, &copy);
    for n in 0..2 {
        write(&lab.source().join("more"), &noise(20 + n, 30_000));
        lab.backup();
    }
    let seen = fresh_state(&lab, "seen");
    assert!(checked(&lab, &seen).is_sound());
    fs::remove_dir_all(&folder).unwrap();
    copy_folder(&copy, &folder);
    let report = checked(&lab, &seen);
    assert_eq!(report.errors.len(), 2, "{:?}", report.errors);
    assert!(report.errors.iter().all(|f| f.kind == FindingKind::Chain && f.what.contains("older state")));
    let made = lab.backup();
    assert_eq!(made.vanished.len(), 2, "{:?}", made.vanished);
    // What was only in the packs that are gone is stored anew.
    assert!(checked(&lab, &fresh_state(&lab, "new")).is_sound());
}

#[test]
fn a_vanished_pack_is_noticed_and_what_it_held_stored_anew() {
    let lab = Lab::new();
    write(&lab.source().join("stays"), &noise(1, 300_000));
    write(&lab.source().join("goes"), &noise(2, 40_000));
    let first = lab.backup().snapshot.unwrap();
    let packs = lab.objects("writers/lab/packs/");
    fs::remove_file(lab.source().join("goes")).unwrap();
    assert!(lab.backup().vanished.is_empty());
    for pack in &packs {
        lab.repo.backend().delete(pack).unwrap();
    }
    let report = checked(&lab, &fresh_state(&lab, "before"));
    assert!(packs.iter().all(|pack| report.errors.iter().any(|f| f.object == *pack)), "{:?}", report.errors);

    let made = lab.backup();
    let mut named: Vec<_> = made.vanished.iter().map(|v| v.object.clone()).collect();
    named.sort();
    assert_eq!(named, packs);
    assert!(made.uploaded_bytes > 300_000, "{made:?}");
    // The new snapshot is whole; the old ones have lost what only they had.
    let report = checked(&lab, &fresh_state(&lab, "after"));
    let new = made.snapshot.unwrap();
    assert!(report.affected.iter().all(|a| a.snapshot != new), "{:?}", report.affected);
    assert!(report.affected.iter().any(|a| a.snapshot == first), "{:?}", report.affected);
}

#[test]
fn the_exit_code_says_that_something_vanished() {
    let sandbox = Sandbox::new();
    sandbox.write("source/file", "1");
    sandbox.ok(&["backup", "source"]);
    sandbox.write("source/file", "22");
    let second = sandbox.json(&["backup", "source"]);
    let id = second["snapshot"].as_str().unwrap();
    let writer = second["writer"].as_str().unwrap();
    fs::remove_file(sandbox.path("repo").join(format!("writers/{writer}/snapshots/{id}"))).unwrap();
    let run = sandbox.run(&["backup", "source", "--json"]);
    assert_eq!(run.code, 3, "{}", run.err);
    let json = document(&run.out);
    assert!(json["vanished"][0]["object"].as_str().unwrap().contains(id), "{json}");
    assert!(run.err.contains("nobody forgot it"), "{}", run.err);
    assert_eq!(sandbox.run(&["check"]).code, 4);
    // Somebody who knows better says so.
    let done = sandbox.json(&["forget", id]);
    assert_eq!(done["missing"][0], id);
    assert_eq!(sandbox.run(&["check"]).code, 0);
    sandbox.ok(&["backup", "source"]);
}

#[test]
fn another_repository_in_the_same_place_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("source/file", "1");
    sandbox.ok(&["backup", "source"]);
    // Somebody else's, with the same passphrase, made elsewhere.
    let other = Sandbox::new();
    fs::rename(sandbox.path("repo"), sandbox.path("first")).unwrap();
    copy_folder(&other.path("repo"), &sandbox.path("repo"));
    for arguments in
        [&["snapshots"][..], &["backup", "source"], &["check"], &["key", "add", "--new-password-file", "password"]]
    {
        let run = sandbox.run(arguments);
        assert_eq!(run.code, 11, "{arguments:?}: {}", run.err);
        assert!(run.err.contains("--accept-repository"), "{}", run.err);
    }
    // Nobody was asked for the passphrase before. What could not be opened is not remembered, either.
    assert_eq!(run(sandbox.bare().arg("snapshots")).code, 11);
    // Disks that take turns.
    sandbox.ok(&["snapshots", "--accept-repository"]);
    sandbox.ok(&["snapshots"]);
    fs::remove_dir_all(sandbox.path("repo")).unwrap();
    fs::rename(sandbox.path("first"), sandbox.path("repo")).unwrap();
    assert!(sandbox.ok(&["snapshots"]).contains("1 snapshot"));
    // A configuration that was made anew by somebody who has the bytes of the key, elsewhere too.
    let hash_of = |path: &str| blake3::hash(&fs::read(sandbox.path(path).join("panther.cbor")).unwrap());
    assert_ne!(hash_of("repo"), blake3::hash(&fs::read(other.path("repo/panther.cbor")).unwrap()));
    // One that this machine has made itself is no surprise.
    fs::remove_dir_all(sandbox.path("repo")).unwrap();
    sandbox.ok(&["init"]);
    sandbox.ok(&["snapshots"]);
}
