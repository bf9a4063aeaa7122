//! What a restore did.

use crate::id::ObjectId;
use crate::ops::restore::RestoreReport;
use crate::report::{text, units};
use serde::Serialize;

/// The body of the JSON document.
#[derive(Debug, Serialize)]
pub struct Body<'a> {
    /// What was restored.
    pub snapshot: ObjectId,
    /// What was done.
    #[serde(flatten)]
    pub report: &'a RestoreReport,
}

/// For people.
pub fn text(snapshot: ObjectId, report: &RestoreReport) -> String {
    let mut out = match report.dry_run {
        true => format!("dry run: nothing of snapshot {} was restored\n", snapshot.short()),
        false => format!("restored from snapshot {}\n", snapshot.short()),
    };
    let rate = units::rate(report.bytes, report.elapsed_secs).map(|r| format!(" ({r})")).unwrap_or_default();
    let restored = format!(
        "{}, {}, {}",
        units::things(report.files, "file", "files"),
        units::things(report.dirs, "folder", "folders"),
        units::things(report.others, "other", "others")
    );
    let mut lines = vec![("  restored", restored), ("  written", format!("{}{rate}", units::size(report.bytes)))];
    if report.files_unchanged > 0 || report.bytes_skipped > 0 {
        let files = units::things(report.files_unchanged, "file", "files");
        lines.push(("  unchanged", format!("{files}, {}", units::size(report.bytes_skipped))));
    }
    if report.bytes_shared > 0 {
        lines.push(("  shared", format!("{} of it takes no room of its own", units::size(report.bytes_shared))));
    }
    if report.subvolumes > 0 {
        lines.push(("  made", units::things(report.subvolumes, "subvolume", "subvolumes")));
    }
    if report.removed > 0 {
        lines.push(("  removed", units::count(report.removed)));
    }
    if let Some(verified) = report.verified_files {
        lines.push(("  verified", units::things(verified, "file", "files")));
    }
    lines.push(("  time", units::duration(report.elapsed_secs)));
    out += &text::pairs(&lines);
    if report.skipped_owners > 0 {
        let objects = units::things(report.skipped_owners, "object", "objects");
        out += &format!("{objects} did not get the owner back: only root may set it\n");
    }
    if report.skipped_attributes > 0 {
        let attributes = units::things(report.skipped_attributes, "attribute", "attributes");
        out += &format!("{attributes} could not be set here\n");
    }
    for kind in &report.not_kept {
        let objects = units::things(kind.count, "object", "objects");
        out += &format!("the target cannot keep {}: {objects}, such as {}\n", kind.what, kind.example);
    }
    if report.problem_count > 0 {
        let problems = units::things(report.problem_count, "object", "objects");
        out += &format!("{problems} could not be restored, wholly or in part\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report() {
        let mut report = RestoreReport {
            files: 2,
            files_unchanged: 0,
            dirs: 1,
            others: 0,
            links: 0,
            bytes: 2048,
            bytes_shared: 0,
            subvolumes: 0,
            bytes_skipped: 0,
            removed: 0,
            problems: Vec::new(),
            problem_count: 0,
            not_kept: Vec::new(),
            incomplete: false,
            verified_files: None,
            skipped_owners: 0,
            skipped_attributes: 0,
            dry_run: false,
            elapsed_secs: 2.0,
        };
        let id = ObjectId([0xab; 32]);
        let want = "restored from snapshot abababab\n  restored  2 files, 1 folder, 0 others\n  written   2.0 KiB (1.0 KiB/s)\n  time      2.0 s\n";
        assert_eq!(text(id, &report), want);
        report.skipped_owners = 1;
        report.verified_files = Some(2);
        report.problem_count = 3;
        report.incomplete = true;
        let long = text(id, &report);
        assert!(
            long.contains("  verified  2 files\n") && long.contains("1 object did not get the owner back"),
            "{long}"
        );
        assert!(long.ends_with("3 objects could not be restored, wholly or in part\n"));
    }
}
