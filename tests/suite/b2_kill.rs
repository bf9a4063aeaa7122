//! The program is killed while it uploads to B2, at any moment: the next run completes, stores nothing again, and leaves nothing that a prune cannot explain.
//!
//! `PANTHER_B2_KILLS=N` kills that often, in a new repository after each dozen; `PANTHER_B2_SEED` begins with another chance.

use crate::b2_kit::BUCKET;
use crate::b2_place::Place;
use crate::b2_prune::{assert_explained, forget_all_but};
use crate::cli_common::{Run, document, run};
use crate::common::{noise, write};
use crate::crash::packs::assert_nothing_twice_in;
use crate::fake_b2::{Kind, Logged};
use crate::generations::manifest::Manifest;
use crate::generations::number;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::HashSet;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const FILES: u64 = 5;
const FILE_BYTES: usize = 16 << 20;
/// So slow that most kills come in the middle of an upload.
const UPLINK_BYTES_PER_SEC: u64 = 80 << 20;
/// Kills in one repository: what is read in the end of it grows with them.
const KILLS_EACH: u64 = 12;

struct World {
    place: Place,
    chance: ChaCha8Rng,
    changes: u64,
    snapshots: Vec<(String, Manifest)>,
    kills: u64,
    /// Kills after the first upload had begun.
    in_upload: u64,
    /// Of each kill: the connections that there had been, and what was in the bucket.
    ends: Vec<(u64, HashSet<String>)>,
    /// Packs that were stored after the run that sent them had been killed, and that the next run has not seen.
    late: HashSet<String>,
}

impl World {
    fn new(seed: u64) -> Self {
        let chance = ChaCha8Rng::seed_from_u64(seed);
        let place = Place::new();
        let mut world = Self {
            place,
            chance,
            changes: 0,
            snapshots: Vec::new(),
            kills: 0,
            in_upload: 0,
            ends: Vec::new(),
            late: HashSet::new(),
        };
        (0..FILES).for_each(|n| world.write_large(n));
        (0..400).for_each(|n| world.write_small(n));
        world.place.ok(&["init", "-q"]);
        world.place.fake.uplink(UPLINK_BYTES_PER_SEC);
        world
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.command(arguments);
        command.env("PANTHER_TEST_B2_PATIENCE", "50");
        command
    }

    fn write_large(&mut self, n: u64) {
        self.changes += 1;
        write(&self.place.sandbox.path(&format!("source/large{n}")), &noise(self.changes, FILE_BYTES));
    }

    fn write_small(&mut self, n: u64) {
        self.changes += 1;
        let bytes = noise(self.changes, self.chance.random_range(0..9_000));
        write(&self.place.sandbox.path(&format!("source/small{}/file{n}", n % 9)), &bytes);
    }

    fn change(&mut self) {
        for _ in 0..2 {
            let n = self.chance.random_range(0..FILES);
            self.write_large(n);
        }
        for _ in 0..40 {
            let n = self.chance.random_range(0..500);
            self.write_small(n);
        }
    }

