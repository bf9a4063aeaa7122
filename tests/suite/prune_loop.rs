//! Real processes on one repository: three machines that back up and two that forget and prune, all at once, killed at any moment.
//!
//! `PANTHER_PRUNE_LOOP_SECS=N` lets them run that long.
//!
//! The grace time here is seconds: enough, since a backup writes its manifest at once after its last look, and nobody's clock is off.

use crate::cli_common::{Sandbox, document, run};
use crate::common::{noise, write};
use crate::crash::run_for;
use crate::generations::manifest::Manifest;
use crate::generations::number;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::HashMap;
use std::fs;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

const GRACE: &str = "12s";

#[derive(Default)]
struct Tally {
    backups: AtomicU64,
    prunes: AtomicU64,
    killed: AtomicU64,
    removed_packs: AtomicU64,
    repacked_packs: AtomicU64,
    needed_packs: AtomicU64,
}

struct Loops {
    sandbox: Sandbox,
    end: Instant,
    tally: Tally,
    /// What each snapshot that was confirmed is to give back.
    made: Mutex<HashMap<String, (String, Manifest)>>,
}

impl Loops {
    /// With a state for each machine.
    fn command(&self, machine: &str, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.command(arguments);
        command.env("PANTHER_STATE_DIR", self.sandbox.path(&format!("state-{machine}")));
        command
    }

    /// Runs to the end, or is killed. Its document, if it was not.
    fn either(&self, chance: &mut ChaCha8Rng, mut command: Command, codes: &[i32]) -> Option<serde_json::Value> {
        let time = match chance.random_range(0..3) {
            0 => Duration::from_millis(chance.random_range(0..1_500)),
            _ => Duration::from_secs(600),
        };
        let Some(done) = run_for(&mut command, time) else {
            self.tally.killed.fetch_add(1, Relaxed);
            return None;
        };
        assert!(codes.contains(&done.code), "{command:?}: {} {}{}", done.code, done.out, done.err);
        Some(document(&done.out))
    }

    fn back_up(&self, machine: &str, seed: u64) {
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        let source = format!("source-{machine}");
        let file = |n: u64| self.sandbox.path(&format!("{source}/folder{}/file{n}", n % 7));
        // Few contents, so that what was there long ago comes back, and what one machine has another has, too.
        let content = |chance: &mut ChaCha8Rng| noise(chance.random_range(0..60), chance.random_range(1..4) * 40_000);
        (0..30).for_each(|n| write(&file(n), &content(&mut chance)));
        while Instant::now() < self.end {
            for _ in 0..chance.random_range(0..12) {
                let path = file(chance.random_range(0..30));
                match chance.random_range(0..4) {
                    0 => drop(fs::remove_file(path)),
                    _ => write(&path, &content(&mut chance)),
                }
            }
            let manifest = Manifest::of(&self.sandbox.path(&source).canonicalize().unwrap());
            let command = self.command(machine, &["backup", &source, "--host", machine, "--json", "-q"]);
            if let Some(report) = self.either(&mut chance, command, &[0, 3]) {
                assert!(
                    report["snapshot"].is_string() && report["unreadable"].as_array().unwrap().is_empty(),
                    "{report}"
                );
                self.tally.backups.fetch_add(1, Relaxed);
                let id = report["snapshot"].as_str().unwrap().to_owned();
                self.made.lock().unwrap().insert(id, (source.clone(), manifest));
            }
        }
    }

    fn prune(&self, machine: &str, seed: u64) {
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        while Instant::now() < self.end {
            let forget = self.command(machine, &["forget", "--keep-last", "3", "--group-by", "host", "--json", "-q"]);
            self.either(&mut chance, forget, &[0]);
            let more = if chance.random_range(0..3) == 0 { "0%" } else { "20%" };
            let arguments = ["prune", "--grace", GRACE, "--short-grace", "--max-unused", more, "--json", "-q"];
            if let Some(report) = self.either(&mut chance, self.command(machine, &arguments), &[0]) {
                self.tally.prunes.fetch_add(1, Relaxed);
                let add = |sum: &AtomicU64, key: &str| sum.fetch_add(report[key].as_u64().unwrap(), Relaxed);
                add(&self.tally.removed_packs, "removed_packs");
                add(&self.tally.repacked_packs, "repacked_packs");
                add(&self.tally.needed_packs, "needed_packs");
            }
        }
    }
}

#[test]
fn backups_and_prunes_side_by_side() {
    let secs = number("PANTHER_PRUNE_LOOP_SECS", 6);
    let sandbox = Sandbox::new();
    let end = Instant::now() + Duration::from_secs(secs);
    let loops = Loops { sandbox, end, tally: Tally::default(), made: Mutex::default() };
    std::thread::scope(|scope| {
        for (seed, machine) in [(1, "zephyrus"), (2, "yoga"), (3, "ovh")] {
            let loops = &loops;
            scope.spawn(move || loops.back_up(machine, seed));
        }
        for (seed, machine) in [(4, "admin"), (5, "other")] {
            let loops = &loops;
            scope.spawn(move || loops.prune(machine, seed));
        }
    });
    let Loops { sandbox, tally, made, .. } = loops;
    let found = sandbox.run(&["check", "--read-data", "--json", "-q"]);
    assert_eq!(found.code, 0, "{}{}", found.out, found.err);
    let listing = sandbox.json(&["snapshots"]);
    let ids = listing["snapshots"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned());
    let made = made.into_inner().unwrap();
    let mut restored = 0;
    for id in ids {
        // Those of runs that were killed after the manifest are only checked.
        let Some((source, manifest)) = made.get(&id) else { continue };
        let what = format!("{id}:{}", sandbox.path(source).canonicalize().unwrap().display());
        let done = run(&mut sandbox.command(&["restore", &what, "--target", "out", "--delete", "-q", "--numeric-ids"]));
        assert_eq!(done.code, 0, "{}", done.err);
        manifest.assert_is(&sandbox.path("out"), &format!("snapshot {id}"));
        restored += 1;
    }
    println!("{secs} s: {tally:?}, {restored} snapshots restored");
    assert!(restored >= 1 && tally.backups.into_inner() >= 3, "nothing was done");
}

impl std::fmt::Debug for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let of = |count: &AtomicU64| count.load(Relaxed);
        write!(
            f,
            "{} backups, {} prunes, {} killed; packs: {} removed, {} repacked, {} left alone",
            of(&self.backups),
            of(&self.prunes),
            of(&self.killed),
            of(&self.removed_packs),
            of(&self.repacked_packs),
            of(&self.needed_packs)
        )
    }
}
