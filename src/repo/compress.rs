//! Compression of segments; how hard, if that is to follow from the uplink.

use crate::backend::Backend;
use crate::buffers::Buffers;
use crate::format::pack::{Codec, TAG_BYTES};
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The level that asks for [`Effort`]: whatever the uplink leaves time for.
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
        if context.as_ref().is_none_or(|(at, _)| *at != level) {
            *context = zstd::bulk::Compressor::new(level).ok().map(|made| (level, made));
        }
        let (_, compressor) = context.as_mut()?;
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

/// Chooses a level for each segment: the highest at which the processor still has the next pack ready before the uplink has nothing to send.
pub(super) struct Effort {
    /// The level, unless it is to be chosen.
    fixed: Option<i32>,
    backend: Arc<dyn Backend>,
    threads: f64,
    pack_bytes: f64,
    /// Bytes of packs that were ended, and of uploads when this began.
    sealed_bytes: AtomicU64,
    sent_before_bytes: u64,
    measured: Mutex<Measured>,
}

#[derive(Default)]
struct Measured {
    /// By the place in the ladder: seconds a stored byte.
    secs_per_byte: [Option<f64>; LADDER.len()],
    uplink_bytes_per_sec: Option<f64>,
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
            sealed_bytes: AtomicU64::new(0),
            sent_before_bytes: backend.usage().up_bytes,
            measured: Mutex::default(),
        }
    }

    /// A pack was ended and waits to be sent.
    pub fn sealed(&self, bytes: u64) {
        self.sealed_bytes.fetch_add(bytes, Ordering::Relaxed);
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

    /// The place in the ladder for a segment now, when the store has sent `sent_bytes` in all.
    fn choose(&self, now: Instant, sent_bytes: u64) -> usize {
        let sent = sent_bytes.saturating_sub(self.sent_before_bytes);
        let in_hand = self.sealed_bytes.load(Ordering::Relaxed).saturating_sub(sent) as f64;
        let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        match measured.sample {
            Some((at, before)) if now.saturating_duration_since(at) >= SAMPLE => {
                let rate = sent.saturating_sub(before) as f64 / (now - at).as_secs_f64();
                // An uplink with nothing to send says nothing.
                if in_hand > 0.0 && rate > 0.0 {
                    let smooth = measured.uplink_bytes_per_sec.map_or(rate, |old| 0.6 * old + 0.4 * rate);
                    measured.uplink_bytes_per_sec = Some(smooth);
                }
                measured.sample = Some((now, sent));
            }
            None => measured.sample = Some((now, sent)),
            _ => {}
        }
        let (Some(uplink), Some(base)) = (measured.uplink_bytes_per_sec, measured.secs_per_byte[0]) else { return 0 };
        if in_hand <= 0.0 {
            return 0;
        }
        let needed = uplink * AHEAD.max(IN_TIME * self.pack_bytes / in_hand);
        let keeps_up = |step: &usize| {
            let secs = measured.secs_per_byte[*step].unwrap_or(base * LADDER[*step].1);
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
        effort.choose(now, 0);
        effort.sealed_bytes.store(200 * MIB, Ordering::Relaxed);
        let later = now + Duration::from_secs(1);
        let step = effort.choose(later, 2 * MIB);
        assert!(step > 1);
        for step in 1..LADDER.len() {
            effort.took(step, MIB as usize, Duration::from_secs(10));
        }
        assert_eq!(effort.choose(later, 2 * MIB), 0);
    }
}
