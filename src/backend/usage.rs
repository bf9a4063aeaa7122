//! What a store was asked: calls by price class, and bytes both ways.

use std::ops::{Add, AddAssign};
use std::sync::atomic::{AtomicU64, Ordering};

/// Classes by which Backblaze B2 counts and has charged calls (its page "Pricing organized by API calls").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Uploads, upload addresses, hiding, deleting.
    A,
    /// Downloads and one file's information.
    B,
    /// Authorisation, listings, buckets, keys, retention.
    C,
}

/// What was asked of a store since it was opened. All zero for a store that nobody bills.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Usage {
    /// Requests that were sent, whatever came of them.
    pub request_calls: u64,
    /// Of these, requests that repeat one that has failed.
    pub retry_calls: u64,
    /// Class A calls.
    pub class_a_calls: u64,
    /// Class B calls.
    pub class_b_calls: u64,
    /// Class C calls as they are billed: a listing counts once for each 1,000 names that it answers.
    pub class_c_calls: u64,
    /// Of class A: uploads.
    pub upload_calls: u64,
    /// Of class B: downloads.
    pub download_calls: u64,
    /// Of class C: requests for listings.
    pub list_calls: u64,
    /// Bytes of objects sent, also by uploads that failed.
    pub up_bytes: u64,
    /// Bytes of objects received, also by downloads that failed: what free egress is measured by.
    pub down_bytes: u64,
}

impl Usage {
    /// What came on top of `before`, an earlier value of the same store.
    pub fn since(&self, before: &Self) -> Self {
        self.zip(before, u64::saturating_sub)
    }

    /// All calls as they are billed.
    pub fn billed_calls(&self) -> u64 {
        self.class_a_calls.saturating_add(self.class_b_calls).saturating_add(self.class_c_calls)
    }

    /// Whether nothing was asked.
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    fn zip(&self, other: &Self, op: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            request_calls: op(self.request_calls, other.request_calls),
            retry_calls: op(self.retry_calls, other.retry_calls),
            class_a_calls: op(self.class_a_calls, other.class_a_calls),
            class_b_calls: op(self.class_b_calls, other.class_b_calls),
            class_c_calls: op(self.class_c_calls, other.class_c_calls),
            upload_calls: op(self.upload_calls, other.upload_calls),
            download_calls: op(self.download_calls, other.download_calls),
            list_calls: op(self.list_calls, other.list_calls),
            up_bytes: op(self.up_bytes, other.up_bytes),
            down_bytes: op(self.down_bytes, other.down_bytes),
        }
    }
}

impl Add for Usage {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.zip(&other, u64::saturating_add)
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// Counts from many threads.
#[derive(Debug, Default)]
pub struct Meter {
    request_calls: AtomicU64,
    retry_calls: AtomicU64,
    class_calls: [AtomicU64; 3],
    upload_calls: AtomicU64,
    download_calls: AtomicU64,
    list_calls: AtomicU64,
    up_bytes: AtomicU64,
    down_bytes: AtomicU64,
}

/// What a request does, beyond its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// An upload of an object.
    Upload,
    /// A download of an object or a part of one.
    Download,
    /// A listing of objects.
    List,
    /// Anything else.
    Other,
}

impl Meter {
    /// A request is being sent.
    pub fn request(&self, class: Class, sort: Sort, is_retry: bool) {
        let one = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
        one(&self.request_calls);
        one(&self.class_calls[class as usize]);
        if is_retry {
            one(&self.retry_calls);
        }
        match sort {
            Sort::Upload => one(&self.upload_calls),
            Sort::Download => one(&self.download_calls),
            Sort::List => one(&self.list_calls),
            Sort::Other => 0,
        };
    }

    /// A listing has answered `names`; the first 1,000 were counted with the request.
    pub fn listed(&self, names: u64) {
        let more = names.div_ceil(1_000).saturating_sub(1);
        self.class_calls[Class::C as usize].fetch_add(more, Ordering::Relaxed);
    }

    /// Bytes of an object went up.
    pub fn up(&self, bytes: u64) {
        self.up_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes of an object came down.
    pub fn down(&self, bytes: u64) {
        self.down_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The counts so far.
    pub fn usage(&self) -> Usage {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Usage {
            request_calls: of(&self.request_calls),
            retry_calls: of(&self.retry_calls),
            class_a_calls: of(&self.class_calls[0]),
            class_b_calls: of(&self.class_calls[1]),
            class_c_calls: of(&self.class_calls[2]),
            upload_calls: of(&self.upload_calls),
            download_calls: of(&self.download_calls),
            list_calls: of(&self.list_calls),
            up_bytes: of(&self.up_bytes),
            down_bytes: of(&self.down_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_and_sums() {
        let meter = Meter::default();
        meter.request(Class::C, Sort::List, false);
        meter.listed(2_001);
        let before = meter.usage();
        assert_eq!((before.class_c_calls, before.list_calls, before.request_calls), (3, 1, 1));
        meter.request(Class::A, Sort::Upload, true);
        meter.up(7);
        meter.listed(0);
        let more = meter.usage().since(&before);
        let expected = Usage {
            request_calls: 1,
            retry_calls: 1,
            class_a_calls: 1,
            upload_calls: 1,
            up_bytes: 7,
            ..Usage::default()
        };
        assert_eq!(more, expected);
        assert_eq!(before + more, meter.usage());
        assert!(before.since(&before).is_zero() && meter.usage().billed_calls() == 4);
    }
}
