//! All copies of all blobs, in 24 bytes each, and which blobs snapshots reach.

use super::survey::{ListedPack, Survey};
use crate::error::{Error, FormatError, Result};
use crate::format::cert::SignerRole;
use crate::format::header::BlobKind;
use crate::format::index::{Index, PackRecord};
use crate::format::name::Name;
use crate::format::time::Time;
use crate::id::{BlobId, ObjectId, WriterName};
use crate::ops::Progress;
use crate::prune::{BlobCopy, PackFacts, Trust};
use crate::repo::Repository;
use crate::state::blobs::{BlobKey, key_of};
use std::collections::{HashMap, HashSet};

/// A copy of a blob. In the order of blobs, then of packs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Known {
    key: BlobKey,
    pack: u32,
    len_bytes: u32,
}

impl BlobCopy for Known {
    fn pack(&self) -> u32 {
        self.pack
    }
    fn len_bytes(&self) -> u32 {
        self.len_bytes
    }
}

/// A bit for each copy.
#[derive(Clone, Default)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    fn new(len: usize) -> Self {
        Self(vec![0; len.div_ceil(64)])
    }

    fn get(&self, at: usize) -> bool {
        self.0.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    /// Sets a bit. Whether it was not set.
    fn set(&mut self, at: usize) -> bool {
        let Some(word) = self.0.get_mut(at / 64) else { return false };
        let was = *word >> (at % 64) & 1 == 1;
        *word |= 1 << (at % 64);
        !was
    }
}

/// A pack.
pub(crate) struct Pack {
    pub id: ObjectId,
    /// The number of its writer.
    pub folder: u32,
    pub facts: PackFacts,
    /// Index objects that name it.
    pub named_by: Vec<u32>,
}

/// An index object that counts.
pub(crate) struct IndexObject {
    pub name: Name,
    /// Blobs that it names.
    pub blobs: u64,
    /// Whether an index object of an admin that is there replaces it.
    pub superseded: bool,
}

/// Everything that index objects say, and all packs that are listed or condemned.
#[derive(Default)]
pub(crate) struct Catalogue {
    pub folders: Vec<WriterName>,
    /// By id.
    pub packs: Vec<Pack>,
    pub indexes: Vec<IndexObject>,
    known: Vec<Known>,
    /// By group, which blobs its snapshots reach: the bit of the blob's first copy.
    live: Vec<Bits>,
    /// Which copies stay.
    kept: Bits,
    numbers: HashMap<(u32, ObjectId), u32>,
}

/// Writers beyond this number share the group of those who rely on everybody.
const GROUPS: usize = 63;

impl Catalogue {
    /// Reads all index objects.
    ///
    /// # Errors
    /// [`Error::Store`]; what is wrong with one of them: none may be passed over but those that an admin's supersedes.
    pub fn load(repo: &Repository, survey: &Survey, now: Time, progress: &dyn Progress) -> Result<Self> {
        let mut all = Self::default();
        let (mut superseded, mut damaged) = (HashSet::new(), Vec::new());
        for (name, size_bytes) in &survey.index {
            if progress.cancelled() {
                return Err(Error::Interrupted);
            }
            let read = match read_index(repo, survey, name) {
                Err(error @ Error::Damaged { .. }) => {
                    damaged.push((name, error));
                    None
                }
                read => read?,
            };
            if let Some((index, role)) = read {
                let number = all.indexes.len() as u32;
                let blobs = index.packs.iter().map(|p| all.add(p, role, number)).sum();
                all.indexes.push(IndexObject { name: name.clone(), blobs, superseded: false });
                // What a writer says of its own does not make an admin remove anything.
                if let (SignerRole::Admin, Name::Index(writer, _)) = (role, name) {
                    superseded.extend(index.superseded.iter().map(|id| Name::Index(writer.clone(), *id)));
                }
            }
            progress.advance(1, *size_bytes);
        }
        for (name, error) in damaged {
            // One that a repair has replaced need not be read, and goes like any other that is replaced.
            if !superseded.contains(name) {
                return Err(error);
            }
            all.indexes.push(IndexObject { name: name.clone(), blobs: 0, superseded: true });
        }
        all.indexes.iter_mut().for_each(|object| object.superseded = superseded.contains(&object.name));
        for pack in &survey.packs {
            let number = all.number(&pack.writer, pack.id);
            let facts = &mut all.packs[number as usize].facts;
            facts.listed = true;
            facts.age_secs = pack.stored.map(|stored| now.secs.saturating_sub(stored.secs));
            if !facts.named {
                facts.size_bytes = pack.size_bytes;
            }
        }
        let due = survey.due(now);
        for (writer, id) in survey.gc.iter().flat_map(|object| object.packs()) {
            let number = all.number(writer, *id);
            let facts = &mut all.packs[number as usize].facts;
            facts.condemned = true;
            facts.due |= due.contains(id);
        }
        all.finish();
        Ok(all)
    }

