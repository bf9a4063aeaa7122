//! `repair packs`: what bad packs held is stored anew, as far as it is anywhere, and the packs are condemned.
//!
//! In rounds: what of the packs is good is stored anew, then what of the rest other repositories and files have; each blob is checked against its id. Then
//! a gc object condemns the packs, so that nothing new rests on them: what is still lost is stored by the next backup that meets it. A lost
//! folder may hide more that is lost, so the rounds go on while they bring anything back.

use super::losses::{Losses, Search};
use super::resend::{Resend, Sources};
use super::{Problem, need_admin};
use crate::egress::{Budget, Meter};
use crate::error::Result;
use crate::format::gc::{Condemned, Gc};
use crate::format::time::Time;
use crate::id::{ObjectId, WriterName};
use crate::ops::backup::resend::forget_regions;
use crate::ops::check::blobs::TreeBlobs;
use crate::ops::check::report::AffectedPath;
use crate::ops::check::{Amount, CheckOptions, Examined, Finding, Findings, examine, threads};
use crate::ops::forget::write_gc;
use crate::ops::storing::Storing;
use crate::ops::{Progress, Totals};
use crate::repo::Repository;
use crate::state::State;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

/// Condemned packs are not removed before this time is over.
const GRACE: Duration = Duration::from_secs(7 * 86_400);
/// More rounds than folders that anybody nests and loses one below the other.
const MOST_ROUNDS: usize = 64;

/// How to repair packs.
#[derive(Clone, Copy, Debug)]
pub struct PacksOptions<'a> {
    /// Which packs are read to find out what is bad: by default those that the last check has found to be so.
    pub read_data: Amount,
    /// How much may be read this month.
    pub budget: Budget,
    /// Where lost blobs may be.
    pub sources: Sources<'a>,
    /// Under which name is stored what no bad pack had.
    pub writer: &'a WriterName,
}

/// A pack that is bad.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct BadPack {
    /// Its name.
    pub object: String,
    /// Its size in bytes, as the index has it.
    pub size_bytes: u64,
    /// Whether it is missing.
    pub missing: bool,
    /// Blobs in it.
    pub blobs: u64,
    /// Those of them that it cannot give.
    pub bad_blobs: u64,
}

/// What is to be done, and what was.
#[derive(Clone, PartialEq, Debug, Default, serde::Serialize)]
pub struct PacksReport {
    /// What is wrong with the repository before anything is done.
    pub found: Vec<Finding>,
    /// Packs that are bad and not yet condemned.
    pub bad_packs: Vec<BadPack>,
    /// Blobs that snapshots need and no pack gives, as far as that can be seen: a lost folder may hide more.
    pub needed_blobs: u64,
    /// Bytes of the data blobs among them.
    pub needed_bytes: u64,
    /// Blobs of bad packs that were good, and are stored anew.
    pub salvaged_blobs: u64,
    /// Blobs that another repository had.
    pub from_repositories_blobs: u64,
    /// Data blobs that files had.
    pub from_files_blobs: u64,
    /// Blobs stored while files and folders were read again of which parts of the trees were lost.
    pub reread_blobs: u64,
    /// Bytes of packs written.
    pub stored_bytes: u64,
    /// The gc objects that condemn the bad packs.
    pub condemned_by: Vec<ObjectId>,
    /// Blobs that snapshots need and that are nowhere.
    pub lost_blobs: u64,
    /// What of which snapshot cannot be restored: the first 10,000.
    pub affected: Vec<AffectedPath>,
    /// How many paths.
    pub affected_paths: u64,
    /// What could not be read where lost blobs were looked for.
    pub problems: Vec<Problem>,
    /// Whether nothing was to be changed.
    pub dry_run: bool,
}

impl PacksReport {
    /// Whether there is nothing to do.
    pub fn is_sound(&self) -> bool {
        self.bad_packs.is_empty() && self.needed_blobs == 0
    }
}

