//! Two trees of the file system compared: contents, types, modes, owners, times, attributes, link targets.
//!
//! On purpose it shares nothing with backup and restore but the reading of metadata: it is there to catch them out.

use crate::error::{Error, Result};
use crate::ops::{Progress, Totals};
use crate::source::{self, Kind, Stat, Time};
use std::collections::BTreeSet;
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How many differences are named; all are counted.
const NAMED: usize = 100;
const BUFFER_BYTES: usize = 256 << 10;

/// What two trees differ in.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Comparison {
    /// Objects compared.
    pub objects: u64,
    /// Bytes of content compared.
    pub bytes: u64,
    /// Objects that differ.
    pub different: u64,
    /// Objects that were changed on the left after the time given; they are not counted as different.
    pub changed_meanwhile: u64,
    /// Objects that cannot be read on the left and are missing on the right; they are not counted as different.
    pub unreadable: u64,
    /// The first of those that differ.
    pub differences: Vec<Difference>,
}

/// An object that differs.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// Its path on the left; bytes that are no UTF-8 are replaced.
    pub path: String,
    /// In what: `content`, `mode`, `missing` and so on.
    pub what: Vec<&'static str>,
}

/// A directory that is being compared.
struct Level {
    left: OwnedFd,
    right: OwnedFd,
    /// The names of both, those that come first last.
    names: Vec<CString>,
}

struct Compare<'p> {
    since: Time,
    skip: &'p [PathBuf],
    progress: &'p dyn Progress,
    result: Comparison,
    path: PathBuf,
    buffers: (Vec<u8>, Vec<u8>),
}

/// Compares `left` with `right`. If both are directories, what is in them; their own attributes do not count.
/// What was changed on the left after `since` is set aside; the paths of `skip` on the left are left out.
///
/// # Errors
/// [`Error::Io`] when a directory cannot be read; [`Error::Interrupted`].
pub fn compare(
    left: &Path,
    right: &Path,
    since: Time,
    skip: &[PathBuf],
    progress: &dyn Progress,
) -> Result<Comparison> {
    progress.stage("comparing", Totals::default());
    let mut compare = Compare {
        since,
        skip,
        progress,
        result: Comparison::default(),
        path: left.to_owned(),
        buffers: (vec![0; BUFFER_BYTES], vec![0; BUFFER_BYTES]),
    };
    // A trailing slash, or a symlink to a folder: what is behind it is meant, as for a backup.
    let is_dir = |path: &Path| path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
    if is_dir(left) && is_dir(right) {
        let open = |path: &Path| File::open(path).map(OwnedFd::from).map_err(|e| Error::io("open", path, e));
        let (left, right) = (open(left)?, open(right)?);
        compare.tree(left, right)?;
    } else {
        let ((left_dir, left_name), (right_dir, right_name)) = (place(left)?, place(right)?);
        compare.object((left_dir.as_fd(), &left_name), (right_dir.as_fd(), &right_name))?;
    }
    Ok(compare.result)
}

/// The directory that `path` is in, and its name there.
fn place(path: &Path) -> Result<(File, CString)> {
    let wrong = |e: io::Error| Error::io("open", path, e);
    let name = path.file_name().ok_or_else(|| wrong(io::ErrorKind::InvalidInput.into()))?;
    let dir = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Ok((File::open(dir).map_err(wrong)?, CString::new(name.as_bytes()).map_err(|e| wrong(e.into()))?))
}

/// A name in a directory.
type At<'a> = (BorrowedFd<'a>, &'a CStr);

