//! What a backup knows from earlier runs.

use super::assemble::content_of;
use crate::error::Result;
use crate::format::content::{ListOf, Record, decode_node};
use crate::format::index::PackRecord;
use crate::format::name::Name;
use crate::format::snapshot::{Manifest, Root, Summary};
use crate::id::{ObjectId, WriterName};
use crate::ops::Totals;
use crate::ops::last_look::unusable;
use crate::repo::Repository;
use crate::repo::dedup::Dedup;
use crate::repo::snapshots::SnapshotHead;
use crate::repo::statements::Statements;
use crate::repo::vanished::Vanished;
use crate::seal::Signer;
use crate::source::items::InodeKey;
use crate::state::State;
use crate::state::blobs::{BlobKey, key_of};
use crate::state::dirs::{Child, DirKey, DirView};
use crate::state::lists::node_key;
use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// What is remembered of the source and of a run that was killed.
pub(super) struct Memory {
    /// What was seen of each directory; none if everything is to be read.
    pub view: Option<DirView>,
    /// Packs that a killed run stored and no index object names.
    pub taken_over: Vec<PackRecord>,
    /// The writer's snapshots.
    pub chain: Vec<SnapshotHead>,
    /// What has vanished without a plan.
    pub vanished: Vec<Vanished>,
    /// The packs among that.
    pub lost_packs: HashSet<ObjectId>,
}

impl Memory {
    pub fn open(
        repo: &Repository,
        state: &State,
        signer: &Signer,
        statements: &Statements,
        chain: &[Name],
        force: bool,
    ) -> Result<Self> {
        let taken_over = repo.leftovers(state, signer.writer(), statements)?;
        let listing = repo.heads_of(chain, signer.writer(), state, statements)?;
        let mut vanished = repo.vanished_manifests(state, statements, signer.writer(), &listing)?;
        let (gone, lost_packs) = repo.vanished_packs(state, statements, signer.writer())?;
        vanished.extend(gone);
        let chain = listing.snapshots;
        state.note_unusable(&unusable(state, statements, &lost_packs)?)?;
        let view = if force { None } else { Some(state.dir_view()?) };
        Ok(Self { view, taken_over, chain, vanished, lost_packs })
    }

    /// For another pass of the same run: what it has seen by now, and nothing more to take over.
    pub fn renew(&mut self, state: &State) -> Result<()> {
        self.taken_over.clear();
        self.view = Some(state.dir_view()?);
        Ok(())
    }

    /// The keys of the blobs of packs taken over.
    pub fn taken_over_blobs(&self) -> impl Iterator<Item = BlobKey> {
        self.taken_over.iter().flat_map(|p| &p.segments).flat_map(|s| &s.blobs).map(|(id, _)| key_of(id))
    }

    pub fn has_snapshot(&self, id: &ObjectId) -> bool {
        self.chain.iter().any(|head| head.id == *id)
    }

    /// Whether what is remembered of an object can be used again: where it is in doubt, its blobs must all be there. Of a long list the nodes must be
    /// remembered to know them.
    pub fn is_reusable(&self, inode: InodeKey, child: &Child, dedup: &Mutex<Dedup>) -> bool {
        if !child.doubtful {
            return true;
        }
        let Some(content) = content_of(&child.entry) else { return true };
        self.has_all(inode, &content.records, content.depth, dedup)
    }

    fn has_all(&self, inode: InodeKey, records: &[Record], depth: u8, dedup: &Mutex<Dedup>) -> bool {
        {
            let mut dedup = dedup.lock().unwrap_or_else(PoisonError::into_inner);
            if !records.iter().all(|r| r.is_hole() || dedup.knows(&r.id).unwrap_or(false)) {
                return false;
            }
        }
        depth == 0
            || records.iter().all(|record| {
                let node = self.view.as_ref().and_then(|view| view.node(&node_key(inode.into(), &record.id)).ok()?);
                let below = node.and_then(|node| decode_node(&node, depth - 1, ListOf::File).ok());
                below.is_some_and(|(below, _)| self.has_all(inode, &below, depth - 1, dedup))
            })
    }

