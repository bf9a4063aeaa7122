//! `restore`: a snapshot, or a part of it, is made in the file system.
//!
//! Three stages, each ahead of the next by one window (some 32 MiB of content or 1,000 objects):
//!
//! 1. `walk` goes through the trees in order, makes directories, and says what is to be made in them
//! 2. `fetch` compares what exists already, and reads, opens and checks the segments that the window needs
//! 3. `write` makes files and all else, then hard links, and gives directories their attributes last

mod content;
mod dirs;
mod early;
mod fetch;
mod inplace;
mod levels;
mod links;
mod objects;
mod prune;
mod run;
mod select;
mod share;
mod share_plan;
mod tally;
mod walk;
mod window;
mod write;

pub use tally::{NotKept, Problem, RestoreReport};

use crate::error::{Error, Result};
use crate::format::entry::{Boundary, Entry, Node};
use crate::format::snapshot::{Manifest, Root, is_below};
use crate::ops::{Progress, Totals};
use crate::repo::Repository;
use crate::repo::snapshots::Snapshot;
use crate::repo::tree::{Found, parts};
use crate::source::ExcludeOptions;
use crate::source::btrfs::is_btrfs;
use crate::state::State;
use crate::target::{OwnerMap, TargetDir};
use run::Run;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What to restore, where to and how.
#[derive(Clone, Debug)]
pub struct RestoreOptions {
    /// An absolute path in the snapshot, raw. The content of a directory goes straight into the target, anything
    /// else into the target under its own name. Without it, everything goes below the target under its full path.
    pub path: Option<Vec<u8>>,
    /// The directory to restore into; made if it is missing.
    pub target: PathBuf,
    /// What is left out and, with `delete`, left alone. Patterns are held against paths of the snapshot.
    pub excludes: ExcludeOptions,
    /// Patterns: if there are any, only what matches one is restored, with the directories that lead there.
    pub includes: Vec<String>,
    /// Remove what the snapshot does not have from the directories that are restored. Goes with writing over.
    pub delete: bool,
    /// Change nothing, only count.
    pub dry_run: bool,
    /// Read back every file that was written.
    pub verify: bool,
    /// Of an existing file with the right size and time, believe that its content is right, too. Otherwise its content is compared.
    pub believe_times: bool,
    /// Write over what is in the target.
    pub overwrite: bool,
    /// Which owners objects get.
    pub owners: OwnerMap,
    /// Leave extended attributes alone.
    pub no_xattrs: bool,
    /// Make holes also of zeros that the source had as data.
    pub sparse: bool,
    /// On a Btrfs, let equal content share its room.
    pub reflink: bool,
    /// Threads; 0 for as many as there are cores.
    pub threads: usize,
}

impl RestoreOptions {
    /// `path` of the snapshot into `target`: everything in it, into what is empty, nothing left out, owners by number, equal content shared.
    pub fn new(path: Option<Vec<u8>>, target: PathBuf) -> Self {
        Self {
            path,
            target,
            excludes: ExcludeOptions::default(),
            includes: Vec::new(),
            delete: false,
            dry_run: false,
            verify: false,
            believe_times: false,
            overwrite: false,
            owners: OwnerMap::numeric(),
            no_xattrs: false,
            sparse: false,
            reflink: true,
            threads: 0,
        }
    }
}

/// What is put where in the target.
enum Plan {
    /// The content and attributes of this directory, at this path of the snapshot, are the target's.
    Into(Vec<u8>, Box<Entry>),
    /// Roots, each below the target at its path without the first so many components.
    Below(usize, Vec<Root>),
}

