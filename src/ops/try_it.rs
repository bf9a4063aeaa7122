//! `try`: a folder is backed up twice, restored and compared, to see what that takes.

use crate::error::{Error, Result, StoreError};
use crate::format::name::Name;
use crate::format::time::Time;
use crate::id::ObjectId;
use crate::ops::Progress;
use crate::ops::backup::{BackupOptions, BackupReport, backup};
use crate::ops::compare::{Comparison, compare};
use crate::ops::restore::{RestoreOptions, restore};
use crate::repo::Repository;
use crate::repo::snapshots::Snapshot;
use crate::source::ExcludeOptions;
use crate::state::State;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Backblaze B2's prices, as they were on [`b2::PRICES_OF`].
pub mod b2 {
    /// The day.
    pub const PRICES_OF: &str = "2026-05-01";
    /// US dollars for 10^12 bytes kept for a month of 30 days.
    pub const TERABYTE_MONTH_USD: f64 = 6.95;
    /// So many bytes cost nothing.
    pub const FREE_BYTES: u64 = 10_000_000_000;

    /// What keeping so many bytes costs a month, in US dollars.
    #[allow(clippy::cast_precision_loss)]
    pub fn month_usd(stored_bytes: u64) -> f64 {
        stored_bytes.saturating_sub(FREE_BYTES) as f64 / 1e12 * TERABYTE_MONTH_USD
    }
}

/// What to try.
#[derive(Clone, Debug)]
pub struct TryOptions {
    /// A file or folder.
    pub path: PathBuf,
    /// Where it is restored to: a folder that is empty or missing.
    pub restored: PathBuf,
    /// What is left out although it is below `path`: the repository and the like.
    pub skip: Vec<PathBuf>,
    /// Host name of the snapshots.
    pub host: String,
    /// zstd level.
    pub level: i32,
}

/// What it took.
#[derive(Clone, Debug, serde::Serialize)]
pub struct TryReport {
    /// What was backed up; bytes that are no UTF-8 are replaced.
    pub path: String,
    /// Regular files.
    pub files: u64,
    /// Directories.
    pub dirs: u64,
    /// Content.
    pub source_bytes: u64,
    /// What is in the store after the first backup, all told.
    pub stored_bytes: u64,
    /// How long the first backup took.
    pub backup_secs: f64,
    /// How long the second backup took, of what had not changed.
    pub second_backup_secs: f64,
    /// What the second backup added to the store.
    pub second_new_bytes: u64,
    /// How long the restore took.
    pub restore_secs: f64,
    /// What was restored, held against the source.
    pub comparison: Comparison,
    /// Objects that did not get their owner back, as only root may set it.
    pub skipped_owners: u64,
    /// What the store would cost at Backblaze B2.
    pub b2_month_usd: f64,
    /// The day of the prices.
    pub b2_prices_of: &'static str,
    /// Where the repository was kept, if it was.
    pub kept: Option<String>,
}

/// Tries on an empty repository.
///
/// # Errors
/// When a backup or the restore fails as a whole; [`Error::Interrupted`].
pub fn try_it(repo: &Repository, state: &State, options: &TryOptions, progress: &dyn Progress) -> Result<TryReport> {
    let since = Time::now();
    let backup_options = BackupOptions {
        paths: vec![options.path.clone()],
        tags: vec!["try".into()],
        host: options.host.clone(),
        writer: None,
        excludes: ExcludeOptions { patterns: patterns(&options.skip)?, ..ExcludeOptions::default() },
        level: options.level,
        dry_run: false,
        force: false,
        skip_if_unchanged: false,
        threads: 0,
        snapshots: Default::default(),
        databases: Vec::new(),
        hooks: Default::default(),
        subvolumes: Default::default(),
    };
    let first = backup(repo, state, &backup_options, progress)?;
    let stored_bytes = size_of(repo)?;
    let second = backup(repo, state, &backup_options, progress)?;
    let second_new_bytes = size_of(repo)?.saturating_sub(stored_bytes);

    let statements = repo.statements()?;
    repo.sync(state, None, &statements)?;
    let snapshot = made(repo, &first)?;
    let root = snapshot.manifest.roots.first().ok_or_else(|| Error::Missing("the root of the snapshot".into()))?;
    let restore_options = RestoreOptions::new(Some(root.path.clone()), options.restored.clone());
    let began = Instant::now();
    let restored = restore(repo, state, &snapshot, &restore_options, progress)?;
    let restore_secs = began.elapsed().as_secs_f64();

    let source = Path::new(OsStr::from_bytes(&root.path));
    let right = match source.file_name() {
        Some(name) if !source.is_dir() || source.is_symlink() => options.restored.join(name),
        _ => options.restored.clone(),
    };
    let comparison = compare(source, &right, since, &options.skip, progress)?;
    Ok(TryReport {
        path: source.to_string_lossy().into_owned(),
        files: first.summary.files,
        dirs: first.summary.dirs,
        source_bytes: first.summary.source_bytes,
        stored_bytes,
        backup_secs: first.elapsed_secs,
        second_backup_secs: second.elapsed_secs,
        second_new_bytes,
        restore_secs,
        comparison,
        skipped_owners: restored.skipped_owners,
        b2_month_usd: b2::month_usd(stored_bytes),
        b2_prices_of: b2::PRICES_OF,
        kept: None,
    })
}

