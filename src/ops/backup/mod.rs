//! `backup`: the source is read, what is new is stored, a snapshot is written last.

mod assemble;
mod look;
mod memory;
mod origins;
mod parents;
mod pipeline;
mod quiet;
pub(in crate::ops) mod resend;
mod roots;
mod sources;
mod taken;

use crate::buffers::Buffers;
use crate::error::{Error, Result};
use crate::format::snapshot::{Manifest, Summary};
use crate::format::time::Time;
use crate::id::{ObjectId, WriterName};
use crate::ops::database::{Database, DatabaseReport, Hooks};
use crate::ops::last_look::Basis;
use crate::ops::{Progress, Totals};
use crate::repo::Repository;
use crate::repo::dedup::Dedup;
use crate::repo::statements::Statements;
use crate::repo::vanished::Vanished;
use crate::repo::writer::{WriteOptions, WriteStats, with_writer};
use crate::seal::Signer;
use crate::source::items::InodeKey;
use crate::source::read::ReadContext;
use crate::source::walk::{Walk, WalkContext};
use crate::source::{ExcludeOptions, Excludes, OwnerNames};
use crate::state::State;
use crate::state::dirs::Child;
use assemble::Assembler;
pub(in crate::ops) use memory::remember_past;
use memory::{Memory, Past};
pub(in crate::ops) use origins::{Origin, origins_of};
pub(in crate::ops) use parents::{PARENT_NOTES, noted_parent, region_in};
use quiet::{Quiet, Ready};
pub(in crate::ops) use roots::containing_subvolume;
use roots::{Roots, resolve_roots};
pub use sources::{SnapshotMode, SubvolumeOptions};
use sources::{Sources, Wanted};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// What to back up and how.
#[derive(Clone, Debug)]
pub struct BackupOptions {
    /// Files and folders.
    pub paths: Vec<PathBuf>,
    /// Tags of the snapshot.
    pub tags: Vec<String>,
    /// Host name of the snapshot.
    pub host: String,
    /// As which writer; a writer's key has its own name.
    pub writer: Option<WriterName>,
    /// What is left out.
    pub excludes: ExcludeOptions,
    /// zstd level of segments, or [`crate::repo::writer::AUTO`].
    pub level: i32,
    /// Store nothing, only count.
    pub dry_run: bool,
    /// Read every file, whatever is remembered of it.
    pub force: bool,
    /// Write no snapshot if nothing has changed.
    pub skip_if_unchanged: bool,
    /// Threads for compression; 0 for as many as there are cores.
    pub threads: usize,
    /// Whether snapshots are read in place of live files.
    pub snapshots: SnapshotMode,
    /// What is otherwise for some subvolumes, by their paths.
    pub subvolumes: BTreeMap<PathBuf, SubvolumeOptions>,
    /// Databases in the paths, each made ready before its snapshot. One that fails is left out.
    pub databases: Vec<Database>,
    /// What is run around the taking of snapshots.
    pub hooks: Hooks,
}

/// Something that could not be read.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Unreadable {
    /// Where.
    pub path: String,
    /// Why.
    pub error: String,
}

/// What a backup did.
#[derive(Clone, Debug, serde::Serialize)]
pub struct BackupReport {
    /// The snapshot; none for a dry run, or when nothing had changed.
    pub snapshot: Option<ObjectId>,
    /// The snapshot before it.
    pub parent: Option<ObjectId>,
    /// Who wrote it.
    pub writer: WriterName,
    /// Figures, as the snapshot has them.
    pub summary: Summary,
    /// What could not be read, the first 1,000.
    pub unreadable: Vec<Unreadable>,
    /// Things to look at that are not errors.
    pub warnings: Vec<String>,
    /// What became of the databases.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<DatabaseReport>,
    /// Hooks that failed after the snapshots had been taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed_hooks: Vec<String>,
    /// What has vanished from the repository though nobody has planned to remove it.
    pub vanished: Vec<Vanished>,
    /// Packs written.
    pub packs: u64,
    /// Packs of a killed run that were taken over.
    pub resumed_packs: u64,
    /// Bytes of packs written.
    pub uploaded_bytes: u64,
    /// Whether this was a dry run.
    pub dry_run: bool,
    /// How long it took.
    pub elapsed_secs: f64,
}

/// Data packs are ended at this size: with all that goes beside them, a first backup makes at most 25 uploads a GiB.
pub(in crate::ops) const DATA_PACK_BYTES: u64 = 60 << 20;
/// Tree packs are ended at this size.
pub(in crate::ops) const TREE_PACK_BYTES: u64 = 16 << 20;

/// What the sources held in the last snapshot of these paths, in bytes, as this machine remembers it; nothing if there was none.
///
/// # Errors
/// [`Error::Io`] when a path cannot be found; [`Error::State`].
pub fn last_source_bytes(state: &State, writer: &WriterName, host: &str, paths: &[PathBuf]) -> Result<Option<u64>> {
    let Roots { roots, .. } = resolve_roots(paths)?;
    Ok(Past::recall(state, writer, host, &roots)?.totals().bytes)
}

