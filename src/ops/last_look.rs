//! What a new snapshot rests on, looked at once more before its manifest is written, and after (spec 11.3, 3 to 5).

use crate::error::Result;
use crate::format::time::Time;
use crate::id::{ObjectId, WriterName};
use crate::prune::rest::{Look, is_long, last_look, looks_back};
use crate::repo::Repository;
use crate::repo::statements::Statements;
use crate::state::State;
use std::collections::HashSet;

/// Where a session stores.
#[derive(Clone, Copy)]
pub(in crate::ops) struct Place<'a> {
    pub repo: &'a Repository,
    pub state: &'a State,
    pub writer: &'a WriterName,
}

/// What a session goes by.
pub(in crate::ops) struct Basis {
    /// Packs that this machine knows of and that nothing may rest on.
    unusable: HashSet<ObjectId>,
    /// The index objects of others and of earlier runs.
    named: HashSet<ObjectId>,
    began: Time,
}

impl Basis {
    /// What is known when a session begins; `lost` are packs that are no good, beside those that are condemned.
    ///
    /// # Errors
    /// [`Error::State`](crate::Error::State).
    pub fn new(state: &State, statements: &Statements, lost: &HashSet<ObjectId>) -> Result<Self> {
        let unusable = unusable(state, statements, lost)?;
        Ok(Self { unusable, named: state.index_objects()?, began: Time::now() })
    }

    /// Packs that nothing may rest on.
    pub fn unusable(&self) -> &HashSet<ObjectId> {
        &self.unusable
    }

    /// The last look: gc objects; if the session began long ago also index objects, which a sweep may have replaced, and packs. A gc object lives for a day at
    /// least, so that a short session cannot have missed one. What is found gone is added to `lost`.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store), [`Error::State`](crate::Error::State); what is wrong with a gc object.
    pub fn look(&mut self, at: Place<'_>, lost: &mut HashSet<ObjectId>) -> Result<Look> {
        if !is_long(secs_since(self.began)) {
            let statements = statements_now(at)?;
            let unusable = unusable(at.state, &statements, lost)?;
            let look = last_look(!unusable.is_subset(&self.unusable), false);
            return self.go_by(at.state, unusable, look);
        }
        let survey = at.repo.survey()?;
        let statements = at.repo.statements_of(&survey.gc, at.state)?;
        let named: HashSet<ObjectId> = survey.index.iter().filter_map(|(name, _)| name.id()).collect();
        let synced = at.repo.sync_listed(at.state, Some(at.writer), &statements, survey.index)?;
        let (_, gone) = at.repo.vanished_packs(at.state, &statements, at.writer)?;
        lost.extend(gone);
        let unusable = unusable(at.state, &statements, lost)?;
        let went = synced.rebuilt || !self.named.is_subset(&named);
        let look = last_look(!unusable.is_subset(&self.unusable), went);
        self.named = at.state.index_objects()?;
        self.go_by(at.state, unusable, look)
    }

    /// The look back, if the manifest took its time since `looked_at`: whether something was condemned meanwhile. The snapshot is safe in any case: a sweep
    /// leaves alone what it needs.
    ///
    /// # Errors
    /// As [`Basis::look`].
    pub fn look_back(&mut self, at: Place<'_>, lost: &HashSet<ObjectId>, looked_at: Time) -> Result<Look> {
        if !looks_back(secs_since(looked_at)) {
            return Ok(Look::Same);
        }
        let unusable = unusable(at.state, &statements_now(at)?, lost)?;
        let look = last_look(!unusable.is_subset(&self.unusable), false);
        self.go_by(at.state, unusable, look)
    }

    fn go_by(&mut self, state: &State, unusable: HashSet<ObjectId>, look: Look) -> Result<Look> {
        if look == Look::Changed {
            state.note_unusable(&unusable)?;
            self.unusable.extend(unusable);
        }
        Ok(look)
    }
}

fn statements_now(at: Place<'_>) -> Result<Statements> {
    let listed: Vec<_> = at.repo.list("gc/")?.into_iter().map(|(name, _)| name).collect();
    at.repo.statements_of(&listed, at.state)
}

/// By the clock that runs while the machine sleeps.
pub(in crate::ops) fn secs_since(time: Time) -> i64 {
    Time::now().secs.saturating_sub(time.secs)
}

/// The packs that this machine knows of and that no new snapshot may rest on: condemned ones, and those that have vanished.
pub(in crate::ops) fn unusable(
    state: &State,
    statements: &Statements,
    lost: &HashSet<ObjectId>,
) -> Result<HashSet<ObjectId>> {
    let view = state.blob_view()?;
    let mut found = HashSet::new();
    for id in statements.condemned.union(lost) {
        if view.number(id)?.is_some() {
            found.insert(*id);
        }
    }
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::backend::memory::MemoryBackend;
    use crate::format::pack::{Codec, Segment};
    use crate::id::BlobId;
    use crate::keys::wrap::Recipient;
    use crate::ops::storing::write_index;
    use crate::prune::rest::SESSION_SECS;
    use std::sync::Arc;

    #[test]
    fn a_long_session_looks_at_index_objects_too() {
        let folder = tempfile::tempdir().unwrap();
        let recipient = Recipient::Passphrase("correct horse".to_owned().into());
        let repo = Repository::init(Arc::new(MemoryBackend::new()), &recipient, "test", 2).unwrap();
        let state = State::open(folder.path(), &repo.keys().repo()).unwrap();
        let signer = repo.keys().signer(Some(&WriterName::new("w").unwrap())).unwrap();
        let pack = crate::format::index::PackRecord {
            id: ObjectId::of(b"a pack"),
            kind: crate::format::header::BlobKind::Data,
            size_bytes: 1_000,
            segments: vec![Segment {
                stored_bytes: 100,
                plain_bytes: 84,
                codec: Codec::None,
                blobs: vec![(BlobId([5; 32]), 84)],
            }],
            writer: signer.writer().clone(),
            checked: true,
            repeated: false,
            later: Vec::new(),
        };
        let index = crate::format::index::Index { packs: vec![pack], superseded: Vec::new() };
        let id = write_index(&repo, &signer, &index).unwrap();
        let statements = repo.statements().unwrap();
        repo.sync(&state, Some(signer.writer()), &statements).unwrap();
        let (mut lost, place) = (HashSet::new(), Place { repo: &repo, state: &state, writer: signer.writer() });
        let mut basis = Basis::new(&state, &statements, &lost).unwrap();
        assert!(basis.named.contains(&id));
        repo.backend().delete(&crate::format::name::Name::Index(signer.writer().clone(), id).to_string()).unwrap();
        // A gc object would have been seen; so a short one need not look.
        assert!(basis.look(place, &mut lost).unwrap() == Look::Same);
        basis.began.secs -= SESSION_SECS + 1;
        assert!(basis.look(place, &mut lost).unwrap() == Look::Changed);
    }
}
