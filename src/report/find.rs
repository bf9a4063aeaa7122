//! Versions of objects, and in which snapshots they are.

use crate::ops::diff::What;
use crate::ops::find::{Version, When};
use crate::report::json::RawPath;
use crate::report::ls::permissions;
use crate::report::text::{self, Align, Table};
use crate::report::{time, units};
use jiff::tz::TimeZone;
use serde::Serialize;

/// The versions as a table; `with_paths` for those of many objects.
pub fn table(versions: &[Version], with_paths: bool, zone: &TimeZone) -> String {
    if versions.is_empty() {
        return "nothing was found\n".to_owned();
    }
    let mut columns = vec![
        ("First", Align::Left),
        ("In", Align::Left),
        ("Last", Align::Left),
        ("In", Align::Left),
        ("Number", Align::Right),
        ("Mode", Align::Left),
        ("Size", Align::Right),
        ("Modified", Align::Left),
    ];
    columns.push(if with_paths { ("Path", Align::Left) } else { ("What changed", Align::Left) });
    let mut table = Table::new(&columns);
    for version in versions {
        let last = match version.gone {
            Some(_) => time::local(version.last.time, zone),
            None => "still there".to_owned(),
        };
        let what = if with_paths { text::name(&version.path) } else { why(version) };
        table.row(vec![
            time::local(version.first.time, zone),
            version.first.id.short().to_string(),
            last,
            version.last.id.short().to_string(),
            units::count(version.snapshots),
            permissions(&version.entry),
            units::size(version.size_bytes),
            time::local(version.entry.mtime, zone),
            what,
        ]);
    }
    table.render()
}

fn why(version: &Version) -> String {
    if version.changed.is_empty() {
        return "new".to_owned();
    }
    version.changed.iter().map(|what| what.as_str()).collect::<Vec<_>>().join(", ")
}

/// A version's JSON line.
#[derive(Debug, Serialize)]
pub struct VersionLine<'a> {
    kind: &'static str,
    #[serde(flatten)]
    path: RawPath,
    host: &'a str,
    #[serde(rename = "type")]
    file_type: crate::format::entry::FileKind,
    size_bytes: u64,
    mode: u32,
    uid: u32,
    gid: u32,
    mtime: crate::format::time::Time,
    first: When,
    last: When,
    snapshots: u64,
    gone: Option<When>,
    changed: &'a [What],
}

impl<'a> VersionLine<'a> {
    /// Of this one.
    pub fn new(version: &'a Version) -> Self {
        let entry = &version.entry;
        Self {
            kind: "version",
            path: RawPath::new(&version.path),
            host: &version.host,
            file_type: entry.kind(),
            size_bytes: version.size_bytes,
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            mtime: entry.mtime,
            first: version.first,
            last: version.last,
            snapshots: version.snapshots,
            gone: version.gone,
            changed: &version.changed,
        }
    }
}

/// The last JSON line: that nothing is missing above it.
#[derive(Debug, Serialize)]
pub struct EndLine {
    kind: &'static str,
    versions: u64,
    snapshots: u64,
}

impl EndLine {
    /// After so many versions, found in so many snapshots.
    pub fn new(versions: u64, snapshots: u64) -> Self {
        Self { kind: "end", versions, snapshots }
    }
}
