//! What changed between two snapshots, from their trees.
//!
//! The rule, in short. An inode can only have changed if its item was written in or after the transaction in which the two
//! snapshots had their last state in common; neither a block's transaction (it moves with the neighbours) nor that of an
//! extent (a reflink keeps it, a punched hole has none) says so. What is in a changed file is found by comparing extents.

use super::items::{InodeItem, Key, LAST_INO, kind, parse_names};
use super::record::{ParentRecord, Refused, Which, branch, settled};
use super::subvol::{ROOT_INO, SubvolInfo, fs_info, is_subvolume_root, subvol_info};
use super::tree::{Cursor, SCAN_BYTES, Tree};
use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What changed between a snapshot that was backed up and a later one. Holds both open, so that their trees stay.
#[derive(Debug)]
pub struct Delta {
    parent: OwnedFd,
    new: OwnedFd,
    parent_info: SubvolInfo,
    new_info: SubvolInfo,
    pub(super) since: u64,
    pub(super) sector_bytes: u64,
    /// Which file system.
    pub(super) fs: u64,
    /// Sorted.
    changed: Vec<u64>,
    dirty: HashSet<u64>,
}

/// How the two snapshots are, compared with when the delta was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// As they were.
    Same,
    /// One was deleted; its tree stayed whole because it was held open, so all answers were right.
    Deleted(Which),
    /// One was written to: what was answered meanwhile cannot be relied upon.
    Changed(Which),
}

impl Standing {
    /// Whether the answers hold.
    pub fn is_valid(self) -> bool {
        !matches!(self, Self::Changed(_))
    }
}

impl Delta {
    /// Compares `new` with `parent`, both the roots of read-only snapshots, if the parent is what `record` says and the new
    /// one descends from it. Reads the new tree's blocks that were written since; keeps the numbers of changed inodes.
    ///
    /// # Errors
    /// Those of ioctl(2), open errors of the disk, `InvalidData` if an item makes no sense.
    pub fn open(parent: OwnedFd, new: OwnedFd, record: &ParentRecord) -> io::Result<Result<Self, Refused>> {
        for (fd, which) in [(&parent, Which::Parent), (&new, Which::New)] {
            if !is_subvolume_root(fd.as_fd()) {
                return Ok(Err(Refused::NotSubvolume(which)));
            }
        }
        let infos = match (settled(parent.as_fd()), settled(new.as_fd())) {
            (Ok(parent), Ok(new)) => (parent, new),
            (Err(error), _) => return refused_or(error, Which::Parent),
            (_, Err(error)) => return refused_or(error, Which::New),
        };
        if let Err(refused) = check(record, &infos.0, &infos.1) {
            return Ok(Err(refused));
        }
        let scanned = branch(new.as_fd(), &infos.0, &infos.1).and_then(|since| match since {
            Ok(since) => Self::scan(parent, new, infos, since).map(Ok),
            Err(refused) => Ok(Err(refused)),
        });
        scanned.or_else(|error| refused_or(error, Which::New))
    }

    fn scan(parent: OwnedFd, new: OwnedFd, infos: (SubvolInfo, SubvolInfo), since: u64) -> io::Result<Self> {
        let info = fs_info(new.as_fd())?;
        let (sector_bytes, fs) = (u64::from(info.sector_bytes.max(1)), info.fsid.short());
        let mut found = Found::default();
        let tree = Tree(new.as_fd());
        let first = Key { object: ROOT_INO, kind: 0, offset: 0 };
        let last = Key { object: LAST_INO, kind: u8::MAX, offset: u64::MAX };
        let mut cursor = Cursor::new(new.as_fd(), first..=last, since, SCAN_BYTES);
        let mut open: Option<Candidate> = None;
        while let Some(item) = cursor.next()? {
            match item.key.kind {
                kind::INODE_ITEM => {
                    found.take(tree, open.take())?;
                    let inode = InodeItem::parse(item.data)?;
                    // An inode without names is not in the snapshot: it was open when it was removed.
                    if inode.transid >= since && inode.nlink > 0 {
                        let ino = item.key.object;
                        open = Some(Candidate { ino, is_dir: is_dir(&inode), missing: inode.nlink, dirs: Vec::new() });
                    }
                }
                kind::INODE_REF | kind::INODE_EXTREF => {
                    if let Some(open) = open.as_mut().filter(|open| open.ino == item.key.object) {
                        for name in parse_names(&item)? {
                            open.missing = open.missing.saturating_sub(1);
                            open.dirs.push(name.dir_ino);
                        }
                    }
                }
                _ => {}
            }
        }
        found.take(tree, open)?;
        let Found { mut changed, mut dirty } = found;
        changed.shrink_to_fit();
        dirty.shrink_to_fit();
        let (parent_info, new_info) = infos;
        Ok(Self { parent, new, parent_info, new_info, since, sector_bytes, fs, changed, dirty })
    }

    /// Whether anything of the inode may differ: its metadata, names, extended attributes or content.
    pub fn is_changed(&self, ino: u64) -> bool {
        self.changed.binary_search(&ino).is_ok()
    }

    /// Whether the directory, or anything at any depth below it, may differ. What lies in nested subvolumes does not count.
    pub fn is_dirty_dir(&self, ino: u64) -> bool {
        self.dirty.contains(&ino)
    }

    /// How many inodes may differ.
    pub fn changed_count(&self) -> usize {
        self.changed.len()
    }

    /// The inodes that may differ, ascending.
    pub fn changed(&self) -> &[u64] {
        &self.changed
    }

