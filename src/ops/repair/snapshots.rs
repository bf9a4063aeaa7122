//! `repair snapshots`: snapshots of which something is lost are written anew without it. Every file that is left out is named.

use super::losses::Search;
use super::need_admin;
use crate::egress::{Budget, Meter};
use crate::error::{Error, Result};
use crate::format::entry::{Entry, Node};
use crate::id::{ObjectId, WriterName};
use crate::ops::Progress;
use crate::ops::check::blobs::TreeBlobs;
use crate::ops::check::{Amount, CheckOptions, Findings, examine, threads};
use crate::ops::rewrite::trees::Edit;
use crate::ops::rewrite::{Rewritten, Work};
use crate::repo::Repository;
use crate::repo::snapshots::Snapshot;
use crate::state::State;
use std::collections::HashSet;

/// So many lost paths are named.
const NAMED: usize = 100_000;

/// How to repair snapshots.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotsOptions<'a> {
    /// Which packs are read to find out what is lost: by default those that the last check has found to be bad.
    pub read_data: Amount,
    /// How much may be read this month.
    pub budget: Budget,
    /// Forget the old snapshots.
    pub forget: bool,
    /// Under which name it is said what is forgotten.
    pub writer: &'a WriterName,
}

/// Something that is lost.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct LostPath {
    /// Of which snapshot.
    pub snapshot: ObjectId,
    /// Its path; one that ends in `/` is a folder of which some or all entries are lost, and nobody can say which.
    pub path: String,
    /// Bytes of content; none where nobody can say.
    pub bytes: Option<u64>,
}

/// What is to be done, and what was.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct SnapshotsReport {
    /// Snapshots that were looked at; 0 if nothing is lost.
    pub looked_at: u64,
    /// Those that are hit.
    pub snapshots: Vec<Rewritten>,
    /// What is lost of them: the first 100,000.
    pub lost: Vec<LostPath>,
    /// How many paths.
    pub lost_paths: u64,
    /// Whether nothing was to be changed.
    pub dry_run: bool,
}

/// Repairs snapshots. `agree` is shown what is lost, and says whether snapshots shall be written without it; it is not asked when nothing is lost.
///
/// # Errors
/// [`Error::Role`] unless an admin asks; [`Error::Store`], [`Error::State`], [`Error::Interrupted`]; what is wrong with a gc object.
pub fn repair_snapshots(
    repo: &Repository,
    state: &State,
    options: &SnapshotsOptions<'_>,
    progress: &dyn Progress,
    agree: &mut dyn FnMut(&SnapshotsReport) -> Result<bool>,
) -> Result<SnapshotsReport> {
    need_admin(repo)?;
    let statements = repo.statements()?;
    let check = CheckOptions { read_data: Some(options.read_data), budget: options.budget, threads: 0 };
    let findings = Findings::new(progress);
    let looked = threads(&check)?.install(|| {
        let examined = examine(repo, state, &check, progress, &findings)?;
        let meter = Meter::new(None);
        let blobs = TreeBlobs::new(repo, &examined.catalogue, &findings, &meter);
        let is_lost = !Search::new(&blobs).all(&examined.snapshots)?.is_empty();
        drop(blobs);
        Ok((examined, is_lost))
    });
    findings.ended()?;
    let (examined, is_lost) = looked?;
    findings.nothing_newer()?;
    let mut report = SnapshotsReport::default();
    if !is_lost {
        return Ok(report);
    }
    let all = repo.snapshots(&statements)?.snapshots;
    let is_dead = |id: &ObjectId| statements.forgotten.contains(id) && !statements.pinned.contains(id);
    let chosen: Vec<&Snapshot> = all.iter().filter(|snapshot| !is_dead(&snapshot.head.id)).collect();
    report.looked_at = chosen.len() as u64;
    let packs = &examined.catalogue.packs;
    let unusable: HashSet<ObjectId> =
        examined.catalogue.hit_packs().iter().filter_map(|n| Some(packs.get(*n as usize)?.info.id)).collect();
    let meter = Meter::new(None);
    let blobs = TreeBlobs::new(repo, &examined.catalogue, &findings, &meter);
    let mut edit = LeaveOut { search: Search::new(&blobs), snapshot: None, lost: Vec::new(), lost_paths: 0 };
    let begin = |edit: &mut LeaveOut<'_>, snapshot: &Snapshot| edit.snapshot = Some(snapshot.head.id);
    let work = Work {
        repo,
        state,
        statements: &statements,
        all: &all,
        chosen: &chosen,
        unusable: &unusable,
        patterns: &[],
        dry_run: true,
        progress,
    };
    let plan = work.run(&mut edit, begin).map_err(|error| findings.ended().err().unwrap_or(error))?;
    (report.lost, report.lost_paths) = (std::mem::take(&mut edit.lost), edit.lost_paths);
    report.snapshots = plan.iter().filter(|one| one.changes).cloned().collect();
    report.dry_run = !agree(&report)?;
    if report.dry_run {
        return Ok(report);
    }
    let mut changing = Vec::new();
    let work = work.for_good(&plan, &mut changing);
    let mut done = work.run(&mut edit, begin).map_err(|error| findings.ended().err().unwrap_or(error))?;
    if options.forget {
        work.forget_old(&mut done, options.writer)?;
    }
    for one in &mut report.snapshots {
        if let Some(done) = done.iter().find(|done| done.snapshot == one.snapshot) {
            one.clone_from(done);
        }
    }
    Ok(report)
}

/// Leaves out what is lost.
struct LeaveOut<'a> {
    search: Search<'a>,
    snapshot: Option<ObjectId>,
    lost: Vec<LostPath>,
    lost_paths: u64,
}

impl LeaveOut<'_> {
    fn name(&mut self, path: String, bytes: Option<u64>) {
        self.lost_paths += 1;
        if let (Some(snapshot), true) = (self.snapshot, self.lost.len() < NAMED) {
            self.lost.push(LostPath { snapshot, path, bytes });
        }
    }
}

impl Edit for LeaveOut<'_> {
    fn is_dropped(&mut self, path: &[u8], entry: &Entry) -> Result<bool> {
        let Node::File(root) = &entry.node else { return Ok(false) };
        let is_lost = !self.search.is_whole(root);
        // A store that has gone away has lost nothing.
        self.search.go_on()?;
        if is_lost {
            self.name(String::from_utf8_lossy(path).into_owned(), Some(entry.size_bytes()));
        }
        Ok(is_lost)
    }

    fn gap(&mut self, path: &[u8], error: Error) -> Result<()> {
        match &error {
            // What needs a newer program was looked for before; a damaged header may look like it.
            Error::Missing(_) | Error::Damaged { .. } | Error::Newer { .. } => {}
            // A place of a disk that cannot be read.
            Error::Store { source, .. } if !source.ends_the_run() => {}
            _ => return Err(error),
        }
        let path = String::from_utf8_lossy(path).into_owned();
        self.name(if path.ends_with('/') { path } else { path + "/" }, None);
        Ok(())
    }

    fn is_repeatable(&self) -> bool {
        // Every snapshot's files are named.
        false
    }
}
