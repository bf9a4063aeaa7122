//! `forget`: snapshots are removed by policy or by name, the statement of it first (spec 11.5).
//!
//! - `plan`: which stay and which go; pure
//! - `statements`: gc objects are put together, and old ones removed

mod plan;
pub mod statements;

pub use plan::{GroupBy, GroupKey, GroupPlan, Judged, item, plan};

use crate::error::{Error, Result};
use crate::format::gc::Gc;
use crate::format::header::Kind;
use crate::format::keyfile::Role;
use crate::format::limits;
use crate::format::name::Name;
use crate::format::time::Time;
use crate::id::{ObjectId, WriterName};
use crate::ops::list::SnapshotFilter;
use crate::ops::prune::sweep::remove_unless_locked;
use crate::ops::{Progress, Totals};
use crate::repo::snapshots::{Snapshot, pick};
use crate::repo::statements::Statements;
use crate::repo::{Repository, get};
use crate::retention::Policy;
use crate::seal::{self, Signer};
use crate::state::State;
use jiff::tz::TimeZone;
use std::collections::HashSet;

/// A gc object holds at most so much of manifests: every machine reads it.
const KEPT_BYTES: usize = 4 << 20;

/// What to forget.
#[derive(Clone, Debug)]
pub struct ForgetOptions {
    /// Which snapshots are judged by the policy.
    pub filter: SnapshotFilter,
    /// These, whatever the policy; then there is none.
    pub ids: Vec<String>,
    /// What is kept.
    pub policy: Policy,
    /// By what snapshots are grouped, beside their writer.
    pub group_by: GroupBy,
    /// Whose days and months count.
    pub zone: TimeZone,
    /// Change nothing.
    pub dry_run: bool,
    /// Whether all snapshots of a group may go.
    pub remove_all: bool,
    /// Under which name the statement is signed.
    pub writer: WriterName,
}

/// What was forgotten.
#[derive(Clone, Debug)]
pub struct ForgetReport {
    /// What was judged, by group.
    pub groups: Vec<GroupPlan>,
    /// Snapshots that were removed, or would be.
    pub removed: Vec<ObjectId>,
    /// Snapshots that had been forgotten before and were removed now, or would be.
    pub leftovers: Vec<ObjectId>,
    /// Snapshots that are not there, and of which it is now said that this is right.
    pub missing: Vec<ObjectId>,
    /// Snapshots that were pinned while this ran, and stay.
    pub rescued: Vec<ObjectId>,
    /// The gc object that says what was forgotten.
    pub statement: Option<ObjectId>,
    /// gc objects that were removed because others say the same, or nobody needs them any more.
    pub tidied: u64,
    /// Manifests that could not be read; they stay.
    pub problems: Vec<String>,
    /// Whether nothing was changed.
    pub dry_run: bool,
}

/// Forgets.
///
/// # Errors
/// [`Error::Role`] unless an admin asks, or a reader for a dry run; [`Error::Usage`] for a policy without a rule, ids that are none, pinned ones, and a group
/// that would lose all its snapshots; [`Error::Store`]; what is wrong with a gc object.
pub fn forget(
    repo: &Repository,
    state: &State,
    options: &ForgetOptions,
    progress: &dyn Progress,
) -> Result<ForgetReport> {
    if !options.dry_run && repo.keys().role() != Role::Admin {
        return Err(Error::Role { have: repo.keys().role().as_str(), what: "forget snapshots" });
    }
    repo.keys().need_reader("judge snapshots")?;
    progress.stage("read the snapshots", Totals::default());
    let statements = repo.statements()?;
    let listing = repo.snapshots(&statements)?;
    let problems: Vec<String> = listing.bad.iter().map(with_source).collect();
    // What is forgotten already is as good as gone, and takes no place from others.
    let (dead, alive): (Vec<&Snapshot>, Vec<&Snapshot>) =
        listing.snapshots.iter().partition(|s| is_dead(&s.head.id, &statements));
    let (groups, missing) = match options.ids.is_empty() {
        true => {
            let judged: Vec<&Snapshot> = alive.iter().copied().filter(|s| options.filter.matches(s)).collect();
            (plan(&judged, options, &statements, Time::now())?, Vec::new())
        }
        false => {
            let listed: HashSet<ObjectId> = listing.names.iter().filter_map(Name::id).collect();
            by_name(&listing.snapshots, &alive, &listed, options, &statements)?
        }
    };
    let removed: Vec<ObjectId> = groups.iter().flat_map(GroupPlan::removed).collect();
    let mut report = ForgetReport {
        groups,
        removed,
        leftovers: dead.iter().map(|s| s.head.id).collect(),
        missing,
        rescued: Vec::new(),
        statement: None,
        tidied: 0,
        problems,
        dry_run: options.dry_run,
    };
    if !options.dry_run {
        let signer = repo.keys().signer(Some(&options.writer))?;
        let run = Run { repo, state, signer: &signer, progress };
        run.carry_out(&mut report, &listing.snapshots)?;
    }
    Ok(report)
}

/// Whether a snapshot was forgotten and may go.
fn is_dead(id: &ObjectId, statements: &Statements) -> bool {
    statements.forgotten.contains(id) && !statements.pinned.contains(id)
}

