//! Storing blobs: new ones fill segments, segments are compressed on all cores, packed, uploaded and written down.
//!
//! ```text
//! add → segment → [compress: rayon] → packer → spool file → uploaders → committer
//! ```
//! Every queue is bounded, so memory is a constant.

use super::Repository;
use super::commit::{Commit, Committer};
pub use super::compress::DEFAULT_LEVEL;
use super::dedup::Dedup;
pub use super::effort::AUTO;
use super::effort::Effort;
use super::packer::{PackContext, Packer, Sealable, SpooledPack, clean_spool};
use super::uploads::upload_all;
use crate::buffers::Buffers;
use crate::error::{Error, Result};
use crate::format::header::BlobKind;
use crate::format::index::PackRecord;
use crate::id::BlobId;
use crate::seal::Signer;
use crate::state::State;
use crate::state::blobs::key_of;
use crate::state::dirs::DirChange;
use crate::state::session::Watermark;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// A segment is closed when it has this much plaintext.
const SEGMENT_BYTES: usize = 1 << 20;
/// A tree pack is ended after so many data packs, so that a killed run finds its directories again …
const TREE_FLUSH_PACKS: u64 = 16;
/// … or after this time and at least [`TREE_FLUSH_LEAST`] data packs.
const TREE_FLUSH_SECS: u64 = 120;
const TREE_FLUSH_LEAST: u64 = 8;

/// How to store.
#[derive(Clone, Debug)]
pub struct WriteOptions {
    /// zstd level, or [`AUTO`].
    pub level: i32,
    /// Threads for compression.
    pub threads: usize,
    /// A data pack is ended when it has this many bytes.
    pub data_pack_bytes: u64,
    /// A tree pack is ended when it has this many bytes.
    pub tree_pack_bytes: u64,
    /// Where spool files go if the store has no better place.
    pub spool: PathBuf,
    /// Store nothing, only count.
    pub dry_run: bool,
}

/// The first error of any thread.
#[derive(Default)]
pub(super) struct Failure {
    set: AtomicBool,
    error: Mutex<Option<Error>>,
}

impl Failure {
    pub fn set(&self, error: Error) {
        let mut first = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        // An abort only says that somebody else failed.
        if first.is_none() || matches!(*first, Some(Error::Aborted)) {
            *first = Some(error);
        }
        self.set.store(true, Ordering::Release);
    }

    pub fn is_set(&self) -> bool {
        self.set.load(Ordering::Acquire)
    }

    fn take(&self) -> Option<Error> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What was stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteStats {
    /// New data blobs and their plaintext.
    pub data_blobs: u64,
    /// Plaintext of new data blobs.
    pub data_bytes: u64,
    /// New tree blobs.
    pub tree_blobs: u64,
    /// Plaintext of new tree blobs.
    pub tree_bytes: u64,
    /// Packs written.
    pub packs: u64,
    /// Their bytes.
    pub pack_bytes: u64,
    /// Index objects written.
    pub index_objects: u64,
}

enum Message {
    Segment(Sealable),
    /// End the tree pack once this segment is in it.
    FlushTree(u64),
}

#[derive(Default)]
struct OpenSegment {
    bytes: Vec<u8>,
    blobs: Vec<(BlobId, u32)>,
    /// Segments handed on so far.
    sent: u64,
}

/// Takes blobs in. For one thread; the work is done by others.
pub struct BlobWriter<'a> {
    dedup: &'a Mutex<Dedup>,
    failure: &'a Failure,
    effort: Arc<Effort>,
    dry_run: bool,
    pool: rayon::ThreadPool,
    buffers: Arc<Buffers>,
    messages: Sender<Message>,
    commits: Sender<Commit>,
    tickets: Receiver<()>,
    data: OpenSegment,
    tree: OpenSegment,
    data_packs: &'a AtomicU64,
    flushed_at: (u64, Instant),
    stats: WriteStats,
}

