//! What a snapshot has: a sample of its files, its subvolumes and how large they are, the databases in it.

use super::sample::{Candidate, Dice, Sample, pattern_of};
use crate::error::{Error, Result};
use crate::format::entry::{Entry, FileKind};
use crate::format::snapshot::Manifest;
use crate::ops::list::list;
use crate::ops::{Progress, Totals};
use crate::repo::reader::BlobReader;
use std::collections::BTreeSet;

/// A subvolume, a file system, or a source that is neither, without what lies below it and is one of these itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Unit {
    pub path: Vec<u8>,
    pub files: u64,
    pub bytes: u64,
}

/// A folder of a database.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Database {
    pub path: Vec<u8>,
    pub is_postgresql: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub sample: Vec<Candidate>,
    pub units: Vec<Unit>,
    pub databases: Vec<Database>,
}

#[derive(Default)]
struct Walk {
    /// Those around what is looked at, the innermost last.
    open: Vec<Unit>,
    units: Vec<Unit>,
    postgresql: BTreeSet<Vec<u8>>,
    redis: BTreeSet<Vec<u8>>,
}

/// Whether `path` is `above` or lies below it.
pub(super) fn lies_in(path: &[u8], above: &[u8]) -> bool {
    above == b"/" || path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

fn parent(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|b| *b == b'/') {
        Some(0) | None => b"/",
        Some(at) => &path[..at],
    }
}

impl Walk {
    fn see(&mut self, path: &[u8], entry: &Entry, is_root: bool) {
        while self.open.last().is_some_and(|unit| !lies_in(path, &unit.path)) {
            self.units.extend(self.open.pop());
        }
        if is_root || entry.boundary.is_some() {
            self.open.push(Unit { path: path.to_owned(), ..Unit::default() });
        }
        let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
        match (entry.kind(), name) {
            // In every data folder, and in the folders of its databases (PostgreSQL's "Database File Layout").
            (FileKind::File, b"PG_VERSION") => {
                let folder = parent(path);
                // The data folder's own comes first: names are in order.
                if !self.postgresql.iter().any(|above| lies_in(folder, above)) {
                    self.postgresql.insert(folder.to_owned());
                }
            }
            // Redis' snapshot, and the folder of its append-only files.
            (FileKind::File, b"dump.rdb") | (FileKind::Dir, b"appendonlydir") => {
                self.redis.insert(parent(path).to_owned());
            }
            _ => {}
        }
        if entry.kind() == FileKind::File
            && let Some(unit) = self.open.last_mut()
        {
            unit.files += 1;
            unit.bytes += entry.size_bytes();
        }
    }
}

/// Looks at all of a snapshot. The sample has `files` files of at most `bytes` bytes; those whose names no pattern can say are as good as the others.
///
/// # Errors
/// What is wrong with the trees; [`Error::Interrupted`].
pub(super) fn survey(
    reader: &BlobReader<'_>,
    manifest: &Manifest,
    (files, bytes): (usize, u64),
    now_secs: i64,
    dice: &mut Dice,
    progress: &dyn Progress,
) -> Result<Survey> {
    progress.stage("choose files", Totals::default());
    let (mut sample, mut walk) = (Sample::new(files, now_secs), Walk::default());
    let roots: BTreeSet<&[u8]> = manifest.roots.iter().map(|root| &root.path[..]).collect();
    list(reader, manifest, None, true, &mut |path, entry| {
        if progress.cancelled() {
            return Err(Error::Interrupted);
        }
        walk.see(path, entry, roots.contains(path));
        if entry.kind() == FileKind::File && pattern_of(path).is_some() {
            let size_bytes = entry.size_bytes();
            sample.offer(Candidate { path: path.to_vec(), size_bytes, mtime_secs: entry.mtime.secs }, dice);
        }
        Ok(())
    })?;
    walk.units.append(&mut walk.open);
    walk.units.retain(|unit| unit.files > 0);
    walk.units.sort_by(|a, b| a.path.cmp(&b.path));
    let database = |is_postgresql: bool| move |path| Database { path, is_postgresql };
    let mut databases: Vec<Database> = walk.postgresql.into_iter().map(database(true)).collect();
    databases.extend(walk.redis.into_iter().map(database(false)));
    databases.sort();
    Ok(Survey { sample: sample.take(bytes), units: walk.units, databases })
}

/// Files and bytes at `path` of a snapshot.
///
/// # Errors
/// [`Error::Usage`] when there is no such path; what is wrong with the trees; [`Error::Interrupted`].
pub(super) fn size_of(
    reader: &BlobReader<'_>,
    manifest: &Manifest,
    path: &[u8],
    progress: &dyn Progress,
) -> Result<u64> {
    let mut bytes = 0;
    list(reader, manifest, Some(path), true, &mut |_, entry| {
        bytes += entry.size_bytes();
        if progress.cancelled() { Err(Error::Interrupted) } else { Ok(()) }
    })?;
    Ok(bytes)
}
