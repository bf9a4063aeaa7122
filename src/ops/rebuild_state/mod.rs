//! `rebuild-state`: what this machine remembers of a repository, learnt anew from the repository.
//!
//! - `warm`: what the newest snapshots say of files that are as they were
//!
//! Kept are the manifests that were seen (so that one that vanished is still noticed), packs of killed runs, when packs were verified, and the ledger.

mod warm;

use crate::error::{Error, Result};
use crate::format::keyfile::Role;
use crate::format::name::Name;
use crate::id::ObjectId;
use crate::ops::backup::remember_past;
use crate::ops::{Progress, Totals};
use crate::repo::Repository;
use crate::repo::snapshots::Snapshot;
use crate::source::ExcludeOptions;
use crate::state::State;
use std::collections::{HashMap, HashSet};
use std::time::Instant;
pub use warm::Warmed;

/// What to learn.
#[derive(Clone, Debug)]
pub struct RebuildOptions<'a> {
    /// This machine's name.
    pub host: String,
    /// What its backups leave out.
    pub excludes: &'a ExcludeOptions,
    /// Look at the files of the newest snapshots, so that the next backup need not read those that are as they were.
    pub warm: bool,
}

/// What was learnt.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct RebuildReport {
    /// Index objects read.
    pub index_objects: u64,
    /// Packs that they name.
    pub packs: u64,
    /// Blobs that they name, each once.
    pub blobs: u64,
    /// Snapshots in the repository.
    pub snapshots: u64,
    /// Packs of which it is remembered that they were verified.
    pub verified_packs: u64,
    /// Snapshots that the next backups of the same paths follow.
    pub parents: Vec<ObjectId>,
    /// What became of the files of these snapshots.
    pub warmed: Warmed,
    /// What could not be read of the repository.
    pub problems: Vec<String>,
    /// How long it took.
    pub elapsed_secs: f64,
}

/// Learns the state anew.
///
/// # Errors
/// [`Error::State`] if another run is using it; [`Error::Store`]; what is wrong with a gc object.
pub fn rebuild_state(
    repo: &Repository,
    state: &State,
    options: &RebuildOptions<'_>,
    progress: &dyn Progress,
) -> Result<RebuildReport> {
    let begun = Instant::now();
    if state.path().file_name() != Some("state.redb".as_ref()) {
        let what = "another run is using it: wait until that has ended".to_owned();
        return Err(Error::State { path: state.path().with_file_name("state.redb"), what });
    }
    let mut report = RebuildReport::default();
    progress.stage("forget what was remembered", Totals::default());
    state.clear()?;
    state.clear_notes()?;
    progress.stage("index objects", Totals::default());
    let survey = repo.survey()?;
    let statements = repo.statements_of(&survey.gc, state)?;
    // A writer's own statements count for its backups; of an admin it is not known under which name it writes.
    let own = match repo.keys().role() {
        Role::Writer => Some(repo.keys().signer(None)?.writer().clone()),
        Role::Admin | Role::Reader => None,
    };
    let synced = repo.sync_listed(state, own.as_ref(), &statements, survey.index.clone())?;
    report.index_objects = synced.read_objects;
    report.problems.extend(synced.bad.iter().map(ToString::to_string));
    let view = state.blob_view()?;
    report.blobs = view.len()?;
    let mut known = HashSet::new();
    view.each_pack(|_, info| {
        known.insert(info.id);
        Ok(())
    })?;
    report.packs = known.len() as u64;
    let verified = state.verified().load().unwrap_or_default();
    report.verified_packs = verified.iter().filter(|(id, reading)| reading.sound && known.contains(id)).count() as u64;

    progress.stage("snapshots", Totals { files: Some(survey.snapshots.len() as u64), bytes: None });
    report.snapshots = survey.snapshots.len() as u64;
    let writers: HashSet<_> = survey
        .snapshots
        .iter()
        .filter_map(|name| match name {
            Name::Snapshot(writer, _) => Some(writer.clone()),
            _ => None,
        })
        .collect();
    for writer in &writers {
        let heads = repo.heads_of(&survey.snapshots_of(writer), writer, state, &statements)?;
        report.problems.extend(heads.bad.iter().map(ToString::to_string));
        let there: Vec<_> = heads.snapshots.iter().map(|head| (head.id, head.writer.clone())).collect();
        state.see(&repo.config().repo, &there)?;
    }
    if repo.keys().role() != Role::Writer {
        let all = repo.snapshots(&statements)?.snapshots;
        let is_alive = |id: &ObjectId| !statements.forgotten.contains(id) || statements.pinned.contains(id);
        // The newest of each set of paths.
        let mut newest: HashMap<Vec<&[u8]>, &Snapshot> = HashMap::new();
        for snapshot in all.iter().filter(|s| s.head.cover.host == options.host && is_alive(&s.head.id)) {
            newest.insert(snapshot.manifest.roots.iter().map(|root| &root.path[..]).collect(), snapshot);
        }
        let mut newest: Vec<&Snapshot> = newest.into_values().collect();
        newest.sort_by_key(|snapshot| (snapshot.head.cover.started, snapshot.head.cover.sequence, snapshot.head.id));
        for snapshot in &newest {
            remember_past(state, &snapshot.head, &snapshot.manifest)?;
            report.parents.push(snapshot.head.id);
        }
        if options.warm {
            progress.stage("look at the files", Totals::default());
            report.warmed = warm::warm(repo, state, &newest, &options.excludes.id()?, progress)?;
        }
    }
    report.elapsed_secs = begun.elapsed().as_secs_f64();
    Ok(report)
}
