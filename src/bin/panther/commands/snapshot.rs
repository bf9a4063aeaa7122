//! `snapshot`: local snapshots of Btrfs subvolumes.

use super::Outcome;
use crate::context::Context;
use crate::rules::Rules;
use panther::Result;
use panther::format::time::Time;
use panther::ops::Progress;
use panther::ops::local_snapshots::{Fate, create, list, prune};
use panther::report::local_snapshots as report;
use std::path::PathBuf;

/// What to do with local snapshots.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "Snapshots lie in the folder .panther of each subvolume, under names that sort by time, such as
20261123T020000Z-before-upgrade (docs/btrfs.md). Backups leave that folder out. No repository is needed.")]
pub enum Snapshot {
    /// Make a read-only snapshot of each subvolume, one right after the other, all or none
    Create(Create),
    /// List the snapshots of each subvolume: age, bytes that only they hold where quota groups tell, and whether a backup needs them
    List(List),
    /// Remove the snapshots made by create that no rule keeps; never one that a backup reads or compares with
    Prune(Prune),
}

/// Options of `snapshot create`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther snapshot create / /home /srv
  panther snapshot create / --label before-upgrade")]
pub struct Create {
    /// Subvolumes
    #[arg(required = true, value_name = "SUBVOLUME")]
    paths: Vec<PathBuf>,
    /// Add this to the name: letters, digits, dashes, dots and underscores
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
}

/// Options of `snapshot list`.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Subvolumes
    #[arg(required = true, value_name = "SUBVOLUME")]
    paths: Vec<PathBuf>,
}

/// Options of `snapshot prune`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther snapshot prune / /home --keep-hourly 24 --keep-daily 7 --dry-run
  panther snapshot prune /home --policy laptop

Each subvolume's snapshots are judged by themselves, by the time in their names. Rules add up: what one of
them keeps stays; the last snapshot of each period is kept. Without a rule nothing is removed. Exit
code 3: one that should have gone could not be removed.")]
pub struct Prune {
    /// Subvolumes
    #[arg(required = true, value_name = "SUBVOLUME")]
    paths: Vec<PathBuf>,
    /// Remove nothing, only say what would be
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    rules: Rules,
}

impl Snapshot {
    /// What its JSON documents call it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Create(_) => "snapshot create",
            Self::List(_) => "snapshot list",
            Self::Prune(_) => "snapshot prune",
        }
    }
}

/// Does what was asked with local snapshots.
pub fn run(snapshot: &Snapshot, context: &Context) -> Result<Outcome> {
    let now = Time::now();
    match snapshot {
        Snapshot::Create(options) => {
            let made = create(&options.paths, options.label.as_deref(), now)?;
            context.report(report::Created::new(&made), || report::created(&made))?;
        }
        Snapshot::List(options) => {
            let listed = list(&options.paths)?;
            context.emit(report::List::new(&listed, now), || report::list(&listed, now, &context.zone))?;
        }
        Snapshot::Prune(options) => {
            let policy = options.rules.policy();
            let judged = prune(&options.paths, &policy, now, &context.zone, options.dry_run)?;
            let failures = judged.iter().filter(|one| matches!(one.fate, Fate::Failed(_))).count();
            context.note(|record| {
                record.problems = failures as u64;
                record.is_dry = options.dry_run;
            });
            let mut outcome = Outcome::Complete;
            for one in &judged {
                if let Fate::Failed(why) = &one.fate {
                    context.ui.warn(why);
                    outcome = Outcome::Incomplete;
                }
            }
            let body = report::Prune::new(&judged, options.dry_run);
            context.report(body, || report::pruned(&judged, options.dry_run, &context.zone))?;
            return Ok(outcome);
        }
    }
    Ok(Outcome::Complete)
}
