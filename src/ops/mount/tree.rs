//! The tree that is mounted, without anything of FUSE: inode numbers to attributes, names, entries and bytes.

use super::layout::{Fixed, Layout};
use super::links::LinkCounts;
use super::nodes::{Found, Nodes};
use crate::error::{Error, Result};
use crate::format::entry::{Entry, Node};
use crate::format::time::Time;
use crate::ops::Progress;
use crate::ops::view::folders::{Chunk, Folder, Folders, Halves, Spot};
use crate::repo::reader::BlobReader;
use crate::repo::snapshots::Snapshot;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// What folders in pieces may take in memory, and up to twice that.
const FOLDER_BYTES: u64 = 16 << 20;

/// So many different things are complained of.
const SAID: usize = 1_000;

/// An object, however it is kept.
#[derive(Clone, Debug)]
pub enum Object {
    /// One of a snapshot: a blob's entries, and which of them.
    In(Chunk, usize),
    /// A root of a snapshot, or a stand-in for what only leads to them.
    Own(Arc<Entry>),
}

impl Object {
    /// Its entry.
    pub fn entry(&self) -> Option<&Entry> {
        match self {
            Self::In(chunk, at) => chunk.get(*at),
            Self::Own(entry) => Some(entry),
        }
    }
}

/// A child of a folder.
pub struct Child {
    /// Its inode number.
    pub ino: u64,
    /// Its name.
    pub name: Vec<u8>,
    /// It.
    pub object: Object,
    /// How many names it has.
    pub nlink: u32,
}

/// A folder that is being listed.
pub struct Listing {
    ino: u64,
    folder: Option<(Arc<Folder>, u64)>,
}

/// The whole tree.
pub struct Tree {
    folders: Folders<'static>,
    snapshots: Vec<Snapshot>,
    layout: Layout,
    nodes: Nodes,
    opened: Halves<u64, Arc<Folder>>,
    counts: Vec<OnceLock<LinkCounts>>,
    /// Of folders with a boundary: the snapshot and the path there.
    regions: Mutex<HashMap<u64, (usize, Vec<u8>)>>,
    progress: Arc<dyn Progress + Send>,
    /// What was said already.
    said: Mutex<HashSet<String>>,
}

impl Tree {
    /// The tree of these snapshots.
    pub fn new(
        reader: BlobReader<'static>,
        snapshots: Vec<Snapshot>,
        layout: Layout,
        progress: Arc<dyn Progress + Send>,
    ) -> Self {
        Self {
            folders: Folders::new(reader),
            counts: snapshots.iter().map(|_| OnceLock::new()).collect(),
            snapshots,
            nodes: Nodes::new(layout.all.len() as u64 + 1),
            layout,
            opened: Halves::new(FOLDER_BYTES),
            regions: Mutex::default(),
            progress,
            said: Mutex::default(),
        }
    }

