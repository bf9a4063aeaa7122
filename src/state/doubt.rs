//! What was seen of the source before knowledge of the repository was lost: it is remembered, but what it rests on must be looked up.
//!
//! Each record of a directory says in which session it was written. Those of sessions before a certain one are in doubt: the packs that hold their blobs
//! may have been condemned or removed since. A run that meets such a record looks every blob up, and writes it down anew; from then on it counts again.

use super::session::LAST;
use super::{NOTES, State};
use crate::error::Result;
use crate::id::ObjectId;
use redb::{Durability, ReadableTable, WriteTransaction};
use std::collections::{BTreeSet, HashSet};

/// The first session whose records are not in doubt.
const BEFORE: &[u8] = b"doubted before";
/// The packs that no snapshot could rest on when that was last looked at.
const UNUSABLE: &[u8] = b"unusable packs";

impl State {
    /// The first session whose records are not in doubt.
    ///
    /// # Errors
    /// [`crate::Error::State`].
    pub fn doubted_before(&self) -> Result<u32> {
        let found = self.note(BEFORE)?.and_then(|bytes| <[u8; 4]>::try_from(&bytes[..]).ok());
        Ok(found.map_or(0, u32::from_le_bytes))
    }

    /// Puts in doubt everything that was seen so far.
    pub(super) fn doubt_in(&self, write: &WriteTransaction) -> Result<()> {
        let last = write.open_table(LAST).map_err(|e| self.failed(e))?;
        let next = last.get(()).map_err(|e| self.failed(e))?.map_or(1, |number| number.value() + 1);
        let mut notes = write.open_table(NOTES).map_err(|e| self.failed(e))?;
        notes.insert(BEFORE, &next.to_le_bytes()[..]).map_err(|e| self.failed(e))?;
        Ok(())
    }

    /// Notes which packs no new snapshot may rest on. If there are any that were not among them before, everything that was seen is in doubt from now on.
    /// Whether that is so.
    ///
    /// # Errors
    /// [`crate::Error::State`].
    pub fn note_unusable(&self, packs: &HashSet<ObjectId>) -> Result<bool> {
        let known = self.note(UNUSABLE)?.unwrap_or_default();
        let known: HashSet<ObjectId> = known.as_chunks::<32>().0.iter().map(|id| ObjectId(*id)).collect();
        if known == *packs {
            return Ok(false);
        }
        let grows = !packs.is_subset(&known);
        let write = self.write(Durability::Immediate)?;
        if grows {
            self.doubt_in(&write)?;
        }
        {
            let sorted: BTreeSet<&ObjectId> = packs.iter().collect();
            let bytes: Vec<u8> = sorted.into_iter().flat_map(|id| id.0).collect();
            let mut notes = write.open_table(NOTES).map_err(|e| self.failed(e))?;
            notes.insert(UNUSABLE, &bytes[..]).map_err(|e| self.failed(e))?;
        }
        self.commit(write)?;
        Ok(grows)
    }
}