    fn folder(&mut self, writer: &WriterName) -> u32 {
        let found = self.folders.iter().position(|folder| folder == writer);
        found.unwrap_or_else(|| {
            self.folders.push(writer.clone());
            self.folders.len() - 1
        }) as u32
    }

    /// The number of a pack, a new one if it is new.
    fn number(&mut self, writer: &WriterName, id: ObjectId) -> u32 {
        let folder = self.folder(writer);
        let next = self.packs.len() as u32;
        let number = *self.numbers.entry((folder, id)).or_insert(next);
        if number == next {
            let facts = PackFacts {
                group: 0,
                folder,
                kind: BlobKind::Data,
                size_bytes: 0,
                plain_bytes: 0,
                listed: false,
                named: false,
                condemned: false,
                due: false,
                age_secs: None,
                trust: Trust::Nobody,
            };
            self.packs.push(Pack { id, folder, facts, named_by: Vec::new() });
        }
        number
    }

    /// Takes a record in. Returns how many blobs it names.
    fn add(&mut self, record: &PackRecord, role: SignerRole, index: u32) -> u64 {
        let number = self.number(&record.writer, record.id);
        let pack = &mut self.packs[number as usize];
        let trust = match (role, record.checked, record.repeated) {
            (SignerRole::Admin, true, _) => Trust::All,
            (SignerRole::Writer, true, _) | (SignerRole::Admin, false, true) => Trust::Own,
            _ => Trust::Nobody,
        };
        let facts = &mut pack.facts;
        facts.trust = facts.trust.max(trust);
        (facts.named, facts.kind, facts.size_bytes) = (true, record.kind, record.size_bytes);
        facts.plain_bytes = record.segments.iter().map(|s| u64::from(s.plain_bytes)).sum();
        pack.named_by.push(index);
        let before = self.known.len();
        let blobs = record.segments.iter().flat_map(|segment| &segment.blobs);
        self.known.extend(blobs.map(|(id, len_bytes)| Known { key: key_of(id), pack: number, len_bytes: *len_bytes }));
        (self.known.len() - before) as u64
    }

    /// Numbers packs by their ids and sorts the copies.
    fn finish(&mut self) {
        let mut order: Vec<u32> = (0..self.packs.len() as u32).collect();
        order.sort_by_key(|n| (self.packs[*n as usize].id, self.packs[*n as usize].folder));
        let mut new_number = vec![0u32; order.len()];
        for (new, old) in (0u32..).zip(&order) {
            new_number[*old as usize] = new;
        }
        let mut packs: Vec<Option<Pack>> = std::mem::take(&mut self.packs).into_iter().map(Some).collect();
        self.packs = order.iter().filter_map(|old| packs[*old as usize].take()).collect();
        self.numbers.values_mut().for_each(|number| *number = new_number[*number as usize]);
        self.known.iter_mut().for_each(|known| known.pack = new_number[known.pack as usize]);
        self.known.sort_unstable();
        // Several index objects may say the same.
        self.known.dedup();
        self.known.shrink_to_fit();
        let mut groups: HashMap<u32, u8> = HashMap::new();
        for pack in self.packs.iter().filter(|pack| pack.facts.trust == Trust::Own) {
            let next = groups.len() + 1;
            groups.entry(pack.folder).or_insert(if next <= GROUPS { next as u8 } else { 0 });
        }
        for pack in &mut self.packs {
            pack.facts.group = groups.get(&pack.folder).copied().unwrap_or(0);
        }
        let most = groups.values().max().map_or(0, |group| usize::from(*group));
        self.live = vec![Bits::new(self.known.len()); most + 1];
        self.kept = Bits::new(self.known.len());
    }

    /// The group of a writer's snapshots.
    pub fn group_of(&self, writer: &WriterName) -> u8 {
        let folder = self.folders.iter().position(|folder| folder == writer);
        let of = |folder| self.packs.iter().find(|pack| pack.folder as usize == folder);
        folder.and_then(of).map_or(0, |pack| pack.facts.group)
    }