    /// Runs a backup and kills it some time after its so-many-th upload has begun. Nothing if it was killed.
    fn run_until(&mut self, uploads: u64) -> Option<Run> {
        let so_far = |world: &Self| world.place.fake.counts().of(Kind::UploadFile);
        let before = so_far(self);
        let mut command = self.command(&["backup", "source", "--host", "h", "--json", "-q"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let wait = Duration::from_millis(self.chance.random_range(0..700));
        let mut end = (uploads == 0).then(|| Instant::now() + wait);
        loop {
            if child.try_wait().unwrap().is_some() {
                let output = child.wait_with_output().unwrap();
                let text = |bytes| String::from_utf8(bytes).unwrap();
                let code = output.status.code().unwrap();
                return Some(Run { code, out: text(output.stdout), err: text(output.stderr) });
            }
            if end.is_none() && so_far(self) >= before + uploads {
                end = Some(Instant::now() + wait);
            }
            if end.is_some_and(|end| Instant::now() >= end) {
                let there = self.place.fake.names(BUCKET).into_iter().collect();
                child.kill().unwrap();
                child.wait().unwrap();
                self.ends.push((self.place.fake.connections(), there));
                return None;
            }
            sleep(Duration::from_millis(1));
        }
    }

    /// Backs up and perhaps kills it; whether it came to its end.
    fn backup(&mut self, uploads: u64) -> bool {
        let calls = self.place.fake.log().len();
        let manifest = Manifest::of(&self.place.sandbox.path("source"));
        let done = self.run_until(uploads);
        if let Some(run) = &done {
            assert_eq!(run.code, 0, "{}{}", run.out, run.err);
        } else {
            self.kills += 1;
            let uploaded = self.place.fake.log()[calls..].iter().any(|call| call.kind == Kind::UploadFile);
            self.in_upload += u64::from(uploaded || uploads > 0);
        }
        let listing = run(&mut self.command(&["snapshots", "--json"]));
        assert_eq!(listing.code, 0, "{}", listing.err);
        let listing = document(&listing.out);
        let ids = listing["snapshots"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned());
        let new: Vec<String> = ids.filter(|id| self.snapshots.iter().all(|(known, _)| known != id)).collect();
        assert!(new.len() == 1 || (done.is_none() && new.is_empty()), "new snapshots: {new:?}");
        self.snapshots.extend(new.into_iter().map(|id| (id, manifest.clone())));
        done.is_some()
    }

    /// What is in the bucket is what it should be, once and no more.
    fn assert_well(&mut self, read_data: bool) {
        let data: &[&str] = if read_data { &["--read-data", "--egress-budget", "none"] } else { &[] };
        let checked = run(&mut self.command(&[&["check", "--json", "-q"], data].concat()));
        assert_eq!(checked.code, 0, "{}{}", checked.out, checked.err);
        assert_eq!(document(&checked.out)["snapshots"], self.snapshots.len());
        self.place.assert_single();
        // What was on its way when a run was killed may arrive when the next one has already looked.
        let calls = self.place.fake.log();
        let is_late = |call: &&Logged| {
            let before = |(connections, there): &(u64, HashSet<String>)| {
                call.connection <= *connections && call.name.as_ref().is_some_and(|name| !there.contains(name))
            };
            call.kind == Kind::UploadFile && call.done && self.ends.iter().any(before)
        };
        let late = calls.iter().filter(is_late).filter_map(|call| call.name.as_ref()?.strip_prefix("home/"));
        let late = late.map(str::to_owned).collect();
        self.late = assert_nothing_twice_in(&self.place.open().0, &late);
    }

    fn assert_comes_back(&self, at: usize) {
        let (id, manifest) = &self.snapshots[at];
        let source = self.place.sandbox.path("source").canonicalize().unwrap();
        let target = self.place.sandbox.path("back");
        let what = format!("{id}:{}", source.display());
        let back = run(&mut self.command(&["restore", &what, "--target", "back", "-q", "--numeric-ids"]));
        assert_eq!(back.code, 0, "{}", back.err);
        manifest.assert_is(&target, "restored");
        std::fs::remove_dir_all(target).unwrap();
    }

    /// Kills so often; each time a backup has come to its end, what it has stored is read back.
    fn rage(&mut self, kills: u64) {
        while self.kills < kills {
            self.change();
            // A change makes four or five uploads: some runs come to their end.
            loop {
                let uploads = self.chance.random_range(0..7);
                if self.backup(uploads) {
                    break;
                }
            }
            self.assert_well(false);
            self.assert_comes_back(self.snapshots.len() - 1);
        }
    }

    /// Everything that is there is read, then pruned away but for the last snapshot. How many packs had come too late.
    fn end(&mut self) -> usize {
        self.place.fake.uplink(0);
        self.assert_well(true);
        self.assert_comes_back(0);
        // Nothing was forgotten: nothing may go, and nothing may be there that nobody needs.
        let before = self.place.fake.names(BUCKET);
        assert_explained(&self.place, self.snapshots.len());
        let packs = |names: &[String]| names.iter().filter(|name| name.contains("/packs/")).count();
        let after = self.place.fake.names(BUCKET);
        assert_eq!(packs(&after), packs(&before) - self.late.len(), "a prune has removed packs that are needed");
        assert!(self.late.iter().all(|name| !after.contains(&format!("home/{name}"))), "{:?}", self.late);
        let last = self.snapshots.split_off(self.snapshots.len() - 1);
        self.snapshots = last;
        forget_all_but(&self.place, &self.snapshots[0].0);
        assert_explained(&self.place, 1);
        let late = self.late.len();
        self.assert_well(true);
        assert!(self.late.is_empty());
        self.assert_comes_back(0);
        assert_eq!(self.place.fake.violations(), Vec::<String>::new());
        late
    }
}

#[test]
fn a_killed_upload_goes_on() {
    let (seed, mut left) = (number("PANTHER_B2_SEED", 1), number("PANTHER_B2_KILLS", 4));
    let (mut kills, mut in_upload, mut snapshots, mut repositories, mut late) = (0, 0, 0, 0, 0);
    while left > 0 {
        let mut world = World::new(seed + repositories);
        world.rage(left.min(KILLS_EACH));
        left = left.saturating_sub(world.kills);
        (kills, in_upload) = (kills + world.kills, in_upload + world.in_upload);
        (snapshots, repositories) = (snapshots + world.snapshots.len(), repositories + 1);
        late += world.end();
    }
    println!(
        "{kills} kills in {repositories} repositories, {in_upload} of them with something new in the bucket; {snapshots} snapshots; {late} packs came too late for the next run, and were pruned"
    );
    assert!(in_upload > kills / 3, "no kill has met an upload");
}
