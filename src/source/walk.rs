//! The ordinary source: a sorted walk. What looks as it did is not read.

use super::items::{Batch, Change, DirEnd, InodeKey, Item, Leaf, OpenDir, ReadJob, Sink};
use super::meta::{Kind, Stat, open_dir_at, open_file_at, readlink_at, stat_at, stat_fd};
use super::names::read_names;
use super::read::{ReadContext, entry_of, stamp_of};
use super::{CACHE_TAG_NAME, Excludes, is_cache_dir, xattrs_fd, xattrs_path};
use crate::error::{Error, Result};
use crate::format::entry::{Boundary, Entry, Node};
use crate::format::limits;
use crate::format::time::Time;
use crate::state::dirs::{Child, DirKey, DirView};
use std::collections::{HashMap, VecDeque};
use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files above this are read by the walk itself, in parts.
const LARGE_BYTES: u64 = 1 << 20;
/// A batch is handed on when it expects so much data …
const BATCH_BYTES: usize = 1 << 20;
/// … or has so many items.
const BATCH_ITEMS: usize = 512;
/// What an item takes of memory, about.
const ITEM_BYTES: usize = 1 << 10;
/// So many files with several links are remembered so that they are read once.
const LINKS_MAX: usize = 200_000;

/// What a walk needs to know.
pub struct WalkContext<'a> {
    /// Reads files.
    pub read: &'a ReadContext<'a>,
    /// What is left out.
    pub excludes: &'a Excludes,
    /// What is remembered; none to read everything.
    pub memory: Option<&'a DirView>,
    /// Whether an entry that is remembered can be used again.
    pub reusable: &'a (dyn Fn(&[u8]) -> bool + Sync),
}

/// A walk over several roots.
pub struct Walk<'a, S> {
    context: &'a WalkContext<'a>,
    sink: S,
    batch: Batch,
    path: PathBuf,
    links: HashMap<InodeKey, u64>,
}

/// Where in the tree the walk is.
struct Place {
    region: u64,
    dev: (u32, u32),
    depth: usize,
}

/// The children of a directory as they are remembered, in order.
struct Remembered<'a> {
    view: Option<&'a DirView>,
    key: DirKey,
    ahead: VecDeque<Child>,
    records: Vec<Vec<u8>>,
}

impl Remembered<'_> {
    /// The child with this name; names must be asked for in order.
    fn find(&mut self, name: &[u8]) -> Result<Option<Child>> {
        loop {
            while self.ahead.front().is_some_and(|child| child.name[..] < *name) {
                self.ahead.pop_front();
            }
            if let Some(front) = self.ahead.front() {
                return Ok(if front.name == name { self.ahead.pop_front() } else { None });
            }
            if !self.load()? {
                return Ok(None);
            }
        }
    }

    fn load(&mut self) -> Result<bool> {
        let Some(view) = self.view else { return Ok(false) };
        match view.next_record(self.key, self.records.last().map(|r| &r[..]))? {
            Some((first, children)) => {
                self.records.push(first);
                self.ahead = children.into();
                Ok(true)
            }
            None => {
                self.view = None;
                Ok(false)
            }
        }
    }

    /// The first names of all records.
    fn finish(mut self) -> Result<Vec<Vec<u8>>> {
        while self.load()? {}
        Ok(self.records)
    }
}

/// The region of what lies below `path`, which begins a file system or a source.
pub fn region_of(path: &Path) -> u64 {
    let hash = blake3::hash(path.as_os_str().as_bytes());
    hash.as_bytes().first_chunk::<8>().map_or(0, |b| u64::from_le_bytes(*b))
}

impl<'a, S: Sink> Walk<'a, S> {
    /// A walk that puts its items into `sink`.
    pub fn new(context: &'a WalkContext<'a>, sink: S) -> Self {
        Self { context, sink, batch: Batch::default(), path: PathBuf::new(), links: HashMap::new() }
    }

    /// Walks the roots, which are absolute, sorted, and not below one another. A root that is not there fails like any other object.
    ///
    /// # Errors
    /// [`Error::Aborted`], [`Error::Interrupted`], [`Error::State`].
    pub fn run(mut self, roots: &[PathBuf]) -> Result<()> {
        for root in roots {
            self.path.clone_from(root);
            self.push(Item::Root(root.as_os_str().as_bytes().to_vec()))?;
            if let Err(error) = self.root(root) {
                match error {
                    Error::Io { .. } => self.fail(error)?,
                    other => return Err(other),
                }
            }
        }
        self.flush()
    }

