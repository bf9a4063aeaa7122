//! The program is killed, again and again, at any moment: nothing that was completed is lost, or done again.
//!
//! `PANTHER_CRASH_ROUNDS=N` kills that often.

pub mod packs;

use crate::cli_common::{Run, Sandbox, document, run};
use crate::common::{noise, write};
use crate::generations::manifest::Manifest;
use crate::generations::number;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const LARGE_FILES: u64 = 6;
const LARGE_BYTES: usize = 24 << 20;
const SMALL_FILES: u64 = 3_000;

/// A repository, a source that changes, and what every snapshot is to give back.
struct World {
    sandbox: Sandbox,
    chance: ChaCha8Rng,
    snapshots: Vec<(String, Manifest)>,
    /// Counts changes, so that they always bring something new.
    changes: u64,
    tally: Tally,
}

/// What happened, for whoever runs many rounds by hand.
#[derive(Debug, Default)]
struct Tally {
    backups_killed: u32,
    backups_done: u32,
    snapshots_of_killed: u32,
    resumed_packs: u64,
    restores_killed: u32,
    restores_done: u32,
}

/// Lets a command run for so long. Nothing if it was killed.
pub fn run_for(command: &mut Command, time: Duration) -> Option<Run> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let end = Instant::now() + time;
    loop {
        if Instant::now() >= end {
            child.kill().unwrap();
            // It may have ended by itself just before.
        } else if child.try_wait().unwrap().is_none() {
            sleep(Duration::from_millis(1));
            continue;
        }
        let status = child.wait().unwrap();
        let (mut out, mut err) = (String::new(), String::new());
        child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        return status.code().map(|code| Run { code, out, err });
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let sandbox = Sandbox::new();
        let chance = ChaCha8Rng::seed_from_u64(seed);
        let mut world = Self { sandbox, chance, snapshots: Vec::new(), changes: 0, tally: Tally::default() };
        (0..LARGE_FILES).for_each(|n| world.write_large(n));
        (0..SMALL_FILES).for_each(|n| world.write_small(n));
        world
    }

    fn source(&self) -> PathBuf {
        self.sandbox.path("source").canonicalize().unwrap()
    }

    fn write_large(&mut self, n: u64) {
        self.changes += 1;
        write(&self.sandbox.path(&format!("source/large{n}/file")), &noise(self.changes, LARGE_BYTES));
    }

    fn write_small(&mut self, n: u64) {
        self.changes += 1;
        let bytes = noise(self.changes, self.chance.random_range(0..6_000));
        write(&self.sandbox.path(&format!("source/small{}/file{n}", n % 40)), &bytes);
    }

    fn change(&mut self) {
        for _ in 0..2 {
            let n = self.chance.random_range(0..LARGE_FILES);
            self.write_large(n);
        }
        for _ in 0..100 {
            let n = self.chance.random_range(0..SMALL_FILES + 500);
            let path = self.sandbox.path(&format!("source/small{}/file{n}", n % 40));
            match self.chance.random_range(0..4) {
                0 => drop(fs::remove_file(path)),
                _ => self.write_small(n),
            }
        }
        let moved = self.sandbox.path("source/moved");
        match fs::remove_dir_all(&moved) {
            Ok(()) => (0..SMALL_FILES).filter(|n| n % 40 == 7).for_each(|n| self.write_small(n)),
            Err(_) => fs::rename(self.sandbox.path("source/small7"), moved).unwrap(),
        }
    }

    fn backup_command(&self) -> Command {
        self.sandbox.command(&["backup", "source", "--host", "h", "--json", "-q"])
    }

    /// Backs up, but only for so long. Whether it came to its end.
    fn backup_for(&mut self, time: Duration) -> bool {
        let done = run_for(&mut self.backup_command(), time);
        match &done {
            Some(run) => {
                assert_eq!(run.code, 0, "{}", run.err);
                let report = document(&run.out);
                self.tally.backups_done += 1;
                self.tally.resumed_packs += report["resumed_packs"].as_u64().unwrap();
            }
            None => self.tally.backups_killed += 1,
        }
        // Also one that was killed may have come as far as a snapshot.
        let listing = self.sandbox.json(&["snapshots"]);
        let ids = listing["snapshots"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned());
        let new: Vec<String> = ids.filter(|id| self.snapshots.iter().all(|(known, _)| known != id)).collect();
        assert!(new.len() == 1 || (done.is_none() && new.is_empty()), "new snapshots: {new:?}");
        if let Some(id) = new.into_iter().next() {
            self.tally.snapshots_of_killed += u32::from(done.is_none());
            self.snapshots.push((id, Manifest::of(&self.source())));
        }
        done.is_some()
    }

    fn check(&self, arguments: &[&str]) -> Value {
        let found = self.sandbox.run(&[&["check", "--json", "-q"], arguments].concat());
        assert_eq!(found.code, 0, "{}{}", found.out, found.err);
        let found = document(&found.out);
        assert_eq!(found["snapshots"], self.snapshots.len(), "{found}");
        found
    }

    fn restore_command(&self, snapshot: usize, target: &str, more: &[&str]) -> Command {
        let what = format!("{}:{}", self.snapshots[snapshot].0, self.source().display());
        self.sandbox.command(&[&["restore", &what, "--target", target, "-q", "--numeric-ids"], more].concat())
    }

    /// Restores for so long, and again to the end. Whether the first time was enough.
    fn restore_for(&mut self, snapshot: usize, time: Duration) -> bool {
        let target = self.sandbox.path("killed");
        let done = run_for(&mut self.restore_command(snapshot, "killed", &[]), time);
        match &done {
            Some(done) => {
                assert_eq!(done.code, 0, "{}", done.err);
                self.tally.restores_done += 1;
            }
            None => {
                self.tally.restores_killed += 1;
                let again = run(&mut self.restore_command(snapshot, "killed", &["--overwrite"]));
                assert_eq!(again.code, 0, "{}", again.err);
            }
        }
        self.assert_is_restored(snapshot, &target);
        fs::remove_dir_all(target).unwrap();
        done.is_some()
    }

    fn assert_is_restored(&self, snapshot: usize, target: &Path) {
        let (id, manifest) = &self.snapshots[snapshot];
        manifest.assert_is(target, &format!("snapshot {id}"));
    }
}

