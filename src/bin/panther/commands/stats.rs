//! `stats`: what is stored, and what each snapshot alone costs.

use super::Outcome;
use crate::cli::Filter;
use crate::context::Context;
use crate::open;
use panther::Result;
use panther::cost::Day;
use panther::id::ObjectId;
use panther::ops::Progress as _;
use panther::ops::stats::stats;
use panther::repo::snapshots::{Snapshot, pick};
use panther::report::stats::text;
use std::collections::HashSet;

/// Options of `stats`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther -r REPO stats
  panther -r REPO stats latest --host yoga
  panther -r REPO stats --json

Alone: what only this snapshot (or host) needs, as it lies in the packs. Forgetting just that one frees
it, once a prune has run; forgetting two may free more than both have alone. The trees of all snapshots
are read for this. Of a repository in B2 it also says what that costs a month, at the price of today
and as if nothing of it were free; `panther cost` knows the account.")]
pub struct Options {
    #[command(flatten)]
    filter: Filter,
    /// Show only these: ids, beginnings of them, or latest [default: all that the filter lets through]
    #[arg(value_name = "SNAPSHOT")]
    ids: Vec<String>,
}

/// Counts.
pub fn run(options: &Options, context: &Context) -> Result<Outcome> {
    let filter = options.filter.make()?;
    let (repo, _) = open::repository(context)?;
    repo.keys().need_reader("count what snapshots need")?;
    let statements = repo.statements_for_reading(|error| context.ui.warn(&open::with_causes(error)))?;
    let listing = repo.snapshots(&statements)?;
    listing.bad.iter().for_each(|error| context.ui.warn(&open::with_causes(error)));
    let all = &listing.snapshots;
    let mut chosen: HashSet<ObjectId> = HashSet::new();
    for id in &options.ids {
        chosen.insert(pick(all, id, |snapshot| filter.matches(snapshot))?.head.id);
    }
    let state = open::synced_state(context, &repo, &statements)?;
    let is_shown = |snapshot: &Snapshot| match chosen.is_empty() {
        true => filter.matches(snapshot),
        false => chosen.contains(&snapshot.head.id),
    };
    let table = crate::money::prices(context);
    let prices = repo.backend().is_remote().then(|| table.at(Day::today()));
    let done = stats(&repo, &state, all, is_shown, prices, &context.ui)?;
    context.emit(&done, || text(&done, &context.zone))?;
    Ok(if done.unread == 0 && listing.bad.is_empty() { Outcome::Complete } else { Outcome::Damaged })
}
