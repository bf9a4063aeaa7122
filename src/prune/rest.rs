//! What a new snapshot may rest on (spec 11.3).

/// A last look that is older than this by the time the manifest is written is repeated.
pub const LOOK_SECS: i64 = 3_600;
/// If the manifest is confirmed later than this after the last look, the writer looks back.
pub const LOOK_BACK_SECS: i64 = 60;
/// A session that is older than this looks whether its packs are still listed.
pub const SESSION_SECS: i64 = 12 * 3_600;

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

/// Whether a session is so long that a gc object may have come and gone unseen: then index objects and packs are listed, too.
pub fn is_long(session_secs: i64) -> bool {
    session_secs > SESSION_SECS
}

/// Whether a last look is too old for a manifest to be written by it.
pub fn is_stale(look_secs: i64) -> bool {
    look_secs > LOOK_SECS
}

/// Whether to look back after the manifest.
pub fn looks_back(look_secs: i64) -> bool {
    look_secs > LOOK_BACK_SECS
}

/// What a last look comes to: whether packs may not be relied on that could be before, and whether index objects have gone that were gone by.
pub fn last_look(unusable_grew: bool, named_went: bool) -> Look {
    match unusable_grew || named_went {
        true => Look::Changed,
        false => Look::Same,
    }
}
