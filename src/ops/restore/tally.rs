//! What a restore did, counted from many threads.

use crate::target::Policy;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// How many problems are listed; the others are only counted.
const LISTED_PROBLEMS: usize = 1_000;

/// Something that could not be restored, wholly or in part.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// Its path in the snapshot.
    pub path: String,
    /// What and why.
    pub error: String,
}

/// What a restore did.
#[derive(Clone, Debug, serde::Serialize)]
pub struct RestoreReport {
    /// Regular files that are now as the snapshot has them.
    pub files: u64,
    /// Those of them whose content was right already.
    pub files_unchanged: u64,
    /// Directories, without those that only lead to a root.
    pub dirs: u64,
    /// Symlinks, pipes, sockets, devices.
    pub others: u64,
    /// Further names of files and others, which count as nothing else.
    pub links: u64,
    /// Bytes of content written, holes included.
    pub bytes: u64,
    /// Bytes of content that were right already.
    pub bytes_skipped: u64,
    /// What was removed because the snapshot does not have it; a directory with all that is in it counts once.
    pub removed: u64,
    /// What went wrong, the first 1,000.
    pub problems: Vec<Problem>,
    /// How much went wrong.
    pub problem_count: u64,
    /// Whether anything went wrong.
    pub incomplete: bool,
    /// Files that were read and compared with the snapshot, if that was asked for.
    pub verified_files: Option<u64>,
    /// Objects that did not get their owner because only root may set it.
    pub skipped_owners: u64,
    /// Attributes that this user may not set, and inode flags that the file system does not have.
    pub skipped_attributes: u64,
    /// Whether this was a dry run.
    pub dry_run: bool,
    /// How long it took.
    pub elapsed_secs: f64,
}

/// A counter.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// All counters of a run.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub files: Count,
    pub files_unchanged: Count,
    pub dirs: Count,
    pub others: Count,
    pub links: Count,
    pub bytes: Count,
    pub bytes_skipped: Count,
    pub removed: Count,
    pub verified: Count,
    pub skipped_attributes: Count,
    problem_count: Count,
    problems: Mutex<Vec<Problem>>,
}

impl Tally {
    pub fn problem(&self, problem: Problem) {
        self.problem_count.add(1);
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        if problems.len() < LISTED_PROBLEMS {
            problems.push(problem);
        }
    }

    pub fn report(&self, policy: &Policy, dry_run: bool, verify: bool, elapsed_secs: f64) -> RestoreReport {
        let problem_count = self.problem_count.get();
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner).clone();
        problems.sort_by(|a, b| (&a.path, &a.error).cmp(&(&b.path, &b.error)));
        RestoreReport {
            files: self.files.get(),
            files_unchanged: self.files_unchanged.get(),
            dirs: self.dirs.get(),
            others: self.others.get(),
            links: self.links.get(),
            bytes: self.bytes.get(),
            bytes_skipped: self.bytes_skipped.get(),
            removed: self.removed.get(),
            problems,
            problem_count,
            incomplete: problem_count > 0,
            verified_files: (verify && !dry_run).then(|| self.verified.get()),
            skipped_owners: policy.skipped_owners(),
            skipped_attributes: self.skipped_attributes.get(),
            dry_run,
            elapsed_secs,
        }
    }
}
