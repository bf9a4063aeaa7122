//! `rewrite`: paths are dropped from snapshots that were made long ago.

use super::Outcome;
use crate::cli::Filter;
use crate::confirm::confirm;
use crate::context::Context;
use crate::open;
use panther::ops::Progress as _;
use panther::ops::rewrite::{RewriteOptions, rewrite};
use panther::repo::snapshots::{Snapshot, pick};
use panther::report::rewrite::text;
use panther::{Error, Result};

/// Options of `rewrite`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther -r REPO rewrite --exclude '*.iso' --dry-run
  panther -r REPO rewrite --exclude /home/me/secret.txt --forget
  panther -r REPO rewrite --exclude node_modules 4f2a91c0 latest --host yoga

Each snapshot in which something matches is written anew without it, with its old time, host and tags;
it names the one that it was made from. Only folders that change are stored anew. The old one stays
unless --forget is given; what was left out is gone from the store only once the old snapshots are
forgotten and pruned. Copies that others have made of the repository are not touched.")]
pub struct Options {
    #[command(flatten)]
    filter: Filter,
    /// Leave out what matches, as `backup --exclude` does
    #[arg(long, value_name = "PATTERN", required_unless_present = "iexclude")]
    exclude: Vec<String>,
    /// As --exclude, whatever the case of ASCII letters
    #[arg(long, value_name = "PATTERN")]
    iexclude: Vec<String>,
    /// Forget the snapshots that were written anew, unless they are pinned
    #[arg(long)]
    forget: bool,
    /// Change nothing, only say what would be left out
    #[arg(short = 'n', long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do not ask; without this, nothing is changed where there is no terminal to ask on
    #[arg(short = 'y', long)]
    yes: bool,
    /// These snapshots: ids, beginnings of them, or latest [default: all that the filter lets through]
    #[arg(value_name = "SNAPSHOT")]
    ids: Vec<String>,
}

/// Rewrites.
pub fn run(options: &Options, context: &Context) -> Result<Outcome> {
    if options.exclude.iter().chain(&options.iexclude).any(String::is_empty) {
        return Err(Error::Usage("a pattern is empty".into()));
    }
    let filter = options.filter.make()?;
    let (repo, _) = open::repository(context)?;
    let state = open::state(context, &repo)?;
    repo.keys().need_reader("rewrite snapshots")?;
    let statements = repo.statements()?;
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
    let what = RewriteOptions {
        patterns: options.exclude.clone(),
        case_insensitive_patterns: options.iexclude.clone(),
        forget: options.forget,
    };
    let (count, then) = (chosen.len(), if options.forget { " and forget the old ones" } else { "" });
    let question = format!("write what changes of {count} snapshots anew{then}?");
    let mut agree = |plan: &_| match options.dry_run {
        true => Ok(false),
        false => confirm(context, options.yes, &text(plan), &question, Some("rewrite")),
    };
    let signing = open::signing_writer(context);
    let all = &listing.snapshots;
    let done = rewrite(&repo, &state, &statements, all, &chosen, &what, &signing, &context.ui, &mut agree)?;
    context.report(&done, || text(&done))?;
    Ok(if listing.bad.is_empty() { Outcome::Complete } else { Outcome::Damaged })
}
