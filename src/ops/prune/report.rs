//! What a prune has done, or would do.

use super::sweep::Swept;
use crate::backend::Tidied;
use crate::format::time::Time;
use crate::id::ObjectId;
use crate::prune::{MarkPlan, PackFacts};
use serde::Serialize;

/// What a prune has done; of a dry run, what one would do now.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PruneReport {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Snapshots in the store.
    pub snapshots: u64,
    /// Tree blobs that they need.
    pub tree_blobs: u64,
    /// Data blobs that they need.
    pub data_blobs: u64,
    /// Packs in the store when it began.
    pub packs: u64,
    /// Their bytes.
    pub pack_bytes: u64,
    /// Packs that a killed run had stored and that were taken over.
    pub resumed_packs: u64,
    /// Packs condemned earlier that were removed: their time had come.
    pub removed_packs: u64,
    /// Bytes freed by that.
    pub removed_bytes: u64,
    /// Packs condemned earlier whose time has not come.
    pub waiting_packs: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// Packs condemned earlier that were left alone, as snapshots need them.
    pub needed_packs: u64,
    /// Packs whose time has come and that are locked still.
    pub locked_packs: u64,
    /// Packs that are condemned now.
    pub condemned_packs: u64,
    /// Their bytes: freed once the time in `not_before` has come, by the prune that comes after it.
    pub condemned_bytes: u64,
    /// Before when they are not removed.
    pub not_before: Option<Time>,
    /// The gc object that says so.
    pub statement: Option<ObjectId>,
    /// Packs of which what is needed was stored anew; they are among those condemned.
    pub repacked_packs: u64,
    /// Their bytes: at most so much is read for that.
    pub repacked_bytes: u64,
    /// Packs that were written for it.
    pub written_packs: u64,
    /// Bytes that were written for it.
    pub written_bytes: u64,
    /// Whether the limits kept more from being repacked.
    pub limited: bool,
    /// Bytes of no use that stay in packs, by the share of blobs.
    pub unused_bytes: u64,
    /// Packs of no use that were stored too short a time ago.
    pub young_packs: u64,
    /// Their bytes.
    pub young_bytes: u64,
    /// Index objects written.
    pub written_index_objects: u64,
    /// Index objects removed.
    pub removed_index_objects: u64,
    /// gc objects removed.
    pub removed_gc_objects: u64,
    /// Versions of objects in the store that were too many.
    pub tidied: Tidied,
    /// Objects that stay and were locked for longer.
    pub renewed_locks: u64,
    /// Bytes read from a store over a network.
    pub read_bytes: u64,
    /// Dollars a month less, once all that is condemned is removed; where there is a price.
    pub saved_dollars: Option<f64>,
    /// What could not be repacked, as it could not be read. It stays.
    pub problems: Vec<String>,
    /// How long it took.
    pub elapsed_secs: f64,
}

impl PruneReport {
    pub(super) fn new(dry_run: bool) -> Self {
        Self { dry_run, ..Self::default() }
    }

    pub(super) fn of_facts(&mut self, facts: &[PackFacts], snapshots: usize, tree_blobs: u64, data_blobs: u64) {
        (self.snapshots, self.tree_blobs, self.data_blobs) = (snapshots as u64, tree_blobs, data_blobs);
        for pack in facts.iter().filter(|pack| pack.listed) {
            self.packs += 1;
            self.pack_bytes += pack.size_bytes;
            if pack.condemned && !pack.due {
                self.waiting_packs += 1;
                self.waiting_bytes += pack.size_bytes;
            }
        }
    }

    pub(super) fn of_sweep(&mut self, facts: &[PackFacts], removed: &[bool], needed: &[bool]) {
        self.needed_packs = needed.iter().filter(|needed| **needed).count() as u64;
        for (pack, _) in facts.iter().zip(removed).filter(|(pack, goes)| **goes && pack.listed) {
            self.removed_packs += 1;
            self.removed_bytes += pack.size_bytes;
        }
    }

    pub(super) fn swept(&mut self, swept: &Swept) {
        (self.removed_packs, self.removed_bytes) = (swept.removed_packs, swept.removed_bytes);
        self.written_index_objects += swept.written.len() as u64;
        self.removed_index_objects += swept.removed_index_objects;
    }

    /// As planned; what was repacked in the end, and condemned, is said later.
    pub(super) fn of_plan(&mut self, facts: &[PackFacts], plan: &MarkPlan) {
        (self.young_packs, self.young_bytes) = (plan.young_packs, plan.young_bytes);
        (self.unused_bytes, self.limited) = (plan.left_unused_bytes, plan.limited);
        self.repacked_packs = plan.repack.len() as u64;
        (self.repacked_bytes, self.written_bytes) = (plan.repack_bytes, plan.rewritten_bytes);
        let all: Vec<u32> = plan.unused.iter().chain(&plan.repack).copied().collect();
        self.condemned(facts, &all);
    }

    pub(super) fn repacked(&mut self, facts: &[PackFacts], done: &[u32], packs: u64, bytes: u64) {
        self.repacked_packs = done.len() as u64;
        self.repacked_bytes = done.iter().map(|number| facts[*number as usize].size_bytes).sum();
        (self.written_packs, self.written_bytes) = (packs, bytes);
    }

    pub(super) fn condemned(&mut self, facts: &[PackFacts], packs: &[u32]) {
        let fresh = packs.iter().map(|number| &facts[*number as usize]).filter(|pack| !pack.condemned);
        (self.condemned_packs, self.condemned_bytes) = (0, 0);
        for pack in fresh {
            self.condemned_packs += 1;
            self.condemned_bytes += pack.size_bytes;
        }
    }

    pub(super) fn price(&mut self, dollars_per_gib_month: Option<f64>) {
        let freed = self.removed_bytes + self.condemned_bytes + self.waiting_bytes + self.tidied.removed_bytes;
        let less = freed.saturating_sub(self.written_bytes);
        self.saved_dollars = dollars_per_gib_month.map(|price| less as f64 / f64::from(1u32 << 30) * price);
    }
}
