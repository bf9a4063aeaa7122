//! The ordinary source: a sorted walk. What looks as it did is not read.

use super::btrfs::{Delta, ROOT_INO, STUB_INO, is_btrfs};
use super::items::{Batch, Change, DirEnd, InodeKey, Item, Leaf, OpenDir, Sink};
use super::meta::{Kind, Stat, file_clock, open_dir_at, readlink_at, stat_at};
use super::names::{Name, read_names, read_names_and_inodes};
use super::overlay::{Overlay, Overlays, SnapshotView};
use super::read::{ReadContext, entry_of, flags_of, stamp_of};
use super::shares::Shares;
use super::snapshot_folder::FOLDER;
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

/// A batch is handed on when it expects so much data …
const BATCH_BYTES: usize = 1 << 20;
/// … or has so many items.
const BATCH_ITEMS: usize = 512;
/// What an item takes of memory, about.
const ITEM_BYTES: usize = 1 << 10;

/// What a walk needs to know.
pub struct WalkContext<'a> {
    /// Reads files.
    pub read: &'a ReadContext<'a>,
    /// What is left out.
    pub excludes: &'a Excludes,
    /// What is remembered; none to read everything.
    pub memory: Option<&'a DirView>,
    /// Whether what is remembered of an object can be used again.
    pub reusable: &'a (dyn Fn(InodeKey, &Child) -> bool + Sync),
    /// What is read in place of what lies at some paths.
    pub overlays: &'a Overlays,
}

/// A walk over several roots.
pub struct Walk<'a, S> {
    pub(super) context: &'a WalkContext<'a>,
    pub(super) sink: S,
    pub(super) batch: Batch,
    pub(super) path: PathBuf,
    pub(super) links: HashMap<InodeKey, u64>,
    pub(super) included: HashMap<(u64, u64), bool>,
    pub(super) shares: Shares,
}

/// Where in the tree the walk is.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub region: u64,
    dev: (u32, u32),
    depth: usize,
    pub snapshot: Option<&'a SnapshotView>,
    /// Whether this lay elsewhere, or was not there, when the parent was backed up.
    pub is_moved: bool,
    /// Whether what is remembered describes the parent snapshot: not of what was left out then.
    pub was_included: bool,
    /// Whether it is the root of a Btrfs subvolume.
    is_subvolume: bool,
}

impl<'a> Place<'a> {
    fn live(region: u64, dev: (u32, u32)) -> Self {
        Self { region, dev, depth: 0, snapshot: None, is_moved: false, was_included: false, is_subvolume: false }
    }

    pub fn delta(&self) -> Option<&'a Delta> {
        self.snapshot.filter(|_| self.was_included).and_then(|snapshot| snapshot.delta.as_deref())
    }
}

