//! What a backup is expected to add, before it has read anything.

use crate::error::{Error, Result};
use crate::source::Excludes;
use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The sizes of all files below `paths` that are not left out, together: what a snapshot would call its source bytes, or a little more. What cannot
/// be read counts nothing.
///
/// # Errors
/// [`Error::Interrupted`] as soon as `cancelled` says so.
pub fn source_bytes(paths: &[PathBuf], excludes: &Excludes, cancelled: &dyn Fn() -> bool) -> Result<u64> {
    let (mut sum, mut links) = (0u64, HashSet::new());
    for path in paths {
        let Ok(path) = path.canonicalize() else { continue };
        let Ok(meta) = path.symlink_metadata() else { continue };
        let mut folders = Vec::new();
        if meta.is_dir() {
            folders.push(path);
        } else if meta.is_file() {
            sum = sum.saturating_add(meta.len());
        }
        let device = excludes.one_file_system().then_some(meta.dev());
        while let Some(folder) = folders.pop() {
            if cancelled() {
                return Err(Error::Interrupted);
            }
            sum = sum.saturating_add(files_of(&folder, excludes, device, &mut folders, &mut links));
        }
    }
    Ok(sum)
}

fn files_of(
    folder: &Path,
    excludes: &Excludes,
    device: Option<u64>,
    folders: &mut Vec<PathBuf>,
    links: &mut HashSet<(u64, u64)>,
) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    if excludes.leaves_out_caches() && folder.join("CACHEDIR.TAG").is_file() {
        return 0;
    }
    let mut sum = 0u64;
    for entry in entries.flatten() {
        let (path, Ok(meta)) = (entry.path(), entry.metadata()) else { continue };
        if excludes.matches(&path, meta.is_dir()) || device.is_some_and(|device| device != meta.dev()) {
            continue;
        }
        if meta.is_dir() {
            folders.push(path);
        } else if meta.is_file()
            && !excludes.is_too_large(meta.len())
            && (meta.nlink() == 1 || links.insert((meta.dev(), meta.ino())))
        {
            sum = sum.saturating_add(meta.len());
        }
    }
    sum
}

/// What a run adds: by how much the sources have grown (all of them, if there was no snapshot), as small as earlier runs packed what was new, and what
/// an average day adds.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn adds_bytes(now_bytes: u64, last_bytes: Option<u64>, packed: f64, a_day_bytes: u64) -> u64 {
    let grown = now_bytes.saturating_sub(last_bytes.unwrap_or(0));
    let packed = if packed.is_finite() { packed.clamp(0.0, 1.0) } else { 1.0 };
    let usual = if last_bytes.is_some() { a_day_bytes } else { 0 };
    ((grown as f64 * packed).ceil() as u64).saturating_add(usual)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::source::ExcludeOptions;

    #[test]
    fn sizes_of_what_would_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, len: usize| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, vec![0u8; len]).unwrap();
        };
        write("a/b/one", 1_000);
        write("a/two.iso", 500);
        write("large", 30_000);
        std::fs::hard_link(folder.path().join("large"), folder.path().join("link")).unwrap();
        std::os::unix::fs::symlink("/", folder.path().join("out")).unwrap();
        let sum = |options: ExcludeOptions| {
            let excludes = Excludes::new(&options).unwrap();
            source_bytes(&[folder.path().to_owned()], &excludes, &|| false).unwrap()
        };
        assert_eq!(sum(ExcludeOptions::default()), 31_500);
        assert_eq!(sum(ExcludeOptions { patterns: vec!["*.iso".into()], ..ExcludeOptions::default() }), 31_000);
        assert_eq!(sum(ExcludeOptions { larger_than_bytes: Some(10_000), ..ExcludeOptions::default() }), 1_500);
        let excludes = Excludes::new(&ExcludeOptions::default()).unwrap();
        assert!(source_bytes(&[folder.path().to_owned()], &excludes, &|| true).is_err());
    }

    #[test]
    fn what_is_added() {
        assert_eq!(adds_bytes(1_000, None, 0.5, 70), 500);
        assert_eq!(adds_bytes(1_000, Some(900), 0.5, 70), 120);
        assert_eq!((adds_bytes(1_000, Some(2_000), 0.5, 70), adds_bytes(10, None, f64::NAN, 0)), (70, 10));
    }
}