    /// Whether the same inode (not another with its number) was in the parent snapshot under some name.
    ///
    /// # Errors
    /// Those of the search.
    pub fn was_there(&self, ino: u64) -> io::Result<bool> {
        Ok(self.both(ino)?.is_some())
    }

    /// The inode in both, if it is the same and has names in both.
    pub(super) fn both(&self, ino: u64) -> io::Result<Option<(InodeItem, InodeItem)>> {
        let Some(old) = self.parent_tree().inode(ino)?.filter(|inode| inode.nlink > 0) else { return Ok(None) };
        let new = self.new_tree().inode(ino)?.filter(|inode| inode.nlink > 0 && inode.generation == old.generation);
        Ok(new.map(|new| (old, new)))
    }

    /// The names that the inode with this number had in the parent snapshot, with the inode numbers of their folders.
    ///
    /// # Errors
    /// Those of the search.
    pub fn old_names(&self, ino: u64) -> io::Result<Vec<(u64, Vec<u8>)>> {
        Ok(self.parent_tree().names(ino)?.into_iter().map(|name| (name.dir_ino, name.name)).collect())
    }

    /// Looks at both snapshots again. To be asked after the last file was read, before anything is published.
    ///
    /// # Errors
    /// Those of ioctl(2).
    pub fn standing(&self) -> io::Result<Standing> {
        let mut standing = Standing::Same;
        for (fd, was, which) in
            [(&self.parent, &self.parent_info, Which::Parent), (&self.new, &self.new_info, Which::New)]
        {
            match subvol_info(fd.as_fd()) {
                // Its generation moves without a change.
                Ok(now) if (now.ctransid, now.read_only) == (was.ctransid, true) => {}
                Ok(_) => return Ok(Standing::Changed(which)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => standing = Standing::Deleted(which),
                Err(error) => return Err(error),
            }
        }
        Ok(standing)
    }

    /// Whether all answers since it was opened hold; as [`Delta::standing`].
    ///
    /// # Errors
    /// Those of ioctl(2).
    pub fn still_valid(&self) -> io::Result<bool> {
        Ok(self.standing()?.is_valid())
    }

    /// What is known of the parent snapshot.
    pub fn parent_info(&self) -> &SubvolInfo {
        &self.parent_info
    }

    /// What is known of the new snapshot.
    pub fn new_info(&self) -> &SubvolInfo {
        &self.new_info
    }

    /// The root of the parent snapshot.
    pub fn parent_fd(&self) -> BorrowedFd<'_> {
        self.parent.as_fd()
    }

    /// The root of the new snapshot.
    pub fn new_fd(&self) -> BorrowedFd<'_> {
        self.new.as_fd()
    }

    pub(super) fn parent_tree(&self) -> Tree<'_> {
        Tree(self.parent.as_fd())
    }

    pub(super) fn new_tree(&self) -> Tree<'_> {
        Tree(self.new.as_fd())
    }
}

fn is_dir(inode: &InodeItem) -> bool {
    inode.mode & 0o170_000 == 0o040_000
}

fn refused_or<T>(error: io::Error, which: Which) -> io::Result<Result<T, Refused>> {
    match Refused::from_error(&error, which) {
        Some(refused) => Ok(Err(refused)),
        None => Err(error),
    }
}

fn check(record: &ParentRecord, parent: &SubvolInfo, new: &SubvolInfo) -> Result<(), Refused> {
    if record.fsid != parent.fsid {
        return Err(Refused::OtherFileSystem { parent: record.fsid, new: parent.fsid });
    }
    if new.fsid != parent.fsid {
        return Err(Refused::OtherFileSystem { parent: parent.fsid, new: new.fsid });
    }
    if (record.uuid, record.otransid, record.tree_id) != (parent.uuid, parent.otransid, parent.tree_id) {
        return Err(Refused::OtherIdentity { wanted: record.uuid, found: parent.uuid });
    }
    if !parent.read_only {
        return Err(Refused::NotReadOnly(Which::Parent));
    }
    if !new.read_only {
        return Err(Refused::NotReadOnly(Which::New));
    }
    if record.ctransid != parent.ctransid {
        return Err(Refused::Changed { wanted: record.ctransid, found: parent.ctransid });
    }
    Ok(())
}

/// A changed inode whose names are being collected.
struct Candidate {
    ino: u64,
    is_dir: bool,
    /// So many names were not seen yet.
    missing: u32,
    dirs: Vec<u64>,
}

#[derive(Default)]
struct Found {
    changed: Vec<u64>,
    dirty: HashSet<u64>,
}

impl Found {
    fn take(&mut self, tree: Tree<'_>, candidate: Option<Candidate>) -> io::Result<()> {
        let Some(Candidate { ino, is_dir, missing, mut dirs }) = candidate else { return Ok(()) };
        self.changed.push(ino);
        if is_dir {
            self.dirty_up(tree, ino)?;
        }
        if missing > 0 {
            // They lie in a block that was not written since.
            dirs = tree.names(ino)?.into_iter().map(|name| name.dir_ino).collect();
        }
        for dir in dirs {
            self.dirty_up(tree, dir)?;
        }
        Ok(())
    }

    /// A directory and all above it.
    fn dirty_up(&mut self, tree: Tree<'_>, mut dir: u64) -> io::Result<()> {
        while self.dirty.insert(dir) && dir != ROOT_INO {
            match tree.names(dir)?.first() {
                Some(name) => dir = name.dir_ino,
                None => break,
            }
        }
        Ok(())
    }
}
