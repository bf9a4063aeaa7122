//! A small file that all runs of this machine share: opened for a moment only, so that runs side by side find what the others wrote.
//!
//! The state proper is held for as long as a run lasts, and runs side by side each have one of their own. What they must add up is here.

use super::{builder, create_private};
use crate::error::{Error, Result};
use redb::{Database, Durability, ReadTransaction, ReadableDatabase, TableDefinition, WriteTransaction};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
/// Raised whenever the tables change; another number means: start anew.
const SCHEMA: &[u8] = b"panther shared state 1";
/// How long to wait for another process, which holds the file for milliseconds.
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(15);

/// Such a file. It need not exist.
pub(super) struct Brief {
    path: PathBuf,
}

/// Why an attempt came to nothing.
enum Failed {
    /// Another process holds the file.
    InUse,
    /// It is damaged or of another schema; it is to be made anew.
    Unusable(String),
    Error(Error),
}

impl Brief {
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Reads in one transaction; nothing if there is no file yet.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::State`].
    pub fn read<T>(&self, take: impl Fn(&ReadTransaction) -> Result<T, redb::Error>) -> Result<Option<T>> {
        if !self.path.exists() {
            return Ok(None);
        }
        self.with(|db| {
            let read = db.begin_read()?;
            match take(&read) {
                // Nobody has written to this table yet.
                Err(redb::Error::TableDoesNotExist(_)) => Ok(None),
                other => other.map(Some),
            }
        })
    }

    /// Writes in one durable transaction. The file and its folder are made if need be.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::State`].
    pub fn write(&self, change: impl Fn(&WriteTransaction) -> Result<(), redb::Error>) -> Result<()> {
        if let Some(folder) = self.path.parent() {
            create_private(folder)?;
        }
        self.with(|db| {
            let mut write = db.begin_write()?;
            write.set_durability(Durability::Immediate)?;
            // Without it a crash in the middle of a commit can roll back further than the last one.
            write.set_two_phase_commit(true);
            change(&write)?;
            write.commit()?;
            Ok(())
        })
    }

    fn with<T>(&self, work: impl Fn(&Database) -> Result<T, redb::Error>) -> Result<T> {
        let begun = Instant::now();
        let mut is_fresh = false;
        loop {
            match self.attempt(&work) {
                Ok(done) => return Ok(done),
                Err(Failed::InUse) if begun.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
                Err(Failed::InUse) => return Err(self.failed("another process keeps it open".into())),
                Err(Failed::Unusable(_)) if !is_fresh => {
                    // Put aside, not removed: somebody may want to look at it.
                    let aside = self.path.with_extension("damaged");
                    std::fs::rename(&self.path, aside)
                        .map_err(|e| Error::io("put aside the damaged", &self.path, e))?;
                    is_fresh = true;
                }
                Err(Failed::Unusable(what)) => return Err(self.failed(what)),
                Err(Failed::Error(error)) => return Err(error),
            }
        }
    }

    fn attempt<T>(&self, work: &impl Fn(&Database) -> Result<T, redb::Error>) -> Result<T, Failed> {
        // redb panics over some damaged files; and again when it is dropped after that.
        let opened = catch_unwind(|| self.open()).unwrap_or_else(|_| Err(damaged()));
        let db = opened?;
        let done = catch_unwind(AssertUnwindSafe(|| work(&db))).unwrap_or(Err(redb::Error::Corrupted(String::new())));
        let _ = catch_unwind(AssertUnwindSafe(move || drop(db)));
        done.map_err(|e| self.classed(e))
    }

    fn open(&self) -> Result<Database, Failed> {
        let db = match builder().create(&self.path) {
            Ok(db) => db,
            Err(redb::DatabaseError::DatabaseAlreadyOpen) => return Err(Failed::InUse),
            Err(error) => return Err(self.classed(error.into())),
        };
        match check_schema(&db) {
            Ok(true) => Ok(db),
            Ok(false) => Err(Failed::Unusable("it has another schema".into())),
            Err(error) => Err(self.classed(error)),
        }
    }

    fn classed(&self, error: redb::Error) -> Failed {
        match error {
            redb::Error::Io(e) if !super::is_corruption(&e) => {
                Failed::Error(Error::io("use the shared state", &self.path, e))
            }
            other => Failed::Unusable(other.to_string()),
        }
    }

    fn failed(&self, what: String) -> Error {
        Error::State { path: self.path.clone(), what }
    }
}

fn damaged() -> Failed {
    Failed::Unusable("it is damaged".into())
}

/// Whether the file is of this schema; one without any gets it.
fn check_schema(db: &Database) -> Result<bool, redb::Error> {
    let read = db.begin_read()?;
    match read.open_table(META) {
        Ok(meta) => return Ok(redb::ReadableTable::get(&meta, "schema")?.is_some_and(|v| v.value() == SCHEMA)),
        Err(redb::TableError::TableDoesNotExist(_)) => {}
        Err(error) => return Err(error.into()),
    }
    drop(read);
    let mut write = db.begin_write()?;
    write.set_two_phase_commit(true);
    write.open_table(META)?.insert("schema", SCHEMA)?;
    write.commit()?;
    Ok(true)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use redb::ReadableTable;

    const COUNTS: TableDefinition<u32, u64> = TableDefinition::new("counts");

    fn add(file: &Brief, key: u32) {
        file.write(|write| {
            let mut table = write.open_table(COUNTS)?;
            let old = table.get(key)?.map_or(0, |v| v.value());
            table.insert(key, old + 1)?;
            Ok(())
        })
        .unwrap();
    }

    fn get(file: &Brief, key: u32) -> Option<u64> {
        file.read(|read| Ok(read.open_table(COUNTS)?.get(key)?.map(|v| v.value()))).unwrap().flatten()
    }

    #[test]
    fn threads_add_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/shared.redb");
        assert_eq!(get(&Brief::at(path.clone()), 1), None);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10).for_each(|_| add(&Brief::at(path.clone()), 1)));
            }
        });
        assert_eq!(get(&Brief::at(path), 1), Some(40));
    }

    #[test]
    fn a_table_that_nobody_has_written_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let file = Brief::at(folder.path().join("shared.redb"));
        file.write(|_| Ok(())).unwrap();
        assert_eq!(get(&file, 1), None);
    }

    #[test]
    fn what_is_damaged_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let file = Brief::at(folder.path().join("shared.redb"));
        add(&file, 1);
        let good = std::fs::read(&file.path).unwrap();
        for cut in [0, 1, 100, good.len() / 2] {
            let mut bad = good.clone();
            bad.truncate(cut);
            bad.iter_mut().for_each(|byte| *byte ^= 0x55);
            std::fs::write(&file.path, bad).unwrap();
            add(&file, 1);
            assert_eq!(get(&file, 1), Some(1), "{cut}");
        }
        std::fs::write(&file.path, b"no database at all, but longer than the header of one".repeat(99)).unwrap();
        assert_eq!(get(&file, 1), None);
        assert!(folder.path().join("shared.damaged").exists());
    }

    #[test]
    fn a_folder_in_its_place_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shared.redb");
        std::fs::create_dir(&path).unwrap();
        assert!(matches!(Brief::at(path).read(|_| Ok(())), Err(Error::Io { .. })));
    }
}