/// Backs up.
///
/// # Errors
/// When the snapshot could not be made. What could not be read does not stop it: see [`BackupReport::unreadable`].
pub fn backup(
    repo: &Repository,
    state: &State,
    options: &BackupOptions,
    progress: &dyn Progress,
) -> Result<BackupReport> {
    // The database panics over some damaged files.
    let done = catch_unwind(AssertUnwindSafe(|| make(repo, state, options, progress)));
    let error = match done.unwrap_or(Err(Error::Aborted)) {
        Err(error @ Error::State { .. }) => error,
        // Nobody has said why: a thread has panicked.
        Err(Error::Aborted) => Error::State {
            path: state.path().to_owned(),
            what: "a part of the program has panicked, most likely because the file is damaged".into(),
        },
        other => return other,
    };
    state.distrust();
    Err(error)
}

fn make(repo: &Repository, state: &State, options: &BackupOptions, progress: &dyn Progress) -> Result<BackupReport> {
    let (began, mut started) = (Instant::now(), Time::now());
    let Roots { roots: named, inside, mut warnings } = resolve_roots(&options.paths)?;
    // What is wrong with the patterns is said before anything is run.
    let excludes = Excludes::new(&options.excludes)?;
    let mut quiet = Quiet::new(options, &named, progress)?;
    let host_writer = WriterName::from_host(&options.host);
    let wanted = match repo.keys().role() {
        crate::format::keyfile::Role::Admin => Some(options.writer.as_ref().unwrap_or(&host_writer)),
        _ => options.writer.as_ref(),
    };
    let signer = repo.keys().signer(wanted)?;

    progress.stage("prepare", Totals::default());
    let survey = repo.survey()?;
    let statements = repo.statements_of(&survey.gc, state)?;
    let chain = survey.snapshots_of(signer.writer());
    let synced = repo.sync_listed(state, Some(signer.writer()), &statements, survey.index)?;
    for bad in &synced.bad {
        // What it names is simply stored again.
        progress.warn(&format!("{bad}; what it names is stored anew"));
    }
    let mut memory = Memory::open(repo, state, &signer, &statements, &chain, options.force)?;
    for gone in &memory.vanished {
        progress.warn(&format!("{}: {}", gone.object, gone.what));
    }
    let wanted = Wanted {
        state,
        repo: &repo.keys().repo(),
        mode: &options.snapshots,
        subvolumes: &options.subvolumes,
        roots: &named,
        inside: &inside,
        excludes: &excludes,
        excludes_id: [0; 32],
        uses_memory: !options.force,
        progress,
    };
    quiet.begin()?;
    let ready = quiet.snapshots(&named, &wanted, &options.excludes)?;
    let Ready { mut sources, roots, excludes, exclude_options, is_odd } = ready;
    if !sources.subvolumes.is_empty() {
        // What is to be read stands still from here on.
        quiet.release();
    }
    let mut tags = options.tags.clone();
    tags.extend(quiet.tags());
    let options = &BackupOptions { excludes: exclude_options, tags, ..options.clone() };
    warnings.append(&mut sources.warnings);
    started = sources.taken.unwrap_or(started);
    let past = Past::recall(state, signer.writer(), &options.host, &roots)?;
    let parent = past.snapshot.filter(|id| memory.has_snapshot(id));

    progress.stage("back up", past.totals());
    let mut session = if options.dry_run { 0 } else { state.begin_session()? };
    let run = Run {
        repo,
        state,
        options,
        signer: &signer,
        statements: &statements,
        excludes: &excludes,
        sources: &sources,
        progress,
    };
    let has_delta = sources.has_delta();
    let resumed_packs = memory.taken_over.len() as u64;
    let mut basis = Basis::new(run.state, run.statements, &memory.lost_packs)?;
    let (mut made, mut stats, looked_at) = run.store_all(&mut memory, &mut basis, &roots, &mut session)?;
    quiet.release();
    let (databases, failed_hooks) = quiet.report();
    warnings.append(&mut made.warnings);
    warnings.extend(past.shrunk(&made.summary));
    if made.roots.is_empty() {
        return Err(Error::Usage("nothing that was named could be read: no snapshot is made".into()));
    }

    let unchanged = past.is_same(&made.roots) && parent.is_some();
    let mut report = BackupReport {
        snapshot: None,
        parent,
        writer: signer.writer().clone(),
        summary: made.summary,
        unreadable: made.unreadable,
        warnings,
        databases,
        failed_hooks,
        vanished: memory.vanished.clone(),
        packs: stats.packs,
        resumed_packs,
        uploaded_bytes: stats.pack_bytes,
        dry_run: options.dry_run,
        elapsed_secs: 0.0,
    };
    if !options.dry_run {
        if let Err(error) = sources.verify() {
            // What was written down from it cannot be trusted either.
            state.sweep_dirs(|_| false)?;
            return Err(error);
        }
        if !(options.skip_if_unchanged && unchanged) {
            progress.stage("write the snapshot", Totals::default());
            let manifest = manifest_of(options, made.roots, made.summary, parent)?;
            if Run::is_too_late(looked_at) {
                // The machine was asleep.
                let what = "an hour has passed since the last look at what is condemned: run it again, it carries on where it stopped";
                return Err(Error::Usage(what.into()));
            }
            let head = repo.write_snapshot(&signer, &memory.chain, started, &options.host, &manifest)?;
            report.snapshot = Some(head.id);
            repo.remember_head(state, &head, &statements)?;
            state.see(&repo.config().repo, &[(head.id, head.writer.clone())])?;
            past.remember(state, &head, &manifest)?;
            match run.look_back(&mut memory, &mut basis, &roots, &mut session, looked_at) {
                Ok(None) => {}
                Ok(Some(more)) => {
                    look::add(&mut stats, &more);
                    (report.packs, report.uploaded_bytes) = (stats.packs, stats.pack_bytes);
                }
                // The snapshot is made and is safe; its packs only stay for longer.
                Err(error) => report.warnings.push(format!("packs were condemned at the last moment: {error}")),
            }
        }
        state.end_session(session)?;
        if !is_odd {
            sources.keep(state, session, progress)?;
            if let Some(id) = report.snapshot.or(parent) {
                origins::remember(state, &sources, id, (signer.writer(), &options.host, &roots))?;
            }
        }
        if !has_delta {
            memory.tidy(state, &made.visited)?;
        }
    }
    report.elapsed_secs = began.elapsed().as_secs_f64();
    Ok(report)
}

