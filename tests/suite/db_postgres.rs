//! A real PostgreSQL under load: what is backed up is whole.

use crate::btrfs_kit::BtrfsLab;
use crate::common::Lab;
use crate::db_kit::{Postgres, Server, open_up, restored, snapshot};
use panther::ops::backup::{BackupOptions, SnapshotMode};
use panther::ops::database::{Database, DatabaseKind};
use panther::source::ExcludeOptions;
use std::path::Path;

fn rounds() -> u64 {
    std::env::var("PANTHER_DB_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(2)
}

fn options(lab: &Lab, source: &Path) -> BackupOptions {
    BackupOptions {
        paths: vec![source.to_owned()],
        snapshots: SnapshotMode::Auto,
        databases: vec![Database::new(DatabaseKind::Postgresql, source.to_owned())],
        ..lab.options()
    }
}

/// Whether heaps and indexes fit each other, and the sums of pgbench's tables.
fn assert_sound(server: &Server) {
    let output = server
        .client("pg_amcheck")
        .args(["--all", "--install-missing", "--heapallindexed", "--parent-check"])
        .output()
        .unwrap();
    assert!(
        output.status.success() && output.stdout.is_empty(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let sums = "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(bbalance) FROM pgbench_branches)
        AND (SELECT sum(tbalance) FROM pgbench_tellers) = (SELECT sum(bbalance) FROM pgbench_branches)
        AND (SELECT coalesce(sum(delta), 0) FROM pgbench_history) = (SELECT sum(bbalance) FROM pgbench_branches)";
    assert_eq!(server.sql(sums), "t");
}

#[test]
fn every_backup_of_a_busy_postgresql_starts_and_has_all_that_was_acknowledged() {
    let Some(postgres) = Postgres::find() else { return };
    let Some(fs) = BtrfsLab::with(6 << 30, &[], "noatime") else { return };
    open_up(&fs.root());
    let lab = Lab::new();
    let source = fs.subvolume("postgresql");
    postgres.give(&source);
    let data = source.join("15/main");
    postgres.folder(&source.join("15"));
    postgres.init(&data, "max_wal_size = 64MB\nmin_wal_size = 32MB\nautovacuum_naptime = 1s\n");
    let server = postgres.start(&data);
    let bench = server.bench("3");
    let writer = server.write();
    for round in 0..rounds() {
        writer.more(50);
        let acked = writer.acked();
        let report = lab.backup_with(&options(&lab, &source));
        assert!(report.unreadable.is_empty() && report.failed_hooks.is_empty(), "{report:?}");
        let [database] = report.databases.as_slice() else { panic!("{report:?}") };
        assert_eq!(database.error, None);
        let facts = database.postgresql.clone().unwrap();
        let target = fs.path("restored");
        restored(&lab, report.snapshot.unwrap(), &data, &target);
        assert!(!target.join("postmaster.pid").exists());
        assert_eq!(postgres.control(&target, "Database system identifier"), facts.system);
        assert_eq!(postgres.control(&target, "Latest checkpoint's REDO location"), facts.lsn);
        assert_eq!(postgres.control(&target, "Latest checkpoint's TimeLineID"), facts.timeline.to_string());
        let tags = snapshot(&lab, report.snapshot.unwrap()).manifest.tags;
        assert_eq!(
            tags,
            [format!("pg.lsn={}", facts.lsn), format!("pg.system={}", facts.system), "pg.timeline=1".into()]
        );
        let copy = postgres.start(&target);
        let found: u64 = copy.sql("SELECT count(*) FROM ack").parse().unwrap();
        assert_eq!(copy.sql("SELECT max(n) FROM ack"), found.to_string(), "none is missing in between");
        assert!(found >= acked, "round {round}: {acked} were acknowledged, {found} are there");
        assert_sound(&copy);
        copy.stop();
        let mut check = postgres.command("pg_checksums");
        postgres.ok(check.arg("--check").arg("-D").arg(&target));
        println!("round {round}: {acked} acknowledged, {found} there, {} bytes read", report.summary.read_bytes);
    }
    drop((bench, writer));
    assert_sound(&server);
}

#[test]
fn recovery_to_a_time_between_two_backups_is_exact() {
    let Some(postgres) = Postgres::find() else { return };
    let Some(fs) = BtrfsLab::with(6 << 30, &[], "noatime") else { return };
    open_up(&fs.root());
    let lab = Lab::new();
    let source = fs.subvolume("postgresql");
    postgres.give(&source);
    let (data, archive) = (source.join("main"), fs.path("wal-archive"));
    postgres.folder(&archive);
    let at = archive.display();
    let settings = format!(
        "track_commit_timestamp = on\narchive_mode = on\narchive_command = 'test ! -f {at}/%f && cp %p {at}/.%f.part && mv {at}/.%f.part {at}/%f'\n"
    );
    postgres.init(&data, &settings);
    let server = postgres.start(&data);
    let writer = server.write();
    writer.more(30);
    let base = lab.backup_with(&options(&lab, &source)).snapshot.unwrap();
    let chosen = writer.more(100);
    writer.more(100);
    let later = lab.backup_with(&options(&lab, &source)).snapshot.unwrap();
    assert_ne!(base, later);
    writer.more(20);
    let last = writer.end();
    let time = server.sql(&format!("SELECT pg_xact_commit_timestamp(xmin) FROM ack WHERE n = {chosen}"));

    // The archive is a folder like any other: a run reads what is new in it.
    let wal = BackupOptions {
        paths: vec![archive.clone()],
        excludes: ExcludeOptions { patterns: vec!["*.part".into()], ..Default::default() },
        skip_if_unchanged: true,
        ..lab.options()
    };
    let segments = || std::fs::read_dir(&archive).unwrap().count() as u64;
    let archived = |server: &Server| {
        let segment = server.sql("SELECT pg_walfile_name(pg_switch_wal())");
        server.wait_for(&format!("SELECT last_archived_wal >= '{segment}' FROM pg_stat_archiver"), "t");
    };
    const SEGMENT_BYTES: u64 = 16 << 20;
    archived(&server);
    let before = segments();
    let report = lab.backup_with(&wal);
    assert_eq!(report.summary.read_bytes, before * SEGMENT_BYTES);
    crate::common::settle();
    for _ in 0..2 {
        server.sql("INSERT INTO ack VALUES (-1 - (SELECT count(*) FROM ack WHERE n < 0))");
        archived(&server);
    }
    let added = segments() - before;
    assert_eq!(added, 2);
    let report = lab.backup_with(&wal);
    let wal_snapshot = report.snapshot.unwrap();
    assert_eq!(report.summary.read_bytes, added * SEGMENT_BYTES, "a run reads new segments only");
    assert_eq!(report.summary.files_unchanged, before);
    crate::common::settle();
    let report = lab.backup_with(&wal);
    assert_eq!((report.snapshot, report.summary.read_bytes), (None, 0));
    drop(server);

    // As docs/databases.md says it.
    let (target, log) = (fs.path("restored"), fs.path("wal-restored"));
    restored(&lab, wal_snapshot, &archive, &log);
    restored(&lab, base, &data, &target);
    let mut settings = std::fs::read_to_string(target.join("postgresql.auto.conf")).unwrap();
    settings.push_str(&format!(
        "restore_command = 'cp {}/%f \"%p\"'\nrecovery_target_time = '{time}'\nrecovery_target_action = 'promote'\narchive_mode = off\n",
        log.display()
    ));
    std::fs::write(target.join("postgresql.auto.conf"), settings).unwrap();
    std::fs::write(target.join("recovery.signal"), "").unwrap();
    postgres.give(&target);
    let copy = postgres.start(&target);
    copy.wait_for("SELECT pg_is_in_recovery()", "f");
    println!("asked for {chosen} of {last}");
    assert_eq!(copy.sql("SELECT max(n) FROM ack"), chosen.to_string(), "{}", copy.log());
    assert_eq!(copy.sql("SELECT count(*) FROM ack"), chosen.to_string());
}
