//! `repair index`: packs that no sound index object names are named by a new one, made from their own tables of contents; index objects that are
//! damaged are superseded.
//!
//! Of each pack the two ends are read, not what is between them. So nobody has looked at the blobs, and no backup relies on them (spec 7) unless this
//! machine has verified the pack before, or they are read here.

use super::{Problem, need_admin};
use crate::error::{Error, FormatError, Result};
use crate::format::cert::SignerRole;
use crate::format::index::{Index, PackRecord};
use crate::format::name::Name;
use crate::id::{ObjectId, WriterName};
use crate::ops::storing::write_index;
use crate::ops::{Progress, Totals};
use crate::repo::Repository;
use crate::repo::statements::Statements;
use crate::repo::table::PackTable;
use crate::state::State;
use std::collections::{BTreeMap, HashSet};

/// An index object is written when so many blobs wait for it, or so many packs.
const INDEX_BLOBS: usize = 400_000;
const INDEX_PACKS: usize = 60_000;

/// How to repair the index.
#[derive(Clone, Copy, Debug, Default)]
pub struct IndexOptions {
    /// Read the packs that are to be named whole, so that backups may rely on them.
    pub read_data: bool,
}

/// What is to be done, and what was.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct IndexReport {
    /// Index objects that are damaged, not yet superseded.
    pub damaged: Vec<Problem>,
    /// Packs that no index object names, and that no gc object condemns.
    pub unnamed_packs: u64,
    /// Their bytes.
    pub unnamed_bytes: u64,
    /// Packs that are named now.
    pub named_packs: u64,
    /// Blobs in them.
    pub named_blobs: u64,
    /// Of the packs, those on which backups may rely: every blob was checked, now or before.
    pub checked_packs: u64,
    /// Packs that do not say what is in them, or not what is right.
    pub unreadable: Vec<Problem>,
    /// Index objects that were written.
    pub written: Vec<ObjectId>,
    /// Bytes read of packs.
    pub read_bytes: u64,
    /// Whether nothing was to be changed.
    pub dry_run: bool,
}

impl IndexReport {
    /// Whether there is nothing to do.
    pub fn is_sound(&self) -> bool {
        self.damaged.is_empty() && self.unnamed_packs == 0
    }
}

/// What the listing shows, and what sound index objects say.
struct Found {
    statements: Statements,
    /// Damaged, by writer.
    damaged: BTreeMap<WriterName, Vec<ObjectId>>,
    unnamed: BTreeMap<WriterName, Vec<(Name, u64)>>,
}

/// Repairs the index. `agree` is shown what is to be done, and says whether it shall be; it is not asked when there is nothing to do.
///
/// # Errors
/// [`Error::Role`] unless an admin asks; [`Error::Store`]; what is wrong with a gc object.
pub fn repair_index(
    repo: &Repository,
    state: &State,
    options: &IndexOptions,
    progress: &dyn Progress,
    agree: &mut dyn FnMut(&IndexReport) -> Result<bool>,
) -> Result<IndexReport> {
    need_admin(repo)?;
    let mut report = IndexReport::default();
    let found = look(repo, &mut report, progress)?;
    if report.is_sound() {
        return Ok(report);
    }
    if !agree(&report)? {
        report.dry_run = true;
        return Ok(report);
    }
    // Readings are a cache: without them less is checked.
    let verified = state.verified().load().unwrap_or_default();
    let is_verified = |id: &ObjectId| verified.get(id).is_some_and(|reading| reading.sound);
    let totals = Totals { files: Some(report.unnamed_packs), bytes: options.read_data.then_some(report.unnamed_bytes) };
    progress.stage("read the packs' tables", totals);
    let writers: HashSet<&WriterName> = found.damaged.keys().chain(found.unnamed.keys()).collect();
    let mut writers: Vec<&WriterName> = writers.into_iter().collect();
    writers.sort();
    for writer in writers {
        let signer = repo.keys().signer(Some(writer))?;
        let write = |packs: &mut Vec<PackRecord>, superseded: Vec<ObjectId>, report: &mut IndexReport| {
            let index = Index { packs: std::mem::take(packs), superseded };
            report.written.push(write_index(repo, &signer, &index)?);
            Ok::<(), Error>(())
        };
        let (mut packs, mut blobs) = (Vec::new(), 0);
        for (name, size_bytes) in found.unnamed.get(writer).into_iter().flatten() {
            if progress.cancelled() {
                return Err(Error::Interrupted);
            }
            match read(repo, name, *size_bytes, options, &is_verified, &mut report) {
                Ok(table) => {
                    let count: usize = table.record.segments.iter().map(|s| s.blobs.len()).sum();
                    report.named_packs += 1;
                    report.named_blobs += count as u64;
                    report.checked_packs += u64::from(table.record.checked);
                    blobs += count;
                    packs.push(table.record);
                }
                Err(error @ (Error::Damaged { .. } | Error::Newer { .. } | Error::Missing(_))) => {
                    progress.warn(&Problem::new(name, &error).what);
                    report.unreadable.push(Problem::new(name, &error));
                }
                Err(error) => return Err(error),
            }
            progress.advance(1, if options.read_data { *size_bytes } else { 0 });
            if blobs >= INDEX_BLOBS || packs.len() >= INDEX_PACKS {
                write(&mut packs, Vec::new(), &mut report)?;
                blobs = 0;
            }
        }
        let superseded = found.damaged.get(writer).cloned().unwrap_or_default();
        // What is superseded is so only once everything is named.
        if !packs.is_empty() || !superseded.is_empty() {
            write(&mut packs, superseded, &mut report)?;
        }
    }
    // What this machine has learnt is brought up to date now, not in the night.
    repo.sync(state, None, &found.statements)?;
    Ok(report)
}

