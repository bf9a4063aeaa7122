//! `import`: snapshots of another program's repository.

use super::Outcome;
use crate::cli::Filter;
use crate::context::Context;
use crate::{open, secrets};
use age::secrecy::ExposeSecret;
use panther::import::restic::{Restic, Snapshot};
use panther::ops::Progress as _;
use panther::ops::copy::Side;
use panther::ops::import::import;
use panther::ops::list::SnapshotFilter;
use panther::report::import::text;
use panther::{Error, Result};
use std::ffi::OsString;
use std::path::PathBuf;

/// From which program.
#[derive(Debug, clap::Subcommand)]
pub enum Import {
    /// Import snapshots of a restic (or rustic) repository in a local folder
    Restic(Options),
}

impl Import {
    /// What its JSON documents call it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Restic(_) => "import restic",
        }
    }
}

/// Options of `import restic`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther -r /mnt/disk/panther import restic /mnt/disk/restic --from-password-file restic.pass
  panther -r REPO import restic /mnt/disk/restic --host yoga --tag keep --dry-run
  panther -r REPO import restic /mnt/disk/restic latest

The repository to import from is only read. Snapshots keep time, host, user, tags, excludes and trees;
everything is checked against restic's own hashes, cut and named anew, so that later backups of the same
files store nothing twice. A run that was stopped goes on; what is here already is left out, so the same
command again, later, imports what is new.

Password, the first that is there: the options; RESTIC_PASSWORD_FILE or RESTIC_PASSWORD_COMMAND;
RESTIC_PASSWORD; a question on the terminal.

Exit code 3: something of a snapshot is lost, so it was not imported, or something in it was left out.
Exit code 12: the password is wrong.")]
pub struct Options {
    #[command(flatten)]
    filter: Filter,
    /// Read restic's password from this file
    #[arg(long, value_name = "FILE")]
    from_password_file: Option<PathBuf>,
    /// Run this command, without a shell, and take its output as restic's password
    #[arg(long, value_name = "COMMAND")]
    from_password_command: Option<OsString>,
    /// Import nothing, only say what would be
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// The folder of the repository to import from
    #[arg(value_name = "FOLDER")]
    from: PathBuf,
    /// These snapshots: restic's ids, beginnings of them, or latest [default: all that the filter lets through]
    #[arg(value_name = "SNAPSHOT")]
    ids: Vec<String>,
}

/// Imports.
pub fn run(import: &Import, context: &Context) -> Result<Outcome> {
    match import {
        Import::Restic(options) => restic(options, context),
    }
}

fn restic(options: &Options, context: &Context) -> Result<Outcome> {
    let filter = options.filter.make()?;
    if options.from.to_str().is_some_and(open::is_other_store) {
        let what = "only a repository in a folder can be imported: mount the store, or bring a copy here";
        return Err(Error::Usage(what.into()));
    }
    let (repo, _) = open::repository(context)?;
    let password = secrets::of_restic(options.from_password_file.as_deref(), options.from_password_command.as_deref())?;
    let from = Restic::open(&options.from, password.expose_secret().as_bytes())?;
    let (snapshots, odd) = from.snapshots()?;
    odd.iter().for_each(|error| context.ui.warn(&open::with_causes(error)));
    let chosen = choose(&snapshots, &options.ids, &filter)?;
    let state = open::state(context, &repo)?;
    context.note(|record| record.is_dry = options.dry_run);
    let to = Side { repo: &repo, state: &state };
    let done = import(&from, to, &chosen, context.globals.writer.as_ref(), options.dry_run, &context.ui)?;
    context.report(&done, || text(&done, &context.zone))?;
    Ok(if done.is_complete() && odd.is_empty() { Outcome::Complete } else { Outcome::Incomplete })
}

/// The snapshots that are meant, oldest first.
fn choose<'s>(snapshots: &'s [Snapshot], ids: &[String], filter: &SnapshotFilter) -> Result<Vec<&'s Snapshot>> {
    let fits = |snapshot: &&Snapshot| {
        filter.matches_parts(&snapshot.host, &snapshot.tags, |wanted| {
            snapshot.paths.iter().any(|path| path.as_bytes() == wanted)
        })
    };
    if ids.is_empty() {
        return Ok(snapshots.iter().filter(fits).collect());
    }
    let mut chosen: Vec<&Snapshot> = Vec::new();
    for wanted in ids {
        let wanted = wanted.to_ascii_lowercase();
        let found: Vec<&Snapshot> = match &wanted[..] {
            "latest" => snapshots.iter().rfind(fits).into_iter().collect(),
            id if id.len() < 4 => return Err(Error::Usage(format!("{id:?} is too short for a snapshot's id"))),
            id => snapshots.iter().filter(|snapshot| snapshot.id.to_hex().starts_with(id)).collect(),
        };
        match found[..] {
            [one] => chosen.push(one),
            [] => return Err(Error::Usage(format!("that repository has no snapshot {wanted}"))),
            _ => return Err(Error::Usage(format!("several snapshots begin with {wanted}: give more digits"))),
        }
    }
    chosen.sort_by_key(|snapshot| (snapshot.time, snapshot.id));
    Ok(chosen)
}
