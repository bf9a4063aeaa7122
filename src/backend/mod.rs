//! Where objects are kept: a folder, memory, a bucket.
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

use crate::cost::Stored;
use crate::error::StoreError;
use crate::format::time::Time;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub mod b2;
pub mod conformance;
pub mod fault;
pub mod local;
pub mod memory;
pub mod oddity;
pub mod plan;
pub mod slots;
pub mod usage;

pub use oddity::{Oddity, OddityKind, Tidied};
pub use slots::Slots;
pub use usage::Usage;

/// Uploads at the same time where there is no network.
const LOCAL_PUTS: usize = 2;

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

    /// The object's size in bytes. A store that remembers its listings may say what the last one has shown.
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

    /// Whether each read is a request over a network, so that few large reads are far better than many small ones.
    fn is_remote(&self) -> bool {
        false
    }

    /// What was asked of the store since it was opened; callers take differences.
    fn usage(&self) -> Usage {
        Usage::default()
    }

    /// What was removed since this was last asked, and since when it had been stored, by the store's clock: for the bill. Nothing from a store
    /// that nobody bills.
    fn take_removed(&self) -> Vec<Stored> {
        Vec::new()
    }

    /// Visits everything that is billed as stored, also versions that are hidden, each with its object's name and since when it is there; that
    /// is 0 where the store does not tell.
    ///
    /// # Errors
    /// As [`Backend::list`].
    fn list_billed(&self, visit: &mut dyn FnMut(&str, Stored)) -> Result<(), StoreError> {
        self.list("", &mut |listed| {
            let from_secs = listed.uploaded.map_or(0, |time| time.secs);
            visit(&listed.name, Stored { bytes: listed.size_bytes, from_secs, until_secs: None });
        })
    }

    /// As [`Backend::list`] of everything, but without what lies in a folder of this name, at any depth. Cheaper than a whole listing.
    ///
    /// # Errors
    /// As [`Backend::list`].
    fn list_without(&self, folder: &str, visit: &mut dyn FnMut(Listed)) -> Result<(), StoreError> {
        let inside = |name: &str| name.rsplit_once('/').is_some_and(|(above, _)| above.split('/').any(|f| f == folder));
        self.list("", &mut |listed| {
            if !inside(&listed.name) {
                visit(listed);
            }
        })
    }

    /// The sizes of several objects; nothing for those that are missing. Many cost no more calls than a few.
    ///
    /// # Errors
    /// [`StoreError`].
    fn sizes(&self, names: &[String]) -> Result<Vec<Option<u64>>, StoreError> {
        let size = |name: &String| match self.size(name) {
            Ok(size_bytes) => Ok(Some(size_bytes)),
            Err(StoreError::NotFound) => Ok(None),
            Err(error) => Err(error),
        };
        names.iter().map(size).collect()
    }

    /// Says that these ranges of an object will be read soon, with [`Backend::get_range`], each once: ranges of one call that touch are fetched
    /// by one request. Only a hint.
    fn will_read(&self, _name: &str, _ranges: &[Range<u64>]) {}

    /// Reads a range again whose bytes were wrong, in another way: `attempt` 0 over a new connection, later ones from other versions of the object,
    /// if there are any. Nothing when there is no other way left. A reader goes on until its hash accepts the bytes.
    ///
    /// # Errors
    /// As [`Backend::get_range`].
    fn get_range_again(
        &self,
        name: &str,
        offset: u64,
        len_bytes: usize,
        attempt: u32,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        if attempt == 0 { self.get_range(name, offset, len_bytes).map(Some) } else { Ok(None) }
    }

    /// As [`Backend::get_range_again`], for a whole object.
    ///
    /// # Errors
    /// As [`Backend::get`].
    fn get_again(&self, name: &str, max_bytes: u64, attempt: u32) -> Result<Option<Vec<u8>>, StoreError> {
        if attempt == 0 { self.get(name, max_bytes).map(Some) } else { Ok(None) }
    }

    /// The slots that whoever puts many objects takes one of for each, before it begins.
    fn put_slots(&self) -> Arc<Slots> {
        Arc::new(Slots::new(LOCAL_PUTS, LOCAL_PUTS))
    }

    /// How many bytes a second may be put at present, where that is limited on purpose.
    fn put_limit_bytes_per_sec(&self) -> Option<u64> {
        None
    }

    /// When an object was stored, as far as one can know where [`Listed::uploaded`] says nothing: for those who only want to leave alone what is new.
    fn stored_at(&self, _name: &str) -> Option<Time> {
        None
    }

    /// What the listings so far have shown to be odd, sorted.
    fn oddities(&self) -> Vec<Oddity> {
        Vec::new()
    }

    /// Removes, below `prefix`, the versions that [`Backend::oddities`] are about, except the object itself: surplus ones, what shadows it, markers.
    /// For those who may delete. Versions that differ are only removed if `may_differ`: the caller knows that the oldest is the right one.
    ///
    /// # Errors
    /// [`StoreError`]; some may have been removed by then.
    fn tidy_versions(&self, _prefix: &str, _may_differ: bool) -> Result<Tidied, StoreError> {
        Ok(Tidied::default())
    }

    /// Where new objects are locked against removal for a time: locks the objects that are `wanted` anew for that time, those of which less than half of it
    /// is left. How many these were; nothing if the store locks nothing.
    ///
    /// # Errors
    /// [`StoreError`]; some may be locked by then.
    fn renew_locks(&self, _wanted: &(dyn Fn(&str) -> bool + Sync)) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }

    /// Whether the last listing has shown that an object may not be removed yet.
    fn is_locked(&self, _name: &str) -> bool {
        false
    }
}