    fn root(&mut self, root: &Path) -> Result<()> {
        let io = |e: io::Error| Error::io("read", root, e);
        let (parent, name) = match (root.parent(), root.file_name()) {
            (Some(parent), Some(name)) => (parent, CString::new(name.as_bytes()).map_err(|e| io(e.into()))?),
            _ => (root, CString::from(c".")),
        };
        let parent =
            Arc::new(OpenDir { fd: OwnedFd::from(std::fs::File::open(parent).map_err(io)?), path: parent.to_owned() });
        let looked_at = Time::now();
        let stat = stat_at(parent.fd.as_fd(), &name).map_err(io)?;
        let place = Place { region: region_of(root), dev: stat.dev, depth: 0 };
        // A root has no name in the format, and nothing is remembered of it: only of what it contains.
        self.object(&parent, &name, &stat, looked_at, None, &place)
    }

    fn push(&mut self, item: Item) -> Result<()> {
        self.batch.weight_bytes += ITEM_BYTES;
        self.batch.items.push(item);
        if self.batch.items.len() >= BATCH_ITEMS || self.batch.weight_bytes >= BATCH_BYTES {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.batch);
        if batch.items.is_empty() { Ok(()) } else { self.sink.put(batch) }
    }

    fn fail(&mut self, error: Error) -> Result<()> {
        let path = self.path.clone();
        self.push(Item::Failed { path, error })
    }

    /// One object of any kind, looked at no earlier than `looked_at`. `self.path` is its path.
    fn object(
        &mut self,
        dir: &Arc<OpenDir>,
        name: &CStr,
        stat: &Stat,
        looked_at: Time,
        old: Option<Child>,
        place: &Place,
    ) -> Result<()> {
        if stat.kind == Kind::Dir {
            return self.directory(dir, name, stat, place);
        }
        let inode = InodeKey { region: place.region, ino: stat.ino };
        let linked = (stat.nlink > 1).then_some(inode);
        let stamp = stamp_of(stat, looked_at);
        let change = if old.is_some() { Change::Changed } else { Change::New };
        if let Some(child) = old
            && child.stamp == stamp
            && stamp.ino != 0
            && (self.context.reusable)(&child.entry)
        {
            let file_bytes = (stat.kind == Kind::File).then_some(stat.size_bytes);
            let leaf = Leaf { name: child.name, stamp, entry: child.entry, file_bytes, change: Change::Same, linked };
            return self.push(Item::Leaf(Box::new(leaf)));
        }
        if stat.kind == Kind::File {
            return self.file(dir, name, stat, linked, change);
        }
        match self.special(dir, name, stat) {
            Ok(entry) => {
                let name = name.to_bytes().to_vec();
                let leaf = Leaf { name, stamp, entry: entry.encode_onto(Vec::new()), file_bytes: None, change, linked };
                self.push(Item::Leaf(Box::new(leaf)))
            }
            Err(error) => self.fail(Error::io("read", self.path.clone(), error)),
        }
    }

    fn special(&self, dir: &Arc<OpenDir>, name: &CStr, stat: &Stat) -> io::Result<Entry> {
        let fd = dir.fd.as_fd();
        let node = match stat.kind {
            Kind::Symlink => Node::Symlink(readlink_at(fd, name)?),
            Kind::Fifo => Node::Fifo,
            Kind::Socket => Node::Socket,
            Kind::Char => Node::Char(stat.rdev.0, stat.rdev.1),
            Kind::Block => Node::Block(stat.rdev.0, stat.rdev.1),
            Kind::File | Kind::Dir => return Err(io::ErrorKind::InvalidInput.into()),
        };
        let xattrs = xattrs_path(fd, name)?;
        Ok(entry_of(self.entry_name(name), stat, node, xattrs, self.context.read.owners))
    }

