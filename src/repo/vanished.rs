//! Manifests and packs that are gone though nobody has planned to remove them.

use super::Repository;
use super::snapshots::{Listing, SnapshotHead};
use super::statements::Statements;
use crate::error::{Error, Result};
use crate::format::name::Name;
use crate::id::{ObjectId, WriterName};
use crate::state::State;
use std::collections::{BTreeSet, HashSet};

/// Something that is gone.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Vanished {
    /// Its name.
    pub object: String,
    /// How one knows, in words.
    pub what: String,
}

/// What is said of a manifest that was remembered.
pub(crate) const WHAT_MANIFEST: &str = "this machine has seen it, nobody forgot it, and it is gone: it was removed by somebody who had no right to, \
     or the repository was put back to an older state; if you know better, `panther forget` with its whole id";
const WHAT_CHAIN: &str =
    "a later snapshot names it, nobody forgot it, and it is gone: it was removed by somebody who had no right to";
const WHAT_PACK: &str = "an index object names it, nobody condemned it, and it is gone: what it held is stored anew where this backup needs it; \
     `panther check` says which snapshots are hit";

impl Repository {
    /// The manifests of `writer` that have vanished: named by others, or seen by this machine, and neither listed nor forgotten. Remembers those of `listing`.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn vanished_manifests(
        &self,
        state: &State,
        statements: &Statements,
        writer: &WriterName,
        listing: &Listing<SnapshotHead>,
    ) -> Result<Vec<Vanished>> {
        let listed: HashSet<ObjectId> = listing.names.iter().filter_map(Name::id).collect();
        let is_gone = |id: &ObjectId| !listed.contains(id) && !statements.forgotten.contains(id);
        let named: BTreeSet<ObjectId> =
            listing.snapshots.iter().flat_map(|s| &s.cover.predecessors).copied().filter(is_gone).collect();
        let seen: Vec<ObjectId> =
            state.seen(&self.config().repo)?.into_iter().filter(|(_, by)| by == writer).map(|(id, _)| id).collect();
        let of = |id: &ObjectId, what: &str| Vanished {
            object: Name::Snapshot(writer.clone(), *id).to_string(),
            what: what.to_owned(),
        };
        let mut vanished: Vec<Vanished> = named.iter().map(|id| of(id, WHAT_CHAIN)).collect();
        vanished.extend(seen.iter().filter(|id| is_gone(id) && !named.contains(id)).map(|id| of(id, WHAT_MANIFEST)));

        let planned: Vec<ObjectId> =
            seen.into_iter().filter(|id| !listed.contains(id) && statements.forgotten.contains(id)).collect();
        state.unsee(&planned)?;
        let there: Vec<_> = listing.snapshots.iter().map(|head| (head.id, head.writer.clone())).collect();
        state.see(&self.config().repo, &there)?;
        Ok(vanished)
    }

    /// The packs in the folder of `writer` that index objects name and the store does not list, and that no gc object condemns; and their ids.
    ///
    /// To be called after `state` was brought up to date: a sweep takes packs out of index objects before it removes them.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::State`].
    pub fn vanished_packs(
        &self,
        state: &State,
        statements: &Statements,
        writer: &WriterName,
    ) -> Result<(Vec<Vanished>, HashSet<ObjectId>)> {
        let mut missing = BTreeSet::new();
        state.blob_view()?.each_pack(|_, info| {
            if info.writer == *writer && !statements.condemned.contains(&info.id) {
                missing.insert(info.id);
            }
            Ok(())
        })?;
        if !missing.is_empty() {
            let folder = format!("writers/{writer}/packs/");
            let mut visit = |listed: crate::backend::Listed| {
                if let Some(id) = Name::parse(&listed.name).and_then(|name| name.id()) {
                    missing.remove(&id);
                }
            };
            self.backend().list(&folder, &mut visit).map_err(|e| Error::store("list", &folder, e))?;
        }
        let of = |id: &ObjectId| Vanished {
            object: Name::Pack(writer.clone(), *id).to_string(),
            what: WHAT_PACK.to_owned(),
        };
        Ok((missing.iter().map(of).collect(), missing.into_iter().collect()))
    }
}
