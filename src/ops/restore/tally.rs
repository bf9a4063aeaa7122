//! What a restore did, counted from many threads.

use crate::target::{AttrProblem, COMPRESSION, Policy};
use rustix::io::Errno;
use std::collections::BTreeMap;
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

/// Something that the target cannot hold, summed up over all objects that had it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct NotKept {
    /// What it is: `the Btrfs compression property`.
    pub what: String,
    /// How many objects had it.
    pub count: u64,
    /// The path in the snapshot of one of them.
    pub example: String,
    /// Whether the restore counts as incomplete for it. Not so for what only says how things are stored.
    pub matters: bool,
}

/// A kind of thing that the target cannot hold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Lost {
    /// In words, as the object of "keep".
    pub what: &'static str,
    /// Whether the restore is incomplete without it.
    pub matters: bool,
}

impl Lost {
    /// Something that only says how things are stored or handled, not what they are.
    pub const fn storage(what: &'static str) -> Self {
        Self { what, matters: false }
    }

    /// The kind of an attribute that the file system does not have; nothing if it is another kind of problem.
    pub fn of(problem: &AttrProblem) -> Option<Self> {
        let name = problem.xattr.as_deref()?;
        let errno = Errno::from_io_error(&problem.source)?;
        if name == COMPRESSION {
            // A kernel or a file system that does not know the method.
            let unknown = matches!(errno, Errno::OPNOTSUPP | Errno::INVAL);
            return unknown.then(|| Self::storage("the Btrfs compression property"));
        }
        if errno != Errno::OPNOTSUPP {
            return None;
        }
        let what = match name {
            _ if name.starts_with(b"btrfs.") => return Some(Self::storage("Btrfs properties")),
            _ if name.starts_with(b"system.posix_acl_") => "ACLs",
            _ if name == b"security.capability" => "file capabilities",
            _ if name.starts_with(b"security.") => "extended attributes security.*",
            _ if name.starts_with(b"user.") => "extended attributes user.*",
            _ if name.starts_with(b"trusted.") => "extended attributes trusted.*",
            _ => "other extended attributes",
        };
        Some(Self { what, matters: true })
    }
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
    /// Those of them that share their room on the disk with other content of this restore.
    pub bytes_shared: u64,
    /// Subvolumes made.
    pub subvolumes: u64,
    /// Bytes of content that were right already.
    pub bytes_skipped: u64,
    /// What was removed because the snapshot does not have it; a directory with all that is in it counts once.
    pub removed: u64,
    /// What went wrong, the first 1,000.
    pub problems: Vec<Problem>,
    /// How much went wrong.
    pub problem_count: u64,
    /// What the target cannot hold, by kind.
    pub not_kept: Vec<NotKept>,
    /// Whether anything went wrong, or anything that matters was not kept.
    pub incomplete: bool,
    /// Files that were read and compared with the snapshot, if that was asked for.
    pub verified_files: Option<u64>,
    /// Objects that did not get their owner because only root may set it.
    pub skipped_owners: u64,
    /// Attributes and inode flags that this user may not set.
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
    pub bytes_shared: Count,
    pub subvolumes: Count,
    pub bytes_skipped: Count,
    pub removed: Count,
    pub verified: Count,
    pub skipped_attributes: Count,
    problem_count: Count,
    problems: Mutex<Vec<Problem>>,
    lost: Mutex<BTreeMap<Lost, (u64, String)>>,
}

impl Tally {
    pub fn problem(&self, problem: Problem) {
        self.problem_count.add(1);
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        if problems.len() < LISTED_PROBLEMS {
            problems.push(problem);
        }
    }

    /// Counts what the target cannot hold. Returns the path if it is the first of its kind.
    pub fn lost(&self, lost: Lost, path: &impl Fn() -> Vec<u8>) -> Option<String> {
        let mut all = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((count, _)) = all.get_mut(&lost) {
            *count += 1;
            return None;
        }
        let path = String::from_utf8_lossy(&path()).into_owned();
        all.insert(lost, (1, path.clone()));
        Some(path)
    }

    fn not_kept(&self) -> Vec<NotKept> {
        let all = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let one = |(lost, (count, example)): (&Lost, &(u64, String))| NotKept {
            what: lost.what.to_owned(),
            count: *count,
            example: example.clone(),
            matters: lost.matters,
        };
        all.iter().map(one).collect()
    }

    pub fn report(&self, policy: &Policy, dry_run: bool, verify: bool, elapsed_secs: f64) -> RestoreReport {
        let problem_count = self.problem_count.get();
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner).clone();
        problems.sort_by(|a, b| (&a.path, &a.error).cmp(&(&b.path, &b.error)));
        let not_kept = self.not_kept();
        RestoreReport {
            files: self.files.get(),
            files_unchanged: self.files_unchanged.get(),
            dirs: self.dirs.get(),
            others: self.others.get(),
            links: self.links.get(),
            bytes: self.bytes.get(),
            bytes_shared: self.bytes_shared.get(),
            subvolumes: self.subvolumes.get(),
            bytes_skipped: self.bytes_skipped.get(),
            removed: self.removed.get(),
            problems,
            problem_count,
            incomplete: problem_count > 0 || not_kept.iter().any(|kind| kind.matters),
            not_kept,
            verified_files: (verify && !dry_run).then(|| self.verified.get()),
            skipped_owners: policy.skipped_owners(),
            skipped_attributes: self.skipped_attributes.get(),
            dry_run,
            elapsed_secs,
        }
    }
}
