//! Whether the packs that index objects name are in the store, and what else is.

use super::catalogue::{Catalogue, Pack};
use super::report::{FindingKind as Kind, Findings};
use super::survey::Survey;
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
                let what = format!("it has {size_bytes} bytes, not {stated} as the index says");
                wrong(findings, Kind::Damaged, pack, what);
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

/// Something is wrong with a pack. Of one that is condemned it is only worth knowing: nothing new rests on it, and a prune removes it.
pub(super) fn wrong(findings: &Findings<'_>, kind: Kind, pack: &Pack, what: String) {
    if pack.condemned {
        findings.note(kind, &pack.name, format!("{what}; it is condemned, a prune removes it"));
    } else {
        findings.error(kind, &pack.name, what);
        pack.mark_reported();
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
