//! `forget`: snapshots by policy or by name.

use super::Outcome;
use crate::cli::Filter;
use crate::context::Context;
use crate::open;
use crate::rules::Rules;
use panther::config::types::{GroupBy as GroupByKey, Retention};
use panther::format::time::Time;
use panther::ops::Progress;
use panther::ops::forget::{ForgetOptions, GroupBy, GroupKey, forget, item};
use panther::report::forget as report;
use panther::retention::{Calendar, CalendarSpan, Policy, simulate};
use panther::{Error, Result};
use std::collections::BTreeMap;

/// Options of `forget`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther -r REPO forget --policy server --dry-run --explain
  panther -r REPO forget --keep-daily 7 --keep-weekly 4 --keep-monthly unlimited
  panther -r REPO forget --keep-within 30d --keep-tag release,signed --host yoga
  panther -r REPO forget 4f2a91c0 --dry-run
  panther -p nightly forget --simulate

Rules add up: what one of them keeps stays, and so does what is pinned. Without a rule the profile's
policy holds; with none at all nothing is removed. The last snapshot of each period is kept. Space is
freed by `prune`, not by this. docs/retention.md explains every rule.")]
pub struct Options {
    #[command(flatten)]
    filter: Filter,
    /// Judge snapshots apart by these: host, paths, tags, separated by commas, or nothing [default: the profile's, else host,paths]
    #[arg(long, value_name = "LIST", value_parser = parse_group_by)]
    group_by: Option<GroupBy>,
    /// Remove nothing, only say what would be
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Say of each snapshot why it stays or goes
    #[arg(long)]
    explain: bool,
    /// Remove nothing; show what the policy would keep over a year of this schedule [default: the profile's for backups, else daily]
    #[arg(long, value_name = "CALENDAR", num_args = 0..=1, require_equals = true, conflicts_with = "ids")]
    simulate: Option<Option<Calendar>>,
    /// Also remove all snapshots of a group
    #[arg(long, alias = "unsafe-allow-remove-all")]
    remove_all: bool,
    /// These snapshots and no others: ids, beginnings of them, or latest
    #[arg(value_name = "ID", conflicts_with_all = ["Rules", "keep_tag"])]
    ids: Vec<String>,
    #[command(flatten)]
    rules: Rules,
    /// What has all of these tags; may be given several times
    #[arg(long, value_name = "TAG[,TAG…]", help_heading = "Rules")]
    keep_tag: Vec<String>,
}

impl Options {
    /// The policy; none if no rule is given.
    fn policy(&self) -> Option<Policy> {
        let tags: Vec<_> = self.keep_tag.iter().map(|list| list.split(',').map(str::to_owned).collect()).collect();
        (self.rules.is_given() || !tags.is_empty()).then(|| Policy { tags, ..self.rules.policy() })
    }
}

fn parse_group_by(text: &str) -> Result<GroupBy, String> {
    let mut by = GroupBy { host: false, paths: false, tags: false };
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        match word {
            "host" | "hosts" => by.host = true,
            "path" | "paths" => by.paths = true,
            "tag" | "tags" => by.tags = true,
            _ => return Err(format!("{word:?} is none of host, paths, tags")),
        }
    }
    Ok(by)
}

/// How the profile groups snapshots.
pub fn profile_group_by(retention: &Retention) -> Option<GroupBy> {
    let list = retention.group_by.as_ref()?;
    let has = |key| list.contains(&key);
    Some(GroupBy { host: has(GroupByKey::Host), paths: has(GroupByKey::Paths), tags: has(GroupByKey::Tags) })
}

