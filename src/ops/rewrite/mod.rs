//! Snapshots written anew without some of what is in them: for `rewrite`, and for `repair snapshots`.
//!
//! - `trees`: folders without some of their entries
//!
//! A snapshot that is written anew has the times, host, user and tags of the old one, and says which that was. The old one stays unless somebody says
//! that it is to be forgotten.

pub(in crate::ops) mod trees;

use crate::error::{Error, Result};
use crate::format::entry::{Entry, Node};
use crate::format::keyfile::Role;
use crate::format::snapshot::{Manifest, Origin};
use crate::id::{ObjectId, WriterName};
use crate::ops::check::AffectedPath;
use crate::ops::forget::{ForgetOptions, GroupBy, forget};
use crate::ops::list::SnapshotFilter;
use crate::ops::storing::Storing;
use crate::ops::{Progress, Totals};
use crate::repo::Repository;
use crate::repo::reader::BlobReader;
use crate::repo::snapshots::Snapshot;
use crate::repo::statements::Statements;
use crate::retention::Policy;
use crate::source::{ExcludeOptions, Excludes};
use crate::state::State;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
pub use trees::Dropped;
use trees::{Edit, Folders, Rewriter};

/// Stack for a walk: a few functions for each of up to 4,096 levels. Only what is used of it costs memory.
const STACK_BYTES: usize = 256 << 20;

/// What became of a snapshot.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Rewritten {
    /// The snapshot.
    pub snapshot: ObjectId,
    /// The one that takes its place; none if it is as it should be, with a dry run, or if nothing would be left.
    pub new: Option<ObjectId>,
    /// What was left out.
    pub dropped: Dropped,
    /// Whether anything of it changes.
    pub changes: bool,
    /// Whether nothing would be left of it: it stays as it is.
    pub nothing_left: bool,
    /// Whether it was forgotten.
    pub forgotten: bool,
}

/// What `rewrite` leaves out.
#[derive(Clone, Debug, Default)]
pub struct RewriteOptions {
    /// Patterns, as `backup --exclude` takes them.
    pub patterns: Vec<String>,
    /// The same, for which the case of ASCII letters does not matter.
    pub case_insensitive_patterns: Vec<String>,
    /// Forget the old snapshots.
    pub forget: bool,
}

/// What `rewrite` did, or would do.
#[derive(Clone, Debug, serde::Serialize)]
pub struct RewriteReport {
    /// What became of each snapshot that was looked at.
    pub snapshots: Vec<Rewritten>,
    /// Of those that change, the first 1,000 paths that are left out.
    pub dropped_paths: Vec<AffectedPath>,
    /// Whether nothing was to be changed.
    pub dry_run: bool,
}

/// Writes snapshots anew without the paths that match. `agree` is shown what changes, and says whether it shall; it is not asked when nothing does.
///
/// # Errors
/// [`Error::Role`] unless an admin asks; [`Error::Usage`] for a pattern that is none; what is wrong with trees; [`Error::Store`], [`Error::State`].
#[allow(clippy::too_many_arguments)]
pub fn rewrite(
    repo: &Repository,
    state: &State,
    statements: &Statements,
    all: &[Snapshot],
    chosen: &[&Snapshot],
    options: &RewriteOptions,
    signing: &WriterName,
    progress: &dyn Progress,
    agree: &mut dyn FnMut(&RewriteReport) -> Result<bool>,
) -> Result<RewriteReport> {
    if repo.keys().role() != Role::Admin {
        return Err(Error::Role { have: repo.keys().role().as_str(), what: "rewrite snapshots" });
    }
    let excludes = Excludes::new(&ExcludeOptions {
        patterns: options.patterns.clone(),
        case_insensitive_patterns: options.case_insensitive_patterns.clone(),
        ..ExcludeOptions::default()
    })?;
    let patterns: Vec<String> = options.patterns.iter().chain(&options.case_insensitive_patterns).cloned().collect();
    let none = HashSet::new();
    let work =
        Work { repo, state, statements, all, chosen, unusable: &none, patterns: &patterns, dry_run: true, progress };
    let mut edit = Exclude { excludes: &excludes, snapshot: None, paths: Vec::new() };
    let begin = |edit: &mut Exclude<'_>, snapshot: &Snapshot| edit.snapshot = Some(snapshot.head.id);
    let plan = work.run(&mut edit, begin)?;
    let mut report = RewriteReport { snapshots: plan, dropped_paths: std::mem::take(&mut edit.paths), dry_run: true };
    if !report.snapshots.iter().any(|one| one.changes && !one.nothing_left) {
        report.dry_run = false;
        if options.forget && !work.left()?.is_empty() && agree(&report)? {
            work.forget_old(&mut [], signing)?;
        }
        return Ok(report);
    }
    if !agree(&report)? {
        return Ok(report);
    }
    report.dry_run = false;
    let mut changing = Vec::new();
    let work = work.for_good(&report.snapshots, &mut changing);
    let mut done = work.run(&mut edit, begin)?;
    if options.forget {
        work.forget_old(&mut done, signing)?;
    }
    for one in &mut report.snapshots {
        if let Some(done) = done.iter().find(|done| done.snapshot == one.snapshot) {
            one.clone_from(done);
        }
    }
    Ok(report)
}