/// The snapshot that a backup has made.
fn made(repo: &Repository, report: &BackupReport) -> Result<Snapshot> {
    let id: ObjectId = report.snapshot.ok_or_else(|| Error::Missing("the snapshot".into()))?;
    let name = Name::Snapshot(report.writer.clone(), id);
    repo.read_snapshot(&name, &repo.statements()?)?.ok_or_else(|| Error::Missing(name.to_string()))
}

/// What is in the store.
fn size_of(repo: &Repository) -> Result<u64> {
    let mut bytes = 0;
    let listed = repo.backend().list("", &mut |object| bytes += object.size_bytes);
    listed.map_err(|e: StoreError| Error::store("list", "the repository", e))?;
    Ok(bytes)
}

/// Patterns that match just these paths.
fn patterns(paths: &[PathBuf]) -> Result<Vec<String>> {
    let pattern = |path: &PathBuf| {
        let text = path.to_str().filter(|text| text.starts_with('/'));
        let text = text.ok_or_else(|| Error::Usage(format!("{} cannot be left out", path.display())))?;
        let escaped = text.chars().flat_map(|c| {
            let special = "\\*?[]{}! ".contains(c);
            special.then_some('\\').into_iter().chain(std::iter::once(c))
        });
        Ok(escaped.collect())
    };
    paths.iter().map(pattern).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::backend::memory::MemoryBackend;
    use crate::keys::wrap::Recipient;
    use crate::ops::Silent;
    use crate::source::Excludes;
    use std::sync::Arc;

    #[test]
    fn prices() {
        assert!(b2::month_usd(b2::FREE_BYTES).abs() < f64::EPSILON);
        assert!((b2::month_usd(b2::FREE_BYTES + 1_000_000_000_000) - 6.95).abs() < 1e-9);
    }

    #[test]
    fn patterns_match_one_path() {
        let path = PathBuf::from("/a b/*[x]{y}!?\\");
        let options = ExcludeOptions { patterns: patterns(std::slice::from_ref(&path)).unwrap(), ..Default::default() };
        let excludes = Excludes::new(&options).unwrap();
        assert!(excludes.matches(&path, true));
        assert!(!excludes.matches(Path::new("/a b/z[x]{y}!?\\"), true));
        assert!(patterns(&["relative".into()]).is_err());
    }

    #[test]
    fn a_folder_and_a_file() {
        let temp = tempfile::tempdir().unwrap();
        let source = temp.path().canonicalize().unwrap().join("source");
        std::fs::create_dir_all(source.join("skipped")).unwrap();
        std::fs::write(source.join("file"), vec![1; 300_000]).unwrap();
        std::fs::write(source.join("skipped/file"), b"x").unwrap();
        for (path, files, objects) in [(source.clone(), 1, 1), (source.join("file"), 1, 1)] {
            let recipient = Recipient::Passphrase("secret".to_owned().into());
            let repo = Repository::init(Arc::new(MemoryBackend::new()), &recipient, "", 1).unwrap();
            let work = tempfile::tempdir().unwrap();
            let state = State::open(work.path(), &repo.config().repo).unwrap();
            let options = TryOptions {
                path,
                restored: work.path().join("restored"),
                skip: vec![source.join("skipped")],
                host: "host".into(),
                level: 3,
            };
            let report = try_it(&repo, &state, &options, &Silent).unwrap();
            assert_eq!((report.files, report.source_bytes), (files, 300_000));
            assert_eq!((report.comparison.objects, report.comparison.different), (objects, 0), "{report:?}");
            assert!(report.second_new_bytes < 10_000 && report.stored_bytes > report.second_new_bytes);
        }
    }
}