/// Forgets, or shows what a policy comes to.
pub fn run(options: &Options, context: &Context) -> Result<Outcome> {
    let filter = options.filter.make()?;
    if options.keep_tag.iter().any(|list| list.split(',').any(str::is_empty)) {
        return Err(Error::Usage("a tag of --keep-tag is empty".into()));
    }
    let retention = context.profile().and_then(|profile| profile.retention.as_ref());
    let policy = options.policy().or_else(|| retention.map(Retention::policy)).unwrap_or_default();
    if policy.is_empty() && options.ids.is_empty() {
        return Err(Error::Usage(
            "no rule says what to keep, so nothing is removed: use --policy, --keep-… or a profile with a retention"
                .into(),
        ));
    }
    let group_by = options.group_by.or_else(|| retention.and_then(profile_group_by)).unwrap_or_default();
    let (repo, _) = open::repository(context)?;
    let options_of = ForgetOptions {
        filter,
        ids: options.ids.clone(),
        policy,
        group_by,
        zone: context.zone.clone(),
        dry_run: options.dry_run,
        remove_all: options.remove_all,
        writer: open::signing_writer(context),
    };
    if let Some(calendar) = &options.simulate {
        let scheduled = context.profile().and_then(|p| p.schedule.as_ref()).and_then(|s| s.backup.as_ref());
        let calendar = match (calendar, scheduled) {
            (Some(calendar), _) => calendar.clone(),
            (None, Some(scheduled)) => scheduled.get().clone(),
            (None, None) => {
                "daily".parse().map_err(|e: panther::retention::RetentionError| Error::Usage(e.to_string()))?
            }
        };
        context.note(|record| record.is_dry = true);
        return simulated(&repo, &options_of, &calendar, options.explain, context);
    }
    let state = open::state(context, &repo)?;
    let done = forget(&repo, &state, &options_of, &context.ui)?;
    done.problems.iter().for_each(|problem| context.ui.warn(&format!("{problem}; it stays")));
    context.note(|record| {
        record.problems = done.problems.len() as u64;
        record.is_dry = options.dry_run;
    });
    let policy = options.ids.is_empty().then_some(&options_of.policy);
    let body = report::Body::new(&done, policy);
    let explain = options.explain || options.dry_run;
    context.report(&body, || report::text(&done, policy, explain, &context.zone))?;
    Ok(if done.problems.is_empty() { Outcome::Complete } else { Outcome::Damaged })
}

/// What the policy would keep over the coming year, group by group.
fn simulated(
    repo: &panther::repo::Repository,
    options: &ForgetOptions,
    calendar: &Calendar,
    explain: bool,
    context: &Context,
) -> Result<Outcome> {
    repo.keys().need_reader("judge snapshots")?;
    let statements = repo.statements()?;
    let listing = repo.snapshots(&statements)?;
    listing.bad.iter().for_each(|error| context.ui.warn(&open::with_causes(error)));
    let mut groups: BTreeMap<Option<GroupKey>, Vec<_>> = BTreeMap::new();
    for snapshot in listing.snapshots.iter().filter(|s| options.filter.matches(s)) {
        let is_dead =
            statements.forgotten.contains(&snapshot.head.id) && !statements.pinned.contains(&snapshot.head.id);
        if !is_dead {
            let item = item(snapshot, options.group_by, &statements);
            groups.entry(Some(item.group.clone())).or_default().push(item);
        }
    }
    if groups.is_empty() {
        // Also somebody who has no snapshot yet wants to know.
        groups.insert(None, Vec::new());
    }
    let from = Time::now();
    let year: CalendarSpan =
        "1y".parse().map_err(|e: panther::retention::RetentionError| Error::Usage(e.to_string()))?;
    let until = year.after(from, &options.zone);
    let mut all = Vec::new();
    for (key, items) in groups {
        let simulation = simulate(&options.policy, &items, calendar, (from, until), &options.zone)
            .map_err(|e| Error::Usage(e.to_string()))?;
        let ids = items.iter().map(|item| item.id).collect();
        all.push(report::Simulated { key, ids, simulation });
    }
    let body = report::SimulationBody::new(&all, &options.policy, calendar);
    context.emit(&body, || report::simulation_text(&all, &options.policy, calendar, explain, &options.zone))?;
    Ok(Outcome::Complete)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups() {
        let by = |host, paths, tags| Ok(GroupBy { host, paths, tags });
        assert_eq!(parse_group_by(""), by(false, false, false));
        assert_eq!(parse_group_by("host,tags"), by(true, false, true));
        assert_eq!(parse_group_by("paths"), by(false, true, false));
        assert!(parse_group_by("writer").is_err());
    }
}
