//! The first phase: which packs to condemn, and which of them to repack before (spec 11.6).

use super::{Choice, PackFacts};
use crate::format::header::BlobKind;
use std::collections::BTreeMap;

/// How much of what is stored may be of no use.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum MaxUnused {
    /// This share of all bytes of packs, from 0 to 1.
    Share(f64),
    /// So many bytes.
    Bytes(u64),
    /// Any: nothing is repacked for the sake of room.
    Unlimited,
}

/// By what packs are chosen.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct MarkRules {
    /// For so long a pack is left alone after it was stored.
    pub grace_secs: i64,
    /// How much may be of no use before packs are repacked.
    pub max_unused: MaxUnused,
    /// At most so many bytes of packs are repacked.
    pub max_repack_bytes: u64,
    /// What may be read back now; nothing if there is no limit.
    pub egress_left_bytes: Option<u64>,
    /// Whether small packs are put together.
    pub repack_small: bool,
}

/// A pack counts as small below this share of the size at which packs are ended.
const SMALL_SHARE: u64 = 4;
/// Small packs of one folder are put together when there are so many.
const SMALL_MANY: usize = 12;
/// Data packs are ended at about this size.
const DATA_PACK_BYTES: u64 = 60 << 20;
/// Tree packs are ended at about this size.
const TREE_PACK_BYTES: u64 = 16 << 20;

impl MarkRules {
    /// Whether a pack was stored too short a time ago to be touched. Of one that no index object names that must be known; of others it need not.
    pub fn is_young(&self, pack: &PackFacts) -> bool {
        pack.age_secs.map_or(!pack.named, |age_secs| age_secs < self.grace_secs)
    }
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MarkPlan {
    /// Packs of which nothing is needed: condemned as they are. Ascending.
    pub unused: Vec<u32>,
    /// Packs of which what is needed is stored elsewhere first; then they are condemned. In the order in which they should be done.
    pub repack: Vec<u32>,
    /// Bytes of packs that go without being read.
    pub unused_bytes: u64,
    /// Bytes of packs that are repacked: at most so much is read.
    pub repack_bytes: u64,
    /// What stays of those, by the share of their blobs.
    pub rewritten_bytes: u64,
    /// Bytes in packs that stay as they are, and of no use.
    pub left_unused_bytes: u64,
    /// Packs of no use that are too young to be touched.
    pub young_packs: u64,
    /// Bytes of those.
    pub young_bytes: u64,
    /// Whether more should be repacked than the limits allow.
    pub limited: bool,
}

/// A pack that may be repacked.
#[derive(Clone, Copy)]
struct Candidate {
    number: u32,
    size_bytes: u64,
    /// Of those, what is needed.
    live_bytes: u64,
}

impl Candidate {
    fn unused_bytes(&self) -> u64 {
        self.size_bytes - self.live_bytes
    }

    /// In millionths: 10^12 bytes fit.
    fn unused_share(&self) -> u64 {
        self.unused_bytes().saturating_mul(1_000_000) / self.size_bytes.max(1)
    }
}

struct Limits {
    left_bytes: u64,
    limited: bool,
}

impl Limits {
    fn take(&mut self, bytes: u64) -> bool {
        let fits = bytes <= self.left_bytes;
        if fits {
            self.left_bytes -= bytes;
        }
        self.limited |= !fits;
        fits
    }
}

/// What of a pack's bytes is needed, by the share of its blobs.
fn stored_share(pack: &PackFacts, live_bytes: u64) -> u64 {
    let share = u128::from(pack.size_bytes) * u128::from(live_bytes) / u128::from(pack.plain_bytes.max(1));
    u64::try_from(share).unwrap_or(u64::MAX).min(pack.size_bytes)
}

/// Chooses the packs to be condemned. `choice` is of the same packs.
pub fn plan(packs: &[PackFacts], choice: &Choice, rules: &MarkRules) -> MarkPlan {
    let mut plan = MarkPlan::default();
    let left_bytes = rules.max_repack_bytes.min(rules.egress_left_bytes.unwrap_or(u64::MAX));
    let mut limits = Limits { left_bytes, limited: false };
    let (mut stranded, mut candidates) = (Vec::new(), Vec::new());
    let (mut unused_bytes, mut kept_bytes) = (0u64, 0u64);
    for (number, pack) in (0u32..).zip(packs).filter(|(_, pack)| pack.listed) {
        let at = number as usize;
        let live_bytes = stored_share(pack, choice.live_bytes[at]);
        let candidate = Candidate { number, size_bytes: pack.size_bytes, live_bytes };
        let is_used = choice.live_blobs[at] > 0;
        match (pack.condemned, is_used, rules.is_young(pack)) {
            (true, true, _) if choice.stranded[at] => stranded.push(candidate),
            (true, ..) => {}
            (false, false, false) => {
                plan.unused.push(number);
                plan.unused_bytes += pack.size_bytes;
            }
            (false, false, true) => {
                plan.young_packs += 1;
                plan.young_bytes += pack.size_bytes;
            }
            (false, true, is_young) => {
                unused_bytes += candidate.unused_bytes();
                kept_bytes += pack.size_bytes;
                if !is_young {
                    candidates.push(candidate);
                }
            }
        }
    }
    let mut repack = |candidate: &Candidate, plan: &mut MarkPlan| {
        let fits = limits.take(candidate.size_bytes);
        if fits {
            plan.repack.push(candidate.number);
            plan.repack_bytes += candidate.size_bytes;
            plan.rewritten_bytes += candidate.live_bytes;
        }
        fits
    };
    // What is condemned already only waits for this.
    for candidate in &stranded {
        repack(candidate, &mut plan);
    }
    let allowed_bytes = match rules.max_unused {
        MaxUnused::Share(share) => (kept_bytes as f64 * share) as u64,
        MaxUnused::Bytes(bytes) => bytes,
        MaxUnused::Unlimited => u64::MAX,
    };
    candidates.sort_by_key(|c| (std::cmp::Reverse(c.unused_share()), c.number));
    let mut rest = Vec::new();
    for candidate in candidates {
        let pays = unused_bytes > allowed_bytes && candidate.unused_bytes() > 0;
        if pays && repack(&candidate, &mut plan) {
            unused_bytes -= candidate.unused_bytes();
        } else {
            rest.push(candidate);
        }
    }
    if rules.repack_small {
        for group in small(packs, &rest) {
            for candidate in group {
                if repack(&candidate, &mut plan) {
                    unused_bytes -= candidate.unused_bytes();
                }
            }
        }
    }
    plan.left_unused_bytes = unused_bytes;
    plan.limited = limits.limited;
    plan
}

/// The small packs of each folder and kind, where there are many.
fn small(packs: &[PackFacts], candidates: &[Candidate]) -> Vec<Vec<Candidate>> {
    let mut groups: BTreeMap<(u32, bool), Vec<Candidate>> = BTreeMap::new();
    for candidate in candidates {
        let Some(pack) = packs.get(candidate.number as usize) else { continue };
        let is_tree = pack.kind == BlobKind::Tree;
        let full_bytes = if is_tree { TREE_PACK_BYTES } else { DATA_PACK_BYTES };
        if candidate.size_bytes < full_bytes / SMALL_SHARE {
            groups.entry((pack.folder, is_tree)).or_default().push(*candidate);
        }
    }
    groups.into_values().filter(|group| group.len() >= SMALL_MANY).collect()
}
