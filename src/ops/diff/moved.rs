//! What is on one side only: what has only moved is found by its content, the rest is gone or new.

use super::{Change, Fate, is_full_folder, one_sided};
use crate::error::Result;
use crate::format::entry::{Entry, Node};
use crate::ops::Progress;
use crate::ops::view::cursor::{Cursor, Next};
use crate::repo::reader::BlobReader;
use std::collections::{HashMap, HashSet};

/// Objects on one side only, each with its path; folders stand for all that is below.
#[derive(Default)]
pub(super) struct Sides {
    pub removed: Vec<(Vec<u8>, Entry)>,
    pub added: Vec<(Vec<u8>, Entry)>,
}

impl Sides {
    /// Says what became of them, level by level: a folder is looked into only when none with the same content was met on the other side.
    pub fn settle(self, reader: &BlobReader<'_>, progress: &dyn Progress, changes: &mut Vec<Change>) -> Result<()> {
        let Self { mut removed, mut added } = self;
        let mut met = Met { removed: HashMap::new(), added: HashMap::new(), within: HashSet::new() };
        let mut found = Vec::new();
        while !(removed.is_empty() && added.is_empty()) {
            // What went is met before what came is looked at, so that on one level nothing is looked into that has only moved.
            let (gone, came) = (std::mem::take(&mut removed), std::mem::take(&mut added));
            let gone = met.level(gone, Fate::Removed, &mut found);
            let came = met.level(came, Fate::Added, &mut found);
            for (level, fate, next) in [(gone, Fate::Removed, &mut removed), (came, Fate::Added, &mut added)] {
                for (path, entry) in level.into_iter().filter(|(path, _)| !met.is_within(path, fate, true)) {
                    if progress.cancelled() {
                        return Err(crate::Error::Interrupted);
                    }
                    children(reader, &path, &entry, next)?;
                }
            }
        }
        found.retain(|change| change.fate == Fate::Moved || !met.is_within(&change.path, change.fate, false));
        changes.extend(found);
        Ok(())
    }
}

/// What was met on one side only, by its content.
struct Met {
    removed: HashMap<[u8; 32], Vec<usize>>,
    added: HashMap<[u8; 32], Vec<usize>>,
    /// Folders of a side that have turned out to be moved: what is below is no more said.
    within: HashSet<(bool, Vec<u8>)>,
}

impl Met {
    /// Notes the objects of a level, or finds that they have moved. The folders that have not.
    fn level(&mut self, level: Vec<(Vec<u8>, Entry)>, fate: Fate, changes: &mut Vec<Change>) -> Vec<(Vec<u8>, Entry)> {
        let is_removed = fate == Fate::Removed;
        let mut folders = Vec::new();
        for (path, entry) in level {
            if self.is_within(&path, fate, true) {
                continue;
            }
            let key = identity(&entry);
            let others = if is_removed { &mut self.added } else { &mut self.removed };
            let other = key.and_then(|key| others.get_mut(&key)?.pop()).and_then(|at| changes.get_mut(at));
            if let Some(other) = other {
                let there = other.path.clone();
                let (from, to) = if is_removed { (path, there.clone()) } else { (there.clone(), path) };
                *other = Change { from: Some(from), ..one_sided(to, &entry, Fate::Moved) };
                self.within.insert((!is_removed, there));
                continue;
            }
            if let Some(key) = key {
                let mine = if is_removed { &mut self.removed } else { &mut self.added };
                mine.entry(key).or_default().push(changes.len());
            }
            changes.push(one_sided(path.clone(), &entry, fate));
            if matches!(entry.node, Node::Dir(_)) {
                folders.push((path, entry));
            }
        }
        folders
    }

    /// Whether it lies in a folder that was moved as a whole, or with `or_is` is one.
    fn is_within(&self, path: &[u8], fate: Fate, or_is: bool) -> bool {
        let has = |path: &[u8]| self.within.contains(&(fate == Fate::Removed, path.to_vec()));
        let mut above = path;
        (!self.within.is_empty() && or_is && has(path))
            || std::iter::from_fn(|| {
                above = &above[..above.iter().rposition(|byte| *byte == b'/')?];
                (!self.within.is_empty() && !above.is_empty()).then_some(above)
            })
            .any(has)
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
