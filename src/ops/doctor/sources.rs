//! What others know of the sources, such as whether the snapshots are there from which the next backup goes on.

use super::report::Line;

/// Somebody who knows how a source is.
pub trait SourceHealth: Sync {
    /// What there is to say; nothing where it does not apply.
    fn lines(&self) -> Vec<Line>;
}

pub(super) fn lines(sources: &[&dyn SourceHealth]) -> Vec<Line> {
    sources.iter().flat_map(|source| source.lines()).collect()
}
