//! What was dumped.

use crate::id::ObjectId;
use crate::ops::dump::DumpReport;
use crate::report::units;
use serde::Serialize;

/// The body of the JSON document.
#[derive(Debug, Serialize)]
pub struct Body<'a> {
    /// Of which snapshot.
    pub snapshot: ObjectId,
    /// What was written.
    #[serde(flatten)]
    pub report: &'a DumpReport,
}

/// For people.
pub fn text(snapshot: ObjectId, report: &DumpReport) -> String {
    let objects = units::things(report.objects, "object", "objects");
    let mut out = format!("dumped {objects}, {}, of snapshot {}\n", units::size(report.bytes), snapshot.short());
    if report.problem_count > 0 {
        let problems = units::things(report.problem_count, "object", "objects");
        out += &format!("the archive cannot hold {problems}, or not wholly\n");
    }
    out
}
