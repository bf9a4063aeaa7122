//! Each alert of the table is fired once, from figures that the real binary gives after a real cause. Time alone is made: the history is written as if it were longer ago.

use crate::b2_kit::{BUCKET, fake};
use crate::cli_common::{Run, Sandbox, document, run};
use crate::common::noise;
use crate::fake_b2::{FakeB2, KeySpec};
use panther::config::types::HostClass;
use panther::report::alerts::{ALERTS, Grade};
use panther::report::metrics::{Facts, LocalNewest, by_name, gauges, prometheus};
use panther::state::runs::{RunRecord, Runs};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

struct Place {
    sandbox: Sandbox,
    fake: FakeB2,
}

impl Place {
    fn new() -> Self {
        let place = Self { sandbox: Sandbox::empty(), fake: fake() };
        let (id, secret) = place.fake.key(&KeySpec::everything(BUCKET));
        place.sandbox.write("key", format!("{id}:{secret}"));
        place.sandbox.write("source/file", noise(7, 500_000));
        let here = place.sandbox.temp.path().display();
        place.sandbox.write("panther.toml", format!(
            "[profiles.main]\nrepository = \"b2://{BUCKET}/home\"\npassword-file = \"{here}/password\"\nstate-dir = \"{here}/state\"\nwriter = \"web\"\nsources = [{{ path = \"{here}/source\" }}]\nprices = [{{ from = \"2020-01-01\", storage-tb-dollars = 695000000.0, free-stored-gb = 0 }}]\nbudget = {{ warn-month-dollars = 0.000001 }}\nmetrics = {{ prometheus-file = \"{here}/panther.prom\" }}\n"
        ));
        assert_eq!(place.run(&["init"]).code, 0);
        place
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.bare();
        command.env_remove("PANTHER_REPOSITORY").env_remove("PANTHER_STATE_DIR");
        command.env("PANTHER_CONFIG", self.sandbox.path("panther.toml"));
        command.env("PANTHER_B2_ENDPOINT", self.fake.endpoint()).env("PANTHER_TEST_B2_PATIENCE", "30");
        command.env("PANTHER_B2_KEY_FILE", self.sandbox.path("key")).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Run {
        run(&mut self.command(arguments))
    }

    /// Names of the alerts that the figures fire now, on a server.
    fn firing(&self) -> BTreeSet<&'static str> {
        let text = self.run(&["metrics", "--json"]).out;
        let found = document(&text);
        let file = std::fs::read_to_string(self.sandbox.path("panther.prom")).unwrap_or_default();
        let value = |metric: &str| -> Option<f64> {
            let listed = found["metrics"].as_array().unwrap().iter().find(|m| m["name"] == metric);
            // Counters are in the file only.
            let counted = || {
                let name = prometheus::name(metric);
                let line = file.lines().find(|line| line.starts_with(&format!("{name}{{")))?;
                line.rsplit(' ').next()?.parse().ok()
            };
            listed.and_then(|m| m["value"].as_f64()).or_else(counted)
        };
        let fires = |metric, judge: &dyn Fn(f64) -> Grade| value(metric).is_some_and(|value| judge(value) > Grade::Ok);
        ALERTS.iter().filter(|a| fires(a.metric, &|v| a.judge(HostClass::Server, v))).map(|a| a.name).collect()
    }

    /// As if everything so far had been so many days earlier.
    fn age(&self, days: i64) {
        let folder = self.sandbox.path("state");
        let all = Runs::at(&folder).all().unwrap();
        std::fs::remove_file(folder.join("runs.redb")).unwrap();
        for run in all {
            let run = RunRecord { started_secs: run.started_secs - days * 86_400, ..run };
            Runs::at(&folder).add(&run).unwrap();
        }
    }
}