    /// Drops what is remembered of directories that are gone, once that is much.
    pub fn tidy(&self, state: &State, visited: &HashSet<DirKey>) -> Result<()> {
        let known = state.dir_view()?.len()?;
        if known > 2 * visited.len() as u64 + 10_000 {
            // Of other sources nothing was seen in this run.
            let regions: HashSet<u64> = visited.iter().map(|key| key.region).collect();
            state.sweep_dirs(|key| !regions.contains(&key.region) || visited.contains(&key))?;
        }
        Ok(())
    }
}

/// The last snapshot of the same paths, as it was noted in the state.
pub(super) struct Past {
    note: Vec<u8>,
    pub snapshot: Option<ObjectId>,
    roots_hash: [u8; 32],
    files: u64,
    bytes: u64,
}

/// The name of what the state notes about backups of these paths.
pub(super) fn note_name(what: &[u8], writer: &WriterName, host: &str, roots: &[PathBuf]) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new();
    let names = [writer.as_str().as_bytes(), host.as_bytes()];
    for part in names.into_iter().chain(roots.iter().map(|r| r.as_os_str().as_bytes())) {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    [what, &hasher.finalize().as_bytes()[..]].concat()
}

impl Past {
    pub fn recall(state: &State, writer: &WriterName, host: &str, roots: &[PathBuf]) -> Result<Self> {
        let note = note_name(b"last ", writer, host, roots);
        let mut past = Self { note, snapshot: None, roots_hash: [0; 32], files: 0, bytes: 0 };
        if let Some(found) = state.note(&past.note)?
            && let Ok(found) = <[u8; 80]>::try_from(&found[..])
        {
            past.snapshot = ObjectId::from_slice(&found[..32]);
            past.roots_hash.copy_from_slice(&found[32..64]);
            let word = |at: usize| found[at..at + 8].try_into().map_or(0, u64::from_le_bytes);
            past.files = word(64);
            past.bytes = word(72);
        }
        Ok(past)
    }

    /// What there will be to do, by the last time.
    pub fn totals(&self) -> Totals {
        if self.snapshot.is_some() {
            Totals { files: Some(self.files), bytes: Some(self.bytes) }
        } else {
            Totals::default()
        }
    }

    pub fn is_same(&self, roots: &[Root]) -> bool {
        self.roots_hash == hash_of(roots)
    }

    /// A warning if there is suddenly far less: a mount that is missing, a pattern that excludes too much.
    pub fn shrunk(&self, now: &Summary) -> Option<String> {
        let files = self.files >= 20 && now.files < self.files / 2;
        let bytes = self.bytes >= 1 << 20 && now.source_bytes < self.bytes / 2;
        (self.snapshot.is_some() && (files || bytes)).then(|| {
            format!(
                "this snapshot is far smaller than the last one: {} files and {} bytes after {} files and {} bytes; is something not mounted, or excluded by mistake?",
                now.files, now.source_bytes, self.files, self.bytes
            )
        })
    }

    pub fn remember(&self, state: &State, head: &SnapshotHead, manifest: &Manifest) -> Result<()> {
        let mut value = Vec::with_capacity(80);
        value.extend_from_slice(&head.id.0);
        value.extend_from_slice(&hash_of(&manifest.roots));
        value.extend_from_slice(&manifest.summary.files.to_le_bytes());
        value.extend_from_slice(&manifest.summary.source_bytes.to_le_bytes());
        state.set_notes_soon(&[(self.note.clone(), value)])
    }
}

/// Has the next backup of the same paths follow this snapshot.
///
/// # Errors
/// [`crate::Error::State`].
pub(in crate::ops) fn remember_past(state: &State, head: &SnapshotHead, manifest: &Manifest) -> Result<()> {
    let roots: Vec<PathBuf> =
        manifest.roots.iter().map(|root| PathBuf::from(std::ffi::OsStr::from_bytes(&root.path))).collect();
    Past::recall(state, &head.writer, &head.cover.host, &roots)?.remember(state, head, manifest)
}

fn hash_of(roots: &[Root]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for root in roots {
        hasher.update(&(root.path.len() as u64).to_le_bytes());
        hasher.update(&root.path);
        hasher.update(&root.entry.encode_onto(Vec::new()));
    }
    *hasher.finalize().as_bytes()
}
