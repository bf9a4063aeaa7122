//! What the paths that were named mean: absolute roots, the subvolumes in which they lie, what is mounted below.

use crate::error::{Error, Result};
use crate::source::btrfs::{ROOT_INO, is_btrfs};
use crate::source::stat_fd;
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// What is to be backed up.
pub(super) struct Roots {
    /// Absolute and sorted, none below another.
    pub roots: Vec<PathBuf>,
    /// What was named too, but lies below one of them; sorted.
    pub inside: Vec<PathBuf>,
    /// What to say about them.
    pub warnings: Vec<String>,
}

/// What the paths that were named mean.
pub(super) fn resolve_roots(paths: &[PathBuf]) -> Result<Roots> {
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
    let is_inside = |root: &PathBuf| all.iter().any(|other| other != root && root.starts_with(other));
    let (inside, roots) = roots.into_iter().partition(is_inside);
    Ok(Roots { roots, inside, warnings })
}

/// Which of the paths `inside` begin a file system or subvolume other than that above them: a walk that stays on the file systems of its roots has to
/// enter them.
///
/// # Errors
/// [`Error::Usage`] for a path to which such a walk does not lead.
pub(super) fn entered(roots: &[PathBuf], inside: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let device = |path: &Path| {
        let stat = open_path(path).and_then(|file| stat_fd(file.as_fd()));
        stat.map(|stat| stat.dev).map_err(|e| Error::io("find", path, e))
    };
    let mut found: Vec<PathBuf> = Vec::new();
    for path in inside {
        let above = found.iter().chain(roots).filter(|above| path.starts_with(above));
        let Some(above) = above.max_by_key(|above| above.components().count()) else { continue };
        let (own, around) = (device(path)?, device(above)?);
        if own == around {
            continue;
        }
        if path.parent().map(device).transpose()? != Some(around) {
            let (path, above) = (path.display(), above.display());
            return Err(Error::Usage(format!(
                "{path} lies below {above}, on another file system, and --one-file-system does not lead there: name the folder where that is mounted, too"
            )));
        }
        found.push(path.clone());
    }
    Ok(found)
}

/// Symlinks above the last component are followed; that itself is taken as it is, unless the path ends in `/`, `.` or `..`.
fn resolve_root(path: &Path) -> Result<PathBuf> {
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

/// The Btrfs subvolume in which `path` lies, by the path of its root, if that can be seen from here; and the rest of the path. What is mounted from elsewhere
/// lies in none.
pub(in crate::ops) fn containing_subvolume(path: &Path) -> Option<(PathBuf, PathBuf)> {
    let whose = |path: &Path| {
        let file = open_path(path).ok()?;
        let stat = stat_fd(file.as_fd()).ok()?;
        Some((stat.dev, stat.ino, file))
    };
    let (dev, _, file) = whose(path)?;
    if !is_btrfs(file.as_fd()) {
        return None;
    }
    for root in path.ancestors() {
        let (at, ino, _) = whose(root)?;
        if at != dev {
            return None;
        }
        if ino == ROOT_INO {
            return Some((root.to_owned(), path.strip_prefix(root).ok()?.to_owned()));
        }
    }
    None
}

/// A handle that says what a path is, without following a symlink at its end.
fn open_path(path: &Path) -> std::io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    Ok(rustix::fs::open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?.into())
}

/// Where something is mounted strictly below one of `roots`: sorted, each once. Source: proc(5), /proc/pid/mountinfo.
pub(super) fn mounts_below(roots: &[PathBuf]) -> Vec<PathBuf> {
    let table = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    let mut found: Vec<PathBuf> = mount_points(&table)
        .filter(|point| roots.iter().any(|root| point != root && point.starts_with(root)))
        .collect();
    found.sort();
    found.dedup();
    found
}

fn mount_points(table: &[u8]) -> impl Iterator<Item = PathBuf> {
    table.split(|b| *b == b'\n').filter_map(|line| line.split(|b| *b == b' ').nth(4)).map(|point| {
        let mut out = Vec::with_capacity(point.len());
        let mut rest = point;
        while let Some((first, after)) = rest.split_first() {
            let octal = (*first == b'\\').then(|| after.first_chunk::<3>()).flatten();
            let code = octal.and_then(|digits| std::str::from_utf8(digits).ok());
            match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
                Some(byte) => {
                    out.push(byte);
                    rest = &after[3..];
                }
                None => {
                    out.push(*first);
                    rest = after;
                }
            }
        }
        PathBuf::from(OsString::from_vec(out))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_with_odd_names() {
        let table =
            b"36 35 98:0 / /mnt\\040a\\134b rw - ext3 /dev/root rw\n37 36 0:5 / /x rw - proc proc rw\n\nshort\n";
        let points: Vec<PathBuf> = mount_points(table).collect();
        assert_eq!(points, [PathBuf::from("/mnt a\\b"), PathBuf::from("/x")]);
    }
}