#[test]
fn whatever_is_killed_whenever() {
    let rounds = number("PANTHER_CRASH_ROUNDS", 12);
    let mut world = World::new(number("PANTHER_CRASH_SEED", 1));
    let begun = Instant::now();
    let whole = {
        // How long the first backup takes if nobody disturbs it.
        let calm = Sandbox::new();
        fs::rename(world.sandbox.path("source"), calm.path("source")).unwrap();
        let begun = Instant::now();
        calm.ok(&["backup", "source", "-q"]);
        let took = begun.elapsed();
        fs::rename(calm.path("source"), world.sandbox.path("source")).unwrap();
        took
    };
    // How long a run takes, more or less: a bit longer than one that was killed might have.
    let (mut usual, mut usual_restore) = (whole, whole);
    for round in 0..rounds {
        let time = usual.mul_f64(world.chance.random_range(0.0..1.2));
        let begun = Instant::now();
        if world.backup_for(time) {
            usual = begun.elapsed();
            world.change();
        } else {
            usual = usual.mul_f64(1.15);
            if world.chance.random_range(0..4) == 0 {
                world.change();
            }
        }
        world.check(if round % 10 == 9 { &["--read-data"] } else { &[] });
        if round % 3 == 2 && !world.snapshots.is_empty() {
            let snapshot = world.chance.random_range(0..world.snapshots.len());
            let time = usual_restore.mul_f64(world.chance.random_range(0.0..1.2));
            let is_done = world.restore_for(snapshot, time);
            usual_restore = usual_restore.mul_f64(if is_done { 0.8 } else { 1.1 });
        }
    }

    // What killed runs have left behind goes away, once it is surely nobody's any more.
    sleep(Duration::from_millis(5_500));
    assert!(world.backup_for(Duration::from_secs(600)));
    let left: Vec<_> = fs::read_dir(world.sandbox.path("repo/tmp")).unwrap().map(|e| e.unwrap().file_name()).collect();
    println!("{rounds} rounds in {:?}, {:?} undisturbed, left: {left:?}, {:?}", begun.elapsed(), whole, world.tally);
    assert!(!left.iter().any(|name| name.to_str().unwrap().starts_with("spool-")), "{left:?}");
    let checked = world.check(&["--read-data"]);
    assert_eq!(checked["notes"].as_array().unwrap().len(), 0, "{checked}");
    let blobs = packs::assert_nothing_twice(&world.sandbox);
    println!("{blobs} blobs, none of them twice");
    for snapshot in 0..world.snapshots.len() {
        let done = run(&mut world.restore_command(snapshot, "last", &["--delete"]));
        assert_eq!(done.code, 0, "{}", done.err);
        world.assert_is_restored(snapshot, &world.sandbox.path("last"));
    }
}

/// Kills after so many packs have appeared in the store; directories are written down with the 16th.
#[test]
fn what_was_completed_before_the_kill_is_neither_stored_nor_read_again() {
    let (files, packs_wanted) = if crate::trouble::memory::is_big() { (40, 18) } else { (8, 3) };
    let sandbox = Sandbox::new();
    for n in 0..files {
        write(&sandbox.path(&format!("source/folder{n:02}/file")), &noise(n, LARGE_BYTES));
    }
    let mut child = sandbox.command(&["backup", "source", "-q"]).spawn().unwrap();
    while packs::stored(&sandbox).len() < packs_wanted {
        assert!(child.try_wait().unwrap().is_none(), "it has ended before it could be killed");
        sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    sandbox.ok(&["check"]);
    let kept = packs::stored(&sandbox);
    let kept_bytes: u64 = kept.iter().map(|(_, size_bytes)| size_bytes).sum();

    let report = sandbox.json(&["backup", "source"]);
    let whole = files * LARGE_BYTES as u64;
    let number = |value: &Value| value.as_u64().unwrap();
    assert_eq!(number(&report["resumed_packs"]), kept.len() as u64);
    let (uploaded, read) = (number(&report["uploaded_bytes"]), number(&report["summary"]["read_bytes"]));
    println!("{kept_bytes} of {whole} were stored; then {uploaded} were stored and {read} read");
    assert!(uploaded + kept_bytes < whole + (whole >> 6), "{uploaded} were stored after {kept_bytes} of {whole}");
    if packs_wanted > 16 {
        assert!(read < whole / 2, "{read} of {whole} were read again");
    }
    packs::assert_nothing_twice(&sandbox);
    sandbox.ok(&["check", "--read-data"]);
}
