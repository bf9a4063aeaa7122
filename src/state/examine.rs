//! What condition the files of a repository's state are in, without changing any.

use super::{META, NOTES, SCHEMA, builder, distrusted, is_corruption};
use crate::error::{Error, Result};
use crate::id::RepoId;
use redb::{ReadableDatabase, StorageError};
use std::io;
use std::path::{Path, PathBuf};

/// A file of the state; runs side by side each have one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub size_bytes: u64,
    /// In what condition.
    pub condition: Condition,
}

/// The condition of a file of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It can be used.
    Sound,
    /// A run is using it.
    InUse,
    /// It was not closed; the next run puts it in order.
    Unclean,
    /// A run has found something wrong in it; the next one makes it anew.
    Distrusted,
    /// Of another version of the program; the next run makes it anew.
    OtherSchema,
    /// Damaged; the next run makes it anew.
    Damaged(String),
    /// It cannot be opened, nor can the next run.
    Unreadable(String),
}

/// The files of the state of `repo` below `folder`, in order; none if nothing is remembered of it.
///
/// # Errors
/// [`Error::Io`] when the folder cannot be read.
pub fn examine(folder: &Path, repo: &RepoId) -> Result<Vec<Slot>> {
    let folder = folder.join(repo.to_hex());
    let failed = |e| Error::io("list the state folder", &folder, e);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut slots = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        if !name.to_str().is_some_and(|name| name.starts_with("state") && name.ends_with(".redb")) {
            continue;
        }
        let path = entry.path();
        let size_bytes = entry.metadata().map(|meta| meta.len()).map_err(|e| Error::io("look at", &path, e))?;
        slots.push(Slot { size_bytes, condition: condition(&path), path });
    }
    // The first slot has no number.
    slots.sort_by_key(|slot| (slot.path.as_os_str().len(), slot.path.clone()));
    Ok(slots)
}

fn condition(path: &Path) -> Condition {
    if distrusted(path).exists() {
        return Condition::Distrusted;
    }
    // redb panics over some damaged files.
    std::panic::catch_unwind(|| open(path)).unwrap_or_else(|_| Condition::Damaged("it cannot be understood".into()))
}

fn open(path: &Path) -> Condition {
    let db = match builder().open_read_only(path) {
        Ok(db) => db,
        Err(redb::DatabaseError::DatabaseAlreadyOpen) => return Condition::InUse,
        Err(redb::DatabaseError::RepairAborted) => return Condition::Unclean,
        Err(redb::DatabaseError::Storage(StorageError::Io(e))) if !is_corruption(&e) => {
            return Condition::Unreadable(e.to_string());
        }
        Err(error) => return Condition::Damaged(error.to_string()),
    };
    let schema = || -> Result<bool, redb::Error> {
        let meta = db.begin_read()?.open_table(META)?;
        Ok(meta.get("schema")?.is_some_and(|v| v.value() == SCHEMA))
    };
    match schema() {
        Ok(true) => Condition::Sound,
        Ok(false) => Condition::OtherSchema,
        Err(error) => Condition::Damaged(error.to_string()),
    }
}

/// A note's name and what it says.
pub type Note = (Vec<u8>, Vec<u8>);

/// The notes of a sound file of the state whose names begin so; none if it cannot be read.
pub fn notes(path: &Path, beginning: &[u8]) -> Vec<Note> {
    let read = || -> Result<Vec<Note>, redb::Error> {
        let table = builder().open_read_only(path)?.begin_read()?.open_table(NOTES)?;
        let mut found = Vec::new();
        for note in table.range(beginning..)? {
            let (name, value) = note?;
            if !name.value().starts_with(beginning) {
                break;
            }
            found.push((name.value().to_vec(), value.value().to_vec()));
        }
        Ok(found)
    };
    // redb panics over some damaged files.
    std::panic::catch_unwind(read).ok().and_then(Result::ok).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::state::State;

    #[test]
    fn conditions() {
        let folder = tempfile::tempdir().unwrap();
        let repo = RepoId([3; 32]);
        let found = || -> Vec<Condition> {
            examine(folder.path(), &repo).unwrap().into_iter().map(|slot| slot.condition).collect()
        };
        assert_eq!(found(), []);
        let first = State::open(folder.path(), &repo).unwrap();
        let second = State::open(folder.path(), &repo).unwrap();
        assert_eq!(found(), [Condition::InUse, Condition::InUse]);
        let (one, two) = (first.path().to_owned(), second.path().to_owned());
        first
            .verified()
            .note(&[(crate::id::ObjectId([1; 32]), crate::state::verified::Reading { at_secs: 1, sound: true })])
            .unwrap();
        second.distrust();
        drop((first, second));
        // Looking changes nothing.
        for _ in 0..2 {
            assert_eq!(found(), [Condition::Sound, Condition::Distrusted]);
        }
        std::fs::remove_file(distrusted(&two)).unwrap();
        std::fs::write(&one, b"no database").unwrap();
        std::fs::remove_file(&two).unwrap();
        std::fs::create_dir(&two).unwrap();
        let conditions = found();
        assert!(matches!(conditions[0], Condition::Damaged(_)), "{conditions:?}");
        assert!(matches!(conditions[1], Condition::Unreadable(_)), "{conditions:?}");
        assert_eq!(std::fs::read(&one).unwrap(), b"no database");
    }
}