fn with_source(error: &Error) -> String {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The groups of snapshots that were named, and those that are named and not there.
fn by_name(
    all: &[Snapshot],
    alive: &[&Snapshot],
    listed: &HashSet<ObjectId>,
    options: &ForgetOptions,
    statements: &Statements,
) -> Result<(Vec<GroupPlan>, Vec<ObjectId>)> {
    let (mut named, mut missing) = (HashSet::new(), Vec::new());
    for text in &options.ids {
        match text.parse::<ObjectId>() {
            Ok(id) if !listed.contains(&id) => missing.push(id),
            _ => {
                let id = pick(all, text, |snapshot| options.filter.matches(snapshot))?.head.id;
                if statements.pinned.contains(&id) {
                    return Err(Error::Usage(format!(
                        "the snapshot {} is pinned: `panther unpin {}` first",
                        id.short(),
                        id.short()
                    )));
                }
                named.insert(id);
            }
        }
    }
    missing.sort();
    missing.dedup();
    missing.retain(|id| !statements.forgotten.contains(id));
    Ok((plan::by_name(alive, &named, options, statements)?, missing))
}

struct Run<'a> {
    repo: &'a Repository,
    state: &'a State,
    signer: &'a Signer,
    progress: &'a dyn Progress,
}

impl Run<'_> {
    fn carry_out(&self, report: &mut ForgetReport, all: &[Snapshot]) -> Result<()> {
        let mut forgotten: Vec<ObjectId> = report.removed.iter().chain(&report.missing).copied().collect();
        forgotten.sort();
        forgotten.dedup();
        if !forgotten.is_empty() {
            self.progress.stage("say what is forgotten", Totals::default());
            let manifests = self.manifests(all.iter().filter(|s| report.removed.contains(&s.head.id)))?;
            let gc = Gc { created: Time::now(), forgotten, manifests, ..Gc::default() };
            report.statement = Some(write_gc(self.repo, self.signer, &gc)?);
        }
        let going: HashSet<ObjectId> = report.removed.iter().chain(&report.leftovers).copied().collect();
        if !going.is_empty() {
            // Somebody may have pinned one meanwhile (spec 11.5).
            let now = self.repo.statements()?;
            report.rescued = going.iter().filter(|id| now.pinned.contains(*id)).copied().collect();
            report.rescued.sort();
            let stays = |id: &ObjectId| !now.pinned.contains(id);
            report.removed.retain(stays);
            report.leftovers.retain(stays);
            self.remove(all.iter().filter(|s| going.contains(&s.head.id) && stays(&s.head.id)))?;
        }
        self.state.unsee(&report.missing)?;
        let gone: HashSet<&ObjectId> = report.removed.iter().chain(&report.leftovers).collect();
        let named = all.iter().filter(|s| !gone.contains(&s.head.id)).flat_map(|s| &s.head.cover.predecessors);
        // Where a manifest cannot be read, nobody knows what it names.
        if report.problems.is_empty() {
            report.tidied = statements::tidy(self.repo, self.signer, &named.copied().collect(), Time::now())?;
        }
        Ok(())
    }

    /// The manifests as they are in the store, so that `undelete` can bring them back; not of more snapshots than a gc object should hold.
    fn manifests<'s>(&self, snapshots: impl Iterator<Item = &'s Snapshot>) -> Result<Vec<(WriterName, Vec<u8>)>> {
        let (mut manifests, mut bytes) = (Vec::new(), 0);
        for snapshot in snapshots {
            let object = match get(&**self.repo.backend(), &snapshot.name(), limits::MANIFEST_BYTES) {
                Ok(object) => object,
                // Removed by somebody else meanwhile.
                Err(Error::Missing(_)) => continue,
                Err(error) => return Err(error),
            };
            bytes += object.len();
            if bytes > KEPT_BYTES {
                break;
            }
            manifests.push((snapshot.head.writer.clone(), object));
        }
        Ok(manifests)
    }

    fn remove<'s>(&self, snapshots: impl Iterator<Item = &'s Snapshot>) -> Result<()> {
        let snapshots: Vec<&Snapshot> = snapshots.collect();
        self.progress.stage("remove", Totals { files: Some(snapshots.len() as u64), bytes: None });
        let mut locked = 0;
        for snapshot in snapshots {
            if self.progress.cancelled() {
                // What is said to be forgotten and still there, the next run removes.
                return Err(Error::Interrupted);
            }
            let name = snapshot.name();
            if remove_unless_locked(self.repo, &name)? {
                self.state.unsee(&[snapshot.head.id])?;
            } else {
                locked += 1;
            }
            self.progress.advance(1, 0);
        }
        if locked > 0 {
            self.progress.note(&format!(
                "{locked} of them are locked still: they count as forgotten, and a later forget removes them"
            ));
        }
        Ok(())
    }
}

/// Writes a gc object. Returns its id.
///
/// # Errors
/// [`Error::Store`].
pub(crate) fn write_gc(repo: &Repository, signer: &Signer, gc: &Gc) -> Result<ObjectId> {
    let object = signer.seal(Kind::Gc, repo.keys().current_epoch(), gc.encode(), &mut seal::system_random());
    let id = ObjectId::of(&object);
    repo.put(&Name::Gc(id), &object)?;
    Ok(id)
}
