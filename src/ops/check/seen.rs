//! Manifests that this machine has seen before: the newest of a chain leaves no trace in the store when it is removed (spec 12.2).

use super::report::{FindingKind as Kind, Findings};
use super::signed::Snapshot;
use super::survey::Survey;
use crate::format::name::Name;
use crate::id::ObjectId;
use crate::repo::Repository;
use crate::repo::statements::Statements;
use crate::repo::vanished::WHAT_MANIFEST;
use crate::state::State;
use std::collections::HashSet;

/// Reports manifests that were seen and are gone without a plan, and remembers those that are there.
pub(super) fn manifests(
    repo: &Repository,
    state: &State,
    survey: &Survey,
    snapshots: &[Snapshot],
    statements: &Statements,
    findings: &Findings<'_>,
) {
    // The state is a cache: if it cannot be read, there is nothing to compare with.
    let Ok(seen) = state.seen(&repo.config().repo) else { return };
    let listed: HashSet<ObjectId> = survey.snapshots.iter().filter_map(Name::id).collect();
    // The chain tells of these already.
    let named: HashSet<&ObjectId> = snapshots.iter().flat_map(|s| &s.cover.predecessors).collect();
    let mut planned = Vec::new();
    for (id, writer) in seen {
        match (listed.contains(&id), statements.forgotten.contains(&id)) {
            (false, true) => planned.push(id),
            (false, false) if !named.contains(&id) => {
                findings.error(Kind::Chain, Name::Snapshot(writer, id), WHAT_MANIFEST);
            }
            _ => {}
        }
    }
    let there: Vec<_> = snapshots
        .iter()
        .filter_map(|s| match &s.name {
            Name::Snapshot(writer, id) => Some((*id, writer.clone())),
            _ => None,
        })
        .collect();
    if let Err(error) = state.unsee(&planned).and_then(|()| state.see(&repo.config().repo, &there)) {
        findings.note(Kind::Unreadable, "the local state", format!("what was seen cannot be remembered: {error}"));
    }
}
