//! `undelete`: forgotten snapshots and condemned packs are brought back.

use super::Outcome;
use crate::context::Context;
use crate::open;
use panther::Result;
use panther::ops::undelete::{UndeleteOptions, candidates, undelete};
use panther::report::prune::{candidates_text, rows, undelete_text};
use serde::Serialize;

/// Options of `undelete`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther -r REPO undelete
  panther -r REPO undelete 4f2a91c0
  panther -r REPO undelete --packs

Without an id it lists the forgotten snapshots whose manifests are kept: those of the last 30 days. One
can be brought back until a prune has removed packs that it needs: not before the grace time is over.
--packs takes back what prunes have condemned, where their time is two hours off or more. Only an admin's
key can bring back.")]
pub struct Options {
    /// The snapshots: ids or beginnings of them
    #[arg(value_name = "SNAPSHOT")]
    ids: Vec<String>,
    /// Take back all condemned packs whose time has not come
    #[arg(long)]
    packs: bool,
}

#[derive(Serialize)]
struct Candidates<T> {
    candidates: T,
}

/// Brings back, or lists what can be.
pub fn run(options: &Options, context: &Context) -> Result<Outcome> {
    let (repo, _) = open::repository(context)?;
    if options.ids.is_empty() && !options.packs {
        let snapshots = candidates(&repo)?;
        context.report(Candidates { candidates: rows(&snapshots) }, || candidates_text(&snapshots, &context.zone))?;
        return Ok(Outcome::Complete);
    }
    let state = open::state(context, &repo)?;
    let writer = open::signing_writer(context);
    let options = UndeleteOptions { ids: options.ids.clone(), packs: options.packs, writer, now: None };
    let done = undelete(&repo, &state, &options, &context.ui)?;
    context.report(&done, || undelete_text(&done))?;
    Ok(Outcome::Complete)
}
