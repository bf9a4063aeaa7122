//! What a tree is, by a walk that shares nothing with panther's: compared before and after.

use rustix::fs::{SeekFrom, seek};
use std::collections::{BTreeMap, HashMap};
use std::ffi::{CString, OsStr};
use std::fmt::Write;
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// All that is to come back of an object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Object {
    /// Type and permissions, as the kernel has them.
    mode: u32,
    uid: u32,
    gid: u32,
    mtime: (i64, i64),
    size_bytes: u64,
    rdev: u64,
    content: Option<blake3::Hash>,
    /// Where a sparse file has data.
    data: Vec<(u64, u64)>,
    /// Whether it takes less room than its size: only then is anybody asked for holes.
    is_sparse: bool,
    link_target: Vec<u8>,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The first path of the same inode.
    same_as: Option<Vec<u8>>,
}

/// A tree: its objects by path, the root's path being empty.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Manifest(BTreeMap<Vec<u8>, Object>);

impl Manifest {
    /// The tree at `root`.
    pub fn of(root: &Path) -> Self {
        let mut walk = Walk { found: BTreeMap::new(), inodes: HashMap::new() };
        walk.object(root, Vec::new());
        Self(walk.found)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The bytes of all files, each inode once.
    pub fn content_bytes(&self) -> u64 {
        self.0.values().filter(|object| object.same_as.as_ref().is_none()).map(|object| object.size_bytes).sum()
    }

    /// The same without any hole: what is written over may keep zeros where there was a hole.
    pub fn without_holes(&self) -> Self {
        let mut all = self.clone();
        all.0.values_mut().for_each(|object| object.is_sparse = false);
        all
    }

    /// The same without what lies at and below `path`.
    pub fn without(&self, path: &str) -> Self {
        let below = format!("{path}/").into_bytes();
        let mut all = self.clone();
        all.0.retain(|at, _| at != path.as_bytes() && !at.starts_with(&below));
        all
    }

    /// How `other` differs; nothing if it does not.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let mut paths: Vec<_> = self.0.keys().chain(other.0.keys()).collect();
        paths.sort();
        paths.dedup();
        let differs = |path: &&&Vec<u8>| match (self.0.get(**path), other.0.get(**path)) {
            (Some(one), Some(two)) => !one.is_restored_as(two),
            _ => true,
        };
        let bad: Vec<_> = paths.iter().filter(differs).collect();
        if bad.is_empty() {
            return None;
        }
        let mut text = format!("{} of {} objects differ", bad.len(), paths.len());
        for path in bad.iter().take(6) {
            let name = path.escape_ascii();
            let _ = write!(text, "\n{name}:\n  was {:?}\n  is  {:?}", self.0.get(**path), other.0.get(**path));
        }
        Some(text)
    }

    /// Fails unless the tree at `root` is this one.
    pub fn assert_is(&self, root: &Path, what: &str) {
        if let Some(difference) = self.difference(&Self::of(root)) {
            panic!("{what}: {difference}");
        }
    }
}

impl Object {
    /// Holes count where the source had any that it could know of; elsewhere only the content does.
    fn is_restored_as(&self, other: &Self) -> bool {
        let mut other = other.clone();
        if !self.is_sparse {
            other.data.clone_from(&self.data);
        }
        other.is_sparse = self.is_sparse;
        *self == other
    }
}

struct Walk {
    found: BTreeMap<Vec<u8>, Object>,
    inodes: HashMap<(u64, u64), Vec<u8>>,
}

impl Walk {
    fn object(&mut self, path: &Path, name: Vec<u8>) {
        let meta = fs::symlink_metadata(path).unwrap();
        let kind = meta.file_type();
        let mut same_as = None;
        if meta.nlink() > 1 && !kind.is_dir() {
            let first = self.inodes.entry((meta.dev(), meta.ino())).or_insert_with(|| name.clone());
            same_as = Some(first.clone());
        }
        let (content, data) = if kind.is_file() { read(path) } else { (None, Vec::new()) };
        let link_target = if kind.is_symlink() { fs::read_link(path).unwrap().into_os_string() } else { "".into() };
        let object = Object {
            mode: meta.mode(),
            uid: meta.uid(),
            gid: meta.gid(),
            mtime: (meta.mtime(), meta.mtime_nsec()),
            size_bytes: if kind.is_file() { meta.len() } else { 0 },
            rdev: meta.rdev(),
            content,
            data,
            is_sparse: kind.is_file() && meta.blocks() * 512 < meta.len(),
            link_target: link_target.as_bytes().to_vec(),
            xattrs: xattrs(path, &meta),
            same_as,
        };
        self.found.insert(name.clone(), object);
        if kind.is_dir() {
            let mut names: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            for child in names {
                let below = if name.is_empty() { Vec::new() } else { [&name[..], b"/"].concat() };
                self.object(&path.join(&child), [&below[..], child.as_bytes()].concat());
            }
        }
    }
}

fn read(path: &Path) -> (Option<blake3::Hash>, Vec<(u64, u64)>) {
    let mut file = File::open(path).unwrap();
    let mut data = Vec::new();
    let mut at = 0;
    while let Ok(start) = seek(&file, SeekFrom::Data(at)) {
        let end = seek(&file, SeekFrom::Hole(start)).unwrap();
        data.push((start, end));
        at = end;
    }
    seek(&file, SeekFrom::Start(0)).unwrap();
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).unwrap() {
            0 => return (Some(hasher.finalize()), data),
            got => hasher.update(&buffer[..got]),
        };
    }
}

fn xattrs(path: &Path, meta: &Metadata) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    let mut list = vec![0; 1 << 16];
    let Ok(len) = rustix::fs::llistxattr(&*path, &mut list[..]) else { return BTreeMap::new() };
    let names = list[..len].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let value = |name: &[u8]| {
        let mut value = vec![0; 1 << 16];
        let len = rustix::fs::lgetxattr(&*path, OsStr::from_bytes(name), &mut value[..])
            .unwrap_or_else(|e| panic!("{path:?} {}: {e} ({meta:?})", name.escape_ascii()));
        value.truncate(len);
        value
    };
    names.map(|name| (name.to_vec(), value(name))).collect()
}
