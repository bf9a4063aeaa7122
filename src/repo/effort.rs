//! `--compression auto`: how hard to compress, so that an uplink that is slower than the processor has less to carry and never waits.
//!
//! What the uplink carries is known from the bandwidth limit, from the last run (a note in the local state), and from watching it. Whatever
//! waits to be sent gives the processor time for the next pack; while nothing waits, the first packs are ended early.

use super::compress::{DEFAULT_LEVEL, compress};
use crate::backend::Backend;
use crate::buffers::Buffers;
use crate::error::Result;
use crate::format::pack::Codec;
use crate::state::State;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The level that asks for whatever the uplink leaves time for.
pub const AUTO: i32 = 0;

/// A level that may be chosen.
struct Step {
    level: i32,
    /// Its time beside the first one's, and what it saves of the first one's bytes: means over text, sources, programs and
    /// half-random pages in segments of 1 MiB (docs/performance.md).
    cost: f64,
    saved: f64,
}

const fn step(level: i32, cost: f64, saved: f64) -> Step {
    Step { level, cost, saved }
}

const LADDER: [Step; 7] = [
    step(DEFAULT_LEVEL, 1.0, 0.0),
    step(6, 3.0, 0.02),
    step(9, 4.5, 0.03),
    step(12, 6.0, 0.032),
    step(15, 20.0, 0.04),
    step(16, 45.0, 0.06),
    step(18, 60.0, 0.075),
];

/// The next pack is to be done this much earlier than what is in hand is sent.
const IN_TIME: f64 = 1.5;
/// The uplink is measured over at least this.
const SAMPLE: Duration = Duration::from_millis(400);
/// What an upload may have handed to the system that has not gone out yet: how far a socket's buffer grows (tcp(7), tcp_wmem).
const BUFFERED_BYTES: u64 = 4 << 20;
/// The least of a pack that is ended early, and how often a run does that: each is one more upload.
const EARLY_BYTES: f64 = (8 << 20) as f64;
const EARLY_PACKS: u64 = 3;
/// Of what was measured, the weight that stays when another segment is done.
const FADE: f64 = 0.98;
/// A measured rate that comes as near as this to the bandwidth limit says nothing of the uplink.
const NEAR_LIMIT: f64 = 0.7;
/// The note of the last run's uplink, in bytes a second (u64, little-endian).
const NOTE: &[u8] = b"uplink";

/// Chooses a level for each segment: the highest at which the processor still has the next pack ready before the uplink has nothing to send.
pub(super) struct Effort {
    /// The level, unless it is to be chosen.
    fixed: Option<i32>,
    backend: Arc<dyn Backend>,
    threads: f64,
    most_pack_bytes: u64,
    /// What the store had sent when this began.
    sent_before_bytes: u64,
    /// Bytes of packs that were ended, and of those that are stored.
    sealed_bytes: AtomicU64,
    stored_bytes: AtomicU64,
    /// Packs being uploaded.
    uploads: AtomicU64,
    /// Packs that may still be ended early.
    early_packs: AtomicU64,
    measured: Mutex<Measured>,
}

/// Sums over the last segments, older ones fading.
struct Measured {
    /// Time for what could be compressed, and its plaintext weighted with the cost of the step.
    secs: f64,
    weighted_bytes: f64,
    /// Plaintext of what could be compressed, and what it became.
    plain_bytes: f64,
    packed_bytes: f64,
    /// What could not be compressed, and the time to find out.
    raw_bytes: f64,
    raw_secs: f64,
    /// What the uplink carries without a limit, once known; and whether that was seen in this run.
    uplink_bytes_per_sec: Option<f64>,
    is_seen: bool,
    /// Since when the uplink has been busy without a pause, and what had gone out then.
    sample: Option<(Instant, u64)>,
}

impl Measured {
    /// A typical segment, until others are known.
    fn typical(uplink_bytes_per_sec: Option<f64>) -> Self {
        Self {
            secs: 0.0045,
            weighted_bytes: 1e6,
            plain_bytes: 1e6,
            packed_bytes: 4e5,
            raw_bytes: 1e5,
            raw_secs: 0.0,
            uplink_bytes_per_sec,
            is_seen: false,
            sample: None,
        }
    }

