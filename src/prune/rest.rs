//! What a new snapshot may rest on (spec 11.3).

use crate::id::ObjectId;
use std::collections::HashSet;

/// A last look that is older than this by the time the manifest is written is repeated.
pub const LOOK_SECS: u64 = 3_600;
/// If the manifest is confirmed later than this after the last look, the writer looks back.
pub const LOOK_BACK_SECS: u64 = 60;
/// A session that is older than this looks whether its packs are still listed.
pub const SESSION_SECS: u64 = 12 * 3_600;

/// Whether a copy of a blob is good: the writer relies on who names it, and nobody condemns its pack.
pub fn is_good(trusted: bool, condemned: bool) -> bool {
    trusted && !condemned
}

/// What the last look found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Look {
    /// Nothing has changed: the manifest may be written.
    Same,
    /// Packs have been condemned, or index objects have gone: what rested on them is stored anew, and one looks again.
    Changed,
}

/// Compares what is condemned and what is named now with what the session has gone by. What it has put into the store itself is not in `named_then`.
pub fn last_look(
    condemned_then: &HashSet<ObjectId>,
    condemned_now: &HashSet<ObjectId>,
    named_then: &HashSet<ObjectId>,
    named_now: &HashSet<ObjectId>,
) -> Look {
    match condemned_now.is_subset(condemned_then) && named_then.is_subset(named_now) {
        true => Look::Same,
        false => Look::Changed,
    }
}
