//! The program is killed while it uploads to B2, at any moment: the next run completes and stores nothing again.
//!
//! `PANTHER_B2_KILLS=N` kills that often.

use crate::b2_kit::{BUCKET, fake, open, options};
use crate::cli_common::{PASSWORD, Run, Sandbox, document, run};
use crate::common::{noise, write};
use crate::crash::packs::assert_nothing_twice_in;
use crate::fake_b2::{FakeB2, KeySpec, Kind};
use crate::generations::manifest::Manifest;
use crate::generations::number;
use panther::keys::wrap::Opener;
use panther::repo::Repository;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

const FILES: u64 = 5;
const FILE_BYTES: usize = 24 << 20;
/// So slow that most kills come in the middle of an upload.
const UPLINK_BYTES_PER_SEC: u64 = 80 << 20;

struct World {
    sandbox: Sandbox,
    fake: FakeB2,
    chance: ChaCha8Rng,
    changes: u64,
    snapshots: Vec<(String, Manifest)>,
    kills: u64,
    /// Kills after the first upload had begun.
    in_upload: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let fake = fake();
        let (id, secret) = fake.key(&KeySpec::everything(BUCKET));
        let sandbox = Sandbox::empty();
        sandbox.write("key", format!("{id}\n{secret}\n"));
        let chance = ChaCha8Rng::seed_from_u64(seed);
        let mut world = Self { sandbox, fake, chance, changes: 0, snapshots: Vec::new(), kills: 0, in_upload: 0 };
        (0..FILES).for_each(|n| world.write_large(n));
        (0..400).for_each(|n| world.write_small(n));
        assert_eq!(run(&mut world.command(&["init", "-q"])).code, 0);
        world.fake.uplink(UPLINK_BYTES_PER_SEC);
        world
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.command(arguments);
        command.env("PANTHER_REPOSITORY", format!("b2://{BUCKET}/lab"));
        command.env("PANTHER_B2_ENDPOINT", self.fake.endpoint()).env("PANTHER_B2_KEY_FILE", self.sandbox.path("key"));
        command.env("PANTHER_TEST_B2_PATIENCE", "50");
        command
    }

    fn write_large(&mut self, n: u64) {
        self.changes += 1;
        write(&self.sandbox.path(&format!("source/large{n}")), &noise(self.changes, FILE_BYTES));
    }

    fn write_small(&mut self, n: u64) {
        self.changes += 1;
        let bytes = noise(self.changes, self.chance.random_range(0..9_000));
        write(&self.sandbox.path(&format!("source/small{}/file{n}", n % 9)), &bytes);
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
        let before = self.fake.counts().of(Kind::UploadFile);
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
            if end.is_none() && self.fake.counts().of(Kind::UploadFile) >= before + uploads {
                end = Some(Instant::now() + wait);
            }
            if end.is_some_and(|end| Instant::now() >= end) {
                child.kill().unwrap();
                child.wait().unwrap();
                return None;
            }
            sleep(Duration::from_millis(1));
        }
    }

    /// Backs up and perhaps kills it; whether it came to its end.
    fn backup(&mut self, uploads: u64) -> bool {
        let calls = self.fake.log().len();
        let manifest = Manifest::of(&self.sandbox.path("source"));
        let done = self.run_until(uploads);
        if let Some(run) = &done {
            assert_eq!(run.code, 0, "{}{}", run.out, run.err);
        } else {
            self.kills += 1;
            let uploaded = self.fake.log()[calls..].iter().any(|call| call.kind == Kind::UploadFile);
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
    fn assert_well(&self) {
        let checked = run(&mut self.command(&["check", "--read-data", "--egress-budget", "none", "--json", "-q"]));
        assert_eq!(checked.code, 0, "{}{}", checked.out, checked.err);
        assert_eq!(document(&checked.out)["snapshots"], self.snapshots.len());
        let mut times: BTreeMap<String, u32> = BTreeMap::new();
        for version in self.fake.versions(BUCKET) {
            *times.entry(version.name).or_default() += 1;
        }
        let again: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
        assert!(again.is_empty(), "uploaded again: {again:?}");
        let backend = Arc::new(open(&options(&self.fake, "lab")));
        let repo = Repository::open(backend, &Opener::Passphrase(PASSWORD.to_owned().into())).unwrap();
        assert_nothing_twice_in(&repo);
    }

    fn assert_comes_back(&self, at: usize) {
        let (id, manifest) = &self.snapshots[at];
        let source = self.sandbox.path("source").canonicalize().unwrap();
        let target = self.sandbox.path("back");
        let what = format!("{id}:{}", source.display());
        let back = run(&mut self.command(&["restore", &what, "--target", "back", "-q", "--numeric-ids"]));
        assert_eq!(back.code, 0, "{}", back.err);
        manifest.assert_is(&target, "restored");
        std::fs::remove_dir_all(target).unwrap();
    }
}

#[test]
fn a_killed_upload_goes_on() {
    let kills = number("PANTHER_B2_KILLS", 10);
    let mut world = World::new(number("PANTHER_B2_SEED", 1));
    while world.kills < kills {
        world.change();
        // A change makes four or five uploads: some runs come to their end.
        loop {
            let uploads = world.chance.random_range(0..7);
            if world.backup(uploads) {
                break;
            }
        }
        world.assert_well();
        let at = world.chance.random_range(0..world.snapshots.len());
        world.assert_comes_back(at);
    }
    println!(
        "{} kills, {} of them with something new in the bucket; {} snapshots",
        world.kills,
        world.in_upload,
        world.snapshots.len()
    );
    assert!(world.in_upload > world.kills / 3, "no kill has met an upload");
    assert_eq!(world.fake.violations(), Vec::<String>::new());
    world.assert_comes_back(0);
}
