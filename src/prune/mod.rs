//! The rules by which packs are condemned and removed (spec 10, 11.6, 11.7), and by which a backup may rest on what is stored (11.3). Pure: facts go in,
//! decisions come out. `ops::prune` and `ops::backup` carry them out; the simulator in `tests/suite/prune_sim` drives these same functions through
//! crashes, stale listings and wrong clocks.
//!
//! - [`mod@choose`]: of several copies of a blob, which ones stay
//! - [`mod@plan`]: which packs to condemn, and which to repack before that
//! - [`mod@sweep`]: when a gc object's time has come, what must be left alone, when it can go
//! - [`mod@rest`]: what a new snapshot may rest on
//!
//! Packs are numbered in the order of their ids, so that the one with the least number is the one with the least id.

pub mod choose;
pub mod plan;
pub mod rest;
pub mod sweep;

#[cfg(test)]
mod tests;

pub use choose::{Choice, choose};
pub use plan::{MarkPlan, MarkRules, MaxUnused, plan};
pub use sweep::{GcFacts, needed};

use crate::format::header::BlobKind;

/// Who may rely on what a pack holds without looking into it (spec 7).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Trust {
    /// Nobody: it is read, and checked then.
    #[default]
    Nobody,
    /// The writer in whose folder it lies.
    Own,
    /// Everybody.
    All,
}

/// What is known of a pack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PackFacts {
    /// Whose folder it lies in: writers that rely on nothing but their own packs and those of admins have a number from 1 on; the others share 0.
    pub group: u8,
    /// In which writer's folder, for packs that are put together.
    pub folder: u32,
    /// The kind of its blobs.
    pub kind: BlobKind,
    /// Its size in the store.
    pub size_bytes: u64,
    /// The plaintext of all its blobs.
    pub plain_bytes: u64,
    /// Whether the store lists it.
    pub listed: bool,
    /// Whether an index object names it.
    pub named: bool,
    /// Whether any gc object condemns it.
    pub condemned: bool,
    /// Whether a gc object condemns it whose time has passed.
    pub due: bool,
    /// For how long it has been in the store, if anybody knows.
    pub age_secs: Option<i64>,
    /// Who may rely on it.
    pub trust: Trust,
}

impl PackFacts {
    /// Whether a copy in it counts as one that stays: it is there, can be found, and is not condemned.
    pub fn is_good(&self) -> bool {
        self.listed && self.named && !self.condemned
    }
}

/// A copy of a blob: a place in a pack.
pub trait BlobCopy {
    /// The pack's number.
    fn pack(&self) -> u32;
    /// The blob's length.
    fn len_bytes(&self) -> u32;
}

impl BlobCopy for (u32, u32) {
    fn pack(&self) -> u32 {
        self.0
    }
    fn len_bytes(&self) -> u32 {
        self.1
    }
}
