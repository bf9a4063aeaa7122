//! What the gc objects of a repository say, taken together (spec 10).

use super::Repository;
use crate::error::{Error, Result};
use crate::format::cert::{CertBody, SignerRole};
use crate::format::gc::Gc;
use crate::format::name::Name;
use crate::id::ObjectId;
use std::collections::{HashMap, HashSet};

/// All statements in force.
#[derive(Default, Debug)]
pub struct Statements {
    /// Packs that no new snapshot may rest on.
    pub condemned: HashSet<ObjectId>,
    /// Snapshots whose absence is no alarm.
    pub forgotten: HashSet<ObjectId>,
    /// Snapshots that are not to be forgotten.
    pub pinned: HashSet<ObjectId>,
    /// Revoked keys, each with what stays valid.
    pub revoked: HashMap<[u8; 32], HashSet<ObjectId>>,
    /// What restores for practice came to: JSON, each as often as gc objects have it.
    pub records: Vec<Vec<u8>>,
}

impl Statements {
    /// Whether an object signed with `cert` is to be treated as if it were not there. An admin's key cannot be revoked.
    pub fn refuses(&self, cert: &CertBody, object: &ObjectId) -> bool {
        cert.role == SignerRole::Writer
            && self.revoked.get(&cert.key).is_some_and(|accepted| !accepted.contains(object))
    }

    /// Unites what a gc object says with what others say.
    pub(crate) fn add(&mut self, gc: Gc) {
        for (_, packs) in gc.condemned.into_iter().flat_map(|c| c.packs) {
            self.condemned.extend(packs);
        }
        self.forgotten.extend(gc.forgotten);
        self.pinned.extend(gc.pinned);
        self.records.extend(gc.records);
        for revoked in gc.revoked {
            let accepted: HashSet<ObjectId> = revoked.accepted.into_iter().collect();
            // Where several revoke a key, an object is valid only if each accepts it.
            self.revoked
                .entry(revoked.key)
                .and_modify(|both| both.retain(|id| accepted.contains(id)))
                .or_insert(accepted);
        }
    }
}

impl Repository {
    /// Lists and reads all gc objects.
    ///
    /// # Errors
    /// [`Error::Store`], or what is wrong with one of them: none may be passed over.
    pub fn statements(&self) -> Result<Statements> {
        let mut all = Statements::default();
        for (name, _) in self.list("gc/")? {
            match self.signed(&name, |opened| Gc::decode(&opened.plaintext)) {
                Ok(gc) => all.add(gc),
                // Removed since it was listed: no longer in force.
                Err(Error::Missing(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }
}

impl Repository {
    /// As [`Repository::statements`], for those who only read: a gc object that is damaged or too new is handed to `report` and does not keep anybody
    /// from restoring (spec 10).
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn statements_for_reading(&self, mut report: impl FnMut(&Error)) -> Result<Statements> {
        let mut all = Statements::default();
        for (name, _) in self.list("gc/")? {
            match self.signed(&name, |opened| Gc::decode(&opened.plaintext)) {
                Ok(gc) => all.add(gc),
                Err(Error::Missing(_)) => {}
                Err(error @ Error::Store { .. }) => return Err(error),
                Err(error) => report(&error),
            }
        }
        Ok(all)
    }
}

/// The name of a gc object.
pub fn name_of(object: &[u8]) -> Name {
    Name::Gc(ObjectId::of(object))
}
