//! `key`: key files are added, wrapped anew, removed, copied out.

use crate::backend::Backend;
use crate::error::{Error, Result, StoreError};
use crate::format::keyfile::Role;
use crate::format::limits;
use crate::format::name::Name;
use crate::id::{ObjectId, WriterName};
use crate::keys::wrap::{self, Opener, Recipient};
use crate::keys::{Keyring, SignedKey};
use crate::repo::keyring::{self, KeyListing};
use crate::repo::{self, Repository};
use crate::seal;
use zeroize::Zeroizing;

/// Adds a key of `role`, for a writer with a new identity of that name. Returns its id.
///
/// # Errors
/// [`Error::Role`] unless an admin asks; [`Error::Usage`] when a writer's key has no name; [`Error::Store`].
pub fn add(
    repo: &Repository,
    role: Role,
    label: &str,
    writer: Option<&WriterName>,
    recipient: &Recipient,
    work_factor: u8,
) -> Result<ObjectId> {
    if role != Role::Writer && writer.is_some() {
        return Err(Error::Usage(format!("a {} key has no writer name: leave --writer out", role.as_str())));
    }
    let key = repo.keys().derive_key(role, label, writer, &mut seal::system_random())?;
    store(repo, &key, recipient, work_factor)
}

/// Wraps the open key anew and removes the old wrapping after that. Returns the new key's id.
///
/// # Errors
/// [`Error::Store`]; if the old one could not be removed, both open the repository.
pub fn rewrap(repo: &Repository, recipient: &Recipient, work_factor: u8) -> Result<ObjectId> {
    let id = store(repo, repo.keys().own(), recipient, work_factor)?;
    delete(&**repo.backend(), repo.key_id())?;
    Ok(id)
}

/// Removes the key file `id`, which `opener` has opened `repo` with or which another has.
///
/// Nobody can see from outside whether a key file is an admin's. So only an admin may remove keys other than its own, and
/// its own only if `opener` opens another admin's key: that way one is always left.
///
/// # Errors
/// [`Error::Usage`] for the key in use without `force` and for the last admin's key; [`Error::Role`]; [`Error::Store`].
pub fn remove(repo: &Repository, opener: &Opener, id: ObjectId, force: bool) -> Result<()> {
    let role = repo.keys().role();
    if id != repo.key_id() {
        if role != Role::Admin {
            return Err(Error::Role { have: role.as_str(), what: "remove another key" });
        }
        return delete(&**repo.backend(), id);
    }
    if !force {
        return Err(Error::Usage(format!(
            "{} is the key in use: open the repository with another key, or add --force",
            id.short()
        )));
    }
    if role == Role::Admin && !opens_another_admin(repo, opener)? {
        return Err(Error::Usage(format!(
            "{} may be the last admin's key: open the repository with the other admin's key to remove it",
            id.short()
        )));
    }
    delete(&**repo.backend(), id)
}

/// The key file whose id begins with `wanted`.
///
/// # Errors
/// [`Error::Usage`] when there is none or more than one.
pub fn pick(keys: &[KeyListing], wanted: &str) -> Result<ObjectId> {
    if wanted.len() < 4 {
        return Err(Error::Usage(format!("{wanted:?} is too short for a key's id: give 4 digits or more")));
    }
    let wanted = wanted.to_ascii_lowercase();
    let mut found = keys.iter().filter(|key| key.id.to_hex().starts_with(&wanted));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one.id),
        (None, _) => Err(Error::Usage(format!("there is no key {wanted}; `panther key list` lists them"))),
        (Some(_), Some(_)) => Err(Error::Usage(format!("several keys begin with {wanted}: give more digits"))),
    }
}

/// The bytes of a key file, wrapped as they are.
///
/// # Errors
/// [`Error::Missing`], [`Error::Damaged`], [`Error::Store`].
pub fn export(backend: &dyn Backend, id: ObjectId) -> Result<Vec<u8>> {
    repo::get(backend, &Name::Key(id), limits::SMALL_OBJECT_BYTES)
}

/// A key to be printed.
pub struct PaperKey {
    /// The key file that it opens.
    pub id: ObjectId,
    /// What its holder can do.
    pub role: Role,
    /// The line `AGE-SECRET-KEY-1…`.
    pub secret: Zeroizing<String>,
}

/// Adds a key of the opener's role for a new age identity, which is nowhere but in the result.
///
/// A reader cannot sign a new key, so what is wrapped for its paper is its own.
///
/// # Errors
/// [`Error::Role`] for a writer: its key restores nothing. [`Error::Store`].
pub fn paper(repo: &Repository, label: &str) -> Result<PaperKey> {
    let role = repo.keys().role();
    repo.keys().need_reader("make a paper key")?;
    let (secret, recipient) = wrap::new_identity();
    let recipient = Recipient::Recipients(vec![recipient]);
    let id = match role {
        Role::Admin => add(repo, role, label, None, &recipient, wrap::WORK_FACTOR)?,
        Role::Reader | Role::Writer => store(repo, repo.keys().own(), &recipient, wrap::WORK_FACTOR)?,
    };
    Ok(PaperKey { id, role, secret })
}

/// Removes a key file that has just been made and is of no use.
///
/// # Errors
/// [`Error::Store`].
pub fn withdraw(repo: &Repository, paper: &PaperKey) -> Result<()> {
    delete(&**repo.backend(), paper.id)
}

fn store(repo: &Repository, key: &SignedKey, recipient: &Recipient, work_factor: u8) -> Result<ObjectId> {
    let object = recipient.wrap(key, work_factor).map_err(|e| Error::format("the new key", e))?;
    let id = ObjectId::of(&object);
    repo.put(&Name::Key(id), &object)?;
    Ok(id)
}