    /// The number of a pack of this name, if there is one.
    pub fn number_of(&self, writer: &WriterName, id: &ObjectId) -> Option<u32> {
        let folder = self.folders.iter().position(|folder| folder == writer)? as u32;
        self.numbers.get(&(folder, *id)).copied()
    }

    fn first(&self, key: &BlobKey) -> usize {
        self.known.partition_point(|known| known.key < *key)
    }

    /// Marks a blob as reached by snapshots of `group`. Whether it was not yet; nothing if no index object names it.
    pub fn mark(&mut self, id: &BlobId, group: u8) -> Option<bool> {
        let key = key_of(id);
        let first = self.first(&key);
        self.known.get(first).filter(|known| known.key == key)?;
        self.live.get_mut(usize::from(group)).map(|live| live.set(first))
    }

    /// The copies of each blob that is live, and the groups whose snapshots reach it, as bits.
    pub fn live(&self) -> impl Iterator<Item = (&[Known], u64)> {
        let mut first = 0;
        self.known.chunk_by(|a, b| a.key == b.key).filter_map(move |copies| {
            let at = first;
            first += copies.len();
            let groups = (0..).zip(&self.live).filter(|(_, live)| live.get(at)).map(|(n, _)| 1u64 << n);
            let groups = groups.fold(0, |all, group| all | group);
            (groups != 0).then_some((copies, groups))
        })
    }

    /// Index objects that a sweep has written name these packs now, and no other does.
    pub fn renamed(&mut self, written: Vec<(Name, Vec<u32>)>) {
        for (name, packs) in written {
            let number = self.indexes.len() as u32;
            self.indexes.push(IndexObject { name, blobs: 0, superseded: false });
            packs.iter().for_each(|pack| self.packs[*pack as usize].named_by.push(number));
        }
    }

    /// The condemned packs that have a copy of a live blob.
    pub fn condemned_of_live(&self) -> Vec<ObjectId> {
        let mut found = vec![false; self.packs.len()];
        self.live().flat_map(|(copies, _)| copies).for_each(|copy| found[copy.pack as usize] = true);
        let hit = self.packs.iter().zip(found).filter(|(pack, found)| *found && pack.facts.condemned);
        hit.map(|(pack, _)| pack.id).collect()
    }

    /// Which packs are there by another listing.
    pub fn listed_again(&mut self, packs: &[ListedPack]) {
        let there: HashSet<ObjectId> = packs.iter().map(|pack| pack.id).collect();
        self.packs.iter_mut().for_each(|pack| pack.facts.listed = there.contains(&pack.id));
    }

    fn position(&self, key: &BlobKey, pack: u32) -> Option<usize> {
        let at = self.known.partition_point(|known| (known.key, known.pack) < (*key, pack));
        self.known.get(at).filter(|known| known.key == *key && known.pack == pack).map(|_| at)
    }

    /// Which copies stay, from what `choose` has told.
    pub fn set_kept(&mut self, copies: &[Known]) {
        let places: Vec<usize> = copies.iter().filter_map(|copy| self.position(&copy.key, copy.pack)).collect();
        for at in places {
            self.kept.set(at);
        }
    }

    /// Whether the copy of a blob in this pack is one that stays.
    pub fn stays(&self, id: &BlobId, pack: u32) -> bool {
        self.position(&key_of(id), pack).is_some_and(|at| self.kept.get(at))
    }

    /// The facts of all packs.
    pub fn facts(&self) -> Vec<PackFacts> {
        self.packs.iter().map(|pack| pack.facts).collect()
    }

    /// A pack's name.
    pub fn name(&self, number: u32) -> Option<Name> {
        let pack = self.packs.get(number as usize)?;
        Some(Name::Pack(self.folders.get(pack.folder as usize)?.clone(), pack.id))
    }
}

/// Reads an index object: what it says, and by whom; nothing if its key is revoked.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read_index(repo: &Repository, survey: &Survey, name: &Name) -> Result<Option<(Index, SignerRole)>> {
    let Name::Index(writer, id) = name else { return Ok(None) };
    repo.signed(name, |opened| {
        if survey.statements.refuses(&opened.cert, id) {
            return Ok(None);
        }
        let index = Index::decode(&opened.plaintext)?;
        if opened.cert.role != SignerRole::Admin && index.packs.iter().any(|p| p.writer != *writer) {
            return Err(FormatError::Invalid("it names packs of another writer"));
        }
        Ok(Some((index, opened.cert.role)))
    })
}
