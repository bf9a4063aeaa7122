//! What was rewritten, or would be.

use crate::ops::rewrite::{RewriteReport, Rewritten};
use crate::report::{text, units};

/// How many paths are shown.
const SHOWN: usize = 50;

/// For people.
pub fn text(report: &RewriteReport) -> String {
    let changed: Vec<&Rewritten> = report.snapshots.iter().filter(|one| one.changes).collect();
    if changed.is_empty() {
        let looked = units::things(report.snapshots.len() as u64, "snapshot", "snapshots");
        return format!("{looked} looked at: nothing matches, nothing changes\n");
    }
    let line = |hit: &crate::ops::check::AffectedPath| {
        format!("left out: {}:{}\n", hit.snapshot.short(), text::message(&hit.path))
    };
    let mut out: String = report.dropped_paths.iter().take(SHOWN).map(line).collect();
    if report.dropped_paths.len() > SHOWN {
        out += &format!("left out: {} paths more and maybe others\n", report.dropped_paths.len() - SHOWN);
    }
    for one in changed {
        let (old, dropped) = (one.snapshot.short(), &one.dropped);
        let gone = format!(
            "{}, {}, {} less",
            units::things(dropped.files, "file", "files"),
            units::things(dropped.dirs, "folder", "folders"),
            units::size(dropped.bytes)
        );
        out += &match (one.new, one.nothing_left) {
            (Some(new), _) if one.forgotten => {
                format!("snapshot {old}: now {}: {gone}; the old one is forgotten\n", new.short())
            }
            (Some(new), _) => format!("snapshot {old}: now {}: {gone}; the old one is still there\n", new.short()),
            (None, true) => format!("snapshot {old}: nothing would be left of it; `panther forget {old}` removes it\n"),
            (None, false) => format!("snapshot {old}: {gone}\n"),
        };
    }
    if report.dry_run {
        out += "nothing was changed; --yes does it\n";
    }
    out
}
