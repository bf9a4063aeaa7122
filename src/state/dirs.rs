//! What was seen of each directory: its children with the figures by which a change is noticed, and their entries.
//!
//! A record is one blob of a directory's stream, under the key region ‖ inode of the directory ‖ first name. So a change in a folder of a million files
//! rewrites one record. A record says in which session it was written and how far that session's packs must be stored for it to hold.

use super::session::Watermark;
use super::{State, guarded, lists, unguarded};
use crate::error::{Error, Result};
use crate::format::time::Time;
use redb::{Durability, ReadOnlyTable, ReadableTableMetadata, TableDefinition, WriteTransaction};
use std::collections::HashMap;

const DIRS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("directories");

/// A directory: its region (the hash of the path at which its file system begins) and its inode number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct DirKey {
    /// Region.
    pub region: u64,
    /// Inode number.
    pub ino: u64,
}

impl DirKey {
    fn prefix(self) -> [u8; 16] {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&self.region.to_be_bytes());
        key[8..].copy_from_slice(&self.ino.to_be_bytes());
        key
    }

    /// Whose a key is.
    pub(super) fn of_key(key: &[u8]) -> Option<Self> {
        let word = |at: usize| key.get(at..at + 8).and_then(|b| b.try_into().ok()).map(u64::from_be_bytes);
        Some(Self { region: word(0)?, ino: word(8)? })
    }

    /// The key of the record that begins with `first_name`.
    pub fn record(self, first_name: &[u8]) -> Vec<u8> {
        [&self.prefix()[..], first_name].concat()
    }
}

/// The figures by which a change is noticed. All four must match.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// Inode number; 0 never matches: the object is to be read again.
    pub ino: u64,
    /// Size.
    pub size_bytes: u64,
    /// Modification time.
    pub mtime: Time,
    /// Change time.
    pub ctime: Time,
}

/// What is in a directory and below, itself included.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Names of regular files.
    pub files: u64,
    /// Directories.
    pub dirs: u64,
    /// Names of anything else.
    pub others: u64,
    /// Content of the files. Each name of a file with several has its share, so that together they count once.
    pub bytes: u64,
    /// What could not be read and is missing: it is to be tried again.
    pub unreadable: u64,
}

impl Totals {
    /// What one of the `nlink` names of a regular file counts.
    pub fn of_file(size_bytes: u64, nlink: u64) -> Self {
        Self { files: 1, bytes: size_bytes / nlink.max(1), ..Self::default() }
    }

    /// Whether it is that of a directory.
    pub fn is_dir(&self) -> bool {
        self.dirs > 0
    }

    /// Adds what another part has.
    pub fn add(&mut self, other: &Self) {
        self.files += other.files;
        self.dirs += other.dirs;
        self.others += other.others;
        self.bytes += other.bytes;
        self.unreadable += other.unreadable;
    }
}

/// A child as it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Child {
    /// Its name.
    pub name: Vec<u8>,
    /// What it looked like.
    pub stamp: Stamp,
    /// Its encoded entry.
    pub entry: Vec<u8>,
    /// What is in a directory; what a name counts of a file with several.
    pub totals: Option<Totals>,
    /// Whether what its entry names may no longer be in the repository: it is to be looked up.
    pub doubtful: bool,
}

/// A record as it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// The first name, which is part of its key.
    pub first_name: Vec<u8>,
    /// In which session it was written.
    pub session: u32,
    /// The children; none if the record does not hold.
    pub children: Vec<Child>,
}

/// Collects the children of a record.
#[derive(Default, Debug)]
pub struct RecordBuilder {
    bytes: Vec<u8>,
}

impl RecordBuilder {
    /// Adds a child; with totals if they do not follow from its size.
    pub fn push(&mut self, name: &[u8], stamp: &Stamp, entry: &[u8], totals: Option<&Totals>) {
        let out = &mut self.bytes;
        let has_totals = if totals.is_some() { HAS_TOTALS } else { 0 };
        out.extend_from_slice(&(name.len() as u16 | has_totals).to_le_bytes());
        out.extend_from_slice(&(entry.len() as u32).to_le_bytes());
        for word in [stamp.ino, stamp.size_bytes, stamp.mtime.secs.cast_unsigned(), stamp.ctime.secs.cast_unsigned()] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.extend_from_slice(&stamp.mtime.nanos.to_le_bytes());
        out.extend_from_slice(&stamp.ctime.nanos.to_le_bytes());
        if let Some(t) = totals {
            for word in [t.files, t.dirs, t.others, t.bytes, t.unreadable] {
                out.extend_from_slice(&word.to_le_bytes());
            }
        }
        out.extend_from_slice(name);
        out.extend_from_slice(entry);
    }