    /// Seconds of one thread for a byte that is stored.
    fn secs_a_byte(&self, step: &Step) -> f64 {
        let packing = self.secs / self.weighted_bytes * step.cost * self.plain_bytes;
        (packing + self.raw_secs) / self.stored_bytes()
    }

    fn stored_bytes(&self) -> f64 {
        self.packed_bytes + self.raw_bytes
    }

    fn took(&mut self, step: &Step, plain_bytes: f64, codec: Codec, stored_bytes: f64, secs: f64) {
        for sum in [
            &mut self.secs,
            &mut self.weighted_bytes,
            &mut self.plain_bytes,
            &mut self.packed_bytes,
            &mut self.raw_bytes,
            &mut self.raw_secs,
        ] {
            *sum *= FADE;
        }
        match codec {
            Codec::None | Codec::Other(_) => {
                self.raw_bytes += stored_bytes;
                self.raw_secs += secs;
            }
            Codec::Zstd => {
                self.secs += secs;
                self.weighted_bytes += plain_bytes * step.cost;
                self.plain_bytes += plain_bytes;
                self.packed_bytes += stored_bytes;
            }
        }
    }
}

impl Effort {
    /// The effort for `level`, with what `state` remembers of the uplink.
    ///
    /// # Errors
    /// [`Error::State`](crate::Error::State).
    pub fn new(level: i32, backend: &Arc<dyn Backend>, threads: usize, pack_bytes: u64, state: &State) -> Result<Self> {
        let noted = state.note(NOTE)?.and_then(|note| <[u8; 8]>::try_from(&note[..]).ok());
        let uplink = noted.map(u64::from_le_bytes).filter(|rate| *rate > 0).map(|rate| rate as f64);
        // Where nothing goes over a network, time is the processor's.
        let is_auto = level == AUTO && backend.is_remote();
        Ok(Self {
            fixed: (!is_auto).then_some(if level == AUTO { DEFAULT_LEVEL } else { level }),
            backend: Arc::clone(backend),
            threads: threads as f64,
            most_pack_bytes: pack_bytes,
            sent_before_bytes: backend.usage().up_bytes,
            sealed_bytes: AtomicU64::new(0),
            stored_bytes: AtomicU64::new(0),
            uploads: AtomicU64::new(0),
            early_packs: AtomicU64::new(EARLY_PACKS),
            measured: Mutex::new(Measured::typical(uplink)),
        })
    }

    /// A data pack that has so many bytes is to be ended.
    pub fn is_full(&self, size_bytes: u64) -> bool {
        size_bytes >= self.most_pack_bytes
            || (size_bytes as f64 >= EARLY_BYTES && self.is_full_early(size_bytes as f64))
    }

    /// Whether the uplink, known to be slow, is about to wait for this pack.
    fn is_full_early(&self, size_bytes: f64) -> bool {
        if self.fixed.is_some() || self.early_packs.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let in_hand = self.sealed_bytes.load(Ordering::Relaxed).saturating_sub(self.gone()) as f64;
        let limit = self.backend.put_limit_bytes_per_sec();
        let measured = self.lock();
        let is_slow = uplink(&measured, limit)
            .is_some_and(|uplink| 2.0 * uplink * measured.secs_a_byte(&LADDER[0]) < self.threads);
        let is_due = is_slow && size_bytes >= 2.0 * in_hand;
        // Only the packer asks.
        is_due && self.early_packs.fetch_sub(1, Ordering::Relaxed) > 0
    }

