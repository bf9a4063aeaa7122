//! `status`: how the backups of all hosts are.

use super::Outcome;
use crate::context::Context;
use crate::facts::Known;
use crate::open;
use panther::Result;
use panther::config::types::Objective;
use panther::format::keyfile::Role;
use panther::ops::Progress;
use panther::ops::cost::{CostInput, Inventory, Past, cost};
use panther::ops::drill::records;
use panther::ops::status::{Input, State, Status, gather};
use panther::report::status::text;
use panther::state::ledger::Ledger;
use std::collections::BTreeMap;

/// Options of `status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther -p nightly status
  panther -p nightly status --json | jq '.hosts[] | select(.state != \"ok\")'

With a reader's or admin's key of all hosts of the repository, with a writer's of its own. Objectives are
those of the profile: [objective] for this machine, [hosts.NAME] for others. Exit code 0: all is well; 3:
look at it; 1: somebody has to act.")]
pub struct Options {}

/// Shows it.
pub fn run(_: &Options, context: &Context) -> Result<Outcome> {
    let status = look(context)?;
    context.emit(&status, || text(&status, &context.zone))?;
    Ok(match status.state {
        State::Ok => Outcome::Complete,
        State::Warning => Outcome::Incomplete,
        State::Critical => Outcome::Found(1),
    })
}

/// Everything that reports show.
///
/// # Errors
/// Whatever is wrong with the repository.
pub fn look(context: &Context) -> Result<Status> {
    let (repo, _) = open::repository(context)?;
    context.ui.stage("look", Default::default());
    let folder = open::state_folder(context)?;
    let inventory = Inventory::read(&**repo.backend())?;
    let past = Past::of(&Ledger::at(&folder), &repo.backend().location())?;
    let statements = repo.statements_for_reading(|error| context.ui.warn(&open::with_causes(error)))?;
    let is_writer = repo.keys().role() == Role::Writer;
    let (mut snapshots, mut heads) = (Vec::new(), Vec::new());
    if is_writer {
        let writer = repo.keys().signer(None)?.writer().clone();
        let listing = repo.heads(&writer, &open::state(context, &repo)?, &statements)?;
        listing.bad.iter().for_each(|error| context.ui.warn(&open::with_causes(error)));
        heads = listing.snapshots;
    } else {
        let listing = repo.snapshots(&statements)?;
        listing.bad.iter().for_each(|error| context.ui.warn(&open::with_causes(error)));
        snapshots = listing.snapshots;
    }
    let options = super::cost::options(context);
    let input = CostInput { inventory: &inventory, past: &past, snapshots: &snapshots, statements: &statements };
    let money = if repo.backend().is_remote() { Some(cost(&input, &options)?) } else { None };
    let (drills, bad) = records(&repo, &folder, &statements)?;
    for path in bad {
        context.ui.warn(&format!("{} is not what was signed: it does not count", path.display()));
    }
    let known = Known::gather(context);
    let warn_after = context.profile().and_then(|p| p.drill.as_ref()).and_then(|drill| drill.warn_after.as_ref());
    Ok(gather(Input {
        now: options.now,
        zone: &context.zone,
        repository: repo.backend().location(),
        snapshots: &snapshots,
        heads: &heads,
        sees_all: !is_writer,
        statements: &statements,
        inventory: &inventory,
        cost: money.as_ref(),
        policy: &options.policy,
        group_by: options.group_by,
        runs: &known.runs,
        drills,
        drill_secs: warn_after.map(|time| i64::try_from(time.get().as_secs()).unwrap_or(i64::MAX)),
        objectives: &objectives(context, &known),
    }))
}

/// What each host is to keep to.
pub fn objectives(context: &Context, known: &Known) -> BTreeMap<String, Objective> {
    let mut objectives = context.profile().map(|profile| profile.hosts.clone()).unwrap_or_default();
    if context.profile().is_some_and(|profile| profile.objective.is_some()) {
        objectives.insert(known.host.clone(), known.objective.clone());
    }
    objectives
}
