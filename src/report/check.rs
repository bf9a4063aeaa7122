//! What a check found.

use crate::ops::check::{CheckReport, Egress};
use crate::report::{text, units};

/// How many affected paths are shown.
const SHOWN: usize = 50;

/// For people. The findings themselves were shown as they were found.
pub fn text(report: &CheckReport) -> String {
    let found = format!(
        "{}, {}, {}",
        units::things(report.snapshots, "snapshot", "snapshots"),
        units::things(report.index_objects, "index object", "index objects"),
        units::things(report.packs, "pack", "packs")
    );
    let blobs = format!("{} of data, {} of trees", units::count(report.data_blobs), units::count(report.tree_blobs));
    let read = format!("{} of {}", units::size(report.read_bytes), units::size(report.pack_bytes));
    let mut lines = vec![("checked", found), ("blobs", blobs), ("packs read", read), ("verified", verified(report))];
    lines.extend(report.egress.map(|egress| ("egress", budget(&egress))));
    lines.push(("time", units::duration(report.elapsed_secs)));
    let mut out = text::pairs(&lines);
    for note in &report.notes {
        out += &format!("note: {}: {}\n", text::message(&note.object), text::message(&note.what));
    }
    for affected in report.affected.iter().take(SHOWN) {
        out += &format!("affected: {}:{}\n", affected.snapshot.short(), text::message(&affected.path));
    }
    if report.affected_paths > SHOWN as u64 {
        out += &format!(
            "affected: {} more; --json names up to 10,000\n",
            units::count(report.affected_paths - SHOWN as u64)
        );
    }
    if report.incomplete {
        out += &format!(
            "the egress budget is used up: {} that were to be read were not; --egress-budget allows more\n",
            units::things(report.verification.unread_packs, "pack", "packs")
        );
    }
    if report.is_sound() {
        out += "no errors were found\n";
    } else {
        out += &format!("{} found\n", units::things(report.errors.len() as u64, "error was", "errors were"));
    }
    out
}

/// How much of the data is verified.
#[allow(clippy::cast_precision_loss)]
fn verified(report: &CheckReport) -> String {
    let is = &report.verification;
    let mut parts = vec![units::things(is.verified_packs, "pack", "packs") + " now"];
    // Rounded down: 100 % is all.
    parts.extend(is.recent_share.map(|share| format!("{:.0} % within 30 days", (share * 100.0).floor())));
    parts.extend(is.oldest_age_secs.map(|age_secs| format!("the oldest {} ago", units::duration(age_secs as f64))));
    if is.never_verified_packs > 0 {
        parts.push(units::things(is.never_verified_packs, "pack", "packs") + " never");
    }
    if is.transient_reads > 0 {
        parts.push(units::things(is.transient_reads, "bad read", "bad reads") + " that turned out well");
    }
    parts.join(", ")
}

fn budget(egress: &Egress) -> String {
    let used_bytes = egress.used_bytes.saturating_add(egress.read_bytes);
    format!("{} of {} this month", units::size(used_bytes), units::size(egress.limit_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ObjectId;
    use crate::ops::check::{AffectedPath, Finding, FindingKind, Verification};

    #[test]
    fn report() {
        let mut report = CheckReport {
            snapshots: 1,
            packs: 2,
            index_objects: 3,
            tree_blobs: 4,
            data_blobs: 5,
            pack_bytes: 2048,
            read_bytes: 1024,
            verification: Verification { never_verified_packs: 2, ..Verification::default() },
            egress: None,
            incomplete: false,
            errors: Vec::new(),
            notes: Vec::new(),
            affected: Vec::new(),
            affected_paths: 0,
            elapsed_secs: 1.0,
        };
        let want = "\
checked     1 snapshot, 3 index objects, 2 packs
blobs       5 of data, 4 of trees
packs read  1.0 KiB of 2.0 KiB
verified    0 packs now, 2 packs never
time        1.0 s
no errors were found
";
        assert_eq!(text(&report), want);
        report.verification = Verification {
            verified_packs: 1,
            unread_packs: 1,
            never_verified_packs: 1,
            oldest_age_secs: Some(90_000),
            recent_bytes: 1024,
            recent_share: Some(0.999),
            transient_reads: 1,
        };
        report.egress = Some(Egress { limit_bytes: 4096, used_bytes: 1024, read_bytes: 2048, reached: true });
        report.incomplete = true;
        let said = text(&report);
        assert!(said.contains("1 pack now, 99 % within 30 days, the oldest 1 d 1 h ago, 1 pack never, 1 bad read"));
        assert!(said.contains("egress      3.0 KiB of 4.0 KiB this month\n"));
        assert!(said.contains("the egress budget is used up: 1 pack"));
        assert_eq!(report.exit_code(), 3);
        report.incomplete = false;
        report.errors.push(Finding { object: "x".into(), kind: FindingKind::Damaged, what: "y".into() });
        report.affected.push(AffectedPath { snapshot: ObjectId([1; 32]), path: "/a\x1b".into() });
        report.affected_paths = 51;
        assert!(
            text(&report).ends_with(
                "affected: 01010101:/a\\x1b\naffected: 1 more; --json names up to 10,000\n1 error was found\n"
            )
        );
    }
}
