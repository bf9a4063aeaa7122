//! `repair` through the program: what is anywhere comes back, what is nowhere is named.

use crate::cli_common::{Run, Sandbox, document};
use crate::common::noise;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// All files below a folder of the sandbox, by their paths in it.
pub fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(&at).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// The objects of a repository in a folder whose names contain `part`.
pub fn objects(sandbox: &Sandbox, part: &str) -> Vec<PathBuf> {
    let all = files(&sandbox.path("repo")).into_keys().filter(|name| name.to_str().unwrap().contains(part));
    all.map(|name| sandbox.path("repo").join(name)).collect()
}

/// Packs of one kind: 1 data, 2 trees.
pub fn packs(sandbox: &Sandbox, kind: u8) -> Vec<PathBuf> {
    objects(sandbox, "/packs/").into_iter().filter(|path| fs::read(path).unwrap()[8] == kind).collect()
}

pub fn copy(from: &Path, to: &Path) {
    for (name, bytes) in files(from) {
        let path = to.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// A repository with two snapshots of a folder with small and large files.
pub fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    for n in 0..20 {
        sandbox.write(&format!("source/small/{n}"), format!("number {n} {}", "and more of it ".repeat(n * 30)));
    }
    for n in 0..4u64 {
        sandbox.write(&format!("source/large/{n}"), noise(n, 300_000));
    }
    sandbox.ok(&["backup", "source", "--tag", "first", "--host", "one"]);
    sandbox.write("source/large/0", noise(100, 250_000));
    sandbox.write("source/only-second", noise(101, 90_000));
    sandbox.ok(&["backup", "source", "--tag", "second", "--host", "one"]);
    sandbox
}

/// Restores a snapshot; the exit code, and what came.
fn restore(sandbox: &Sandbox, snapshot: &str) -> (i32, BTreeMap<PathBuf, Vec<u8>>) {
    let target = sandbox.path(&format!("restored-{snapshot}"));
    let _ = fs::remove_dir_all(&target);
    let run = sandbox.run(&["restore", snapshot, "--target", target.to_str().unwrap()]);
    let source = target.join(sandbox.path("source").strip_prefix("/").unwrap());
    let found = if source.exists() { files(&source) } else { files(&target) };
    (run.code, found)
}

fn json(run: &Run) -> Value {
    document(&run.out)
}

fn forget_state(sandbox: &Sandbox) {
    let _ = fs::remove_dir_all(sandbox.path("state"));
}

fn flip(path: &Path, share: usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.len() * share / 100;
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn the_index_is_made_anew_without_reading_the_packs() {
    for is_missing in [true, false] {
        let sandbox = sandbox();
        let source = files(&sandbox.path("source"));
        let pack_bytes: u64 = objects(&sandbox, "/packs/").iter().map(|p| p.metadata().unwrap().len()).sum();
        assert_eq!(json(&sandbox.run(&["repair", "index", "--json"]))["unnamed_packs"], 0);
        for index in objects(&sandbox, "/index/") {
            if is_missing { fs::remove_file(&index).unwrap() } else { flip(&index, 60) }
        }
        forget_state(&sandbox);
        assert_eq!(sandbox.run(&["check"]).code, 4);
        // Nobody can be asked, so nothing is changed.
        let before = files(&sandbox.path("repo"));
        let plan = sandbox.run(&["repair", "index", "--json"]);
        assert_eq!((plan.code, json(&plan)["dry_run"].as_bool()), (4, Some(true)), "{}", plan.err);
        assert_eq!(files(&sandbox.path("repo")), before);

        let done = sandbox.run(&["repair", "index", "--yes", "--json"]);
        assert_eq!(done.code, 0, "{}", done.err);
        let report = json(&done);
        assert_eq!(report["damaged"].as_array().unwrap().len(), if is_missing { 0 } else { 2 });
        assert_eq!(report["named_packs"], report["unnamed_packs"]);
        assert!(report["read_bytes"].as_u64().unwrap() < pack_bytes / 4, "{report}, {pack_bytes}");
        // A damaged one is superseded, not removed.
        assert!(before.keys().all(|name| sandbox.path("repo").join(name).exists()));
        for _ in 0..2 {
            let check = sandbox.run(&["check", "--read-data"]);
            assert_eq!(check.code, 0, "{} {}", check.out, check.err);
            assert_eq!(restore(&sandbox, "latest"), (0, source.clone()));
            forget_state(&sandbox);
        }
        assert_eq!(sandbox.run(&["repair", "index"]).code, 0);
        // A prune is not kept from its work, and clears away what was replaced.
        let pruned = sandbox.run(&["prune"]);
        assert_eq!(pruned.code, 0, "{}", pruned.err);
        assert_eq!(sandbox.run(&["check"]).code, 0);
        assert_eq!(restore(&sandbox, "latest"), (0, source));
    }
}

#[test]
fn backups_rely_on_what_was_checked_only() {
    for read_data in [false, true] {
        let sandbox = sandbox();
        objects(&sandbox, "/index/").iter().for_each(|index| fs::remove_file(index).unwrap());
        forget_state(&sandbox);
        let arguments: &[&str] =
            if read_data { &["repair", "index", "--yes", "--read-data"] } else { &["repair", "index", "--yes"] };
        let report = json(&sandbox.run(&[arguments, &["--json"]].concat()));
        assert_eq!(report["checked_packs"] == report["named_packs"], read_data, "{report}");
        let made = sandbox.json(&["backup", "source", "--host", "one"]);
        assert_eq!(made["uploaded_bytes"].as_u64().unwrap() < 100_000, read_data, "{made}");
        assert_eq!(sandbox.run(&["check", "--read-data"]).code, 0);
    }
}

#[test]
fn bad_packs_come_back_from_the_files() {
    // Kind of pack, and how it is damaged: a place in per cent, or missing.
    for (kind, how) in [(1, Some(30)), (2, None), (2, Some(99))] {
        let sandbox = sandbox();
        let source = files(&sandbox.path("source"));
        for pack in packs(&sandbox, kind) {
            match how {
                Some(share) => flip(&pack, share),
                None => fs::remove_file(&pack).unwrap(),
            }
        }
        assert_eq!(sandbox.run(&["check", "--read-data"]).code, 4, "{kind} {how:?}");
        let plan = sandbox.run(&["repair", "packs", "--json"]);
        assert_eq!((plan.code, json(&plan)["dry_run"].as_bool()), (4, Some(true)), "{}", plan.err);
        let done = sandbox.run(&["repair", "packs", "--yes", "--json"]);
        let report = json(&done);
        // The first snapshot had a file that has changed since: that much is lost.
        let second = sandbox.json(&["snapshots", "latest"])["snapshots"][0]["id"].as_str().unwrap().to_owned();
        for hit in report["affected"].as_array().unwrap() {
            assert_ne!(hit["snapshot"], second[..], "{kind} {how:?}: {report}");
        }
        assert_eq!(done.code, if report["lost_blobs"] == 0 { 0 } else { 4 }, "{}", done.err);
        forget_state(&sandbox);
        assert_eq!(restore(&sandbox, "latest"), (0, source), "{kind} {how:?}");
        // It is said once; then there is nothing more to be done.
        let again = sandbox.run(&["repair", "packs", "--yes", "--json"]);
        assert_eq!(json(&again)["bad_packs"].as_array().unwrap().len(), 0, "{}", again.out);
    }
}

#[test]
fn bad_packs_come_back_from_a_second_copy() {
    for kinds in [&[1][..], &[1, 2]] {
        let sandbox = sandbox();
        let source = files(&sandbox.path("source"));
        let first = sandbox.json(&["snapshots"])["snapshots"][0]["id"].as_str().unwrap().to_owned();
        let (_, before) = restore(&sandbox, &first);
        copy(&sandbox.path("repo"), &sandbox.path("second"));
        fs::remove_dir_all(sandbox.path("source")).unwrap();
        for kind in kinds {
            packs(&sandbox, *kind).iter().for_each(|pack| fs::remove_file(pack).unwrap());
        }
        let run = sandbox.run(&["repair", "packs", "--yes", "--no-live", "--json"]);
        assert_eq!(run.code, 4, "{}", run.err);
        assert!(!json(&run)["affected"].as_array().unwrap().is_empty());
        let second = sandbox.path("second");
        let run = sandbox.run(&["repair", "packs", "--yes", "--from", second.to_str().unwrap(), "--json"]);
        assert_eq!((run.code, &json(&run)["lost_blobs"]), (0, &Value::from(0)), "{kinds:?}: {}", run.err);
        forget_state(&sandbox);
        assert_eq!(sandbox.run(&["check", "--read-data"]).code, 0);
        assert_eq!(restore(&sandbox, "latest"), (0, source));
        assert_eq!(restore(&sandbox, &first), (0, before));
    }
    let (sandbox, other) = (sandbox(), Sandbox::new());
    packs(&sandbox, 1).iter().for_each(|pack| fs::remove_file(pack).unwrap());
    let run = sandbox.run(&["repair", "packs", "--yes", "--from", other.path("repo").to_str().unwrap()]);
    assert_eq!(run.code, 2, "{}", run.err);
}

#[test]
fn files_may_lie_elsewhere() {
    let sandbox = sandbox();
    let source = files(&sandbox.path("source"));
    let inner = sandbox.path("source").strip_prefix("/").unwrap().to_owned();
    let disk = sandbox.path("old-disk");
    copy(&sandbox.path("source"), &disk.join(inner));
    fs::remove_dir_all(sandbox.path("source")).unwrap();
    packs(&sandbox, 1).iter().for_each(|pack| flip(pack, 50));
    assert_eq!(sandbox.run(&["check", "--read-data"]).code, 4);
    let latest = sandbox.json(&["snapshots", "latest"])["snapshots"][0]["id"].as_str().unwrap().to_owned();
    let run = sandbox.run(&["repair", "packs", "--yes", "--json", "--source", disk.to_str().unwrap()]);
    let report = json(&run);
    assert!(report["from_files_blobs"].as_u64().unwrap() > 0, "{report}");
    assert!(report["affected"].as_array().unwrap().iter().all(|hit| hit["snapshot"] != latest[..]), "{report}");
    assert_eq!(restore(&sandbox, "latest"), (0, source));
}

#[test]
fn the_next_backup_brings_back_what_it_meets() {
    let sandbox = sandbox();
    let source = files(&sandbox.path("source"));
    fs::rename(sandbox.path("source"), sandbox.path("away")).unwrap();
    packs(&sandbox, 1).iter().for_each(|pack| flip(pack, 40));
    assert_eq!(sandbox.run(&["check", "--read-data"]).code, 4);
    let run = sandbox.run(&["repair", "packs", "--yes", "--json"]);
    assert_eq!(run.code, 4, "{}", run.err);
    assert!(json(&run)["lost_blobs"].as_u64().unwrap() > 0);
    fs::rename(sandbox.path("away"), sandbox.path("source")).unwrap();
    // An ordinary backup, which remembers everything.
    sandbox.ok(&["backup", "source", "--host", "one"]);
    assert_eq!(restore(&sandbox, "latest"), (0, source.clone()));
    let second = sandbox.json(&["snapshots"])["snapshots"][1]["id"].as_str().unwrap().to_owned();
    forget_state(&sandbox);
    assert_eq!(restore(&sandbox, &second), (0, source));
}

#[test]
fn what_is_lost_is_named_and_left_out() {
    let sandbox = sandbox();
    let before: Vec<Value> = sandbox.json(&["snapshots"])["snapshots"].as_array().unwrap().clone();
    let ids: Vec<&str> = before.iter().map(|s| s["id"].as_str().unwrap()).collect();
    let whole: Vec<_> = ids.iter().map(|id| restore(&sandbox, id).1).collect();
    fs::remove_dir_all(sandbox.path("source")).unwrap();
    packs(&sandbox, 1).iter().for_each(|pack| flip(pack, 50));
    assert_eq!(sandbox.run(&["check", "--read-data"]).code, 4);
    assert_eq!(sandbox.run(&["repair", "packs", "--yes"]).code, 4);
    let plan = sandbox.run(&["repair", "snapshots", "--json"]);
    assert_eq!((plan.code, json(&plan)["dry_run"].as_bool()), (4, Some(true)), "{}", plan.err);
    assert_eq!(sandbox.json(&["snapshots"])["snapshots"].as_array().unwrap().len(), 2);
    let run = sandbox.run(&["repair", "snapshots", "--yes", "--forget", "--json"]);
    assert_eq!(run.code, 3, "{}", run.err);
    let report = json(&run);
    let lost = report["lost"].as_array().unwrap();
    assert!(!lost.is_empty());
    let after: Vec<Value> = sandbox.json(&["snapshots"])["snapshots"].as_array().unwrap().clone();
    assert_eq!(after.len(), 2, "{after:?}");
    for (n, id) in ids.iter().enumerate() {
        let new = after.iter().find(|s| s["origin"]["snapshot"] == **id);
        let named: Vec<&str> =
            lost.iter().filter(|l| l["snapshot"] == **id).map(|l| l["path"].as_str().unwrap()).collect();
        let Some(new) = new else {
            // Nothing of it was lost.
            assert!(named.is_empty() && after.iter().any(|s| s["id"] == **id), "{after:?}");
            continue;
        };
        for field in ["started", "finished", "host", "tags", "user", "paths", "writer"] {
            assert_eq!(new[field], before[n][field], "{field}");
        }
        let mut want = whole[n].clone();
        for path in &named {
            let path = Path::new(path).strip_prefix(sandbox.path("source")).unwrap();
            assert!(want.remove(path).is_some(), "{path:?} was not in it");
        }
        assert_eq!(new["summary"]["files"].as_u64().unwrap() as usize, want.len());
        assert_eq!(restore(&sandbox, new["id"].as_str().unwrap()), (0, want));
    }
    assert_eq!(sandbox.run(&["check", "--read-data"]).code, 0);
    assert_eq!(sandbox.run(&["repair", "snapshots", "--yes"]).code, 0);
    assert_eq!(sandbox.run(&["repair", "packs", "--yes"]).code, 0);
}

#[test]
fn only_an_admin_repairs() {
    let sandbox = sandbox();
    sandbox.write("reader", "a passphrase of a reader\n");
    sandbox.ok(&["key", "add", "--role", "reader", "--label", "reader", "--new-password-file", "reader"]);
    for what in ["index", "packs", "snapshots"] {
        let run = crate::cli_common::run(sandbox.bare().args(["repair", what, "--password-file", "reader"]));
        assert_eq!(run.code, 13, "{}", run.err);
    }
}