impl Compare<'_> {
    /// With a stack of its own: trees may be deep.
    fn tree(&mut self, left: OwnedFd, right: OwnedFd) -> Result<()> {
        let mut stack = vec![self.level(left, right)?];
        while let Some(level) = stack.last_mut() {
            let Some(name) = level.names.pop() else {
                stack.pop();
                if !stack.is_empty() {
                    self.path.pop();
                }
                continue;
            };
            if self.progress.cancelled() {
                return Err(Error::Interrupted);
            }
            self.path.push(OsStr::from_bytes(name.as_bytes()));
            if self.skip.contains(&self.path) {
                self.path.pop();
                continue;
            }
            let (left, right) = (level.left.as_fd(), level.right.as_fd());
            if self.object((left, &name), (right, &name))? == Some(Kind::Dir) {
                let open = |dir| source::open_dir_at(dir, &name);
                match (open(left), open(right)) {
                    (Ok(left), Ok(right)) => {
                        stack.push(self.level(left, right)?);
                        continue;
                    }
                    (Err(_), _) => self.result.unreadable += 1,
                    (_, Err(_)) => self.differ(vec!["not readable"]),
                }
            }
            self.path.pop();
        }
        Ok(())
    }

    fn level(&self, left: OwnedFd, right: OwnedFd) -> Result<Level> {
        let mut names = BTreeSet::new();
        for dir in [&left, &right] {
            let found = source::read_names(dir.as_fd()).map_err(|e| Error::io("list", &self.path, e))?;
            names.extend(found.iter().map(|name| name.name.to_owned()));
        }
        Ok(Level { left, right, names: names.into_iter().rev().collect() })
    }

    /// Compares two objects; directories by their attributes. The kind of both, if they are of one.
    fn object(&mut self, left: At<'_>, right: At<'_>) -> Result<Option<Kind>> {
        self.result.objects += 1;
        let stat = |at: At<'_>| match source::stat_at(at.0, at.1) {
            Ok(stat) => Ok(Some(stat)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("look at", &self.path, e)),
        };
        let (a, b) = match (stat(left)?, stat(right)?) {
            (Some(a), Some(b)) => (a, b),
            (Some(a), None) if a.kind == Kind::File && source::open_file_at(left.0, left.1).is_err() => {
                self.result.unreadable += 1;
                return Ok(None);
            }
            (Some(a), None) => {
                self.judge(&a, vec!["missing"]);
                return Ok(None);
            }
            (None, Some(_)) => {
                self.differ(vec!["not in the source"]);
                return Ok(None);
            }
            (None, None) => return Ok(None),
        };
        if a.kind != b.kind {
            self.judge(&a, vec!["type"]);
            return Ok(None);
        }
        let mut what = attributes(&a, &b);
        let same = |get: &dyn Fn(At<'_>) -> io::Result<bool>| get(left).unwrap_or(false);
        if !same(&|_| Ok(source::xattrs_path(left.0, left.1)? == source::xattrs_path(right.0, right.1)?)) {
            what.push("attributes");
        }
        match a.kind {
            Kind::File => match self.content(left, right) {
                Ok(true) => {}
                Ok(false) => what.push("content"),
                Err(_) => what.push("not readable"),
            },
            Kind::Symlink
                if !same(&|_| Ok(source::readlink_at(left.0, left.1)? == source::readlink_at(right.0, right.1)?)) =>
            {
                what.push("target");
            }
            _ => {}
        }
        self.progress.advance(1, if a.kind == Kind::File { a.size_bytes } else { 0 });
        if !what.is_empty() {
            self.judge(&a, what);
        }
        Ok(Some(a.kind))
    }

    fn content(&mut self, left: At<'_>, right: At<'_>) -> io::Result<bool> {
        let (mut a, mut b) = (source::open_file_at(left.0, left.1)?, source::open_file_at(right.0, right.1)?);
        loop {
            let (x, y) = (fill(&mut a, &mut self.buffers.0)?, fill(&mut b, &mut self.buffers.1)?);
            self.result.bytes += x as u64;
            if self.buffers.0[..x] != self.buffers.1[..y] {
                return Ok(false);
            }
            if x == 0 || self.progress.cancelled() {
                return Ok(true);
            }
        }
    }

    fn judge(&mut self, left: &Stat, what: Vec<&'static str>) {
        if left.ctime > self.since {
            self.result.changed_meanwhile += 1;
        } else {
            self.differ(what);
        }
    }

    fn differ(&mut self, what: Vec<&'static str>) {
        self.result.different += 1;
        if self.result.differences.len() < NAMED {
            let path = self.path.to_string_lossy().into_owned();
            self.result.differences.push(Difference { path, what });
        }
    }
}