    /// The children so far, and an empty builder in their place.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

const HEAD_BYTES: usize = 4 + 8 + 8;
const CHILD_BYTES: usize = 2 + 4 + 32 + 8;
/// In the length of a name, of which none has so many bytes: totals come before the name.
const HAS_TOTALS: u16 = 1 << 15;

fn head(session: u32, needs: Watermark) -> [u8; HEAD_BYTES] {
    let mut out = [0; HEAD_BYTES];
    out[..4].copy_from_slice(&session.to_le_bytes());
    out[4..12].copy_from_slice(&needs.data.to_le_bytes());
    out[12..].copy_from_slice(&needs.tree.to_le_bytes());
    out
}

fn decode_head(value: &[u8]) -> Option<(u32, Watermark, &[u8])> {
    let (head, children) = value.split_first_chunk::<HEAD_BYTES>()?;
    let word = |at: usize| head[at..at + 8].try_into().map(u64::from_le_bytes).ok();
    let session = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    Some((session, Watermark { data: word(4)?, tree: word(12)? }, children))
}

/// The next child and what follows it; nothing at the end (or where the record makes no sense: it is a cache).
fn decode_child(bytes: &[u8]) -> Option<(Child, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<CHILD_BYTES>()?;
    let word = |at: usize| head[at..at + 8].try_into().map(u64::from_le_bytes).ok();
    let half = |at: usize| head[at..at + 4].try_into().map(u32::from_le_bytes).ok();
    let name_len = u16::from_le_bytes([head[0], head[1]]);
    let (totals, rest) = if name_len & HAS_TOTALS == 0 {
        (None, rest)
    } else {
        let (words, rest) = rest.split_first_chunk::<40>()?;
        let mut words = words.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
        let [files, dirs, others] = [words.next()?, words.next()?, words.next()?];
        let totals = Totals { files, dirs, others, bytes: words.next()?, unreadable: words.next()? };
        (Some(totals), rest)
    };
    let name_len = usize::from(name_len & !HAS_TOTALS);
    let (name, rest) = rest.split_at_checked(name_len)?;
    let (entry, rest) = rest.split_at_checked(half(2)? as usize)?;
    let stamp = Stamp {
        ino: word(6)?,
        size_bytes: word(14)?,
        mtime: Time { secs: word(22)?.cast_signed(), nanos: half(38)? },
        ctime: Time { secs: word(30)?.cast_signed(), nanos: half(42)? },
    };
    Some((Child { name: name.to_vec(), stamp, entry: entry.to_vec(), totals, doubtful: false }, rest))
}

pub(super) fn create_tables(state: &State, write: &WriteTransaction) -> Result<()> {
    write.open_table(DIRS).map_err(|e| state.failed(e))?;
    Ok(())
}

pub(super) fn clear(state: &State, write: &WriteTransaction) -> Result<()> {
    write.delete_table(DIRS).map_err(|e| state.failed(e))?;
    create_tables(state, write)
}

/// One change to the records.
#[derive(Debug)]
pub enum DirChange {
    /// A record, its children from [`RecordBuilder::take`].
    Put {
        /// Its key.
        key: Vec<u8>,
        /// Its children.
        children: Vec<u8>,
        /// What must be stored for it to hold.
        needs: Watermark,
    },
    /// A record that is no more.
    Remove {
        /// Its key.
        key: Vec<u8>,
    },
    /// A node of a file's content list (see [`super::lists`]).
    PutNode {
        /// Its key.
        key: Vec<u8>,
        /// Its records.
        node: Vec<u8>,
    },
    /// A node that is no longer part of the file's list.
    RemoveNode {
        /// Its key.
        key: Vec<u8>,
    },
}

impl DirChange {
    /// Memory that it takes.
    pub fn size_bytes(&self) -> usize {
        match self {
            Self::Put { key, children, .. } => key.len() + children.len() + 64,
            Self::PutNode { key, node } => key.len() + node.len() + 64,
            Self::Remove { key } | Self::RemoveNode { key } => key.len() + 64,
        }
    }
}

/// A consistent view of what was seen.
pub struct DirView {
    table: ReadOnlyTable<&'static [u8], &'static [u8]>,
    nodes: ReadOnlyTable<&'static [u8], &'static [u8]>,
    broken: HashMap<u32, Watermark>,
    doubted_before: u32,
    path: std::path::PathBuf,
}

impl DirView {
    fn failed(&self, error: impl Into<redb::Error>) -> Error {
        Error::State { path: self.path.clone(), what: error.into().to_string() }
    }

    /// The first record of a directory after the one that begins with `after` (from the beginning if none).
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn next_record(&self, dir: DirKey, after: Option<&[u8]>) -> Result<Option<Found>> {
        use std::ops::Bound;
        let prefix = dir.prefix();
        let start = after.map_or_else(|| prefix.to_vec(), |name| dir.record(name));
        let from = if after.is_some() { Bound::Excluded(&start[..]) } else { Bound::Included(&start[..]) };
        let mut range = self.table.range::<&[u8]>((from, Bound::Unbounded)).map_err(|e| self.failed(e))?;
        let Some(item) = range.next() else { return Ok(None) };
        let (key, value) = item.map_err(|e| self.failed(e))?;
        let Some(name) = key.value().strip_prefix(&prefix[..]) else { return Ok(None) };
        if after.is_some_and(|after| name <= after) {
            // A damaged file has them in any order; nobody is to go round in circles.
            return Ok(None);
        }
        let (session, children) = self.children(key.value(), value.value());
        Ok(Some(Found { first_name: name.to_vec(), session, children }))
    }