/// What a pack says of itself; with all its blobs checked if that is wanted.
fn read(
    repo: &Repository,
    name: &Name,
    size_bytes: u64,
    options: &IndexOptions,
    is_verified: &dyn Fn(&ObjectId) -> bool,
    report: &mut IndexReport,
) -> Result<PackTable> {
    let mut table = repo.read_table(name, size_bytes)?;
    report.read_bytes += table.read_bytes;
    table.record.checked = name.id().is_some_and(|id| is_verified(&id));
    if options.read_data && !table.record.checked {
        // The table is sound: what is bad in a segment is for `repair packs` to find.
        match repo.check_blobs(name, &mut table) {
            Ok(read_bytes) => report.read_bytes += read_bytes,
            Err(error @ (Error::Damaged { .. } | Error::Newer { .. })) => {
                report.unreadable.push(Problem::new(name, &error));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(table)
}

fn look(repo: &Repository, report: &mut IndexReport, progress: &dyn Progress) -> Result<Found> {
    progress.stage("listing", Totals::default());
    let statements = repo.statements()?;
    let (mut index, mut packs) = (Vec::new(), Vec::new());
    for (name, size_bytes) in repo.list("")? {
        match name {
            Name::Index(..) => index.push(name),
            Name::Pack(..) => packs.push((name, size_bytes)),
            _ => {}
        }
    }
    progress.stage("index objects", Totals { files: Some(index.len() as u64), bytes: None });
    let (mut named, mut superseded, mut bad) = (HashSet::new(), HashSet::new(), Vec::new());
    for name in index {
        let Name::Index(writer, id) = &name else { continue };
        let read = repo.signed(&name, |opened| {
            let index = Index::decode(&opened.plaintext)?;
            let is_admin = opened.cert.role == SignerRole::Admin;
            if !is_admin && index.packs.iter().any(|pack| pack.writer != *writer) {
                return Err(FormatError::Invalid("it names packs of another writer"));
            }
            // What a revoked key has signed counts as not there; but the packs are nobody's to bring back.
            Ok((statements.refuses(&opened.cert, id), index))
        });
        match read {
            Ok((is_refused, index)) => {
                named.extend(index.packs.iter().map(|pack| pack.id));
                if !is_refused {
                    superseded.extend(index.superseded.into_iter().map(|id| (writer.clone(), id)));
                }
            }
            Err(error @ Error::Damaged { .. }) => bad.push((writer.clone(), *id, Problem::new(&name, &error))),
            Err(Error::Missing(_)) => {}
            // One that needs a newer program, too: what it names would be named a second time, and less well.
            Err(error) => return Err(error),
        }
        progress.advance(1, 0);
    }
    let mut found = Found { statements, damaged: BTreeMap::new(), unnamed: BTreeMap::new() };
    for (writer, id, problem) in bad {
        if !superseded.contains(&(writer.clone(), id)) {
            progress.warn(&problem.what);
            report.damaged.push(problem);
            found.damaged.entry(writer).or_default().push(id);
        }
    }
    for (name, size_bytes) in packs {
        let Name::Pack(writer, id) = &name else { continue };
        if !named.contains(id) && !found.statements.condemned.contains(id) {
            report.unnamed_packs += 1;
            report.unnamed_bytes += size_bytes;
            found.unnamed.entry(writer.clone()).or_default().push((name, size_bytes));
        }
    }
    Ok(found)
}
