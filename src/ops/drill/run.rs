//! The drill itself.

use super::confidence::most_bad_share;
use super::record::{DrillRecord, Started};
use super::sample::{Candidate, Dice, Sample, pattern_of};
use super::{compare, database};
use crate::egress::Budget;
use crate::error::{Error, Result};
use crate::format::entry::FileKind;
use crate::format::limits;
use crate::format::name::Name;
use crate::format::time::Time;
use crate::id::ObjectId;
use crate::ops::database::CommandLine;
use crate::ops::list::list;
use crate::ops::restore::{RestoreOptions, restore};
use crate::ops::{Progress, Totals};
use crate::repo::Repository;
use crate::repo::reader::BlobReader;
use crate::repo::snapshots::Snapshot;
use crate::state::State;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// So many problems are named.
const NAMED: usize = 20;

/// What to try.
pub struct DrillOptions<'a> {
    /// The snapshot.
    pub snapshot: &'a Snapshot,
    /// Restore all of it, not a sample.
    pub whole: bool,
    /// So many files.
    pub files: usize,
    /// At most so many bytes of them.
    pub bytes: u64,
    /// So many packs are read.
    pub packs: usize,
    /// At most so much is read this month.
    pub budget: Budget,
    /// A folder of a database that is restored as a whole, beside the sample.
    pub database: Option<PathBuf>,
    /// Start a PostgreSQL on that, with the programs in this folder.
    pub start_postgresql: Option<PathBuf>,
    /// Run on what was restored; the folder is its last argument.
    pub verify: Option<CommandLine>,
    /// An empty folder to restore into.
    pub target: &'a Path,
    /// Files are compared with those of this machine, where they have not changed since.
    pub compares: bool,
    /// How long a restore may take.
    pub objective_secs: u64,
    /// The machine that does it.
    pub by: String,
}

/// Does it. What is wrong with the backup is in the record; its problems name no files, those of the second list do.
///
/// # Errors
/// When the drill itself could not be done: [`Error::Store`], [`Error::Io`] on the target, [`Error::Interrupted`].
pub fn drill(
    repo: &Repository,
    state: &State,
    options: &DrillOptions<'_>,
    progress: &dyn Progress,
) -> Result<(DrillRecord, Vec<String>)> {
    let began = Instant::now();
    let now = Time::now();
    let snapshot = options.snapshot;
    let summary = &snapshot.manifest.summary;
    let mut record = DrillRecord {
        writer: snapshot.head.writer.to_string(),
        by: options.by.clone(),
        at_secs: now.secs,
        snapshot: snapshot.head.id.to_hex(),
        snapshot_secs: snapshot.head.cover.started.secs,
        is_whole: options.whole,
        objective_secs: options.objective_secs,
        ..DrillRecord::default()
    };
    let mut named = Vec::new();
    let mut dice = Dice::new();
    packs(repo, options, &mut dice, &mut record, &mut named, progress)?;
    let sample = if options.whole { Vec::new() } else { pick(repo, state, options, &mut dice, now, progress)? };
    restored(repo, state, options, &sample, &mut record, &mut named, progress)?;
    if options.compares {
        let (compared, wrong) = compare::with_live(options.target, snapshot.head.cover.started, progress)?;
        record.compared_files = compared;
        record.wrong_files += wrong.len() as u64;
        named.extend(wrong.iter().map(|path| format!("{path} is not what it is on this machine")));
        if !wrong.is_empty() {
            record.problems.push(format!("{} restored files differ from the unchanged ones here", wrong.len()));
        }
    }
    let database =
        options.database.as_ref().map(|folder| options.target.join(folder.strip_prefix("/").unwrap_or(folder)));
    if let (Some(bin), Some(data)) = (&options.start_postgresql, &database) {
        let started = database::postgresql(bin, data, progress);
        let name = options.database.as_ref().map(|folder| folder.display().to_string()).unwrap_or_default();
        record.databases.push(Started { name, is_good: started.is_ok() });
        if let Err(why) = started {
            record.problems.push("a restored PostgreSQL does not start".into());
            named.push(why);
        }
    }
    if let Some(verify) = &options.verify {
        let limits = crate::ops::database::command::Limits {
            timeout: Duration::from_secs(3_600),
            run_as: None,
            finishes: false,
            logs_output: true,
            progress,
        };
        let command = verify.with(&[&options.target.to_string_lossy()]);
        match command.run("the drill's verification", "", &limits) {
            Ok(_) => {}
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(error) => {
                record.problems.push("the verification command has failed".into());
                named.push(error.to_string());
            }
        }
    }
    record.elapsed_secs = began.elapsed().as_secs_f64();
    if record.files == 0 && summary.files > 0 {
        record.problems.push("nothing was restored".into());
    }
    record.success = record.problems.is_empty() && record.wrong_files == 0 && record.bad_packs == 0;
    named.truncate(NAMED);
    Ok((record, named))
}