    /// The reader.
    pub fn reader(&self) -> &BlobReader<'static> {
        self.folders.reader()
    }

    /// Tells the person that something could not be read.
    pub fn complain(&self, error: &Error) {
        let what = crate::ops::in_words(error);
        let said = &mut *self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() < SAID && !said.contains(&what) {
            self.progress.warn(&what);
            said.insert(what);
        }
    }

    fn fixed(&self, ino: u64) -> Option<&Fixed> {
        self.layout.all.get(usize::try_from(ino.checked_sub(1)?).ok()?)
    }

    /// The object of an inode number, and how many names it has; nothing for a number that nobody was told.
    ///
    /// # Errors
    /// What is wrong with the blob in which it is.
    pub fn object(&self, ino: u64) -> Result<Option<(Object, u32)>> {
        if let Some(fixed) = self.fixed(ino) {
            return Ok(Some((stand_in(fixed), 1)));
        }
        let Some(node) = self.nodes.get(ino) else { return Ok(None) };
        let object = self.object_at(&node.spot)?;
        let nlink = self.nlink(&object, node.region);
        Ok(Some((object, nlink)))
    }

    fn object_at(&self, spot: &Spot) -> Result<Object> {
        Ok(Object::In(self.folders.chunk(&spot.record)?, spot.at as usize))
    }

    /// The folder above; the top is above itself.
    pub fn parent(&self, ino: u64) -> u64 {
        match self.fixed(ino) {
            Some(Fixed::Folder { parent, .. } | Fixed::Root { parent, .. }) => *parent as u64 + 1,
            Some(Fixed::Link { .. }) => 1,
            None => self.nodes.get(ino).map_or(1, |node| node.parent),
        }
    }

    /// The kernel holds a number so many times less.
    pub fn forget(&self, ino: u64, times: u64) {
        self.nodes.forget(ino, times);
    }

    /// The folder in pieces, and the number that stands for its region; nothing if it is none of a snapshot.
    fn folder(&self, ino: u64) -> Result<Option<(Arc<Folder>, u64)>> {
        let Some((object, _)) = self.object(ino)? else { return Ok(None) };
        let Some(Entry { node: Node::Dir(root), boundary, .. }) = object.entry() else { return Ok(None) };
        let region = match (self.fixed(ino), boundary) {
            (Some(Fixed::Root { .. }), _) | (None, Some(_)) => ino,
            (None, None) => self.nodes.get(ino).map_or(ino, |node| node.region),
            (Some(_), _) => return Ok(None),
        };
        let folder = self.opened.get(&ino, || {
            let folder = self.folders.open(root)?;
            let weight = folder.weight_bytes();
            Ok((Arc::new(folder), weight))
        })?;
        Ok(Some((folder, region)))
    }

    /// The child of a folder. The kernel holds its number once more.
    ///
    /// # Errors
    /// What is wrong with the folder.
    pub fn child(&self, ino: u64, name: &[u8]) -> Result<Option<Child>> {
        if let Some(Fixed::Folder { .. }) = self.fixed(ino) {
            let found = self.layout.child(ino as usize - 1, name);
            return Ok(found.and_then(|number| self.fixed_child(name, number)));
        }
        let Some((folder, region)) = self.folder(ino)? else { return Ok(None) };
        let Some((position, spot)) = self.folders.find(&folder, name)? else { return Ok(None) };
        let object = self.object_at(&spot)?;
        self.told(object, Found { spot, parent: ino, position, region, link: None }).map(Some)
    }

    /// What it takes to list a folder.
    ///
    /// # Errors
    /// What is wrong with the folder.
    pub fn listing(&self, ino: u64) -> Result<Listing> {
        let folder = if self.fixed(ino).is_some_and(|fixed| matches!(fixed, Fixed::Folder { .. })) {
            None
        } else {
            self.folder(ino)?
        };
        Ok(Listing { ino, folder })
    }

    /// The child at a position of a folder, counted from 0; nothing behind the last one. The kernel holds its number once more.
    ///
    /// # Errors
    /// What is wrong with the folder.
    pub fn child_at(&self, listing: &Listing, position: u64) -> Result<Option<Child>> {
        let ino = listing.ino;
        if let Some(Fixed::Folder { children, .. }) = self.fixed(ino) {
            let found = children.iter().nth(usize::try_from(position).unwrap_or(usize::MAX));
            return Ok(found.and_then(|(name, number)| self.fixed_child(name, *number)));
        }
        let Some((folder, region)) = &listing.folder else { return Ok(None) };
        let (folder, region) = (folder, *region);
        let Some((chunk, spot)) = self.folders.at(folder, position)? else { return Ok(None) };
        let object = Object::In(chunk, spot.at as usize);
        self.told(object, Found { spot, parent: ino, position, region, link: None }).map(Some)
    }

    fn fixed_child(&self, name: &[u8], number: usize) -> Option<Child> {
        let object = stand_in(self.layout.all.get(number)?);
        Some(Child { ino: number as u64 + 1, name: name.to_vec(), object, nlink: 1 })
    }

    fn told(&self, object: Object, found: Found) -> Result<Child> {
        let gone = || Error::Missing("an entry of a folder".into());
        let entry = object.entry().ok_or_else(gone)?;
        let link = entry.link.map(|link| (link, entry.kind() as u8));
        let ino = self.nodes.number(&Found { link, ..found });
        if entry.boundary.is_some() {
            let region = self.region(found.parent, &entry.name);
            self.regions.lock().unwrap_or_else(PoisonError::into_inner).insert(ino, region);
        }
        let (name, nlink) = (entry.name.clone(), self.nlink(&object, found.region));
        Ok(Child { ino, name, object, nlink })
    }

    /// The snapshot in which a child of `parent` is, and its path there.
    fn region(&self, parent: u64, name: &[u8]) -> (usize, Vec<u8>) {
        let mut names = vec![name.to_vec()];
        let mut at = parent;
        loop {
            if let Some(fixed) = self.fixed(at) {
                let Fixed::Root { snapshot, path, .. } = fixed else { return (0, Vec::new()) };
                let mut path = path.strip_suffix(b"/").unwrap_or(path).to_vec();
                for name in names.iter().rev() {
                    path.push(b'/');
                    path.extend_from_slice(name);
                }
                return (*snapshot, path);
            }
            let Some(node) = self.nodes.get(at) else { return (0, Vec::new()) };
            if let Some(entry) = self.object_at(&node.spot).ok().as_ref().and_then(Object::entry) {
                names.push(entry.name.clone());
            }
            at = node.parent;
        }
    }

    /// How many names an object has. The first one of a snapshot that has several makes a walk through the snapshot.
    fn nlink(&self, object: &Object, region: u64) -> u32 {
        let Some((link, kind)) = object.entry().and_then(|entry| Some((entry.link?, entry.kind()))) else { return 1 };
        let place = match self.fixed(region) {
            Some(Fixed::Root { snapshot, path, .. }) => (*snapshot, path.clone()),
            _ => {
                let regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(found) = regions.get(&region) else { return 2 };
                found.clone()
            }
        };
        let (Some(counts), Some(snapshot)) = (self.counts.get(place.0), self.snapshots.get(place.0)) else { return 2 };
        let counted = counts.get_or_init(|| {
            let counted = LinkCounts::new(self.reader(), snapshot);
            counted.unwrap_or_else(|error| {
                self.complain(&error);
                LinkCounts::default()
            })
        });
        counted.count(&place.1, link, kind)
    }
}

/// An entry for what is no part of a snapshot; the entry of a root.
fn stand_in(fixed: &Fixed) -> Object {
    let (node, mode, mtime) = match fixed {
        Fixed::Root { entry, .. } => return Object::Own(Arc::new((**entry).clone())),
        Fixed::Folder { time, .. } => (Node::Dir(Default::default()), 0o555, *time),
        Fixed::Link { target, time } => (Node::Symlink(target.clone()), 0o777, *time),
    };
    Object::Own(Arc::new(plain(node, mode, mtime)))
}

fn plain(node: Node, mode: u32, mtime: Time) -> Entry {
    let uid = rustix::process::getuid().as_raw();
    let gid = rustix::process::getgid().as_raw();
    Entry {
        name: Vec::new(),
        node,
        mode,
        uid,
        gid,
        user: None,
        group: None,
        mtime,
        btime: None,
        xattrs: Vec::new(),
        link: None,
        flags: 0,
        boundary: None,
    }
}
