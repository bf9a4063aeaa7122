//! `drill`: a restore for practice.

use super::Outcome;
use crate::cli::Filter;
use crate::context::Context;
use crate::facts::Known;
use crate::open;
use crate::scratch::Scratch;
use panther::format::time::Time;
use panther::ops::Progress;
use panther::ops::database::CommandLine;
use panther::ops::drill::{DrillOptions, DrillRecord, Extent, drill, keep, records};
use panther::report::drill::{Body, text};
use panther::source::parse_size;
use panther::{Error, Result};
use serde_json::json;
use std::path::PathBuf;

/// Where nothing is said.
const FILES: usize = 200;
const BYTES: u64 = 2 << 30;
/// Without a bad one among so many, at most 5 % are bad.
const PACKS: usize = 59;

/// Options of `drill`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther -p nightly drill
  panther -p nightly drill --host hetzner --files 500 --bytes 5G --packs 298
  panther drill --database /var/lib/postgresql/17/main --start-postgresql /usr/lib/postgresql/17/bin

Restores a random sample of files (large and old ones more often), a whole database, each time the next one
that the snapshot has, and once in 30 days a whole subvolume, each in its turn, as far as the month's egress
and the room allow; into an empty folder. Reads each file back; compares with the local snapshot that was
backed up, where this machine still has it; reads packs picked at random; clears away; and keeps a signed
record. Says how many packs can be bad at most, with a confidence of 95 %, and how long a whole restore would
take. Needs a reader's or an admin's key. Exit code 4: something was not as it should be.")]
pub struct Options {
    /// The snapshot: its id, a beginning of it, or latest
    #[arg(value_name = "SNAPSHOT", default_value = "latest")]
    snapshot: String,
    #[command(flatten)]
    filter: Filter,
    /// So many files [default: the profile's, else 200]
    #[arg(long, value_name = "N")]
    files: Option<usize>,
    /// At most so many bytes of them [default: the profile's, else 2GiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    bytes: Option<u64>,
    /// So many packs, picked at random; 298 for 1 %
    #[arg(long, value_name = "N", default_value_t = PACKS)]
    packs: usize,
    /// Restore the whole snapshot
    #[arg(long)]
    whole: bool,
    /// Restore no whole subvolume, even if that is due
    #[arg(long, conflicts_with = "whole")]
    no_whole: bool,
    /// Restore this folder of a database, too [default: the next of those in the snapshot]
    #[arg(long, value_name = "FOLDER")]
    database: Option<PathBuf>,
    /// Start a PostgreSQL on it, or on the next one in the snapshot, with the programs in this folder, and ask it something
    #[arg(long, value_name = "BIN")]
    start_postgresql: Option<PathBuf>,
    /// Run this on what was restored, without a shell; the folder is its last argument [default: the profile's]
    #[arg(long, value_name = "COMMAND", value_parser = CommandLine::parse)]
    verify: Option<CommandLine>,
    /// Restore into a new folder below this one, which is removed afterwards [default: the profile's, else the temporary folder]
    #[arg(long, value_name = "DIR")]
    target: Option<PathBuf>,
    /// Leave what was restored where it is, and say where
    #[arg(long)]
    keep: bool,
    /// Do not compare with snapshots and files of this machine
    #[arg(long)]
    no_compare: bool,
}

fn size(text: &str) -> std::result::Result<u64, String> {
    parse_size(text).map_err(|e| e.to_string())
}

/// Does it.
pub fn run(options: &Options, context: &Context) -> Result<Outcome> {
    let filter = options.filter.make()?;
    let (repo, _) = open::repository(context)?;
    repo.keys().need_reader("restore")?;
    let statements = repo.statements_for_reading(|error| context.ui.warn(&open::with_causes(error)))?;
    let snapshot = open::snapshot(context, &repo, &statements, &options.snapshot, &filter)?;
    let state = open::synced_state(context, &repo, &statements)?;
    let folder = open::state_folder(context)?;
    let (done, _) = records(&repo, &folder, &statements)?;
    let known = Known::gather(context);
    let objective =
        super::status::objectives(context, &known).remove(snapshot.head.writer.as_str()).unwrap_or_default();
    let profile = context.profile().and_then(|profile| profile.drill.clone()).unwrap_or_default();
    let verify = match (&options.verify, &profile.verify) {
        (Some(verify), _) => Some(verify.clone()),
        (None, Some(words)) => Some(CommandLine::new(words.0.clone())?),
        (None, None) => None,
    };
    let writer = snapshot.head.writer.to_string();
    let target = options.target.clone().or_else(|| profile.target.as_ref().map(|target| target.get().clone()));
    let scratch = Scratch::within(target.as_deref(), &context.ui)?;
    if options.start_postgresql.is_some() {
        // The database's own user has to come through.
        let through = std::os::unix::fs::PermissionsExt::from_mode(0o711);
        std::fs::set_permissions(scratch.path(), through).map_err(|e| Error::io("open up", scratch.path(), e))?;
    }
    let drill_options = DrillOptions {
        snapshot: &snapshot,
        extent: match () {
            () if options.whole => Extent::Everything,
            () if options.no_whole => Extent::Sample,
            () => Extent::WholeIfDue,
        },
        files: options.files.or(profile.files.map(|files| files as usize)).unwrap_or(FILES),
        bytes: options.bytes.or(profile.bytes.as_ref().map(|bytes| *bytes.get())).unwrap_or(BYTES),
        packs: options.packs,
        budget: super::check::budget(None, context, &repo)?,
        database: options.database.clone(),
        start_postgresql: options.start_postgresql.clone(),
        verify,
        target: scratch.path(),
        // Another machine's files say nothing of this one's.
        compares: !options.no_compare && snapshot.head.cover.host == open::host(),
        objective_secs: objective.recovery_time_secs(),
        by: known.host.clone(),
        done: &done,
    };
    let result = drill(&repo, &state, &drill_options, &context.ui);
    let result = match result {
        Ok(done) => Ok(done),
        // A restore that does not get to its end is a drill that failed, unless somebody stopped it.
        Err(error @ (Error::Interrupted | Error::Usage(_) | Error::Role { .. })) => Err(error),
        Err(error) => {
            let record = DrillRecord {
                writer,
                by: known.host.clone(),
                at_secs: Time::now().secs,
                elapsed_secs: context.began.elapsed().as_secs_f64(),
                snapshot: snapshot.head.id.to_hex(),
                snapshot_secs: snapshot.head.cover.started.secs,
                objective_secs: objective.recovery_time_secs(),
                bad_share: 1.0,
                problems: vec!["the restore did not come to its end".into()],
                ..DrillRecord::default()
            };
            keep(&repo, &folder, Some(&open::signing_writer(context)), &record, &context.ui)?;
            Err(error)
        }
    };
    let (record, named) = result?;
    let file = keep(&repo, &folder, Some(&open::signing_writer(context)), &record, &context.ui)?;
    let kept = options.keep.then(|| scratch.keep());
    context.note(|run| {
        run.writer.clone_from(&record.writer);
        run.problems = record.wrong_files + record.bad_packs + record.problems.len() as u64;
        run.details = json!({ "recovery_secs": record.recovery_secs, "bad_share": record.bad_share });
        run.error = record.problems.first().cloned();
    });
    named.iter().for_each(|what| context.ui.warn(what));
    let body = Body {
        record: &record,
        file: file.display().to_string(),
        problems: &named,
        kept_in: kept.map(|p| p.display().to_string()),
    };
    context.report(&body, || text(&body))?;
    Ok(if record.success { Outcome::Complete } else { Outcome::Damaged })
}
