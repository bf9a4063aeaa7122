//! What a restore for practice came to.

use crate::ops::drill::DrillRecord;
use crate::report::text::{self, pairs};
use crate::report::units;
use serde::Serialize;

/// The document.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Body<'a> {
    /// The record, as it was signed.
    pub record: &'a DrillRecord,
    /// Its file.
    pub file: String,
    /// What was wrong, with names.
    pub problems: &'a [String],
    /// Where what was restored has been left.
    pub kept_in: Option<String>,
}

/// For people.
pub fn text(body: &Body<'_>) -> String {
    let record = body.record;
    let what = match &record.subvolume {
        _ if record.is_whole => "the whole snapshot".to_owned(),
        Some(subvolume) => format!("all of {}, and a sample", text::message(subvolume)),
        None => "a sample".to_owned(),
    };
    let mut lines = vec![
        (
            "  restored",
            format!("{what}: {}, {}", units::things(record.files, "file", "files"), units::size(record.bytes)),
        ),
        (
            "  compared",
            format!(
                "{} with the snapshot that was backed up; {} the same on this machine, {} changed since",
                units::things(record.snapshot_files, "file", "files"),
                units::count(record.live_files),
                units::count(record.changed_files)
            ),
        ),
        (
            "  packs",
            format!(
                "{} of {} read, {} bad: at most {:.2} % are bad, with 95 %",
                units::count(record.read_packs),
                units::count(record.packs),
                units::count(record.bad_packs),
                record.bad_share * 100.0
            ),
        ),
    ];
    for database in &record.databases {
        let how = match (database.is_started, database.is_good) {
            (true, true) => "restored, started, answered",
            (true, false) => "does not start",
            (false, true) => "restored",
            (false, false) => "is missing",
        };
        lines.push(("  database", format!("{} {how}", text::message(&database.name))));
    }
    let within = if record.recovery_secs <= record.objective_secs as f64 { "within" } else { "over" };
    lines.push((
        "  whole restore",
        format!(
            "about {}, {within} the objective of {}",
            units::duration(record.recovery_secs),
            units::duration(record.objective_secs as f64)
        ),
    ));
    lines.push(("  record", text::message(&body.file)));
    if let Some(kept) = &body.kept_in {
        lines.push(("  left in", text::message(kept)));
    }
    let head = if record.success { "the restore for practice was good" } else { "the restore for practice has FAILED" };
    let mut out = format!("{head}: snapshot {} by {}\n", record.snapshot.get(..8).unwrap_or_default(), record.writer);
    out.push_str(&pairs(&lines));
    for problem in &record.problems {
        out.push_str(&format!("{}\n", text::message(problem)));
    }
    out
}
