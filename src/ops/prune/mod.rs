//! `prune`: packs that no snapshot needs are condemned, and removed once the grace time has passed (spec 11.6, 11.7).
//!
//! - `survey`: what is there, listed in the order that the protocol needs
//! - `catalogue`: all copies of all blobs
//! - `walk`: what snapshots reach
//! - `repack`: what is needed of packs that are nearly empty
//! - `sweep`: what was condemned is removed
//! - `report`: what was done
//!
//! What is to be done is decided by [`crate::prune`]. A run sweeps first, by gc objects whose time has passed, and then condemns what is of no use now.
//! It can be killed at any point: the next one finds what was done, and goes on.

pub(crate) mod catalogue;
mod locks;
mod repack;
pub mod report;
pub(crate) mod survey;
pub(crate) mod sweep;
pub(crate) mod walk;

pub use report::PruneReport;

use crate::backend::Tidied;
use crate::egress::Budget;
use crate::error::{Error, Result};
use crate::format::gc::{Condemned, Gc};
use crate::format::keyfile::Role;
use crate::format::time::Time;
use crate::id::{ObjectId, WriterName};
use crate::ops::forget::{statements, write_gc};
use crate::ops::{Progress, Totals};
use crate::prune::sweep::is_removed;
use crate::prune::{MarkPlan, MarkRules, MaxUnused, PackFacts, choose, needed, plan};
use crate::repo::Repository;
use crate::repo::reader::BlobReader;
use crate::state::State;
use catalogue::{Catalogue, Known};
use locks::Going;
use repack::Repack;
use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};
use survey::Survey;
use sweep::Sweep;
use walk::Walk;

/// The least grace time that is safe while backups run.
pub const LEAST_GRACE_SECS: i64 = 24 * 3_600;
/// The grace time.
pub const GRACE_SECS: i64 = 7 * 24 * 3_600;
/// A plan that condemns more than half of a repository of this size is not carried out unless that is meant.
const LARGE_BYTES: u64 = 1 << 30;
/// So often is everything begun anew when something has gone that was listed: another prune is at work.
const ATTEMPTS: u32 = 4;

/// How to prune.
#[derive(Clone, Debug)]
pub struct PruneOptions {
    /// For so long what is condemned stays.
    pub grace_secs: i64,
    /// Whether a grace time below [`LEAST_GRACE_SECS`] is meant: no writer runs.
    pub short_grace: bool,
    /// How much may be of no use before packs are repacked.
    pub max_unused: MaxUnused,
    /// At most so many bytes of packs are repacked.
    pub max_repack_bytes: u64,
    /// Whether small packs are put together.
    pub repack_small: bool,
    /// How much may be read this month.
    pub budget: Budget,
    /// Change nothing.
    pub dry_run: bool,
    /// Whether more than half of everything may be condemned.
    pub large: bool,
    /// What a GiB costs for a month of 30 days, in dollars.
    pub dollars_per_gib_month: Option<f64>,
    /// Under which name statements are signed.
    pub writer: WriterName,
    /// Threads for compression; 0 for as many as there are cores.
    pub threads: usize,
    /// The time by which everything is judged; the system's clock if there is none.
    pub now: Option<Time>,
}

impl PruneOptions {
    /// What `prune` does where nothing else is said.
    pub fn new(writer: WriterName) -> Self {
        Self {
            grace_secs: GRACE_SECS,
            short_grace: false,
            max_unused: MaxUnused::Share(0.1),
            max_repack_bytes: u64::MAX,
            repack_small: true,
            budget: Budget::default(),
            dry_run: false,
            large: false,
            dollars_per_gib_month: None,
            writer,
            threads: 0,
            now: None,
        }
    }
}

/// Prunes.
///
/// # Errors
/// [`Error::Role`] unless an admin asks, or a reader for a dry run; [`Error::Usage`] for a grace time that is too short, and a plan that would condemn
/// more than half of everything; [`Error::Store`]; [`Error::Interrupted`]; and anything that cannot be read, verified or understood: then nothing
/// is condemned, and nothing removed.
pub fn prune(repo: &Repository, state: &State, options: &PruneOptions, progress: &dyn Progress) -> Result<PruneReport> {
    if !options.dry_run && repo.keys().role() != Role::Admin {
        return Err(Error::Role { have: repo.keys().role().as_str(), what: "prune" });
    }
    repo.keys().need_reader("prune")?;
    if options.grace_secs < LEAST_GRACE_SECS && !options.short_grace {
        return Err(Error::Usage(
            "a grace time below 24 hours is safe only while no backup runs, on any machine; if that is so, add --short-grace".into(),
        ));
    }
    let begun = Instant::now();
    let mut attempt = 1;
    loop {
        match run(repo, state, options, progress) {
            Err(Error::Missing(_)) if attempt < ATTEMPTS => attempt += 1,
            Ok(report) => return Ok(PruneReport { elapsed_secs: begun.elapsed().as_secs_f64(), ..report }),
            Err(error) => return Err(error),
        }
    }
}

