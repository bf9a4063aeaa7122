//! What was copied.

use crate::ops::copy::CopyReport;
use crate::report::{text, units};

/// For people.
pub fn text(report: &CopyReport) -> String {
    let mut out = String::new();
    for copied in &report.copied {
        let old = copied.snapshot.short();
        out += &match copied.new {
            Some(new) => {
                let (read, stored) = (units::size(copied.read_bytes), units::size(copied.stored_bytes));
                format!("snapshot {old}: copied as {}, {read} read, {stored} stored\n", new.short())
            }
            None => format!("snapshot {old}: to be copied\n"),
        };
    }
    for failed in &report.failed {
        out += &format!("snapshot {}: not copied: {}\n", failed.snapshot.short(), text::message(&failed.why));
    }
    let there = units::things(report.skipped.len() as u64, "snapshot was", "snapshots were");
    let done = units::things(report.copied.len() as u64, "snapshot", "snapshots");
    out += &format!("{done} {}copied, {there} there already\n", if report.dry_run { "to be " } else { "" });
    out
}
