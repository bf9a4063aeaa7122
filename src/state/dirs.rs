//! What was seen of each directory: its children with the figures by which a change is noticed, and their entries.
//!
//! A record is one blob of a directory's stream, under the key region ‖ inode of the directory ‖ first name. So a change in a folder of a million files
//! rewrites one record. A record says in which session it was written and how far that session's packs must be stored for it to hold.

use super::session::Watermark;
use super::{State, guarded, unguarded};
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

/// A child as it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Child {
    /// Its name.
    pub name: Vec<u8>,
    /// What it looked like.
    pub stamp: Stamp,
    /// Its encoded entry.
    pub entry: Vec<u8>,
}

/// Collects the children of a record.
#[derive(Default, Debug)]
pub struct RecordBuilder {
    bytes: Vec<u8>,
}

impl RecordBuilder {
    /// Adds a child.
    pub fn push(&mut self, name: &[u8], stamp: &Stamp, entry: &[u8]) {
        let out = &mut self.bytes;
        out.extend_from_slice(&(name.len() as u16).to_le_bytes());
        out.extend_from_slice(&(entry.len() as u32).to_le_bytes());
        for word in [stamp.ino, stamp.size_bytes, stamp.mtime.secs.cast_unsigned(), stamp.ctime.secs.cast_unsigned()] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.extend_from_slice(&stamp.mtime.nanos.to_le_bytes());
        out.extend_from_slice(&stamp.ctime.nanos.to_le_bytes());
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
    let name_len = usize::from(u16::from_le_bytes([head[0], head[1]]));
    let (name, rest) = rest.split_at_checked(name_len)?;
    let (entry, rest) = rest.split_at_checked(half(2)? as usize)?;
    let stamp = Stamp {
        ino: word(6)?,
        size_bytes: word(14)?,
        mtime: Time { secs: word(22)?.cast_signed(), nanos: half(38)? },
        ctime: Time { secs: word(30)?.cast_signed(), nanos: half(42)? },
    };
    Some((Child { name: name.to_vec(), stamp, entry: entry.to_vec() }, rest))
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
}

impl DirChange {
    /// Memory that it takes.
    pub fn size_bytes(&self) -> usize {
        match self {
            Self::Put { key, children, .. } => key.len() + children.len() + 64,
            Self::Remove { key } => key.len() + 64,
        }
    }
}

/// A consistent view of what was seen.
pub struct DirView {
    table: ReadOnlyTable<&'static [u8], &'static [u8]>,
    broken: HashMap<u32, Watermark>,
    path: std::path::PathBuf,
}

impl DirView {
    fn failed(&self, error: impl Into<redb::Error>) -> Error {
        Error::State { path: self.path.clone(), what: error.into().to_string() }
    }

    /// The first record of a directory after the one that begins with `after` (from the beginning if none): its first name and children.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn next_record(&self, dir: DirKey, after: Option<&[u8]>) -> Result<Option<(Vec<u8>, Vec<Child>)>> {
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
        let mut children = Vec::new();
        // Of a damaged record nothing is remembered.
        if let Some((session, needs, mut rest)) = unguarded(key.value(), value.value()).and_then(decode_head)
            && self.broken.get(&session).is_none_or(|mark| mark.covers(&needs))
        {
            while let Some((child, next)) = decode_child(rest) {
                children.push(child);
                rest = next;
            }
        }
        Ok(Some((name.to_vec(), children)))
    }

    /// Whether the record at `key` holds and has exactly these children.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn is_same(&self, key: &[u8], children: &[u8]) -> Result<bool> {
        let found = self.table.get(key).map_err(|e| self.failed(e))?;
        Ok(found.is_some_and(|value| {
            unguarded(key, value.value()).and_then(decode_head).is_some_and(|(session, needs, old)| {
                old == children && self.broken.get(&session).is_none_or(|mark| mark.covers(&needs))
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
}

impl State {
    /// A view of what was seen, as it is now.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn dir_view(&self) -> Result<DirView> {
        let broken = self.broken_sessions()?.into_iter().collect();
        let table = self.read()?.open_table(DIRS).map_err(|e| self.failed(e))?;
        Ok(DirView { table, broken, path: self.path().to_owned() })
    }

    /// Writes changes of `session` down. They become durable with the next [`State::note_stored`].
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn change_dirs(&self, session: u32, changes: &[DirChange]) -> Result<()> {
        let write = self.write(Durability::None)?;
        {
            let mut table = write.open_table(DIRS).map_err(|e| self.failed(e))?;
            for change in changes {
                match change {
                    DirChange::Put { key, children, needs } => {
                        let value = guarded(key, &[&head(session, *needs)[..], children].concat());
                        table.insert(&key[..], &value[..]).map_err(|e| self.failed(e))?;
                    }
                    DirChange::Remove { key } => {
                        table.remove(&key[..]).map_err(|e| self.failed(e))?;
                    }
                }
            }
        }
        self.commit(write)
    }

    /// Removes the records of directories for which `keep` says no. Returns how many went.
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
                    let word = |at: usize| key.get(at..at + 8).and_then(|b| b.try_into().ok()).map(u64::from_be_bytes);
                    let kept = match (word(0), word(8)) {
                        (Some(region), Some(ino)) => keep(DirKey { region, ino }),
                        _ => false,
                    };
                    gone += u64::from(!kept);
                    kept
                })
                .map_err(|e| self.failed(e))?;
        }
        self.commit(write)?;
        Ok(gone)
    }
}
