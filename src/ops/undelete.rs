//! `undelete`: forgotten snapshots are brought back, and condemned packs taken back, as long as no sweep has removed what they need (spec 11.5, 11.7).

use super::prune::catalogue::Catalogue;
use super::prune::survey::{self, GcObject, Survey};
use super::prune::sweep::remove;
use super::prune::walk::Walk;
use crate::error::{Error, FormatError, Result, StoreError};
use crate::format::gc::Gc;
use crate::format::keyfile::Role;
use crate::format::name::Name;
use crate::format::time::Time;
use crate::id::{ObjectId, WriterName};
use crate::ops::forget::write_gc;
use crate::ops::{Progress, Totals};
use crate::prune::needed;
use crate::repo::Repository;
use crate::repo::reader::BlobReader;
use crate::repo::snapshots::{Snapshot, pick};
use crate::repo::statements::Statements;
use crate::seal::Signer;
use crate::state::State;
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};

/// What to bring back.
#[derive(Clone, Debug)]
pub struct UndeleteOptions {
    /// Snapshots: ids or beginnings of them.
    pub ids: Vec<String>,
    /// Whether all packs whose time has not come are taken back.
    pub packs: bool,
    /// Under which name statements are signed.
    pub writer: WriterName,
    /// The time by which gc objects are judged; the system's clock if there is none.
    pub now: Option<Time>,
}

/// A snapshot that was brought back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Restored {
    /// The snapshot.
    pub id: ObjectId,
    /// Who wrote it.
    pub writer: WriterName,
    /// Whether its manifest had been removed, and not only forgotten.
    pub was_removed: bool,
}

/// What was brought back.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct UndeleteReport {
    /// Snapshots.
    pub snapshots: Vec<Restored>,
    /// Packs that are no longer condemned.
    pub taken_back_packs: u64,
    /// Packs that the snapshots need and that stay condemned, since their time is too near: a sweep leaves them alone, and a prune repacks them.
    pub needed_packs: u64,
}

/// The forgotten snapshots that may be brought back: those that are still there, and those whose manifests are kept. Oldest first.
///
/// # Errors
/// [`Error::Role`] for a writer's key; [`Error::Store`]; what is wrong with a gc object.
pub fn candidates(repo: &Repository) -> Result<Vec<Snapshot>> {
    repo.keys().need_reader("read snapshots")?;
    let gc = survey::gc_objects(repo)?;
    let found = forgotten(repo, &gc, &united(&gc))?;
    let mut snapshots: Vec<Snapshot> = found.into_values().map(|found| found.snapshot).collect();
    snapshots.sort_by_key(|s| (s.head.cover.started, s.head.cover.sequence, s.head.id));
    Ok(snapshots)
}

/// A forgotten snapshot.
struct Forgotten {
    snapshot: Snapshot,
    /// Its manifest, if it is not in the store.
    object: Option<Vec<u8>>,
}

fn united(gc: &[GcObject]) -> Statements {
    let mut statements = Statements::default();
    gc.iter().for_each(|object| statements.add(object.gc.clone()));
    statements
}

fn forgotten(repo: &Repository, gc: &[GcObject], statements: &Statements) -> Result<BTreeMap<ObjectId, Forgotten>> {
    let mut found = BTreeMap::new();
    for name in repo.snapshot_names(None)? {
        let Some(id) = name.id().filter(|id| statements.forgotten.contains(id)) else { continue };
        match repo.read_snapshot(&name, statements) {
            Ok(Some(snapshot)) => drop(found.insert(id, Forgotten { snapshot, object: None })),
            Ok(None) | Err(Error::Missing(_)) => {}
            Err(error) => return Err(error),
        }
    }
    for (writer, object) in gc.iter().flat_map(|gc| &gc.gc.manifests) {
        let id = ObjectId::of(object);
        if statements.forgotten.contains(&id)
            && !found.contains_key(&id)
            && let Some(snapshot) = repo.snapshot_of(writer, object, statements)?
        {
            found.insert(id, Forgotten { snapshot, object: Some(object.clone()) });
        }
    }
    Ok(found)
}

/// Brings back.
///
/// # Errors
/// [`Error::Role`] unless an admin asks; [`Error::Usage`] for a snapshot that is not among the forgotten ones, or that needs what was removed; [`Error::Store`];
/// whatever is wrong with an object.
pub fn undelete(
    repo: &Repository,
    state: &State,
    options: &UndeleteOptions,
    progress: &dyn Progress,
) -> Result<UndeleteReport> {
    if repo.keys().role() != Role::Admin {
        return Err(Error::Role { have: repo.keys().role().as_str(), what: "undelete" });
    }
    let now = options.now.unwrap_or_else(Time::now);
    let signer = repo.keys().signer(Some(&options.writer))?;
    let mut report = UndeleteReport::default();
    if !options.ids.is_empty() {
        let work = Work { repo, state, signer: &signer, now, progress };
        work.snapshots(&options.ids, &mut report)?;
    }
    if options.packs {
        let gc = survey::gc_objects(repo)?;
        report.taken_back_packs += take_back(repo, &signer, &gc, now, |_| true)?;
    }
    Ok(report)
}

struct Work<'a> {
    repo: &'a Repository,
    state: &'a State,
    signer: &'a Signer,
    now: Time,
    progress: &'a dyn Progress,
}

