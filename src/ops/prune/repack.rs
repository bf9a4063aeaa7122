//! What is needed of packs is stored anew, in the folders of the same writers, and named by index objects (spec 11.6).

use super::catalogue::{Catalogue, read_index};
use super::survey::Survey;
use crate::error::{Error, Result};
use crate::format::index::PackRecord;
use crate::format::name::Name;
use crate::id::ObjectId;
use crate::ops::Progress;
use crate::repo::Repository;
use crate::repo::dedup::Dedup;
use crate::repo::reader::{BlobReader, SegmentId};
use crate::repo::writer::{AUTO, BlobWriter, WriteOptions, WriteStats, with_writer};
use crate::state::State;
use crate::state::blobs::Place;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Mutex;

/// Data packs are ended at this size.
const DATA_PACK_BYTES: u64 = 60 << 20;
/// Tree packs are ended at this size.
const TREE_PACK_BYTES: u64 = 16 << 20;

/// What repacking did.
#[derive(Default)]
pub(super) struct Repacked {
    /// Packs of which everything that is needed is stored elsewhere now.
    pub done: Vec<u32>,
    pub packs: u64,
    pub pack_bytes: u64,
    pub problems: Vec<String>,
}

/// Reads, checks and stores anew.
pub(super) struct Repack<'a> {
    pub repo: &'a Repository,
    pub survey: &'a Survey,
    pub catalogue: &'a Catalogue,
    pub reader: &'a BlobReader<'a>,
    /// A state of its own: what a killed run has stored is found in it by the next.
    pub state: &'a State,
    pub threads: usize,
    pub progress: &'a dyn Progress,
}

impl Repack<'_> {
    /// Repacks these packs, folder by folder.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::State`], [`Error::Interrupted`]. A pack of which something cannot be read is left alone; that is a problem of the report.
    pub fn run(&self, packs: &[u32]) -> Result<Repacked> {
        let mut all = Repacked::default();
        let mut folders: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for number in packs {
            folders.entry(self.catalogue.packs[*number as usize].folder).or_default().push(*number);
        }
        for (folder, packs) in folders {
            let mut found = Repacked::default();
            let stats = self.folder(folder, &packs, &mut found)?;
            all.done.append(&mut found.done);
            all.problems.append(&mut found.problems);
            all.packs += stats.packs;
            all.pack_bytes += stats.pack_bytes;
        }
        Ok(all)
    }

    fn folder(&self, folder: u32, packs: &[u32], found: &mut Repacked) -> Result<WriteStats> {
        let writer = &self.catalogue.folders[folder as usize];
        let signer = self.repo.keys().signer(Some(writer))?;
        // What an earlier run stored may be gone.
        self.state.clear()?;
        let session = self.state.begin_session()?;
        let dedup = Mutex::new(Dedup::new(self.state.blob_view()?, HashSet::new()));
        let options = WriteOptions {
            level: AUTO,
            threads: self.threads,
            data_pack_bytes: DATA_PACK_BYTES,
            tree_pack_bytes: TREE_PACK_BYTES,
            spool: self.state.path().with_file_name("spool"),
            dry_run: false,
        };
        let done = with_writer(self.repo, self.state, &signer, session, &dedup, Vec::new(), &options, |blobs| {
            let mut wanted: BTreeSet<u32> = packs.iter().copied().collect();
            let objects: BTreeSet<u32> =
                packs.iter().filter_map(|n| self.catalogue.packs[*n as usize].named_by.last().copied()).collect();
            for object in objects {
                let name = &self.catalogue.indexes[object as usize].name;
                let Some((index, _)) = read_index(self.repo, self.survey, name)? else { continue };
                for record in &index.packs {
                    let number = self.catalogue.number_of(&record.writer, &record.id);
                    let Some(number) = number.filter(|number| wanted.remove(number)) else { continue };
                    match self.pack(number, record, blobs) {
                        Ok(()) => found.done.push(number),
                        Err(error @ (Error::Damaged { .. } | Error::Missing(_) | Error::Newer { .. })) => {
                            found.problems.push(with_causes(&error));
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
            Ok(())
        });
        let ((), stats) = done?;
        self.state.end_session(session)?;
        Ok(stats)
    }

    /// Stores anew what is needed of a pack.
    fn pack(&self, number: u32, record: &PackRecord, blobs: &mut BlobWriter<'_>) -> Result<()> {
        if self.progress.cancelled() {
            return Err(Error::Interrupted);
        }
        let name = || Name::Pack(record.writer.clone(), record.id).to_string();
        let known = self.reader.view().number(&record.id)?.ok_or_else(|| Error::Missing(name()))?;
        let mut segments: Vec<(u16, Vec<Place>)> = Vec::new();
        let mut ids = Vec::new();
        for (ordinal, segment) in (0u16..).zip(&record.segments) {
            let (mut offset, mut places) = (0, Vec::new());
            for (id, len_bytes) in &segment.blobs {
                if self.catalogue.stays(id, number) {
                    places.push(Place { pack: known, segment: ordinal, offset, len_bytes: *len_bytes });
                    ids.push(*id);
                }
                offset += len_bytes;
            }
            if !places.is_empty() {
                segments.push((ordinal, places));
            }
        }
        let needed: Vec<SegmentId> = segments.iter().map(|(ordinal, _)| (known, *ordinal)).collect();
        self.reader.announce(&needed);
        let mut ids = ids.into_iter();
        for (ordinal, places) in segments {
            let segment = self.reader.segment(known, ordinal)?;
            for (place, id) in places.iter().zip(ids.by_ref()) {
                let blob = self.reader.take(&segment, place, record.kind, &id, u64::from(place.len_bytes))?;
                blobs.add(record.kind, id, &blob)?;
            }
        }
        self.progress.advance(1, record.size_bytes);
        Ok(())
    }
}

/// Names the packs that a killed run has stored and no index object names, so that they are not stored again. Returns how many.
///
/// # Errors
/// [`Error::Store`], [`Error::State`].
pub(super) fn resume(repo: &Repository, state: &State, condemned: &HashSet<ObjectId>) -> Result<u64> {
    let mut left = state.packs_in_flight()?;
    left.extend(state.stored_packs()?);
    if left.is_empty() {
        return Ok(0);
    }
    // gc/ was listed before: a pack that is confirmed long ago may have been condemned as an orphan (spec 11.3, 2).
    let names: Vec<String> = left.iter().map(|p| Name::Pack(p.writer.clone(), p.id).to_string()).collect();
    let sizes =
        repo.backend().sizes(&names).map_err(|e| Error::store("look for packs at", repo.backend().location(), e))?;
    let mut folders: BTreeMap<_, BTreeMap<ObjectId, PackRecord>> = BTreeMap::new();
    let mut gone = Vec::new();
    for (pack, size_bytes) in left.into_iter().zip(sizes) {
        if size_bytes == Some(pack.size_bytes) && !condemned.contains(&pack.id) {
            folders.entry(pack.writer.clone()).or_default().insert(pack.id, pack);
        } else {
            gone.push(pack.id);
        }
    }
    state.settle_in_flight(&[])?;
    state.forget_stored(&gone)?;
    let mut count = 0;
    for (writer, packs) in folders {
        count += packs.len() as u64;
        let packs: Vec<PackRecord> = packs.into_values().collect();
        let object = repo.write_index(&repo.keys().signer(Some(&writer))?, packs.clone())?;
        state.note_indexed(packs, object)?;
    }
    Ok(count)
}

/// An error and its causes on one line.
pub(super) fn with_causes(error: &Error) -> String {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
