//! Removing a name with all that is in it.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::dir::open_dir;
use super::flags::unfix;
use crate::source::{Kind, Names, Stat, read_names, stat_at, stat_fd};

/// A directory that is being emptied.
struct Level {
    stat: Stat,
    names: Names,
    /// How many of the names were taken.
    taken: usize,
}

impl Level {
    fn new(dir: BorrowedFd<'_>) -> io::Result<Self> {
        let stat = stat_fd(dir)?;
        if stat.attributes & Stat::MOUNT_ROOT != 0 {
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, "a file system is mounted there"));
        }
        Ok(Self { stat, names: read_names(dir)?, taken: 0 })
    }
}

/// Removes `name`, one step, from `dir`. Holds one handle however deep the tree is, and does not recurse.
pub(super) fn remove(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    if unlink(dir, name)? {
        return Ok(());
    }
    let mut here = match open_dir(dir, name) {
        Err(Errno::NOENT) => return Ok(()),
        other => other?,
    };
    let mut levels = vec![Level::new(here.as_fd())?];
    while let Some(level) = levels.last_mut() {
        if let Some(next) = level.names.get(level.taken) {
            level.taken += 1;
            if !unlink(here.as_fd(), next.name)? {
                here = open_dir(here.as_fd(), next.name)?;
                levels.push(Level::new(here.as_fd())?);
            }
            continue;
        }
        levels.pop();
        let Some(above) = levels.last() else { break };
        here = parent(&here, &above.stat)?;
        let emptied = above.taken.checked_sub(1).and_then(|index| above.names.get(index));
        if let Some(emptied) = emptied {
            remove_empty(here.as_fd(), emptied.name)?;
        }
    }
    remove_empty(dir, name)
}

/// Whether `name` is gone; false if it is a directory.
fn unlink(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<bool> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::ISDIR) => Ok(false),
        Err(Errno::PERM) if was_fixed(dir, name) => unlink(dir, name),
        Err(errno) => Err(errno.into()),
    }
}

fn remove_empty(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    match rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOENT) => Ok(()),
        Err(Errno::PERM) if was_fixed(dir, name) => remove_empty(dir, name),
        other => Ok(other?),
    }
}

/// Whether `name`, or else `dir` itself, was immutable or append-only and is not any more.
fn was_fixed(dir: BorrowedFd<'_>, name: &CStr) -> bool {
    let kind = stat_at(dir, name).map(|stat| stat.kind);
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let is_plain = matches!(kind, Ok(Kind::File | Kind::Dir));
    let object = is_plain.then(|| rustix::fs::openat(dir, name, flags, Mode::empty()).ok()).flatten();
    let changed = |fd: BorrowedFd<'_>| matches!(unfix(fd), Ok(Some(_)));
    object.is_some_and(|object| changed(object.as_fd())) || changed(dir)
}

/// The directory above `dir`, which must be the one we came from: if `dir` was moved meanwhile, `..` leads to a
/// place where nothing must be removed.
fn parent(dir: &OwnedFd, want: &Stat) -> io::Result<OwnedFd> {
    let above = open_dir(dir.as_fd(), c"..")?;
    if stat_fd(above.as_fd())?.is_same_inode(want) {
        Ok(above)
    } else {
        Err(io::Error::other("it was moved while it was being removed"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_tree_with_all_kinds_and_nothing_outside() {
        let temp = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("precious"), b"!").unwrap();
        let top = temp.path().join("top");
        std::fs::create_dir_all(top.join("a/b/c")).unwrap();
        std::fs::create_dir(top.join("empty")).unwrap();
        std::fs::write(top.join("a/file"), b"x").unwrap();
        std::fs::write(temp.path().join("sibling"), b"x").unwrap();
        symlink(outside.path(), top.join("a/b/out")).unwrap();
        symlink(outside.path(), temp.path().join("link")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, top.join("a/fifo"), Mode::RUSR).unwrap();
        let dir = File::open(temp.path()).unwrap();
        for name in [c"top", c"link", c"never"] {
            remove(dir.as_fd(), name).unwrap();
        }
        let names = read_names(dir.as_fd()).unwrap();
        assert_eq!(names.len(), 1);
        assert!(outside.path().join("precious").exists());
    }

    #[test]
    fn deeper_than_there_are_handles() {
        let temp = tempfile::tempdir().unwrap();
        let top = File::open(temp.path()).unwrap();
        let mut here = OwnedFd::from(top.try_clone().unwrap());
        for level in 0..4096 {
            rustix::fs::mkdirat(&here, "deep", Mode::RWXU).unwrap();
            if level % 100 == 0 {
                rustix::fs::symlinkat("/etc", &here, "link").unwrap();
                rustix::fs::mkdirat(&here, "also", Mode::RWXU).unwrap();
            }
            here = open_dir(here.as_fd(), c"deep").unwrap();
        }
        drop(here);
        remove(top.as_fd(), c"deep").unwrap();
        let names = read_names(top.as_fd()).unwrap();
        let left: Vec<_> = names.iter().map(|name| name.name).collect();
        assert_eq!(left, [c"also", c"link"]);
    }

    #[test]
    fn a_directory_that_was_moved_leads_nowhere() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(temp.path().join("a/b")).unwrap();
        std::fs::create_dir(temp.path().join("elsewhere")).unwrap();
        let a = OwnedFd::from(File::open(temp.path().join("a")).unwrap());
        let b = OwnedFd::from(File::open(temp.path().join("a/b")).unwrap());
        let stat = stat_fd(a.as_fd()).unwrap();
        parent(&b, &stat).unwrap();
        std::fs::rename(temp.path().join("a/b"), temp.path().join("elsewhere/b")).unwrap();
        assert!(parent(&b, &stat).is_err());
    }

    #[test]
    fn what_is_mounted_stays() {
        let root = File::open("/").unwrap();
        let stat = stat_at(root.as_fd(), c"proc").unwrap();
        if stat.attributes & Stat::MOUNT_ROOT == 0 {
            println!("skipped: /proc is not mounted, or the kernel does not say so");
            return;
        }
        let proc = File::open("/proc").unwrap();
        let error = Level::new(proc.as_fd()).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
    }
}
