//! What a prune has done, or would do; and what was brought back.

use crate::format::time::Time;
use crate::id::{ObjectId, WriterName};
use crate::ops::prune::PruneReport;
use crate::ops::undelete::UndeleteReport;
use crate::repo::snapshots::Snapshot;
use crate::report::json::RawPath;
use crate::report::text::{self, Align, Table};
use crate::report::{time, units};
use jiff::tz::TimeZone;
use serde::Serialize;

/// For people.
pub fn text(report: &PruneReport, zone: &TimeZone) -> String {
    let packs = |count, bytes| format!("{}, {}", units::things(count, "pack", "packs"), units::size(bytes));
    let (would, have) = if report.dry_run { ("would be ", "would be ") } else { ("", "") };
    let live = format!(
        "{} with {} of data and {} of trees",
        units::things(report.snapshots, "snapshot", "snapshots"),
        units::things(report.data_blobs, "blob", "blobs"),
        units::count(report.tree_blobs)
    );
    let mut lines = vec![("needed", live), ("stored", packs(report.packs, report.pack_bytes))];
    lines.push(("freed", format!("{} {have}removed", packs(report.removed_packs, report.removed_bytes))));
    let mut condemned = format!("{} {would}condemned", packs(report.condemned_packs, report.condemned_bytes));
    if let Some(until) = report.not_before {
        condemned += &format!(", removed by a prune after {}", time::local(until, zone));
    }
    lines.push(("of no use", condemned));
    if report.waiting_packs > 0 {
        lines.push(("waiting", packs(report.waiting_packs, report.waiting_bytes) + " condemned earlier"));
    }
    if report.repacked_packs > 0 {
        let (read, written) = (packs(report.repacked_packs, report.repacked_bytes), units::size(report.written_bytes));
        lines.push(("repacked", format!("{read} {have}read, {written} {have}written")));
    }
    if report.locked_packs > 0 {
        lines.push((
            "locked",
            units::things(report.locked_packs, "pack", "packs") + " whose time has come, left until the lock ends",
        ));
    }
    if report.renewed_locks > 0 {
        lines.push(("locked anew", units::things(report.renewed_locks, "object", "objects")));
    }
    lines.push(("left unused", units::size(report.unused_bytes)));
    if report.young_packs > 0 {
        lines.push(("too young", packs(report.young_packs, report.young_bytes)));
    }
    if report.tidied.removed_versions > 0 {
        let versions = units::things(report.tidied.removed_versions, "version", "versions");
        lines.push(("tidied", format!("{versions} too many, {}", units::size(report.tidied.removed_bytes))));
    }
    if report.read_bytes > 0 {
        lines.push(("egress", units::size(report.read_bytes)));
    }
    if let Some(dollars) = report.saved_dollars {
        lines.push(("saved", format!("{dollars:.2} dollars a month, once all of it is removed")));
    }
    lines.push(("time", units::duration(report.elapsed_secs)));
    let mut out = text::pairs(&lines);
    if report.needed_packs > 0 {
        let count = units::things(report.needed_packs, "condemned pack", "condemned packs");
        out += &format!("{count} left alone: snapshots need what is in there\n");
    }
    if report.limited {
        out += "more could be repacked than the limits allow: --max-repack-bytes, --egress-budget\n";
    }
    if report.dry_run {
        out += "dry run: nothing was changed\n";
    }
    out
}

/// A snapshot that may be brought back.
#[derive(Debug, Serialize)]
pub struct Row {
    id: ObjectId,
    writer: WriterName,
    host: String,
    started: Time,
    tags: Vec<String>,
    paths: Vec<RawPath>,
}

/// The snapshots that may be brought back.
pub fn rows(snapshots: &[Snapshot]) -> Vec<Row> {
    let row = |snapshot: &Snapshot| Row {
        id: snapshot.head.id,
        writer: snapshot.head.writer.clone(),
        host: snapshot.head.cover.host.clone(),
        started: snapshot.head.cover.started,
        tags: snapshot.manifest.tags.clone(),
        paths: snapshot.manifest.roots.iter().map(|root| RawPath::new(&root.path)).collect(),
    };
    snapshots.iter().map(row).collect()
}

/// The same for people.
pub fn candidates_text(snapshots: &[Snapshot], zone: &TimeZone) -> String {
    use Align::Left;
    if snapshots.is_empty() {
        return "no forgotten snapshot is kept that could be brought back\n".into();
    }
    let mut table = Table::new(&[("ID", Left), ("Time", Left), ("Host", Left), ("Paths", Left)]);
    for snapshot in snapshots {
        let paths: Vec<String> = snapshot.manifest.roots.iter().map(|root| text::name(&root.path)).collect();
        let cover = &snapshot.head.cover;
        let shown = vec![
            snapshot.head.id.short(),
            time::local(cover.started, zone),
            text::message(&cover.host),
            paths.join("\n"),
        ];
        table.row(shown);
    }
    table.render() + "forgotten; undelete with an id brings one back, unless what it needs has been removed\n"
}

/// What was brought back, for people.
pub fn undelete_text(report: &UndeleteReport) -> String {
    let mut out = String::new();
    for snapshot in &report.snapshots {
        let what = if snapshot.was_removed { "is back" } else { "is no longer forgotten" };
        out += &format!("snapshot {} of {} {what}\n", snapshot.id.short(), text::message(snapshot.writer.as_str()));
    }
    out += &format!("{} no longer condemned\n", units::things(report.taken_back_packs, "pack is", "packs are"));
    if report.needed_packs > 0 {
        let count = units::things(report.needed_packs, "pack stays", "packs stay");
        out +=
            &format!("{count} condemned, and will be left alone: the next prune stores anew what is needed of them\n");
    }
    out
}