    /// The name of `/` itself, which has none, is a stand-in: the assembler empties the names of roots.
    fn entry_name<'n>(&self, name: &'n CStr) -> &'n [u8] {
        match name.to_bytes() {
            b"." => b"root",
            other => other,
        }
    }

    fn file(
        &mut self,
        dir: &Arc<OpenDir>,
        name: &CStr,
        stat: &Stat,
        linked: Option<InodeKey>,
        change: Change,
    ) -> Result<()> {
        let job = |remember| {
            let (dir, name) = (Arc::clone(dir), name.to_owned());
            Box::new(ReadJob { dir, name, size_bytes: stat.size_bytes, remember, change })
        };
        let mut remember = None;
        if let Some(inode) = linked {
            if let Some(left) = self.links.get_mut(&inode) {
                *left -= 1;
                let last = *left == 0;
                if last {
                    self.links.remove(&inode);
                }
                return self.push(Item::Again { job: job(Some(inode)), inode, last });
            }
            if self.links.len() < LINKS_MAX {
                self.links.insert(inode, stat.nlink - 1);
                remember = Some(inode);
            }
        }
        if stat.size_bytes > LARGE_BYTES {
            return self.large_file(dir, name, remember, change);
        }
        self.batch.weight_bytes += stat.size_bytes as usize;
        self.push(Item::Read(job(remember)))
    }

    fn large_file(
        &mut self,
        dir: &Arc<OpenDir>,
        name: &CStr,
        remember: Option<InodeKey>,
        change: Change,
    ) -> Result<()> {
        let looked_at = Time::now();
        let opened = open_file_at(dir.fd.as_fd(), name).and_then(|file| stat_fd(file.as_fd()).map(|stat| (file, stat)));
        let (file, stat) = match opened {
            Ok((file, stat)) if stat.kind == Kind::File => (file, stat),
            Ok(_) => {
                let error = io::Error::other("it was replaced by something else while the folder was read");
                return self.fail(Error::io("read", self.path.clone(), error));
            }
            Err(error) => return self.fail(Error::io("read", self.path.clone(), error)),
        };
        // It is read once, from front to back.
        let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Sequential);
        self.flush()?;
        let path = self.path.clone();
        let sink = &mut self.sink;
        let mut emit = |data: Vec<u8>, pieces| {
            let weight_bytes = data.len();
            sink.put(Batch { items: vec![Item::Part(pieces)], data, weight_bytes })
        };
        let read = self.context.read;
        match read.read_large(&file, name.to_bytes(), &stat, looked_at, &path, remember, change, &mut emit) {
            Ok(done) => self.push(Item::PartsEnd(Box::new(done))),
            Err(error @ Error::Io { .. }) => {
                self.push(Item::PartsFailed)?;
                self.fail(error)
            }
            Err(error) => Err(error),
        }
    }

    fn directory(&mut self, parent: &Arc<OpenDir>, name: &CStr, stat: &Stat, place: &Place) -> Result<()> {
        if place.depth > limits::DIRECTORY_DEPTH {
            let error = io::Error::other("folders are nested too deeply");
            return self.fail(Error::io("read", self.path.clone(), error));
        }
        let looked_at = Time::now();
        let opened = open_dir_at(parent.fd.as_fd(), name);
        let read = opened.and_then(|fd| {
            let xattrs = xattrs_fd(fd.as_fd())?;
            let names = read_names(fd.as_fd())?;
            Ok((fd, xattrs, names))
        });
        let (fd, xattrs, names) = match read {
            Ok(read) => read,
            Err(error) => return self.fail(Error::io("read", self.path.clone(), error)),
        };
        let mut entry =
            entry_of(self.entry_name(name), stat, Node::Dir(Default::default()), xattrs, self.context.read.owners);
        let crossed = stat.dev != place.dev;
        if crossed {
            entry.boundary = Some(boundary_of(&fd, stat));
        }
        let region = if crossed { region_of(&self.path) } else { place.region };
        let here = Place { region, dev: stat.dev, depth: place.depth + 1 };
        let key = DirKey { region, ino: stat.ino };
        let cache = self.context.excludes.leaves_out_caches() && is_cache_dir(fd.as_fd());
        let left_out = crossed && self.context.excludes.one_file_system();
        self.push(Item::Enter(key))?;
        let dir = Arc::new(OpenDir { fd, path: self.path.clone() });
        let mut old = Remembered { view: self.context.memory, key, ahead: VecDeque::new(), records: Vec::new() };
        if !left_out {
            for child in names.iter() {
                if cache && child.name.to_bytes() != CACHE_TAG_NAME.as_bytes() {
                    continue;
                }
                self.path.push(OsStr::from_bytes(child.name.to_bytes()));
                let done = self.child(&dir, child.name, &mut old, &here);
                self.path.pop();
                done?;
            }
        }
        let stamp = stamp_of(stat, looked_at);
        let old_records = old.finish()?;
        self.push(Item::Leave(Box::new(DirEnd { entry, stamp, old_records })))
    }

    fn child(&mut self, dir: &Arc<OpenDir>, name: &CStr, old: &mut Remembered<'_>, here: &Place) -> Result<()> {
        let looked_at = Time::now();
        let stat = match stat_at(dir.fd.as_fd(), name) {
            Ok(stat) => stat,
            // Removed since the folder was read: as if it had never been there.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return self.fail(Error::io("read", self.path.clone(), error)),
        };
        let excludes = self.context.excludes;
        let is_dir = stat.kind == Kind::Dir;
        if (excludes.has_patterns() && excludes.matches(&self.path, is_dir))
            || (stat.kind == Kind::File && excludes.is_too_large(stat.size_bytes))
        {
            return Ok(());
        }
        let old = if is_dir { None } else { old.find(name.to_bytes())? };
        self.object(dir, name, &stat, looked_at, old, here)
    }
}

/// Btrfs gives the root of every subvolume the inode number 256.
fn boundary_of(fd: &OwnedFd, stat: &Stat) -> Boundary {
    const BTRFS_SUPER_MAGIC: i64 = 0x9123_683e;
    let btrfs = rustix::fs::fstatfs(fd).is_ok_and(|s| s.f_type == BTRFS_SUPER_MAGIC);
    if btrfs && stat.ino == 256 { Boundary::Subvolume } else { Boundary::FileSystem }
}