/// One name.
#[derive(Clone, Copy)]
pub(super) struct At<'n> {
    pub dir: &'n Arc<OpenDir>,
    pub name: &'n CStr,
    /// The name that the snapshot gives it.
    pub shown: &'n CStr,
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
            Some(found) => {
                self.records.push(found.first_name);
                self.ahead = found.children.into();
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
        Self {
            context,
            sink,
            batch: Batch::default(),
            path: PathBuf::new(),
            links: HashMap::new(),
            included: HashMap::new(),
            shares: Shares::default(),
        }
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
        if let Some(overlay) = self.context.overlays.at(root) {
            return self.overlaid(overlay, c"root", true, 0);
        }
        let io = |e: io::Error| Error::io("read", root, e);
        let (parent, name) = match (root.parent(), root.file_name()) {
            (Some(parent), Some(name)) => (parent, CString::new(name.as_bytes()).map_err(|e| io(e.into()))?),
            _ => (root, CString::from(c".")),
        };
        let parent =
            Arc::new(OpenDir { fd: OwnedFd::from(std::fs::File::open(parent).map_err(io)?), path: parent.to_owned() });
        let looked_at = file_clock();
        let stat = stat_at(parent.fd.as_fd(), &name).map_err(io)?;
        let place = Place::live(region_of(root), stat.dev);
        // A root has no name in the format, and nothing is remembered of it: only of what it contains.
        let at = At { dir: &parent, name: &name, shown: shown(&name) };
        self.object(at, &stat, looked_at, None, &place)
    }

    /// What is read in place of what lies at `self.path`.
    fn overlaid(&mut self, overlay: &'a Overlay, shown: &CStr, is_root: bool, depth: usize) -> Result<()> {
        let snapshot = overlay.snapshot.as_ref();
        let looked_at = snapshot.map_or_else(file_clock, |snapshot| snapshot.taken);
        let stat = match stat_at(overlay.dir.fd.as_fd(), &overlay.name) {
            Ok(stat) => stat,
            Err(error) => return self.fail(Error::io("read", self.path.clone(), error)),
        };
        let was_included = snapshot.is_some_and(|snapshot| snapshot.parent_roots.contains(&stat.ino));
        let place = Place { depth, snapshot, was_included, ..Place::live(overlay.region, stat.dev) };
        let at = At { dir: &overlay.dir, name: &overlay.name, shown };
        if stat.kind != Kind::Dir {
            return self.object(at, &stat, looked_at, None, &place);
        }
        self.directory(at, &stat, &place, if is_root { None } else { overlay.boundary })
    }

    pub(super) fn push(&mut self, item: Item) -> Result<()> {
        self.batch.weight_bytes += ITEM_BYTES;
        self.batch.items.push(item);
        if self.batch.items.len() >= BATCH_ITEMS || self.batch.weight_bytes >= BATCH_BYTES {
            self.flush()
        } else {
            Ok(())
        }
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.batch);
        if batch.items.is_empty() { Ok(()) } else { self.sink.put(batch) }
    }

    pub(super) fn fail(&mut self, error: Error) -> Result<()> {
        let path = self.path.clone();
        self.push(Item::Failed { path, error })
    }

    /// One object of any kind, looked at no earlier than `looked_at`. `self.path` is its path.
    fn object(
        &mut self,
        at: At<'_>,
        stat: &Stat,
        looked_at: Time,
        old: Option<Child>,
        place: &Place<'a>,
    ) -> Result<()> {
        if stat.kind == Kind::Dir {
            return self.directory(at, stat, place, None);
        }
        let inode = InodeKey { region: place.region, ino: stat.ino };
        let stamp = stamp_of(stat, looked_at);
        let change = if old.is_some() { Change::Changed } else { Change::New };
        // What the tree says has changed may look as it did: two changes within a tick of the clock.
        let may_look_the_same = place.delta().is_none_or(|delta| !delta.is_changed(stat.ino));
        if let Some(child) = &old
            && may_look_the_same
            && child.stamp == stamp
            && stamp.ino != 0
            && (self.context.reusable)(inode, child)
        {
            let file_bytes = (stat.kind == Kind::File).then_some(stat.size_bytes);
            let Some(Child { name, entry, totals, .. }) = old else { return Ok(()) };
            let leaf = Leaf { name, stamp, entry, inode, file_bytes, change: Change::Same, totals };
            return self.push(Item::Leaf(Box::new(leaf)));
        }
        if stat.kind == Kind::File {
            return self.file(at, stat, inode, change, place);
        }
        match self.special(at, stat) {
            Ok(entry) => {
                let (name, entry) = (at.shown.to_bytes().to_vec(), entry.encode_onto(Vec::new()));
                let leaf = Leaf { name, stamp, entry, inode, file_bytes: None, change, totals: None };
                self.push(Item::Leaf(Box::new(leaf)))
            }
            Err(error) => self.fail(Error::io("read", self.path.clone(), error)),
        }
    }

    fn special(&self, at: At<'_>, stat: &Stat) -> io::Result<Entry> {
        let (fd, name) = (at.dir.fd.as_fd(), at.name);
        let node = match stat.kind {
            Kind::Symlink => Node::Symlink(readlink_at(fd, name)?),
            Kind::Fifo => Node::Fifo,
            Kind::Socket => Node::Socket,
            Kind::Char => Node::Char(stat.rdev.0, stat.rdev.1),
            Kind::Block => Node::Block(stat.rdev.0, stat.rdev.1),
            Kind::File | Kind::Dir => return Err(io::ErrorKind::InvalidInput.into()),
        };
        let xattrs = xattrs_path(fd, name)?;
        Ok(entry_of(at.shown.to_bytes(), stat, node, xattrs, self.context.read.owners))
    }

    fn directory(&mut self, at: At<'_>, stat: &Stat, place: &Place<'a>, boundary: Option<Boundary>) -> Result<()> {
        if place.depth > limits::DIRECTORY_DEPTH {
            let error = io::Error::other("folders are nested too deeply");
            return self.fail(Error::io("read", self.path.clone(), error));
        }
        let looked_at = place.snapshot.map_or_else(file_clock, |snapshot| snapshot.taken);
        let opened = open_dir_at(at.dir.fd.as_fd(), at.name);
        let read = opened.and_then(|fd| {
            let xattrs = xattrs_fd(fd.as_fd())?;
            let with_inodes = place.delta().is_some();
            let names = if with_inodes { read_names_and_inodes(fd.as_fd())? } else { read_names(fd.as_fd())? };
            Ok((fd, xattrs, names))
        });
        let (fd, xattrs, names) = match read {
            Ok(read) => read,
            Err(error) => return self.fail(Error::io("read", self.path.clone(), error)),
        };
        let flags = flags_of(fd.as_fd(), &xattrs);
        let shown = at.shown.to_bytes();
        let mut entry = entry_of(shown, stat, Node::Dir(Default::default()), xattrs, self.context.read.owners);
        let crossed = stat.dev != place.dev;
        (entry.flags, entry.boundary) = (flags, boundary);
        if crossed {
            entry.boundary = Some(boundary_of(&fd, stat));
        }
        let region = if crossed { region_of(&self.path) } else { place.region };
        let is_subvolume = stat.ino == ROOT_INO && is_btrfs(fd.as_fd());
        let here = Place { region, dev: stat.dev, depth: place.depth + 1, is_subvolume, ..*place };
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
                let done = self.child(&dir, child, &mut old, &here);
                self.path.pop();
                done?;
            }
        }
        let stamp = stamp_of(stat, looked_at);
        let old_records = old.finish()?;
        self.push(Item::Leave(Box::new(DirEnd { entry, stamp, old_records })))
    }

    fn child(&mut self, dir: &Arc<OpenDir>, found: Name<'_>, old: &mut Remembered<'_>, here: &Place<'a>) -> Result<()> {
        let name = found.name;
        let excludes = self.context.excludes;
        if here.is_subvolume && name.to_bytes() == FOLDER.as_bytes() {
            // The program's own snapshots.
            return Ok(());
        }
        if let Some(overlay) = self.context.overlays.at(&self.path) {
            if excludes.has_patterns() && excludes.matches(&self.path, true) {
                return Ok(());
            }
            return self.overlaid(overlay, name, false, here.depth);
        }
        let old = old.find(name.to_bytes())?;
        let mut is_moved = here.is_moved;
        if let (Some(delta), Some(ino)) = (here.delta(), found.ino) {
            match &old {
                Some(child) if child.stamp.ino == ino => {
                    if let Some(leaf) = self.unchanged(delta, child, here) {
                        return self.push(Item::Leaf(Box::new(leaf)));
                    }
                }
                // It was elsewhere, or not at all, or what it looked like is not trusted.
                _ => is_moved = true,
            }
        }
        let looked_at = here.snapshot.map_or_else(file_clock, |snapshot| snapshot.taken);
        let stat = match stat_at(dir.fd.as_fd(), name) {
            Ok(stat) => stat,
            // Removed since the folder was read: as if it had never been there.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return self.fail(Error::io("read", self.path.clone(), error)),
        };
        let is_dir = stat.kind == Kind::Dir;
        if (excludes.has_patterns() && excludes.matches(&self.path, is_dir))
            || (stat.kind == Kind::File && excludes.is_too_large(stat.size_bytes))
        {
            return Ok(());
        }
        if is_dir && here.snapshot.is_some() && stat.ino == STUB_INO {
            return self.stub(name, &stat, here);
        }
        let mut was_included = here.was_included;
        if let (true, Some(delta)) = (is_moved && is_dir, here.delta()) {
            was_included = self.was_included(delta, here, stat.ino)?;
        }
        let old = old.filter(|old| !is_dir && old.totals.is_none_or(|totals| !totals.is_dir()));
        self.object(At { dir, name, shown: name }, &stat, looked_at, old, &Place { is_moved, was_included, ..*here })
    }
}

/// The name of `/` itself, which has none, is a stand-in: the assembler empties the names of roots.
fn shown(name: &CStr) -> &CStr {
    if name == c"." { c"root" } else { name }
}

/// Btrfs gives the root of every subvolume the inode number 256.
fn boundary_of(fd: &OwnedFd, stat: &Stat) -> Boundary {
    const BTRFS_SUPER_MAGIC: i64 = 0x9123_683e;
    let btrfs = rustix::fs::fstatfs(fd).is_ok_and(|s| s.f_type == BTRFS_SUPER_MAGIC);
    if btrfs && stat.ino == 256 { Boundary::Subvolume } else { Boundary::FileSystem }
}
