//! Compression of segments; how hard, if that is to follow from the uplink.

use crate::backend::Backend;
use crate::buffers::Buffers;
use crate::format::pack::{Codec, TAG_BYTES};
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The level that asks for whatever the uplink leaves time for.
pub const AUTO: i32 = 0;
/// The zstd level where nothing else is asked for, and the least of [`AUTO`].
pub const DEFAULT_LEVEL: i32 = 3;

/// Levels of [`AUTO`], and how much longer each takes than the first, until that is measured (benches/README.md).
const LADDER: [(i32, f64); 6] = [(DEFAULT_LEVEL, 1.0), (6, 3.0), (9, 5.0), (12, 12.0), (15, 30.0), (18, 60.0)];
/// The processor must stay ahead of the uplink by this factor …
const AHEAD: f64 = 1.25;
/// … and have the next pack done this much earlier than what is in hand is sent.
const IN_TIME: f64 = 1.5;
/// The uplink is measured over at least this.
const SAMPLE: Duration = Duration::from_millis(400);

/// Compresses a segment, or leaves it as it is if that does not pay.
pub(super) fn compress(plain: Vec<u8>, level: i32, buffers: &Buffers) -> (Codec, Vec<u8>) {
    thread_local! {
        static CONTEXT: RefCell<Option<(i32, zstd::bulk::Compressor<'static>)>> = const { RefCell::new(None) };
    }
    let compressed = CONTEXT.with_borrow_mut(|context| {
        if context.is_none() {
            *context = zstd::bulk::Compressor::new(level).ok().map(|made| (level, made));
        }
        let (at, compressor) = context.as_mut()?;
        if *at != level {
            // The tables stay, which are large.
            compressor.set_compression_level(level).ok()?;
            *at = level;
        }
        let mut out = buffers.take();
        out.reserve(zstd::zstd_safe::compress_bound(plain.len()) + TAG_BYTES);
        compressor.compress_to_buffer(&plain, &mut out).ok()?;
        Some(out)
    });
    match compressed {
        // Less than 1/64 saved is not worth the time to decompress.
        Some(out) if out.len() < plain.len() - plain.len() / 64 => {
            buffers.give(plain);
            (Codec::Zstd, out)
        }
        Some(out) => {
            buffers.give(out);
            (Codec::None, plain)
        }
        None => (Codec::None, plain),
    }
}

/// What an upload may have handed to the system that has not gone out yet: how far a socket's buffer grows (tcp(7), tcp_wmem).
const BUFFERED_BYTES: u64 = 4 << 20;

/// Chooses a level for each segment: the highest at which the processor still has the next pack ready before the uplink has nothing to send.
pub(super) struct Effort {
    /// The level, unless it is to be chosen.
    fixed: Option<i32>,
    backend: Arc<dyn Backend>,
    threads: f64,
    pack_bytes: f64,
    /// What the store had sent when this began.
    sent_before_bytes: u64,
    /// Bytes of packs that were ended, and of those that are stored.
    sealed_bytes: AtomicU64,
    stored_bytes: AtomicU64,
    /// Packs being uploaded.
    uploads: AtomicU64,
    measured: Mutex<Measured>,
}

#[derive(Default)]
struct Measured {
    /// By the place in the ladder: seconds a stored byte.
    secs_per_byte: [Option<f64>; LADDER.len()],
    uplink_bytes_per_sec: Option<f64>,
    /// Since when the uplink has been busy without a pause, and what had gone out then.
    sample: Option<(Instant, u64)>,
}

impl Effort {
    pub fn new(level: i32, backend: &Arc<dyn Backend>, threads: usize, pack_bytes: u64) -> Self {
        // Where nothing goes over a network, time is the processor's.
        let is_auto = level == AUTO && backend.is_remote();
        Self {
            fixed: (!is_auto).then_some(if level == AUTO { DEFAULT_LEVEL } else { level }),
            backend: Arc::clone(backend),
            threads: threads as f64,
            pack_bytes: pack_bytes as f64,
            sent_before_bytes: backend.usage().up_bytes,
            sealed_bytes: AtomicU64::new(0),
            stored_bytes: AtomicU64::new(0),
            uploads: AtomicU64::new(0),
            measured: Mutex::default(),
        }
    }

    /// A pack was ended and waits to be sent.
    pub fn sealed(&self, bytes: u64) {
        self.sealed_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Its upload begins.
    pub fn began(&self) {
        self.uploads.fetch_add(1, Ordering::Relaxed);
    }

    /// Its upload is over.
    pub fn ended(&self, bytes: u64) {
        self.stored_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.uploads.fetch_sub(1, Ordering::Relaxed);
    }

    /// Compresses a segment at the level that is right now.
    pub fn compress(&self, plain: Vec<u8>, buffers: &Buffers) -> (Codec, Vec<u8>) {
        if let Some(level) = self.fixed {
            return compress(plain, level, buffers);
        }
        let step = self.choose(Instant::now(), self.backend.usage().up_bytes);
        let began = Instant::now();
        let done = compress(plain, LADDER[step].0, buffers);
        self.took(step, done.1.len(), began.elapsed());
        done
    }

    /// The place in the ladder for a segment now, when the store has handed `sent_bytes` in all to the system.
    fn choose(&self, now: Instant, sent_bytes: u64) -> usize {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let buffered = of(&self.uploads).saturating_mul(BUFFERED_BYTES);
        let handed = sent_bytes.saturating_sub(self.sent_before_bytes);
        let gone = handed.saturating_sub(buffered).max(of(&self.stored_bytes));
        let in_hand = of(&self.sealed_bytes).saturating_sub(gone) as f64;
        let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        if in_hand <= 0.0 {
            // An uplink with nothing to send says nothing, and nothing must keep it waiting.
            measured.sample = None;
            return 0;
        }
        let (since, before) = *measured.sample.get_or_insert((now, gone));
        let time = now.saturating_duration_since(since);
        if time >= SAMPLE && gone > before {
            let rate = (gone - before) as f64 / time.as_secs_f64();
            let smooth = measured.uplink_bytes_per_sec.map_or(rate, |old| 0.5 * old + 0.5 * rate);
            measured.uplink_bytes_per_sec = Some(smooth);
            measured.sample = Some((now, gone));
        }
        let Some(base) = measured.secs_per_byte[0] else { return 0 };
        let Some(uplink) = measured.uplink_bytes_per_sec else {
            // It has been busy with a whole pack for a while: so slow it is at least.
            return usize::from(in_hand >= self.pack_bytes && time >= SAMPLE);
        };
        let needed = uplink * AHEAD.max(IN_TIME * self.pack_bytes / in_hand);
        let keeps_up = |step: &usize| {
            // Once slow, because something else was running, is not slow for ever.
            let usual = base * LADDER[*step].1;
            let secs = measured.secs_per_byte[*step].unwrap_or(usual).min(2.0 * usual);
            self.threads / secs >= needed
        };
        (1..LADDER.len()).rev().find(keeps_up).unwrap_or(0)
    }

    fn took(&self, step: usize, stored_bytes: usize, time: Duration) {
        let secs = time.as_secs_f64() / (stored_bytes.max(1) as f64);
        let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        let old = &mut measured.secs_per_byte[step];
        *old = Some(old.map_or(secs, |old| 0.8 * old + 0.2 * secs));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::backend::fault::FaultBackend;
    use crate::backend::memory::MemoryBackend;

    const MIB: u64 = 1 << 20;

    fn effort(level: i32) -> Effort {
        let backend: Arc<dyn Backend> = Arc::new(FaultBackend::new(MemoryBackend::new(), |_| None));
        Effort::new(level, &backend, 2, 60 * MIB)
    }

    /// As if the store were far away.
    fn auto() -> Effort {
        Effort { fixed: None, ..effort(AUTO) }
    }

    #[test]
    fn without_a_network_it_is_the_default() {
        assert_eq!(effort(AUTO).fixed, Some(DEFAULT_LEVEL));
        assert_eq!(effort(7).fixed, Some(7));
    }

    /// The level that is chosen for an uplink of so many MiB a second, when so many MiB wait; a core stores 50 MiB a second at the first level.
    fn chosen(uplink: u64, in_hand: u64) -> i32 {
        let (effort, mut now) = (auto(), Instant::now());
        effort.took(0, (50 * MIB) as usize, Duration::from_secs(1));
        let mut sent = 0;
        effort.choose(now, sent);
        for _ in 0..20 {
            now += Duration::from_secs(1);
            sent += uplink * MIB;
            // What is stored has gone out; what is on the way is more than a buffer holds.
            effort.stored_bytes.store(sent, Ordering::Relaxed);
            effort.sealed_bytes.store(sent + in_hand * MIB, Ordering::Relaxed);
            effort.choose(now, sent);
        }
        LADDER[effort.choose(now, sent)].0
    }

    #[test]
    fn the_slower_the_uplink_the_harder_it_works() {
        let levels: Vec<i32> = [200, 60, 20, 10, 4, 1].into_iter().map(|uplink| chosen(uplink, 120)).collect();
        assert!(levels.is_sorted(), "{levels:?}");
        assert_eq!((levels[0], levels[5]), (3, 18));
        assert_eq!(levels[2], 6);
    }

    #[test]
    fn it_does_not_when_little_waits() {
        let levels: Vec<i32> = [0, 1, 5, 20, 60, 120].into_iter().map(|in_hand| chosen(2, in_hand)).collect();
        assert!(levels.is_sorted(), "{levels:?}");
        assert_eq!(levels[..2], [3, 3]);
        assert!(levels[5] > 9);
    }

    #[test]
    fn what_is_measured_counts_more_than_the_table() {
        let (effort, now) = (auto(), Instant::now());
        effort.took(0, (50 * MIB) as usize, Duration::from_secs(1));
        effort.sealed(200 * MIB);
        effort.began();
        effort.choose(now, 0);
        let later = now + Duration::from_secs(1);
        // A buffer has been filled: that is not sent.
        assert_eq!(effort.choose(later, 4 * MIB), 1);
        let step = effort.choose(later, 6 * MIB);
        assert_eq!(step, 4);
        for step in 1..LADDER.len() {
            effort.took(step, MIB as usize, Duration::from_secs(10));
        }
        // But not for ever: nothing would show that it has become faster.
        assert_eq!(effort.choose(later, 6 * MIB), 3);
    }
}
