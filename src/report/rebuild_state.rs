//! What was learnt anew.

use crate::ops::rebuild_state::RebuildReport;
use crate::report::{text, units};

/// For people.
pub fn text(report: &RebuildReport, cold: bool) -> String {
    let things = |count, one, many| units::things(count, one, many);
    let index = format!(
        "{}, {}, {}",
        things(report.index_objects, "index object", "index objects"),
        things(report.packs, "pack", "packs"),
        things(report.blobs, "blob", "blobs")
    );
    let verified = format!("{} verified before", things(report.verified_packs, "pack", "packs"));
    let parents: Vec<String> = report.parents.iter().map(crate::id::ObjectId::short).collect();
    let parents = if parents.is_empty() { "none of this host".to_owned() } else { parents.join(", ") };
    let mut lines = vec![
        ("learnt", index),
        ("snapshots", units::count(report.snapshots)),
        ("checks", verified),
        ("parents", parents),
    ];
    let warmed = &report.warmed;
    if warmed.dirs > 0 {
        let known = format!(
            "{} ({}) need not be read by the next backup, {} must be",
            things(warmed.files, "file", "files"),
            units::size(warmed.bytes),
            units::count(warmed.doubtful_files)
        );
        lines.push(("files", known));
    } else {
        let why =
            if cold { "not looked at" } else { "none known: the next backup reads them, and stores only what is new" };
        lines.push(("files", why.to_owned()));
    }
    lines.push(("time", units::duration(report.elapsed_secs)));
    let mut out = text::pairs(&lines);
    for problem in &report.problems {
        out += &format!("problem: {}\n", text::message(problem));
    }
    out
}