fn attributes(a: &Stat, b: &Stat) -> Vec<&'static str> {
    let mut what = Vec::new();
    // A symlink has no mode of its own.
    if a.mode != b.mode && a.kind != Kind::Symlink {
        what.push("mode");
    }
    if (a.uid, a.gid) != (b.uid, b.gid) {
        what.push("owner");
    }
    if a.mtime != b.mtime {
        what.push("time");
    }
    if a.kind == Kind::File && a.size_bytes != b.size_bytes {
        what.push("size");
    }
    if a.rdev != b.rdev {
        what.push("device");
    }
    what
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        match file.read(&mut buffer[len..]) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(len)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ops::Silent;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::time::{Duration, SystemTime};

    fn tree(root: &Path) {
        fs::create_dir_all(root.join("d/e")).unwrap();
        fs::write(root.join("d/f"), vec![7; 600_000]).unwrap();
        fs::write(root.join("g"), b"g").unwrap();
        symlink("g", root.join("l")).unwrap();
        for name in ["d/f", "g", "d/e", "d"] {
            let then = SystemTime::UNIX_EPOCH + Duration::new(1_000_000, 123_456_789);
            File::open(root.join(name)).unwrap().set_modified(then).unwrap();
        }
        let time = rustix::fs::Timespec { tv_sec: 5, tv_nsec: 6 };
        let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
        rustix::fs::utimensat(rustix::fs::CWD, root.join("l"), &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).unwrap();
    }

    fn later() -> Time {
        Time::now().plus(Duration::from_secs(60))
    }

    #[test]
    fn what_differs_is_named() {
        let temp = tempfile::tempdir().unwrap();
        let (a, b) = (temp.path().join("a"), temp.path().join("b"));
        tree(&a);
        tree(&b);
        let same = compare(&a, &b, later(), &[], &Silent).unwrap();
        assert_eq!((same.objects, same.bytes, same.different), (5, 600_001, 0), "{same:?}");

        let then = fs::metadata(b.join("d")).unwrap().modified().unwrap();
        fs::write(b.join("d/f"), [vec![7; 599_999], vec![8]].concat()).unwrap();
        fs::set_permissions(b.join("d/e"), fs::Permissions::from_mode(0o700)).unwrap();
        fs::set_permissions(a.join("d/e"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::remove_file(b.join("g")).unwrap();
        fs::write(b.join("h"), b"h").unwrap();
        fs::remove_file(b.join("l")).unwrap();
        symlink("h", b.join("l")).unwrap();
        File::open(b.join("d")).unwrap().set_modified(then).unwrap();
        let found = compare(&a, &b, later(), &[], &Silent).unwrap();
        let named: Vec<_> =
            found.differences.iter().map(|d| (d.path.rsplit('/').next().unwrap(), &d.what[..])).collect();
        let want: [(&str, &[&str]); 5] = [
            ("e", &["mode"]),
            ("f", &["time", "content"]),
            ("g", &["missing"]),
            ("h", &["not in the source"]),
            ("l", &["time", "target"]),
        ];
        assert_eq!(named, want);

        let before = Time { secs: 0, nanos: 0 };
        let excused = compare(&a, &b, before, &[], &Silent).unwrap();
        assert_eq!((excused.different, excused.changed_meanwhile), (1, 4));
        let skipped = compare(&a, &b, later(), &[a.join("d"), a.join("h")], &Silent).unwrap();
        assert_eq!((skipped.objects, skipped.different), (2, 2));
    }

    #[test]
    fn single_files() {
        let temp = tempfile::tempdir().unwrap();
        let (a, b) = (temp.path().join("a"), temp.path().join("b"));
        tree(&a);
        tree(&b);
        assert_eq!(compare(&a.join("g"), &b.join("g"), later(), &[], &Silent).unwrap().different, 0);
        let found = compare(&a.join("g"), &b.join("d"), later(), &[], &Silent).unwrap();
        assert_eq!(found.differences[0].what, ["type"]);
    }
}
