//! How many uploads run at the same time: a number that adapts.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// More throughput than this share shows that another upload helped.
const GAIN: f64 = 1.05;

/// Slots for uploads. Additive increase while throughput grows, multiplicative decrease when the store asks for less.
#[derive(Debug)]
pub struct Slots {
    state: Mutex<State>,
    free: Condvar,
    most: usize,
}

#[derive(Debug)]
struct State {
    limit: usize,
    used: usize,
    window: Window,
    /// Throughput in bytes a second of the last whole window, and its limit.
    last: Option<(usize, f64)>,
    /// The last uploads' rate of one window, for whoever wants to know the uplink.
    rate: Option<f64>,
    halved: Option<Instant>,
}

/// Uploads since the limit was last looked at.
#[derive(Debug, Default)]
struct Window {
    began: Option<Instant>,
    uploads: usize,
    bytes: u64,
}

/// The right to upload; given back when dropped.
#[derive(Debug)]
pub struct Slot<'a>(&'a Slots);

impl Slots {
    /// Begins with `first` slots, at most `most`; equal numbers never change.
    pub fn new(first: usize, most: usize) -> Self {
        let limit = first.clamp(1, most.max(1));
        let state = State { limit, used: 0, window: Window::default(), last: None, rate: None, halved: None };
        Self { state: Mutex::new(state), free: Condvar::new(), most: most.max(limit) }
    }

    /// The greatest number there may ever be.
    pub fn most(&self) -> usize {
        self.most
    }

    /// The number at present.
    pub fn limit(&self) -> usize {
        self.lock().limit
    }

    /// Slots that are taken.
    pub fn used(&self) -> usize {
        self.lock().used
    }

    /// Measured throughput in bytes a second, once there is some.
    pub fn rate_bytes_per_sec(&self) -> Option<f64> {
        self.lock().rate
    }

    /// Waits for a slot. Whoever has one gives it back in bounded time.
    pub fn take(&self) -> Slot<'_> {
        let mut state = self.lock();
        while state.used >= state.limit {
            state = self.free.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.used += 1;
        Slot(self)
    }

    /// An upload of `bytes` has succeeded.
    pub fn succeeded(&self, bytes: u64, now: Instant) {
        let mut state = self.lock();
        state.window.uploads += 1;
        state.window.bytes += bytes;
        let Some(began) = state.window.began else {
            // The first upload of a window only starts the clock: when it began is not known.
            state.window = Window { began: Some(now), uploads: 0, bytes: 0 };
            return;
        };
        if state.window.uploads < state.limit.max(2) {
            return;
        }
        let secs = now.saturating_duration_since(began).as_secs_f64().max(1e-6);
        let rate = state.window.bytes as f64 / secs;
        let limit = state.limit;
        state.rate = Some(rate);
        state.limit = match state.last {
            Some((fewer, before)) if fewer < limit && rate < before * GAIN => fewer,
            Some((same, before)) if same >= limit && rate < before * GAIN => limit,
            _ => (limit + 1).min(self.most),
        };
        state.last = Some((limit, rate));
        state.window = Window { began: Some(now), uploads: 0, bytes: 0 };
        drop(state);
        self.free.notify_all();
    }

    /// The store asked for less, or did not keep up: 429, 503, a timeout. Several at the same time count once.
    pub fn throttled(&self, now: Instant) {
        let mut state = self.lock();
        if state.halved.is_some_and(|at| now.saturating_duration_since(at) < Duration::from_secs(1)) {
            return;
        }
        state.halved = Some(now);
        state.limit = if self.most == 1 { 1 } else { (state.limit / 2).max(1) };
        state.last = None;
        state.window = Window::default();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.lock().used -= 1;
        self.0.free.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Uploads for a while over a line that has `rate(limit)` bytes a second.
    fn run(slots: &Slots, now: &mut Instant, uploads: usize, rate: impl Fn(usize) -> f64) {
        for _ in 0..uploads {
            *now += Duration::from_secs_f64(1000.0 / rate(slots.limit()));
            slots.succeeded(1000, *now);
        }
    }

    #[test]
    fn it_grows_while_that_helps() {
        let (slots, mut now) = (Slots::new(2, 8), Instant::now());
        run(&slots, &mut now, 60, |limit| 100.0 * limit.min(5) as f64);
        assert!((5..=6).contains(&slots.limit()), "{}", slots.limit());
        let rate = slots.rate_bytes_per_sec().unwrap_or_default();
        assert!((450.0..550.0).contains(&rate), "{rate}");
        run(&slots, &mut now, 1000, |limit| 100.0 * limit as f64);
        assert!(slots.limit() <= 8);
    }

    #[test]
    fn a_line_that_is_full_gets_no_more() {
        let (slots, mut now) = (Slots::new(2, 8), Instant::now());
        run(&slots, &mut now, 200, |_| 100.0);
        assert!((2..=3).contains(&slots.limit()), "{}", slots.limit());
    }

    #[test]
    fn it_halves_once_for_several_complaints() {
        let (slots, mut now) = (Slots::new(8, 8), Instant::now());
        slots.throttled(now);
        slots.throttled(now);
        assert_eq!(slots.limit(), 4);
        for _ in 0..5 {
            now += Duration::from_secs(2);
            slots.throttled(now);
        }
        assert_eq!(slots.limit(), 1);
        run(&slots, &mut now, 200, |limit| 100.0 * limit as f64);
        assert!(slots.limit() > 4);
    }

    #[test]
    fn slots_are_given_back() {
        let slots = Slots::new(2, 2);
        let most = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let _slot = slots.take();
                    most.fetch_max(slots.used(), std::sync::atomic::Ordering::Relaxed);
                    std::thread::yield_now();
                });
            }
        });
        assert!(most.into_inner() <= 2 && slots.used() == 0);
    }
}
