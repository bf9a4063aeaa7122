//! How an operation tells what it is doing, without knowing who listens.

/// How much there is to do, where that is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Files or objects.
    pub files: Option<u64>,
    /// Bytes.
    pub bytes: Option<u64>,
}

/// A listener. Called from many threads.
pub trait Progress: Sync {
    /// A new stage begins; what was advanced before belongs to the old one.
    fn stage(&self, what: &'static str, totals: Totals);
    /// So much more is done.
    fn advance(&self, files: u64, bytes: u64);
    /// Something went wrong that does not stop the operation. Contains no secret.
    fn warn(&self, message: &str);
    /// Something worth a line in a log that is nothing to worry about. Contains no secret.
    fn note(&self, _message: &str) {}
    /// Whether to stop as soon as that loses nothing.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Nobody listens.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn stage(&self, _: &'static str, _: Totals) {}
    fn advance(&self, _: u64, _: u64) {}
    fn warn(&self, _: &str) {}
}
