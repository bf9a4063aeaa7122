//! Hooks of a backup, and what is left out when a database fails. No server is needed.

use crate::btrfs_kit::BtrfsLab;
use crate::cli_common::{PASSWORD, Sandbox, document, run};
use crate::common::Lab;
use crate::db_kit::snapshot;
use panther::ops::backup::{BackupOptions, SnapshotMode};
use panther::ops::database::{CommandLine, Database, DatabaseKind, Hooks};
use std::path::Path;

fn snapshots(sandbox: &Sandbox) -> usize {
    sandbox.json(&["snapshots"])["snapshots"].as_array().unwrap().len()
}

#[test]
fn hooks_are_run_around_what_is_read() {
    let sandbox = Sandbox::new();
    sandbox.write("source/file", "content");
    let hook = |text: &str| format!("sh -c '{text}'");
    let note = |what: &str| hook(&format!("echo {what} >> log"));
    let log = || std::fs::read_to_string(sandbox.path("log")).unwrap_or_default();

    let run = sandbox.run(&["backup", "source", "--hook-before", &note("before"), "--hook-after", &note("after")]);
    assert_eq!((run.code, log().as_str()), (0, "before\nafter\n"), "{}", run.err);
    let run = sandbox.run(&["backup", "source", "--hook-before", &hook("echo some words; echo others >&2")]);
    assert_eq!(run.code, 0);
    assert!(run.err.contains("some words") && run.err.contains("others"), "{}", run.err);
    assert_eq!(snapshots(&sandbox), 2);

    // One that fails before: no snapshot. What is to be run after is run.
    let run = sandbox.run(&[
        "backup",
        "source",
        "--json",
        "--hook-before",
        &hook("echo not now >&2; exit 5"),
        "--hook-after",
        &note("again"),
    ]);
    assert_eq!(run.code, 8, "{}", run.err);
    let error = document(&run.out);
    assert!(run.err.contains("exit code 5: not now") && error["error"]["exit_code"] == 8, "{}", run.err);
    assert!(log().ends_with("again\n"));

    // One that takes too long, and ignores being asked to end.
    let slow = hook("trap \"\" TERM; sleep 1000 & wait; sleep 1000");
    let run = sandbox.run(&["backup", "source", "--hook-before", &slow, "--hook-timeout", "1s"]);
    assert_eq!(run.code, 8);
    assert!(run.err.contains("took more than 1 s") && run.err.contains("hint:"), "{}", run.err);
    assert_eq!(snapshots(&sandbox), 2);

    // One that fails after: the snapshot stands.
    let run = sandbox.run(&["backup", "source", "--json", "--hook-after", "/nowhere/at-all"]);
    assert_eq!(run.code, 3, "{}", run.err);
    let report = document(&run.out);
    assert!(report["failed_hooks"][0].as_str().unwrap().contains("cannot be run"), "{report}");
    assert_eq!(snapshots(&sandbox), 3);

    // What makes no sense is said before anything is run.
    let after = note("wrong");
    for wrong in [
        ["--hook-before", "sh 'x"],
        ["--hook-timeout", "0s"],
        ["--database", "mysql=/x"],
        ["--database", "postgresql=/"],
    ] {
        let arguments = [&["backup", "source", "--hook-after", &after][..], &wrong].concat();
        assert_eq!(sandbox.run(&arguments).code, 2, "{wrong:?}");
    }
    assert!(!log().contains("wrong"));
}

#[test]
fn secrets_are_not_for_hooks() {
    let sandbox = Sandbox::new();
    sandbox.write("source/file", "content");
    let mut command = sandbox.bare();
    command.env("PANTHER_PASSWORD", PASSWORD).env("B2_APPLICATION_KEY", "secret");
    command.args(["backup", "source", "--hook-before", "sh -c 'env > environment'"]);
    assert_eq!(run(&mut command).code, 0);
    let environment = std::fs::read_to_string(sandbox.path("environment")).unwrap();
    assert!(environment.contains("PATH=") && !environment.contains("PASSWORD=") && !environment.contains("B2_APP"));
}

fn command(text: &str) -> Option<CommandLine> {
    Some(CommandLine::parse(text).unwrap())
}

/// What looks like a data directory.
fn data_directory(at: &Path) {
    for below in ["global", "pg_wal", "pg_tblspc"] {
        std::fs::create_dir_all(at.join(below)).unwrap();
    }
    std::fs::write(at.join("PG_VERSION"), "15\n").unwrap();
    let mut control = vec![0; 8192];
    control[..8].copy_from_slice(&77_u64.to_ne_bytes());
    control[8..12].copy_from_slice(&1300_u32.to_ne_bytes());
    control[40..48].copy_from_slice(&0x28_u64.to_ne_bytes());
    control[48..52].copy_from_slice(&2_u32.to_ne_bytes());
    std::fs::write(at.join("global/pg_control"), control).unwrap();
}

