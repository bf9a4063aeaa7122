//! Reads that were announced: ranges that touch are fetched by one request and kept until they are read.

use crate::error::StoreError;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Ranges with a smaller gap between them are one: a request costs more time than this many bytes.
const GAP_BYTES: u64 = 128 << 10;
/// No more is fetched at once.
const MOST_BYTES: u64 = 64 << 20;
/// What is fetched and not read yet; beyond this the oldest is dropped and would be fetched anew.
const KEPT_BYTES: u64 = 192 << 20;

/// The plan of a store.
#[derive(Default)]
pub struct Plan {
    state: Mutex<State>,
    fetched: Condvar,
}

#[derive(Default)]
struct State {
    objects: HashMap<String, Vec<Part>>,
    kept_bytes: u64,
    /// Counts fetches: the least is the oldest.
    clock: u64,
}

struct Part {
    range: Range<u64>,
    /// What was announced of it and nobody has read yet: sorted, without overlaps.
    wanted: Vec<Range<u64>>,
    held: Held,
}

impl Part {
    fn want(&mut self, range: Range<u64>) {
        self.wanted.push(range);
        self.wanted.sort_by_key(|range| range.start);
        self.wanted.dedup_by(|next, before| {
            let touches = next.start <= before.end;
            if touches {
                before.end = before.end.max(next.end);
            }
            touches
        });
    }

    /// A range was read: whether nothing more is wanted.
    fn is_done_with(&mut self, read: &Range<u64>) -> bool {
        let without = |range: Range<u64>| {
            let before = range.start..range.end.min(read.start);
            let after = range.start.max(read.end)..range.end;
            [before, after].into_iter().filter(|part| part.start < part.end)
        };
        self.wanted = std::mem::take(&mut self.wanted).into_iter().flat_map(without).collect();
        self.wanted.is_empty()
    }
}

enum Held {
    Nothing,
    OnTheWay,
    Bytes(Arc<Vec<u8>>, u64),
}

impl Plan {
    /// Notes ranges of an object that will be read, each once. What is planned or there already is not fetched twice.
    pub fn announce(&self, name: &str, ranges: &[Range<u64>]) {
        let mut state = self.lock();
        let mut sorted: Vec<Range<u64>> = Vec::new();
        for range in ranges.iter().filter(|range| range.start < range.end) {
            match state.part(name, range) {
                Some(part) => part.want(range.clone()),
                None => sorted.push(range.clone()),
            }
        }
        sorted.sort_by_key(|range| (range.start, range.end));
        let mut parts: Vec<Part> = Vec::new();
        for range in sorted {
            match parts.last_mut() {
                Some(last)
                    if range.start <= last.range.end.saturating_add(GAP_BYTES)
                        && range.end.max(last.range.end) - last.range.start <= MOST_BYTES =>
                {
                    last.range.end = last.range.end.max(range.end);
                    last.want(range);
                }
                _ => parts.push(Part { range: range.clone(), wanted: vec![range], held: Held::Nothing }),
            }
        }
        if !parts.is_empty() {
            state.objects.entry(name.to_owned()).or_default().append(&mut parts);
        }
    }

    /// Reads a range by what was announced, with `fetch` for what is not there yet; nothing if it was not announced.
    ///
    /// # Errors
    /// What `fetch` says; that part of the plan is given up.
    pub fn read(
        &self,
        name: &str,
        range: &Range<u64>,
        fetch: impl FnOnce(&Range<u64>) -> Result<Vec<u8>, StoreError>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let mut state = self.lock();
        let whole = loop {
            let Some(part) = state.part(name, range) else { return Ok(None) };
            match &part.held {
                Held::Bytes(bytes, _) => {
                    let start = usize::try_from(range.start - part.range.start).unwrap_or(usize::MAX);
                    let end = usize::try_from(range.end - part.range.start).unwrap_or(usize::MAX);
                    let found = bytes.get(start..end).map(<[u8]>::to_vec);
                    state.consume(name, range);
                    return Ok(found);
                }
                // Whoever fetches does so in bounded time.
                Held::OnTheWay => state = self.fetched.wait(state).unwrap_or_else(PoisonError::into_inner),
                // A single range gains nothing from being kept.
                Held::Nothing if part.range == *range => {
                    state.consume(name, range);
                    return Ok(None);
                }
                Held::Nothing => {
                    part.held = Held::OnTheWay;
                    break part.range.clone();
                }
            }
        };
        drop(state);
        let bytes = fetch(&whole);
        let mut state = self.lock();
        let done = match bytes {
            Ok(bytes) => {
                let start = usize::try_from(range.start - whole.start).unwrap_or(usize::MAX);
                let end = usize::try_from(range.end - whole.start).unwrap_or(usize::MAX);
                let found = bytes.get(start..end).map(<[u8]>::to_vec);
                state.keep(name, &whole, bytes);
                state.consume(name, range);
                Ok(found)
            }
            Err(error) => {
                state.drop_part(name, &whole);
                Err(error)
            }
        };
        drop(state);
        self.fetched.notify_all();
        done
    }

