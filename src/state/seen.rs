//! Manifests that this machine has seen. One that is no longer listed, and that nobody has forgotten, was removed by somebody who had no right to.

use super::{State, guarded, unguarded};
use crate::error::Result;
use crate::id::{ObjectId, RepoId, WriterName};
use redb::{Durability, ReadableTable, TableDefinition, WriteTransaction};

/// The manifests and their writers, guarded: a wrong bit, or a file of another repository, must not raise an alarm.
const SEEN: TableDefinition<[u8; 32], &[u8]> = TableDefinition::new("seen manifests");

pub(super) fn create_tables(state: &State, write: &WriteTransaction) -> Result<()> {
    write.open_table(SEEN).map_err(|e| state.failed(e))?;
    Ok(())
}

fn key_of(repo: &RepoId, id: &[u8; 32]) -> [u8; 64] {
    let mut key = [0; 64];
    key[..32].copy_from_slice(&repo.0);
    key[32..].copy_from_slice(id);
    key
}

impl State {
    /// All manifests of `repo` that were seen, in order of their ids. What is damaged is passed over: it is as if it had not been seen.
    ///
    /// # Errors
    /// [`crate::Error::State`].
    pub fn seen(&self, repo: &RepoId) -> Result<Vec<(ObjectId, WriterName)>> {
        let table = self.read()?.open_table(SEEN).map_err(|e| self.failed(e))?;
        let mut seen = Vec::new();
        for item in table.iter().map_err(|e| self.failed(e))? {
            let (id, writer) = item.map_err(|e| self.failed(e))?;
            let writer = unguarded(&key_of(repo, &id.value()), writer.value())
                .and_then(|writer| std::str::from_utf8(writer).ok())
                .and_then(|writer| WriterName::new(writer).ok());
            seen.extend(writer.map(|writer| (ObjectId(id.value()), writer)));
        }
        Ok(seen)
    }

    /// Remembers manifests of `repo`.
    ///
    /// # Errors
    /// [`crate::Error::State`].
    pub fn see(&self, repo: &RepoId, manifests: &[(ObjectId, WriterName)]) -> Result<()> {
        let known = {
            let table = self.read()?.open_table(SEEN).map_err(|e| self.failed(e))?;
            let mut fresh = Vec::new();
            for (id, writer) in manifests {
                if table.get(id.0).map_err(|e| self.failed(e))?.is_none() {
                    fresh.push((*id, guarded(&key_of(repo, &id.0), writer.as_str().as_bytes())));
                }
            }
            fresh
        };
        self.change_seen(&known, &[])
    }

    /// Forgets manifests: they were removed as planned.
    ///
    /// # Errors
    /// [`crate::Error::State`].
    pub fn unsee(&self, manifests: &[ObjectId]) -> Result<()> {
        self.change_seen(&[], manifests)
    }

    fn change_seen(&self, fresh: &[(ObjectId, Vec<u8>)], gone: &[ObjectId]) -> Result<()> {
        // Most runs change nothing, and a commit costs a sync.
        if fresh.is_empty() && gone.is_empty() {
            return Ok(());
        }
        // Durable when the session or the program ends; until then it could be learnt again.
        let write = self.write(Durability::None)?;
        {
            let mut table = write.open_table(SEEN).map_err(|e| self.failed(e))?;
            for (id, writer) in fresh {
                table.insert(id.0, &writer[..]).map_err(|e| self.failed(e))?;
            }
            for id in gone {
                table.remove(id.0).map_err(|e| self.failed(e))?;
            }
        }
        self.commit(write)
    }
}
