//! Folders in pieces: what is where in a folder's stream, so that one name costs one blob, and a folder of a million files little memory.

use crate::error::{Error, FormatError, Result};
use crate::format::content::{ContentRoot, ListOf, Record};
use crate::format::entry::{Entry, decode_stream};
use crate::format::header::BlobKind;
use crate::id::BlobId;
use crate::repo::reader::{BlobReader, describe};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// The entries of a blob of a stream.
pub type Chunk = Arc<Vec<Entry>>;

/// A cache in two halves: what was not asked for while one was filled is dropped with the other.
pub struct Halves<K, V> {
    limit: u64,
    inner: Mutex<Inner<K, V>>,
}

struct Inner<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    weight: u64,
}

impl<K: Hash + Eq + Clone, V: Clone> Halves<K, V> {
    /// A cache for values of so much weight, and up to twice that.
    pub fn new(limit: u64) -> Self {
        Self { limit, inner: Mutex::new(Inner { young: HashMap::new(), old: HashMap::new(), weight: 0 }) }
    }

    /// The value of `key`, made by `make` if it is not there: the value and its weight.
    ///
    /// # Errors
    /// What `make` says.
    pub fn get(&self, key: &K, make: impl FnOnce() -> Result<(V, u64)>) -> Result<V> {
        {
            let inner = &mut *self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(value) = inner.young.get(key) {
                return Ok(value.clone());
            }
            if let Some(value) = inner.old.remove(key) {
                // Its weight was counted when it came; here it is only kept longer.
                inner.young.insert(key.clone(), value.clone());
                return Ok(value);
            }
        }
        let (value, weight) = make()?;
        let inner = &mut *self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.weight += weight;
        inner.young.insert(key.clone(), value.clone());
        if inner.weight > self.limit {
            inner.old = std::mem::take(&mut inner.young);
            inner.weight = 0;
        }
        Ok(value)
    }
}

/// A blob of a folder's stream.
#[derive(Clone, Debug)]
struct Part {
    first: Box<[u8]>,
    /// How many entries are before it.
    before: u64,
    record: Record,
}

/// What is where in a folder.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    parts: Vec<Part>,
    len: u64,
}

/// Where an entry is: a blob, and its place in that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The blob.
    pub record: Record,
    /// Which of its entries.
    pub at: u32,
}

/// Reads folders.
pub struct Folders<'r> {
    reader: BlobReader<'r>,
    chunks: Halves<BlobId, Chunk>,
}

/// So many bytes of encoded entries are kept, and up to twice that. Decoded they take some four times as much.
const CHUNK_BYTES: u64 = 2 << 20;

impl<'r> Folders<'r> {
    /// Over this reader.
    pub fn new(reader: BlobReader<'r>) -> Self {
        Self { reader, chunks: Halves::new(CHUNK_BYTES) }
    }

    /// The reader.
    pub fn reader(&self) -> &BlobReader<'r> {
        &self.reader
    }

    /// The entries of a blob of a stream. What needs a newer program is left out.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn chunk(&self, record: &Record) -> Result<Chunk> {
        self.chunks.get(&record.id, || {
            let blob = self.reader.blob(BlobKind::Tree, &record.id, record.len_bytes)?;
            let mut entries = Vec::new();
            match decode_stream(&blob, &mut Vec::new(), |entry| entries.push(entry)) {
                Err(error) if !error.is_newer() => Err(Error::format(describe(BlobKind::Tree, &record.id), error)),
                _ => Ok((Arc::new(entries), record.len_bytes)),
            }
        })
    }

    /// Goes through a folder once and notes what is where.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn open(&self, root: &ContentRoot) -> Result<Folder> {
        let mut folder = Folder::default();
        let mut last: Vec<u8> = Vec::new();
        self.reader.each_record(root, ListOf::Directory, &mut |record| {
            let chunk = self.chunk(&record)?;
            let (Some(first), Some(end)) = (chunk.first(), chunk.last()) else { return Ok(()) };
            if first.name <= last {
                let why = FormatError::Invalid("a directory's entries are out of order");
                return Err(Error::format(describe(BlobKind::Tree, &record.id), why));
            }
            last.clone_from(&end.name);
            folder.parts.push(Part { first: first.name.clone().into(), before: folder.len, record });
            folder.len += chunk.len() as u64;
            Ok(())
        })?;
        Ok(folder)
    }

    /// Where the child of this name is, if there is one.
    ///
    /// # Errors
    /// What is wrong with the blob in which it would be.
    pub fn find(&self, folder: &Folder, name: &[u8]) -> Result<Option<(u64, Spot)>> {
        let after = folder.parts.partition_point(|part| *part.first <= *name);
        let Some(part) = after.checked_sub(1).and_then(|at| folder.parts.get(at)) else { return Ok(None) };
        let chunk = self.chunk(&part.record)?;
        let found = chunk.binary_search_by(|entry| entry.name[..].cmp(name)).ok();
        Ok(found.map(|at| (part.before + at as u64, Spot { record: part.record, at: at as u32 })))
    }

    /// The blob in which the entry at `position` is, and where there.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn at(&self, folder: &Folder, position: u64) -> Result<Option<(Chunk, Spot)>> {
        if position >= folder.len {
            return Ok(None);
        }
        let after = folder.parts.partition_point(|part| part.before <= position);
        let Some(part) = after.checked_sub(1).and_then(|at| folder.parts.get(at)) else { return Ok(None) };
        let at = (position - part.before) as u32;
        Ok(Some((self.chunk(&part.record)?, Spot { record: part.record, at })))
    }
}

impl Folder {
    /// How many entries it has.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// About the memory that it takes, in bytes.
    pub fn weight_bytes(&self) -> u64 {
        64 + self.parts.iter().map(|part| 96 + part.first.len() as u64).sum::<u64>()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_forgets_what_nobody_asks_for() {
        let cache: Halves<u32, u32> = Halves::new(10);
        let made = std::cell::Cell::new(0);
        let get = |key: u32| {
            let make = || {
                made.set(made.get() + 1);
                Ok((key * 2, 1))
            };
            assert_eq!(cache.get(&key, make).unwrap(), key * 2);
        };
        (0..200).for_each(|key| {
            get(key);
            get(7);
        });
        // 7 was made once or twice, as it never stayed unasked.
        assert!((200..=202).contains(&made.get()), "{}", made.get());
        (0..200).for_each(get);
        assert!(made.get() > 370, "{}", made.get());
        assert!(cache.get(&1_000, || Err(Error::Aborted)).is_err());
    }
}
