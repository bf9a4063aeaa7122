//! A repository: made, opened, and its objects read with all checks.

pub mod content;
pub mod dedup;
pub mod directory;
pub mod index;
pub mod keyring;

mod ahead;
mod commit;
mod compress;
mod effort;
mod leftovers;
mod packer;
pub mod reader;
pub mod snapshots;
pub mod statements;
pub mod survey;
pub mod table;
pub mod tree;
mod uploads;
pub mod vanished;
pub mod writer;

use crate::backend::{Backend, Body};
use crate::error::{Error, FormatError, Result, StoreError};
use crate::format::config::{Config, Params};
use crate::format::header::{Header, Kind};
use crate::format::limits;
use crate::format::name::Name;
use crate::id::{ObjectId, WriterName};
use crate::keys::wrap::{Opener, Recipient};
use crate::keys::{self, Keyring};
use crate::seal::{self, Opened};
use std::sync::{Arc, Mutex, PoisonError};

/// An open repository.
pub struct Repository {
    backend: Arc<dyn Backend>,
    config: Config,
    keys: Keyring,
    key_id: ObjectId,
    reread: Mutex<Vec<Name>>,
}

impl Repository {
    /// Makes a repository with one admin key wrapped to `recipient`.
    ///
    /// The key goes first and `panther.cbor` last, so that a crash leaves no repository rather than one that nobody can open (spec 11).
    ///
    /// # Errors
    /// [`Error::RepositoryExists`]; whatever the store says.
    pub fn init(backend: Arc<dyn Backend>, recipient: &Recipient, label: &str, work_factor: u8) -> Result<Self> {
        match backend.size(&Name::Config.to_string()) {
            Ok(_) => return Err(Error::RepositoryExists(backend.location())),
            Err(StoreError::NotFound) => {}
            Err(error) => return Err(Error::store("look for", Name::Config, error)),
        }
        let (object, config, key) = keys::create(Params::default(), label, &mut seal::system_random());
        let wrapped = recipient.wrap(&key, work_factor).map_err(|e| Error::format("the new key", e))?;
        let key_id = ObjectId::of(&wrapped);
        put(&*backend, &Name::Key(key_id), &wrapped)?;
        put(&*backend, &Name::Config, &object)?;
        let keys = Keyring::new(key, &config, Config::hash(&object)).map_err(|e| Error::format("the new key", e))?;
        Ok(Self { backend, config, keys, key_id, reread: Mutex::default() })
    }

    /// Opens the repository with whatever key file `opener` opens.
    ///
    /// # Errors
    /// [`Error::NoRepository`], [`Error::WrongKey`]; whatever is wrong with its objects.
    pub fn open(backend: Arc<dyn Backend>, opener: &Opener) -> Result<Self> {
        let found = read_config(&*backend)?;
        Self::open_with(backend, opener, found, None)
    }

    /// As [`Repository::open`], with the configuration as [`read_config`] has given it, and the key file that most likely opens: that saves calls.
    ///
    /// # Errors
    /// As [`Repository::open`].
    pub fn open_with(
        backend: Arc<dyn Backend>,
        opener: &Opener,
        (config, config_hash): (Config, ObjectId),
        likely: Option<ObjectId>,
    ) -> Result<Self> {
        let (key_id, keys) = keyring::open(&*backend, opener, &config, config_hash, likely)?;
        Ok(Self { backend, config, keys, key_id, reread: Mutex::default() })
    }