/// What storing the source gave.
struct Made {
    roots: Vec<crate::format::snapshot::Root>,
    summary: Summary,
    unreadable: Vec<Unreadable>,
    warnings: Vec<String>,
    visited: std::collections::HashSet<crate::state::dirs::DirKey>,
}

struct Run<'a> {
    repo: &'a Repository,
    state: &'a State,
    options: &'a BackupOptions,
    signer: &'a Signer,
    statements: &'a Statements,
    excludes: &'a Excludes,
    sources: &'a Sources,
    progress: &'a dyn Progress,
}

impl Run<'_> {
    fn store_once(
        &self,
        memory: &Memory,
        roots: &[PathBuf],
        session: u32,
        dedup: &Mutex<Dedup>,
    ) -> Result<(Made, WriteStats)> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let threads = if self.options.threads == 0 { cores } else { self.options.threads };
        let write = WriteOptions {
            level: self.options.level,
            threads,
            data_pack_bytes: DATA_PACK_BYTES,
            tree_pack_bytes: TREE_PACK_BYTES,
            spool: self.state.path().with_file_name("spool"),
            dry_run: self.options.dry_run,
        };
        let owners = OwnerNames::new();
        let read = ReadContext { keys: self.repo.keys(), owners: &owners, buffers: Buffers::default() };
        let view = memory.view.as_ref();
        let reusable = |inode: InodeKey, child: &Child| memory.is_reusable(inode, child, dedup);
        let walk = WalkContext {
            read: &read,
            excludes: self.excludes,
            memory: view,
            reusable: &reusable,
            overlays: &self.sources.overlays,
        };
        {
            let mut dedup = dedup.lock().unwrap_or_else(PoisonError::into_inner);
            memory.taken_over_blobs().for_each(|key| dedup.add(key));
        }
        let taken_over = memory.taken_over.clone();
        with_writer(self.repo, self.state, self.signer, session, dedup, taken_over, &write, |writer| {
            let mut assembler = Assembler::new(&read, writer, view, &self.sources.list_regions, self.progress);
            let walking = |sink: pipeline::Numbered<'_>| Walk::new(&walk, sink).run(roots);
            pipeline::run(&read, threads + 1, self.progress, walking, |batch, data| assembler.take(batch, data))?;
            Ok(Made {
                roots: assembler.roots,
                summary: assembler.summary,
                unreadable: assembler.unreadable,
                warnings: assembler.warnings,
                visited: assembler.visited,
            })
        })
    }
}

fn add_stats(summary: &mut Summary, stats: &WriteStats) {
    summary.data_blobs = stats.data_blobs;
    summary.data_bytes = stats.data_bytes;
    summary.tree_blobs = stats.tree_blobs;
    summary.tree_bytes = stats.tree_bytes;
    summary.stored_bytes = stats.pack_bytes;
}

fn manifest_of(
    options: &BackupOptions,
    roots: Vec<crate::format::snapshot::Root>,
    summary: Summary,
    parent: Option<ObjectId>,
) -> Result<Manifest> {
    let mut tags = options.tags.clone();
    tags.sort();
    tags.dedup();
    let excludes = options.excludes.patterns.iter().chain(&options.excludes.case_insensitive_patterns);
    let manifest = Manifest {
        user: std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_default(),
        program: format!("panther {}", env!("CARGO_PKG_VERSION")),
        tags,
        roots,
        summary,
        excludes: excludes.map(|pattern| pattern.as_bytes().to_vec()).collect(),
        parent,
        origin: None,
    };
    // The reader's rules are the writer's: what could not be read back must not be written.
    Manifest::decode(&manifest.encode()).map_err(|e| Error::Usage(format!("no such snapshot can be made: {e}")))
}
