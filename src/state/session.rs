//! Runs that have not written their index yet.
//!
//! Each pack that is safely stored is written down at once, with its blobs. A run that is killed leaves that list; the next one starts from it.

use super::blobs::BlobKey;
use super::{State, guarded, unguarded};
use crate::error::{Error, Result};
use crate::format::index::{Index, PackRecord};
use crate::id::ObjectId;
use redb::{Durability, ReadableTable, TableDefinition, WriteTransaction};

const STORED: TableDefinition<[u8; 32], &[u8]> = TableDefinition::new("stored packs");
/// Packs that are about to be put into the store: they may be there or not.
const IN_FLIGHT: TableDefinition<[u8; 32], &[u8]> = TableDefinition::new("packs in flight");
/// Session number to how far its packs are stored: data and tree segments. A session that is not here has ended well.
const SESSIONS: TableDefinition<u32, (u64, u64)> = TableDefinition::new("sessions");
pub(super) const LAST: TableDefinition<(), u32> = TableDefinition::new("last session");

/// How far a session's packs are safely stored: the segments of each kind, numbered from 1, up to and including these.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Watermark {
    /// Data segments.
    pub data: u64,
    /// Tree segments.
    pub tree: u64,
}

impl Watermark {
    /// What holds for everything in a session that has ended well.
    pub const ALL: Self = Self { data: u64::MAX, tree: u64::MAX };

    /// Whether what needs `other` is stored.
    pub fn covers(&self, other: &Self) -> bool {
        self.data >= other.data && self.tree >= other.tree
    }
}

fn encode_pack(pack: &PackRecord) -> Vec<u8> {
    guarded(&pack.id.0, &Index { packs: vec![pack.clone()], superseded: Vec::new() }.encode())
}

pub(super) fn create_tables(state: &State, write: &WriteTransaction) -> Result<()> {
    write.open_table(STORED).map_err(|e| state.failed(e))?;
    write.open_table(IN_FLIGHT).map_err(|e| state.failed(e))?;
    write.open_table(SESSIONS).map_err(|e| state.failed(e))?;
    write.open_table(LAST).map_err(|e| state.failed(e))?;
    Ok(())
}

impl State {
    /// Begins a session: its number, from 1.
    ///
    /// # Errors
    /// [`crate::Error::State`].
    pub fn begin_session(&self) -> Result<u32> {
        // It is durable with the first that is written in it; before that nobody has seen its number.
        let write = self.write(Durability::None)?;
        let number = {
            let mut last = write.open_table(LAST).map_err(|e| self.failed(e))?;
            let number = last.get(()).map_err(|e| self.failed(e))?.map_or(1, |v| v.value() + 1);
            last.insert((), number).map_err(|e| self.failed(e))?;
            let mut sessions = write.open_table(SESSIONS).map_err(|e| self.failed(e))?;
            sessions.insert(number, (0, 0)).map_err(|e| self.failed(e))?;
            number
        };
        self.commit(write)?;
        Ok(number)
    }

    /// The sessions that did not end well, and how far each came.
    ///
    /// # Errors
    /// [`crate::Error::State`].
    pub fn broken_sessions(&self) -> Result<Vec<(u32, Watermark)>> {
        let read = self.read()?;
        let table = read.open_table(SESSIONS).map_err(|e| self.failed(e))?;
        let mut broken = Vec::new();
        for item in table.iter().map_err(|e| self.failed(e))? {
            let (number, mark) = item.map_err(|e| self.failed(e))?;
            let (data, tree) = mark.value();
            broken.push((number.value(), Watermark { data, tree }));
        }
        Ok(broken)
    }

    /// The packs that are stored but not in an index object yet, as earlier sessions left them.
    ///
    /// # Errors
    /// [`crate::Error::State`].
    pub fn stored_packs(&self) -> Result<Vec<PackRecord>> {
        self.noted_packs(STORED)
    }

    /// The packs that earlier sessions were about to store: each may be in the store or not.
    ///
    /// # Errors
    /// [`crate::Error::State`].
    pub fn packs_in_flight(&self) -> Result<Vec<PackRecord>> {
        self.noted_packs(IN_FLIGHT)
    }

    fn noted_packs(&self, which: TableDefinition<'_, [u8; 32], &'static [u8]>) -> Result<Vec<PackRecord>> {
        let read = self.read()?;
        let table = read.open_table(which).map_err(|e| self.failed(e))?;
        let mut packs = Vec::new();
        for item in table.iter().map_err(|e| self.failed(e))? {
            let (key, value) = item.map_err(|e| self.failed(e))?;
            let index = unguarded(&key.value(), value.value()).and_then(|value| Index::decode(value).ok());
            // What was seen of the source may rest on it, so it must not simply be left out.
            let index = index.ok_or_else(|| Error::State {
                path: self.path().to_owned(),
                what: "the record of a stored pack is damaged".into(),
            })?;
            packs.extend(index.packs);
        }
        Ok(packs)
    }

