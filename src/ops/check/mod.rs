//! `check`: everything that the repository says is compared with what is there.
//!
//! - [`report`]: what is found
//! - `survey`: the listing and the small objects
//! - `signed`: index objects, manifests, chains
//! - `seen`: manifests that this machine remembers
//! - `catalogue`: what the index objects say, and what of it is bad
//! - `presence`: packs and the listing
//! - `choose`, `data`: which packs are read, within which budget, and what is remembered of it
//! - `packs`, `pack_read`, `pack_parts`: reading packs whole
//! - `blobs`, `trees`, `paths`: the trees of all snapshots
//!
//! Nothing that is wrong stops a check: it is collected. Nothing that the local state remembers of the
//! repository is believed; only that a manifest was there, and when a pack was last verified.

pub(in crate::ops) mod blobs;
pub(in crate::ops) mod catalogue;
mod choose;
mod data;
mod pack_parts;
mod pack_read;
mod packs;
mod paths;
mod presence;
pub mod report;
mod seen;
pub(in crate::ops) mod signed;
pub(in crate::ops) mod survey;
pub(in crate::ops) mod trees;

pub use choose::Amount;
pub use report::{AffectedPath, CheckReport, Egress, Finding, FindingKind, Verification};

use crate::egress::Budget;
use crate::error::{Error, Result};
use crate::format::keyfile::Role;
use crate::ops::{Progress, Totals};
use crate::repo::Repository;
use crate::repo::statements::Statements;
use crate::state::State;
use blobs::TreeBlobs;
use catalogue::Catalogue;
pub(in crate::ops) use report::Findings;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;
use survey::Survey;

/// Folders can be 4,096 deep, and the second walk goes down by recursion. Only what is used of a stack takes memory.
const STACK_BYTES: usize = 128 << 20;

/// How much is checked.
#[derive(Clone, Copy, Debug, Default)]
pub struct CheckOptions {
    /// How much of the data is read: packs whole, with every blob in them. Nothing: none.
    pub read_data: Option<Amount>,
    /// How much may be read this month. Trees come before data.
    pub budget: Budget,
    /// Threads; 0 for as many as there are cores.
    pub threads: usize,
}

/// Checks a repository. With a writer's key trees and the inside of packs cannot be checked; a note says so.
///
/// # Errors
/// [`Error::Usage`] for an impossible share; [`Error::Store`] when the store cannot be listed; [`Error::Interrupted`]. Everything that is wrong with
/// objects is in the report.
pub fn check(repo: &Repository, state: &State, options: &CheckOptions, progress: &dyn Progress) -> Result<CheckReport> {
    if options.read_data.is_some_and(|amount| !amount.is_sensible()) {
        return Err(Error::Usage("more than nothing of the data must be read, and at most all".into()));
    }
    threads(options)?.install(|| run(repo, state, options, progress))
}

fn run(repo: &Repository, state: &State, options: &CheckOptions, progress: &dyn Progress) -> Result<CheckReport> {
    let findings = Findings::new(progress);
    let found = examine(repo, state, options, progress, &findings);
    findings.ended()?;
    let examined = found?;
    let (errors, notes, affected, affected_paths) = findings.finish();
    Ok(CheckReport { errors, notes, affected, affected_paths, ..examined.report })
}

/// What a check has looked at, for those who mend it.
pub(in crate::ops) struct Examined {
    pub survey: Survey,
    pub statements: Statements,
    pub catalogue: Catalogue,
    pub snapshots: Vec<signed::Snapshot>,
    /// Without what was found.
    pub report: CheckReport,
}

/// Threads for [`examine`].
pub(in crate::ops) fn threads(options: &CheckOptions) -> Result<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads)
        .stack_size(STACK_BYTES)
        .build()
        .map_err(|e| Error::io("start threads for", "the check", std::io::Error::other(e)))
}

