//! `copy`: snapshots of one repository into another.
//!
//! - `content`: content is cut and named anew, every blob checked on the way
//!
//! Blob ids and cut points come from secrets of each repository, so nothing can be taken over as it lies in the packs. Content is read, cut by the target's
//! table and named by the target's keys: so it meets what backups into the target store. What was copied once is remembered (`ops::carried`), by the
//! source's content lists.

mod content;

use crate::error::{Error, Result};
use crate::format::keyfile::Role;
use crate::format::snapshot::{Manifest, Origin, Root};
use crate::id::{ObjectId, WriterName};
use crate::ops::carried::{Foreign, Memory, origins};
use crate::ops::last_look::unusable;
use crate::ops::storing::Storing;
use crate::ops::{Progress, Totals};
use crate::repo::Repository;
use crate::repo::reader::BlobReader;
use crate::repo::snapshots::Snapshot;
use crate::repo::statements::Statements;
use crate::state::State;
use content::Copier;
use std::collections::{HashMap, HashSet};

/// Stack for a walk: a few functions for each of up to 4,096 levels. Only what is used of it costs memory.
pub(in crate::ops) const STACK_BYTES: usize = 256 << 20;

/// A repository and what is remembered of it.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// The repository.
    pub repo: &'a Repository,
    /// Its state; the source's is brought up to date.
    pub state: &'a State,
}

/// A snapshot that was copied.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Copied {
    /// In the source.
    pub snapshot: ObjectId,
    /// In the target; none with a dry run.
    pub new: Option<ObjectId>,
    /// Content that was read; the rest was copied before.
    pub read_bytes: u64,
    /// Bytes of packs written.
    pub stored_bytes: u64,
}

/// A snapshot that could not be copied.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct NotCopied {
    /// In the source.
    pub snapshot: ObjectId,
    /// Why.
    pub why: String,
}

/// What was copied.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct CopyReport {
    /// Snapshots that were copied, or would be.
    pub copied: Vec<Copied>,
    /// Snapshots that the target has already.
    pub skipped: Vec<ObjectId>,
    /// Snapshots that could not be copied, because something of them is lost.
    pub failed: Vec<NotCopied>,
    /// Whether nothing was to be changed.
    pub dry_run: bool,
}

