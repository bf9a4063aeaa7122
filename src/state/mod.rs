//! What this machine remembers of a repository: one redb file, a cache. Deleting it loses time, never data.
//!
//! - [`blobs`]: which blob is in which pack, segment and place, and which index objects that knowledge comes from
//! - [`session`]: packs stored by a run that has not written its index yet, so that a killed run carries on
//! - [`seen`]: manifests that this machine has seen, so that one that vanishes is noticed
//! - [`known`]: which repository is where, so that a false one is noticed; a small file beside the states
//! - [`dirs`]: directory by directory, what was seen of each file and its entry, so that unchanged files are not read
//! - `doubt`: of what was seen, what must be looked up
//! - [`lists`]: the content lists of long files, so that of a changed one only the changes are read
//!
//! Runs side by side each have a file of their own. What they share is in small files that are opened for a moment only:
//! - [`ledger`]: what was asked of stores that count, by day
//! - [`verified`]: when each pack was last read whole and checked

mod brief;
mod copies;
pub mod examine;

pub mod blobs;
pub mod dirs;
mod doubt;
pub mod drills;
pub mod known;
pub mod ledger;
pub mod lists;
pub mod runs;
pub mod seen;
pub mod session;
pub mod verified;

use crate::error::{Error, Result};
use crate::id::RepoId;
use redb::{Database, Durability, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Small things under names of their own: covers of manifests, figures of the last run.
const NOTES: TableDefinition<&[u8], &[u8]> = TableDefinition::new("notes");
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
/// Raised whenever the tables change; another number means: start anew.
const SCHEMA: &[u8] = b"panther state 5";
/// How many runs on one machine can have a state of their own at the same time.
const SLOTS: u32 = 16;

/// What became of opening a file.
enum Opened {
    State(State),
    InUse,
    Unusable(String),
}

/// The open state of one repository.
pub struct State {
    /// There until this is dropped.
    db: Option<Database>,
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

    /// The same in a file of its own that is gone when this process ends, however that ends: who reads for days stands in nobody's way.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be copied; [`Error::State`].
    pub fn set_apart(self) -> Result<Self> {
        let path = self.path.clone();
        // Closed, so that the file is whole.
        drop(self);
        let failed = |e| Error::io("copy the state", &path, e);
        let copy = path.with_file_name(format!("apart-{}.redb", std::process::id()));
        let file = File::open(&path).map_err(failed)?;
        // As long as this is held, no other process opens it.
        let mut tries = 0..100;
        let copied = loop {
            match file.try_lock_shared() {
                Ok(()) => break std::fs::copy(&path, &copy),
                Err(std::fs::TryLockError::WouldBlock) if tries.next().is_some() => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(error) => break Err(error.into()),
            }
        };
        drop(file);
        let opened = copied.map_err(failed).and_then(|_| Self::open_file(&copy));
        // Its handle keeps it.
        let _ = std::fs::remove_file(&copy);
        opened?.ok_or_else(|| Error::State { path: copy, what: "another process uses the copy".into() })
    }

    /// Nothing if another process holds the file.
    fn open_file(path: &Path) -> Result<Option<Self>> {
        for fresh in [false, true] {
            // redb panics over some damaged files.
            let opened = std::panic::catch_unwind(|| Self::try_file(path));
            match opened.unwrap_or(Ok(Opened::Unusable("it is damaged".into())))? {
                Opened::State(state) if fresh || !distrusted(path).exists() => return Ok(Some(state)),
                Opened::State(state) => {
                    drop(state);
                    remove(path)?;
                }
                Opened::InUse => return Ok(None),
                Opened::Unusable(_) if !fresh => remove(path)?,
                Opened::Unusable(what) => return Err(Error::State { path: path.to_owned(), what }),
            }
        }
        Err(Error::State { path: path.to_owned(), what: "it cannot be made anew".into() })
    }

    fn try_file(path: &Path) -> Result<Opened> {
        let state = match builder().create(path) {
            Ok(db) => Self { db: Some(db), path: path.to_owned() },
            Err(redb::DatabaseError::DatabaseAlreadyOpen) => return Ok(Opened::InUse),
            Err(redb::DatabaseError::Storage(redb::StorageError::Io(e))) if !is_corruption(&e) => {
                return Err(Error::io("open the state", path, e));
            }
            Err(error) => return Ok(Opened::Unusable(error.to_string())),
        };
        Ok(match state.check_schema() {
            Ok(true) => Opened::State(state),
            Ok(false) => Opened::Unusable("it has another schema".into()),
            Err(error) => Opened::Unusable(error.to_string()),
        })
    }

    fn check_schema(&self) -> Result<bool> {
        // Most often there is nothing to write, and a commit costs two syncs.
        if let Ok(meta) = self.read()?.open_table(META)
            && let Some(found) = meta.get("schema").map_err(|e| self.failed(e))?
        {
            return Ok(found.value() == SCHEMA);
        }
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
            copies::create_tables(self, &write)?;
            dirs::create_tables(self, &write)?;
            lists::create_tables(self, &write)?;
            session::create_tables(self, &write)?;
            seen::create_tables(self, &write)?;
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
        self.put_notes(notes, Durability::Immediate)
    }

    /// As [`State::set_notes`], but durable only with what is written later: for what may be found out again.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn set_notes_soon(&self, notes: &[(Vec<u8>, Vec<u8>)]) -> Result<()> {
        self.put_notes(notes, Durability::None)
    }

    fn put_notes(&self, notes: &[(Vec<u8>, Vec<u8>)], durability: Durability) -> Result<()> {
        let write = self.write(durability)?;
        {
            let mut table = write.open_table(NOTES).map_err(|e| self.failed(e))?;
            for (name, value) in notes {
                table.insert(&name[..], &value[..]).map_err(|e| self.failed(e))?;
            }
        }
        self.commit(write)
    }

    /// Forgets everything that was noted.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn clear_notes(&self) -> Result<()> {
        let write = self.write(Durability::Immediate)?;
        write.delete_table(NOTES).map_err(|e| self.failed(e))?;
        write.open_table(NOTES).map_err(|e| self.failed(e))?;
        self.commit(write)
    }

    /// Has whoever opens the file next make it anew: something in it was not what it should be.
    pub fn distrust(&self) {
        // If this fails, the next run fails like this one.
        let _ = std::fs::write(distrusted(&self.path), b"");
    }

    fn db(&self) -> Result<&Database> {
        self.db.as_ref().ok_or_else(|| Error::State { path: self.path.clone(), what: "it is closed".into() })
    }

    pub(crate) fn read(&self) -> Result<ReadTransaction> {
        self.db()?.begin_read().map_err(|e| self.failed(e))
    }

    pub(crate) fn write(&self, durability: Durability) -> Result<WriteTransaction> {
        let mut write = self.db()?.begin_write().map_err(|e| self.failed(e))?;
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

impl Drop for State {
    fn drop(&mut self) {
        let db = self.db.take();
        // redb panics when it has panicked before.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || drop(db)));
    }
}

/// A file that says that the state at `path` is not to be used again.
fn distrusted(path: &Path) -> PathBuf {
    path.with_extension("distrusted")
}

/// Bytes of the checksum before a value.
const CHECKSUM_BYTES: usize = 8;

fn checksum(key: &[u8], value: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(key.len() as u64).to_le_bytes()).update(key).update(value);
    let mut out = [0; CHECKSUM_BYTES];
    hasher.finalize_xof().fill(&mut out);
    out
}

/// A value as it is written under `key`, with a checksum of both before it. A disk may give back other bits, redb does not look, and what is remembered
/// goes into snapshots.
fn guarded(key: &[u8], value: &[u8]) -> Vec<u8> {
    [&checksum(key, value)[..], value].concat()
}

/// The value that was written, if it still is what it was.
fn unguarded<'v>(key: &[u8], guarded: &'v [u8]) -> Option<&'v [u8]> {
    let (sum, value) = guarded.split_first_chunk::<CHECKSUM_BYTES>()?;
    (*sum == checksum(key, value)).then_some(value)
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
    std::fs::remove_file(path).map_err(|e| Error::io("replace the damaged state", path, e))?;
    let _ = std::fs::remove_file(distrusted(path));
    Ok(())
}

fn create_private(folder: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|e| Error::io("make the state folder", folder, e))
}
