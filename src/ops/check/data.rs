//! Reading the data: which packs, within which budget, and what is remembered of it.

use super::CheckOptions;
use super::catalogue::Catalogue;
use super::choose::{Amount, Chosen, choose};
use super::packs::{Outcome, PackCheck};
use super::report::{Egress, FindingKind as Kind, Findings, Verification, lock};
use super::survey::Survey;
use crate::egress::{Allowance, Meter};
use crate::error::Result;
use crate::format::header::BlobKind;
use crate::format::name::Name;
use crate::format::time::Time;
use crate::id::ObjectId;
use crate::ops::{Progress, Totals};
use crate::state::State;
use crate::state::verified::{Reading, Verified};
use rayon::iter::{ParallelBridge, ParallelIterator};
use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Readings are written down when there are so many: what a run that is killed has read is not all forgotten.
const NOTED_AT_ONCE: usize = 64;
/// What was verified within this time counts as recent.
const RECENT_SECS: i64 = 30 * 86_400;

/// The meter of a run.
pub(super) struct Budgeted {
    pub meter: Meter,
    allowance: Option<Allowance>,
    begun_bytes: u64,
}

impl Budgeted {
    /// Everything but packs and trees is read in any case; it is counted here.
    pub fn new(options: &CheckOptions, survey: &Survey) -> Self {
        let stored_bytes = survey.packs.values().fold(survey.small_bytes, |sum, bytes| sum.saturating_add(*bytes));
        let allowance = options.budget.allowance(stored_bytes);
        let meter = Meter::new(allowance.map(|a| a.left_bytes()));
        meter.charge(survey.small_bytes);
        Self { meter, allowance, begun_bytes: survey.small_bytes }
    }

    /// What became of the budget; nothing if there was none.
    pub fn report(&self, pack_bytes: u64, reached: bool) -> Option<Egress> {
        self.allowance.map(|a| Egress {
            limit_bytes: a.limit_bytes,
            used_bytes: a.used_bytes,
            read_bytes: self.begun_bytes.saturating_add(pack_bytes),
            reached,
        })
    }
}

/// What this machine remembers of packs, and learns in this run.
pub(super) struct Memory<'a> {
    verified: Verified,
    readings: HashMap<ObjectId, Reading>,
    fresh: Mutex<Fresh>,
    findings: &'a Findings<'a>,
}

#[derive(Default)]
struct Fresh {
    /// Not yet written down.
    unwritten: Vec<(ObjectId, Reading)>,
    all: Vec<(ObjectId, Reading)>,
}

impl<'a> Memory<'a> {
    pub fn load(state: &State, findings: &'a Findings<'a>) -> Self {
        let verified = state.verified();
        let readings = verified.load().unwrap_or_else(|error| {
            let what = format!("when packs were last verified is not known: {error}");
            findings.note(Kind::Unreadable, "the local state", what);
            HashMap::new()
        });
        Self { verified, readings, fresh: Mutex::default(), findings }
    }

    fn learn(&self, id: ObjectId, sound: bool) {
        let reading = Reading { at_secs: Time::now().secs, sound };
        let mut fresh = lock(&self.fresh);
        fresh.all.push((id, reading));
        fresh.unwritten.push((id, reading));
        if fresh.unwritten.len() >= NOTED_AT_ONCE {
            let batch = std::mem::take(&mut fresh.unwritten);
            drop(fresh);
            self.write(&batch);
        }
    }

    fn write(&self, batch: &[(ObjectId, Reading)]) {
        if let Err(error) = self.verified.note(batch) {
            let what = format!("what was verified cannot be remembered: {error}");
            self.findings.note(Kind::Unreadable, "the local state", what);
        }
    }

    /// Writes down what was learnt. To be called however the run ends.
    fn finish(&self) {
        let rest = std::mem::take(&mut lock(&self.fresh).unwritten);
        self.write(&rest);
    }

