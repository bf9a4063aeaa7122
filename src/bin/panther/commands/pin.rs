//! `pin` and `unpin`.

use super::Outcome;
use crate::cli::Filter;
use crate::context::Context;
use crate::open;
use panther::Result;
use panther::ops::Progress;
use panther::ops::pins::{self, Pinned};
use panther::repo::snapshots::pick;
use panther::report::text;
use serde::Serialize;

/// Options of `pin` and `unpin`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther -r REPO pin 4f2a91c0
  panther -r REPO pin latest --host yoga
  panther -r REPO unpin 4f2a91c0

A pinned snapshot is kept by `forget` until its pin is taken back. Pins are signed statements in the
repository: they hold for every admin, on every machine. Only an admin's key can write them.")]
pub struct Options {
    #[command(flatten)]
    filter: Filter,
    /// The snapshots: ids, beginnings of them, or latest
    #[arg(required = true, value_name = "SNAPSHOT")]
    ids: Vec<String>,
}

#[derive(Serialize)]
struct Body<'a> {
    pinned: bool,
    snapshots: &'a [Pinned],
}

/// Pins or takes pins back.
pub fn run(options: &Options, pin: bool, context: &Context) -> Result<Outcome> {
    let filter = options.filter.make()?;
    let (repo, _) = open::repository(context)?;
    repo.keys().need_reader("name snapshots")?;
    let listing = repo.snapshots(&repo.statements()?)?;
    listing.bad.iter().for_each(|error| context.ui.warn(&open::with_causes(error)));
    let mut names = Vec::new();
    for id in &options.ids {
        names.push(pick(&listing.snapshots, id, |snapshot| filter.matches(snapshot))?.name());
    }
    let writer = open::signing_writer(context);
    let done = match pin {
        true => pins::pin(&repo, &names, &writer)?,
        false => {
            let ids: Vec<_> = names.iter().filter_map(|name| name.id()).collect();
            pins::unpin(&repo, &ids, &writer)?
        }
    };
    context.report(Body { pinned: pin, snapshots: &done }, || {
        let line = |one: &Pinned| {
            let state = match (pin, one.changed) {
                (true, true) => "is pinned now",
                (true, false) => "was pinned already",
                (false, true) => "is no longer pinned",
                (false, false) => "was not pinned",
            };
            text::message(&format!("snapshot {} {state}", one.snapshot.short())) + "\n"
        };
        done.iter().map(line).collect()
    })?;
    Ok(Outcome::Complete)
}
