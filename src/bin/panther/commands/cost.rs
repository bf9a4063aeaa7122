//! `cost`: what the repository costs, will cost, and would cost.

use super::Outcome;
use crate::context::Context;
use crate::open;
use panther::config::types::Retention;
use panther::cost::NanoDollars;
use panther::format::keyfile::Role;
use panther::format::time::Time;
use panther::id::WriterName;
use panther::ops::Progress;
use panther::ops::cost::{CostInput, CostOptions, Inventory, Past, REMOVAL_DAYS, WhatIf, cost};
use panther::report::cost::text;
use panther::retention::{CalendarSpan, Count, Policy, Preset};
use panther::source::parse_size;
use panther::state::ledger::Ledger;
use panther::{Error, Result};

/// Options of `cost`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther -r b2://bucket/path cost
  panther cost --retention daily=7,weekly=4,monthly=6 --growth 2GiB
  panther cost --add-host yoga --add-host 300GB --price 8 --snapshots

Storage is counted to the byte and hour, for all hosts of the repository; what is downloaded and called
is this machine's. What is to come is an estimate, from how each source has grown in the last 60 days
and from what the retention policy will keep. docs/cost.md says how it is reckoned.")]
pub struct Options {
    /// A line for each snapshot: what it added, and about what forgetting it would free
    #[arg(long)]
    snapshots: bool,
    /// What if another policy held: laptop, server, or rules such as daily=7,weekly=4,monthly=12,within=30d
    #[arg(long, value_name = "POLICY", value_parser = parse_policy)]
    retention: Option<Policy>,
    /// What if all sources together grew by so much a day; -1GiB for shrinking
    #[arg(long, value_name = "SIZE", value_parser = parse_growth, allow_hyphen_values = true)]
    growth: Option<i64>,
    /// What if a terabyte cost so many dollars for 30 days
    #[arg(long, value_name = "DOLLARS", value_parser = parse_dollars)]
    price: Option<NanoDollars>,
    /// What if there was one more host: like this one, or of this size such as 300GB; may be given several times
    #[arg(long, value_name = "HOST|SIZE")]
    add_host: Vec<String>,
}

/// A policy of one word or of several rules.
fn parse_policy(text: &str) -> std::result::Result<Policy, String> {
    if let Some(preset) = Preset::ALL.into_iter().find(|preset| preset.name() == text) {
        return Ok(preset.policy());
    }
    let mut policy = Policy::default();
    for rule in text.split(',') {
        let (name, value) = rule.split_once('=').ok_or_else(|| format!("{rule:?} is no rule: write daily=7"))?;
        let count = || value.parse::<Count>().map_err(|e| e.to_string());
        match name.trim() {
            "last" => policy.last = count()?,
            "hourly" => policy.every.hourly = count()?,
            "daily" => policy.every.daily = count()?,
            "weekly" => policy.every.weekly = count()?,
            "monthly" => policy.every.monthly = count()?,
            "yearly" => policy.every.yearly = count()?,
            "within" => policy.within = Some(value.parse::<CalendarSpan>().map_err(|e| e.to_string())?),
            _ => return Err(format!("{name:?} is none of last, hourly, daily, weekly, monthly, yearly, within")),
        }
    }
    if policy.is_empty() { Err("such a policy would keep nothing".into()) } else { Ok(policy) }
}

fn parse_growth(text: &str) -> std::result::Result<i64, String> {
    let (sign, size) = text.strip_prefix('-').map_or((1, text), |size| (-1, size));
    let bytes = parse_size(size).map_err(|e| e.to_string())?;
    i64::try_from(bytes).map(|bytes| sign * bytes).map_err(|_| "that is too much".into())
}

fn parse_dollars(text: &str) -> std::result::Result<NanoDollars, String> {
    match text.parse::<f64>() {
        Ok(dollars) if (0.0..=1e9).contains(&dollars) => Ok(NanoDollars::from_f64(dollars)),
        _ => Err(format!("{text:?} is no amount of dollars")),
    }
}

/// What is to be different, where anything is.
fn what_if(options: &Options, inventory: &Inventory) -> Result<Option<WhatIf>> {
    let mut what_if = WhatIf {
        policy: options.retention.clone(),
        growth_bytes: options.growth,
        storage_tb: options.price,
        ..WhatIf::default()
    };
    for host in &options.add_host {
        let named = WriterName::new(host).ok().filter(|name| inventory.by_writer.contains_key(&Some(name.clone())));
        match (named, parse_size(host)) {
            (Some(name), _) => what_if.like.push(name),
            (None, Ok(bytes)) => what_if.hosts_bytes.push(bytes),
            (None, Err(_)) => {
                return Err(Error::Usage(format!(
                    "--add-host {host}: that is neither a host of the repository nor a size"
                )));
            }
        }
    }
    let is_asked = what_if.policy.is_some()
        || what_if.growth_bytes.is_some()
        || what_if.storage_tb.is_some()
        || !options.add_host.is_empty();
    Ok(is_asked.then_some(what_if))
}

/// Reckons.
pub fn run(options: &Options, context: &Context) -> Result<Outcome> {
    let (repo, _) = open::repository(context)?;
    context.ui.stage("look", Default::default());
    let inventory = Inventory::read(&**repo.backend())?;
    let past = Past::of(&Ledger::at(&open::state_folder(context)?), &repo.backend().location())?;
    let statements = repo.statements_for_reading(|error| context.ui.warn(&open::with_causes(error)))?;
    let snapshots = if repo.keys().role() == Role::Writer {
        Vec::new()
    } else {
        let listing = repo.snapshots(&statements)?;
        listing.bad.iter().for_each(|error| context.ui.warn(&open::with_causes(error)));
        listing.snapshots
    };
    let what_if = what_if(options, &inventory)?;
    let cost_options = CostOptions { what_if, ..self::options(context) };
    let input = CostInput { inventory: &inventory, past: &past, snapshots: &snapshots, statements: &statements };
    let found = cost(&input, &cost_options)?;
    context.emit(&found, || text(&found, options.snapshots, &context.zone))?;
    Ok(Outcome::Complete)
}

/// What the profile says of money and retention.
pub fn options(context: &Context) -> CostOptions {
    let profile = context.profile();
    let retention = profile.and_then(|profile| profile.retention.as_ref());
    CostOptions {
        now: Time::now(),
        zone: context.zone.clone(),
        prices: crate::money::prices(context),
        policy: retention.map(Retention::policy).unwrap_or_default(),
        group_by: retention.and_then(super::forget::profile_group_by).unwrap_or_default(),
        removal_days: REMOVAL_DAYS,
        limits: crate::money::limits(context),
        what_if: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_and_sizes() {
        assert_eq!(parse_policy("server"), Ok(Preset::Server.policy()));
        assert_eq!(parse_policy("daily=7,weekly=4,monthly=12"), Ok(Preset::Laptop.policy()));
        for text in ["", "daily", "daily=x", "never=3", "daily=0", "within=soon"] {
            assert!(parse_policy(text).is_err(), "{text}");
        }
        assert_eq!((parse_growth("1K"), parse_growth("-2K")), (Ok(1024), Ok(-2048)));
        assert_eq!(parse_dollars("6.95"), Ok(NanoDollars::cents(695)));
        assert!(parse_dollars("-1").is_err() && parse_dollars("nan").is_err());
    }
}
