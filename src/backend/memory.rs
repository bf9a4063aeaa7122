//! A store in memory that counts its calls, for tests.

use super::local::{check_name, check_prefix, not_missing};
use super::{Backend, Body, Listed};
use crate::error::StoreError;
use crate::format::time::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How often each operation was called, whether it succeeded or not, and how many bytes went each way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallCounts {
    /// Calls of `put`.
    pub put_calls: u64,
    /// Calls of `get`.
    pub get_calls: u64,
    /// Calls of `get_range`.
    pub get_range_calls: u64,
    /// Calls of `list`.
    pub list_calls: u64,
    /// Calls of `list_folders`.
    pub list_folders_calls: u64,
    /// Calls of `size`.
    pub size_calls: u64,
    /// Calls of `delete`.
    pub delete_calls: u64,
    /// Bytes stored by `put`.
    pub up_bytes: u64,
    /// Bytes answered by `get` and `get_range`.
    pub down_bytes: u64,
}

#[derive(Default)]
struct Inner {
    objects: BTreeMap<String, Arc<[u8]>>,
    uploaded: BTreeMap<String, Time>,
    counts: CallCounts,
}

impl Inner {
    fn find(&self, name: &str) -> Result<Arc<[u8]>, StoreError> {
        check_name(name)?;
        self.objects.get(name).cloned().ok_or(StoreError::NotFound)
    }

    fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a String, &'a Arc<[u8]>)> {
        self.objects.range(prefix.to_owned()..).take_while(move |(name, _)| name.starts_with(prefix))
    }
}

/// A store in memory. A clone is another handle on the same objects and counts.
#[derive(Clone, Default)]
pub struct MemoryBackend(Arc<Mutex<Inner>>);

impl MemoryBackend {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The counts since the store was made or [`reset_counts`](Self::reset_counts) was called.
    pub fn counts(&self) -> CallCounts {
        self.lock().counts
    }

    /// Sets all counts to zero.
    pub fn reset_counts(&self) {
        self.lock().counts = CallCounts::default();
    }

    /// Has the listing say that an object was received at `time`; of others it says nothing.
    pub fn set_uploaded(&self, name: &str, time: Time) {
        self.lock().uploaded.insert(name.to_owned(), time);
    }

    // No call leaves the map half changed, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for MemoryBackend {
    fn location(&self) -> String {
        "memory".to_owned()
    }

    fn put(&self, name: &str, body: Body<'_>) -> Result<(), StoreError> {
        self.lock().counts.put_calls += 1;
        check_name(name)?;
        let bytes: Arc<[u8]> = match body {
            Body::Bytes(bytes) => bytes.into(),
            Body::File(path) => std::fs::read(path).map_err(not_missing)?.into(),
        };
        let mut inner = self.lock();
        inner.counts.up_bytes += bytes.len() as u64;
        inner.objects.insert(name.to_owned(), bytes);
        Ok(())
    }

    fn get(&self, name: &str, max_bytes: u64) -> Result<Vec<u8>, StoreError> {
        let mut inner = self.lock();
        inner.counts.get_calls += 1;
        let bytes = inner.find(name)?;
        let actual_bytes = bytes.len() as u64;
        if actual_bytes > max_bytes {
            let wanted = format!("at most {max_bytes}");
            return Err(StoreError::Length { actual_bytes, wanted });
        }
        inner.counts.down_bytes += actual_bytes;
        drop(inner);
        Ok(bytes.to_vec())
    }

    fn get_range(&self, name: &str, offset: u64, len_bytes: usize) -> Result<Vec<u8>, StoreError> {
        let mut inner = self.lock();
        inner.counts.get_range_calls += 1;
        let bytes = inner.find(name)?;
        let part = usize::try_from(offset).ok().and_then(|start| bytes.get(start..start.checked_add(len_bytes)?));
        let Some(part) = part else {
            return Err(StoreError::Length {
                actual_bytes: bytes.len() as u64,
                wanted: format!("at least {len_bytes} from {offset} on"),
            });
        };
        inner.counts.down_bytes += part.len() as u64;
        drop(inner);
        Ok(part.to_vec())
    }

    fn size(&self, name: &str) -> Result<u64, StoreError> {
        let mut inner = self.lock();
        inner.counts.size_calls += 1;
        Ok(inner.find(name)?.len() as u64)
    }

    fn list(&self, prefix: &str, visit: &mut dyn FnMut(Listed)) -> Result<(), StoreError> {
        let found: Vec<Listed> = {
            let mut inner = self.lock();
            inner.counts.list_calls += 1;
            check_prefix(prefix)?;
            let inner = &*inner;
            inner
                .below(prefix)
                .map(|(name, bytes)| Listed {
                    name: name.clone(),
                    size_bytes: bytes.len() as u64,
                    uploaded: inner.uploaded.get(name).copied(),
                })
                .collect()
        };
        // The lock is free again: the visitor may call the store.
        found.into_iter().for_each(visit);
        Ok(())
    }

    fn list_folders(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let mut inner = self.lock();
        inner.counts.list_folders_calls += 1;
        check_prefix(prefix)?;
        let folders: BTreeSet<String> = inner
            .below(prefix)
            .filter_map(|(name, _)| name[prefix.len()..].split_once('/'))
            .map(|(folder, _)| folder.to_owned())
            .collect();
        Ok(folders.into_iter().collect())
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        let mut inner = self.lock();
        inner.counts.delete_calls += 1;
        check_name(name)?;
        match inner.objects.remove(name) {
            Some(_) => Ok(()),
            None => Err(StoreError::NotFound),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::backend::conformance;

    #[test]
    fn keeps_the_contract() {
        conformance::check(&|| Box::new(MemoryBackend::new())).unwrap();
    }

    #[test]
    fn clones_share_objects_and_counts() {
        let one = MemoryBackend::new();
        let two = one.clone();
        one.put("a/b", Body::Bytes(b"hello")).unwrap();
        assert_eq!(two.get("a/b", 5).unwrap(), b"hello");
        assert_eq!(two.get_range("a/b", 1, 3).unwrap(), b"ell");
        two.get("a/b", 4).unwrap_err();
        two.size("a/b").unwrap();
        two.list("", &mut |_| ()).unwrap();
        two.list_folders("").unwrap();
        two.delete("a/b").unwrap();
        let expected = CallCounts {
            put_calls: 1,
            get_calls: 2,
            get_range_calls: 1,
            list_calls: 1,
            list_folders_calls: 1,
            size_calls: 1,
            delete_calls: 1,
            up_bytes: 5,
            down_bytes: 8,
        };
        assert_eq!(one.counts(), expected);
        one.reset_counts();
        assert_eq!(two.counts(), CallCounts::default());
    }

    #[test]
    fn the_visitor_may_call_the_store() {
        let store = MemoryBackend::new();
        store.put("a", Body::Bytes(b"1")).unwrap();
        let mut read = Vec::new();
        store.list("", &mut |object| read = store.get(&object.name, 9).unwrap()).unwrap();
        assert_eq!(read, b"1");
    }
}
