//! A lab whose repository is in the fake B2: trees backed up, changed, checked and restored.

use crate::b2_kit::{BUCKET, options};
use crate::common::{Lab, noise, settle, write};
use crate::fake_b2::FakeB2;
use crate::generations::manifest::Manifest;
use panther::backend::Backend;
use panther::backend::b2::{B2Backend, B2Options};
use panther::error::Error;
use panther::id::ObjectId;
use panther::keys::wrap::Opener;
use panther::ops::Silent;
use panther::ops::check::{Amount, CheckOptions, CheckReport, check};
use panther::ops::restore::{RestoreOptions, restore};
use panther::repo::Repository;
use panther::state::State;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;
use tempfile::TempDir;

/// The prefix of the lab's repository.
pub const PREFIX: &str = "lab";

/// Runs what must come to an end.
pub fn watched<T: Send + 'static>(secs: u64, what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (to, from) = mpsc::channel();
    let thread = std::thread::spawn(move || drop(to.send(work())));
    match from.recv_timeout(Duration::from_secs(secs)) {
        Ok(done) => done,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{what} hangs"),
        Err(mpsc::RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => panic!("{what} gave nothing"),
        },
    }
}

/// The exit codes that a run may end with when the store is in trouble, as docs/exit-codes.md has them.
pub const STORE_CODES: [u8; 3] = [5, 6, 7];

/// A lab over a fake, and what every snapshot is to give back.
pub struct B2Lab {
    pub lab: Lab,
    pub snapshots: Vec<(ObjectId, Manifest)>,
    options: B2Options,
    changes: u64,
}

pub fn backend(options: &B2Options) -> Arc<dyn Backend> {
    Arc::new(B2Backend::open(options).unwrap())
}

impl B2Lab {
    /// A new repository with a small source.
    pub fn new(fake: &FakeB2) -> Self {
        Self::with(options(fake, PREFIX))
    }

    pub fn with(options: B2Options) -> Self {
        let lab = Lab::on(TempDir::new().unwrap(), backend(&options));
        let mut new = Self { lab, snapshots: Vec::new(), options, changes: 0 };
        for n in 0..20 {
            new.write(&format!("folder{}/small{n}", n % 3), 500 + n as usize * 700);
        }
        new.write("large", 3 << 20);
        new
    }

    /// Writes a file that was never there before.
    pub fn write(&mut self, name: &str, len: usize) {
        self.changes += 1;
        write(&self.lab.source().join(name), &noise(self.changes + 1_000, len));
    }

    /// Changes the source a little.
    pub fn change(&mut self) {
        let n = self.changes;
        self.write(&format!("folder{}/small{}", n % 3, n % 20), 2_000 + n as usize);
        self.write(&format!("new{n}"), 300_000);
        settle();
    }

    /// Backs up; notes the snapshot and what it is to hold.
    pub fn backup(&mut self) -> panther::Result<ObjectId> {
        let before = Manifest::of(&self.lab.source());
        let report = panther::ops::backup::backup(&self.lab.repo, &self.lab.state, &self.lab.options(), &Silent)?;
        assert!(report.unreadable.is_empty(), "{:?}", report.unreadable);
        let id = report.snapshot.unwrap();
        self.snapshots.push((id, before));
        Ok(id)
    }

    /// As another process: nothing is known but what is on disk and in the store.
    pub fn reopen(self) -> panther::Result<Self> {
        let Self { lab, snapshots, options, changes } = self;
        let lab = lab.reopen_on(backend(&options))?;
        Ok(Self { lab, snapshots, options, changes })
    }

    /// As another process, with a new state.
    pub fn fresh(&self) -> panther::Result<(Repository, State, TempDir)> {
        let repo = Repository::open(backend(&self.options), &Opener::Passphrase(crate::common::passphrase()))?;
        let folder = TempDir::new().unwrap();
        let state = State::open(folder.path(), &repo.keys().repo()).unwrap();
        Ok((repo, state, folder))
    }

    /// Reads everything.
    pub fn check(&self) -> panther::Result<CheckReport> {
        let (repo, state, _folder) = self.fresh()?;
        let options = CheckOptions { read_data: Some(Amount::All), threads: 2, ..CheckOptions::default() };
        check(&repo, &state, &options, &Silent)
    }

    /// Restores a snapshot and compares it.
    pub fn restore(&self, id: ObjectId, manifest: &Manifest) -> panther::Result<()> {
        let (repo, state, folder) = self.fresh()?;
        self.restore_from(&repo, &state, id, manifest, &folder.path().join("target"))
    }

    pub fn restore_from(
        &self,
        repo: &Repository,
        state: &State,
        id: ObjectId,
        manifest: &Manifest,
        target: &Path,
    ) -> panther::Result<()> {
        let statements = repo.statements()?;
        let synced = repo.sync(state, None, &statements)?;
        let all = repo.snapshots(&statements)?;
        if let Some(bad) = synced.bad.into_iter().chain(all.bad).next() {
            return Err(bad);
        }
        let found = all.snapshots.into_iter().find(|snapshot| snapshot.head.id == id);
        let snapshot = found.ok_or(Error::Missing(format!("the snapshot {id}")))?;
        let options = RestoreOptions {
            threads: 2,
            ..RestoreOptions::new(Some(self.lab.source().as_os_str().as_bytes().to_vec()), target.to_owned())
        };
        let report = restore(repo, state, &snapshot, &options, &Silent)?;
        // In stale listings what is new is missing.
        if let Some(problem) = report.problems.first().filter(|problem| problem.error.contains("is missing")) {
            return Err(Error::Missing(problem.error.clone()));
        }
        assert_eq!(report.problems, [], "a restore has problems");
        manifest.assert_is(target, "restored");
        Ok(())
    }

    /// In fair weather: a backup succeeds, nothing is damaged, and every snapshot comes back as it was.
    pub fn assert_all_is_well(mut self, what: &str) -> Self {
        self.change();
        self = self.reopen().unwrap_or_else(|e| panic!("{what}: opening: {e:?}"));
        self.backup().unwrap_or_else(|e| panic!("{what}: backup: {e:?}"));
        self.assert_nothing_is_lost(what);
        self
    }

    /// Nothing is damaged, and every snapshot comes back as it was.
    pub fn assert_nothing_is_lost(&self, what: &str) {
        let report = self.check().unwrap_or_else(|e| panic!("{what}: check: {e:?}"));
        assert_eq!(report.exit_code(), 0, "{what}: {:?}", report.errors);
        for (id, manifest) in &self.snapshots {
            self.restore(*id, manifest).unwrap_or_else(|e| panic!("{what}: restore: {e:?}"));
        }
    }
}

/// Names of the packs in the bucket.
pub fn packs(fake: &FakeB2) -> Vec<String> {
    fake.names(BUCKET).into_iter().filter(|name| name.contains("/packs/")).collect()
}
