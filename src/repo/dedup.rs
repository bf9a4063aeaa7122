//! Whether a blob need not be stored again.

use crate::error::Result;
use crate::id::{BlobId, ObjectId};
use crate::prune::rest::is_good;
use crate::state::blobs::{BlobKey, BlobView, key_of};
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// Blob keys are keyed hashes already: eight of their bytes are a good hash.
#[derive(Default)]
pub struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.as_chunks::<8>().0 {
            self.0 ^= u64::from_le_bytes(*chunk);
        }
    }
    fn write_usize(&mut self, _: usize) {}
    fn finish(&self) -> u64 {
        self.0
    }
}

/// A set of blob keys.
pub type KeySet = HashSet<BlobKey, BuildHasherDefault<KeyHasher>>;

/// What is stored already, or about to be.
pub struct Dedup {
    /// Blobs of this session that the view does not have yet.
    session: KeySet,
    view: BlobView,
    /// Packs by number: may a new snapshot rest on them?
    usable: HashMap<u32, bool>,
    condemned: HashSet<ObjectId>,
}

impl Dedup {
    /// Over what the state knows, less what is condemned.
    pub fn new(view: BlobView, condemned: HashSet<ObjectId>) -> Self {
        Self { session: KeySet::default(), view, usable: HashMap::new(), condemned }
    }

    /// Whether a new snapshot may rest on a copy of this blob.
    ///
    /// # Errors
    /// [`crate::Error::State`].
    pub fn knows(&mut self, id: &BlobId) -> Result<bool> {
        if self.session.contains(&key_of(id)) {
            return Ok(true);
        }
        let Some(place) = self.view.place(id)? else { return Ok(false) };
        if self.is_usable(place.pack)? {
            return Ok(true);
        }
        for copy in self.view.copies(id)? {
            if self.is_usable(copy.pack)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_usable(&mut self, pack: u32) -> Result<bool> {
        if let Some(known) = self.usable.get(&pack) {
            return Ok(*known);
        }
        let info = self.view.pack(pack)?;
        let usable = is_good(info.trusted, self.condemned.contains(&info.id));
        self.usable.insert(pack, usable);
        Ok(usable)
    }

    /// Adds a blob that this session stores.
    pub fn add(&mut self, key: BlobKey) {
        self.session.insert(key);
    }

    /// Goes on with a newer view, which has the blobs `now_in_view`.
    pub fn refresh(&mut self, view: BlobView, now_in_view: &[BlobKey]) {
        self.view = view;
        self.usable.clear();
        for key in now_in_view {
            self.session.remove(key);
        }
    }
}