    /// How much of what is in the store is verified, and since when.
    #[allow(clippy::cast_precision_loss)]
    pub fn report(self, survey: &Survey, done: &Done) -> Verification {
        let mut readings = self.readings;
        readings.extend(lock(&self.fresh).all.drain(..));
        let now_secs = Time::now().secs;
        let mut report = Verification {
            verified_packs: done.verified_packs,
            unread_packs: done.unread_packs,
            transient_reads: self.findings.transient_reads(),
            ..Verification::default()
        };
        let mut oldest_secs = None;
        for (name, size_bytes) in &survey.packs {
            // A time to come is none: a clock was wrong.
            let at = name.id().and_then(|id| readings.get(&id)).filter(|r| r.sound && r.at_secs <= now_secs);
            match at.map(|reading| reading.at_secs) {
                Some(at_secs) => {
                    oldest_secs = Some(oldest_secs.map_or(at_secs, |oldest: i64| oldest.min(at_secs)));
                    report.recent_bytes += if now_secs - at_secs <= RECENT_SECS { *size_bytes } else { 0 };
                }
                None => report.never_verified_packs += 1,
            }
        }
        let total_bytes = survey.packs.values().sum::<u64>();
        report.oldest_age_secs = oldest_secs.map(|at_secs| now_secs.abs_diff(at_secs));
        report.recent_share = (total_bytes > 0).then(|| report.recent_bytes as f64 / total_bytes as f64);
        let listed: HashSet<ObjectId> = survey.packs.keys().filter_map(Name::id).collect();
        let gone: Vec<ObjectId> = readings.into_keys().filter(|id| !listed.contains(id)).collect();
        // Only that it takes room is lost if this fails.
        let _ = self.verified.forget(&gone);
        report
    }
}

/// What was done.
#[derive(Default)]
pub(super) struct Done {
    pub verified_packs: u64,
    /// Chosen, but not read: the budget ended it.
    pub unread_packs: u64,
}

/// Reads as much as was asked for, in order, side by side, until the budget is used up.
///
/// # Errors
/// [`crate::Error::Interrupted`], [`crate::Error::Aborted`]. What was verified until then is remembered.
pub(super) fn read(
    packs: &PackCheck<'_>,
    survey: &Survey,
    memory: &Memory<'_>,
    amount: Amount,
    reserve_bytes: u64,
    progress: &dyn Progress,
) -> Result<Done> {
    let chosen = choose(survey.packs.iter(), &memory.readings, amount, Time::now().secs);
    let bytes = chosen.iter().map(|(_, size_bytes)| size_bytes).sum();
    progress.stage("packs", Totals { files: Some(chosen.len() as u64), bytes: Some(bytes) });
    let (verified, unread) = (AtomicU64::new(0), AtomicU64::new(0));
    let one = |(name, size_bytes): &Chosen| {
        packs.findings.go_on()?;
        // Once one was refused, a smaller one does not slip past it.
        if packs.meter.has_refused() || !packs.meter.take(*size_bytes, reserve_bytes) {
            unread.fetch_add(1, Relaxed);
            return Ok(());
        }
        match (packs.one(name, *size_bytes), name.id()) {
            (Outcome::Sound, Some(id)) => {
                verified.fetch_add(1, Relaxed);
                memory.learn(id, true);
            }
            (Outcome::Bad, Some(id)) => memory.learn(id, false),
            (Outcome::Unread, _) | (_, None) => {}
        }
        progress.advance(1, *size_bytes);
        Ok(())
    };
    // A bridge hands them out one by one in their order; splitting the list would begin in its middle.
    let result = chosen.iter().par_bridge().try_for_each(one);
    memory.finish();
    result.map(|()| Done { verified_packs: verified.into_inner(), unread_packs: unread.into_inner() })
}

/// The most that reading all trees once can take.
pub(super) fn tree_bytes(catalogue: &Catalogue, survey: &Survey) -> u64 {
    let trees = catalogue.packs.iter().filter(|p| p.info.kind == BlobKind::Tree);
    let names: HashSet<&Name> = trees.map(|p| &p.name).collect();
    names.into_iter().filter_map(|name| survey.packs.get(name)).fold(0, |sum, bytes| sum.saturating_add(*bytes))
}
