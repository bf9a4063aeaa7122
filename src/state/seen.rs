//! Manifests that this machine has seen. One that is no longer listed, and that nobody has forgotten, was removed by somebody who had no right to.

use super::State;
use crate::error::{Error, Result};
use crate::id::{ObjectId, WriterName};
use redb::{Durability, ReadableTable, TableDefinition, WriteTransaction};

/// The manifests and their writers.
const SEEN: TableDefinition<[u8; 32], &str> = TableDefinition::new("seen manifests");

pub(super) fn create_tables(state: &State, write: &WriteTransaction) -> Result<()> {
    write.open_table(SEEN).map_err(|e| state.failed(e))?;
    Ok(())
}

impl State {
    /// All manifests that were seen, in order of their ids.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn seen(&self) -> Result<Vec<(ObjectId, WriterName)>> {
        let table = self.read()?.open_table(SEEN).map_err(|e| self.failed(e))?;
        let mut seen = Vec::new();
        for item in table.iter().map_err(|e| self.failed(e))? {
            let (id, writer) = item.map_err(|e| self.failed(e))?;
            let writer = WriterName::new(writer.value())
                .map_err(|e| Error::State { path: self.path().to_owned(), what: e.to_string() })?;
            seen.push((ObjectId(id.value()), writer));
        }
        Ok(seen)
    }

    /// Remembers manifests.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn see(&self, manifests: &[(ObjectId, WriterName)]) -> Result<()> {
        let known = {
            let table = self.read()?.open_table(SEEN).map_err(|e| self.failed(e))?;
            let mut fresh = Vec::new();
            for (id, writer) in manifests {
                if table.get(id.0).map_err(|e| self.failed(e))?.is_none() {
                    fresh.push((*id, writer));
                }
            }
            fresh
        };
        self.change_seen(&known, &[])
    }

    /// Forgets manifests: they were removed as planned.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn unsee(&self, manifests: &[ObjectId]) -> Result<()> {
        self.change_seen(&[], manifests)
    }

    fn change_seen(&self, fresh: &[(ObjectId, &WriterName)], gone: &[ObjectId]) -> Result<()> {
        // Most runs change nothing, and a commit costs a sync.
        if fresh.is_empty() && gone.is_empty() {
            return Ok(());
        }
        let write = self.write(Durability::Immediate)?;
        {
            let mut table = write.open_table(SEEN).map_err(|e| self.failed(e))?;
            for (id, writer) in fresh {
                table.insert(id.0, writer.as_str()).map_err(|e| self.failed(e))?;
            }
            for id in gone {
                table.remove(id.0).map_err(|e| self.failed(e))?;
            }
        }
        self.commit(write)
    }
}
