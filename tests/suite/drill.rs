//! Restores for practice: good ones, and ones that find what was planted.

use crate::cli_common::{Run, Sandbox, document};
use crate::common::noise;
use crate::db_kit::Postgres;
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
    let (run, found) = drill(&sandbox, &["--files", "20"]);
    assert_eq!(run.code, 0, "{} {}", run.err, found);
    let record = &found["record"];
    assert_eq!(
        (&record["files"], &record["compared_files"], &record["writer"]),
        (&20.into(), &20.into(), &"yoga".into())
    );
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
    let forged = std::fs::read_to_string(&file).unwrap().replace("\\\"wrong_files\\\":0", "\\\"wrong_files\\\":1");
    std::fs::write(&file, forged).unwrap();
    let status = sandbox.run(&["status", "--json"]);
    assert!(status.err.contains("is not what was signed"), "{}", status.err);
    assert_eq!(document(&status.out)["drills"].as_array().unwrap().len(), 0);

    // Everything, and left where it is; a verification that is content.
    let (run, found) = drill(&sandbox, &["--whole", "--keep", "--verify", "test -d"]);
    assert_eq!(run.code, 0, "{} {found}", run.err);
    let kept = PathBuf::from(found["kept_in"].as_str().unwrap());
    assert_eq!((&found["record"]["files"], &found["record"]["is_whole"]), (&61.into(), &true.into()));
    let there = kept.join(sandbox.path("source/large").strip_prefix("/").unwrap());
    assert_eq!(std::fs::read(there).unwrap(), noise(99, 3_000_000));
    // In words.
    let said = sandbox.ok(&["drill", "--files", "5"]);
    for part in ["was good", "5 files", "0 bad: at most 0.00 %", "the objective of"] {
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
fn a_wrong_file_and_a_verification_that_fails_are_found() {
    let sandbox = Sandbox::new();
    // Two files of one size and time; the backup has the bytes of the first, the machine then those of the other, which nobody has touched since either.
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    for (folder, seed) in [("source", 1), ("other", 2)] {
        for n in 0..5 {
            let name = format!("{folder}/file{n}");
            sandbox.write(&name, noise(if n == 3 { seed } else { 7 }, 200_000));
            std::fs::File::options().write(true).open(sandbox.path(&name)).unwrap().set_modified(time).unwrap();
        }
    }
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    sandbox.ok(&["backup", "source", "--writer", "yoga"]);
    std::fs::rename(sandbox.path("source"), sandbox.path("before")).unwrap();
    std::fs::rename(sandbox.path("other"), sandbox.path("source")).unwrap();
    let (run, found) = drill(&sandbox, &["--whole"]);
    let record = &found["record"];
    assert_eq!((run.code, &record["wrong_files"], &record["compared_files"]), (4, &1.into(), &5.into()), "{}", run.err);
    assert!(run.err.contains("source/file3 is not what it is on this machine"), "{}", run.err);
    // Nobody asked for that: nothing else is wrong.
    assert_eq!(drill(&sandbox, &["--no-compare"]).0.code, 0);
    // What is verified by a command, and fails there.
    let (run, found) = drill(&sandbox, &["--files", "3", "--verify", "sh -c 'echo not here >&2; exit 3' --"]);
    assert_eq!(run.code, 4);
    assert_eq!(found["record"]["problems"][0], "the verification command has failed");
    assert!(run.err.contains("not here"), "{}", run.err);
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
