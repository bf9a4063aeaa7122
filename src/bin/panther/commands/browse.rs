//! `browse`: looking through snapshots on the whole terminal.

use super::Outcome;
use crate::browse::browse;
use crate::cli::Filter;
use crate::context::Context;
use crate::guide::{ask, choose};
use crate::open;
use panther::ops::Progress as _;
use panther::{Error, Result};

/// Options of `browse`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther -r REPO browse
  panther -r REPO browse --host yoga

Arrows or h j k l move, Return opens, v shows all versions of a file, space marks, r restores what is
marked into a new folder, / filters, q leaves. `panther ls` and `panther restore` do the same for scripts.")]
pub struct Options {
    #[command(flatten)]
    filter: Filter,
}

/// Browses.
pub fn run(options: &Options, context: &Context) -> Result<Outcome> {
    if context.globals.json || !ask::is_possible() {
        return Err(Error::Usage("browsing takes a terminal: use `panther ls` and `panther restore` instead".into()));
    }
    let filter = options.filter.make()?;
    let (repo, _) = open::repository(context)?;
    repo.keys().need_reader("browse")?;
    let statements = repo.statements_for_reading(|error| context.ui.warn(&open::with_causes(error)))?;
    let mut snapshots = choose::snapshots(&repo, &statements, context)?;
    snapshots.retain(|snapshot| filter.matches(snapshot));
    let state = open::synced_state(context, &repo, &statements)?;
    browse(context, &repo, &state, snapshots)
}