#[test]
fn what_lies_in_several_subvolumes_is_refused_and_harms_nothing_else() {
    let Some(fs) = BtrfsLab::new() else { return };
    let lab = Lab::new();
    let (good, bad, other) = (fs.subvolume("good"), fs.subvolume("bad"), fs.subvolume("other"));
    let log = fs.subvolume("log");
    data_directory(&good);
    data_directory(&bad.join("15/main"));
    std::fs::remove_dir(bad.join("15/main/pg_wal")).unwrap();
    std::os::unix::fs::symlink(&log, bad.join("15/main/pg_wal")).unwrap();
    std::fs::write(other.join("file"), "content").unwrap();
    let after = lab.folder.path().join("after");
    let database = |folder: &Path| Database {
        name: Some(folder.file_name().unwrap().to_str().unwrap().into()),
        after: command(&format!("sh -c 'ls {}/.panther >> {}'", good.display(), after.display())),
        ..Database::new(DatabaseKind::Postgresql, folder.to_owned())
    };
    let options = BackupOptions {
        paths: vec![good.clone(), bad.clone(), other.clone()],
        snapshots: SnapshotMode::Auto,
        databases: vec![database(&good), database(&bad)],
        ..lab.options()
    };
    let report = lab.backup_with(&options);
    let [first, second] = report.databases.as_slice() else { panic!("{report:?}") };
    let facts = first.postgresql.clone().unwrap();
    assert_eq!(
        (first.error.as_ref(), facts.system.as_str(), facts.timeline, facts.lsn.as_str()),
        (None, "77", 2, "0/28")
    );
    assert!(second.error.as_ref().unwrap().contains("several subvolumes"), "{second:?}");
    let manifest = snapshot(&lab, report.snapshot.unwrap()).manifest;
    assert_eq!(manifest.roots.len(), 2);
    assert_eq!(manifest.tags, ["pg.good.lsn=0/28", "pg.good.system=77", "pg.good.timeline=2"]);
    assert!(std::fs::read_to_string(&after).unwrap().contains("backup-"), "after the snapshots were taken");
    assert!(!bad.join(".panther").exists());

    // In one subvolume, all is well.
    std::fs::remove_file(bad.join("15/main/pg_wal")).unwrap();
    std::fs::create_dir(bad.join("15/main/pg_wal")).unwrap();
    let report = lab.backup_with(&options);
    assert!(report.databases.iter().all(|database| database.error.is_none()), "{report:?}");

    // A hook that fails takes its database with it, inside a larger path, too.
    let below = other.join("data");
    std::fs::create_dir(&below).unwrap();
    std::fs::write(below.join("file"), "half").unwrap();
    let failing = Database { before: command("false"), ..Database::new(DatabaseKind::Other, below.clone()) };
    let options = BackupOptions { databases: vec![failing], hooks: Hooks::default(), ..options };
    let report = lab.backup_with(&options);
    assert!(report.databases[0].error.is_some());
    assert_eq!(report.summary.files, 2 + 2 + 1, "{:?}", report.summary);
    let kept = std::fs::read_dir(other.join(".panther")).unwrap().map(|entry| entry.unwrap().file_name());
    let taken = kept.filter(|name| name.to_string_lossy().starts_with("backup-")).count();
    assert_eq!(taken, 1, "what the odd run has taken is gone, what the run before has taken is there");
}

#[test]
fn a_profile_names_databases_and_snapshots() {
    let Some(fs) = BtrfsLab::new() else { return };
    let sandbox = Sandbox::new();
    let (data, home, snapshots) = (fs.subvolume("data"), fs.subvolume("home"), fs.path("snapshots"));
    data_directory(&data);
    std::fs::create_dir(&snapshots).unwrap();
    std::fs::write(home.join("file"), "then").unwrap();
    fs.snapshot(&home, "snapshots/one", true);
    std::fs::write(home.join("file"), "now, and longer").unwrap();
    for parent in [&data, &home] {
        fs.subvolume(&format!("{}/nested", parent.file_name().unwrap().to_str().unwrap()));
        std::fs::write(parent.join("nested/file"), "nested").unwrap();
    }
    let mark = sandbox.path("mark");
    let config = format!(
        "[profiles.p]\nrepository = {repo:?}\n\n\
         [[profiles.p.sources]]\nsubvolume = {data:?}\nnested = \"follow\"\n\n\
         [[profiles.p.sources]]\nsubvolume = {home:?}\nnewest-of = {snapshots:?}\n\n\
         [[profiles.p.databases]]\nkind = \"postgresql\"\nname = \"main\"\nsources = [{data:?}]\nbefore = [\"touch\", {mark:?}]\n",
        repo = sandbox.path("repo"),
    );
    sandbox.write("config.toml", config);
    let path = sandbox.path("config.toml");
    let backup = || {
        let mut command = sandbox.bare();
        command.env("PANTHER_PASSWORD", PASSWORD).env("PANTHER_STATE_DIR", sandbox.path("state"));
        document(&run(command.arg("--config").arg(&path).args(["-p", "p", "--json", "backup"])).out)
    };
    let report = backup();
    // All of a database must be in one subvolume, and a nested one is another.
    assert!(report["databases"][0]["error"].as_str().unwrap().contains("several subvolumes"), "{report}");
    assert!(mark.exists());
    std::fs::remove_file(data.join("nested/file")).unwrap();
    fs.delete(&data.join("nested"));
    let report = backup();
    assert!(report["databases"][0]["error"].is_null(), "{report}");
    assert_eq!(report["databases"][0]["postgresql"]["system"], "77");
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("home/nested is not in this snapshot"), "{warnings}");
    let target = sandbox.path("restored");
    sandbox.ok(&["restore", "latest:/", "--target", target.to_str().unwrap()]);
    let at = |path: &Path| target.join(path.strip_prefix("/").unwrap());
    assert_eq!(std::fs::read_to_string(at(&home.join("file"))).unwrap(), "then");
    assert!(!at(&home.join("nested/file")).exists() && at(&data.join("PG_VERSION")).exists());
}
