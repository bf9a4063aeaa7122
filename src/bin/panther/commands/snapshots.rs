//! `snapshots`: which there are.

use super::Outcome;
use crate::cli::Filter;
use crate::context::Context;
use crate::open;
use panther::format::keyfile::Role;
use panther::ops::Progress;
use panther::ops::list::SnapshotFilter;
use panther::repo::Repository;
use panther::repo::snapshots::pick;
use panther::report::snapshots::{Body, Row, table};
use panther::{Error, Result};

/// Options of `snapshots`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther -r REPO snapshots
  panther -r REPO snapshots --host yoga --tag daily
  panther -r REPO snapshots latest --json")]
pub struct Options {
    #[command(flatten)]
    filter: Filter,
    /// Only these: ids, beginnings of them, or latest
    #[arg(value_name = "ID")]
    ids: Vec<String>,
}

/// Lists snapshots, oldest first.
pub fn run(options: &Options, context: &Context) -> Result<Outcome> {
    let filter = options.filter.make()?;
    let (repo, _) = open::repository(context)?;
    let covers_only = repo.keys().role() == Role::Writer;
    let (rows, bad) = if covers_only {
        heads(context, &repo, &filter, &options.ids)?
    } else {
        whole(context, &repo, &filter, &options.ids)?
    };
    let problems: Vec<String> = bad.iter().map(open::with_causes).collect();
    problems.iter().for_each(|problem| context.ui.warn(problem));
    let outcome = if problems.is_empty() { Outcome::Complete } else { Outcome::Damaged };
    context.emit(Body { covers_only, snapshots: &rows, problems }, || table(&rows, covers_only, &context.zone))?;
    Ok(outcome)
}

type Found = (Vec<Row>, Vec<Error>);

fn whole(context: &Context, repo: &Repository, filter: &SnapshotFilter, ids: &[String]) -> Result<Found> {
    let statements = repo.statements_for_reading(|error| context.ui.warn(&open::with_causes(error)))?;
    let listing = repo.snapshots(&statements)?;
    let row = |snapshot| Row::of(snapshot).marked(&statements);
    let rows = if ids.is_empty() {
        listing.snapshots.iter().filter(|snapshot| filter.matches(snapshot)).map(row).collect()
    } else {
        let one = |id: &String| pick(&listing.snapshots, id, |snapshot| filter.matches(snapshot)).map(row);
        ids.iter().map(one).collect::<Result<_>>()?
    };
    Ok((rows, listing.bad))
}

/// What a writer's key can see: the covers of all writers' snapshots.
fn heads(context: &Context, repo: &Repository, filter: &SnapshotFilter, ids: &[String]) -> Result<Found> {
    if filter.needs_reader() {
        return Err(Error::Role { have: "writer", what: "see tags and paths of snapshots" });
    }
    let state = &open::state(context, repo)?;
    let statements = repo.statements_for_reading(|error| context.ui.warn(&open::with_causes(error)))?;
    let (mut all, mut bad) = (Vec::new(), Vec::new());
    for writer in repo.writers()? {
        let listing = repo.heads(&writer, state, &statements)?;
        all.extend(listing.snapshots);
        bad.extend(listing.bad);
    }
    all.retain(|head| filter.matches_host(&head.cover.host));
    all.sort_by_key(|head| (head.cover.started, head.cover.sequence, head.id));
    let latest = all.last().map(|head| head.id);
    if !ids.is_empty() {
        let wanted = |id: &String| id.to_ascii_lowercase();
        let ids: Vec<String> = ids.iter().map(wanted).collect();
        all.retain(|head| {
            ids.iter().any(|id| if id == "latest" { latest == Some(head.id) } else { head.id.to_hex().starts_with(id) })
        });
        if all.is_empty() {
            return Err(Error::Usage("there is no such snapshot".into()));
        }
    }
    Ok((all.iter().map(|head| Row::of_head(head).marked(&statements)).collect(), bad))
}
