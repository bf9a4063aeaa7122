//! `rebuild-state`: what this machine remembers of a repository, learnt anew.

use super::Outcome;
use super::backup::Excludes;
use crate::context::Context;
use crate::open;
use panther::Result;
use panther::ops::rebuild_state::{RebuildOptions, rebuild_state};
use panther::report::rebuild_state::text;

/// Options of `rebuild-state`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther -r REPO rebuild-state
  panther -p nightly rebuild-state
  panther -r REPO rebuild-state --cold

The local state is a cache: without it a backup works, too, but reads every file once more. This learns
the index, the snapshots and, with a key that can read, what the newest snapshots of this host say of
files that are as they were, so that the next backup does not read those again. docs/repair.md says when
a file counts as such. Give the excludes of your backups if they are made from Btrfs snapshots.")]
pub struct Options {
    /// Host name of the snapshots [default: the profile's, else this host's]
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Do not look at the files: the next backup reads them
    #[arg(long)]
    cold: bool,
    #[command(flatten)]
    excludes: Excludes,
}

/// Learns the state anew.
pub fn run(options: &Options, context: &Context) -> Result<Outcome> {
    let from_profile = context.profile().and_then(|profile| profile.backup.clone()).unwrap_or_default();
    let host = options.host.clone().or_else(|| from_profile.host.clone()).unwrap_or_else(open::host);
    let (repo, _) = open::repository(context)?;
    let state = open::state(context, &repo)?;
    let excludes = options.excludes.make(&from_profile);
    let what = RebuildOptions { host, excludes: &excludes, warm: !options.cold };
    let done = rebuild_state(&repo, &state, &what, &context.ui)?;
    open::warn_of_oddities(context, &repo);
    context.report(&done, || text(&done, options.cold))?;
    Ok(if done.problems.is_empty() { Outcome::Complete } else { Outcome::Damaged })
}
