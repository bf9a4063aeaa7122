//! What differs, one line an object.

use crate::format::entry::FileKind;
use crate::id::ObjectId;
use crate::ops::diff::{Change, Counts, Fate, What};
use crate::report::json::RawPath;
use crate::report::{text, units};
use serde::Serialize;

/// A line: `+` added, `-` removed, `M` content or what an object is, `U` metadata only, `R` moved; then the path. A folder's ends in `/`.
pub fn line(change: &Change) -> String {
    let slash = if change.kind == FileKind::Dir && change.path != b"/" { "/" } else { "" };
    let path = text::name(&change.path) + slash;
    match (change.fate, &change.from) {
        (Fate::Added, _) => format!("+ {path}"),
        (Fate::Removed, _) => format!("- {path}"),
        (Fate::Moved, from) => {
            format!("R {}{slash} -> {path}", text::name(from.as_deref().unwrap_or_default()))
        }
        (Fate::Changed, _) => {
            let is_content = |what: &What| matches!(what, What::Content | What::Type | What::Target | What::Device);
            let sign = if change.what.iter().any(is_content) { 'M' } else { 'U' };
            let what: Vec<&str> = change.what.iter().map(|what| what.as_str()).collect();
            format!("{sign} {path} ({})", what.join(", "))
        }
    }
}

/// The last lines: how much there is.
pub fn totals(counts: &Counts) -> String {
    let lines = [
        ("added", format!("{}, {}", units::things(counts.added, "object", "objects"), units::size(counts.added_bytes))),
        (
            "removed",
            format!("{}, {}", units::things(counts.removed, "object", "objects"), units::size(counts.removed_bytes)),
        ),
        ("changed", units::things(counts.changed, "object", "objects")),
        ("moved", units::things(counts.moved, "object", "objects")),
    ];
    text::pairs(&lines)
}

/// The first JSON line: what is compared.
#[derive(Debug, Serialize)]
pub struct StartLine {
    kind: &'static str,
    old: ObjectId,
    /// Nothing for the live files.
    new: Option<ObjectId>,
}

impl StartLine {
    /// Of these snapshots; nothing on the right are the live files.
    pub fn new(old: ObjectId, new: Option<ObjectId>) -> Self {
        Self { kind: "compared", old, new }
    }
}

/// The JSON line of a difference.
#[derive(Debug, Serialize)]
pub struct ChangeLine<'a> {
    kind: &'static str,
    #[serde(flatten)]
    path: RawPath,
    #[serde(rename = "type")]
    file_type: FileKind,
    fate: Fate,
    what: &'a [What],
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<RawPath>,
    old_bytes: u64,
    new_bytes: u64,
}

impl<'a> ChangeLine<'a> {
    /// Of this one.
    pub fn new(change: &'a Change) -> Self {
        Self {
            kind: "change",
            path: RawPath::new(&change.path),
            file_type: change.kind,
            fate: change.fate,
            what: &change.what,
            from: change.from.as_deref().map(RawPath::new),
            old_bytes: change.old_bytes,
            new_bytes: change.new_bytes,
        }
    }
}

/// The last JSON line.
#[derive(Debug, Serialize)]
pub struct EndLine<'a> {
    kind: &'static str,
    #[serde(flatten)]
    counts: Counts,
    problems: &'a [String],
}

impl<'a> EndLine<'a> {
    /// After all differences.
    pub fn new(counts: Counts, problems: &'a [String]) -> Self {
        Self { kind: "end", counts, problems }
    }
}
