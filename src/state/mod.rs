//! What this machine remembers of a repository: one redb file, a cache. Deleting it loses time, never data.
//!
//! - [`blobs`]: which blob is in which pack, segment and place, and which index objects that knowledge comes from
//! - [`session`]: packs stored by a run that has not written its index yet, so that a killed run carries on
//! - [`dirs`]: directory by directory, what was seen of each file and its entry, so that unchanged files are not read

pub mod blobs;
pub mod dirs;
pub mod session;

use crate::error::{Error, Result};
use crate::id::RepoId;
use redb::{Database, Durability, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use std::path::{Path, PathBuf};

/// Small things under names of their own: covers of manifests, figures of the last run.
const NOTES: TableDefinition<&[u8], &[u8]> = TableDefinition::new("notes");
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
/// Raised whenever the tables change; another number means: start anew.
const SCHEMA: &[u8] = b"panther state 2";
/// How many runs on one machine can have a state of their own at the same time.
const SLOTS: u32 = 16;

/// The open state of one repository.
pub struct State {
    db: Database,
    path: PathBuf,
}

impl State {
    /// Opens or makes the state for `repo` below `folder`. If another process holds it, the next free slot is used: runs side by side do not wait for
    /// each other. A file that cannot be read as a state is replaced.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::State`].
    pub fn open(folder: &Path, repo: &RepoId) -> Result<Self> {
        let folder = folder.join(repo.to_hex());
        create_private(&folder)?;
        for slot in 0..SLOTS {
            let path = folder.join(if slot == 0 { "state.redb".into() } else { format!("state-{slot}.redb") });
            match Self::open_file(&path) {
                Ok(Some(state)) => return Ok(state),
                Ok(None) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::State { path: folder, what: format!("{SLOTS} other processes are using it") })
    }

    /// Nothing if another process holds the file.
    fn open_file(path: &Path) -> Result<Option<Self>> {
        for fresh in [false, true] {
            let state = match builder().create(path) {
                Ok(db) => Self { db, path: path.to_owned() },
                Err(redb::DatabaseError::DatabaseAlreadyOpen) => return Ok(None),
                Err(redb::DatabaseError::Storage(redb::StorageError::Io(e))) if !is_corruption(&e) => {
                    return Err(Error::io("open the state", path, e));
                }
                Err(_) if !fresh => {
                    remove(path)?;
                    continue;
                }
                Err(e) => return Err(Error::State { path: path.to_owned(), what: e.to_string() }),
            };
            match state.check_schema() {
                Ok(true) => return Ok(Some(state)),
                _ if fresh => break,
                _ => {
                    drop(state);
                    remove(path)?;
                }
            }
        }
        Err(Error::State { path: path.to_owned(), what: "it cannot be made anew".into() })
    }

    fn check_schema(&self) -> Result<bool> {
        let write = self.write(Durability::Immediate)?;
        let found = {
            let mut meta = write.open_table(META).map_err(|e| self.failed(e))?;
            let found = meta.get("schema").map_err(|e| self.failed(e))?.map(|v| v.value() == SCHEMA);
            if found.is_none() {
                meta.insert("schema", SCHEMA).map_err(|e| self.failed(e))?;
            }
            found
        };
        if found.is_none() {
            blobs::create_tables(self, &write)?;
            dirs::create_tables(self, &write)?;
            session::create_tables(self, &write)?;
            write.open_table(NOTES).map_err(|e| self.failed(e))?;
        }
        self.commit(write)?;
        Ok(found != Some(false))
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was noted under `name`.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn note(&self, name: &[u8]) -> Result<Option<Vec<u8>>> {
        let table = self.read()?.open_table(NOTES).map_err(|e| self.failed(e))?;
        let found = table.get(name).map_err(|e| self.failed(e))?;
        Ok(found.map(|value| value.value().to_vec()))
    }

    /// Notes values under names; an earlier one is replaced.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn set_notes(&self, notes: &[(Vec<u8>, Vec<u8>)]) -> Result<()> {
        let write = self.write(Durability::Immediate)?;
        {
            let mut table = write.open_table(NOTES).map_err(|e| self.failed(e))?;
            for (name, value) in notes {
                table.insert(&name[..], &value[..]).map_err(|e| self.failed(e))?;
            }
        }
        self.commit(write)
    }

    pub(crate) fn read(&self) -> Result<ReadTransaction> {
        self.db.begin_read().map_err(|e| self.failed(e))
    }

    pub(crate) fn write(&self, durability: Durability) -> Result<WriteTransaction> {
        let mut write = self.db.begin_write().map_err(|e| self.failed(e))?;
        write.set_durability(durability).map_err(|e| self.failed(e))?;
        // Without it a crash in the middle of a commit can roll back further than the last one.
        write.set_two_phase_commit(matches!(durability, Durability::Immediate));
        Ok(write)
    }

    pub(crate) fn commit(&self, write: WriteTransaction) -> Result<()> {
        write.commit().map_err(|e| self.failed(e))
    }

    pub(crate) fn failed(&self, error: impl Into<redb::Error>) -> Error {
        match error.into() {
            redb::Error::Io(e) => Error::io("use the state", &self.path, e),
            other => Error::State { path: self.path.clone(), what: other.to_string() },
        }
    }
}

fn builder() -> redb::Builder {
    let mut builder = redb::Builder::new();
    // The page cache of the system does the rest.
    builder.set_cache_size(24 << 20);
    builder
}

/// redb reports a file that is no database as invalid data.
fn is_corruption(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof)
}

fn remove(path: &Path) -> Result<()> {
    std::fs::remove_file(path).map_err(|e| Error::io("replace the damaged state", path, e))
}

fn create_private(folder: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|e| Error::io("make the state folder", folder, e))
}
