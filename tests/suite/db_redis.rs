//! A real Redis: what was acknowledged is in the backup, and a save that fails is no backup.

use crate::btrfs_kit::BtrfsLab;
use crate::common::Lab;
use crate::db_kit::{Redis, restored};
use panther::ops::backup::{BackupOptions, SnapshotMode};
use panther::ops::database::{CommandLine, Database, DatabaseKind};
use std::path::Path;

fn options(lab: &Lab, source: &Path, redis: &Redis) -> BackupOptions {
    let client = CommandLine::parse(&format!("redis-cli -s {}", redis.socket().display())).unwrap();
    let database = Database { client: Some(client), ..Database::new(DatabaseKind::Redis, source.to_owned()) };
    BackupOptions {
        paths: vec![source.to_owned()],
        snapshots: SnapshotMode::Auto,
        databases: vec![database],
        ..lab.options()
    }
}

fn survives(appends: bool) {
    if !Redis::is_installed() {
        return;
    }
    let Some(fs) = BtrfsLab::new() else { return };
    let lab = Lab::new();
    let source = fs.subvolume("redis");
    let redis = Redis::start(&source, appends);
    redis.ask(&["DEBUG", "POPULATE", "20000"]);
    for n in 0..200 {
        redis.ask(&["SET", &format!("key{n}"), &n.to_string()]);
    }
    let writer = redis.write();
    for _ in 0..2 {
        writer.more(500);
        let acked = writer.acked();
        let report = lab.backup_with(&options(&lab, &source, &redis));
        assert_eq!(report.databases[0].error, None);
        let target = fs.path("restored");
        restored(&lab, report.snapshot.unwrap(), &source, &target);
        let copy = Redis::start(&target, appends);
        let found: u64 = copy.ask(&["GET", "n"]).parse().unwrap();
        assert!(found >= acked, "{acked} were acknowledged, {found} are there");
        assert_eq!(copy.ask(&["GET", "key199"]), "199");
    }
}

#[test]
fn redis_with_saves() {
    survives(false);
}

#[test]
fn redis_with_an_append_only_file() {
    survives(true);
}

#[test]
fn a_redis_that_cannot_save_or_is_another_is_left_out() {
    if !Redis::is_installed() {
        return;
    }
    let Some(fs) = BtrfsLab::new() else { return };
    let lab = Lab::new();
    let (source, other) = (fs.subvolume("redis"), fs.subvolume("other"));
    std::fs::write(other.join("file"), "content").unwrap();
    let redis = Redis::start(&source, false);
    redis.ask(&["SET", "a", "1"]);
    // Nothing can be renamed onto a folder that is not empty.
    std::fs::create_dir_all(source.join("dump.rdb/x")).unwrap();
    let with_other = BackupOptions { paths: vec![source.clone(), other.clone()], ..options(&lab, &source, &redis) };
    let report = lab.backup_with(&with_other);
    let error = report.databases[0].error.clone().unwrap();
    assert!(error.contains("BGSAVE has failed"), "{error}");
    assert_eq!(crate::db_kit::snapshot(&lab, report.snapshot.unwrap()).manifest.roots.len(), 1);
    assert!(!source.join(".panther").exists(), "nothing was taken of what has failed");
    // Alone, there is nothing to back up.
    let alone =
        panther::ops::backup::backup(&lab.repo, &lab.state, &options(&lab, &source, &redis), &panther::ops::Silent);
    assert_eq!(alone.unwrap_err().exit_code(), 8);
    // The one that answers is not the one whose files these are.
    std::fs::remove_dir_all(source.join("dump.rdb")).unwrap();
    let wrong = BackupOptions { paths: vec![source.clone(), other.clone()], ..options(&lab, &other, &redis) };
    let report = lab.backup_with(&wrong);
    let error = report.databases[0].error.clone().unwrap();
    assert!(error.contains("keeps its files in"), "{error}");
    let report = lab.backup_with(&with_other);
    assert_eq!(report.databases[0].error, None);
}