    /// Writes down that a pack is about to be put into the store; durable when it returns. A run that is killed between the store's success and
    /// [`State::note_stored`] then does not store it again.
    ///
    /// # Errors
    /// [`crate::Error::State`].
    pub fn note_in_flight(&self, pack: &PackRecord) -> Result<()> {
        let write = self.write(Durability::Immediate)?;
        {
            let mut table = write.open_table(IN_FLIGHT).map_err(|e| self.failed(e))?;
            table.insert(pack.id.0, &encode_pack(pack)[..]).map_err(|e| self.failed(e))?;
        }
        self.commit(write)
    }

    /// Settles what was in flight: packs that turned out to be in the store, and those that did not.
    ///
    /// # Errors
    /// [`crate::Error::State`].
    pub fn settle_in_flight(&self, arrived: &[PackRecord]) -> Result<()> {
        let write = self.write(Durability::Immediate)?;
        {
            let mut table = write.open_table(IN_FLIGHT).map_err(|e| self.failed(e))?;
            table.retain(|_, _| false).map_err(|e| self.failed(e))?;
            let mut stored = write.open_table(STORED).map_err(|e| self.failed(e))?;
            for pack in arrived {
                stored.insert(pack.id.0, &encode_pack(pack)[..]).map_err(|e| self.failed(e))?;
            }
        }
        self.commit(write)
    }

    /// Writes down that `packs` are safely stored, and how far that brings `session`; durable when it returns.
    ///
    /// # Errors
    /// [`crate::Error::State`].
    pub fn note_stored(&self, session: u32, packs: &[PackRecord], mark: Watermark) -> Result<()> {
        let write = self.write(Durability::Immediate)?;
        {
            let mut stored = write.open_table(STORED).map_err(|e| self.failed(e))?;
            let mut in_flight = write.open_table(IN_FLIGHT).map_err(|e| self.failed(e))?;
            for pack in packs {
                stored.insert(pack.id.0, &encode_pack(pack)[..]).map_err(|e| self.failed(e))?;
                in_flight.remove(pack.id.0).map_err(|e| self.failed(e))?;
            }
            let mut sessions = write.open_table(SESSIONS).map_err(|e| self.failed(e))?;
            sessions.insert(session, (mark.data, mark.tree)).map_err(|e| self.failed(e))?;
        }
        self.commit(write)
    }

    /// Forgets packs that turned out not to be in the store.
    ///
    /// # Errors
    /// [`crate::Error::State`].
    pub fn forget_stored(&self, packs: &[ObjectId]) -> Result<()> {
        let write = self.write(Durability::Immediate)?;
        {
            let mut stored = write.open_table(STORED).map_err(|e| self.failed(e))?;
            for id in packs {
                stored.remove(id.0).map_err(|e| self.failed(e))?;
            }
        }
        self.commit(write)
    }

    /// Moves packs that an index object now names from the list to the blob table. Returns the keys of their blobs.
    ///
    /// # Errors
    /// [`crate::Error::State`].
    pub fn note_indexed(&self, packs: Vec<PackRecord>, object: ObjectId) -> Result<Vec<BlobKey>> {
        let keys = packs
            .iter()
            .flat_map(|p| &p.segments)
            .flat_map(|s| &s.blobs)
            .map(|(id, _)| super::blobs::key_of(id))
            .collect();
        let ids: Vec<ObjectId> = packs.iter().map(|p| p.id).collect();
        let packs: Vec<_> = packs.into_iter().map(|p| (p, true)).collect();
        let write = self.write(Durability::Immediate)?;
        self.learn_in(&write, &packs, &[object])?;
        {
            let mut stored = write.open_table(STORED).map_err(|e| self.failed(e))?;
            for id in &ids {
                stored.remove(id.0).map_err(|e| self.failed(e))?;
            }
        }
        self.commit(write)?;
        Ok(keys)
    }

    /// Ends a session well: what it wrote down holds. Broken sessions before it are settled too: their directory records that did not come to hold are
    /// dropped when they are met.
    ///
    /// # Errors
    /// [`crate::Error::State`].
    pub fn end_session(&self, session: u32) -> Result<()> {
        let write = self.write(Durability::Immediate)?;
        {
            let mut sessions = write.open_table(SESSIONS).map_err(|e| self.failed(e))?;
            sessions.remove(session).map_err(|e| self.failed(e))?;
        }
        self.commit(write)
    }
}
