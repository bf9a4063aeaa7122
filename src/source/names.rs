//! The names in a directory, sorted, in little memory.

use std::cell::RefCell;
use std::ffi::CStr;
use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{RawDir, SeekFrom};

use super::meta::{Kind, kind_of};

/// How much of a directory is read at once: about 2,000 names.
const BUFFER_BYTES: usize = 64 << 10;

/// What stands before a name whose kind is not known.
const NO_HINT: u8 = u8::MAX;

const KINDS: [Kind; 7] = [Kind::File, Kind::Dir, Kind::Symlink, Kind::Fifo, Kind::Socket, Kind::Char, Kind::Block];

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A name in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name<'a> {
    /// The name.
    pub name: &'a CStr,
    /// What it was when the directory was read, if the file system says so for free. Only a hint.
    pub kind: Option<Kind>,
    /// Its inode number, if that was asked for.
    pub ino: Option<u64>,
}

/// Names in ascending order of their unsigned bytes, each once.
///
/// A name costs its length and 10 bytes.
#[derive(Debug, Default, Clone)]
pub struct Names {
    /// For each name: a byte for the kind, the name, NUL.
    arena: Vec<u8>,
    /// Where the names begin in the arena.
    starts: Vec<usize>,
    with_inodes: bool,
}

impl Names {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// The name at `index`, counted from 0; `None` behind the last.
    pub fn get(&self, index: usize) -> Option<Name<'_>> {
        let start = *self.starts.get(index)?;
        Some(self.at(start))
    }

    /// All names in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Name<'_>> {
        self.starts.iter().map(|start| self.at(*start))
    }

    fn at(&self, start: usize) -> Name<'_> {
        let hint = self.arena.get(start.wrapping_sub(1)).copied().unwrap_or(NO_HINT);
        let ino = self.with_inodes.then(|| self.arena.get(start.wrapping_sub(9)..start.wrapping_sub(1)));
        let ino = ino.flatten().and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
        Name { name: self.name_at(start), kind: KINDS.get(usize::from(hint)).copied(), ino }
    }

    fn name_at(&self, start: usize) -> &CStr {
        CStr::from_bytes_until_nul(&self.arena[start..]).unwrap_or_default()
    }

    fn push(&mut self, name: &CStr, kind: Option<Kind>, ino: u64) {
        if self.with_inodes {
            self.arena.extend_from_slice(&ino.to_le_bytes());
        }
        self.arena.push(kind.map_or(NO_HINT, |kind| kind as u8));
        self.starts.push(self.arena.len());
        self.arena.extend_from_slice(name.to_bytes_with_nul());
    }

    fn sort(&mut self) {
        let arena = &self.arena;
        // Names differ at the shorter one's NUL at the latest, so what follows it does not matter.
        self.starts.sort_unstable_by(|a, b| arena[*a..].cmp(&arena[*b..]));
        // A directory that changes while it is read may give a name twice.
        let name = |start: usize| CStr::from_bytes_until_nul(&arena[start..]);
        self.starts.dedup_by(|a, b| name(*a) == name(*b));
    }
}

/// The names in the open directory `dir` without `.` and `..`, from its beginning whatever was read before.
///
/// # Errors
/// Those of getdents(2) and lseek(2).
pub fn read_names(dir: BorrowedFd<'_>) -> io::Result<Names> {
    read(dir, Names::default())
}

/// As [`read_names`], with the inode numbers; 8 bytes of memory a name more.
///
/// # Errors
/// Those of getdents(2) and lseek(2).
pub fn read_names_and_inodes(dir: BorrowedFd<'_>) -> io::Result<Names> {
    read(dir, Names { with_inodes: true, ..Names::default() })
}