    /// Where its objects are.
    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.backend
    }

    /// The public configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The open keys.
    pub fn keys(&self) -> &Keyring {
        &self.keys
    }

    /// Which key file was opened.
    pub fn key_id(&self) -> ObjectId {
        self.key_id
    }

    /// Stores an object under the name that its bytes give it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn put(&self, name: &Name, bytes: &[u8]) -> Result<()> {
        put(&*self.backend, name, bytes)
    }

    /// The writers that have anything in the store, by its listing.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn writers(&self) -> Result<Vec<WriterName>> {
        let folders = self.backend.list_folders("writers/").map_err(|e| Error::store("list", "writers/", e))?;
        Ok(folders.iter().filter_map(|name| WriterName::new(name).ok()).collect())
    }

    /// The names and sizes of the objects below `prefix`; names that are none of the format's are left out.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn list(&self, prefix: &str) -> Result<Vec<(Name, u64)>> {
        list(&*self.backend, prefix)
    }

    /// Reads a signed object, checks its hash, header, certificate and signature, and hands it opened to `take`.
    ///
    /// # Errors
    /// What is wrong with it, or what `take` says.
    pub fn signed<T>(&self, name: &Name, take: impl FnOnce(Opened<'_>) -> Result<T, FormatError>) -> Result<T> {
        let (kind, writer, limit) = match name {
            Name::Index(writer, _) => (Kind::Index, Some(writer), limits::INDEX_BYTES),
            Name::Snapshot(writer, _) => (Kind::Snapshot, Some(writer), limits::MANIFEST_BYTES),
            Name::Gc(_) => (Kind::Gc, None, limits::INDEX_BYTES),
            Name::Config | Name::Key(_) | Name::Pack(..) => {
                return Err(Error::format(name, FormatError::Invalid("it is no signed object")));
            }
        };
        let (bytes, again) = get_told(&*self.backend, name, limit)?;
        if again {
            self.reread.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
        }
        self.keys
            .verifier()
            .open(&bytes, kind, writer, self.keys.epochs())
            .and_then(take)
            .map_err(|e| Error::format(name, e))
    }

    /// The signed objects that were wrong when first read and right when read again, since this was last asked.
    pub fn take_reread(&self) -> Vec<Name> {
        std::mem::take(&mut self.reread.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Checks a pack's header.
    pub(crate) fn pack_header(&self, bytes: &[u8], name: &Name) -> Result<Header> {
        Header::decode(bytes, name.kinds(), &self.config.repo).map_err(|e| Error::format(name, e))
    }
}

/// Reads and verifies `panther.cbor`: the configuration and its hash.
///
/// # Errors
/// [`Error::NoRepository`]; whatever is wrong with it.
pub fn read_config(backend: &dyn Backend) -> Result<(Config, ObjectId)> {
    let name = Name::Config.to_string();
    let open = |done: Result<Vec<u8>, StoreError>| {
        let object = match done {
            Ok(object) => object,
            Err(StoreError::NotFound) => return Err(Error::NoRepository(backend.location())),
            Err(StoreError::Length { .. }) => {
                return Err(Error::format(&name, FormatError::Invalid("it is far too large")));
            }
            Err(error) => return Err(Error::store("read", &name, error)),
        };
        let config = seal::open_config(&object).map_err(|e| Error::format(&name, e))?;
        Ok((config, Config::hash(&object)))
    };
    let first = open(backend.get(&name, limits::SMALL_OBJECT_BYTES));
    until_right(first, |attempt| backend.get_again(&name, limits::SMALL_OBJECT_BYTES, attempt), open)
}

/// Reads a whole object and checks that its bytes hash to its name.
///
/// # Errors
/// [`Error::Store`], [`Error::Damaged`].
pub(crate) fn get(backend: &dyn Backend, name: &Name, max_bytes: u64) -> Result<Vec<u8>> {
    get_told(backend, name, max_bytes).map(|(bytes, _)| bytes)
}

/// As [`get`]; and whether it was wrong at first.
fn get_told(backend: &dyn Backend, name: &Name, max_bytes: u64) -> Result<(Vec<u8>, bool)> {
    let text = name.to_string();
    let check = |done: Result<Vec<u8>, StoreError>| {
        let bytes = match done {
            Ok(bytes) => bytes,
            Err(StoreError::NotFound) => return Err(Error::Missing(text.clone())),
            Err(StoreError::Length { actual_bytes: actual, .. }) => {
                return Err(Error::format(&text, FormatError::Limit { what: "object", actual, limit: max_bytes }));
            }
            Err(error) => return Err(Error::store("read", &text, error)),
        };
        match name.id() {
            Some(id) if id != ObjectId::of(&bytes) => Err(Error::format(&text, FormatError::Hash)),
            _ => Ok(bytes),
        }
    };
    let mut was_wrong = false;
    let again = |attempt| {
        was_wrong = true;
        backend.get_again(&text, max_bytes, attempt)
    };
    let bytes = until_right(check(backend.get(&text, max_bytes)), again, check)?;
    Ok((bytes, was_wrong))
}

/// So often is something read again that was wrong: more versions of an object are not looked at.
const READ_AGAIN: u32 = 8;

/// Reads again what was wrong, in every way that the store has, before it counts as damaged: `check` says what is right.
/// A store that once gave wrong bytes may give the right ones over another connection, or have another version.
///
/// # Errors
/// The first one, if nothing right comes.
pub(crate) fn until_right<T>(
    first: Result<T>,
    mut again: impl FnMut(u32) -> Result<Option<Vec<u8>>, StoreError>,
    check: impl Fn(Result<Vec<u8>, StoreError>) -> Result<T>,
) -> Result<T> {
    let wrong = match first {
        Err(error @ Error::Damaged { .. }) => error,
        other => return other,
    };
    for attempt in 0..READ_AGAIN {
        match again(attempt).transpose() {
            None => break,
            // That it cannot be read now says nothing of whether it is damaged.
            Some(Err(error)) if error.ends_the_run() => return check(Err(error)),
            Some(done) => {
                if let Ok(right) = check(done) {
                    return Ok(right);
                }
            }
        }
    }
    Err(wrong)
}

pub(crate) fn put(backend: &dyn Backend, name: &Name, bytes: &[u8]) -> Result<()> {
    backend.put(&name.to_string(), Body::Bytes(bytes)).map_err(|e| Error::store("store", name, e))
}

pub(crate) fn list(backend: &dyn Backend, prefix: &str) -> Result<Vec<(Name, u64)>> {
    let mut found = Vec::new();
    backend
        .list(prefix, &mut |listed| {
            if let Some(name) = Name::parse(&listed.name) {
                found.push((name, listed.size_bytes));
            }
        })
        .map_err(|e| Error::store("list", if prefix.is_empty() { "the repository" } else { prefix }, e))?;
    found.sort();
    Ok(found)
}
