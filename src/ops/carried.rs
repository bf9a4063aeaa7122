//! Content of another repository on its way into this one, remembered by what it was made of.
//!
//! What was brought over once is remembered in the local state, under a hash of what the other repository calls it: a file or folder that another
//! snapshot has too is not read again, nor by a run after one that was killed.

use crate::error::Result;
use crate::format::cbor::Dec;
use crate::format::content::ContentRoot;
use crate::format::entry::{Entry, Node};
use crate::format::time::Time;
use crate::id::{ObjectId, RepoId};
use crate::keys::Keyring;
use crate::ops::cutting::Cut;
use crate::repo::Repository;
use crate::repo::statements::Statements;
use crate::repo::writer::BlobWriter;
use crate::state::dirs::{DirChange, DirKey, DirView, RecordBuilder, Stamp, Totals};
use std::collections::{HashMap, HashSet};

/// A snapshot of another repository.
pub(in crate::ops) type Foreign = (RepoId, ObjectId);

/// Which snapshots are alive, and which of them were made from which of another repository; nothing with a writer's key, which cannot see that.
///
/// # Errors
/// [`crate::Error::Store`].
pub(in crate::ops) fn origins(
    repo: &Repository,
    statements: &Statements,
) -> Result<(HashSet<ObjectId>, HashMap<Foreign, ObjectId>)> {
    let (mut all, mut by_origin) = (HashSet::new(), HashMap::new());
    if repo.keys().need_reader("see origins").is_ok() {
        for snapshot in repo.snapshots(statements)?.snapshots {
            let id = snapshot.head.id;
            if !statements.forgotten.contains(&id) || statements.pinned.contains(&id) {
                all.insert(id);
                by_origin.extend(snapshot.manifest.origin.map(|origin| ((origin.repo, origin.snapshot), id)));
            }
        }
    }
    Ok((all, by_origin))
}

/// What was brought over before, by what it was made of: of runs that came to their end, or as far as they came.
pub(in crate::ops) struct Memory<'a> {
    known: &'a DirView,
    region: u64,
}

/// A hash of what the other repository calls something.
pub(in crate::ops) type Made = [u8; 32];

impl<'a> Memory<'a> {
    /// The memory of what came from the repository `from`; `how` is the way it came.
    pub fn new(known: &'a DirView, how: &[u8], from: &RepoId) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(how).update(&from.0);
        let region = hasher.finalize().as_bytes().first_chunk::<8>().map_or(0, |b| u64::from_le_bytes(*b));
        Self { known, region }
    }

    fn key<'m>(&self, made: &'m Made) -> (DirKey, &'m [u8]) {
        let ino = made.first_chunk::<8>().map_or(0, |b| u64::from_le_bytes(*b));
        (DirKey { region: self.region, ino }, &made[8..])
    }

    /// Whether something is known.
    ///
    /// # Errors
    /// [`crate::Error::State`].
    pub fn has(&self, made: &Made) -> Result<bool> {
        let (key, name) = self.key(made);
        Ok(self.known.child(key, name)?.is_some())
    }

    /// What this repository has for it, and the totals that were remembered with it.
    ///
    /// # Errors
    /// [`crate::Error::State`].
    pub fn recall(&self, made: &Made, out: &BlobWriter<'_>) -> Result<Option<(Node, Totals)>> {
        let (key, name) = self.key(made);
        let Some((_, child)) = self.known.child(key, name)? else { return Ok(None) };
        let Ok(entry) = Entry::decode(&mut Dec::new(&child.entry), false) else { return Ok(None) };
        // Packs of this repository were condemned since, or are gone.
        if child.doubtful {
            let Node::File(new) = &entry.node else { return Ok(None) };
            // Of a folder, or a long list, nobody can say quickly that all of it is still there.
            if new.depth > 0 {
                return Ok(None);
            }
            for record in new.records.iter().filter(|record| !record.is_hole()) {
                if !out.knows(&record.id)? {
                    return Ok(None);
                }
            }
        }
        Ok(Some((entry.node, child.totals.unwrap_or_default())))
    }

    /// Writes down what this repository has for something; it comes to hold when all of it is stored.
    ///
    /// # Errors
    /// As [`BlobWriter::note`].
    pub fn remember(&self, made: &Made, node: Node, totals: Option<&Totals>, out: &BlobWriter<'_>) -> Result<()> {
        let (key, name) = self.key(made);
        let entry = Entry {
            name: vec![b'x'],
            node,
            mode: 0,
            uid: 0,
            gid: 0,
            user: None,
            group: None,
            mtime: Time::default(),
            btime: None,
            xattrs: Vec::new(),
            link: None,
            flags: 0,
            boundary: None,
        };
        let stamp = Stamp { ino: 0, size_bytes: 0, mtime: Time::default(), ctime: Time::default() };
        let mut record = RecordBuilder::default();
        record.push(name, &stamp, &entry.encode_onto(Vec::new()), totals);
        out.note(DirChange::Put { key: key.record(name), children: record.take(), needs: out.mark() })
    }
}

/// Content of a file that is at hand: in its entry, if it is small enough for that.
///
/// # Errors
/// Why it could not be stored.
pub(in crate::ops) fn small(bytes: Vec<u8>, keys: &Keyring, out: &mut BlobWriter<'_>) -> Result<Node> {
    if bytes.is_empty() {
        return Ok(Node::File(ContentRoot::default()));
    }
    if bytes.len() as u64 <= u64::from(keys.chunker().params().inline_max_bytes) {
        return Ok(Node::Inline(bytes));
    }
    Cut::new(keys, bytes).finish(out).map(Node::File)
}
