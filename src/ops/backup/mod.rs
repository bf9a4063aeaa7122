//! `backup`: the source is read, what is new is stored, a snapshot is written last.

use crate::error::{Error, Result};
use crate::format::snapshot::Summary;
use crate::id::{ObjectId, WriterName};
use crate::ops::Progress;
use crate::repo::Repository;
use crate::source::ExcludeOptions;
use crate::state::State;
use std::path::PathBuf;

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
    /// Packs written.
    pub packs: u64,
    /// Packs of a killed run that were taken over.
    pub resumed_packs: u64,
    /// Bytes of packs, index objects and the manifest.
    pub uploaded_bytes: u64,
    /// Whether this was a dry run.
    pub dry_run: bool,
    /// How long it took.
    pub elapsed_secs: f64,
}

/// Backs up.
///
/// # Errors
/// When the snapshot could not be made. What could not be read does not stop it: see [`BackupReport::unreadable`].
pub fn backup(
    _repo: &Repository,
    _state: &State,
    _options: &BackupOptions,
    _progress: &dyn Progress,
) -> Result<BackupReport> {
    Err(Error::Aborted)
}
