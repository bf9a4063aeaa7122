//! What a check finds, and how it is collected.

use crate::error::{Error, FormatError, StoreError};
use crate::id::ObjectId;
use crate::ops::Progress;
use std::error::Error as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many findings of one sort are kept; more are only counted.
const KEPT_FINDINGS: usize = 10_000;
/// How many affected paths are kept; more are only counted.
const KEPT_PATHS: usize = 10_000;

/// Of what sort a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingKind {
    /// Something that should be there is not.
    Missing,
    /// Its bytes are not what they should be.
    Damaged,
    /// It needs a newer program.
    Newer,
    /// Nothing needs it.
    Orphan,
    /// The chain of a writer's snapshots is broken.
    Chain,
    /// A key file, or whose key signed an object.
    Key,
    /// Index objects contradict each other, the store or the trees.
    Index,
    /// It is no object of the format.
    Foreign,
    /// The store failed when it was to be read.
    Unreadable,
    /// It was wrong when first read and right when read again: the way here or a disk failed, not the object.
    Transient,
    /// Versions of an object in the store that should not be there: somebody has hidden it or put other bytes over it.
    Version,
}

/// Something that was found.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize)]
pub struct Finding {
    /// The object's name, or a description of the blob.
    pub object: String,
    /// Of what sort it is.
    pub kind: FindingKind,
    /// What it is, in words.
    pub what: String,
}

/// A path of a snapshot that cannot be restored, or not exactly.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize)]
pub struct AffectedPath {
    /// The snapshot.
    pub snapshot: ObjectId,
    /// The path; one that ends in `/` is a folder of which some or all entries are lost.
    pub path: String,
}

/// How much of the data is verified: read whole, and everything in it right.
#[derive(Clone, Copy, PartialEq, Debug, Default, serde::Serialize)]
pub struct Verification {
    /// Packs verified in this run.
    pub verified_packs: u64,
    /// Packs that were to be read and were not, because the egress budget did not allow it.
    pub unread_packs: u64,
    /// Packs in the store that this machine does not remember to have been verified.
    pub never_verified_packs: u64,
    /// How long ago the pack was verified of which that is longest ago; packs that never were do not count.
    pub oldest_age_secs: Option<u64>,
    /// Bytes of packs that were verified in the last 30 days.
    pub recent_bytes: u64,
    /// Which share these are of the bytes of all packs, from 0 to 1; none if there are no packs.
    pub recent_share: Option<f64>,
    /// Reads that were wrong at first and right when repeated.
    pub transient_reads: u64,
}

/// What became of the egress budget.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Egress {
    /// The most that this machine may read in the calendar month (UTC).
    pub limit_bytes: u64,
    /// What it had read of that before this run.
    pub used_bytes: u64,
    /// What this run has read.
    pub read_bytes: u64,
    /// Whether it ended the check.
    pub reached: bool,
}

/// What a check found.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct CheckReport {
    /// Snapshots that are sound in themselves.
    pub snapshots: u64,
    /// Packs in the store.
    pub packs: u64,
    /// Index objects that are sound in themselves.
    pub index_objects: u64,
    /// Tree blobs that index objects name, each once.
    pub tree_blobs: u64,
    /// Data blobs that index objects name, each once.
    pub data_blobs: u64,
    /// Bytes of all packs in the store.
    pub pack_bytes: u64,
    /// Bytes of packs that were read.
    pub read_bytes: u64,
    /// How much of the data is verified, and since when.
    pub verification: Verification,
    /// The egress budget, if there is one.
    pub egress: Option<Egress>,
    /// Whether the egress budget ended the check before all that was asked for was read.
    pub incomplete: bool,
    /// What is wrong: the first 10,000 findings and a count of the rest.
    pub errors: Vec<Finding>,
    /// What is not wrong, but worth knowing.
    pub notes: Vec<Finding>,
    /// What cannot be restored: the first 10,000 paths.
    pub affected: Vec<AffectedPath>,
    /// How many paths cannot be restored.
    pub affected_paths: u64,
    /// How long it took.
    pub elapsed_secs: f64,
}