/// Reads packs that are picked evenly from all of the repository, whole: their names are the hashes of their bytes.
fn packs(
    repo: &Repository,
    options: &DrillOptions<'_>,
    dice: &mut Dice,
    record: &mut DrillRecord,
    named: &mut Vec<String>,
    progress: &dyn Progress,
) -> Result<()> {
    let mut all: Vec<(Name, u64)> = repo.list("writers/")?;
    let stored_bytes = all.iter().map(|(_, bytes)| bytes).sum();
    all.retain(|(name, _)| matches!(name, Name::Pack(..)));
    record.packs = all.len() as u64;
    let mut left_bytes = options.budget.allowance(stored_bytes).map_or(u64::MAX, |allowance| allowance.left_bytes());
    let picked = dice.pick(all, options.packs);
    progress.stage("read packs", Totals { files: Some(picked.len() as u64), bytes: None });
    for (name, size_bytes) in picked {
        if progress.cancelled() {
            return Err(Error::Interrupted);
        }
        // A pack that is left out for its size would make the sample less even; so it ends here.
        if size_bytes > left_bytes {
            progress.warn("the egress budget of the month leaves no room for more packs");
            break;
        }
        left_bytes -= size_bytes;
        record.read_packs += 1;
        if !is_sound(repo, &name)? {
            record.bad_packs += 1;
            named.push(format!("{name} is damaged or missing"));
        }
        progress.advance(1, size_bytes);
    }
    record.bad_share = most_bad_share(record.packs, record.read_packs, record.bad_packs);
    if record.bad_packs > 0 {
        record.problems.push(format!("{} of {} packs are damaged or missing", record.bad_packs, record.read_packs));
    }
    Ok(())
}

/// Whether a pack's bytes are those of its name, by some way of reading.
fn is_sound(repo: &Repository, name: &Name) -> Result<bool> {
    let (backend, text) = (repo.backend(), name.to_string());
    let is_right = |bytes: &[u8]| Some(ObjectId::of(bytes)) == name.id();
    match backend.get(&text, limits::PACK_BYTES) {
        Ok(bytes) if is_right(&bytes) => return Ok(true),
        Err(error) if error.ends_the_run() => return Err(Error::store("read", name, error)),
        _ => {}
    }
    for attempt in 0..3 {
        match backend.get_again(&text, limits::PACK_BYTES, attempt) {
            Ok(Some(bytes)) if is_right(&bytes) => return Ok(true),
            Ok(None) => break,
            Err(error) if error.ends_the_run() => return Err(Error::store("read", name, error)),
            _ => {}
        }
    }
    Ok(false)
}

/// Draws files from the snapshot's trees.
fn pick(
    repo: &Repository,
    state: &State,
    options: &DrillOptions<'_>,
    dice: &mut Dice,
    now: Time,
    progress: &dyn Progress,
) -> Result<Vec<Candidate>> {
    progress.stage("choose files", Totals::default());
    let reader = BlobReader::new(repo, state)?;
    let mut sample = Sample::new(options.files, now.secs);
    list(&reader, &options.snapshot.manifest, None, true, &mut |path, entry| {
        if progress.cancelled() {
            return Err(Error::Interrupted);
        }
        if entry.kind() == FileKind::File {
            let size_bytes = entry.size_bytes();
            let candidate = Candidate { path: path.to_vec(), size_bytes, mtime_secs: entry.mtime.secs };
            sample.offer(candidate, dice);
        }
        Ok(())
    })?;
    // A name that no pattern can say is left out; it is as good as the others.
    Ok(sample.take(options.bytes).into_iter().filter(|file| pattern_of(&file.path).is_some()).collect())
}

fn restored(
    repo: &Repository,
    state: &State,
    options: &DrillOptions<'_>,
    sample: &[Candidate],
    record: &mut DrillRecord,
    named: &mut Vec<String>,
    progress: &dyn Progress,
) -> Result<()> {
    let mut includes: Vec<String> = sample.iter().filter_map(|file| pattern_of(&file.path)).collect();
    let database = options.database.as_ref().and_then(|folder| pattern_of(folder.as_os_str().as_bytes()));
    if !options.whole {
        includes.extend(database);
        if includes.is_empty() {
            return Ok(());
        }
    }
    let restore_options = RestoreOptions {
        includes: if options.whole { Vec::new() } else { includes },
        // Read back, so that what the disk has is what counts.
        verify: true,
        ..RestoreOptions::new(None, options.target.to_owned())
    };
    let report = restore(repo, state, options.snapshot, &restore_options, progress)?;
    record.files = report.files;
    record.bytes = report.bytes;
    let missing = (sample.len() as u64).saturating_sub(report.files);
    record.wrong_files = report.problem_count.max(if options.whole { 0 } else { missing });
    if record.wrong_files > 0 {
        record.problems.push(format!("{} files could not be restored", record.wrong_files));
        named.extend(report.problems.iter().map(|problem| format!("{}: {}", problem.path, problem.error)));
    }
    let share = options.snapshot.manifest.summary.source_bytes as f64 / report.bytes.max(1) as f64;
    record.recovery_secs = report.elapsed_secs * if options.whole { 1.0 } else { share.max(1.0) };
    Ok(())
}