/// So many paths that are left out are named.
const NAMED: usize = 1_000;

/// Leaves out what matches.
struct Exclude<'a> {
    excludes: &'a Excludes,
    snapshot: Option<ObjectId>,
    paths: Vec<AffectedPath>,
}

impl Edit for Exclude<'_> {
    fn is_dropped(&mut self, path: &[u8], entry: &Entry) -> Result<bool> {
        let is_dir = matches!(entry.node, Node::Dir(_));
        let is_dropped = self.excludes.matches(Path::new(OsStr::from_bytes(path)), is_dir);
        if let (true, Some(snapshot), true) = (is_dropped, self.snapshot, self.paths.len() < NAMED) {
            let path = String::from_utf8_lossy(path).into_owned() + if is_dir { "/" } else { "" };
            self.paths.push(AffectedPath { snapshot, path });
        }
        Ok(is_dropped)
    }

    fn gap(&mut self, _: &[u8], error: Error) -> Result<()> {
        Err(error)
    }

    fn is_repeatable(&self) -> bool {
        true
    }
}

/// What is rewritten and how.
pub(in crate::ops) struct Work<'a> {
    pub repo: &'a Repository,
    pub state: &'a State,
    pub statements: &'a Statements,
    /// All snapshots of the repository.
    pub all: &'a [Snapshot],
    /// Those that are looked at.
    pub chosen: &'a [&'a Snapshot],
    /// Packs that are no good.
    pub unusable: &'a HashSet<ObjectId>,
    /// Patterns that the new snapshots say were left out, beside those of the old ones.
    pub patterns: &'a [String],
    pub dry_run: bool,
    pub progress: &'a dyn Progress,
}