impl CheckReport {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.errors.is_empty()
    }

    /// The exit code of a program that ends with this report, as errors have them: 0 if nothing is wrong, 3 if nothing is wrong but the egress budget
    /// ended it, 14 if only a newer program can tell, 5 if only the store failed, else 4.
    pub fn exit_code(&self) -> u8 {
        let all = |kind| self.errors.iter().all(|f| f.kind == kind);
        match () {
            () if self.is_sound() => {
                if self.incomplete {
                    3
                } else {
                    0
                }
            }
            () if all(FindingKind::Newer) => 14,
            () if all(FindingKind::Unreadable) => 5,
            () => 4,
        }
    }
}

pub(in crate::ops) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What the mutexes of a check guard is whole after every statement, so a panic elsewhere does not matter.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A list that stops growing.
struct Capped<T> {
    kept: Vec<T>,
    total: u64,
}

impl<T> Default for Capped<T> {
    fn default() -> Self {
        Self { kept: Vec::new(), total: 0 }
    }
}

impl<T> Capped<T> {
    fn push(&mut self, item: T, most: usize) {
        self.total += 1;
        if self.kept.len() < most {
            self.kept.push(item);
        }
    }
}

/// Collects findings from many threads.
pub(in crate::ops) struct Findings<'p> {
    progress: &'p dyn Progress,
    errors: Mutex<Capped<Finding>>,
    notes: Mutex<Capped<Finding>>,
    affected: Mutex<Capped<AffectedPath>>,
    transient_reads: AtomicU64,
    ended: Mutex<Option<Error>>,
    has_ended: AtomicBool,
}

impl<'p> Findings<'p> {
    pub fn new(progress: &'p dyn Progress) -> Self {
        let (errors, notes, affected) = (Mutex::default(), Mutex::default(), Mutex::default());
        let (transient_reads, has_ended) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { progress, errors, notes, affected, transient_reads, ended: Mutex::default(), has_ended }
    }

    /// Keeps an error that makes it useless to go on, the first one; what stands for it among the others.
    pub fn end(&self, error: Error) -> Error {
        lock(&self.ended).get_or_insert(error);
        self.has_ended.store(true, Relaxed);
        Error::Aborted
    }

    /// Whether it is useless to go on, or the user wants to stop.
    ///
    /// # Errors
    /// [`Error::Interrupted`] or [`Error::Aborted`], for which [`Findings::ended`] has the reason.
    pub fn go_on(&self) -> Result<(), Error> {
        match () {
            () if self.has_ended.load(Relaxed) => Err(Error::Aborted),
            () if self.progress.cancelled() => Err(Error::Interrupted),
            () => Ok(()),
        }
    }

    /// Why it was useless to go on, if it was.
    ///
    /// # Errors
    /// That.
    pub fn ended(&self) -> Result<(), Error> {
        lock(&self.ended).take().map_or(Ok(()), Err)
    }

    /// A read was wrong at first and right when it was repeated.
    pub fn transient(&self, object: impl ToString) {
        let object = object.to_string();
        let what = "it was wrong when first read and right when read again: look at the network, the disk, the memory";
        self.progress.warn(&format!("{object}: {what}"));
        self.transient_reads.fetch_add(1, Relaxed);
        self.note(FindingKind::Transient, object, what);
    }

    /// How many reads were wrong at first and right when repeated.
    pub fn transient_reads(&self) -> u64 {
        self.transient_reads.load(Relaxed)
    }

    /// Something is wrong.
    pub fn error(&self, kind: FindingKind, object: impl ToString, what: impl Into<String>) {
        let finding = Finding { object: object.to_string(), kind, what: what.into() };
        self.progress.warn(&format!("{}: {}", finding.object, finding.what));
        lock(&self.errors).push(finding, KEPT_FINDINGS);
    }

    /// Something is worth knowing.
    pub fn note(&self, kind: FindingKind, object: impl ToString, what: impl Into<String>) {
        lock(&self.notes).push(Finding { object: object.to_string(), kind, what: what.into() }, KEPT_FINDINGS);
    }

    /// What went wrong with an object.
    pub fn fault(&self, error: &Error) {
        let (object, kind, what) = describe(error);
        self.error(kind, object, what);
    }