/// Everything that is known of a repository, and what is needed of it.
struct Judged {
    survey: Survey,
    catalogue: Catalogue,
    predecessors: HashSet<ObjectId>,
    tree_blobs: u64,
    data_blobs: u64,
}

/// Lists, reads the index and walks all snapshots.
fn judge(repo: &Repository, state: &State, now: Time, progress: &dyn Progress) -> Result<Judged> {
    progress.stage("listing", Totals::default());
    let survey = Survey::new(repo)?;
    let synced = repo.sync_listed(state, None, &survey.statements, survey.index.clone())?;
    if let Some(bad) = synced.bad.into_iter().next() {
        return Err(bad);
    }
    let index_bytes = survey.index.iter().map(|(_, size_bytes)| size_bytes).sum();
    progress.stage("index objects", Totals { files: Some(survey.index.len() as u64), bytes: Some(index_bytes) });
    let mut catalogue = Catalogue::load(repo, &survey, now, progress)?;
    progress.stage("trees", Totals::default());
    let reader = BlobReader::new(repo, state)?;
    let mut snapshots = Vec::new();
    for name in &survey.manifests {
        // One that was removed since it was listed needs nothing.
        match repo.read_snapshot(name, &survey.statements) {
            Ok(found) => snapshots.extend(found),
            Err(Error::Missing(_)) => {}
            Err(error) => return Err(error),
        }
    }
    let mut predecessors = HashSet::new();
    let mut walk = Walk::new(&mut catalogue, &reader, progress);
    for snapshot in &snapshots {
        predecessors.extend(snapshot.head.cover.predecessors.iter().copied());
        let group = walk.catalogue.group_of(&snapshot.head.writer);
        walk.snapshot(&snapshot.manifest, group)?;
    }
    let (tree_blobs, data_blobs) = (walk.tree_blobs, walk.data_blobs);
    Ok(Judged { survey, catalogue, predecessors, tree_blobs, data_blobs })
}

fn run(repo: &Repository, state: &State, options: &PruneOptions, progress: &dyn Progress) -> Result<PruneReport> {
    let (clock, began) = (Instant::now(), options.now.unwrap_or_else(Time::now));
    let down_before = repo.backend().usage().down_bytes;
    let mut report = PruneReport::new(options.dry_run);
    let own = match options.dry_run {
        true => None,
        false => {
            let own = own_state(repo, state)?;
            let condemned = survey::gc_objects(repo)?.iter().flat_map(|o| o.packs().map(|p| *p.1)).collect();
            report.resumed_packs = repack::resume(repo, &own, &condemned)?;
            Some(own)
        }
    };
    let mut judged = judge(repo, state, began, progress)?;
    let mut facts = judged.catalogue.facts();
    report.of_facts(&facts, judged.survey.manifests.len(), judged.tree_blobs, judged.data_blobs);

    // What is condemned already.
    let (needed, lost) = needed(judged.catalogue.live().map(|(copies, _)| copies), &facts);
    if lost > 0 {
        return Err(Error::Missing(format!("each pack that has one of {lost} blobs that snapshots need")));
    }
    let locked = locks::locked(repo, &judged.catalogue);
    let due: Vec<bool> = facts.iter().zip(&needed).map(|(pack, needed)| is_removed(pack, *needed)).collect();
    let removed: Vec<bool> = due.iter().zip(&locked).map(|(due, locked)| *due && !locked).collect();
    report.locked_packs = due.iter().zip(&locked).filter(|(due, locked)| **due && **locked).count() as u64;
    let mut replaced = Vec::new();
    report.of_sweep(&facts, &removed, &needed);
    if !options.dry_run {
        let sweep = Sweep { repo, survey: &judged.survey, catalogue: &judged.catalogue, removed: &removed, progress };
        let swept = sweep.run()?;
        report.swept(&swept);
        judged.catalogue.renamed(swept.written);
        replaced = swept.replaced;
    }
    for (pack, _) in facts.iter_mut().zip(&removed).filter(|(_, goes)| **goes) {
        (pack.listed, pack.named) = (false, false);
    }

    // What is of no use now.
    let stored_bytes = facts.iter().filter(|p| p.listed).map(|p| p.size_bytes).sum();
    let read_bytes = repo.backend().usage().down_bytes.saturating_sub(down_before);
    let allowance = options.budget.allowance(stored_bytes);
    let rules = MarkRules {
        grace_secs: options.grace_secs,
        max_unused: options.max_unused,
        max_repack_bytes: options.max_repack_bytes,
        egress_left_bytes: allowance.map(|a| a.left_bytes().saturating_sub(read_bytes)),
        repack_small: options.repack_small,
    };
    let marked = mark(&mut judged.catalogue, &facts, &rules);
    report.of_plan(&facts, &marked);
    let condemned_bytes = marked.unused_bytes + marked.repack_bytes - marked.rewritten_bytes;
    if condemned_bytes > stored_bytes / 2 && stored_bytes >= LARGE_BYTES && !options.large && !options.dry_run {
        return Err(Error::Usage(format!(
            "{condemned_bytes} of {stored_bytes} bytes would be condemned, more than half: look at it with --dry-run; if that is meant, add --large"
        )));
    }
    let Some(own) = own else {
        report.tidied = would_tidy(repo);
        report.price(options.dollars_per_gib_month);
        return Ok(report);
    };
    let signer = repo.keys().signer(Some(&options.writer))?;
    let Judged { survey, catalogue, predecessors, .. } = &judged;
    let mut condemned = marked.unused;
    if !marked.repack.is_empty() {
        progress.stage("repack", Totals { files: Some(marked.repack.len() as u64), bytes: Some(marked.repack_bytes) });
        let reader = BlobReader::new(repo, state)?;
        let threads = if options.threads == 0 { cores() } else { options.threads };
        let repack = Repack { repo, survey, catalogue, reader: &reader, state: &own, threads, progress };
        let done = repack.run(&marked.repack)?;
        report.repacked(&facts, &done.done, done.packs, done.pack_bytes);
        report.problems.extend(done.problems);
        condemned.extend(done.done);
    }
    let now = began.plus(clock.elapsed());
    report.condemned(&facts, &condemned);
    if let Some(gc) = gc_of(catalogue, &facts, &condemned, now, options.grace_secs) {
        progress.stage("say what is condemned", Totals::default());
        report.not_before = gc.condemned.as_ref().map(|condemned| condemned.not_before);
        report.statement = Some(write_gc(repo, &signer, &gc)?);
    }
    report.removed_gc_objects += sweep::tidy_gc(repo, state, &signer, survey, catalogue, (began, now), &removed)?;
    report.removed_gc_objects += statements::tidy(repo, &signer, predecessors, now)?;
    let tidied = repo.backend().tidy_versions("", false);
    report.tidied = tidied.map_err(|e| Error::store("tidy versions of", repo.backend().location(), e))?;
    let is_going = |n: &u32| facts[*n as usize].condemned && !needed[*n as usize];
    let going = (0..facts.len() as u32).filter(is_going).chain(condemned.iter().copied());
    report.renewed_locks = Going::new(survey, catalogue, going, replaced).lock_the_rest(repo)?;
    report.read_bytes = repo.backend().usage().down_bytes.saturating_sub(down_before);
    report.price(options.dollars_per_gib_month);
    Ok(report)
}