fn read(dir: BorrowedFd<'_>, mut names: Names) -> io::Result<Names> {
    rustix::fs::seek(dir, SeekFrom::Start(0))?;
    BUFFER.with_borrow_mut(|buffer| -> io::Result<()> {
        buffer.reserve(BUFFER_BYTES);
        let mut entries = RawDir::new(dir, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name();
            if name != c"." && name != c".." {
                names.push(name, kind_of(entry.file_type()), entry.ino());
            }
        }
        Ok(())
    })?;
    names.sort();
    Ok(names)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::ffi::OsStr;
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn bytes(names: &Names) -> Vec<&[u8]> {
        names.iter().map(|name| name.name.to_bytes()).collect()
    }

    #[test]
    fn sorted_as_unsigned_bytes_with_hints() {
        let temp = tempfile::tempdir().unwrap();
        let long = [b'l'; 255];
        let want: [&[u8]; 8] = [b"\x01", b"A", b"a", b"a b", b"ab", &long, "\u{e9}".as_bytes(), b"\xff\xfe"];
        for name in want.iter().rev() {
            std::fs::write(temp.path().join(OsStr::from_bytes(name)), b"").unwrap();
        }
        let dir = File::open(temp.path()).unwrap();
        let names = read_names(dir.as_fd()).unwrap();
        assert_eq!(bytes(&names), want);
        assert_eq!(names.len(), 8);
        assert_eq!(names.get(7).unwrap().name.to_bytes(), b"\xff\xfe");
        assert_eq!(names.get(8), None);
        // A second time from the same handle, after a change.
        std::fs::create_dir(temp.path().join("d")).unwrap();
        std::os::unix::fs::symlink("x", temp.path().join("s")).unwrap();
        let names = read_names(dir.as_fd()).unwrap();
        assert_eq!(names.len(), 10);
        let kinds: Vec<_> = names.iter().map(|name| (name.name, name.kind)).collect();
        for (name, kind) in [(c"A", Kind::File), (c"d", Kind::Dir), (c"s", Kind::Symlink)] {
            let (_, hint) = kinds.iter().find(|(found, _)| *found == name).unwrap();
            assert!(hint.is_none_or(|hint| hint == kind));
        }
    }

    #[test]
    fn an_empty_directory_and_a_file() {
        let temp = tempfile::tempdir().unwrap();
        let dir = File::open(temp.path()).unwrap();
        assert!(read_names(dir.as_fd()).unwrap().is_empty());
        let file = File::create(temp.path().join("file")).unwrap();
        assert!(read_names(file.as_fd()).is_err());
    }

    #[test]
    fn more_names_than_one_buffer_holds() {
        let temp = tempfile::tempdir().unwrap();
        let mut want: Vec<_> = (0..5000).map(|i| format!("{i}").into_bytes()).collect();
        for name in &want {
            File::create(temp.path().join(OsStr::from_bytes(name))).unwrap();
        }
        want.sort();
        let dir = File::open(temp.path()).unwrap();
        assert_eq!(bytes(&read_names(dir.as_fd()).unwrap()), want);
    }

    #[test]
    fn inode_numbers_on_demand() {
        use std::os::unix::fs::MetadataExt;
        let temp = tempfile::tempdir().unwrap();
        for name in ["b", "a", "longer"] {
            std::fs::write(temp.path().join(name), b"").unwrap();
        }
        let dir = File::open(temp.path()).unwrap();
        assert!(read_names(dir.as_fd()).unwrap().iter().all(|name| name.ino.is_none()));
        let names = read_names_and_inodes(dir.as_fd()).unwrap();
        assert_eq!(names.len(), 3);
        for name in names.iter() {
            let meta = std::fs::metadata(temp.path().join(OsStr::from_bytes(name.name.to_bytes()))).unwrap();
            assert_eq!(name.ino, Some(meta.ino()));
        }
    }

    #[test]
    fn duplicates_go() {
        let mut names = Names::default();
        for name in [c"b", c"a", c"b", c"bb", c"a", c"b"] {
            names.push(name, None, 0);
        }
        names.sort();
        assert_eq!(bytes(&names), [&b"a"[..], b"b", b"bb"]);
        assert_eq!(names.get(0).unwrap().kind, None);
    }
}