    /// A path that cannot be restored.
    pub fn affected(&self, snapshot: ObjectId, path: &[u8]) {
        let path = String::from_utf8_lossy(path).into_owned();
        lock(&self.affected).push(AffectedPath { snapshot, path }, KEPT_PATHS);
    }

    /// Fails if anything needs a newer program: only that can tell what is lost, so nobody is to give anything up.
    ///
    /// # Errors
    /// [`Error::Newer`].
    pub fn nothing_newer(&self) -> Result<(), Error> {
        match lock(&self.errors).kept.iter().find(|finding| finding.kind == FindingKind::Newer) {
            Some(finding) => {
                let source = FormatError::Invalid("only a newer program can tell what is lost");
                Err(Error::Newer { object: finding.object.clone(), source })
            }
            None => Ok(()),
        }
    }

    /// Errors, notes, affected paths and how many of these there are.
    pub fn finish(self) -> (Vec<Finding>, Vec<Finding>, Vec<AffectedPath>, u64) {
        let sorted = |list: Mutex<Capped<Finding>>| {
            let Capped { mut kept, total } = list.into_inner().unwrap_or_else(PoisonError::into_inner);
            kept.sort();
            kept.dedup();
            if total > KEPT_FINDINGS as u64 {
                let what = format!("{} findings more that are not shown", total - KEPT_FINDINGS as u64);
                kept.push(Finding { object: "the repository".to_owned(), kind: FindingKind::Damaged, what });
            }
            kept
        };
        let Capped { mut kept, total } = self.affected.into_inner().unwrap_or_else(PoisonError::into_inner);
        kept.sort();
        (sorted(self.errors), sorted(self.notes), kept, total)
    }
}

/// The object of an error, its sort and what is wrong.
pub(in crate::ops) fn describe(error: &Error) -> (String, FindingKind, String) {
    match error {
        Error::Damaged { object, source } => (object.clone(), FindingKind::Damaged, source.to_string()),
        Error::Newer { object, source } => (object.clone(), FindingKind::Newer, source.to_string()),
        Error::Missing(object) => (object.clone(), FindingKind::Missing, "it is missing".to_owned()),
        Error::Store { object, source, .. } => {
            let (kind, what) = store_failure(source);
            (object.clone(), kind, what)
        }
        other => ("the repository".to_owned(), FindingKind::Unreadable, other.to_string()),
    }
}

/// Of what sort a failure of the store is, in words.
pub(in crate::ops) fn store_failure(error: &StoreError) -> (FindingKind, String) {
    match error {
        StoreError::NotFound => (FindingKind::Missing, "it is missing".to_owned()),
        StoreError::Length { .. } => (FindingKind::Damaged, error.to_string()),
        _ => match error.source() {
            Some(why) => (FindingKind::Unreadable, format!("it cannot be read: {error}: {why}")),
            None => (FindingKind::Unreadable, format!("it cannot be read: {error}")),
        },
    }
}

/// So often is something tried again.
const AGAIN: u32 = 3;

/// Tries again what failed, unless only a newer program can do it: a failure may have been one of the way here.
pub(in crate::ops) fn twice<T>(
    findings: &Findings<'_>,
    mut attempt: impl FnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    again(findings, |_| attempt())
}

/// As [`twice`], for reads that are told which attempt they are: nothing for the first, then 0 and on.
pub(in crate::ops) fn again<T>(
    findings: &Findings<'_>,
    mut attempt: impl FnMut(Option<u32>) -> Result<T, Error>,
) -> Result<T, Error> {
    let ends = |error: &Error| matches!(error, Error::Store { source, .. } if source.ends_the_run());
    let mut said = match attempt(None) {
        Err(error) if ends(&error) => return Err(findings.end(error)),
        Err(error) if !matches!(error, Error::Newer { .. } | Error::Interrupted) => error,
        done => return done,
    };
    for number in 0..AGAIN {
        match attempt(Some(number)) {
            Ok(done) => {
                findings.transient(describe(&said).0);
                return Ok(done);
            }
            Err(error) if ends(&error) => return Err(findings.end(error)),
            Err(error) if number == 0 => said = error,
            // There may be no other way left: that is no reason.
            Err(_) => {}
        }
    }
    Err(said)
}
