//! The second phase: what is removed, and what must be left alone (spec 11.7).

use super::{BlobCopy, PackFacts};
use crate::format::time::Time;

/// A gc object is removed no earlier than this after its last pack. By then no sweep is at work that listed before the pack went: one that replaces index
/// objects by such a listing may name the pack again.
pub const SETTLED_SECS: i64 = 24 * 3_600;
/// A sweep that has listed longer ago than this writes no index object and removes nothing more.
pub const LISTING_SECS: i64 = 12 * 3_600;
/// A gc object is taken back no later than this before a sweep may begin by it: clocks differ, and taking back takes a while.
pub const TAKE_BACK_SECS: i64 = 2 * 3_600;

/// The times of a gc object that condemns packs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GcFacts {
    /// When it was made.
    pub created: Time,
    /// Before when nothing that it condemns is removed.
    pub not_before: Time,
    /// When the store received it, where the store tells.
    pub uploaded: Option<Time>,
}

impl GcFacts {
    /// Whether its time has passed: by the admin's clock, and by the store's.
    pub fn is_due(&self, now: Time) -> bool {
        let grace_secs = self.not_before.secs.saturating_sub(self.created.secs);
        let by_store = self.uploaded.is_none_or(|at| now.secs >= at.secs.saturating_add(grace_secs));
        now >= self.not_before && by_store
    }

    /// Whether it may still be taken back: no sweep can be at work by it.
    pub fn may_be_taken_back(&self, now: Time) -> bool {
        now.secs.saturating_add(TAKE_BACK_SECS) < self.not_before.secs
    }

    /// Whether it can go: a listing shows none of its packs and no index object that names one, and that has been so for a while.
    pub fn may_go(&self, is_there: bool, gone_since: Option<Time>, now: Time) -> bool {
        let settled = gone_since.is_some_and(|since| now.secs >= since.secs.saturating_add(SETTLED_SECS));
        self.is_due(now) && !is_there && settled
    }
}

/// The packs that a sweep must leave alone: condemned ones that hold the only copies of live blobs; and how many blobs have no copy at all.
/// `live` are the copies of each live blob. Of several condemned copies the one in the pack of the least number is kept, so that two sweeps choose alike.
pub fn needed<'c, C: BlobCopy + 'c>(live: impl Iterator<Item = &'c [C]>, packs: &[PackFacts]) -> (Vec<bool>, u64) {
    let (mut needed, mut lost) = (vec![false; packs.len()], 0);
    for copies in live {
        let of = |copy: &C| packs.get(copy.pack() as usize);
        if copies.iter().any(|copy| of(copy).is_some_and(PackFacts::is_good)) {
            continue;
        }
        let stranded = copies.iter().filter(|copy| of(copy).is_some_and(|p| p.listed && p.named));
        match stranded.map(BlobCopy::pack).min() {
            Some(pack) => needed[pack as usize] = true,
            None => lost += 1,
        }
    }
    (needed, lost)
}

/// Whether a sweep takes a pack away, and with it the records that name it.
pub fn is_removed(pack: &PackFacts, is_needed: bool) -> bool {
    pack.due && !is_needed && (pack.listed || pack.named)
}
