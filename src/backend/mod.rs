//! Where objects are kept: a folder, memory, later a bucket.
//!
//! # The contract
//! Every backend must keep these promises; [`conformance`] checks them.
//!
//! 1. **All or nothing.** After `put` has returned `Ok`, the object is complete, durable (it survives a power cut) and visible to `get`, `get_range`,
//!    `size` and `list` of any process. After an error or a crash, either it is complete or there is no trace of it in them.
//! 2. **Write once.** The same name is only ever put with the same bytes (names are hashes of them); putting it again succeeds and heals a damaged copy.
//! 3. **Exact reads.** `get_range` returns exactly the bytes asked for or an error, never fewer. `get` refuses an object larger than its limit before reading it.
//! 4. **Honest listing.** `list` visits each object under the prefix exactly once, with its size, in no given order; unfinished uploads are not objects.
//! 5. **Missing is not an error of the store**: it is [`StoreError::NotFound`], for `get`, `get_range`, `size` and `delete`. Listing a prefix without objects visits nothing.
//! 6. **Side by side.** All calls may run at the same time from many threads and processes.
//! 7. **No secrets** in [`Backend::location`] or in an error.

use crate::error::StoreError;
use crate::format::time::Time;
use std::path::{Path, PathBuf};

pub mod conformance;
pub mod fault;
pub mod local;
pub mod memory;

/// The bytes of an object on their way into the store.
#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    /// Bytes in memory.
    Bytes(&'a [u8]),
    /// A complete file. The backend may take it away (rename it); otherwise the caller removes it.
    File(&'a Path),
}

/// One object of a listing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// The object's whole name, from the repository's root.
    pub name: String,
    /// Its size.
    pub size_bytes: u64,
    /// When the store received it, by the store's own clock, if whoever writes objects cannot choose that time. A file's time of modification is no such
    /// thing: its owner sets it, and copying a repository changes it.
    pub uploaded: Option<Time>,
}

/// A store of objects. See the module's contract.
pub trait Backend: Send + Sync {
    /// Where this is, for people.
    fn location(&self) -> String;

    /// Stores an object.
    ///
    /// # Errors
    /// [`StoreError`]; then no part of the object is visible.
    fn put(&self, name: &str, body: Body<'_>) -> Result<(), StoreError>;

    /// Reads a whole object of at most `max_bytes`.
    ///
    /// # Errors
    /// [`StoreError::Length`] if it is larger; any other [`StoreError`].
    fn get(&self, name: &str, max_bytes: u64) -> Result<Vec<u8>, StoreError>;

    /// Reads `len_bytes` bytes from `offset` on.
    ///
    /// # Errors
    /// [`StoreError::Length`] if the object ends before that; any other [`StoreError`].
    fn get_range(&self, name: &str, offset: u64, len_bytes: usize) -> Result<Vec<u8>, StoreError>;

    /// The object's size in bytes.
    ///
    /// # Errors
    /// [`StoreError`].
    fn size(&self, name: &str) -> Result<u64, StoreError>;

    /// Visits every object whose name begins with `prefix`, which is empty or ends in `/`.
    ///
    /// # Errors
    /// [`StoreError`]; some objects may have been visited by then.
    fn list(&self, prefix: &str, visit: &mut dyn FnMut(Listed)) -> Result<(), StoreError>;

    /// The next path components after `prefix` (empty or ending in `/`) that have objects below them, sorted: `list_folders("writers/")` gives the writers.
    ///
    /// # Errors
    /// [`StoreError`].
    fn list_folders(&self, prefix: &str) -> Result<Vec<String>, StoreError>;

    /// Removes an object.
    ///
    /// # Errors
    /// [`StoreError`].
    fn delete(&self, name: &str) -> Result<(), StoreError>;

    /// A folder in which a file that is put with [`Body::File`] costs no copy, made if need be; none if there is no such place.
    ///
    /// # Errors
    /// [`StoreError`].
    fn staging(&self) -> Result<Option<PathBuf>, StoreError> {
        Ok(None)
    }
}