/// Copies snapshots, in the order given. A writer's key of the target copies under its own name, an admin's under the names that the source has.
///
/// # Errors
/// [`Error::Usage`] if both are the same repository; [`Error::Role`]; [`Error::Store`], [`Error::State`], [`Error::Interrupted`]. A snapshot of which
/// something is lost does not keep the others from being copied.
pub fn copy(
    from: Side<'_>,
    to: Side<'_>,
    snapshots: &[&Snapshot],
    dry_run: bool,
    progress: &dyn Progress,
) -> Result<CopyReport> {
    if from.repo.keys().repo() == to.repo.keys().repo() {
        return Err(Error::Usage("both are the same repository, with the same keys: copy its objects as files".into()));
    }
    let statements = to.repo.statements()?;
    let mut present = Present::of(to.repo, &statements)?;
    let mut report = CopyReport { dry_run, ..CopyReport::default() };
    let source = from.repo.keys().repo();
    let mut wanted = Vec::new();
    for snapshot in snapshots {
        match present.find(source, snapshot) {
            Some(_) => report.skipped.push(snapshot.head.id),
            None => wanted.push(*snapshot),
        }
    }
    let sum = |figure: fn(&Snapshot) -> u64| wanted.iter().map(|snapshot| figure(snapshot)).sum();
    let files = sum(|snapshot| snapshot.manifest.summary.files);
    let bytes = sum(|snapshot| snapshot.manifest.summary.source_bytes);
    progress.stage("copy", Totals { files: Some(files), bytes: Some(bytes) });
    for snapshot in wanted {
        if dry_run {
            report.copied.push(Copied { snapshot: snapshot.head.id, new: None, read_bytes: 0, stored_bytes: 0 });
            continue;
        }
        match one(from, to, snapshot, &statements, &present, progress) {
            Ok(copied) => {
                present.by_origin.extend(copied.new.map(|new| ((source, snapshot.head.id), new)));
                report.copied.push(copied);
            }
            Err(error @ (Error::Damaged { .. } | Error::Missing(_) | Error::Newer { .. })) => {
                let why = crate::ops::in_words(&error);
                progress.warn(&format!("snapshot {} is not copied: {why}", snapshot.head.id.short()));
                report.failed.push(NotCopied { snapshot: snapshot.head.id, why });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(report)
}

/// What the target has.
struct Present {
    by_origin: HashMap<Foreign, ObjectId>,
    all: HashSet<ObjectId>,
    repo: crate::id::RepoId,
}

impl Present {
    fn of(repo: &Repository, statements: &Statements) -> Result<Self> {
        // A writer cannot see what its manifests were copied from: what its own state remembers is all there is.
        let (all, by_origin) = origins(repo, statements)?;
        Ok(Self { by_origin, all, repo: repo.keys().repo() })
    }

    /// The target's snapshot for one of the source: a copy of it, or the one of which that is a copy.
    fn find(&self, source: crate::id::RepoId, snapshot: &Snapshot) -> Option<ObjectId> {
        let copy = self.by_origin.get(&(source, snapshot.head.id)).copied();
        let back = snapshot.manifest.origin.filter(|origin| origin.repo == self.repo).map(|origin| origin.snapshot);
        copy.or(back.filter(|id| self.all.contains(id)))
    }
}

fn one(
    from: Side<'_>,
    to: Side<'_>,
    snapshot: &Snapshot,
    statements: &Statements,
    present: &Present,
    progress: &dyn Progress,
) -> Result<Copied> {
    let is_admin = to.repo.keys().role() == Role::Admin;
    let wanted: Option<&WriterName> = is_admin.then_some(&snapshot.head.writer);
    let signer = to.repo.keys().signer(wanted)?;
    to.repo.sync(to.state, Some(signer.writer()), statements)?;
    let none = HashSet::new();
    let storing =
        Storing { repo: to.repo, state: to.state, signer: &signer, statements, unusable: &none, dry_run: false };
    let mut basis = storing.basis()?;
    let reader = BlobReader::new(from.repo, from.state)?;
    let run = || {
        // After packs of killed runs that are lost were forgotten, and what rests on them.
        to.repo.leftovers(to.state, signer.writer(), statements)?;
        to.state.note_unusable(&unusable(to.state, statements, &none)?)?;
        let known = to.state.dir_view()?;
        let memory = Memory::new(&known, b"copy", &from.repo.keys().repo());
        let mut copier = Copier { from: &reader, keys: to.repo.keys(), memory, progress, read_bytes: 0 };
        storing.run(|out| {
            let mut roots = Vec::new();
            for root in &snapshot.manifest.roots {
                roots.push(Root { path: root.path.clone(), entry: copier.entry(&root.entry, 0, out)? });
            }
            Ok((roots, copier.read_bytes))
        })
    };
    let ((roots, read_bytes), stats) = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("copy".into()).stack_size(STACK_BYTES);
        let handle = thread.spawn_scoped(scope, run).map_err(|e| Error::io("start a thread for", "the copy", e))?;
        handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    let source = from.repo.keys().repo();
    let parent = snapshot.manifest.parent.and_then(|parent| present.by_origin.get(&(source, parent)).copied());
    let manifest = Manifest {
        roots,
        parent,
        origin: Some(Origin { repo: source, snapshot: snapshot.head.id }),
        ..snapshot.manifest.clone()
    };
    let new = storing.write_snapshot(
        &mut basis,
        (snapshot.head.cover.started, snapshot.head.cover.finished),
        &snapshot.head.cover.host,
        &manifest,
        progress,
    )?;
    Ok(Copied { snapshot: snapshot.head.id, new: Some(new), read_bytes, stored_bytes: stats.pack_bytes })
}