impl Work<'_> {
    fn snapshots(&self, ids: &[String], report: &mut UndeleteReport) -> Result<()> {
        self.progress.stage("listing", Totals::default());
        let survey = Survey::new(self.repo)?;
        let mut all = forgotten(self.repo, &survey.gc, &survey.statements)?;
        let snapshots: Vec<Snapshot> = all.values().map(|found| found.snapshot.clone()).collect();
        let mut chosen = BTreeMap::new();
        for text in ids {
            let id = pick(&snapshots, text, |_| true)?.head.id;
            chosen.extend(all.remove(&id).map(|found| (id, found)));
        }
        let mut catalogue = self.reached(&survey, chosen.values().map(|found| &found.snapshot))?;
        for found in chosen.values() {
            let name = found.snapshot.name();
            if let Some(object) = &found.object {
                self.repo.put(&name, object)?;
            }
            let Forgotten { snapshot, object } = found;
            let (id, writer) = (snapshot.head.id, snapshot.head.writer.clone());
            self.state.see(&self.repo.config().repo, &[(id, writer.clone())])?;
            report.snapshots.push(Restored { id, writer, was_removed: object.is_some() });
        }
        let hit: HashSet<ObjectId> = catalogue.condemned_of_live().into_iter().collect();
        report.taken_back_packs += take_back(self.repo, self.signer, &survey.gc, self.now, |id| hit.contains(id))?;
        let ids: HashSet<ObjectId> = chosen.keys().copied().collect();
        remember(self.repo, self.signer, &survey::gc_objects(self.repo)?, &ids)?;

        // A sweep may have been at work all the time.
        let now = united(&survey::gc_objects(self.repo)?);
        report.needed_packs = hit.intersection(&now.condemned).count() as u64;
        catalogue.listed_again(&survey::packs(self.repo, &self.repo.writers()?)?);
        let (_, lost) = needed(catalogue.live().map(|(copies, _)| copies), &catalogue.facts());
        let gone = chosen
            .values()
            .map(|found| found.snapshot.name())
            .find(|name| matches!(self.repo.backend().size(&name.to_string()), Err(StoreError::NotFound)));
        if lost > 0 || gone.is_some() {
            let forgotten = ids.iter().copied().collect::<std::collections::BTreeSet<_>>().into_iter().collect();
            write_gc(self.repo, self.signer, &Gc { created: Time::now(), forgotten, ..Gc::default() })?;
            for found in chosen.values().filter(|found| found.object.is_some()) {
                remove(self.repo, &found.snapshot.name())?;
            }
            return Err(Error::Usage(
                "somebody forgets or removes what these snapshots need at this moment: nothing was brought back".into(),
            ));
        }
        Ok(())
    }

    /// What the snapshots reach, if all of it is there.
    fn reached<'s>(&self, survey: &Survey, snapshots: impl Iterator<Item = &'s Snapshot>) -> Result<Catalogue> {
        self.repo.sync_listed(self.state, None, &survey.statements, survey.index.clone())?;
        let mut catalogue = Catalogue::load(self.repo, survey, self.now, self.progress)?;
        let reader = BlobReader::new(self.repo, self.state)?;
        self.progress.stage("trees", Totals::default());
        let mut walk = Walk::new(&mut catalogue, &reader, self.progress);
        for snapshot in snapshots {
            let gone = |what: &str| {
                Error::Usage(format!(
                    "the snapshot {} cannot be brought back: {what} has been removed since",
                    snapshot.head.id.short()
                ))
            };
            match walk.snapshot(&snapshot.manifest, 0) {
                Err(Error::Missing(what)) => return Err(gone(&what)),
                other => other?,
            }
            let (_, lost) = needed(walk.catalogue.live().map(|(copies, _)| copies), &walk.catalogue.facts());
            if lost > 0 {
                return Err(gone("a pack that it needs"));
            }
        }
        Ok(catalogue)
    }
}

/// Takes back the gc objects that condemn a pack of which `which` says yes, where their time is far enough. Returns how many packs that frees.
fn take_back(
    repo: &Repository,
    signer: &Signer,
    gc: &[GcObject],
    now: Time,
    which: impl Fn(&ObjectId) -> bool,
) -> Result<u64> {
    let mut count = 0;
    for object in gc.iter().filter(|object| object.packs().any(|(_, id)| which(id))) {
        let may = object.facts().is_some_and(|facts| facts.may_be_taken_back(now)) && !object.says_more;
        if !may {
            continue;
        }
        let rest = Gc { condemned: None, ..object.gc.clone() };
        if !rest.is_empty() {
            // What else it says must hold all the time.
            write_gc(repo, signer, &rest)?;
        }
        remove(repo, &Name::Gc(object.id))?;
        count += object.packs().count() as u64;
    }
    Ok(count)
}

/// Says anew what gc objects say that forget these snapshots, without that, and removes them.
fn remember(repo: &Repository, signer: &Signer, gc: &[GcObject], ids: &HashSet<ObjectId>) -> Result<()> {
    for object in gc.iter().filter(|object| object.gc.forgotten.iter().any(|id| ids.contains(id))) {
        if object.says_more {
            let source = FormatError::Invalid("it also says something that this version does not know");
            return Err(Error::Newer { object: Name::Gc(object.id).to_string(), source });
        }
        let mut rest = object.gc.clone();
        rest.forgotten.retain(|id| !ids.contains(id));
        rest.manifests.retain(|(_, manifest)| !ids.contains(&ObjectId::of(manifest)));
        if !rest.is_empty() {
            write_gc(repo, signer, &rest)?;
        }
        remove(repo, &Name::Gc(object.id))?;
    }
    Ok(())
}
