//! How much may be read back from a store that charges for it: a budget of bytes a month, and a meter that keeps to it.
//!
//! Stores of the kind of Backblaze B2 give away egress up to three times the average of what is stored in a month, and charge for the rest (the
//! vendor's page "Pricing", read in 2026). What is stored now stands for the average here. Pure: who knows the time and the ledger hands them in.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// How many times the average of the stored bytes may be read in a month without a charge.
pub const FREE_FACTOR: u64 = 3;

/// So much may be read of any repository, however small: it costs a cent at most.
pub const LEAST_BYTES: u64 = 1_000_000_000;

/// The most that may be read in a calendar month (UTC).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Limit {
    /// As much as anybody likes.
    #[default]
    None,
    /// So many bytes.
    Bytes(u64),
    /// What is free: [`FREE_FACTOR`] times what is stored, but [`LEAST_BYTES`] in any case.
    Free,
}

/// A limit, and what of it was used before.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Budget {
    /// The most that may be read this month.
    pub limit: Limit,
    /// Bytes that were read this month before now, by the ledger of this machine.
    pub used_bytes: u64,
}

/// What a budget comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Allowance {
    /// The most bytes of the month.
    pub limit_bytes: u64,
    /// Those of them that were read before now.
    pub used_bytes: u64,
}

impl Budget {
    /// What may be read while `stored_bytes` are stored; nothing if there is no limit.
    pub fn allowance(&self, stored_bytes: u64) -> Option<Allowance> {
        let limit_bytes = match self.limit {
            Limit::None => return None,
            Limit::Bytes(bytes) => bytes,
            Limit::Free => stored_bytes.saturating_mul(FREE_FACTOR).max(LEAST_BYTES),
        };
        Some(Allowance { limit_bytes, used_bytes: self.used_bytes })
    }
}

impl Allowance {
    /// Bytes that may still be read.
    pub fn left_bytes(&self) -> u64 {
        self.limit_bytes.saturating_sub(self.used_bytes)
    }
}

/// Counts bytes against an allowance. May be used from many threads.
#[derive(Debug)]
pub struct Meter {
    /// What may still be read; nothing if there is no limit.
    left_bytes: Option<AtomicU64>,
    refused: AtomicBool,
}

impl Meter {
    /// A meter with so many bytes left; without a limit if there is none.
    pub fn new(left_bytes: Option<u64>) -> Self {
        Self { left_bytes: left_bytes.map(AtomicU64::new), refused: AtomicBool::new(false) }
    }

    /// Takes `bytes`, to be read next, if so many are left and `reserve_bytes` stay. Whether that was so.
    pub fn take(&self, bytes: u64, reserve_bytes: u64) -> bool {
        let Some(left) = &self.left_bytes else { return true };
        let need = bytes.saturating_add(reserve_bytes);
        let taken = left.fetch_update(Relaxed, Relaxed, |left| (left >= need).then(|| left - bytes)).is_ok();
        self.refused.fetch_or(!taken, Relaxed);
        taken
    }

    /// Counts `bytes` that were read or must be, whether they are left or not.
    pub fn charge(&self, bytes: u64) {
        if let Some(left) = &self.left_bytes {
            let less = |left: u64| Some(left.saturating_sub(bytes));
            // The closure never refuses.
            let _ = left.fetch_update(Relaxed, Relaxed, less);
        }
    }

    /// Whether nothing is left.
    pub fn is_spent(&self) -> bool {
        self.left_bytes.as_ref().is_some_and(|left| left.load(Relaxed) == 0)
    }

    /// Whether anything was refused.
    pub fn has_refused(&self) -> bool {
        self.refused.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets() {
        let gb = 1_000_000_000;
        // Limit, used, stored; limit and rest in bytes.
        for (limit, used, stored, want) in [
            (Limit::None, 5 * gb, 10 * gb, None),
            (Limit::Free, 0, 0, Some((gb, gb))),
            (Limit::Free, gb / 2, gb / 4, Some((gb, gb / 2))),
            (Limit::Free, 0, 10 * gb, Some((30 * gb, 30 * gb))),
            (Limit::Free, 12 * gb, 10 * gb, Some((30 * gb, 18 * gb))),
            // The repository has shrunk since it was read.
            (Limit::Free, 12 * gb, 3 * gb, Some((9 * gb, 0))),
            (Limit::Free, 1, u64::MAX / 2, Some((u64::MAX, u64::MAX - 1))),
            (Limit::Bytes(gb), 0, 10 * gb, Some((gb, gb))),
            (Limit::Bytes(gb), gb - 1, 0, Some((gb, 1))),
            (Limit::Bytes(gb), 2 * gb, 10 * gb, Some((gb, 0))),
            (Limit::Bytes(0), 0, 10 * gb, Some((0, 0))),
        ] {
            let allowance = Budget { limit, used_bytes: used }.allowance(stored);
            let found = allowance.map(|a| (a.limit_bytes, a.left_bytes()));
            assert_eq!(found, want, "{limit:?} {used} {stored}");
        }
    }

    #[test]
    fn a_meter_takes_what_is_left() {
        let meter = Meter::new(Some(100));
        assert!(meter.take(40, 0) && meter.take(40, 20));
        assert!(!meter.has_refused() && !meter.is_spent());
        assert!(!meter.take(20, 1) && meter.has_refused());
        assert!(meter.take(20, 0) && meter.is_spent());
        assert!(!meter.take(1, 0) && meter.take(0, 0));

        let meter = Meter::new(Some(100));
        meter.charge(99);
        assert!(!meter.is_spent());
        meter.charge(99);
        assert!(meter.is_spent() && !meter.has_refused());

        let meter = Meter::new(None);
        meter.charge(u64::MAX);
        assert!(meter.take(u64::MAX, u64::MAX) && !meter.is_spent() && !meter.has_refused());
    }

    #[test]
    fn threads_never_take_more_than_there_is() {
        let meter = Meter::new(Some(1_000));
        let taken = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for thread in 0..4u64 {
                let (meter, taken) = (&meter, &taken);
                scope.spawn(move || {
                    for n in 0..500 {
                        let bytes = 1 + (n + thread) % 7;
                        if meter.take(bytes, 0) {
                            taken.fetch_add(bytes, Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(taken.load(Relaxed), 1_000);
        assert!(meter.is_spent());
    }
}
