//! Room for the local state and for packs on their way: less than is needed stops a backup.

use super::Patient;
use super::report::{Line, with_causes};
use crate::error::{Error, Result};
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A pack on its way of each kind, and what is written of the state in a run.
const ERROR_BYTES: u64 = 256 << 20;
/// As much again for each of several uploads, and a state that grows.
const WARNING_BYTES: u64 = 1 << 30;
/// What is written to see whether it can be.
const TRIED_BYTES: usize = 1 << 20;
const HINT: &str = "make room there, or name another place with --state-dir";

pub(super) fn lines(patient: &Patient) -> Vec<Line> {
    let mut folders: Vec<(&str, PathBuf)> = Vec::new();
    folders.extend(patient.state_folder.clone().map(|folder| ("the local state", folder)));
    folders.extend(spool(patient).map(|folder| ("packs on their way", folder)));
    let mut seen = Vec::new();
    let mut lines = Vec::new();
    for (what, folder) in folders {
        let folder = existing(&folder);
        let device = fs::metadata(&folder).map(|meta| meta.dev()).ok();
        // One file system is looked at once.
        if device.is_some() && seen.contains(&device) {
            continue;
        }
        seen.push(device);
        lines.push(look(what, &folder).unwrap_or_else(|error| Line::error("space", with_causes(&error), HINT)));
    }
    lines
}

/// Where packs are made: the store's place for them; without one, beside the state.
fn spool(patient: &Patient) -> Option<PathBuf> {
    let store = patient.store.as_ref().ok()?;
    // A store that is read only has none: then nothing is written.
    store.staging().ok().flatten()
}

/// The folder, or the one above it that exists.
fn existing(folder: &Path) -> PathBuf {
    folder.ancestors().find(|above| above.is_dir()).unwrap_or(folder).to_owned()
}

fn look(what: &str, folder: &Path) -> Result<Line> {
    let about = rustix::fs::statvfs(folder).map_err(|e| Error::io("look at the room in", folder, e))?;
    let free_bytes = about.f_bavail.saturating_mul(about.f_frsize);
    try_to_write(folder)?;
    let where_is = folder.display();
    Ok(grade(free_bytes, &format!("for {what}, in {where_is}")))
}

fn grade(free_bytes: u64, whereabouts: &str) -> Line {
    let what = format!("{} MiB are free {whereabouts}", free_bytes >> 20);
    match free_bytes {
        0..ERROR_BYTES => Line::error("space", what, HINT),
        ERROR_BYTES..WARNING_BYTES => Line::warning("space", what, HINT),
        _ => Line::ok("space", what),
    }
}

/// Quotas, read-only file systems and rights are not in the figures.
fn try_to_write(folder: &Path) -> Result<()> {
    let failed = |e| Error::io("write to", folder, e);
    let path = folder.join(format!(".panther-doctor-{}", std::process::id()));
    let write = || {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
        file.write_all(&vec![0x5a; TRIED_BYTES])?;
        file.sync_all()
    };
    let written = write();
    if written.is_ok() || path.exists() {
        // It is ours: its name has our process's number, and nobody else makes such.
        let _ = fs::remove_file(&path);
    }
    written.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::super::report::Grade;
    use super::*;

    #[test]
    fn room() {
        for (free_bytes, expected) in [
            (0, Grade::Error),
            (ERROR_BYTES - 1, Grade::Error),
            (ERROR_BYTES, Grade::Warning),
            (WARNING_BYTES - 1, Grade::Warning),
            (WARNING_BYTES, Grade::Ok),
        ] {
            assert_eq!(grade(free_bytes, "").grade, expected, "{free_bytes}");
        }
        assert_eq!(existing(Path::new("/proc/no/such/folder")), Path::new("/proc"));
    }
}