/// Repairs packs. `agree` is shown what is to be done, and says whether it shall be; it is not asked when there is nothing to do.
///
/// # Errors
/// [`crate::Error::Role`] unless an admin asks; [`crate::Error::Store`], [`crate::Error::State`], [`crate::Error::Interrupted`]; what is wrong with a gc
/// object.
pub fn repair_packs(
    repo: &Repository,
    state: &State,
    options: &PacksOptions<'_>,
    progress: &dyn Progress,
    agree: &mut dyn FnMut(&PacksReport) -> Result<bool>,
) -> Result<PacksReport> {
    need_admin(repo)?;
    // Nothing is condemned while a gc object cannot be read.
    repo.statements()?;
    let mut report = PacksReport::default();
    let quiet = Quiet(progress);
    let (mut read_data, mut brought) = (options.read_data, None);
    for round in 0..MOST_ROUNDS {
        let check = CheckOptions { read_data: Some(read_data), budget: options.budget, threads: 0 };
        // What was said once is not said again.
        let findings = Findings::new(if round == 0 { progress } else { &quiet });
        let looked = threads(&check)?.install(|| {
            let examined = examine(repo, state, &check, progress, &findings)?;
            let meter = Meter::new(None);
            let blobs = TreeBlobs::new(repo, &examined.catalogue, &findings, &meter);
            let losses = Search::new(&blobs).all(&examined.snapshots)?;
            drop(blobs);
            Ok((examined, losses))
        });
        findings.ended()?;
        let (examined, losses) = looked?;
        findings.nothing_newer()?;
        let is_condemned = |n: &u32| examined.catalogue.packs.get(*n as usize).is_none_or(|pack| pack.condemned);
        let bad: Vec<u32> = examined.catalogue.hit_packs().into_iter().filter(|n| !is_condemned(n)).collect();
        report.lost_blobs = losses.count();
        let mut is_over = bad.is_empty() && (losses.is_empty() || brought == Some(0));
        if round == 0 {
            report.bad_packs = bad.iter().filter_map(|number| describe(&examined, *number)).collect();
            (report.needed_blobs, report.needed_bytes) = (losses.count(), losses.data_bytes());
            report.dry_run = !is_over && !agree(&report)?;
            is_over |= report.dry_run;
        }
        if !is_over {
            let mend = Mend { repo, state, options, examined: &examined, findings: &findings, progress };
            brought = Some(mend.run(&losses, &bad, &mut report)?);
        }
        let (errors, _, affected, affected_paths) = findings.finish();
        (report.affected, report.affected_paths) = (affected, affected_paths);
        if round == 0 {
            report.found = errors;
        }
        if is_over {
            return Ok(report);
        }
        read_data = Amount::Doubtful;
    }
    Ok(report)
}

/// What is bad of a pack.
fn describe(examined: &Examined, number: u32) -> Option<BadPack> {
    let pack = examined.catalogue.packs.get(number as usize)?;
    let spots = examined.catalogue.blobs_of(number);
    let bad = spots.iter().filter(|spot| !pack.is_good(spot.segment) || examined.catalogue.is_bad(spot));
    Some(BadPack {
        object: pack.name.to_string(),
        size_bytes: pack.info.size_bytes,
        missing: !examined.survey.packs.contains_key(&pack.name),
        bad_blobs: bad.count() as u64,
        blobs: spots.len() as u64,
    })
}

/// Progress without warnings.
struct Quiet<'p>(&'p dyn Progress);

impl Progress for Quiet<'_> {
    fn stage(&self, what: &'static str, totals: Totals) {
        self.0.stage(what, totals);
    }
    fn advance(&self, files: u64, bytes: u64) {
        self.0.advance(files, bytes);
    }
    fn warn(&self, _: &str) {}
    fn cancelled(&self) -> bool {
        self.0.cancelled()
    }
}

