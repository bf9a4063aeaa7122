//! A backup of a subvolume is killed, again and again, at any moment between snapshot, backup and pin: nothing is left over after the next good one,
//! and what that one makes is what reading everything makes.
//!
//! `PANTHER_BTRFS_KILLS=N` kills that often.

use crate::btrfs_backup::{assert_as_if_all_were_read, left, snapshot};
use crate::btrfs_kit::BtrfsLab;
use crate::cli_common::{Sandbox, document, run};
use crate::common::{Lab, noise, write};
use crate::crash::run_for;
use crate::generations::number;
use panther::id::ObjectId;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const FILES: u64 = 400;

struct World {
    fs: BtrfsLab,
    lab: Lab,
    sandbox: Sandbox,
    chance: ChaCha8Rng,
    changes: u64,
}

#[derive(Debug, Default)]
struct Tally {
    killed: u64,
    /// Killed runs that left a snapshot behind, and those that had written a manifest.
    left_behind: u64,
    with_manifest: u64,
    by_delta: u64,
    good: u64,
}

impl World {
    fn new(fs: BtrfsLab) -> Self {
        let sandbox = Sandbox::empty();
        fs::write(sandbox.path("password"), "correct horse\n").unwrap();
        fs.subvolume("source");
        fs.subvolume("source/nested");
        let chance = ChaCha8Rng::seed_from_u64(number("PANTHER_CRASH_SEED", 1));
        let mut world = Self { fs, lab: Lab::new(), sandbox, chance, changes: 0 };
        (0..FILES).for_each(|n| world.write_file(n));
        world
    }

    fn source(&self) -> PathBuf {
        self.fs.path("source")
    }

    fn file(&self, n: u64) -> PathBuf {
        let top = if n.is_multiple_of(5) { "source/nested" } else { "source" };
        self.fs.path(&format!("{top}/folder{}/file{n}", n % 13))
    }

    fn write_file(&mut self, n: u64) {
        self.changes += 1;
        let bytes = self.chance.random_range(0..30_000);
        write(&self.file(n), &noise(self.changes, bytes));
    }

    fn change(&mut self) {
        for _ in 0..self.chance.random_range(0..30) {
            let n = self.chance.random_range(0..FILES + 50);
            match self.chance.random_range(0..5) {
                0 => drop(fs::remove_file(self.file(n))),
                1 => {
                    // Its content elsewhere, under a number that was something else's.
                    let to = self.file(n + 65);
                    drop(fs::rename(self.file(n), to));
                }
                _ => self.write_file(n),
            }
        }
    }

    fn command(&self) -> Command {
        let source = self.source();
        let mut command = self.sandbox.command(&["backup", source.to_str().unwrap(), "--host", "lab", "--json"]);
        command.env("PANTHER_REPOSITORY", self.lab.folder.path().join("repo"));
        command
    }

    fn made(&self) -> usize {
        [self.source(), self.fs.path("source/nested")].iter().map(|subvolume| made_in(subvolume)).sum()
    }

    fn manifests(&self) -> usize {
        self.lab.objects("snapshots/").len()
    }

    /// One undisturbed run, and what it leaves; whether it went by what has changed.
    fn good(&mut self, what: &str) -> bool {
        let done = run(&mut self.command());
        assert_eq!(done.code, 0, "{what}: {}", done.err);
        let report = document(&done.out);
        let id: ObjectId = report["snapshot"].as_str().unwrap().parse().unwrap();
        let taken = left(&self.source(), 1);
        left(&self.fs.path("source/nested"), 1);
        for subvolume in [self.source(), self.fs.path("source/nested")] {
            let pins = names(&subvolume, b"pin-");
            assert_eq!(pins.len(), 1, "{what}: {pins:?}");
            assert_eq!(fs::read_link(&pins[0]).unwrap(), left(&subvolume, 1).file_name().unwrap(), "{what}");
            assert!(names(&subvolume, b"new-").is_empty(), "{what}");
        }
        assert_as_if_all_were_read(&self.lab, &self.source(), &taken, id, &Default::default(), what);
        assert!(snapshot(&self.lab, id).manifest.summary.files > FILES / 2, "{what}");
        !done.err.contains("everything is looked at")
    }
}

fn names(subvolume: &Path, prefix: &[u8]) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(subvolume.join(".panther")) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.file_name().unwrap().as_bytes().starts_with(prefix)).collect()
}

fn made_in(subvolume: &Path) -> usize {
    names(subvolume, b"backup-").len()
}

#[test]
fn whatever_is_killed_leaves_no_snapshot_and_no_wrong_parent() {
    let kills = number("PANTHER_BTRFS_KILLS", 6);
    let Some(fs) = BtrfsLab::new() else { return };
    let mut world = World::new(fs);
    let mut tally = Tally::default();
    assert!(!world.good("the first"));
    let mut usual = Duration::from_millis(300);
    while tally.killed < kills {
        world.change();
        let (made, manifests) = (world.made(), world.manifests());
        let time = usual.mul_f64(world.chance.random_range(0.0..1.1));
        let begun = Instant::now();
        match run_for(&mut world.command(), time) {
            Some(done) => {
                assert_eq!(done.code, 0, "{}", done.err);
                usual = begun.elapsed();
                assert_eq!(world.made(), 2);
            }
            None => {
                tally.killed += 1;
                tally.left_behind += u64::from(world.made() > made);
                tally.with_manifest += u64::from(world.manifests() > manifests);
                usual = usual.mul_f64(1.05);
            }
        }
        // Several killed ones in a row, too, with changes between them.
        if world.chance.random_range(0..3) == 0 || tally.killed == kills {
            world.change();
            tally.by_delta += u64::from(world.good(&format!("{tally:?}")));
            tally.good += 1;
        }
    }
    println!("{tally:?}");
    assert!(tally.by_delta * 2 >= tally.good, "killed runs do not make the next ones dear: {tally:?}");
}
