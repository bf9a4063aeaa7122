//! The second phase (spec 11.7): index objects are replaced, then packs removed, then gc objects.

use super::catalogue::{Catalogue, read_index};
use super::survey::Survey;
use crate::error::{Error, Result, StoreError};
use crate::format::cert::SignerRole;
use crate::format::gc::Gc;
use crate::format::header::Kind;
use crate::format::index::{Index, PackRecord};
use crate::format::name::Name;
use crate::format::time::Time;
use crate::id::{ObjectId, WriterName};
use crate::ops::forget::write_gc;
use crate::ops::{Progress, Totals};
use crate::prune::sweep::LISTING_SECS;
use crate::repo::Repository;
use crate::seal::{self, Signer};
use crate::state::State;
use std::collections::{BTreeMap, HashMap};

/// Index objects are put together up to so many blobs.
const JOINED_BLOBS: u64 = 300_000;
/// One with fewer is small.
const SMALL_BLOBS: u64 = 100_000;
/// So many small ones of a folder are put together though nothing is removed.
const SMALL_MANY: usize = 50;
/// Packs in a joint index object.
const JOINED_PACKS: usize = 20_000;

/// What a sweep did.
#[derive(Default)]
pub(super) struct Swept {
    pub removed_packs: u64,
    pub removed_bytes: u64,
    pub removed_index_objects: u64,
    /// What was written, with the numbers of the packs in it.
    pub written: Vec<(Name, Vec<u32>)>,
    /// Index objects that these replace.
    pub replaced: Vec<Name>,
}

/// Carries a sweep out.
pub(super) struct Sweep<'a> {
    pub repo: &'a Repository,
    pub survey: &'a Survey,
    pub catalogue: &'a Catalogue,
    /// By pack, whether it goes.
    pub removed: &'a [bool],
    pub progress: &'a dyn Progress,
}

impl Sweep<'_> {
    /// Replaces index objects and removes packs.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Interrupted`].
    pub fn run(&self) -> Result<Swept> {
        let mut swept = Swept::default();
        self.indexes(&mut swept)?;
        let going: Vec<u32> = (0u32..).zip(self.removed).filter(|(_, goes)| **goes).map(|(n, _)| n).collect();
        self.progress.stage("remove packs", Totals { files: Some(going.len() as u64), bytes: None });
        for number in going {
            let pack = &self.catalogue.packs[number as usize];
            let Some(name) = self.catalogue.name(number).filter(|_| pack.facts.listed) else { continue };
            self.go_on()?;
            if remove_unless_locked(self.repo, &name)? {
                swept.removed_packs += 1;
                swept.removed_bytes += pack.facts.size_bytes;
            }
            self.progress.advance(1, pack.facts.size_bytes);
        }
        Ok(swept)
    }

    fn go_on(&self) -> Result<()> {
        if self.progress.cancelled() {
            return Err(Error::Interrupted);
        }
        if self.survey.age_secs() > LISTING_SECS {
            let what = "the listings by which packs are removed are 12 hours old: run it again, it carries on where it stopped";
            return Err(Error::Usage(what.into()));
        }
        Ok(())
    }

    /// Writes index objects that no longer name what goes, and removes those that they replace; puts small ones together on the way.
    fn indexes(&self, swept: &mut Swept) -> Result<()> {
        let mut affected = vec![false; self.catalogue.indexes.len()];
        for (pack, _) in self.catalogue.packs.iter().zip(self.removed).filter(|(_, goes)| **goes) {
            pack.named_by.iter().for_each(|n| affected[*n as usize] = true);
        }
        let mut folders: BTreeMap<&WriterName, Vec<u32>> = BTreeMap::new();
        for (number, object) in (0u32..).zip(&self.catalogue.indexes) {
            if let Name::Index(writer, _) = &object.name {
                folders.entry(writer).or_default().push(number);
            }
        }
        for (writer, objects) in folders {
            let of = |n: &u32| &self.catalogue.indexes[*n as usize];
            let superseded: Vec<u32> = objects.iter().copied().filter(|n| of(n).superseded).collect();
            let is_small = |n: &&u32| !of(n).superseded && of(n).blobs < SMALL_BLOBS;
            let small = objects.iter().filter(is_small).count();
            let is_hit = objects.iter().any(|n| affected[*n as usize] && !of(n).superseded);
            let joins = (is_hit && small > 1) || small >= SMALL_MANY;
            let chosen: Vec<u32> = objects
                .iter()
                .copied()
                .filter(|n| !of(n).superseded && (affected[*n as usize] || (joins && of(n).blobs < SMALL_BLOBS)))
                .collect();
            if chosen.is_empty() && superseded.is_empty() {
                continue;
            }
            self.progress.stage("replace index objects", Totals { files: Some(chosen.len() as u64), bytes: None });
            self.replace(writer, &chosen, swept)?;
            // What replaces these is there and was read.
            for number in chosen.iter().chain(&superseded) {
                self.go_on()?;
                swept.removed_index_objects += u64::from(remove_unless_locked(self.repo, &of(number).name)?);
                swept.replaced.push(of(number).name.clone());
            }
        }
        Ok(())
    }

    fn replace(&self, writer: &WriterName, objects: &[u32], swept: &mut Swept) -> Result<()> {
        let signer = self.repo.keys().signer(Some(writer))?;
        let mut joint = Joint::default();
        for number in objects {
            self.go_on()?;
            let name = &self.catalogue.indexes[*number as usize].name;
            let (Some((index, role)), Some(id)) = (read_index(self.repo, self.survey, name)?, name.id()) else {
                continue;
            };
            joint.superseded.push(id);
            for record in index.packs {
                let number = self.catalogue.number_of(&record.writer, &record.id);
                if number.is_none_or(|number| !self.removed[number as usize]) {
                    joint.add(record, role);
                }
            }
            if joint.blobs >= JOINED_BLOBS || joint.packs.len() >= JOINED_PACKS {
                self.write(&signer, &mut joint, swept)?;
            }
            self.progress.advance(1, 0);
        }
        self.write(&signer, &mut joint, swept)?;
        Ok(())
    }

    /// Writes what was put together; nothing where nothing is left to be named.
    fn write(&self, signer: &Signer, joint: &mut Joint, swept: &mut Swept) -> Result<()> {
        let Joint { packs, superseded, .. } = std::mem::take(joint);
        if packs.is_empty() {
            return Ok(());
        }
        let packs: Vec<PackRecord> = packs.into_values().collect();
        let numbers = packs.iter().filter_map(|p| self.catalogue.number_of(&p.writer, &p.id)).collect();
        let plaintext = Index { packs, superseded }.encode();
        let epoch = self.repo.keys().current_epoch();
        let object = signer.seal(Kind::Index, epoch, plaintext, &mut seal::system_random());
        let name = Name::Index(signer.writer().clone(), ObjectId::of(&object));
        self.go_on()?;
        self.repo.put(&name, &object)?;
        swept.written.push((name, numbers));
        Ok(())
    }
}