/// One round.
struct Mend<'a> {
    repo: &'a Repository,
    state: &'a State,
    options: &'a PacksOptions<'a>,
    examined: &'a Examined,
    findings: &'a Findings<'a>,
    progress: &'a dyn Progress,
}

impl Mend<'_> {
    /// Stores anew what can be had, and condemns the bad packs. Returns how many blobs came back that no pack had given.
    fn run(&self, losses: &Losses, bad: &[u32], report: &mut PacksReport) -> Result<u64> {
        let mut by_writer: BTreeMap<&WriterName, Vec<u32>> = BTreeMap::new();
        let packs = &self.examined.catalogue.packs;
        for (number, pack) in bad.iter().filter_map(|number| Some((*number, packs.get(*number as usize)?))) {
            by_writer.entry(&pack.info.writer).or_default().push(number);
        }
        let unusable: HashSet<ObjectId> =
            bad.iter().filter_map(|number| Some(packs.get(*number as usize)?.info.id)).collect();
        // What is lost altogether goes to the writer who lost most.
        let first = by_writer.iter().max_by_key(|(_, bad)| bad.len()).map_or(self.options.writer, |(writer, _)| writer);
        if by_writer.is_empty() {
            by_writer.insert(first, Vec::new());
        }
        let mut brought = 0;
        for (writer, bad) in &by_writer {
            let lost = if *writer == first { losses } else { &Losses::default() };
            brought += self.store(writer, bad, lost, &unusable, report)?;
        }
        if !bad.is_empty() {
            self.progress.stage("condemn the bad packs", Totals::default());
            let created = Time::now();
            let packs = by_writer.iter().map(|(writer, bad)| {
                let ids = bad.iter().filter_map(|number| Some(packs.get(*number as usize)?.info.id));
                // Index objects that differ about a pack give it two numbers.
                let ids: BTreeSet<ObjectId> = ids.collect();
                ((*writer).clone(), ids.into_iter().collect())
            });
            let condemned = Condemned { not_before: created.plus(GRACE), packs: packs.collect() };
            let signer = self.repo.keys().signer(Some(first))?;
            let gc = Gc { created, condemned: Some(condemned), ..Gc::default() };
            report.condemned_by.push(write_gc(self.repo, &signer, &gc)?);
        }
        Ok(brought)
    }

    fn store(
        &self,
        writer: &WriterName,
        bad: &[u32],
        losses: &Losses,
        unusable: &HashSet<ObjectId>,
        report: &mut PacksReport,
    ) -> Result<u64> {
        let signer = self.repo.keys().signer(Some(writer))?;
        let statements = &self.examined.statements;
        self.repo.sync(self.state, Some(writer), statements)?;
        let storing =
            Storing { repo: self.repo, state: self.state, signer: &signer, statements, unusable, dry_run: false };
        let meter = Meter::new(None);
        let blobs = TreeBlobs::new(self.repo, &self.examined.catalogue, self.findings, &meter);
        let mut resend = Resend::new(self.repo, &blobs, &self.options.sources, self.progress);
        let (done, stats) = storing.run(|out| {
            self.progress.stage("store what is good in bad packs", Totals::default());
            bad.iter().try_for_each(|number| resend.salvage(*number, out))?;
            if !losses.is_empty() || resend.has_gone() {
                self.progress.stage("look for what is lost", Totals::default());
                resend.in_others(losses, out)?;
                resend.in_files(losses, out)?;
                resend.read_again(losses, out)?;
            }
            Ok(resend.done())
        })?;
        forget_regions(self.state, &done.regions)?;
        report.salvaged_blobs += done.salvaged;
        report.from_repositories_blobs += done.from_others;
        report.from_files_blobs += done.from_files;
        report.reread_blobs += done.reread;
        report.stored_bytes += stats.pack_bytes;
        report.problems.extend(done.problems);
        Ok(done.from_others + done.from_files + done.reread)
    }
}