#[test]
fn every_alert_fires_from_its_cause() {
    let place = Place::new();
    let mut seen = BTreeSet::new();
    let mut expect = |place: &Place, names: &[&'static str]| {
        let firing = place.firing();
        for name in names {
            assert!(firing.contains(name), "{name} is silent: {firing:?}");
            seen.insert(*name);
        }
    };
    // A month that costs more than planned.
    assert_eq!(place.run(&["backup"]).code, 0);
    expect(&place, &["budget"]);
    // Nothing else is wrong, but for the disk of whoever runs this.
    let calm: BTreeSet<_> = place.firing().into_iter().filter(|name| !["budget", "disk-full"].contains(name)).collect();
    assert!(calm.is_empty(), "{calm:?}");
    // A good drill and a good check, and then a long time without anything.
    assert_eq!(place.run(&["check"]).code, 0);
    assert_eq!(place.run(&["drill", "--no-compare"]).code, 0);
    place.age(80);
    expect(&place, &["backup-too-old", "recovery-point-missed", "check-too-old", "drill-too-old"]);
    // The store is away.
    place.fake.refuse(true);
    assert_eq!(run(place.command(&["backup"]).env("PANTHER_TEST_B2_PATIENCE", "2")).code, 7);
    expect(&place, &["backup-failed", "transfer-errors"]);
    place.fake.refuse(false);
    // A pack is gone: the next backup sees it, a check and a drill, too.
    let packs: Vec<String> = place.fake.names(BUCKET).into_iter().filter(|name| name.contains("/packs/")).collect();
    packs.iter().for_each(|pack| place.fake.destroy(BUCKET, pack));
    let checked = place.run(&["check"]);
    assert_eq!(checked.code, 4, "{}", checked.err);
    let drilled = place.run(&["drill", "--no-compare"]);
    assert_eq!(drilled.code, 4, "{}", drilled.err);
    assert_eq!(place.run(&["backup"]).code, 3);
    expect(&place, &["verification-failed", "drill-failed", "backup-incomplete"]);
    // What is no subvolume cannot be snapshotted.
    assert_ne!(place.run(&["snapshot", "create", "/proc"]).code, 0);
    expect(&place, &["snapshot-failed"]);
    // A manifest that cannot be read stays, whatever the policy says.
    let name = format!("home/writers/web/snapshots/{}", blake3::hash(b"no manifest").to_hex());
    place.fake.shadow(BUCKET, &name, b"no manifest");
    assert_eq!(place.run(&["forget", "--keep-last", "1"]).code, 4);
    expect(&place, &["retention-violated"]);
    // A small disk that is full, where one may be mounted; a subvolume's snapshots need Btrfs: both by their figures otherwise.
    by_figures(&place, &mut seen);
    let all: BTreeSet<&str> = ALERTS.iter().map(|alert| alert.name).collect();
    assert_eq!(seen, all);
}

/// The two that need a file system of their own: from the sizes that the kernel gives of a real one, and from the time of a snapshot.
fn by_figures(place: &Place, seen: &mut BTreeSet<&'static str>) {
    let room = small_disk(place);
    let disks = [panther::report::metrics::Disk { path: "/small".into(), free_bytes: room.0, total_bytes: room.1 }];
    let local = [LocalNewest { subvolume: "/home".into(), taken_secs: 1_000_000, count: 3 }];
    let facts = Facts {
        now_secs: 1_000_000 + 30 * 86_400,
        host: "h",
        repository: "r",
        class: HostClass::Server,
        recovery_point_secs: 1,
        recovery_time_secs: 1,
        budget_dollars: None,
        runs: &[],
        disks: &disks,
        local: &local,
    };
    for name in ["disk-full", "snapshot-too-old"] {
        let alert = ALERTS.iter().find(|alert| alert.name == name).unwrap();
        assert!(by_name(alert.metric).is_some());
        let value = gauges(&facts).into_iter().find(|sample| sample.metric.name == alert.metric).unwrap().value;
        assert_eq!(alert.judge(HostClass::Server, value), Grade::Critical, "{name}: {value}");
        seen.insert(alert.name);
    }
}

/// Room and size of a tmpfs that is filled; of one that is made up where nothing may be mounted.
fn small_disk(place: &Place) -> (u64, u64) {
    let folder: PathBuf = place.sandbox.path("small");
    std::fs::create_dir(&folder).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1M", "none"]).arg(&folder).output();
    if !mounted.is_ok_and(|done| done.status.success()) {
        println!("no file system may be mounted here: the figures of a full one are made up");
        return (10, 1_000);
    }
    std::fs::write(folder.join("full"), vec![1; 1_000_000]).unwrap();
    let room = rustix::fs::statvfs(&folder).unwrap();
    assert!(Command::new("umount").arg(&folder).status().unwrap().success());
    (room.f_bavail * room.f_frsize, room.f_blocks * room.f_frsize)
}
