//! `copy`: snapshots into another repository.

use super::Outcome;
use crate::cli::Filter;
use crate::context::Context;
use crate::open;
use crate::second::SecondSecrets;
use panther::Result;
use panther::ops::Progress as _;
use panther::ops::copy::{Side, copy};
use panther::repo::snapshots::{Snapshot, pick};
use panther::report::copy::text;
use std::ffi::OsString;

/// Options of `copy`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther -r /mnt/disk/repo copy --to b2://my-bucket/home --other-b2-key-file key
  panther -r b2://my-bucket/home copy --to /mnt/disk/repo latest --host yoga
  panther -r REPO copy --to OTHER --tag keep --dry-run

The target must exist (`panther -r OTHER init`). Every blob is checked, cut and named anew by the
target's own secrets, so that it meets what backups into the target store, and sealed to its keys.
Copies keep time, host, user, tags and figures, and name the snapshot that they were made from; what the
target has already is left out. A copy that was stopped goes on where it was.

Exit code 3: something of a snapshot is lost, so it was not copied.")]
pub struct Options {
    #[command(flatten)]
    filter: Filter,
    /// The repository to copy to
    #[arg(long, value_name = "REPO")]
    to: OsString,
    /// Copy nothing, only say what would be
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// These snapshots: ids, beginnings of them, or latest [default: all that the filter lets through]
    #[arg(value_name = "SNAPSHOT")]
    ids: Vec<String>,
    #[command(flatten)]
    secrets: SecondSecrets,
}

/// Copies.
pub fn run(options: &Options, context: &Context) -> Result<Outcome> {
    let filter = options.filter.make()?;
    let (repo, opener) = open::repository(context)?;
    repo.keys().need_reader("copy snapshots")?;
    let target = options.secrets.open(&options.to, &opener, context)?;
    let statements = repo.statements_for_reading(|error| context.ui.warn(&open::with_causes(error)))?;
    let listing = repo.snapshots(&statements)?;
    listing.bad.iter().for_each(|error| context.ui.warn(&open::with_causes(error)));
    let is_alive = |snapshot: &Snapshot| {
        let id = &snapshot.head.id;
        !statements.forgotten.contains(id) || statements.pinned.contains(id)
    };
    let mut chosen: Vec<&Snapshot> = Vec::new();
    for id in &options.ids {
        let found = pick(&listing.snapshots, id, |snapshot| is_alive(snapshot) && filter.matches(snapshot))?;
        if !chosen.iter().any(|have| have.head.id == found.head.id) {
            chosen.push(found);
        }
    }
    if options.ids.is_empty() {
        chosen = listing.snapshots.iter().filter(|s| is_alive(s) && filter.matches(s)).collect();
    }
    let state = open::synced_state(context, &repo, &statements)?;
    let target_state = open::state(context, &target)?;
    let (from, to) = (Side { repo: &repo, state: &state }, Side { repo: &target, state: &target_state });
    context.note(|record| record.is_dry = options.dry_run);
    let done = copy(from, to, &chosen, options.dry_run, &context.ui)?;
    context.report(&done, || text(&done))?;
    Ok(if done.failed.is_empty() && listing.bad.is_empty() { Outcome::Complete } else { Outcome::Incomplete })
}
