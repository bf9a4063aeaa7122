//! What is stored is written down: packs as they are done, directory records as they come to hold, index objects at checkpoints.

use super::Repository;
use super::dedup::Dedup;
use super::writer::Failure;
use crate::error::Result;
use crate::format::header::BlobKind;
use crate::format::index::PackRecord;
use crate::seal::Signer;
use crate::state::State;
use crate::state::dirs::DirChange;
use crate::state::session::Watermark;
use crossbeam_channel::Receiver;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// An index object is written when so many blobs wait for it …
const INDEX_BLOBS: usize = 400_000;
/// … or after this time.
const INDEX_INTERVAL: Duration = Duration::from_secs(600);
/// Directory records are gathered up to this before they go to the state.
const DIR_BYTES: usize = 4 << 20;

/// To the committer.
pub(super) enum Commit {
    /// A pack is in the store, durable.
    Stored { record: PackRecord, last_sequence: u64 },
    /// A directory record changed.
    Dir(DirChange),
}

/// What was committed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Committed {
    pub packs: u64,
    pub pack_bytes: u64,
    pub index_objects: u64,
}

pub(super) struct Committer<'a> {
    pub repo: &'a Repository,
    pub state: &'a State,
    pub signer: &'a Signer,
    pub session: u32,
    pub dedup: &'a Mutex<Dedup>,
    pub unindexed: Vec<PackRecord>,
    pub done: Committed,
    reached: Reached,
    dirs: Vec<DirChange>,
    dir_bytes: usize,
    last_index: Instant,
}

/// How far packs are stored, of both kinds.
#[derive(Default)]
struct Reached {
    mark: Watermark,
    /// Packs come back from several uploaders in any order: last segment by first.
    data: BTreeMap<u64, u64>,
    tree: BTreeMap<u64, u64>,
}

impl Reached {
    fn add(&mut self, kind: BlobKind, first: u64, last: u64) {
        let (mark, waiting) = match kind {
            BlobKind::Data => (&mut self.mark.data, &mut self.data),
            BlobKind::Tree => (&mut self.mark.tree, &mut self.tree),
        };
        waiting.insert(first, last);
        while let Some(last) = waiting.remove(&(*mark + 1)) {
            *mark = last;
        }
    }
}

impl<'a> Committer<'a> {
    pub fn new(
        repo: &'a Repository,
        state: &'a State,
        signer: &'a Signer,
        session: u32,
        dedup: &'a Mutex<Dedup>,
        unindexed: Vec<PackRecord>,
    ) -> Self {
        Self {
            repo,
            state,
            signer,
            session,
            dedup,
            unindexed,
            done: Committed::default(),
            reached: Reached::default(),
            dirs: Vec::new(),
            dir_bytes: 0,
            last_index: Instant::now(),
        }
    }

    /// Works until all senders are gone. After a failure messages are only drained, so that nobody waits for ever.
    pub fn run(mut self, messages: &Receiver<Commit>, failure: &Failure) -> Committed {
        for message in messages {
            if !failure.is_set()
                && let Err(error) = self.take(message)
            {
                failure.set(error);
            }
        }
        // Also after a failure elsewhere: what is stored should be known to the next run.
        if let Err(error) = self.finish() {
            failure.set(error);
        }
        self.done
    }

    fn take(&mut self, message: Commit) -> Result<()> {
        match message {
            Commit::Dir(change) => {
                self.dir_bytes += change.size_bytes();
                self.dirs.push(change);
                if self.dir_bytes >= DIR_BYTES {
                    self.flush_dirs()?;
                }
            }
            Commit::Stored { record, last_sequence } => {
                let first = last_sequence + 1 - record.segments.len() as u64;
                self.reached.add(record.kind, first, last_sequence);
                self.done.packs += 1;
                self.done.pack_bytes += record.size_bytes;
                self.flush_dirs()?;
                self.state.note_stored(self.session, std::slice::from_ref(&record), self.reached.mark)?;
                self.unindexed.push(record);
                let blobs: usize = self.unindexed.iter().flat_map(|p| &p.segments).map(|s| s.blobs.len()).sum();
                if blobs >= INDEX_BLOBS || self.last_index.elapsed() >= INDEX_INTERVAL {
                    self.write_index()?;
                }
            }
        }
        Ok(())
    }

    fn flush_dirs(&mut self) -> Result<()> {
        if !self.dirs.is_empty() {
            self.state.change_dirs(self.session, &self.dirs)?;
            self.dirs.clear();
            self.dir_bytes = 0;
        }
        Ok(())
    }

    fn write_index(&mut self) -> Result<()> {
        self.last_index = Instant::now();
        if self.unindexed.is_empty() {
            return Ok(());
        }
        let packs = std::mem::take(&mut self.unindexed);
        let object = match self.repo.write_index(self.signer, packs.clone()) {
            Ok(object) => object,
            Err(error) => {
                self.unindexed = packs;
                return Err(error);
            }
        };
        self.done.index_objects += 1;
        let keys = self.state.note_indexed(packs, object)?;
        let view = self.state.blob_view()?;
        self.dedup.lock().unwrap_or_else(std::sync::PoisonError::into_inner).refresh(view, &keys);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.flush_dirs()?;
        self.state.note_stored(self.session, &[], self.reached.mark)?;
        self.write_index()
    }
}
