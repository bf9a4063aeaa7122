//! Storing blobs for commands that are no backup: repair, rewrite, copy.

use crate::error::{Error, Result};
use crate::format::header::Kind;
use crate::format::name::Name;
use crate::format::snapshot::Manifest;
use crate::format::time::Time;
use crate::id::ObjectId;
use crate::ops::backup::{DATA_PACK_BYTES, TREE_PACK_BYTES};
use crate::repo::Repository;
use crate::repo::dedup::Dedup;
use crate::repo::snapshots::SnapshotHead;
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

    /// To be called right before a manifest is written (spec 11.3): it must not rest on what was condemned meanwhile.
    ///
    /// # Errors
    /// [`Error::Usage`] if something was; what is wrong with a gc object.
    pub fn last_look(&self) -> Result<()> {
        let listed: Vec<Name> = self.repo.list("gc/")?.into_iter().map(|(name, _)| name).collect();
        let now = self.repo.statements_of(&listed, self.state)?;
        if now.condemned.is_subset(&self.statements.condemned) {
            return Ok(());
        }
        Err(Error::Usage(
            "packs were condemned while this ran: run it again, what is stored is not stored twice".into(),
        ))
    }
}

impl Storing<'_> {
    /// Writes a manifest that rests on what was stored, after a last look, and remembers it; with the times at which its backup was started and finished,
    /// and its host.
    ///
    /// # Errors
    /// [`Error::Damaged`] if it breaks a rule of the format; as [`Storing::last_look`]; [`Error::Store`], [`Error::State`].
    pub fn write(&self, manifest: &Manifest, times: (Time, Time), host: &str) -> Result<SnapshotHead> {
        Manifest::decode(&manifest.encode()).map_err(|e| Error::format("the new manifest", e))?;
        self.last_look()?;
        let chain = self.repo.heads(self.signer.writer(), self.state, self.statements)?.snapshots;
        let head = self.repo.write_snapshot_of(self.signer, &chain, times, host, manifest)?;
        self.state.see(&self.repo.config().repo, &[(head.id, head.writer.clone())])?;
        Ok(head)
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