/// Everything; what is found is in `findings`.
pub(in crate::ops) fn examine(
    repo: &Repository,
    state: &State,
    options: &CheckOptions,
    progress: &dyn Progress,
    findings: &Findings<'_>,
) -> Result<Examined> {
    let begun = Instant::now();
    progress.stage("listing", Totals::default());
    let survey = Survey::list(repo, findings)?;
    survey::config(repo, findings);
    survey::keys(repo, &survey, findings);
    let statements = survey::statements(repo, &survey, findings);

    progress.stage("index objects", files(survey.index.len()));
    let catalogue = signed::indexes(repo, &survey, &statements, findings, progress)?;
    signed::gone_indexes(state, &survey, &catalogue, findings);
    presence::packs(&catalogue, &survey, &statements, findings);
    presence::orphans(&catalogue, &survey, &statements, state, findings);

    progress.stage("snapshots", files(survey.snapshots.len()));
    let snapshots = signed::snapshots(repo, &survey, &statements, findings, progress)?;
    signed::chains(&survey, &snapshots, &statements, findings);
    seen::manifests(repo, state, &survey, &snapshots, &statements, findings);

    repo.take_reread().iter().for_each(|name| findings.transient(name));

    let budgeted = data::Budgeted::new(options, &survey);
    let memory = data::Memory::load(state, findings);
    let reads_trees = repo.keys().role() != Role::Writer;
    let mut read_bytes = 0;
    let mut done = data::Done::default();
    if let Some(amount) = options.read_data {
        let meter = &budgeted.meter;
        let (condemned, read_bytes_of) = (&statements.condemned, AtomicU64::new(0));
        let catalogue = &catalogue;
        let packs = packs::PackCheck { repo, catalogue, findings, meter, condemned, read_bytes: read_bytes_of };
        let reserve_bytes = if reads_trees { data::tree_bytes(catalogue, &survey) } else { 0 };
        done = data::read(&packs, &survey, &memory, amount, reserve_bytes, progress)?;
        read_bytes += packs.read_bytes.load(Relaxed);
    }
    let mut incomplete = done.unread_packs > 0;
    if reads_trees {
        let blobs = TreeBlobs::new(repo, &catalogue, findings, &budgeted.meter);
        incomplete |= trees(&blobs, &snapshots, progress)?;
        read_bytes += blobs.read_bytes.load(Relaxed);
    } else {
        let what = "a writer's key cannot read trees: they were not checked, nor what is sealed in packs";
        findings.note(FindingKind::Key, "the repository", what);
    }
    let verification = memory.report(&survey, &done);
    let egress = budgeted.report(read_bytes, incomplete);
    let (tree_blobs, data_blobs) = catalogue.count();
    findings.go_on()?;
    let report = CheckReport {
        snapshots: snapshots.len() as u64,
        packs: survey.packs.len() as u64,
        index_objects: catalogue.indexes.len() as u64,
        tree_blobs,
        data_blobs,
        pack_bytes: survey.packs.values().sum(),
        read_bytes,
        verification,
        egress,
        incomplete,
        errors: Vec::new(),
        notes: Vec::new(),
        affected: Vec::new(),
        affected_paths: 0,
        elapsed_secs: begun.elapsed().as_secs_f64(),
    };
    Ok(Examined { survey, statements, catalogue, snapshots, report })
}

/// Walks all trees, and once more for paths if anything is lost. Whether the egress budget ended that early.
fn trees(blobs: &TreeBlobs<'_>, snapshots: &[signed::Snapshot], progress: &dyn Progress) -> Result<bool> {
    progress.stage("trees", Totals::default());
    let walk = trees::Walk::new(blobs, progress);
    snapshots.iter().try_for_each(|snapshot| walk.snapshot(snapshot))?;
    let mut cut_short = walk.cut_short.load(Relaxed);
    if cut_short {
        blobs.findings.note(FindingKind::Unreadable, "the trees", "not all were checked: the egress budget is used up");
    }
    if !walk.lost.load(Relaxed) {
        return Ok(cut_short);
    }
    drop(walk);
    progress.stage("paths that are hit", files(snapshots.len()));
    let mut affected = paths::Affected::new(blobs);
    for snapshot in snapshots {
        affected.snapshot(snapshot)?;
        progress.advance(1, 0);
    }
    if affected.cut_short {
        let what = "not all that are hit are named: the egress budget is used up";
        blobs.findings.note(FindingKind::Unreadable, "the paths", what);
        cut_short = true;
    }
    Ok(cut_short)
}

fn files(count: usize) -> Totals {
    Totals { files: Some(count as u64), bytes: None }
}
