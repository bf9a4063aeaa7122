//! The files at some paths are read again and what of them is not stored is stored: for `repair`, which has lost parts of trees.

use super::assemble::Assembler;
use super::pipeline;
use crate::buffers::Buffers;
use crate::error::{Error, Result};
use crate::ops::Progress;
use crate::repo::Repository;
use crate::repo::writer::BlobWriter;
use crate::source::items::{InodeKey, OpenDir};
use crate::source::overlay::{Overlay, Overlays};
use crate::source::read::ReadContext;
use crate::source::walk::{Walk, WalkContext};
use crate::source::{ExcludeOptions, Excludes, OwnerNames};
use crate::state::State;
use crate::state::dirs::Child;
use std::collections::HashSet;
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads what lies at `at` as a backup of `shown` would, and stores what is not known. What was seen is not remembered.
///
/// # Errors
/// Why nothing of it could be read, or stored. What of it cannot be read is a warning.
pub(in crate::ops) fn resend(
    repo: &Repository,
    writer: &mut BlobWriter<'_>,
    shown: &Path,
    at: &Path,
    region: u64,
    patterns: &[String],
    progress: &dyn Progress,
) -> Result<()> {
    let odd = || Error::Usage(format!("{} is no path that can be read", at.display()));
    let (folder, name) = match (at.parent(), at.file_name()) {
        (Some(folder), Some(name)) => (folder, name),
        _ => (at, OsStr::new(".")),
    };
    let fd = super::sources::open_dir(folder)?;
    let name = CString::new(name.as_bytes()).map_err(|_| odd())?;
    let dir = Arc::new(OpenDir { fd, path: shown.parent().unwrap_or(Path::new("/")).to_owned() });
    let mut overlays = Overlays::default();
    overlays.insert(shown.to_owned(), Overlay { dir, name, region, boundary: None, snapshot: None });
    let excludes = Excludes::new(&ExcludeOptions { patterns: patterns.to_vec(), ..ExcludeOptions::default() })?;
    let owners = OwnerNames::new();
    let read = ReadContext { keys: repo.keys(), owners: &owners, buffers: Buffers::default() };
    let reusable = |_: InodeKey, _: &Child| false;
    let walk = WalkContext { read: &read, excludes: &excludes, memory: None, reusable: &reusable, overlays: &overlays };
    let no_lists = HashSet::new();
    let mut assembler = Assembler::new(&read, writer, None, &no_lists, progress);
    let roots: [PathBuf; 1] = [shown.to_owned()];
    let walking = |sink: pipeline::Numbered<'_>| Walk::new(&walk, sink).run(&roots);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    pipeline::run(&read, threads, progress, walking, |batch, data| assembler.take(batch, data))
}

/// Forgets what [`resend`] has written down under these regions: it describes no source of a backup.
///
/// # Errors
/// [`Error::State`].
pub(in crate::ops) fn forget_regions(state: &State, regions: &HashSet<u64>) -> Result<()> {
    if regions.is_empty() {
        return Ok(());
    }
    state.sweep_dirs(|key| !regions.contains(&key.region)).map(drop)
}
