//! The key files of a repository.

use super::{get, list};
use crate::backend::Backend;
use crate::error::{Error, Result};
use crate::format::config::Config;
use crate::format::limits;
use crate::format::name::Name;
use crate::id::ObjectId;
use crate::keys::Keyring;
use crate::keys::wrap::Opener;

/// Opens the first key file that `opener` opens, beginning with `likely`, which needs no listing.
pub(super) fn open(
    backend: &dyn Backend,
    opener: &Opener,
    config: &Config,
    config_hash: ObjectId,
    likely: Option<ObjectId>,
) -> Result<(ObjectId, Keyring)> {
    let open_one = |id: ObjectId| {
        let name = Name::Key(id);
        get(backend, &name, limits::SMALL_OBJECT_BYTES).and_then(|object| {
            let file = opener.open(&object).map_err(|e| Error::format(&name, e))?;
            file.map(|key| Keyring::new(key, config, config_hash)).transpose().map_err(|e| Error::format(&name, e))
        })
    };
    if let Some(id) = likely {
        match open_one(id) {
            Ok(Some(keys)) => return Ok((id, keys)),
            Err(Error::Store { op, object, source }) if source.ends_the_run() => {
                return Err(Error::Store { op, object, source });
            }
            // It was only likely.
            Ok(None) | Err(_) => {}
        }
    }
    let mut trouble = None;
    for (name, _) in list(backend, "keys/")? {
        let Name::Key(id) = name else { continue };
        match open_one(id) {
            Ok(Some(keys)) => return Ok((id, keys)),
            Ok(None) => {}
            // Another key file may still open: a damaged one must not lock everybody out.
            Err(error) => trouble = Some(error),
        }
    }
    Err(trouble.unwrap_or(Error::WrongKey(opener.what())))
}

/// A key file as it can be seen without opening it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct KeyListing {
    /// Its id.
    pub id: ObjectId,
    /// Whether a passphrase opens it, rather than an identity.
    pub passphrase: bool,
    /// Its size.
    pub size_bytes: u64,
}

/// All key files, by the store's listing.
///
/// # Errors
/// [`Error::Store`].
pub fn listing(backend: &dyn Backend) -> Result<Vec<KeyListing>> {
    let mut keys = Vec::new();
    for (name, size_bytes) in list(backend, "keys/")? {
        let Name::Key(id) = name else { continue };
        let object = get(backend, &name, limits::SMALL_OBJECT_BYTES)?;
        let passphrase = age::Decryptor::new_buffered(&object[..]).is_ok_and(|d| d.is_scrypt());
        keys.push(KeyListing { id, passphrase, size_bytes });
    }
    Ok(keys)
}