    /// A pack was ended and waits to be sent.
    pub fn sealed(&self, bytes: u64) {
        self.sealed_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Its upload begins.
    pub fn began(&self) {
        self.uploads.fetch_add(1, Ordering::Relaxed);
    }

    /// Its upload is over, after `time`.
    pub fn ended(&self, bytes: u64, time: Duration) {
        self.stored_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.uploads.fetch_sub(1, Ordering::Relaxed);
        // It may have shared the uplink, and waited for an answer: so much the uplink carries at least.
        let least = bytes as f64 / time.as_secs_f64().max(1e-3);
        let mut measured = self.lock();
        if bytes >= BUFFERED_BYTES && measured.uplink_bytes_per_sec.is_none_or(|known| known < least) {
            measured.see(least, self.backend.put_limit_bytes_per_sec());
        }
    }

    /// Has `state` remember the uplink, if this run has seen it.
    ///
    /// # Errors
    /// [`Error::State`](crate::Error::State).
    pub fn remember(&self, state: &State) -> Result<()> {
        let measured = self.lock();
        let Some(uplink) = measured.uplink_bytes_per_sec.filter(|_| measured.is_seen) else { return Ok(()) };
        drop(measured);
        state.set_notes_soon(&[(NOTE.to_vec(), (uplink as u64).to_le_bytes().to_vec())])
    }

    /// Compresses a segment at the level that is right now.
    pub fn compress(&self, plain: Vec<u8>, buffers: &Buffers) -> (Codec, Vec<u8>) {
        if let Some(level) = self.fixed {
            return compress(plain, level, buffers);
        }
        let step = &LADDER[self.choose(Instant::now(), self.backend.put_limit_bytes_per_sec(), self.gone())];
        let (plain_bytes, began) = (plain.len() as f64, Instant::now());
        let (codec, out) = compress(plain, step.level, buffers);
        self.lock().took(step, plain_bytes, codec, out.len() as f64, began.elapsed().as_secs_f64());
        (codec, out)
    }

    /// Bytes of packs that have left this machine.
    fn gone(&self) -> u64 {
        let buffered = self.uploads.load(Ordering::Relaxed).saturating_mul(BUFFERED_BYTES);
        let handed = self.backend.usage().up_bytes.saturating_sub(self.sent_before_bytes);
        handed.saturating_sub(buffered).max(self.stored_bytes.load(Ordering::Relaxed))
    }

    /// The place in the ladder for a segment now, when `gone` bytes of packs have left.
    fn choose(&self, now: Instant, limit: Option<u64>, gone: u64) -> usize {
        let in_hand = self.sealed_bytes.load(Ordering::Relaxed).saturating_sub(gone) as f64;
        let mut measured = self.lock();
        let mut busy = Duration::ZERO;
        if in_hand > 0.0 {
            let (since, before) = *measured.sample.get_or_insert((now, gone));
            busy = now.saturating_duration_since(since);
            if busy >= SAMPLE && gone > before {
                let rate = (gone - before) as f64 / busy.as_secs_f64();
                let smooth = measured.uplink_bytes_per_sec.map_or(rate, |old| 0.5 * old + 0.5 * rate);
                measured.see(smooth, limit);
                measured.sample = Some((now, gone));
            }
        } else {
            // An uplink with nothing to send says nothing.
            measured.sample = None;
        }
        let pack_bytes = self.most_pack_bytes as f64;
        let Some(uplink) = uplink(&measured, limit) else {
            // It has been busy with a whole pack for a while: so slow it is at least.
            return usize::from(in_hand >= pack_bytes && busy >= SAMPLE);
        };
        let secs_a_byte = |step: &Step| measured.secs_a_byte(step) / self.threads;
        let first = secs_a_byte(&LADDER[0]);
        let next_pack = if self.early_packs.load(Ordering::Relaxed) > 0 {
            (2.0 * in_hand).clamp(EARLY_BYTES.min(pack_bytes), pack_bytes)
        } else {
            pack_bytes
        };
        let pays = |step: &Step| {
            let secs = secs_a_byte(step);
            // Either it is done in time, or it takes no longer than sending what it saves would.
            let saved = step.saved * measured.packed_bytes / measured.stored_bytes();
            secs * next_pack * IN_TIME <= in_hand / uplink || secs - first <= saved / uplink
        };
        LADDER.iter().rposition(pays).unwrap_or(0)
    }

    fn lock(&self) -> MutexGuard<'_, Measured> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Measured {
    /// So much went out; of the uplink that says something only where no limit holds it back.
    fn see(&mut self, bytes_per_sec: f64, limit: Option<u64>) {
        if limit.is_none_or(|limit| bytes_per_sec < NEAR_LIMIT * limit as f64) {
            self.uplink_bytes_per_sec = Some(bytes_per_sec);
            self.is_seen = true;
        }
    }
}

/// What goes out in a second, if that is known.
fn uplink(measured: &Measured, limit: Option<u64>) -> Option<f64> {
    let limit = limit.map(|limit| limit as f64);
    match (measured.uplink_bytes_per_sec, limit) {
        (Some(uplink), Some(limit)) => Some(uplink.min(limit)),
        (uplink, limit) => uplink.or(limit),
    }
}

#[cfg(test)]
#[path = "effort_tests.rs"]
mod tests;
