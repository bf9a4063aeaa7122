//! Local snapshots: what was made, what there is, what was removed.

use crate::format::time::Time;
use crate::ops::local_snapshots::{self as ops, Fate, Judged, Listed, LocalSnapshot, Origin};
use crate::report::json::RawPath;
use crate::report::text::{self, Align, Table};
use crate::report::{time, units};
use jiff::tz::TimeZone;
use serde::Serialize;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

fn raw(path: &Path) -> RawPath {
    RawPath::new(path.as_os_str().as_bytes())
}

fn shown(path: &Path) -> String {
    text::name(path.as_os_str().as_bytes())
}

/// The body of `snapshot create`'s document.
#[derive(Debug, Serialize)]
pub struct Created {
    name: String,
    time: Time,
    label: Option<String>,
    snapshots: Vec<RawPath>,
    spread_secs: f64,
}

impl Created {
    /// Of a set.
    pub fn new(made: &ops::Created) -> Self {
        Self {
            name: made.name.to_string(),
            time: made.name.time,
            label: made.name.label.clone(),
            snapshots: made.paths.iter().map(|path| raw(path)).collect(),
            spread_secs: made.spread_secs,
        }
    }
}

/// What was made, for people.
pub fn created(made: &ops::Created) -> String {
    let mut out: String = made.paths.iter().map(|path| shown(path) + "\n").collect();
    if made.paths.len() > 1 {
        // Writing to a string does not fail.
        let _ = writeln!(out, "{} snapshots within {}", made.paths.len(), units::duration(made.spread_secs));
    }
    out
}

/// A snapshot of a list.
#[derive(Debug, Serialize)]
struct Row {
    snapshot: RawPath,
    origin: Origin,
    time: Time,
    label: Option<String>,
    age_secs: i64,
    exclusive_bytes: Option<u64>,
    pinned: bool,
}

#[derive(Debug, Serialize)]
struct Subvolume {
    subvolume: RawPath,
    count: usize,
    snapshots: Vec<Row>,
}

/// The body of `snapshot list`'s document.
#[derive(Debug, Serialize)]
pub struct List {
    subvolumes: Vec<Subvolume>,
}

fn age_secs(snapshot: &LocalSnapshot, now: Time) -> i64 {
    now.secs.saturating_sub(snapshot.time.secs)
}

impl List {
    /// What there is.
    pub fn new(listed: &[Listed], now: Time) -> Self {
        let row = |snapshot: &LocalSnapshot| Row {
            snapshot: raw(&snapshot.path),
            origin: snapshot.origin,
            time: snapshot.time,
            label: snapshot.label.clone(),
            age_secs: age_secs(snapshot, now),
            exclusive_bytes: snapshot.exclusive_bytes,
            pinned: snapshot.is_pinned,
        };
        let subvolume = |one: &Listed| Subvolume {
            subvolume: raw(&one.subvolume),
            count: one.snapshots.len(),
            snapshots: one.snapshots.iter().map(row).collect(),
        };
        Self { subvolumes: listed.iter().map(subvolume).collect() }
    }
}

/// What there is, for people.
#[allow(clippy::cast_precision_loss)]
pub fn list(listed: &[Listed], now: Time, zone: &TimeZone) -> String {
    let mut out = String::new();
    for one in listed {
        let count = units::things(one.snapshots.len() as u64, "snapshot", "snapshots");
        let _ = writeln!(out, "{}: {count}", shown(&one.subvolume));
        if one.snapshots.is_empty() {
            continue;
        }
        use Align::{Left, Right};
        let tells = one.snapshots.iter().any(|snapshot| snapshot.exclusive_bytes.is_some());
        let mut columns = vec![("Name", Left), ("Time", Left), ("Age", Right)];
        columns.extend(tells.then_some(("Exclusive", Right)));
        columns.push(("", Left));
        let mut table = Table::new(&columns);
        for snapshot in &one.snapshots {
            let age = match age_secs(snapshot, now) {
                secs if secs < 0 => "in the future".into(),
                secs => units::duration(secs as f64),
            };
            let mut cells = vec![text::name(snapshot.name.as_bytes()), time::local(snapshot.time, zone), age];
            if tells {
                cells.push(snapshot.exclusive_bytes.map_or_else(String::new, units::size));
            }
            cells.push(match (snapshot.is_pinned, snapshot.origin) {
                (true, _) => "the next backup compares with it".into(),
                (false, Origin::Backup) => "of a backup that runs or was stopped".into(),
                (false, Origin::Created) => String::new(),
            });
            table.row(cells);
        }
        out.push_str(&table.render());
    }
    out
}