    /// The child `name` of a directory, and in which session it was written down.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn child(&self, dir: DirKey, name: &[u8]) -> Result<Option<(u32, Child)>> {
        let (first, last) = (dir.prefix(), dir.record(name));
        let mut range = self.table.range::<&[u8]>(&first[..]..=&last[..]).map_err(|e| self.failed(e))?;
        let Some(item) = range.next_back() else { return Ok(None) };
        let (key, value) = item.map_err(|e| self.failed(e))?;
        let (session, children) = self.children(key.value(), value.value());
        Ok(children.into_iter().find(|child| child.name == name).map(|child| (session, child)))
    }

    /// The children of a record; of a damaged one, or one that does not hold, nothing is remembered.
    fn children(&self, key: &[u8], value: &[u8]) -> (u32, Vec<Child>) {
        let mut children = Vec::new();
        let mut written = u32::MAX;
        if let Some((session, needs, mut rest)) = unguarded(key, value).and_then(decode_head)
            && self.broken.get(&session).is_none_or(|mark| mark.covers(&needs))
        {
            written = session;
            let doubtful = session < self.doubted_before;
            while let Some((child, next)) = decode_child(rest) {
                children.push(Child { doubtful, ..child });
                rest = next;
            }
        }
        (written, children)
    }

    /// Whether the record at `key` holds, is not in doubt, and has exactly these children.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn is_same(&self, key: &[u8], children: &[u8]) -> Result<bool> {
        let found = self.table.get(key).map_err(|e| self.failed(e))?;
        Ok(found.is_some_and(|value| {
            unguarded(key, value.value()).and_then(decode_head).is_some_and(|(session, needs, old)| {
                old == children
                    && session >= self.doubted_before
                    && self.broken.get(&session).is_none_or(|mark| mark.covers(&needs))
            })
        }))
    }

    /// How many records there are.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn len(&self) -> Result<u64> {
        self.table.len().map_err(|e| self.failed(e))
    }

    /// Whether there is no record.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn is_empty(&self) -> Result<bool> {
        self.len().map(|n| n == 0)
    }

    /// A node of a file's content list: its records, if they are remembered.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn node(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let found = self.nodes.get(key).map_err(|e| self.failed(e))?;
        Ok(found.and_then(|value| unguarded(key, value.value()).map(<[u8]>::to_vec)))
    }
}

impl State {
    /// A view of what was seen, as it is now.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn dir_view(&self) -> Result<DirView> {
        let (broken, doubted_before) = (self.broken_sessions()?.into_iter().collect(), self.doubted_before()?);
        let read = self.read()?;
        let table = read.open_table(DIRS).map_err(|e| self.failed(e))?;
        let nodes = read.open_table(lists::NODES).map_err(|e| self.failed(e))?;
        Ok(DirView { table, nodes, broken, doubted_before, path: self.path().to_owned() })
    }

    /// Writes changes of `session` down. They become durable with the next [`State::note_stored`].
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn change_dirs(&self, session: u32, changes: &[DirChange]) -> Result<()> {
        let write = self.write(Durability::None)?;
        {
            let mut table = write.open_table(DIRS).map_err(|e| self.failed(e))?;
            let mut nodes = write.open_table(lists::NODES).map_err(|e| self.failed(e))?;
            for change in changes {
                match change {
                    DirChange::Put { key, children, needs } => {
                        let value = guarded(key, &[&head(session, *needs)[..], children].concat());
                        table.insert(&key[..], &value[..]).map_err(|e| self.failed(e))?;
                    }
                    DirChange::Remove { key } => {
                        table.remove(&key[..]).map_err(|e| self.failed(e))?;
                    }
                    DirChange::PutNode { key, node } => {
                        nodes.insert(&key[..], &guarded(key, node)[..]).map_err(|e| self.failed(e))?;
                    }
                    DirChange::RemoveNode { key } => {
                        nodes.remove(&key[..]).map_err(|e| self.failed(e))?;
                    }
                }
            }
        }
        self.commit(write)
    }

    /// Removes the records of directories, and the content lists of files, for which `keep` says no. Returns how many records went.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn sweep_dirs(&self, keep: impl Fn(DirKey) -> bool) -> Result<u64> {
        let write = self.write(Durability::Immediate)?;
        let mut gone = 0;
        {
            let mut table = write.open_table(DIRS).map_err(|e| self.failed(e))?;
            table
                .retain(|key, _| {
                    let kept = DirKey::of_key(key).is_some_and(&keep);
                    gone += u64::from(!kept);
                    kept
                })
                .map_err(|e| self.failed(e))?;
            lists::sweep(self, &write, &keep)?;
        }
        self.commit(write)?;
        Ok(gone)
    }
}
