//! What is on one side only: what has only moved is found by its content, the rest is gone or new.

use super::{Change, Fate, is_full_folder, one_sided};
use crate::error::Result;
use crate::format::entry::{Entry, Node};
use crate::ops::Progress;
use crate::ops::view::cursor::{Cursor, Next};
use crate::repo::reader::BlobReader;
use std::collections::HashMap;

/// Objects on one side only, each with its path; of folders, all that is below.
#[derive(Default)]
pub(super) struct Sides {
    pub removed: Vec<(Vec<u8>, Entry)>,
    pub added: Vec<(Vec<u8>, Entry)>,
}

impl Sides {
    /// Says what became of them, level by level: a folder is looked into only when none with the same content is on the other side.
    pub fn settle(mut self, reader: &BlobReader<'_>, progress: &dyn Progress, changes: &mut Vec<Change>) -> Result<()> {
        // Files of levels before, which may have moved to or from a deeper one: where they are among the changes.
        let mut files: [HashMap<[u8; 32], Vec<usize>>; 2] = Default::default();
        while !(self.removed.is_empty() && self.added.is_empty()) {
            let mut here: HashMap<[u8; 32], Vec<usize>> = HashMap::new();
            for (at, (_, entry)) in self.removed.iter().enumerate() {
                if let Some(key) = identity(entry) {
                    here.entry(key).or_default().push(at);
                }
            }
            let mut is_moved = vec![false; self.removed.len()];
            let mut added = Vec::new();
            for (path, entry) in std::mem::take(&mut self.added) {
                let from = identity(&entry).and_then(|key| here.get_mut(&key)?.pop());
                let Some(at) = from else {
                    added.push((path, entry));
                    continue;
                };
                is_moved[at] = true;
                let from = Some(self.removed[at].0.clone());
                changes.push(Change { from, ..one_sided(path, &entry, Fate::Moved) });
            }
            let mut left = is_moved.into_iter();
            self.removed.retain(|_| !left.next().unwrap_or(false));
            let removed = std::mem::take(&mut self.removed);
            for (sided, fate, next) in
                [(removed, Fate::Removed, &mut self.removed), (added, Fate::Added, &mut self.added)]
            {
                for (path, entry) in sided {
                    if progress.cancelled() {
                        return Err(crate::Error::Interrupted);
                    }
                    if matches!(entry.node, Node::Dir(_)) {
                        children(reader, &path, &entry, next)?;
                        changes.push(one_sided(path, &entry, fate));
                    } else {
                        file(path, &entry, fate, &mut files, changes);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Notes a file, or finds that it is one of a level before that has moved.
fn file(
    path: Vec<u8>,
    entry: &Entry,
    fate: Fate,
    [removed, added]: &mut [HashMap<[u8; 32], Vec<usize>>; 2],
    changes: &mut Vec<Change>,
) {
    let (mine, others) = if fate == Fate::Removed { (removed, added) } else { (added, removed) };
    let change = one_sided(path, entry, fate);
    let Some(key) = identity(entry) else { return changes.push(change) };
    match others.get_mut(&key).and_then(Vec::pop).and_then(|at| changes.get_mut(at)) {
        Some(other) => {
            let (from, to) = if fate == Fate::Removed {
                (change.path, other.path.clone())
            } else {
                (other.path.clone(), change.path)
            };
            *other = Change { from: Some(from), ..one_sided(to, entry, Fate::Moved) };
        }
        None => {
            mine.entry(key).or_default().push(changes.len());
            changes.push(change);
        }
    }
}

fn children(reader: &BlobReader<'_>, path: &[u8], entry: &Entry, next: &mut Vec<(Vec<u8>, Entry)>) -> Result<()> {
    let Node::Dir(root) = &entry.node else { return Ok(()) };
    let mut cursor = Cursor::new(root.clone());
    loop {
        match cursor.next(reader) {
            Next::Entry(entry) => {
                let path = [path.strip_suffix(b"/").unwrap_or(path), b"/", &entry.name].concat();
                next.push((path, *entry));
            }
            Next::Gap(error) => return Err(error),
            Next::End => return Ok(()),
        }
    }
}

/// What a moved object keeps: of a folder what is in it, of a file its content and its time. Nothing for what has no content to go by.
fn identity(entry: &Entry) -> Option<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[entry.kind() as u8]);
    match &entry.node {
        Node::Dir(_) if !is_full_folder(entry) => return None,
        Node::Dir(root) | Node::File(root) => {
            if root.records.is_empty() {
                return None;
            }
            hasher.update(&[root.depth]);
            for record in &root.records {
                hasher.update(&record.id.0).update(&record.len_bytes.to_le_bytes());
            }
        }
        Node::Inline(bytes) => {
            hasher.update(bytes);
        }
        _ => return None,
    }
    if !matches!(entry.node, Node::Dir(_)) {
        hasher.update(&entry.mtime.secs.to_le_bytes()).update(&entry.mtime.nanos.to_le_bytes());
    }
    Some(*hasher.finalize().as_bytes())
}
