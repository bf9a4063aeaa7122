//! What was imported.

use crate::ops::import::ImportReport;
use crate::report::{text, time, units};
use jiff::tz::TimeZone;

/// For people.
pub fn text(report: &ImportReport, zone: &TimeZone) -> String {
    let mut out = String::new();
    for imported in &report.imported {
        let (old, when) = (imported.snapshot.short(), time::local(imported.started, zone));
        out += &format!("snapshot {old} of {when}, {}: ", text::message(&imported.host));
        out += &match imported.new {
            Some(new) => {
                let (read, stored) = (units::size(imported.read_bytes), units::size(imported.stored_bytes));
                format!("imported as {}, {read} read, {stored} stored", new.short())
            }
            None => "to be imported".to_owned(),
        };
        if imported.left_out > 0 {
            out += &format!(", {} left out", imported.left_out);
        }
        out.push('\n');
    }
    for failed in &report.failed {
        out += &format!("snapshot {}: not imported: {}\n", failed.snapshot.short(), text::message(&failed.why));
    }
    let there = units::things(report.skipped.len() as u64, "snapshot was", "snapshots were");
    let done = units::things(report.imported.len() as u64, "snapshot", "snapshots");
    out += &format!("{done} {}imported, {there} there already\n", if report.dry_run { "to be " } else { "" });
    out
}
