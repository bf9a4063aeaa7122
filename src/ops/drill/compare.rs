//! What was restored beside what is on this machine.

use crate::error::{Error, Result};
use crate::format::time::Time;
use crate::ops::{Progress, Totals};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Compares each file below `target` with the one of the same path on this machine, if that has the same size and time of modification and was not touched
/// after `taken`: then it must have the same bytes. How many were compared, and which differ.
///
/// # Errors
/// [`Error::Io`] when the target cannot be read; [`Error::Interrupted`].
pub(super) fn with_live(target: &Path, taken: Time, progress: &dyn Progress) -> Result<(u64, Vec<String>)> {
    progress.stage("compare", Totals::default());
    let (mut compared, mut wrong) = (0, Vec::new());
    let mut folders = vec![target.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|e| Error::io("read", &folder, e))?;
        for entry in entries {
            if progress.cancelled() {
                return Err(Error::Interrupted);
            }
            let entry = entry.map_err(|e| Error::io("read", &folder, e))?;
            let (path, Ok(meta)) = (entry.path(), entry.metadata()) else { continue };
            if meta.is_dir() {
                folders.push(path);
                continue;
            }
            let Ok(below) = path.strip_prefix(target) else { continue };
            let live = Path::new("/").join(below);
            let Ok(there) = live.symlink_metadata() else { continue };
            let is_same = there.is_file()
                && meta.is_file()
                && there.len() == meta.len()
                && (there.mtime(), there.mtime_nsec()) == (meta.mtime(), meta.mtime_nsec())
                && there.ctime() < taken.secs;
            if !is_same {
                continue;
            }
            compared += 1;
            if !same_bytes(&path, &live).unwrap_or(false) {
                wrong.push(live.display().to_string());
            }
            progress.advance(1, meta.len());
        }
    }
    Ok((compared, wrong))
}

fn same_bytes(one: &Path, other: &Path) -> std::io::Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    let (mut left, mut right) = (vec![0; 256 << 10], vec![0; 256 << 10]);
    loop {
        let read = one.read(&mut left)?;
        if read == 0 {
            return Ok(other.read(&mut right)? == 0);
        }
        other.read_exact(&mut right[..read])?;
        if left[..read] != right[..read] {
            return Ok(false);
        }
    }
}
