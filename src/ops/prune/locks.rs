//! Object Lock: what stays is locked for longer, and what goes is not.

use super::catalogue::Catalogue;
use super::survey::Survey;
use crate::error::{Error, Result};
use crate::format::name::Name;
use crate::id::ObjectId;
use crate::repo::Repository;
use std::collections::HashSet;

/// By pack, whether it or an index object that names it may not be removed yet: then it stays for now.
pub(super) fn locked(repo: &Repository, catalogue: &Catalogue) -> Vec<bool> {
    let is_locked = |name: &Name| repo.backend().is_locked(&name.to_string());
    let indexes: Vec<bool> = catalogue.indexes.iter().map(|object| is_locked(&object.name)).collect();
    (0u32..)
        .zip(&catalogue.packs)
        .map(|(number, pack)| {
            pack.named_by.iter().any(|n| indexes.get(*n as usize) == Some(&true))
                || catalogue.name(number).is_some_and(|name| is_locked(&name))
        })
        .collect()
}

/// What is on its way out, and is not locked for longer.
pub(super) struct Going {
    packs: HashSet<ObjectId>,
    others: HashSet<Name>,
}

impl Going {
    /// Packs by their numbers, index objects that name them or that others replace, and forgotten snapshots.
    pub fn new(survey: &Survey, catalogue: &Catalogue, packs: impl Iterator<Item = u32>, replaced: Vec<Name>) -> Self {
        let mut others: HashSet<Name> = replaced.into_iter().collect();
        let mut ids = HashSet::new();
        for pack in packs.filter_map(|number| catalogue.packs.get(number as usize)) {
            ids.insert(pack.id);
            others.extend(pack.named_by.iter().filter_map(|n| Some(catalogue.indexes.get(*n as usize)?.name.clone())));
        }
        others.extend(catalogue.indexes.iter().filter(|object| object.superseded).map(|object| object.name.clone()));
        let statements = &survey.statements;
        let is_forgotten = |id: &ObjectId| statements.forgotten.contains(id) && !statements.pinned.contains(id);
        others.extend(survey.manifests.iter().filter(|name| name.id().is_some_and(|id| is_forgotten(&id))).cloned());
        Self { packs: ids, others }
    }

    /// Locks everything else for longer, where the store locks. How many objects that were.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn lock_the_rest(&self, repo: &Repository) -> Result<u64> {
        let is_wanted = |name: &str| match Name::parse(name) {
            Some(Name::Pack(_, id)) => !self.packs.contains(&id),
            // What is said must be taken back at any time.
            Some(Name::Gc(_)) => false,
            Some(name) => !self.others.contains(&name),
            None => false,
        };
        let renewed = repo.backend().renew_locks(&is_wanted);
        Ok(renewed.map_err(|e| Error::store("lock the objects of", repo.backend().location(), e))?.unwrap_or(0))
    }
}
