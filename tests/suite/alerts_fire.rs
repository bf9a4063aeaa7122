//! Each alert of the table is fired once, from figures that the real binary gives after a real cause. Time alone is made: the history is written as if it were longer ago.

use crate::b2_kit::{BUCKET, fake};
use crate::btrfs_kit::BtrfsLab;
use crate::cli_common::{Run, Sandbox, document, run};
use crate::common::noise;
use crate::fake_b2::{FakeB2, KeySpec};
use panther::config::types::HostClass;
use panther::report::alerts::{ALERTS, Grade};
use panther::report::metrics::prometheus;
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
    let expect = |place: &Place, seen: &mut BTreeSet<&'static str>, names: &[&'static str]| {
        let firing = place.firing();
        for name in names {
            assert!(firing.contains(name), "{name} is silent: {firing:?}");
            seen.insert(*name);
        }
    };
    // A month that costs more than planned.
    assert_eq!(place.run(&["backup"]).code, 0);
    expect(&place, &mut seen, &["budget"]);
    // Nothing else is wrong, but for the disk of whoever runs this.
    let calm: BTreeSet<_> = place.firing().into_iter().filter(|name| !["budget", "disk-full"].contains(name)).collect();
    assert!(calm.is_empty(), "{calm:?}");
    // A good drill and a good check, and then a long time without anything.
    assert_eq!(place.run(&["check"]).code, 0);
    assert_eq!(place.run(&["drill", "--no-compare"]).code, 0);
    place.age(80);
    expect(&place, &mut seen, &["backup-too-old", "recovery-point-missed", "check-too-old", "drill-too-old"]);
    // The store is away.
    place.fake.refuse(true);
    assert_eq!(run(place.command(&["backup"]).env("PANTHER_TEST_B2_PATIENCE", "2")).code, 7);
    expect(&place, &mut seen, &["backup-failed", "transfer-errors"]);
    place.fake.refuse(false);
    // A pack is gone: the next backup sees it, a check and a drill, too.
    let packs: Vec<String> = place.fake.names(BUCKET).into_iter().filter(|name| name.contains("/packs/")).collect();
    packs.iter().for_each(|pack| place.fake.destroy(BUCKET, pack));
    let checked = place.run(&["check"]);
    assert_eq!(checked.code, 4, "{}", checked.err);
    let drilled = place.run(&["drill", "--no-compare"]);
    assert_eq!(drilled.code, 4, "{}", drilled.err);
    assert_eq!(place.run(&["backup"]).code, 3);
    expect(&place, &mut seen, &["verification-failed", "drill-failed", "backup-incomplete"]);
    // What is no subvolume cannot be snapshotted.
    assert_ne!(place.run(&["snapshot", "create", "/proc"]).code, 0);
    expect(&place, &mut seen, &["snapshot-failed"]);
    // A manifest that cannot be read stays, whatever the policy says.
    let name = format!("home/writers/web/snapshots/{}", blake3::hash(b"no manifest").to_hex());
    place.fake.shadow(BUCKET, &name, b"no manifest");
    assert_eq!(place.run(&["forget", "--keep-last", "1"]).code, 4);
    expect(&place, &mut seen, &["retention-violated"]);
    // A file system that is full, with what is backed up on it.
    match full_disk(&place) {
        Some(_mounted) => expect(&place, &mut seen, &["disk-full"]),
        None => drop(seen.insert("disk-full")),
    }
    // A subvolume whose newest local snapshot is old.
    match old_snapshot(&place) {
        Some(_lab) => expect(&place, &mut seen, &["snapshot-too-old"]),
        None => drop(seen.insert("snapshot-too-old")),
    }
    // What the units of the NixOS modules tell: one that failed, a subvolume without its attributes.
    by_scripts(&place, &mut seen);
    let all: BTreeSet<&str> = ALERTS.iter().map(|alert| alert.name).collect();
    assert_eq!(seen, all);
}

/// A tmpfs, mounted until this is dropped.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// Mounts a small file system over the source and fills it; nothing, and a line that says so, where nothing may be mounted.
fn full_disk(place: &Place) -> Option<Mounted> {
    let folder: PathBuf = place.sandbox.path("source");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1M", "none"]).arg(&folder).output();
    if !mounted.is_ok_and(|done| done.status.success()) {
        println!("skipped: disk-full: no file system may be mounted here");
        return None;
    }
    let mounted = Mounted(folder);
    std::fs::write(mounted.0.join("full"), vec![1; 1_000_000]).unwrap();
    Some(mounted)
}

/// A subvolume with a snapshot as `panther snapshot create` names them, made when the clock said 2020; the profile looks at it from now on.
fn old_snapshot(place: &Place) -> Option<BtrfsLab> {
    let Some(lab) = BtrfsLab::new() else {
        println!("skipped: snapshot-too-old");
        return None;
    };
    let home = lab.subvolume("home");
    std::fs::create_dir(home.join(".panther")).unwrap();
    lab.snapshot(&home, "home/.panther/20200101T000000Z", true);
    let config = std::fs::read_to_string(place.sandbox.path("panther.toml")).unwrap();
    let more = format!("snapshots = {{ subvolumes = [\"{}\"] }}\n", home.display());
    place.sandbox.write("panther.toml", config + &more);
    Some(lab)
}

/// Runs the scripts of the modules' units, which write their figures into a folder for Prometheus.
fn by_scripts(place: &Place, seen: &mut BTreeSet<&'static str>) {
    let scripts = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("nixos/scripts");
    let figures = place.sandbox.path("figures");
    std::fs::create_dir(&figures).unwrap();
    let run = |script: &str, more: &[(&str, &str)]| {
        let mut command = Command::new("bash");
        command.arg(scripts.join(script)).env("PANTHER_STATE", place.sandbox.path("units"));
        command.env("PANTHER_PROMETHEUS", &figures).envs(more.iter().copied()).output().unwrap();
    };
    // As systemd calls it after a run that could not read its credentials.
    let ended = [
        ("SERVICE_RESULT", "exit-code"),
        ("EXIT_CODE", "exited"),
        ("EXIT_STATUS", "243"),
        ("PANTHER_JOB", "backup-nightly"),
    ];
    run("record.sh", &ended);
    run("attributes.sh", &[("PANTHER_ATTRIBUTES", "/no/such/subvolume C -"), ("PANTHER_JOB", "attributes")]);
    let text: String = std::fs::read_dir(&figures)
        .unwrap()
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    for (name, grade) in [("unit-failed", Grade::Critical), ("attributes-wrong", Grade::Warning)] {
        let alert = ALERTS.iter().find(|alert| alert.name == name).unwrap();
        let metric = prometheus::name(alert.metric);
        let line = text.lines().find(|line| line.starts_with(&metric)).unwrap_or_else(|| panic!("{metric}: {text}"));
        let value: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
        assert_eq!(alert.judge(HostClass::Server, value), grade, "{line}");
        seen.insert(alert.name);
    }
}
