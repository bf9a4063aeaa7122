//! What a backup did.

use crate::ops::backup::BackupReport;
use crate::ops::database::DatabaseReport;
use crate::report::{text, units};

/// For people.
pub fn text(report: &BackupReport) -> String {
    let summary = &report.summary;
    let mut out = String::new();
    match (&report.snapshot, report.dry_run) {
        (Some(id), _) => out.push_str(&format!("snapshot {} by {}\n", id.short(), report.writer)),
        (None, true) => out.push_str("dry run: nothing was stored\n"),
        (None, false) => out.push_str("nothing has changed: no snapshot was made\n"),
    }
    let files = format!(
        "{} new, {} changed, {} unchanged",
        units::count(summary.files_new),
        units::count(summary.files_changed),
        units::count(summary.files_unchanged)
    );
    let source = format!(
        "{} in {}, {}",
        units::size(summary.source_bytes),
        units::things(summary.files, "file", "files"),
        units::things(summary.dirs, "folder", "folders")
    );
    let new_bytes = summary.data_bytes + summary.tree_bytes;
    let ratio = units::ratio(new_bytes, summary.stored_bytes).map(|r| format!(" ({r})")).unwrap_or_default();
    let rate = units::rate(summary.source_bytes, report.elapsed_secs).map(|r| format!(" ({r})")).unwrap_or_default();
    let mut lines = vec![
        ("  files", files),
        ("  source", source),
        ("  read", units::size(summary.read_bytes)),
        ("  new", format!("{}, stored as {}{ratio}", units::size(new_bytes), units::size(summary.stored_bytes))),
        ("  time", format!("{}{rate}", units::duration(report.elapsed_secs))),
    ];
    if report.resumed_packs > 0 {
        lines.push(("  resumed", units::things(report.resumed_packs, "pack", "packs")));
    }
    let databases: Vec<String> = report.databases.iter().map(database).collect();
    lines.extend(databases.into_iter().map(|line| ("  database", line)));
    out.push_str(&text::pairs(&lines));
    if !report.vanished.is_empty() {
        out.push_str(&format!(
            "{} vanished from the repository though nobody planned to remove them\n",
            units::things(report.vanished.len() as u64, "object has", "objects have")
        ));
    }
    if summary.unreadable > 0 {
        out.push_str(&format!(
            "{} could not be read and {} missing from the snapshot\n",
            units::things(summary.unreadable, "object", "objects"),
            if summary.unreadable == 1 { "is" } else { "are" }
        ));
    }
    out
}

/// A database that is in the snapshot, or why it is not.
fn database(report: &DatabaseReport) -> String {
    let name = report.name.as_deref().unwrap_or(&report.path);
    let what = format!("{} {name}", report.kind.as_str());
    match (&report.error, &report.postgresql) {
        (Some(error), _) => format!("{what} is left out: {error}"),
        (None, Some(facts)) => format!("{what}, from {} on timeline {}", facts.lsn, facts.timeline),
        (None, None) => what,
    }
}

/// Whether something is missing from the snapshot, or was not put right again after it, or has vanished from the repository: somebody should look at it.
pub fn is_incomplete(report: &BackupReport) -> bool {
    let has_failed = report.databases.iter().any(|database| database.error.is_some());
    report.summary.unreadable > 0
        || !report.unreadable.is_empty()
        || has_failed
        || !report.failed_hooks.is_empty()
        || !report.vanished.is_empty()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::format::snapshot::Summary;
    use crate::id::{ObjectId, WriterName};

    #[test]
    fn report() {
        let summary =
            Summary { files: 3, dirs: 1, source_bytes: 2048, files_new: 3, data_bytes: 2048, ..Summary::default() };
        let mut report = BackupReport {
            snapshot: Some(ObjectId([0xab; 32])),
            parent: None,
            writer: WriterName::new("laptop").unwrap(),
            summary: Summary { stored_bytes: 1024, ..summary },
            unreadable: Vec::new(),
            warnings: Vec::new(),
            databases: Vec::new(),
            failed_hooks: Vec::new(),
            vanished: Vec::new(),
            packs: 1,
            resumed_packs: 0,
            uploaded_bytes: 1500,
            dry_run: false,
            elapsed_secs: 2.0,
        };
        let want = "snapshot abababab by laptop\n  files   3 new, 0 changed, 0 unchanged\n  source  2.0 KiB in 3 files, 1 folder\n  read    0 B\n  new     2.0 KiB, stored as 1.0 KiB (2.0 : 1)\n  time    2.0 s (1.0 KiB/s)\n";
        assert_eq!(text(&report), want);
        assert!(!is_incomplete(&report));
        report.summary.unreadable = 1;
        report.snapshot = None;
        assert!(is_incomplete(&report));
        assert!(text(&report).starts_with("nothing has changed"));
        assert!(text(&report).ends_with("1 object could not be read and is missing from the snapshot\n"));
    }
}
