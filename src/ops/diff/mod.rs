//! `diff`: what differs between two snapshots, or between a snapshot and the files as they are now.

pub mod live;
mod moved;
mod what;

pub use what::{What, what_differs};

use crate::error::Result;
use crate::format::entry::{Entry, FileKind, Node};
use crate::format::snapshot::Manifest;
use crate::ops::list::absolute;
use crate::ops::view::pairs::{Below, walk};
use crate::ops::view::tree::Item;
use crate::ops::{Progress, Totals};
use crate::repo::reader::BlobReader;

/// What became of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// It is on the right only.
    Added,
    /// It is on the left only.
    Removed,
    /// It is on both sides and differs.
    Changed,
    /// It has another path, with all that is in it.
    Moved,
}

/// A difference.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Where: on the right, but for what was removed.
    pub path: Vec<u8>,
    /// What it is there.
    pub kind: FileKind,
    /// What became of it.
    pub fate: Fate,
    /// In what it differs, if it was changed.
    pub what: Vec<What>,
    /// Where it was, if it was moved.
    pub from: Option<Vec<u8>>,
    /// Bytes of content on the left.
    pub old_bytes: u64,
    /// Bytes of content on the right.
    pub new_bytes: u64,
}

/// How many there are of each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Counts {
    /// Objects on the right only.
    pub added: u64,
    /// Their content.
    pub added_bytes: u64,
    /// Objects on the left only.
    pub removed: u64,
    /// Their content.
    pub removed_bytes: u64,
    /// Objects on both sides that differ.
    pub changed: u64,
    /// Objects that were moved; what is in them is not counted.
    pub moved: u64,
}

impl Counts {
    fn add(&mut self, change: &Change) {
        match change.fate {
            Fate::Added => (self.added, self.added_bytes) = (self.added + 1, self.added_bytes + change.new_bytes),
            Fate::Removed => {
                (self.removed, self.removed_bytes) = (self.removed + 1, self.removed_bytes + change.old_bytes);
            }
            Fate::Changed => self.changed += 1,
            Fate::Moved => self.moved += 1,
        }
    }
}

/// What differs, in the order of paths, and how much of it there is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Differences {
    /// One after the other.
    pub changes: Vec<Change>,
    /// In all.
    pub counts: Counts,
}

impl Differences {
    fn of(mut changes: Vec<Change>) -> Self {
        changes.sort_by(|a, b| a.path.cmp(&b.path).then(b.old_bytes.cmp(&a.old_bytes)));
        let mut counts = Counts::default();
        changes.iter().for_each(|change| counts.add(change));
        Self { changes, counts }
    }
}

/// What differs between two snapshots at a path of each, and below. Folders with equal content are not looked into; one that has another path but the
/// same content was moved. Memory: what differs.
///
/// # Errors
/// [`crate::Error::Usage`] when a snapshot has no such path; what is wrong with the trees; [`crate::Error::Interrupted`].
pub fn snapshots(
    reader: &BlobReader<'_>,
    old: (&Manifest, &[u8]),
    new: (&Manifest, &[u8]),
    progress: &dyn Progress,
) -> Result<Differences> {
    progress.stage("compare", Totals::default());
    let old = Item::at(reader, old.0, old.1)?;
    let new_path = absolute(new.1);
    let new = Item::at(reader, new.0, &new_path)?;
    let mut changes = Vec::new();
    let mut sides = moved::Sides::default();
    walk(reader, &new_path, (Some(old), Some(new)), progress, &mut |path, old, new| {
        progress.advance(1, 0);
        match (old, new) {
            (Some(old), Some(new)) if old.kind() == new.kind() => {
                changes.extend(changed(path, old, new));
                Ok(Below::Look)
            }
            (old, new) => {
                // Of another type: one is gone, another came.
                old.into_iter().for_each(|old| sides.removed.push((path.to_vec(), old.clone())));
                new.into_iter().for_each(|new| sides.added.push((path.to_vec(), new.clone())));
                Ok(Below::Skip)
            }
        }
    })?;
    sides.settle(reader, progress, &mut changes)?;
    Ok(Differences::of(changes))
}

fn changed(path: &[u8], old: &Entry, new: &Entry) -> Option<Change> {
    let mut what = what_differs(old, new);
    if old.kind() == FileKind::Dir {
        // What is in it shows for itself.
        what.retain(|what| *what != What::Content);
    }
    (!what.is_empty()).then(|| Change {
        path: path.to_vec(),
        kind: new.kind(),
        fate: Fate::Changed,
        what,
        from: None,
        old_bytes: old.size_bytes(),
        new_bytes: new.size_bytes(),
    })
}

fn one_sided(path: Vec<u8>, entry: &Entry, fate: Fate) -> Change {
    let bytes = entry.size_bytes();
    let (old_bytes, new_bytes) = if fate == Fate::Removed { (bytes, 0) } else { (0, bytes) };
    Change { path, kind: entry.kind(), fate, what: Vec::new(), from: None, old_bytes, new_bytes }
}

/// Whether it is a folder with something in it.
fn is_full_folder(entry: &Entry) -> bool {
    matches!(&entry.node, Node::Dir(root) if !root.records.is_empty())
}
