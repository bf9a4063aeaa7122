//! What is there, listed in the order that the protocol needs: gc objects, then manifests, then index objects and packs (spec 11.6, 11.7).

use crate::backend::Listed;
use crate::error::{Error, Result};
use crate::format::gc::Gc;
use crate::format::name::Name;
use crate::format::time::Time;
use crate::id::{ObjectId, WriterName};
use crate::prune::GcFacts;
use crate::repo::Repository;
use crate::repo::statements::Statements;
use std::collections::HashSet;
use std::time::Instant;

/// A gc object.
pub(crate) struct GcObject {
    pub id: ObjectId,
    pub gc: Gc,
    pub uploaded: Option<Time>,
    /// Whether it says anything that this program does not know.
    pub says_more: bool,
}

impl GcObject {
    /// Its times, if it condemns packs.
    pub fn facts(&self) -> Option<GcFacts> {
        let not_before = self.gc.condemned.as_ref()?.not_before;
        Some(GcFacts { created: self.gc.created, not_before, uploaded: self.uploaded })
    }

    /// The packs that it condemns.
    pub fn packs(&self) -> impl Iterator<Item = (&WriterName, &ObjectId)> {
        let condemned = self.gc.condemned.iter().flat_map(|condemned| &condemned.packs);
        condemned.flat_map(|(writer, packs)| packs.iter().map(move |id| (writer, id)))
    }
}

/// A pack that the store lists.
pub(crate) struct ListedPack {
    pub writer: WriterName,
    pub id: ObjectId,
    pub size_bytes: u64,
    pub stored: Option<Time>,
}

/// Everything that there is.
pub(crate) struct Survey {
    begun: (Instant, Time),
    pub gc: Vec<GcObject>,
    pub statements: Statements,
    pub manifests: Vec<Name>,
    pub index: Vec<(Name, u64)>,
    pub packs: Vec<ListedPack>,
}

/// Reads all gc objects.
///
/// # Errors
/// [`Error::Store`], or what is wrong with one of them: none may be passed over.
pub(crate) fn gc_objects(repo: &Repository) -> Result<Vec<GcObject>> {
    let mut found = Vec::new();
    for listed in list(repo, "gc/")? {
        let Some(name @ Name::Gc(id)) = Name::parse(&listed.name) else { continue };
        match repo.signed(&name, |opened| Ok((Gc::decode(&opened.plaintext)?, opened.plaintext))) {
            Ok((gc, plaintext)) => {
                let says_more = gc.encode() != plaintext;
                found.push(GcObject { id, gc, uploaded: listed.uploaded, says_more });
            }
            // Removed since it was listed: no longer in force.
            Err(Error::Missing(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// The packs that the store lists.
///
/// # Errors
/// [`Error::Store`].
pub(crate) fn packs(repo: &Repository, writers: &[WriterName]) -> Result<Vec<ListedPack>> {
    let mut found = Vec::new();
    for writer in writers {
        for listed in list(repo, &format!("writers/{writer}/packs/"))? {
            if let Some(Name::Pack(writer, id)) = Name::parse(&listed.name) {
                let stored = listed.uploaded.or_else(|| repo.backend().stored_at(&listed.name));
                found.push(ListedPack { writer, id, size_bytes: listed.size_bytes, stored });
            }
        }
    }
    Ok(found)
}

fn list(repo: &Repository, prefix: &str) -> Result<Vec<Listed>> {
    let mut found = Vec::new();
    repo.backend().list(prefix, &mut |listed| found.push(listed)).map_err(|e| Error::store("list", prefix, e))?;
    found.sort();
    Ok(found)
}

impl Survey {
    /// Lists everything and reads the gc objects.
    ///
    /// # Errors
    /// [`Error::Store`], or what is wrong with a gc object.
    pub fn new(repo: &Repository) -> Result<Self> {
        let begun = (Instant::now(), Time::now());
        let gc = gc_objects(repo)?;
        let mut statements = Statements::default();
        gc.iter().for_each(|object| statements.add(object.gc.clone()));
        let writers = repo.writers()?;
        let names = |folder: &str| -> Result<Vec<(Name, u64)>> {
            let mut found = Vec::new();
            for writer in &writers {
                found.extend(repo.list(&format!("writers/{writer}/{folder}/"))?);
            }
            Ok(found)
        };
        let manifests = names("snapshots")?.into_iter().map(|(name, _)| name).collect();
        let index = names("index")?;
        let packs = packs(repo, &writers)?;
        Ok(Self { begun, gc, statements, manifests, index, packs })
    }

    /// How old the listings are. One clock stands still while the machine sleeps, the other may be set.
    pub fn age_secs(&self) -> i64 {
        let by_wall = Time::now().secs.saturating_sub(self.begun.1.secs);
        by_wall.max(i64::try_from(self.begun.0.elapsed().as_secs()).unwrap_or(i64::MAX))
    }

    /// The packs that gc objects condemn whose time has passed.
    pub fn due(&self, now: Time) -> HashSet<ObjectId> {
        let due = self.gc.iter().filter(|object| object.facts().is_some_and(|facts| facts.is_due(now)));
        due.flat_map(GcObject::packs).map(|(_, id)| *id).collect()
    }
}
