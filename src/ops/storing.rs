//! Storing blobs for commands that are no backup: repair, rewrite, copy.

use crate::error::{Error, Result};
use crate::format::header::Kind;
use crate::format::name::Name;
use crate::format::snapshot::Manifest;
use crate::format::time::Time;
use crate::id::ObjectId;
use crate::ops::Progress;
use crate::ops::backup::{DATA_PACK_BYTES, TREE_PACK_BYTES};
use crate::ops::last_look::{Basis, Place, secs_since};
use crate::prune::rest::{Look, is_stale};
use crate::repo::Repository;
use crate::repo::dedup::Dedup;
use crate::repo::statements::Statements;
use crate::repo::writer::{BlobWriter, DEFAULT_LEVEL, WriteOptions, WriteStats, with_writer};
use crate::seal::Signer;
use crate::state::State;
use crate::state::blobs::key_of;
use std::collections::HashSet;
use std::sync::Mutex;

/// Who stores, and what it may not rest on.
pub(in crate::ops) struct Storing<'a> {
    pub repo: &'a Repository,
    /// Brought up to date, with the signer's writer as one to rely on.
    pub state: &'a State,
    pub signer: &'a Signer,
    pub statements: &'a Statements,
    /// Packs that are no good, beside those that are condemned.
    pub unusable: &'a HashSet<ObjectId>,
    /// Only count.
    pub dry_run: bool,
}

impl Storing<'_> {
    /// Runs `body` with a writer; when this returns, all that it stored is durable and named by index objects. The number of the session is handed to
    /// `body`, too. Packs that a killed run of the same writer left are taken over.
    ///
    /// # Errors
    /// What `body` says, or why something could not be stored; what was stored until then is found again by the next run.
    pub fn run<T>(&self, body: impl FnOnce(&mut BlobWriter<'_>) -> Result<T>) -> Result<(T, WriteStats)> {
        let taken_over = match self.dry_run {
            true => Vec::new(),
            false => self.repo.leftovers(self.state, self.signer.writer(), self.statements)?,
        };
        let unusable = self.statements.condemned.union(self.unusable).copied().collect();
        let mut dedup = Dedup::new(self.state.blob_view()?, unusable);
        let blobs = taken_over.iter().flat_map(|pack| &pack.segments).flat_map(|segment| &segment.blobs);
        blobs.for_each(|(id, _)| dedup.add(key_of(id)));
        let write = WriteOptions {
            level: DEFAULT_LEVEL,
            threads: std::thread::available_parallelism().map_or(2, usize::from),
            data_pack_bytes: DATA_PACK_BYTES,
            tree_pack_bytes: TREE_PACK_BYTES,
            spool: self.state.path().with_file_name("spool"),
            dry_run: self.dry_run,
        };
        let session = if self.dry_run { 0 } else { self.state.begin_session()? };
        let dedup = Mutex::new(dedup);
        let done = with_writer(self.repo, self.state, self.signer, session, &dedup, taken_over, &write, body)?;
        if !self.dry_run {
            self.state.end_session(session)?;
        }
        Ok(done)
    }

    /// What a snapshot that is begun now goes by. To be taken when the state has been brought up to date, before anything is stored.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn basis(&self) -> Result<Basis> {
        Basis::new(self.state, self.statements, self.unusable)
    }

    /// Writes the manifest of a snapshot that was begun by `basis`, with its start and end and its host, after a last look and before a look back
    /// (spec 11.3). Returns its id.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the manifest breaks a rule of the format; [`Error::Usage`] if packs were condemned or index objects replaced meanwhile; what is wrong with a gc object; [`Error::Store`], [`Error::State`].
    pub fn write_snapshot(
        &self,
        basis: &mut Basis,
        times: (Time, Time),
        host: &str,
        manifest: &Manifest,
        progress: &dyn Progress,
    ) -> Result<ObjectId> {
        Manifest::decode(&manifest.encode()).map_err(|e| Error::format("the new manifest", e))?;
        let (repo, state, writer) = (self.repo, self.state, self.signer.writer());
        let place = Place { repo, state, writer };
        let mut lost = self.unusable.clone();
        let (chain, looked_at) = loop {
            let looked_at = Time::now();
            if basis.look(place, &mut lost)? == Look::Changed {
                let what = "packs were condemned while this ran: run it again, what is stored is not stored twice";
                return Err(Error::Usage(what.into()));
            }
            let chain = repo.heads(writer, state, self.statements)?.snapshots;
            // The machine may have been asleep.
            if !is_stale(secs_since(looked_at)) {
                break (chain, looked_at);
            }
        };
        let head = repo.write_snapshot_of(self.signer, &chain, times, host, manifest)?;
        state.see(&repo.config().repo, &[(head.id, head.writer.clone())])?;
        match basis.look_back(place, &lost, looked_at) {
            Ok(Look::Same) => {}
            Ok(Look::Changed) => {
                progress.note("packs were condemned at the last moment: a prune stores anew what is needed of them")
            }
            // The snapshot is made and is safe; its packs only stay for longer.
            Err(error) => {
                progress.warn(&format!("whether packs were condemned at the last moment is not known: {error}"))
            }
        }
        Ok(head.id)
    }
}

/// Writes an index object in the folder of the signer's writer. Returns its id.
///
/// # Errors
/// [`Error::Store`].
pub(in crate::ops) fn write_index(
    repo: &Repository,
    signer: &Signer,
    index: &crate::format::index::Index,
) -> Result<ObjectId> {
    let object =
        signer.seal(Kind::Index, repo.keys().current_epoch(), index.encode(), &mut crate::seal::system_random());
    let id = ObjectId::of(&object);
    repo.put(&Name::Index(signer.writer().clone(), id), &object)?;
    Ok(id)
}
