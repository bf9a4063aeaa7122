//! `backup`: the source is read, what is new is stored, a snapshot is written last.

mod assemble;
mod content;
mod memory;
mod pipeline;

use crate::buffers::Buffers;
use crate::error::{Error, Result};
use crate::format::snapshot::{Manifest, Summary};
use crate::format::time::Time;
use crate::id::{ObjectId, WriterName};
use crate::ops::{Progress, Totals};
use crate::repo::Repository;
use crate::repo::dedup::Dedup;
use crate::repo::statements::Statements;
use crate::repo::vanished::Vanished;
use crate::repo::writer::{WriteOptions, WriteStats, with_writer};
use crate::seal::Signer;
use crate::source::read::ReadContext;
use crate::source::walk::{Walk, WalkContext};
use crate::source::{ExcludeOptions, Excludes, OwnerNames};
use crate::state::State;
use assemble::Assembler;
use memory::{Memory, Past};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
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
    /// zstd level of segments.
    pub level: i32,
    /// Store nothing, only count.
    pub dry_run: bool,
    /// Read every file, whatever is remembered of it.
    pub force: bool,
    /// Write no snapshot if nothing has changed.
    pub skip_if_unchanged: bool,
    /// Threads for compression; 0 for as many as there are cores.
    pub threads: usize,
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

/// Data packs are ended at this size: B2 then takes 21 uploads a GiB.
const DATA_PACK_BYTES: u64 = 48 << 20;
/// Tree packs are ended at this size.
const TREE_PACK_BYTES: u64 = 16 << 20;

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
    let (began, started) = (Instant::now(), Time::now());
    let (roots, mut warnings) = resolve_roots(&options.paths)?;
    let excludes = Excludes::new(&options.excludes)?;
    let host_writer = WriterName::from_host(&options.host);
    let wanted = match repo.keys().role() {
        crate::format::keyfile::Role::Admin => Some(options.writer.as_ref().unwrap_or(&host_writer)),
        _ => options.writer.as_ref(),
    };
    let signer = repo.keys().signer(wanted)?;

    progress.stage("prepare", Totals::default());
    let statements = repo.statements()?;
    let synced = repo.sync(state, Some(signer.writer()), &statements)?;
    for bad in &synced.bad {
        // What it names is simply stored again.
        progress.warn(&format!("{bad}; what it names is stored anew"));
    }
    let memory = Memory::open(repo, state, &signer, &statements, &synced, options.force)?;
    for gone in &memory.vanished {
        progress.warn(&format!("{}: {}", gone.object, gone.what));
    }
    let past = Past::recall(state, signer.writer(), &options.host, &roots)?;
    let parent = past.snapshot.filter(|id| memory.has_snapshot(id));

    progress.stage("back up", past.totals());
    // What was in a pack that has vanished is stored anew.
    let unusable = statements.condemned.union(&memory.lost_packs).copied().collect();
    let dedup = Mutex::new(Dedup::new(state.blob_view()?, unusable));
    let session = if options.dry_run { 0 } else { state.begin_session()? };
    let run = Run { repo, state, options, signer: &signer, statements: &statements, memory: &memory, progress };
    let (mut made, stats) = run.store(&roots, &excludes, session, &dedup)?;
    add_stats(&mut made.summary, &stats);
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
        vanished: memory.vanished.clone(),
        packs: stats.packs,
        resumed_packs: memory.taken_over.len() as u64,
        uploaded_bytes: stats.pack_bytes,
        dry_run: options.dry_run,
        elapsed_secs: 0.0,
    };
    if !options.dry_run {
        if !(options.skip_if_unchanged && unchanged) {
            progress.stage("write the snapshot", Totals::default());
            let manifest = manifest_of(options, made.roots, made.summary, parent)?;
            run.refuse_condemned()?;
            let head = repo.write_snapshot(&signer, &memory.chain, started, &options.host, &manifest)?;
            report.snapshot = Some(head.id);
            state.see(&repo.config().repo, &[(head.id, head.writer.clone())])?;
            past.remember(state, &head, &manifest)?;
        }
        state.end_session(session)?;
        memory.tidy(state, &made.visited)?;
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
    memory: &'a Memory,
    progress: &'a dyn Progress,
}

impl Run<'_> {
    fn store(
        &self,
        roots: &[PathBuf],
        excludes: &Excludes,
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
        let view = self.memory.view.as_ref();
        let reusable = |entry: &[u8]| self.memory.is_reusable(entry, dedup);
        let walk = WalkContext { read: &read, excludes, memory: view, reusable: &reusable };
        {
            let mut dedup = dedup.lock().unwrap_or_else(PoisonError::into_inner);
            self.memory.taken_over_blobs().for_each(|key| dedup.add(key));
        }
        let taken_over = self.memory.taken_over.clone();
        with_writer(self.repo, self.state, self.signer, session, dedup, taken_over, &write, |writer| {
            let mut assembler = Assembler::new(&read, writer, view, self.progress);
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

    /// Before the manifest the gc objects are listed once more (spec 11): the snapshot must not rest on what has been condemned meanwhile.
    fn refuse_condemned(&self) -> Result<()> {
        let now = self.repo.statements()?;
        if now.condemned.is_subset(&self.statements.condemned) {
            return Ok(());
        }
        Err(Error::Usage(
            "packs were condemned by a prune while this backup ran: run it again, it stores anew only what they held"
                .into(),
        ))
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
    };
    // The reader's rules are the writer's: what could not be read back must not be written.
    Manifest::decode(&manifest.encode()).map_err(|e| Error::Usage(format!("no such snapshot can be made: {e}")))
}

/// The roots, absolute and sorted, none below another; and what to say about them.
fn resolve_roots(paths: &[PathBuf]) -> Result<(Vec<PathBuf>, Vec<String>)> {
    if paths.is_empty() {
        return Err(Error::Usage("name at least one file or folder to back up".into()));
    }
    let mut warnings = Vec::new();
    let mut roots = Vec::new();
    for path in paths {
        let root = resolve_root(path)?;
        if path.is_symlink() && root.is_symlink() {
            warnings.push(format!(
                "{} is a symlink: only the link itself is backed up; add a / to follow it",
                path.display()
            ));
        }
        roots.push(root);
    }
    roots.sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
    roots.dedup();
    let all = roots.clone();
    roots.retain(|root| !all.iter().any(|other| other != root && root.starts_with(other)));
    Ok((roots, warnings))
}

/// Symlinks above the last component are followed; that itself is taken as it is, unless the path ends in `/`, `.` or `..`.
fn resolve_root(path: &Path) -> Result<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    let io = |e| Error::io("find", path, e);
    let bytes = path.as_os_str().as_bytes();
    let whole =
        bytes.ends_with(b"/") || bytes.ends_with(b"/.") || bytes.ends_with(b"/..") || path.file_name().is_none();
    if whole {
        return path.canonicalize().map_err(io);
    }
    let name = path.file_name().ok_or_else(|| Error::Usage(format!("{} is no path", path.display())))?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let root = parent.canonicalize().map_err(io)?.join(name);
    root.symlink_metadata().map_err(io)?;
    Ok(root)
}
