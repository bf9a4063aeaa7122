//! `check`: everything that the repository says is compared with what is there.
//!
//! - [`report`]: what is found
//! - `survey`: the listing and the small objects
//! - `signed`: index objects, manifests, chains
//! - `seen`: manifests that this machine remembers
//! - `catalogue`: what the index objects say, and what of it is bad
//! - `presence`: packs and the listing
//! - `packs`, `pack_parts`: reading packs whole
//! - `blobs`, `trees`, `paths`: the trees of all snapshots
//!
//! Nothing that is wrong stops a check: it is collected. Nothing that the local state remembers is believed, except that it was there.

mod blobs;
mod catalogue;
mod pack_parts;
mod packs;
mod paths;
mod presence;
pub mod report;
mod seen;
mod signed;
mod survey;
mod trees;

pub use report::{AffectedPath, CheckReport, Finding, FindingKind};

use crate::error::{Error, Result};
use crate::format::keyfile::Role;
use crate::ops::{Progress, Totals};
use crate::repo::Repository;
use crate::state::State;
use blobs::TreeBlobs;
use report::Findings;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;
use survey::Survey;

/// Folders can be 4,096 deep, and the second walk goes down by recursion. Only what is used of a stack takes memory.
const STACK_BYTES: usize = 128 << 20;

/// How much is checked.
#[derive(Clone, Copy, Debug, Default)]
pub struct CheckOptions {
    /// Read packs whole and check every blob in them.
    pub read_data: bool,
    /// Which share of the packs to read, from 0 to 1; all if there is none.
    pub subset: Option<f64>,
    /// Which packs that share is: another seed chooses others.
    pub seed: u64,
    /// Threads; 0 for as many as there are cores.
    pub threads: usize,
}

/// Checks a repository. With a writer's key trees and the inside of packs cannot be checked; a note says so.
///
/// # Errors
/// [`Error::Usage`] for an impossible share; [`Error::Store`] when the store cannot be listed; [`Error::Interrupted`]. Everything that is wrong with
/// objects is in the report.
pub fn check(repo: &Repository, state: &State, options: &CheckOptions, progress: &dyn Progress) -> Result<CheckReport> {
    if options.subset.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
        return Err(Error::Usage("the share of packs to read must be from 0 to 1".into()));
    }
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads)
        .stack_size(STACK_BYTES)
        .build()
        .map_err(|e| Error::io("start threads for", "the check", std::io::Error::other(e)))?;
    pool.install(|| run(repo, state, options, progress))
}

fn run(repo: &Repository, state: &State, options: &CheckOptions, progress: &dyn Progress) -> Result<CheckReport> {
    let begun = Instant::now();
    let findings = Findings::new(progress);
    progress.stage("listing", Totals::default());
    let survey = Survey::list(repo, &findings)?;
    survey::config(repo, &findings);
    survey::keys(repo, &survey, &findings);
    let statements = survey::statements(repo, &survey, &findings);

    progress.stage("index objects", files(survey.index.len()));
    let catalogue = signed::indexes(repo, &survey, &statements, &findings, progress)?;
    signed::gone_indexes(state, &survey, &catalogue, &findings);
    presence::packs(&catalogue, &survey, &statements, &findings);
    presence::orphans(&catalogue, &survey, &statements, state, &findings);

    progress.stage("snapshots", files(survey.snapshots.len()));
    let snapshots = signed::snapshots(repo, &survey, &statements, &findings, progress)?;
    signed::chains(&survey, &snapshots, &statements, &findings);
    seen::manifests(repo, state, &survey, &snapshots, &statements, &findings);

    let mut read_bytes = 0;
    if options.read_data {
        let chosen = presence::choose(&survey, options.subset, options.seed);
        let bytes = chosen.iter().map(|(_, size_bytes)| size_bytes).sum();
        progress.stage("packs", Totals { bytes: Some(bytes), ..files(chosen.len()) });
        let packs = packs::PackCheck {
            repo,
            catalogue: &catalogue,
            findings: &findings,
            progress,
            read_bytes: AtomicU64::new(0),
        };
        packs.all(&chosen)?;
        read_bytes += packs.read_bytes.load(Relaxed);
    }
    match repo.keys().role() {
        Role::Writer => {
            let what = "a writer's key cannot read trees: they were not checked, nor what is sealed in packs";
            findings.note(FindingKind::Key, "the repository", what);
        }
        Role::Reader | Role::Admin => {
            let blobs = TreeBlobs::new(repo, &catalogue, &findings);
            trees(&blobs, &snapshots, progress)?;
            read_bytes += blobs.read_bytes.load(Relaxed);
        }
    }
    let (tree_blobs, data_blobs) = catalogue.count();
    let (errors, notes, affected, affected_paths) = findings.finish();
    Ok(CheckReport {
        snapshots: snapshots.len() as u64,
        packs: survey.packs.len() as u64,
        index_objects: catalogue.indexes.len() as u64,
        tree_blobs,
        data_blobs,
        pack_bytes: survey.packs.values().sum(),
        read_bytes,
        errors,
        notes,
        affected,
        affected_paths,
        elapsed_secs: begun.elapsed().as_secs_f64(),
    })
}

/// Walks all trees, and once more for paths if anything is lost.
fn trees(blobs: &TreeBlobs<'_>, snapshots: &[signed::Snapshot], progress: &dyn Progress) -> Result<()> {
    progress.stage("trees", Totals::default());
    let walk = trees::Walk::new(blobs, progress);
    snapshots.iter().try_for_each(|snapshot| walk.snapshot(snapshot))?;
    if !walk.lost.load(Relaxed) {
        return Ok(());
    }
    drop(walk);
    progress.stage("paths that are hit", files(snapshots.len()));
    let mut affected = paths::Affected::new(blobs, progress);
    for snapshot in snapshots {
        affected.snapshot(snapshot)?;
        progress.advance(1, 0);
    }
    Ok(())
}

fn files(count: usize) -> Totals {
    Totals { files: Some(count as u64), bytes: None }
}
