//! The drill itself.

use super::choose::{databases_in_turn, is_whole_due, units_in_turn};
use super::packs;
use super::record::{DrillRecord, Tried};
use super::sample::{Dice, pattern_of};
use super::survey::{Database, Survey, Unit, lies_in, size_of, survey};
use super::{compare, database};
use crate::egress::Budget;
use crate::error::{Error, Result};
use crate::format::name::Name;
use crate::format::time::Time;
use crate::ops::Progress;
use crate::ops::backup::origins_of;
use crate::ops::database::CommandLine;
use crate::ops::restore::{RestoreOptions, restore};
use crate::repo::Repository;
use crate::repo::reader::BlobReader;
use crate::repo::snapshots::Snapshot;
use crate::source::ExcludeOptions;
use crate::state::State;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// So many problems are named.
const NAMED: usize = 20;

/// How much is restored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    /// A sample, and a database.
    Sample,
    /// The same, and a whole subvolume if none was for 30 days.
    WholeIfDue,
    /// Everything.
    Everything,
}

/// What to try.
pub struct DrillOptions<'a> {
    /// The snapshot.
    pub snapshot: &'a Snapshot,
    /// How much of it.
    pub extent: Extent,
    /// So many files.
    pub files: usize,
    /// At most so many bytes of them.
    pub bytes: u64,
    /// So many packs are read.
    pub packs: usize,
    /// At most so much is read this month.
    pub budget: Budget,
    /// A folder of a database that is restored as a whole; otherwise that whose turn it is.
    pub database: Option<PathBuf>,
    /// Start a PostgreSQL on that, with the programs in this folder.
    pub start_postgresql: Option<PathBuf>,
    /// Run on what was restored; the folder is its last argument.
    pub verify: Option<CommandLine>,
    /// An empty folder to restore into.
    pub target: &'a Path,
    /// Files are compared with those of this machine.
    pub compares: bool,
    /// How long a restore may take.
    pub objective_secs: u64,
    /// The machine that does it.
    pub by: String,
    /// The drills before, by which it is known whose turn it is.
    pub done: &'a [DrillRecord],
}

struct Drill<'a> {
    repo: &'a Repository,
    state: &'a State,
    options: &'a DrillOptions<'a>,
    progress: &'a dyn Progress,
    record: DrillRecord,
    /// What went wrong, with names.
    named: Vec<String>,
    /// What may still be read this month.
    left_bytes: u64,
    restoring_secs: f64,
}

/// Does it. What is wrong with the backup is in the record; its problems name no files, those of the second list do.
///
/// # Errors
/// When the drill itself could not be done: [`Error::Store`], [`Error::Io`] on the target, [`Error::Usage`] for a PostgreSQL that is to be started where there is none,
/// [`Error::Interrupted`].
pub fn drill(
    repo: &Repository,
    state: &State,
    options: &DrillOptions<'_>,
    progress: &dyn Progress,
) -> Result<(DrillRecord, Vec<String>)> {
    let began = Instant::now();
    let snapshot = options.snapshot;
    let record = DrillRecord {
        writer: snapshot.head.writer.to_string(),
        by: options.by.clone(),
        at_secs: Time::now().secs,
        snapshot: snapshot.head.id.to_hex(),
        snapshot_secs: snapshot.head.cover.started.secs,
        is_whole: options.extent == Extent::Everything,
        objective_secs: options.objective_secs,
        ..DrillRecord::default()
    };
    let mut drill =
        Drill { repo, state, options, progress, record, named: Vec::new(), left_bytes: 0, restoring_secs: 0.0 };
    let databases = drill.restore()?;
    if options.compares {
        drill.compare()?;
    }
    databases.iter().for_each(|database| drill.start(database));
    drill.verify()?;
    let Drill { mut record, mut named, .. } = drill;
    record.elapsed_secs = began.elapsed().as_secs_f64();
    if record.files == 0 && snapshot.manifest.summary.files > 0 {
        record.problems.push("nothing was restored".into());
    }
    record.success = record.problems.is_empty() && record.wrong_files == 0 && record.bad_packs == 0;
    named.truncate(NAMED);
    Ok((record, named))
}

