//! Restores for practice: good ones, and ones that find what was planted.

use crate::btrfs_kit::BtrfsLab;
use crate::cli_common::{Run, Sandbox, document};
use crate::common::noise;
use crate::db_kit::Postgres;
use crate::words;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn place() -> Sandbox {
    let sandbox = Sandbox::new();
    for n in 0..60 {
        sandbox.write(&format!("source/folder{}/file [{n}]*", n % 4), noise(n, 3_000 + n as usize * 900));
    }
    sandbox.write("source/large", noise(99, 3_000_000));
    // What was touched in the very second of the backup is not compared.
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    sandbox.ok(&["backup", "source", "--writer", "yoga"]);
    sandbox
}

fn drill(sandbox: &Sandbox, more: &[&str]) -> (Run, Value) {
    let run = sandbox.run(&[&["drill", "--json"], more].concat());
    let found = document(&run.out);
    (run, found)
}

fn packs(sandbox: &Sandbox) -> Vec<PathBuf> {
    let mut folders = vec![sandbox.path("repo/writers/yoga/packs")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() { found.push(path) } else { folders.push(path) }
        }
    }
    found.sort();
    found
}

/// Nothing is left of what was restored.
fn is_cleared(sandbox: &Sandbox) -> bool {
    let names = std::fs::read_dir(sandbox.temp.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    names.into_iter().all(|name| !name.starts_with("panther-"))
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 4;
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_good_drill_is_recorded_signed_and_clears_away() {
    let sandbox = place();
    let (run, found) = drill(&sandbox, &["--files", "20", "--no-whole"]);
    assert_eq!(run.code, 0, "{} {}", run.err, found);
    let record = &found["record"];
    // There is no snapshot of it on this machine: live files are only said to be the same.
    assert_eq!(
        (&record["files"], &record["snapshot_files"], &record["live_files"], &record["writer"]),
        (&20.into(), &0.into(), &20.into(), &"yoga".into())
    );
    assert_eq!(record["subvolume"], Value::Null);
    // All packs were read, so nothing is left to doubt.
    assert_eq!((&record["read_packs"], &record["bad_share"]), (&record["packs"], &0.0.into()));
    assert!(record["recovery_secs"].as_f64().unwrap() > 0.0 && is_cleared(&sandbox));
    // The record's file: what it says is what was signed; a change shows.
    let file = PathBuf::from(found["file"].as_str().unwrap());
    let signed: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(serde_json::from_str::<Value>(signed["record"].as_str().unwrap()).unwrap(), *record);
    assert_eq!(signed["signature"].as_str().unwrap().len(), 128);
    let status = document(&sandbox.run(&["status", "--json"]).out);
    assert_eq!((&status["state"], &status["drills"][0]["success"]), (&"ok".into(), &true.into()));
    // It is in the repository, too: another machine sees it, once.
    let elsewhere = || {
        let mut command = sandbox.command(&["status", "--json"]);
        document(&crate::cli_common::run(command.env("PANTHER_STATE_DIR", sandbox.path("other-state"))).out)
    };
    assert_eq!((&elsewhere()["drills"], status["drills"].as_array().unwrap().len()), (&status["drills"], 1));
    let forged = std::fs::read_to_string(&file).unwrap().replace("\\\"wrong_files\\\":0", "\\\"wrong_files\\\":1");
    std::fs::write(&file, forged).unwrap();
    let status = sandbox.run(&["status", "--json"]);
    assert!(status.err.contains("is not what was signed"), "{}", status.err);
    // The repository's own is not changed by that.
    assert_eq!(document(&status.out)["drills"][0]["wrong_files"], 0);

    // A whole source is due, and then not for a month.
    for want in [(61, sandbox.path("source").display().to_string().into()), (20, Value::Null)] {
        let (run, found) = drill(&sandbox, &["--files", "20"]);
        assert_eq!(run.code, 0, "{} {}", run.err, found);
        assert_eq!((found["record"]["files"].as_i64().unwrap(), found["record"]["subvolume"].clone()), want);
    }
    // Everything, and left where it is; a verification that is content.
    let (run, found) = drill(&sandbox, &["--whole", "--keep", "--verify", "test -d"]);
    assert_eq!(run.code, 0, "{} {found}", run.err);
    let kept = PathBuf::from(found["kept_in"].as_str().unwrap());
    assert_eq!((&found["record"]["files"], &found["record"]["is_whole"]), (&61.into(), &true.into()));
    let there = kept.join(sandbox.path("source/large").strip_prefix("/").unwrap());
    assert_eq!(std::fs::read(there).unwrap(), noise(99, 3_000_000));
    // In words.
    let said = sandbox.ok(&["drill", "--files", "5"]);
    for part in [
        "was good",
        "5 files",
        "0 files with the snapshot that was backed up; 5 the same on this machine, 0 changed since",
        "0 bad: at most 0.00 %",
        "the objective of",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // A reader may drill, but does not sign; a writer may not.
    sandbox.write("other", "another one");
    sandbox.ok(&["key", "add", "--role", "writer", "--writer", "yoga", "--new-password-file", "other"]);
    let mut command = sandbox.command(&["drill"]);
    assert_eq!(crate::cli_common::run(command.env("PANTHER_PASSWORD_FILE", sandbox.path("other"))).code, 13);
}

#[test]
fn a_planted_corrupt_pack_is_found() {
    let sandbox = place();
    let pack = packs(&sandbox).into_iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    flip(&pack, 70_000);
    let (run, found) = drill(&sandbox, &["--files", "61"]);
    assert_eq!(run.code, 4, "{}", run.err);
    let record = &found["record"];
    assert_eq!((&record["success"], &record["bad_packs"]), (&false.into(), &1.into()));
    assert!(record["wrong_files"].as_u64().unwrap() > 0, "{record}");
    assert!(run.err.contains(pack.file_name().unwrap().to_str().unwrap()), "{}", run.err);
    assert!(is_cleared(&sandbox));
    // It is known from then on.
    let status = sandbox.run(&["status", "--json"]);
    assert_eq!(status.code, 1);
    let status = document(&status.out);
    assert_eq!(status["hosts"][0]["reasons"][0], "the last restore for practice has failed");
    let figures = sandbox.ok(&["metrics"]);
    assert!(
        figures.contains("panther_drill_success{")
            && figures.lines().any(|line| line.starts_with("panther_drill_success") && line.ends_with(" 0"))
    );
}

#[test]
fn what_has_changed_since_is_no_error_and_a_verification_that_fails_is() {
    let sandbox = place();
    for n in 0..10 {
        sandbox.write(&format!("source/folder{}/file [{n}]*", n % 4), "other");
    }
    let (run, found) = drill(&sandbox, &["--whole"]);
    let record = &found["record"];
    assert_eq!((run.code, &record["live_files"], &record["changed_files"]), (0, &51.into(), &10.into()), "{}", run.err);
    assert_eq!(drill(&sandbox, &["--whole", "--no-compare"]).1["record"]["live_files"], 0);
    // What is verified by a command, and fails there.
    let (run, found) = drill(&sandbox, &["--files", "3", "--verify", "sh -c 'echo not here >&2; exit 3' --"]);
    assert_eq!(run.code, 4);
    assert_eq!(found["record"]["problems"][0], "the verification command has failed");
    assert!(run.err.contains("not here"), "{}", run.err);
}

/// The snapshot that was backed up is still there: what is restored must be what it has, whatever became of the live files.
#[test]
fn a_wrong_file_is_found_beside_the_pinned_snapshot() {
    let Some(lab) = BtrfsLab::new() else { return };
    let (home, dev) = (lab.subvolume("home"), lab.path("home/dev"));
    lab.subvolume("home/dev");
    let sandbox = Sandbox::new();
    for n in 0..8 {
        std::fs::write(home.join(format!("file{n}")), noise(n, 90_000)).unwrap();
        std::fs::write(dev.join(format!("code{n}")), noise(40 + n, 9_000)).unwrap();
    }
    std::os::unix::fs::symlink("file1", home.join("link")).unwrap();
    let source = home.display().to_string();
    sandbox.ok(&["backup", &source, "--snapshot", "always", "--writer", "yoga"]);
    // The live files change; the snapshots stay.
    for n in 0..8 {
        std::fs::write(home.join(format!("file{n}")), "later").unwrap();
    }
    std::fs::remove_file(home.join("link")).unwrap();
    let (run, found) = drill(&sandbox, &["--whole"]);
    let record = &found["record"];
    assert_eq!(run.code, 0, "{} {record}", run.err);
    assert_eq!(
        (&record["files"], &record["snapshot_files"], &record["changed_files"]),
        (&16.into(), &17.into(), &0.into())
    );
    // Units are the subvolumes, each in its turn; the second drill of the month has none.
    let (_, found) = drill(&sandbox, &["--files", "1"]);
    assert_eq!(found["record"]["subvolume"], Value::Null);
    let other = Sandbox::new();
    other.ok(&["backup", &source, "--snapshot", "always", "--writer", "yoga"]);
    let (run, found) = drill(&other, &["--files", "1"]);
    assert_eq!((run.code, &found["record"]["subvolume"]), (0, &source.clone().into()), "{}", run.err);
    let files = found["record"]["files"].as_u64().unwrap();
    assert!((8..=9).contains(&files), "{files}");
    // The snapshot has another content of a file than the backup that was made from it: that is laid over it here.
    let kept = std::fs::read_dir(home.join(".panther")).unwrap().map(|entry| entry.unwrap().path());
    let kept: Vec<PathBuf> =
        kept.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("backup-")).collect();
    let time = kept[0].join("file3").metadata().unwrap().modified().unwrap();
    sandbox.write("wrong", noise(77, 90_000));
    std::fs::File::options().write(true).open(sandbox.path("wrong")).unwrap().set_modified(time).unwrap();
    for snapshot in &kept {
        crate::btrfs_kit::run("mount", words!["--bind", &sandbox.path("wrong"), &snapshot.join("file3")]);
    }
    let (run, found) = drill(&sandbox, &["--whole"]);
    let record = &found["record"];
    assert_eq!((run.code, &record["wrong_files"]), (4, &1.into()), "{} {record}", run.err);
    assert!(run.err.contains("home/file3: its content is not that of the snapshot"), "{}", run.err);
    assert_eq!(record["problems"][0], "1 restored files differ from the snapshot that was backed up");
    assert_eq!(drill(&sandbox, &["--whole", "--no-compare"]).0.code, 0);
    for snapshot in &kept {
        crate::btrfs_kit::run("umount", words![&snapshot.join("file3")]);
        let set =
            |value: &str| crate::btrfs_kit::run("btrfs", words!["property", "set", "-f", "-ts", snapshot, "ro", value]);
        set("false");
        std::fs::write(snapshot.join("file3"), noise(77, 90_000)).unwrap();
        set("true");
    }
    // Changed like this it is not the snapshot that was backed up any more, and nothing is concluded from it.
    let (run, found) = drill(&sandbox, &["--whole"]);
    let record = &found["record"];
    assert_eq!((run.code, &record["snapshot_files"]), (0, &8.into()), "{} {record}", run.err);
}

#[test]
fn a_postgresql_is_started_and_one_that_does_not_start_is_found() {
    let Some(postgres) = Postgres::find() else {
        println!("skipped: there is no PostgreSQL");
        return;
    };
    let sandbox = Sandbox::new();
    let parent = sandbox.temp.path();
    std::fs::set_permissions(parent, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let data = parent.join("pg");
    postgres.folder(&data);
    postgres.init(&data, "");
    sandbox.ok(&["backup", "pg", "--writer", "db"]);
    let (bin, folder) = (postgres.bin().display().to_string(), data.display().to_string());
    let arguments = ["--files", "1", "--database", &folder, "--start-postgresql", &bin];
    let (run, found) = drill(&sandbox, &arguments);
    assert_eq!(run.code, 0, "{} {found}", run.err);
    assert_eq!(found["record"]["databases"][0]["is_good"], true);
    assert!(found["record"]["files"].as_u64().unwrap() > 500);
    // A backup of a database without its control file is of no use.
    std::fs::rename(data.join("global/pg_control"), parent.join("pg_control")).unwrap();
    sandbox.ok(&["backup", "pg", "--writer", "db"]);
    let (run, found) = drill(&sandbox, &arguments);
    assert_eq!((run.code, &found["record"]["databases"][0]["is_good"]), (4, &false.into()), "{}", run.err);
    assert_eq!(found["record"]["problems"][0], "a restored PostgreSQL does not start");
    assert!(run.err.contains("pg_control"), "{}", run.err);
}
