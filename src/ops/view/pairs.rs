//! Two trees walked side by side: what differs is shown, what is equal costs nothing, as equal folders have equal content lists.

use super::cursor::{Cursor, Next};
use super::tree::Item;
use crate::error::{Error, FormatError, Result};
use crate::format::content::{ContentRoot, ListOf, Record, decode_node};
use crate::format::entry::{Entry, Node};
use crate::format::header::BlobKind;
use crate::format::limits;
use crate::id::BlobId;
use crate::ops::Progress;
use crate::repo::reader::{BlobReader, describe};
use std::collections::HashSet;

/// Whether to look below.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Below {
    /// Yes, if it is a folder on either side.
    Look,
    /// No.
    Skip,
}

/// A visitor of what differs: the path, and what is there on either side. Folders that only lead to roots are nothing.
pub type Visit<'v> = dyn FnMut(&[u8], Option<&Entry>, Option<&Entry>) -> Result<Below> + 'v;

/// A child of a folder.
type Named = (Vec<u8>, Item);

/// A side of a folder, read in the order of names.
enum Side {
    Nothing,
    Stream(Cursor),
    Above(std::collections::btree_map::IntoIter<Vec<u8>, Item>),
}

impl Side {
    fn next(&mut self, reader: &BlobReader<'_>) -> Result<Option<Named>> {
        match self {
            Self::Nothing => Ok(None),
            Self::Above(children) => Ok(children.next()),
            Self::Stream(cursor) => match cursor.next(reader) {
                Next::Entry(entry) => Ok(Some((entry.name.clone(), Item::Entry(entry)))),
                Next::Gap(error) => Err(error),
                Next::End => Ok(None),
            },
        }
    }
}

/// A folder that is being walked.
struct Frame {
    sides: (Side, Side),
    /// What was read and not yet shown.
    next: (Option<Named>, Option<Named>),
    path_bytes: usize,
}

/// Walks what is at `path` on either side, and what is below. Objects that are equal in all that the snapshots have of them are not shown.
/// Memory: a blob of a stream for each side and level.
///
/// # Errors
/// What is wrong with a folder; what `visit` says; [`Error::Interrupted`].
pub fn walk(
    reader: &BlobReader<'_>,
    path: &[u8],
    sides: (Option<Item>, Option<Item>),
    progress: &dyn Progress,
    visit: &mut Visit<'_>,
) -> Result<()> {
    let mut pairs = Pairs { reader, path: path.to_vec(), stack: Vec::new(), progress, visit };
    pairs.meet(sides.0, sides.1)?;
    pairs.run()
}

struct Pairs<'p, 'r, 'v> {
    reader: &'p BlobReader<'r>,
    path: Vec<u8>,
    stack: Vec<Frame>,
    progress: &'p dyn Progress,
    visit: &'p mut Visit<'v>,
}

impl Pairs<'_, '_, '_> {
    fn run(&mut self) -> Result<()> {
        while let Some(frame) = self.stack.last_mut() {
            if self.progress.cancelled() {
                return Err(Error::Interrupted);
            }
            let (left, right) = match (frame.next.0.take(), frame.next.1.take()) {
                (Some(a), Some(b)) if a.0 < b.0 => {
                    frame.next.1 = Some(b);
                    (Some(a), None)
                }
                (Some(a), Some(b)) if a.0 > b.0 => {
                    frame.next.0 = Some(a);
                    (None, Some(b))
                }
                both => both,
            };
            self.path.truncate(frame.path_bytes);
            if left.is_some() {
                frame.next.0 = frame.sides.0.next(self.reader)?;
            }
            if right.is_some() {
                frame.next.1 = frame.sides.1.next(self.reader)?;
            }
            let Some(name) = left.as_ref().or(right.as_ref()).map(|(name, _)| name) else {
                self.stack.pop();
                continue;
            };
            if !self.path.ends_with(b"/") {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(name);
            self.meet(left.map(|(_, item)| item), right.map(|(_, item)| item))?;
        }
        Ok(())
    }

    /// Shows what is at the path, if it differs, and goes below.
    fn meet(&mut self, old: Option<Item>, new: Option<Item>) -> Result<()> {
        let entries = (old.as_ref().and_then(Item::entry), new.as_ref().and_then(Item::entry));
        let is_shown = match entries {
            (Some(a), Some(b)) => a != b,
            (None, None) => false,
            _ => true,
        };
        let below = if is_shown { (self.visit)(&self.path, entries.0, entries.1)? } else { Below::Look };
        let is_dir = |item: &Option<Item>| item.as_ref().is_some_and(Item::is_dir);
        if below == Below::Skip || !(is_dir(&old) || is_dir(&new)) {
            return Ok(());
        }
        let mut sides = match (&old, &new) {
            (Some(a), Some(b)) => match (a.content(), b.content()) {
                (Some(a), Some(b)) if a == b => return Ok(()),
                (Some(a), Some(b)) => {
                    let (a, b) = differing(self.reader, a, b)?;
                    (Side::Stream(Cursor::of_blobs(a)), Side::Stream(Cursor::of_blobs(b)))
                }
                _ => (side(old), side(new)),
            },
            _ => (side(old), side(new)),
        };
        if self.stack.len() >= limits::DIRECTORY_DEPTH {
            let object = String::from_utf8_lossy(&self.path).into_owned();
            return Err(Error::format(object, FormatError::Invalid("its folders are nested too deep")));
        }
        let next = (sides.0.next(self.reader)?, sides.1.next(self.reader)?);
        let path_bytes = if self.path == b"/" { 0 } else { self.path.len() };
        self.stack.push(Frame { sides, next, path_bytes });
        Ok(())
    }
}

fn side(item: Option<Item>) -> Side {
    match item {
        Some(Item::Above(children)) => Side::Above(children.into_iter()),
        Some(Item::Entry(entry)) => match entry.node {
            Node::Dir(root) => Side::Stream(Cursor::new(root)),
            _ => Side::Nothing,
        },
        None => Side::Nothing,
    }
}

/// The blobs of two directory streams that only one of them has. Others hold the same names with the same entries on both sides, as streams are in order.
fn differing(reader: &BlobReader<'_>, a: &ContentRoot, b: &ContentRoot) -> Result<(Vec<Record>, Vec<Record>)> {
    let (mut a, mut b) = ((a.depth, a.records.clone()), (b.depth, b.records.clone()));
    loop {
        if a.0 == b.0 {
            let ids = |list: &[Record]| list.iter().map(|record| record.id).collect::<HashSet<BlobId>>();
            let (in_a, in_b) = (ids(&a.1), ids(&b.1));
            a.1.retain(|record| !in_b.contains(&record.id));
            b.1.retain(|record| !in_a.contains(&record.id));
            if a.0 == 0 {
                return Ok((a.1, b.1));
            }
        }
        let depth = a.0.max(b.0);
        for list in [&mut a, &mut b] {
            if list.0 == depth {
                *list = expand(reader, depth, &list.1)?;
            }
        }
    }
}

/// The records one level below.
fn expand(reader: &BlobReader<'_>, depth: u8, records: &[Record]) -> Result<(u8, Vec<Record>)> {
    let below = depth.saturating_sub(1);
    let mut out = Vec::new();
    for record in records {
        let node = reader.node(&record.id)?;
        let decoded = decode_node(&node, below, ListOf::Directory);
        let (records, _) = decoded.map_err(|e| Error::format(describe(BlobKind::Tree, &record.id), e))?;
        out.extend(records);
    }
    Ok((below, out))
}
