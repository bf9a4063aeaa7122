//! What was repaired, or would be.

use crate::ops::repair::index::IndexReport;
use crate::ops::repair::packs::PacksReport;
use crate::ops::repair::snapshots::SnapshotsReport;
use crate::report::{text, units};

/// How many paths and objects of a sort are shown.
const SHOWN: usize = 200;

fn things(count: u64, one: &str, many: &str) -> String {
    units::things(count, one, many)
}

/// The first of many lines, and how many more there are.
fn some(lines: impl ExactSizeIterator<Item = String>, total: u64) -> String {
    let shown = lines.len().min(SHOWN) as u64;
    let mut out: String = lines.take(SHOWN).collect();
    if total > shown {
        out += &format!("and {} more; --json names more\n", units::count(total - shown));
    }
    out
}

const NOTHING_CHANGED: &str = "nothing was changed; --yes does it\n";

/// Of `repair index`.
pub fn index_text(report: &IndexReport) -> String {
    if report.is_sound() {
        return "the index is whole: every pack is named, and no index object is damaged\n".to_owned();
    }
    let line = |problem: &crate::ops::repair::Problem| {
        format!("damaged: {}: {}\n", text::message(&problem.object), text::message(&problem.what))
    };
    let mut out = some(report.damaged.iter().map(line), report.damaged.len() as u64);
    let packs = things(report.unnamed_packs, "pack is", "packs are");
    out += &format!("{packs} named by no sound index object, {} of data\n", units::size(report.unnamed_bytes));
    if report.written.is_empty() {
        return if report.dry_run { out + NOTHING_CHANGED } else { out };
    }
    let blobs = things(report.named_blobs, "blob", "blobs");
    out += &format!("named now: {} with {blobs}\n", things(report.named_packs, "pack", "packs"));
    if report.checked_packs < report.named_packs {
        out += &format!(
            "of these {} were checked blob by blob: what the others hold can be restored, but backups store it anew; `repair index --read-data` checks all\n",
            units::count(report.checked_packs)
        );
    }
    out += &some(report.unreadable.iter().map(line), report.unreadable.len() as u64);
    out
}

/// Of `repair packs`.
pub fn packs_text(report: &PacksReport) -> String {
    if report.is_sound() {
        return "nothing to repair: no pack is known to be bad, and nothing that a snapshot needs is missing\n"
            .to_owned();
    }
    let line = |pack: &crate::ops::repair::packs::BadPack| {
        let state = if pack.missing { "missing" } else { "damaged" };
        let (bad, all) = (units::count(pack.bad_blobs), units::count(pack.blobs));
        format!("{state}: {}: {bad} of {all} blobs gone\n", text::message(&pack.object))
    };
    let mut out = some(report.bad_packs.iter().map(line), report.bad_packs.len() as u64);
    let size = units::size(report.needed_bytes);
    out += &format!("{} that snapshots need, {size}\n", things(report.needed_blobs, "blob is gone", "blobs are gone"));
    if report.dry_run {
        return out + &affected(report) + NOTHING_CHANGED;
    }
    if report.condemned_by.is_empty() && report.stored_bytes == 0 && report.affected.is_empty() {
        return out;
    }
    let lines = [
        ("saved from bad packs", report.salvaged_blobs),
        ("found in second copies", report.from_repositories_blobs),
        ("found in files", report.from_files_blobs),
        ("stored by reading folders again", report.reread_blobs),
    ];
    for (what, count) in lines.into_iter().filter(|(_, count)| *count > 0) {
        out += &format!("{what}: {}\n", things(count, "blob", "blobs"));
    }
    out += &format!("stored: {}\n", units::size(report.stored_bytes));
    let problem = |problem: &crate::ops::repair::Problem| {
        format!("problem: {}: {}\n", text::message(&problem.object), text::message(&problem.what))
    };
    out += &some(report.problems.iter().map(problem), report.problems.len() as u64);
    if report.lost_blobs == 0 {
        return out + "everything that snapshots need is there again\n";
    }
    out += &affected(report);
    out + &format!(
        "{} still lost. Where the files still are, the next backup brings them back; then run this again. What is gone for good, `repair snapshots` leaves out\n",
        things(report.lost_blobs, "blob is", "blobs are")
    )
}

fn affected(report: &PacksReport) -> String {
    let line = |hit: &crate::ops::check::AffectedPath| {
        format!("affected: {}:{}\n", hit.snapshot.short(), text::message(&hit.path))
    };
    some(report.affected.iter().map(line), report.affected_paths)
}

/// Of `repair snapshots`.
pub fn snapshots_text(report: &SnapshotsReport) -> String {
    if report.lost_paths == 0 {
        return "nothing is lost: no snapshot is to be written anew\n".to_owned();
    }
    let line = |lost: &crate::ops::repair::snapshots::LostPath| {
        let size = lost.bytes.map_or_else(|| "a part of this folder".to_owned(), units::size);
        format!("lost: {}:{} ({size})\n", lost.snapshot.short(), text::message(&lost.path))
    };
    let mut out = some(report.lost.iter().map(line), report.lost_paths);
    for one in &report.snapshots {
        let old = one.snapshot.short();
        out += &match (one.new, one.nothing_left) {
            (Some(new), _) if one.forgotten => {
                format!("snapshot {old}: now {}, the old one is forgotten\n", new.short())
            }
            (Some(new), _) => format!("snapshot {old}: now {}, the old one is still there\n", new.short()),
            (None, true) => format!("snapshot {old}: nothing is left of it; `panther forget {old}` removes it\n"),
            (None, false) => format!("snapshot {old}: to be written anew\n"),
        };
    }
    if report.dry_run { out + NOTHING_CHANGED } else { out }
}