impl Work<'_> {
    /// Rewrites what changes by `edit`; `begin` is told of each snapshot before it is looked at.
    ///
    /// # Errors
    /// What is wrong with trees, unless `edit` leaves it out; [`Error::Store`], [`Error::State`], [`Error::Interrupted`].
    pub fn run<E: Edit>(&self, edit: &mut E, begin: fn(&mut E, &Snapshot)) -> Result<Vec<Rewritten>> {
        let mut by_writer: BTreeMap<&WriterName, Vec<&Snapshot>> = BTreeMap::new();
        for snapshot in self.chosen {
            by_writer.entry(&snapshot.head.writer).or_default().push(snapshot);
        }
        self.progress.stage("look at the snapshots", Totals { files: Some(self.chosen.len() as u64), bytes: None });
        let mut done = Vec::new();
        for (writer, snapshots) in by_writer {
            self.repo.sync(self.state, Some(writer), self.statements)?;
            let mut folders = Folders::default();
            std::thread::scope(|scope| {
                let run = || {
                    for snapshot in snapshots {
                        begin(edit, snapshot);
                        done.push(self.one(writer, snapshot, edit, &mut folders)?);
                        self.progress.advance(1, 0);
                    }
                    Ok(())
                };
                let thread = std::thread::Builder::new().name("rewrite".into()).stack_size(STACK_BYTES);
                let handle =
                    thread.spawn_scoped(scope, run).map_err(|e| Error::io("start a thread for", "the trees", e))?;
                handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })?;
        }
        Ok(done)
    }

    fn one(
        &self,
        writer: &WriterName,
        snapshot: &Snapshot,
        edit: &mut dyn Edit,
        folders: &mut Folders,
    ) -> Result<Rewritten> {
        let signer = self.repo.keys().signer(Some(writer))?;
        let (repo, state, statements, unusable) = (self.repo, self.state, self.statements, self.unusable);
        let storing = Storing { repo, state, signer: &signer, statements, unusable, dry_run: self.dry_run };
        let mut basis = storing.basis()?;
        // What a dry run looks at is not fetched to be stored.
        let is_doubtful = !self.dry_run && (!statements.condemned.is_empty() || !unusable.is_empty());
        let reader = BlobReader::new(repo, state)?;
        let ((roots, dropped), _) = storing.run(|out| {
            Rewriter::new(&reader, edit, folders, is_doubtful, self.progress).roots(&snapshot.manifest.roots, out)
        })?;
        let mut result = Rewritten {
            snapshot: snapshot.head.id,
            new: None,
            dropped,
            changes: roots.is_some(),
            nothing_left: roots.as_ref().is_some_and(Vec::is_empty),
            forgotten: false,
        };
        let Some(roots) = roots.filter(|roots| !roots.is_empty() && !self.dry_run) else { return Ok(result) };
        let mut excludes = snapshot.manifest.excludes.clone();
        for pattern in self.patterns {
            if !excludes.iter().any(|have| have == pattern.as_bytes()) {
                excludes.push(pattern.as_bytes().to_vec());
            }
        }
        let manifest = Manifest {
            program: format!("panther {}", env!("CARGO_PKG_VERSION")),
            roots,
            summary: dropped.less(&snapshot.manifest.summary),
            excludes,
            origin: Some(Origin { repo: self.repo.keys().repo(), snapshot: snapshot.head.id }),
            ..snapshot.manifest.clone()
        };
        // The reader's rules are the writer's: what could not be read back must not be written.
        Manifest::decode(&manifest.encode()).map_err(|e| Error::Usage(format!("no such snapshot can be made: {e}")))?;
        let is_same =
            |other: &&Snapshot| other.manifest.origin == manifest.origin && other.manifest.roots == manifest.roots;
        if let Some(same) = self.all.iter().find(is_same) {
            // An earlier run has written it.
            result.new = Some(same.head.id);
            return Ok(result);
        }
        result.new = Some(storing.write_snapshot(
            &mut basis,
            (snapshot.head.cover.started, snapshot.head.cover.finished),
            &snapshot.head.cover.host,
            &manifest,
            self.progress,
        )?);
        Ok(result)
    }

    /// As this, of those snapshots that a dry run has found to change, for good.
    pub fn for_good<'b>(&'b self, plan: &[Rewritten], chosen: &'b mut Vec<&'b Snapshot>) -> Work<'b> {
        let changes = |id: &ObjectId| plan.iter().any(|one| one.snapshot == *id && one.changes && !one.nothing_left);
        chosen.extend(self.chosen.iter().filter(|snapshot| changes(&snapshot.head.id)));
        Work { chosen, dry_run: false, ..*self }
    }

    /// What is forgotten and still there.
    fn left(&self) -> Result<Vec<ObjectId>> {
        let there = self.repo.snapshot_names(None)?.into_iter().filter_map(|name| name.id());
        let is_left = |id: &ObjectId| self.statements.forgotten.contains(id) && !self.statements.pinned.contains(id);
        Ok(there.filter(is_left).collect())
    }

    /// Forgets the old ones of those that were written anew, unless they are pinned; and removes what an earlier run has forgotten and could not remove.
    ///
    /// # Errors
    /// As [`forget`].
    pub fn forget_old(&self, done: &mut [Rewritten], signing: &WriterName) -> Result<()> {
        let pinned = &self.statements.pinned;
        let old = |one: &Rewritten| one.new.is_some() && !pinned.contains(&one.snapshot);
        let old = done.iter().filter(|one| old(one)).map(|one| one.snapshot);
        let ids: HashSet<ObjectId> = old.chain(self.left()?).collect();
        let ids: Vec<String> = ids.iter().map(ObjectId::to_hex).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let options = ForgetOptions {
            filter: SnapshotFilter::default(),
            ids,
            policy: Policy::default(),
            group_by: GroupBy::default(),
            zone: jiff::tz::TimeZone::UTC,
            dry_run: false,
            remove_all: true,
            writer: signing.clone(),
        };
        let report = forget(self.repo, self.state, &options, self.progress)?;
        for one in done {
            one.forgotten = report.removed.contains(&one.snapshot) || report.leftovers.contains(&one.snapshot);
        }
        Ok(())
    }
}
