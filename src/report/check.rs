//! What a check found.

use crate::ops::check::CheckReport;
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
    let mut out = text::pairs(&[
        ("checked", found),
        ("blobs", blobs),
        ("packs read", read),
        ("time", units::duration(report.elapsed_secs)),
    ]);
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
    if report.is_sound() {
        out += "no errors were found\n";
    } else {
        out += &format!("{} found\n", units::things(report.errors.len() as u64, "error was", "errors were"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ObjectId;
    use crate::ops::check::{AffectedPath, Finding, FindingKind};

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
time        1.0 s
no errors were found
";
        assert_eq!(text(&report), want);
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