impl BlobWriter<'_> {
    /// Stores a blob unless it is stored already. Returns whether it was new.
    ///
    /// # Errors
    /// [`Error::Aborted`] when another thread has failed; [`Error::State`].
    pub fn add(&mut self, kind: BlobKind, id: BlobId, bytes: &[u8]) -> Result<bool> {
        if self.failure.is_set() {
            return Err(Error::Aborted);
        }
        {
            let mut dedup = self.dedup.lock().unwrap_or_else(PoisonError::into_inner);
            if dedup.knows(&id)? {
                return Ok(false);
            }
            dedup.add(key_of(&id));
        }
        let (segment, count, sum) = match kind {
            BlobKind::Data => (&mut self.data, &mut self.stats.data_blobs, &mut self.stats.data_bytes),
            BlobKind::Tree => (&mut self.tree, &mut self.stats.tree_blobs, &mut self.stats.tree_bytes),
        };
        *count += 1;
        *sum += bytes.len() as u64;
        if self.dry_run {
            return Ok(true);
        }
        if segment.bytes.capacity() == 0 {
            segment.bytes = self.buffers.take();
            segment.bytes.reserve(SEGMENT_BYTES + (256 << 10));
        }
        segment.bytes.extend_from_slice(bytes);
        segment.blobs.push((id, bytes.len() as u32));
        if segment.bytes.len() >= SEGMENT_BYTES {
            self.dispatch(kind)?;
        }
        Ok(true)
    }

    /// Whether a blob is stored already or about to be.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn knows(&self, id: &BlobId) -> Result<bool> {
        self.dedup.lock().unwrap_or_else(PoisonError::into_inner).knows(id)
    }

    /// What must be stored so that everything added so far is.
    pub fn mark(&self) -> Watermark {
        let of = |s: &OpenSegment| s.sent + u64::from(!s.blobs.is_empty());
        Watermark { data: of(&self.data), tree: of(&self.tree) }
    }

    /// Passes a directory record on; it comes to hold when what it needs is stored.
    ///
    /// # Errors
    /// [`Error::Aborted`] when another thread has failed.
    pub fn note(&self, change: DirChange) -> Result<()> {
        if self.dry_run {
            return Ok(());
        }
        self.commits.send(Commit::Dir(change)).map_err(|_| Error::Aborted)
    }

    /// What was stored so far; packs are counted only in the end.
    pub fn stats(&self) -> WriteStats {
        self.stats
    }

    fn dispatch(&mut self, kind: BlobKind) -> Result<()> {
        let segment = match kind {
            BlobKind::Data => &mut self.data,
            BlobKind::Tree => &mut self.tree,
        };
        if segment.blobs.is_empty() {
            return Ok(());
        }
        segment.sent += 1;
        let sequence = segment.sent;
        let plain = std::mem::take(&mut segment.bytes);
        let blobs = std::mem::take(&mut segment.blobs);
        self.tickets.recv().map_err(|_| Error::Aborted)?;
        let (messages, effort, buffers) = (self.messages.clone(), Arc::clone(&self.effort), Arc::clone(&self.buffers));
        self.pool.spawn_fifo(move || {
            let plain_bytes = plain.len() as u32;
            let (codec, bytes) = effort.compress(plain, &buffers);
            // Nobody listens any more only after a failure.
            let _ = messages.send(Message::Segment(Sealable { kind, sequence, codec, plain_bytes, bytes, blobs }));
        });
        if kind == BlobKind::Data { self.flush_tree_if_due() } else { Ok(()) }
    }

    fn flush_tree_if_due(&mut self) -> Result<()> {
        let packs = self.data_packs.load(Ordering::Relaxed);
        let (at, when) = self.flushed_at;
        let due = packs >= at + TREE_FLUSH_PACKS
            || (packs >= at + TREE_FLUSH_LEAST && when.elapsed().as_secs() >= TREE_FLUSH_SECS);
        if due {
            self.flushed_at = (packs, Instant::now());
            self.dispatch(BlobKind::Tree)?;
            self.messages.send(Message::FlushTree(self.tree.sent)).map_err(|_| Error::Aborted)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<WriteStats> {
        self.dispatch(BlobKind::Data)?;
        self.dispatch(BlobKind::Tree)?;
        Ok(self.stats)
    }
}

/// Runs `body` with a writer and waits until all that it stored is durable and named by index objects. `taken_over` are packs of a killed run.
///
/// When `body` fails, what it stored until then is still finished and written down, so that the next run carries on from there.
///
/// # Errors
/// What `body` says, or the first thing that went wrong in storing.
#[allow(clippy::too_many_arguments)]
pub fn with_writer<T>(
    repo: &Repository,
    state: &State,
    signer: &Signer,
    session: u32,
    dedup: &Mutex<Dedup>,
    taken_over: Vec<PackRecord>,
    options: &WriteOptions,
    body: impl FnOnce(&mut BlobWriter<'_>) -> Result<T>,
) -> Result<(T, WriteStats)> {
    let spool = spool_folder(repo, options)?;
    let threads = options.threads.max(1);
    let effort = Arc::new(Effort::new(options.level, repo.backend(), threads, options.data_pack_bytes, state)?);
    let context = PackContext {
        repo: repo.keys().repo(),
        epoch: repo.keys().current_epoch(),
        writer: signer.writer().clone(),
        spool,
        effort: &effort,
        tree_pack_bytes: options.tree_pack_bytes,
    };
    let (failure, data_packs) = (Failure::default(), AtomicU64::new(0));
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|n| format!("compress-{n}"))
        .build()
        .map_err(|e| Error::io("start", "the compression threads", std::io::Error::other(e)))?;
    let buffers = Arc::new(Buffers::default());
    let slots = repo.backend().put_slots();
    let (messages_in, messages) = unbounded();
    let (packs_in, packs) = bounded::<SpooledPack>(1);
    let (commits_in, commits) = bounded(64);
    let (tickets_in, tickets) = bounded(threads + 2);
    while tickets_in.try_send(()).is_ok() {}

    std::thread::scope(|scope| {
        let (failure, context, data_packs) = (&failure, &context, &data_packs);
        let (used, sealing) = (Arc::clone(&buffers), Arc::clone(&effort));
        let counted = move |pack: &SpooledPack| {
            sealing.sealed(pack.record.size_bytes);
            if pack.record.kind == BlobKind::Data {
                data_packs.fetch_add(1, Ordering::Relaxed);
            }
        };
        scope.spawn(move || pack_all(context, &messages, &packs_in, &tickets_in, &counted, &used, failure));
        for _ in 0..slots.most() {
            let (slots, effort) = (Arc::clone(&slots), Arc::clone(&effort));
            let (packs, commits) = (packs.clone(), commits_in.clone());
            scope.spawn(move || upload_all(repo, state, &slots, &effort, &packs, &commits, failure));
        }
        drop(packs);
        let committer = Committer::new(repo, state, signer, session, dedup, taken_over);
        let committed =
            scope.spawn(move || if options.dry_run { Default::default() } else { committer.run(&commits, failure) });
        let mut writer = BlobWriter {
            dedup,
            failure,
            effort: Arc::clone(&effort),
            dry_run: options.dry_run,
            pool,
            buffers,
            messages: messages_in,
            commits: commits_in,
            tickets,
            data: OpenSegment::default(),
            tree: OpenSegment::default(),
            data_packs,
            flushed_at: (0, Instant::now()),
            stats: WriteStats::default(),
        };
        let result = body(&mut writer);
        let stats = writer.finish();
        let committed = committed.join().map_err(|_| Error::Aborted)?;
        if let Some(error) = failure.take() {
            // An interruption is what the user wants to hear of.
            return Err(if matches!(result, Err(Error::Interrupted)) { Error::Interrupted } else { error });
        }
        let (value, mut stats) = (result?, stats?);
        stats.packs = committed.packs;
        stats.pack_bytes = committed.pack_bytes;
        stats.index_objects = committed.index_objects;
        Ok((value, stats))
    })
}

fn spool_folder(repo: &Repository, options: &WriteOptions) -> Result<PathBuf> {
    if options.dry_run {
        return Ok(options.spool.clone());
    }
    let staging = repo.backend().staging().map_err(|e| Error::store("write to", repo.backend().location(), e))?;
    let spool = match staging {
        Some(folder) => folder,
        None => {
            std::fs::create_dir_all(&options.spool).map_err(|e| Error::io("make", &options.spool, e))?;
            options.spool.clone()
        }
    };
    clean_spool(&spool);
    Ok(spool)
}

fn pack_all(
    context: &PackContext<'_>,
    messages: &Receiver<Message>,
    packs: &Sender<SpooledPack>,
    tickets: &Sender<()>,
    counted: &dyn Fn(&SpooledPack),
    buffers: &Buffers,
    failure: &Failure,
) {
    let mut data = Packer::new(context, BlobKind::Data, buffers);
    let mut tree = Packer::new(context, BlobKind::Tree, buffers);
    let mut full = Vec::new();
    let mut step = |message: Option<Message>| -> Result<()> {
        match message {
            Some(Message::Segment(segment)) => {
                let packer = if segment.kind == BlobKind::Data { &mut data } else { &mut tree };
                for _ in 0..packer.add(segment, &mut full)? {
                    let _ = tickets.try_send(());
                }
            }
            Some(Message::FlushTree(after)) => tree.flush(after, &mut full)?,
            None => {
                data.finish(&mut full)?;
                tree.finish(&mut full)?;
            }
        }
        for pack in full.drain(..) {
            counted(&pack);
            packs.send(pack).map_err(|_| Error::Aborted)?;
        }
        Ok(())
    };
    for message in messages {
        if failure.is_set() {
            // Nobody may wait for a ticket that never comes.
            let _ = tickets.try_send(());
        } else if let Err(error) = step(Some(message)) {
            failure.set(error);
            let _ = tickets.try_send(());
        }
    }
    if !failure.is_set()
        && let Err(error) = step(None)
    {
        failure.set(error);
    }
}
