//! Whether the packs that index objects name are in the store, and what else is.

use super::catalogue::Catalogue;
use super::report::{FindingKind as Kind, Findings};
use super::survey::Survey;
use crate::format::name::Name;
use crate::id::ObjectId;
use crate::repo::statements::Statements;
use crate::state::State;
use std::collections::HashSet;

/// Compares the catalogue with the listing.
pub(super) fn packs(catalogue: &Catalogue, survey: &Survey, statements: &Statements, findings: &Findings<'_>) {
    for pack in &catalogue.packs {
        let name = &pack.name;
        match survey.packs.get(name) {
            None => {
                pack.mark_bad();
                // Otherwise a prune has removed it, or may have (spec 11.7).
                if !statements.condemned.contains(&pack.info.id) && !catalogue.is_superseded(pack) {
                    let index = pack.named_by.first().and_then(|n| catalogue.indexes.get(*n as usize));
                    let by = index.map(|name| format!("; {name} names it")).unwrap_or_default();
                    findings.error(Kind::Missing, name, format!("it is missing{by}"));
                    pack.mark_reported();
                }
            }
            Some(size_bytes) if *size_bytes != pack.info.size_bytes => {
                pack.mark_beyond(*size_bytes);
                let stated = pack.info.size_bytes;
                findings.error(
                    Kind::Damaged,
                    name,
                    format!("it has {size_bytes} bytes, not {stated} as the index says"),
                );
                pack.mark_reported();
            }
            Some(_) => {}
        }
    }
    for (number, ordinal) in catalogue.newer_segments() {
        let Some(pack) = catalogue.packs.get(number as usize) else { continue };
        if pack.mark_segment(ordinal) {
            let what = "it is compressed in a way that this program does not know";
            findings.error(Kind::Newer, format!("segment {ordinal} of {}", pack.name), what);
            pack.mark_reported();
        }
    }
}

/// Notes packs that no index object names.
pub(super) fn orphans(
    catalogue: &Catalogue,
    survey: &Survey,
    statements: &Statements,
    state: &State,
    findings: &Findings<'_>,
) {
    // The state is a cache: without it the note says less.
    let stored = state.stored_packs().unwrap_or_default();
    let own: HashSet<ObjectId> = stored.iter().map(|record| record.id).collect();
    for name in survey.packs.keys().filter(|name| !catalogue.names(name)) {
        let is = |set: &HashSet<ObjectId>| name.id().is_some_and(|id| set.contains(&id));
        let what = if is(&statements.condemned) {
            "it is condemned and no index object names it any more; a prune removes it"
        } else if is(&own) {
            "a backup of this machine that was stopped has left it; the next one takes it up"
        } else {
            "no index object names it: a backup that was stopped or is running leaves such packs; a prune removes them"
        };
        findings.note(Kind::Orphan, name, what);
    }
}

/// The packs that are to be read whole: their names and sizes, in order. `subset` is the share that is wanted; `seed` decides which.
pub(super) fn choose(survey: &Survey, subset: Option<f64>, seed: u64) -> Vec<(Name, u64)> {
    let share = subset.unwrap_or(1.0);
    let mut chosen: Vec<(Name, u64)> = survey
        .packs
        .iter()
        .filter(|(name, _)| share >= 1.0 || name.id().is_some_and(|id| lot(seed, &id) < share))
        .map(|(name, size_bytes)| (name.clone(), *size_bytes))
        .collect();
    chosen.sort();
    chosen
}

/// A number from 0 up to, not including, 1 that the seed and the pack decide.
fn lot(seed: u64, id: &ObjectId) -> f64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.update(&id.0);
    let hash = hasher.finalize();
    let word = hash.as_bytes().first_chunk::<4>().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    f64::from(word) / 4_294_967_296.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lots_are_even_and_seeds_differ() {
        let ids: Vec<ObjectId> = (0..4_000u32).map(|n| ObjectId::of(&n.to_le_bytes())).collect();
        let chosen = |seed| ids.iter().filter(|id| lot(seed, id) < 0.25).count();
        assert!((850..1_150).contains(&chosen(1)), "{}", chosen(1));
        assert!(ids.iter().any(|id| (lot(1, id) < 0.25) != (lot(2, id) < 0.25)));
        assert!(ids.iter().all(|id| (0.0..1.0).contains(&lot(3, id)) && lot(3, id).to_bits() == lot(3, id).to_bits()));
    }
}