/// Which copies stay, and what is to be condemned.
fn mark(catalogue: &mut Catalogue, facts: &[PackFacts], rules: &MarkRules) -> MarkPlan {
    // Only what is repacked must be known copy by copy.
    let choice = choose(|| catalogue.live(), facts, |pack| rules.is_young(pack), |_| {});
    let plan = plan(facts, &choice, rules);
    if !plan.repack.is_empty() {
        let repack: HashSet<u32> = plan.repack.iter().copied().collect();
        let mut kept: Vec<Known> = Vec::new();
        let mut keep = |copy: &Known| {
            if repack.contains(&crate::prune::BlobCopy::pack(copy)) {
                kept.push(*copy);
            }
        };
        choose(|| catalogue.live(), facts, |pack| rules.is_young(pack), &mut keep);
        catalogue.set_kept(&kept);
    }
    plan
}

/// The gc object that condemns these packs; nothing if there are none that are not condemned yet.
fn gc_of(catalogue: &Catalogue, facts: &[PackFacts], packs: &[u32], now: Time, grace_secs: i64) -> Option<Gc> {
    let mut by_writer: BTreeMap<WriterName, Vec<ObjectId>> = BTreeMap::new();
    for number in packs.iter().filter(|number| !facts[**number as usize].condemned) {
        let pack = &catalogue.packs[*number as usize];
        by_writer.entry(catalogue.folders[pack.folder as usize].clone()).or_default().push(pack.id);
    }
    by_writer.values_mut().for_each(|packs| packs.sort());
    let packs: Vec<_> = by_writer.into_iter().collect();
    let not_before = now.plus(Duration::from_secs(grace_secs.max(0).unsigned_abs()));
    (!packs.is_empty()).then(|| Gc { created: now, condemned: Some(Condemned { not_before, packs }), ..Gc::default() })
}

/// A state of its own beside the machine's: what a killed run has stored must not be taken for a backup's.
fn own_state(repo: &Repository, state: &State) -> Result<State> {
    let folder = state.path().with_file_name("prune");
    State::open(&folder, &repo.keys().repo())
}

/// Versions that a run would remove, as the listings have shown them.
fn would_tidy(repo: &Repository) -> Tidied {
    let odd = repo.backend().oddities();
    Tidied {
        removed_versions: odd.iter().map(|odd| odd.extra_versions).sum(),
        removed_bytes: odd.iter().map(|odd| odd.extra_bytes).sum(),
        locked_versions: 0,
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}
