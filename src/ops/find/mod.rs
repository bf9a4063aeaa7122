//! `find` and `history`: objects by name, size and time in many snapshots, and when each version of them appeared and vanished.

mod matcher;

pub use matcher::{Matcher, Wanted};

use crate::error::Result;
use crate::format::entry::{Entry, FileKind, Node};
use crate::format::time::Time;
use crate::id::ObjectId;
use crate::ops::diff::{What, what_differs};
use crate::ops::list::absolute;
use crate::ops::view::pairs::{Below, walk};
use crate::ops::view::tree::Item;
use crate::ops::{Progress, Totals};
use crate::repo::reader::BlobReader;
use crate::repo::snapshots::Snapshot;
use std::collections::HashMap;

/// A snapshot: which one, and when it was begun.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub struct When {
    /// Its id.
    pub id: ObjectId,
    /// Its time.
    pub time: Time,
}

impl When {
    fn of(snapshot: &Snapshot) -> Self {
        Self { id: snapshot.head.id, time: snapshot.head.cover.started }
    }
}

/// A version of an object: as it is in some snapshots that follow each other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Version {
    /// Where it is.
    pub path: Vec<u8>,
    /// Of which host.
    pub host: String,
    /// What it is. Of a folder or file, the content is left out.
    pub entry: Entry,
    /// Bytes of content.
    pub size_bytes: u64,
    /// The first snapshot that has it.
    pub first: When,
    /// The last one.
    pub last: When,
    /// How many there are from the one to the other.
    pub snapshots: u64,
    /// The first one after them, which has another version or none; nothing if it is in the newest.
    pub gone: Option<When>,
    /// In what it differs from the version right before it; empty if there was none.
    pub changed: Vec<What>,
}

/// A version that may go on.
struct Open {
    version: Version,
    first_at: usize,
    /// Whole, to be compared.
    entry: Entry,
}

/// Finds what `matcher` wants in a series of snapshots, oldest first, at `top` and below: every version, in the order of paths and times. The first
/// snapshot is read as a whole, of the others what differs from the one before. Memory: what is found.
///
/// # Errors
/// What is wrong with the trees; [`crate::Error::Interrupted`].
pub fn find(
    reader: &BlobReader<'_>,
    series: &[&Snapshot],
    top: &[u8],
    matcher: &Matcher,
    progress: &dyn Progress,
) -> Result<Vec<Version>> {
    progress.stage("find", Totals::default());
    let top = absolute(top);
    let mut open: HashMap<Vec<u8>, Open> = HashMap::new();
    let mut done = Vec::new();
    let mut before: Option<&Snapshot> = None;
    for (at, snapshot) in series.iter().enumerate() {
        let side = |snapshot: &Snapshot| Item::top(&snapshot.manifest).find(reader, &top);
        let old = before.map(side).transpose()?.flatten();
        let new = side(snapshot)?;
        let now = When::of(snapshot);
        let last = at.checked_sub(1).and_then(|before| series.get(before)).map(|snapshot| When::of(snapshot));
        walk(reader, &top, (old, new), progress, &mut |path, _, new| {
            progress.advance(1, 0);
            let new = new.filter(|entry| matcher.wants(path, entry));
            let changed = match (open.get(path), new) {
                (Some(before), Some(new)) => {
                    let changed = differs(&before.entry, new);
                    if changed.is_empty() {
                        return Ok(Below::Look);
                    }
                    changed
                }
                _ => Vec::new(),
            };
            if let (Some(before), Some(last)) = (open.remove(path), last) {
                done.push(before.end(at, last, Some(now)));
            }
            if let Some(new) = new {
                let host = &snapshot.head.cover.host;
                open.insert(path.to_vec(), Open::new(path, host, new, (now, at), changed));
            }
            Ok(Below::Look)
        })?;
        before = Some(snapshot);
    }
    if let Some(last) = series.last().map(|snapshot| When::of(snapshot)) {
        done.extend(open.into_values().map(|version| version.end(series.len(), last, None)));
    }
    done.sort_by(|a, b| a.path.cmp(&b.path).then(a.first.time.cmp(&b.first.time)));
    Ok(done)
}

/// The versions of the object at one path of a series of snapshots, oldest first. What is in a folder counts as its content. Only the folders on the way
/// are read.
///
/// # Errors
/// What is wrong with the trees.
pub fn history(reader: &BlobReader<'_>, series: &[&Snapshot], path: &[u8]) -> Result<Vec<Version>> {
    let path = absolute(path);
    let mut open: Option<Open> = None;
    let mut done: Vec<Version> = Vec::new();
    for (at, snapshot) in series.iter().enumerate() {
        let now = When::of(snapshot);
        let found = Item::top(&snapshot.manifest).find(reader, &path)?;
        let entry = found.as_ref().and_then(Item::entry);
        let changed = match (&open, entry) {
            (Some(before), Some(entry)) => {
                let changed = what_differs(&before.entry, entry);
                if changed.is_empty() {
                    continue;
                }
                changed
            }
            _ => Vec::new(),
        };
        let last = at.checked_sub(1).and_then(|before| series.get(before)).map(|snapshot| When::of(snapshot));
        if let (Some(before), Some(last)) = (open.take(), last) {
            done.push(before.end(at, last, Some(now)));
        }
        let host = &snapshot.head.cover.host;
        open = entry.map(|entry| Open::new(&path, host, entry, (now, at), changed));
    }
    if let (Some(version), Some(last)) = (open, series.last().map(|snapshot| When::of(snapshot))) {
        done.push(version.end(series.len(), last, None));
    }
    Ok(done)
}

/// In what two versions differ, but for what is in a folder: that has versions of its own.
fn differs(before: &Entry, now: &Entry) -> Vec<What> {
    let mut what = what_differs(before, now);
    if now.kind() == FileKind::Dir {
        what.retain(|what| *what != What::Content);
    }
    what
}

impl Open {
    fn new(path: &[u8], host: &str, entry: &Entry, (now, at): (When, usize), changed: Vec<What>) -> Self {
        let version = Version {
            path: path.to_vec(),
            host: host.to_owned(),
            entry: without_content(entry),
            size_bytes: entry.size_bytes(),
            first: now,
            last: now,
            snapshots: 0,
            gone: None,
            changed,
        };
        Self { version, first_at: at, entry: entry.clone() }
    }

    /// It is in all snapshots from its first to the one before `end`.
    fn end(self, end: usize, last: When, gone: Option<When>) -> Version {
        Version { last, snapshots: (end - self.first_at) as u64, gone, ..self.version }
    }
}

fn without_content(entry: &Entry) -> Entry {
    let node = match &entry.node {
        Node::Inline(_) | Node::File(_) => Node::File(Default::default()),
        Node::Dir(_) => Node::Dir(Default::default()),
        other => other.clone(),
    };
    Entry { node, ..entry.clone() }
}