/// What became of a snapshot.
#[derive(Debug, Serialize)]
struct Verdict {
    snapshot: RawPath,
    time: Time,
    fate: &'static str,
    reasons: Vec<String>,
    exclusive_bytes: Option<u64>,
}

/// The body of `snapshot prune`'s document.
#[derive(Debug, Serialize)]
pub struct Prune {
    dry_run: bool,
    kept: usize,
    removed: usize,
    failed: usize,
    snapshots: Vec<Verdict>,
}

fn fate_of(fate: &Fate) -> (&'static str, Vec<String>) {
    match fate {
        Fate::Kept(reasons) => ("kept", reasons.iter().map(ToString::to_string).collect()),
        Fate::InUse => ("kept", vec!["a backup reads it".into()]),
        Fate::Removed => ("removed", Vec::new()),
        Fate::Failed(why) => ("failed", vec![why.clone()]),
    }
}

fn counts(judged: &[Judged]) -> (usize, usize, usize) {
    let count = |wanted: &str| judged.iter().filter(|one| fate_of(&one.fate).0 == wanted).count();
    (count("kept"), count("removed"), count("failed"))
}

impl Prune {
    /// What was decided and done.
    pub fn new(judged: &[Judged], dry_run: bool) -> Self {
        let verdict = |one: &Judged| {
            let (fate, reasons) = fate_of(&one.fate);
            Verdict {
                snapshot: raw(&one.snapshot.path),
                time: one.snapshot.time,
                fate,
                reasons,
                exclusive_bytes: one.snapshot.exclusive_bytes,
            }
        };
        let (kept, removed, failed) = counts(judged);
        Self { dry_run, kept, removed, failed, snapshots: judged.iter().map(verdict).collect() }
    }
}

/// What was decided and done, for people.
pub fn pruned(judged: &[Judged], dry_run: bool, zone: &TimeZone) -> String {
    use Align::Left;
    let mut table = Table::new(&[("Snapshot", Left), ("Time", Left), ("", Left), ("Why", Left)]);
    for one in judged {
        let (fate, reasons) = fate_of(&one.fate);
        let fate = if dry_run && fate == "removed" { "would go" } else { fate };
        let why = text::message(&reasons.join("; "));
        table.row(vec![shown(&one.snapshot.path), time::local(one.snapshot.time, zone), fate.into(), why]);
    }
    let mut out = if judged.is_empty() { String::new() } else { table.render() };
    let (kept, removed, failed) = counts(judged);
    let verb = if dry_run { "would be removed" } else { "removed" };
    let _ = write!(out, "{kept} kept, {removed} {verb}");
    if failed > 0 {
        let _ = write!(out, ", {failed} could not be removed");
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retention::Reason;
    use std::path::PathBuf;

    fn snapshot(name: &str, secs: i64) -> LocalSnapshot {
        LocalSnapshot {
            name: name.into(),
            path: PathBuf::from("/s/.panther").join(name),
            origin: Origin::Created,
            time: Time { secs, nanos: 0 },
            label: None,
            exclusive_bytes: None,
            is_pinned: false,
        }
    }

    #[test]
    fn lists() {
        let now = Time { secs: 7_200, nanos: 0 };
        let one = LocalSnapshot { exclusive_bytes: Some(2_048), is_pinned: true, ..snapshot("a", 0) };
        let listed = [Listed { subvolume: "/s".into(), snapshots: vec![one, snapshot("b", 9_000)] }];
        let text = list(&listed, now, &TimeZone::UTC);
        assert!(text.starts_with("/s: 2 snapshots\n"), "{text}");
        assert!(
            text.contains("a     1970-01-01 00:00:00      2 h 0 min    2.0 KiB  the next backup compares"),
            "{text}"
        );
        assert!(text.contains("in the future"), "{text}");
        let empty = [Listed { subvolume: "/s".into(), snapshots: Vec::new() }];
        assert_eq!(list(&empty, now, &TimeZone::UTC), "/s: 0 snapshots\n");
    }

    #[test]
    fn verdicts() {
        let judged = |name, fate| Judged { subvolume: "/s".into(), snapshot: snapshot(name, 0), fate };
        let all = [
            judged("a", Fate::Removed),
            judged("b", Fate::Kept(vec![Reason::Last(1)])),
            judged("c", Fate::InUse),
            judged("d", Fate::Failed("no\nroom".into())),
        ];
        let text = pruned(&all, true, &TimeZone::UTC);
        assert!(text.contains("would go\n") && text.contains("last 1\n") && text.contains("no\\nroom\n"), "{text}");
        assert!(text.ends_with("2 kept, 1 would be removed, 1 could not be removed\n"), "{text}");
        assert_eq!(pruned(&[], false, &TimeZone::UTC), "0 kept, 0 removed\n");
    }
}