impl Drill<'_> {
    /// Reads packs and restores everything that is to be restored. Returns the databases of which all was.
    fn restore(&mut self) -> Result<Vec<Database>> {
        let mut dice = Dice::new();
        let listed: Vec<(Name, u64)> = self.repo.list("writers/")?;
        let stored_bytes = listed.iter().map(|(_, bytes)| bytes).sum();
        self.left_bytes = self.options.budget.allowance(stored_bytes).map_or(u64::MAX, |a| a.left_bytes());
        let most = (self.options.packs, &mut self.left_bytes);
        packs::read_some(self.repo, listed, most, &mut dice, &mut self.record, &mut self.named, self.progress)?;

        let reader = BlobReader::new(self.repo, self.state)?;
        let manifest = &self.options.snapshot.manifest;
        let most = (self.options.files, self.options.bytes.min(self.left_bytes));
        let Survey { mut sample, units, databases } =
            survey(&reader, manifest, most, self.record.at_secs, &mut dice, self.progress)?;
        let databases = self.databases(&reader, databases)?;
        if self.options.extent == Extent::Everything {
            self.run(RestoreOptions::new(None, self.options.target.to_owned()), 0)?;
            self.judge_speed();
            return Ok(databases);
        }
        let paths: Vec<Vec<u8>> = units.iter().map(|unit| unit.path.clone()).collect();
        let mut there = None;
        if let Some(unit) = self.due(units) {
            // What lies below it and is a unit of its own comes in its own turn.
            let nested: Vec<Vec<u8>> =
                paths.into_iter().filter(|path| *path != unit.path && lies_in(path, &unit.path)).collect();
            let patterns: Vec<String> = nested.iter().filter_map(|path| pattern_of(path)).collect();
            let whole = RestoreOptions {
                includes: pattern_of(&unit.path).filter(|_| unit.path != b"/").into_iter().collect(),
                excludes: ExcludeOptions { patterns, ..ExcludeOptions::default() },
                ..RestoreOptions::new(None, self.options.target.to_owned())
            };
            self.run(whole, unit.files)?;
            self.record.subvolume = Some(String::from_utf8_lossy(&unit.path).into_owned());
            there = Some((unit.path, nested));
        }
        // Nothing twice.
        let is_there = |path: &[u8]| {
            let within = there.as_ref().filter(|(unit, _)| lies_in(path, unit));
            within.is_some_and(|(_, nested)| !nested.iter().any(|below| lies_in(path, below)))
        };
        sample.retain(|file| !is_there(&file.path));
        let mut includes: Vec<String> = sample.iter().filter_map(|file| pattern_of(&file.path)).collect();
        includes.extend(databases.iter().filter(|d| !is_there(&d.path)).filter_map(|d| pattern_of(&d.path)));
        if !includes.is_empty() {
            // A folder of the first restore is there already.
            let overwrite = there.is_some();
            let some =
                RestoreOptions { includes, overwrite, ..RestoreOptions::new(None, self.options.target.to_owned()) };
            self.run(some, sample.len() as u64)?;
        }
        self.judge_speed();
        Ok(databases)
    }

    /// The databases whose turn it is, or that which was named, as far as they fit.
    fn databases(&mut self, reader: &BlobReader<'_>, all: Vec<Database>) -> Result<Vec<Database>> {
        let (options, wants) = (self.options, self.options.start_postgresql.is_some());
        if let Some(folder) = &options.database {
            return Ok(vec![Database { path: folder.as_os_str().as_bytes().to_vec(), is_postgresql: wants }]);
        }
        if wants && !all.iter().any(|database| database.is_postgresql) {
            let what = "the snapshot has no data folder of a PostgreSQL that could be started";
            return Err(Error::Usage(what.into()));
        }
        let mut found = databases_in_turn(all, options.done, &self.record.writer, wants);
        let mut sizes = Vec::new();
        for database in &found {
            sizes.push(size_of(reader, &options.snapshot.manifest, &database.path, self.progress)?);
        }
        let mut sizes = sizes.into_iter();
        found.retain(|database| self.has_room(&database.path, sizes.next().unwrap_or(0)));
        Ok(found)
    }

    /// The subvolume that is to be restored as a whole, if one is due: that whose turn it is, or the next one that fits.
    fn due(&mut self, units: Vec<Unit>) -> Option<Unit> {
        let is_due = is_whole_due(self.options.done, &self.record.writer, self.record.at_secs);
        if self.options.extent != Extent::WholeIfDue || !is_due {
            return None;
        }
        let mut units = units_in_turn(units, self.options.done, &self.record.writer).into_iter();
        let unit = units.find(|unit| self.has_room(&unit.path, unit.bytes))?;
        self.left_bytes = self.left_bytes.saturating_sub(unit.bytes);
        Some(unit)
    }

    /// Whether so much may be read this month and fits below the target; says so if not.
    fn has_room(&self, path: &[u8], bytes: u64) -> bool {
        let room = rustix::fs::statvfs(self.options.target);
        // Something is left to others.
        let room_bytes = room.map_or(u64::MAX, |room| room.f_bavail.saturating_mul(room.f_frsize) / 10 * 9);
        let why = match () {
            () if bytes > self.left_bytes => "the egress budget of the month is too small for it",
            () if bytes > room_bytes => "there is not enough room for it",
            () => return true,
        };
        let name = String::from_utf8_lossy(path);
        self.progress.warn(&format!("{name} is not restored as a whole, though it is its turn: {why} ({bytes} bytes)"));
        false
    }

    /// One restore, of so many files at least.
    fn run(&mut self, options: RestoreOptions, files: u64) -> Result<()> {
        // Read back, so that what the disk has is what counts.
        let options = RestoreOptions { verify: true, ..options };
        let report = restore(self.repo, self.state, self.options.snapshot, &options, self.progress)?;
        self.record.files += report.files;
        self.record.bytes += report.bytes;
        self.restoring_secs += report.elapsed_secs;
        // A further name of a file is a name, not a file.
        let wrong = report.problem_count.max(files.saturating_sub(report.files + report.links));
        self.record.wrong_files += wrong;
        if wrong > 0 {
            self.record.problems.push(format!("{wrong} files could not be restored"));
            self.named.extend(report.problems.iter().map(|problem| format!("{}: {}", problem.path, problem.error)));
        }
        Ok(())
    }

    /// How long everything would take.
    fn judge_speed(&mut self) {
        let share = self.options.snapshot.manifest.summary.source_bytes as f64 / self.record.bytes.max(1) as f64;
        self.record.recovery_secs = self.restoring_secs * if self.record.is_whole { 1.0 } else { share.max(1.0) };
    }

    /// With the snapshots that were backed up, and with live files.
    fn compare(&mut self) -> Result<()> {
        let origins = origins_of(self.state, self.options.snapshot)?;
        let taken = self.options.snapshot.head.cover.started;
        let found = compare::compare(self.options.target, &origins, taken, self.progress)?;
        self.record.snapshot_files = found.with_snapshot;
        self.record.live_files = found.with_live;
        self.record.changed_files = found.changed_since;
        self.record.wrong_files += found.wrong.len() as u64;
        if !found.wrong.is_empty() {
            self.record
                .problems
                .push(format!("{} restored files differ from the snapshot that was backed up", found.wrong.len()));
        }
        self.named.extend(found.wrong);
        Ok(())
    }

    /// Starts a database, where that is asked for.
    fn start(&mut self, database: &Database) {
        let path = Path::new(std::ffi::OsStr::from_bytes(&database.path));
        let bin = self.options.start_postgresql.as_ref().filter(|_| database.is_postgresql);
        let data = self.options.target.join(path.strip_prefix("/").unwrap_or(path));
        let started = bin.map(|bin| database::postgresql(bin, &data, self.progress));
        let is_good = match &started {
            Some(started) => started.is_ok(),
            None => data.is_dir(),
        };
        self.record.databases.push(Tried { name: path.display().to_string(), is_started: started.is_some(), is_good });
        match started {
            Some(Err(why)) => {
                self.record.problems.push("a restored PostgreSQL does not start".into());
                self.named.push(why);
            }
            _ if !is_good => {
                self.record.problems.push("a database is not in the snapshot".into());
                self.named.push(format!("{} is not in the snapshot", path.display()));
            }
            _ => {}
        }
    }

    /// Runs the command that was named.
    fn verify(&mut self) -> Result<()> {
        let Some(verify) = &self.options.verify else { return Ok(()) };
        let limits = crate::ops::database::command::Limits {
            timeout: Duration::from_secs(3_600),
            run_as: None,
            finishes: false,
            logs_output: true,
            progress: self.progress,
        };
        let command = verify.with(&[&self.options.target.to_string_lossy()]);
        match command.run("the drill's verification", "", &limits) {
            Ok(_) => Ok(()),
            Err(Error::Interrupted) => Err(Error::Interrupted),
            Err(error) => {
                self.record.problems.push("the verification command has failed".into());
                self.named.push(error.to_string());
                Ok(())
            }
        }
    }
}
