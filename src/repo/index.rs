//! Index objects: bringing the local state up to date, and writing new ones.

use super::Repository;
use super::statements::Statements;
use crate::error::{Error, FormatError, Result};
use crate::format::cert::SignerRole;
use crate::format::header::Kind;
use crate::format::index::{Index, PackRecord};
use crate::format::name::Name;
use crate::id::{ObjectId, WriterName};
use crate::seal::{self, Signer};
use crate::state::State;
use crate::state::blobs::with_trust;
use std::collections::HashSet;

/// What bringing the state up to date did.
#[derive(Default, Debug)]
pub struct Synced {
    /// Index objects read.
    pub read_objects: u64,
    /// Index objects that are damaged or missing; their packs are unknown.
    pub bad: Vec<Error>,
    /// Whether knowledge was lost, so that what was remembered of the source must not be relied on.
    pub rebuilt: bool,
}

/// Whether a backup may rely on what an index object says of a pack without having looked (spec 7): on what admins have checked, and, in its own folder, on
/// what its writer has said, also where an admin repeats it.
fn is_trusted(pack: &PackRecord, role: SignerRole, is_own: bool) -> bool {
    match role {
        SignerRole::Admin => pack.checked || (is_own && pack.repeated),
        SignerRole::Writer => is_own && pack.checked,
    }
}

impl Repository {
    /// Brings `state` up to date with the index objects of all writers. `own` is the writer whose statements, beside those of admins, a backup may rely on.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::State`]. Damaged index objects are collected, not fatal: what they name cannot be found, everything else can.
    pub fn sync(&self, state: &State, own: Option<&WriterName>, statements: &Statements) -> Result<Synced> {
        let mut listed = Vec::new();
        if self.backend().is_remote() {
            listed = self.survey()?.index;
        } else {
            for writer in self.writers()? {
                listed.extend(self.list(&format!("writers/{writer}/index/"))?);
            }
        }
        self.sync_listed(state, own, statements, listed)
    }

    /// As [`Repository::sync`], with the index objects of a listing and their sizes.
    ///
    /// # Errors
    /// As [`Repository::sync`].
    pub fn sync_listed(
        &self,
        state: &State,
        own: Option<&WriterName>,
        statements: &Statements,
        mut listed: Vec<(Name, u64)>,
    ) -> Result<Synced> {
        let mut synced = Synced::default();
        let ids = |listed: &[(Name, u64)]| listed.iter().filter_map(|(name, _)| name.id()).collect::<HashSet<_>>();
        let mut known = state.index_objects()?;
        if self.backend().is_remote() && !known.is_subset(&ids(&listed)) {
            // Rarely they have gone; more often the listing is older than what this machine has written itself.
            listed = self.survey()?.index;
        }
        if !known.is_subset(&ids(&listed)) {
            // Index objects went away, so packs may have too: learn everything anew. What was seen of the source is looked up.
            state.clear_blobs()?;
            synced.rebuilt = true;
            known.clear();
        }
        let (mut packs, mut objects, mut blobs) = (Vec::new(), Vec::new(), 0);
        let (mut damaged, mut superseded) = (Vec::new(), HashSet::new());
        for (name, _) in listed {
            let Name::Index(writer, id) = &name else { continue };
            if known.contains(id) {
                continue;
            }
            match self.read_index(&name, writer, statements) {
                Ok(Some((index, role))) => {
                    superseded.extend(index.superseded.iter().map(|id| (writer.clone(), *id)));
                    blobs += index.packs.iter().flat_map(|p| &p.segments).map(|s| s.blobs.len()).sum::<usize>();
                    packs.extend(with_trust(index, |pack| is_trusted(pack, role, own == Some(writer))));
                    objects.push(*id);
                    synced.read_objects += 1;
                }
                Ok(None) => {}
                Err(error @ Error::Store { .. }) => return Err(error),
                Err(error) => damaged.push(((writer.clone(), *id), error)),
            }
            if blobs >= 400_000 {
                state.learn_but(&packs, &objects, &statements.condemned)?;
                packs.clear();
                objects.clear();
                blobs = 0;
            }
        }
        for (of, error) in damaged {
            // One that a repair has replaced says nothing any more: it need not be read again.
            if superseded.contains(&of) && matches!(error, Error::Damaged { .. }) {
                objects.push(of.1);
            } else {
                synced.bad.push(error);
            }
        }
        if !objects.is_empty() {
            state.learn_but(&packs, &objects, &statements.condemned)?;
        }
        Ok(synced)
    }

    /// An index object and by whom it is signed; nothing if its key is revoked.
    fn read_index(
        &self,
        name: &Name,
        writer: &WriterName,
        statements: &Statements,
    ) -> Result<Option<(Index, SignerRole)>> {
        self.signed(name, |opened| {
            if name.id().is_some_and(|id| statements.refuses(&opened.cert, &id)) {
                return Ok(None);
            }
            let index = Index::decode(&opened.plaintext)?;
            if opened.cert.role != SignerRole::Admin && index.packs.iter().any(|p| p.writer != *writer) {
                return Err(FormatError::Invalid("it names packs of another writer"));
            }
            Ok(Some((index, opened.cert.role)))
        })
    }

    /// Writes an index object that names `packs`. Returns its id.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn write_index(&self, signer: &Signer, packs: Vec<PackRecord>) -> Result<ObjectId> {
        let plaintext = Index { packs, superseded: Vec::new() }.encode();
        let object = signer.seal(Kind::Index, self.keys().current_epoch(), plaintext, &mut seal::system_random());
        let id = ObjectId::of(&object);
        self.put(&Name::Index(signer.writer().clone(), id), &object)?;
        Ok(id)
    }
}