/// An index object that is put together.
#[derive(Default)]
struct Joint {
    packs: BTreeMap<(WriterName, ObjectId, [u8; 32]), PackRecord>,
    superseded: Vec<ObjectId>,
    blobs: u64,
}

impl Joint {
    /// Takes a record in, as an admin repeats it: what a writer says becomes no truer by that (spec 7).
    fn add(&mut self, mut record: PackRecord, role: SignerRole) {
        if role == SignerRole::Writer {
            (record.checked, record.repeated) = (false, record.checked);
        }
        // Records that differ about a pack are both kept.
        let toc = *blake3::hash(&crate::format::pack::encode_toc(&record.segments)).as_bytes();
        let blobs: usize = record.segments.iter().map(|segment| segment.blobs.len()).sum();
        match self.packs.entry((record.writer.clone(), record.id, toc)) {
            std::collections::btree_map::Entry::Vacant(vacant) => {
                vacant.insert(record);
                self.blobs += blobs as u64;
            }
            std::collections::btree_map::Entry::Occupied(mut known) => {
                let known = known.get_mut();
                known.checked |= record.checked;
                known.repeated |= record.repeated;
            }
        }
    }
}

/// As [`remove`]; what is locked stays, and a later run removes it. Whether it is gone.
///
/// # Errors
/// [`Error::Store`].
pub(crate) fn remove_unless_locked(repo: &Repository, name: &Name) -> Result<bool> {
    match remove(repo, name) {
        Err(Error::Store { source: StoreError::Locked(_), .. }) => Ok(false),
        done => done.map(|()| true),
    }
}

/// Removes an object; it may be gone already.
///
/// # Errors
/// [`Error::Store`].
pub(crate) fn remove(repo: &Repository, name: &Name) -> Result<()> {
    match repo.backend().delete(&name.to_string()) {
        Ok(()) | Err(StoreError::NotFound) => Ok(()),
        Err(error) => Err(Error::store("remove", name, error)),
    }
}

/// Under which name the state keeps since when a gc object's packs are gone.
fn note(id: &ObjectId) -> Vec<u8> {
    [b"emptied ", &id.0[..]].concat()
}

/// Removes the gc objects whose packs were gone already when this run listed them, for a day or more; and notes from when on the others are. Returns how many.
///
/// # Errors
/// [`Error::Store`], [`Error::State`].
pub(super) fn tidy_gc(
    repo: &Repository,
    state: &State,
    signer: &Signer,
    survey: &Survey,
    catalogue: &Catalogue,
    (began, now): (Time, Time),
    removed: &[bool],
) -> Result<u64> {
    let mut count = 0;
    let there: HashMap<ObjectId, (bool, bool)> = (catalogue.packs.iter().zip(removed))
        .map(|(pack, goes)| (pack.id, (pack.facts.listed || pack.facts.named, *goes)))
        .collect();
    for object in &survey.gc {
        let Some(facts) = object.facts().filter(|facts| facts.is_due(began)) else { continue };
        let state_of = |id: &ObjectId| there.get(id).copied().unwrap_or_default();
        let is_there = object.packs().any(|(_, id)| state_of(id).0);
        let stays = object.packs().any(|(_, id)| matches!(state_of(id), (true, false)));
        if stays {
            continue;
        }
        let known = state.note(&note(&object.id))?.and_then(|bytes| <[u8; 8]>::try_from(&bytes[..]).ok());
        let since = known.map(|bytes| Time { secs: i64::from_le_bytes(bytes), nanos: 0 });
        if is_there || since.is_none() {
            // From now on they are gone; if they were when this began, it may well be for longer.
            let since = if is_there { now } else { began };
            state.set_notes(&[(note(&object.id), since.secs.to_le_bytes().to_vec())])?;
        }
        let is_locked = repo.backend().is_locked(&Name::Gc(object.id).to_string());
        if object.says_more || is_locked || !facts.may_go(is_there, since, began) {
            continue;
        }
        let rest = Gc { condemned: None, ..object.gc.clone() };
        if !rest.is_empty() {
            // What else it says must hold all the time.
            write_gc(repo, signer, &rest)?;
        }
        count += u64::from(remove_unless_locked(repo, &Name::Gc(object.id))?);
    }
    Ok(count)
}