/// Restores.
///
/// What cannot be restored does not stop it: see [`RestoreReport::problems`]. After an error, running it again with
/// `overwrite` carries on.
///
/// # Errors
/// [`Error::Usage`] for options that make no sense, a path that the snapshot does not have, and a target that is not
/// empty without `overwrite` or `delete`: then nothing was changed. [`Error::Io`] when the target cannot be used or
/// is full. [`Error::Interrupted`]. [`Error::Store`] when the store does not answer at all.
pub fn restore(
    repo: &Repository,
    state: &State,
    snapshot: &Snapshot,
    options: &RestoreOptions,
    progress: &dyn Progress,
) -> Result<RestoreReport> {
    let begun = Instant::now();
    let mut run = Run::new(repo, state, options, progress)?;
    let plan = plan(&run, &snapshot.manifest, options)?;
    let target = open_target(options, &plan)?;
    run.is_btrfs = target.handle.as_ref().is_some_and(|handle| is_btrfs(handle.as_fd()));
    let whole = options.path.is_none() && !run.selector.has_patterns();
    let summary = &snapshot.manifest.summary;
    let totals = if whole {
        Totals { files: Some(summary.files), bytes: Some(summary.source_bytes) }
    } else {
        Totals::default()
    };
    progress.stage("restoring", totals);
    let synced = target.handle.as_ref().map(TargetDir::try_clone).transpose();
    let synced = synced.map_err(|e| Error::io("open", &options.target, e))?;
    let done = run::run(&run, plan, target);
    if run.doubts_state() {
        state.distrust();
        progress
            .warn("the local state may be to blame for what was not found: the next run makes it anew; try once more");
    }
    done?;
    if let Some(target) = synced.filter(|_| !options.dry_run) {
        progress.stage("waiting for the disk", Totals::default());
        target.sync_all().map_err(|e| Error::io("sync", &options.target, e))?;
    }
    Ok(run.tally.report(&run.policy, options.dry_run, options.verify, begun.elapsed().as_secs_f64()))
}

/// The target, open.
struct Target {
    /// Nothing if it is missing, in a dry run.
    handle: Option<TargetDir>,
    is_empty: bool,
}

/// Makes the target a subvolume if that is what goes into it and it is missing. Where that cannot be, nothing is made.
fn make_subvolume(path: &Path, plan: &Plan) -> Option<TargetDir> {
    let Plan::Into(_, entry) = plan else { return None };
    let (parent, name) = (path.parent()?, path.file_name()?);
    if entry.boundary != Some(Boundary::Subvolume) || path.symlink_metadata().is_ok() {
        return None;
    }
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let parent = TargetDir::root(parent, true).ok().filter(|parent| is_btrfs(parent.as_fd()))?;
    parent.new_subvolume(name.as_bytes()).ok()
}

fn open_target(options: &RestoreOptions, plan: &Plan) -> Result<Target> {
    let path = &options.target;
    if options.dry_run && !path.exists() {
        return Ok(Target { handle: None, is_empty: true });
    }
    let made = if options.dry_run { None } else { make_subvolume(path, plan) };
    let opened = made.map_or_else(|| TargetDir::root(path, !options.dry_run), Ok);
    let handle = opened.map_err(|e| Error::io("open", path, e))?;
    let is_empty = handle.is_empty().map_err(|e| Error::io("read", path, e))?;
    if !is_empty && !options.overwrite && !options.delete {
        return Err(Error::Usage(format!(
            "{} is not empty: add --overwrite to restore into it, or --delete to also remove what the snapshot does not have",
            path.display()
        )));
    }
    Ok(Target { handle: Some(handle), is_empty })
}

fn plan(run: &Run<'_>, manifest: &Manifest, options: &RestoreOptions) -> Result<Plan> {
    let path = match options.path.as_deref() {
        None => b"/",
        Some(path) if path.starts_with(b"/") => path,
        Some(path) => {
            return Err(Error::Usage(format!("{} is no absolute path", String::from_utf8_lossy(path))));
        }
    };
    let skipped = parts(path).count();
    let whole: Vec<u8> = parts(path).flat_map(|part| [b"/", part].concat()).collect();
    match run.reader.find(manifest, path)? {
        Found::Entry(entry) if matches!(entry.node, Node::Dir(_)) => Ok(Plan::Into(whole, entry)),
        Found::Entry(entry) => Ok(Plan::Below(skipped.saturating_sub(1), vec![Root { path: whole, entry: *entry }])),
        Found::Above => {
            let below = |root: &&Root| whole.is_empty() || is_below(&root.path, &whole);
            Ok(Plan::Below(skipped, manifest.roots.iter().filter(below).cloned().collect()))
        }
    }
}