    /// Drops what is planned of an object.
    pub fn forget(&self, name: &str) {
        let mut state = self.lock();
        let ranges: Vec<Range<u64>> = match state.objects.get(name) {
            // Who waits for one that is on the way is told by whoever fetches it.
            Some(parts) => {
                parts.iter().filter(|p| !matches!(p.held, Held::OnTheWay)).map(|p| p.range.clone()).collect()
            }
            None => return,
        };
        ranges.iter().for_each(|range| state.drop_part(name, range));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn part(&mut self, name: &str, range: &Range<u64>) -> Option<&mut Part> {
        let parts = self.objects.get_mut(name)?;
        parts.iter_mut().find(|part| part.range.start <= range.start && range.end <= part.range.end)
    }

    /// A range was read.
    fn consume(&mut self, name: &str, range: &Range<u64>) {
        let Some(part) = self.part(name, range) else { return };
        if part.is_done_with(range) {
            let whole = part.range.clone();
            self.drop_part(name, &whole);
        }
    }

    fn drop_part(&mut self, name: &str, whole: &Range<u64>) {
        let Some(parts) = self.objects.get_mut(name) else { return };
        if let Some(at) = parts.iter().position(|part| part.range == *whole) {
            let part = parts.swap_remove(at);
            if let Held::Bytes(bytes, _) = part.held {
                self.kept_bytes -= bytes.len() as u64;
            }
        }
        if self.objects.get(name).is_some_and(Vec::is_empty) {
            self.objects.remove(name);
        }
    }

    fn keep(&mut self, name: &str, whole: &Range<u64>, bytes: Vec<u8>) {
        self.clock += 1;
        let (clock, len_bytes) = (self.clock, bytes.len() as u64);
        let Some(part) = self.objects.get_mut(name).and_then(|p| p.iter_mut().find(|p| p.range == *whole)) else {
            return;
        };
        part.held = Held::Bytes(Arc::new(bytes), clock);
        self.kept_bytes += len_bytes;
        while self.kept_bytes > KEPT_BYTES {
            let oldest = self.objects.iter().flat_map(|(name, parts)| parts.iter().map(move |part| (name, part)));
            let oldest = oldest.filter_map(|(name, part)| match part.held {
                Held::Bytes(_, at) if at != clock => Some((at, name.clone(), part.range.clone())),
                _ => None,
            });
            let Some((_, name, range)) = oldest.min_by_key(|(at, _, _)| *at) else { return };
            self.drop_part(&name, &range);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A store of bytes that say where they are.
    fn bytes(range: &Range<u64>) -> Vec<u8> {
        range.clone().map(|at| (at % 251) as u8).collect()
    }

    fn read(plan: &Plan, fetches: &AtomicU64, range: Range<u64>) -> Vec<u8> {
        let fetch = |whole: &Range<u64>| {
            fetches.fetch_add(1, Ordering::Relaxed);
            Ok(bytes(whole))
        };
        let found = plan.read("a", &range, fetch).unwrap().unwrap_or_else(|| {
            fetches.fetch_add(1, Ordering::Relaxed);
            bytes(&range)
        });
        assert_eq!(found, bytes(&range));
        found
    }

    #[test]
    fn neighbours_are_one_fetch() {
        let (plan, fetches) = (Plan::default(), AtomicU64::new(0));
        plan.announce("a", &[100..200, 0..100, 300..400, 10_000_000..10_000_010, 10_000_010..10_000_020]);
        for range in [100..200, 300..400, 0..100, 10_000_000..10_000_010, 10_000_010..10_000_020] {
            read(&plan, &fetches, range);
        }
        assert_eq!(fetches.load(Ordering::Relaxed), 2);
        // All was read once: nothing is kept, and what comes now was not announced.
        let state = plan.lock();
        assert!(state.objects.is_empty() && state.kept_bytes == 0);
        drop(state);
        assert!(plan.read("a", &(0..10), |_| Ok(Vec::new())).unwrap().is_none());
    }

    #[test]
    fn an_announcement_may_grow() {
        let (plan, fetches) = (Plan::default(), AtomicU64::new(0));
        plan.announce("a", &[0..1000, 1000..2000, 2000..3000]);
        read(&plan, &fetches, 0..1000);
        // What was announced before and is announced again is still read once; parts of it may be read, too.
        plan.announce("a", std::slice::from_ref(&(1000..2000)));
        read(&plan, &fetches, 1000..1700);
        read(&plan, &fetches, 1700..2000);
        read(&plan, &fetches, 2000..3000);
        assert_eq!(fetches.load(Ordering::Relaxed), 1);
        assert_eq!(plan.lock().kept_bytes, 0);
    }

    #[test]
    fn a_failed_fetch_is_given_up() {
        let (plan, fetches) = (Plan::default(), AtomicU64::new(0));
        plan.announce("a", &[0..10, 10..20]);
        plan.read("a", &(0..10), |_| Err(StoreError::NotFound)).unwrap_err();
        read(&plan, &fetches, 10..20);
        assert_eq!(fetches.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn many_threads_fetch_once() {
        let (plan, fetches) = (Plan::default(), AtomicU64::new(0));
        let ranges: Vec<Range<u64>> = (0..64).map(|n| n * 1000..(n + 1) * 1000).collect();
        plan.announce("a", &ranges);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (plan, fetches, ranges) = (&plan, &fetches, &ranges);
                scope.spawn(move || {
                    ranges.iter().skip(thread).step_by(4).for_each(|r| drop(read(plan, fetches, r.clone())))
                });
            }
        });
        assert_eq!(fetches.load(Ordering::Relaxed), 1);
        assert_eq!(plan.lock().kept_bytes, 0);
    }

    #[test]
    fn memory_is_bounded() {
        let plan = Plan::default();
        for object in 0..6u64 {
            let name = object.to_string();
            plan.announce(&name, &[0..1, 1..(48 << 20)]);
            plan.read(&name, &(0..1), |whole| Ok(vec![0; (whole.end - whole.start) as usize])).unwrap().unwrap();
            assert!(plan.lock().kept_bytes <= KEPT_BYTES);
        }
        assert_eq!(plan.lock().objects.len(), 4);
        plan.forget("5");
        assert_eq!(plan.lock().objects.len(), 3);
    }
}
