//! `pin` and `unpin`: snapshots that no policy removes. A pin is a gc object of its own (spec 10, 11.5).

use crate::error::{Error, FormatError, Result, StoreError};
use crate::format::gc::Gc;
use crate::format::keyfile::Role;
use crate::format::name::Name;
use crate::format::time::Time;
use crate::id::{ObjectId, WriterName};
use crate::ops::forget::write_gc;
use crate::repo::Repository;

/// What became of a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Pinned {
    /// The snapshot.
    pub snapshot: ObjectId,
    /// Whether anything has changed: it may have been so before.
    pub changed: bool,
}

fn need_admin(repo: &Repository, what: &'static str) -> Result<()> {
    match repo.keys().role() {
        Role::Admin => Ok(()),
        role => Err(Error::Role { have: role.as_str(), what }),
    }
}

/// Pins snapshots; `writer` is the name under which that is signed.
///
/// # Errors
/// [`Error::Role`] unless an admin asks; [`Error::Usage`] for one that is forgotten, or is removed while this runs; [`Error::Store`].
pub fn pin(repo: &Repository, names: &[Name], writer: &WriterName) -> Result<Vec<Pinned>> {
    need_admin(repo, "pin a snapshot")?;
    let statements = repo.statements()?;
    let ids: Vec<ObjectId> = names.iter().filter_map(Name::id).collect();
    if let Some(dead) = ids.iter().find(|id| statements.forgotten.contains(*id) && !statements.pinned.contains(*id)) {
        return Err(Error::Usage(format!("the snapshot {} is forgotten: the next `forget` removes it", dead.short())));
    }
    let mut fresh: Vec<ObjectId> = ids.iter().filter(|id| !statements.pinned.contains(*id)).copied().collect();
    fresh.sort();
    fresh.dedup();
    if !fresh.is_empty() {
        let signer = repo.keys().signer(Some(writer))?;
        write_gc(repo, &signer, &Gc { created: Time::now(), pinned: fresh.clone(), ..Gc::default() })?;
        // Only what is still there now is safe: a `forget` that began before has not seen the pin (spec 11.5).
        for name in names {
            match repo.backend().size(&name.to_string()) {
                Ok(_) => {}
                Err(StoreError::NotFound) => return Err(too_late(name)),
                Err(error) => return Err(Error::store("look for", name, error)),
            }
        }
        let now = repo.statements()?;
        if let Some(name) = names.iter().find(|name| name.id().is_some_and(|id| now.forgotten.contains(&id))) {
            return Err(too_late(name));
        }
    }
    Ok(ids.iter().map(|id| Pinned { snapshot: *id, changed: fresh.contains(id) }).collect())
}

fn too_late(name: &Name) -> Error {
    let id = name.id().map(|id| id.short()).unwrap_or_default();
    Error::Usage(format!(
        "somebody forgets the snapshot {id} at this moment: the pin may have come too late; `panther snapshots` shows whether it is still there"
    ))
}

/// Takes back all pins of snapshots.
///
/// # Errors
/// [`Error::Role`] unless an admin asks; [`Error::Store`]; what is wrong with a gc object, or that only a newer program may change it.
pub fn unpin(repo: &Repository, ids: &[ObjectId], writer: &WriterName) -> Result<Vec<Pinned>> {
    need_admin(repo, "unpin a snapshot")?;
    let signer = repo.keys().signer(Some(writer))?;
    let mut changed = Vec::new();
    for (name, _) in repo.list("gc/")? {
        let read = repo.signed(&name, |opened| Ok((Gc::decode(&opened.plaintext)?, opened.plaintext)));
        let (gc, plaintext) = match read {
            Ok(read) => read,
            Err(Error::Missing(_)) => continue,
            Err(error) => return Err(error),
        };
        let (taken, kept): (Vec<ObjectId>, Vec<ObjectId>) = gc.pinned.iter().partition(|id| ids.contains(id));
        if taken.is_empty() {
            continue;
        }
        if gc.encode() != plaintext {
            let source = FormatError::Invalid("beside a pin it says something that this version does not know");
            return Err(Error::Newer { object: name.to_string(), source });
        }
        let rest = Gc { pinned: kept, ..gc };
        if !rest.is_empty() {
            // What else it says must hold all the time.
            write_gc(repo, &signer, &rest)?;
        }
        match repo.backend().delete(&name.to_string()) {
            Ok(()) | Err(StoreError::NotFound) => changed.extend(taken),
            Err(error) => return Err(Error::store("remove", name, error)),
        }
    }
    Ok(ids.iter().map(|id| Pinned { snapshot: *id, changed: changed.contains(id) }).collect())
}