fn delete(backend: &dyn Backend, id: ObjectId) -> Result<()> {
    let name = Name::Key(id).to_string();
    match backend.delete(&name) {
        Err(StoreError::NotFound) => Err(Error::Missing(name)),
        other => other.map_err(|e| Error::store("remove", name, e)),
    }
}

fn opens_another_admin(repo: &Repository, opener: &Opener) -> Result<bool> {
    let backend = &**repo.backend();
    let (config, config_hash) = repo::read_config(backend)?;
    for key in keyring::listing(backend)? {
        if key.id == repo.key_id() {
            continue;
        }
        // One that does not open, or not properly, is no key that is left.
        let keys = export(backend, key.id)
            .ok()
            .and_then(|object| opener.open(&object).ok().flatten())
            .and_then(|signed| Keyring::new(signed, &config, config_hash).ok());
        if keys.is_some_and(|keys| keys.role() == Role::Admin) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::backend::memory::MemoryBackend;
    use age::secrecy::SecretString;
    use std::sync::Arc;

    const WORK: u8 = 4;

    fn pass(text: &str) -> (Opener, Recipient) {
        (Opener::Passphrase(SecretString::from(text)), Recipient::Passphrase(SecretString::from(text)))
    }

    fn made() -> (Arc<MemoryBackend>, Repository) {
        let backend = Arc::new(MemoryBackend::new());
        let repo = Repository::init(backend.clone(), &pass("one").1, "first", WORK).unwrap();
        (backend, repo)
    }

    fn open(backend: &Arc<MemoryBackend>, opener: &Opener) -> Result<Repository> {
        Repository::open(backend.clone(), opener)
    }

    #[test]
    fn keys_of_all_roles() {
        let (backend, repo) = made();
        let writer = WriterName::new("laptop").unwrap();
        for (role, writer) in [(Role::Admin, None), (Role::Reader, None), (Role::Writer, Some(&writer))] {
            let (opener, recipient) = pass(role.as_str());
            let id = add(&repo, role, "new", writer, &recipient, WORK).unwrap();
            let other = open(&backend, &opener).unwrap();
            assert_eq!((other.key_id(), other.keys().role()), (id, role));
            let again = add(&other, role, "", writer, &recipient, WORK);
            assert_eq!(again.is_ok(), role == Role::Admin);
            assert_eq!(paper(&other, "").is_ok(), role != Role::Writer);
        }
        assert!(matches!(add(&repo, Role::Writer, "", None, &pass("x").1, WORK), Err(Error::Usage(_))));
        assert!(matches!(add(&repo, Role::Reader, "", Some(&writer), &pass("x").1, WORK), Err(Error::Usage(_))));
    }

    #[test]
    fn a_new_passphrase_replaces_the_old_one() {
        let (backend, repo) = made();
        let (opener, recipient) = pass("two");
        let id = rewrap(&repo, &recipient, WORK).unwrap();
        assert!(matches!(open(&backend, &pass("one").0), Err(Error::WrongKey(_))));
        let repo = open(&backend, &opener).unwrap();
        assert_eq!((repo.key_id(), repo.keys().label().0), (id, "first"));
    }

    #[test]
    fn an_admins_key_is_always_left() {
        let (backend, repo) = made();
        let (opener, recipient) = pass("one");
        let own = repo.key_id();
        assert!(remove(&repo, &opener, own, false).is_err());
        assert!(remove(&repo, &opener, own, true).is_err());
        let reader = add(&repo, Role::Reader, "", None, &recipient, WORK).unwrap();
        assert!(remove(&repo, &opener, own, true).is_err(), "a reader's key is no admin's");
        remove(&repo, &opener, reader, false).unwrap();
        assert!(matches!(remove(&repo, &opener, reader, false), Err(Error::Missing(_))));
        let second = add(&repo, Role::Admin, "", None, &recipient, WORK).unwrap();
        remove(&repo, &opener, own, true).unwrap();
        assert_eq!(open(&backend, &opener).unwrap().key_id(), second);
    }

    #[test]
    fn a_reader_removes_only_its_own() {
        let (backend, repo) = made();
        let (opener, recipient) = pass("reader");
        add(&repo, Role::Reader, "", None, &recipient, WORK).unwrap();
        let reader = open(&backend, &opener).unwrap();
        assert!(matches!(remove(&reader, &opener, repo.key_id(), true), Err(Error::Role { .. })));
        remove(&reader, &opener, reader.key_id(), true).unwrap();
    }

    #[test]
    fn paper_opens() {
        let (backend, repo) = made();
        let paper = paper(&repo, "safe").unwrap();
        let opener = Opener::identities(&paper.secret).unwrap();
        assert_eq!(open(&backend, &opener).unwrap().key_id(), paper.id);
        assert!(!export(&*backend, paper.id).unwrap().is_empty());
        withdraw(&repo, &paper).unwrap();
        assert!(open(&backend, &opener).is_err());
    }

    #[test]
    fn keys_are_picked_by_prefix() {
        let key = |byte: u8| KeyListing { id: ObjectId([byte; 32]), passphrase: true, size_bytes: 0 };
        let mut twin = key(7);
        twin.id.0[31] = 0;
        let keys = [key(7), twin, key(8)];
        assert_eq!(pick(&keys, "0808").unwrap(), keys[2].id);
        assert_eq!(pick(&keys, &keys[1].id.to_hex().to_uppercase()).unwrap(), keys[1].id);
        for wanted in ["08", "0707", "0909"] {
            assert!(matches!(pick(&keys, wanted), Err(Error::Usage(_))));
        }
    }
}
