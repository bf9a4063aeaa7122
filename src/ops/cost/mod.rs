//! `cost`: what a repository costs, will cost, and would cost. What is stored is counted; what will be stored is estimated (see
//! [`crate::cost::Series`]).

mod budget;
mod expect;
mod report;
mod series;
mod stored;

pub use budget::{Limits, MonthEnd, Verdict, month_end, new_a_day};
pub use expect::{adds_bytes, source_bytes};
pub use report::{Ahead, CostReport, Host, MonthAhead, SnapshotCost, SourceCost, WhatIfReport};
pub use series::{Source, kept_ahead, lingering, sources};
pub use stored::{Inventory, Past, used_days};

use crate::cost::{Bill, Day, NanoDollars, PriceTable, bill, excess_bytes, months, stored_ahead};
use crate::error::Result;
use crate::format::time::Time;
use crate::ops::forget::GroupBy;
use crate::repo::snapshots::Snapshot;
use crate::repo::statements::Statements;
use crate::retention::Policy;
use jiff::tz::TimeZone;

/// The months that are forecast, beside the rest of this one.
pub const MONTHS_AHEAD: u32 = 12;

/// How many days what was forgotten still takes room where nothing else is known: the week of grace of a prune, and a few until one comes.
pub const REMOVAL_DAYS: u32 = 10;

/// What to reckon with.
#[derive(Clone, Debug)]
pub struct CostOptions {
    /// The time.
    pub now: Time,
    /// The zone of retention's days.
    pub zone: TimeZone,
    /// Prices by day.
    pub prices: PriceTable,
    /// Which snapshots are kept; all if it has no rule.
    pub policy: Policy,
    /// By what they are grouped.
    pub group_by: GroupBy,
    /// How many days what was forgotten still takes room: the grace of a prune, and the time until there is one.
    pub removal_days: u32,
    /// What the month may cost.
    pub limits: Limits,
    /// What if.
    pub what_if: Option<WhatIf>,
}

/// What is to be different.
#[derive(Clone, Debug, Default)]
pub struct WhatIf {
    /// Another policy.
    pub policy: Option<Policy>,
    /// Everything grows by so many bytes a day together.
    pub growth_bytes: Option<i64>,
    /// A terabyte for 30 days costs so much.
    pub storage_tb: Option<NanoDollars>,
    /// For each a host that is like this writer.
    pub like: Vec<crate::id::WriterName>,
    /// Hosts that store so many bytes and do not change.
    pub hosts_bytes: Vec<u64>,
}

/// What is looked at.
pub struct CostInput<'a> {
    /// What is stored.
    pub inventory: &'a Inventory,
    /// What the ledger of this machine has.
    pub past: &'a Past,
    /// All snapshots; nothing for a writer's key, which sees no sizes.
    pub snapshots: &'a [Snapshot],
    /// Which of them are forgotten or pinned.
    pub statements: &'a Statements,
}

/// What everything costs.
///
/// # Errors
/// [`crate::Error::Usage`] for a policy that cannot be applied.
pub fn cost(input: &CostInput<'_>, options: &CostOptions) -> Result<CostReport> {
    let CostInput { inventory, past, snapshots, statements } = *input;
    let today = Day::of_secs(options.now.secs);
    let list = options.prices.at(today);
    let used = used_days(&inventory.all(), past, today, options.now.secs);
    let so_far = bill(&options.prices, &used);
    let mut sources = sources(snapshots, statements, options.group_by, inventory, options.now);
    for source in &mut sources {
        source.series.lingering_secs =
            lingering(source, &options.policy, &options.zone, options.now, options.removal_days);
    }
    let ahead = Reckoning { options, past, inventory, used: &used }.ahead(&sources, &Change::default())?;
    let stored_bytes = inventory.stored_bytes();
    let month = ahead.first().cloned().unwrap_or_default();
    let share = |bytes: f64, of: NanoDollars| NanoDollars::from_f64(of.as_f64() * bytes / (stored_bytes.max(1) as f64));
    let hosts = inventory.by_writer.keys().flatten().map(|writer| {
        let bytes = inventory.stored_by(writer);
        Host {
            writer: writer.clone(),
            stored_bytes: bytes,
            month_dollars: share(bytes as f64, month.bill.storage_dollars),
            growth_bytes: sources
                .iter()
                .filter(|s| s.key.writer == *writer)
                .map(|s| s.series.growth_bytes as i64)
                .sum(),
        }
    });
    let hosts: Vec<Host> = hosts.collect();
    let what_if = match &options.what_if {
        Some(what_if) => {
            let reckoning = Reckoning { options, past, inventory, used: &used };
            let ahead = reckoning.ahead(&sources, &Change { what_if: Some(what_if) })?;
            Some(WhatIfReport { twelve_months_dollars: sum(&ahead), ahead })
        }
        None => None,
    };
    let mut snapshot_costs = Vec::new();
    for source in &sources {
        for (at, (item, added_bytes)) in source.items.iter().zip(&source.added_bytes).enumerate() {
            let frees_bytes = excess_bytes(&source.series, at);
            snapshot_costs.push(SnapshotCost {
                id: item.id,
                writer: source.key.writer.clone(),
                time: item.time,
                added_bytes: *added_bytes,
                frees_bytes,
                frees_month_dollars: list.month(frees_bytes),
            });
        }
    }
    snapshot_costs.sort_by_key(|s| (s.time, s.id));
    let verdict = options.limits.verdict(month.bill.total_dollars);
    Ok(CostReport {
        as_of: options.now,
        month: today.month_text(),
        storage_tb_dollars: list.storage_tb,
        prices_from: list.from.date().to_string(),
        stored_bytes,
        is_dated: inventory.is_dated,
        so_far,
        twelve_months_dollars: sum(&ahead),
        ahead,
        hosts,
        sources: sources
            .iter()
            .map(|s| SourceCost::of(s, share(s.series.stored_bytes, month.bill.storage_dollars)))
            .collect(),
        snapshots: snapshot_costs,
        warn_dollars: options.limits.warn,
        stop_dollars: options.limits.stop,
        budget: verdict,
        what_if,
    })
}

fn sum(ahead: &[MonthAhead]) -> NanoDollars {
    ahead.iter().skip(1).map(|month| month.bill.total_dollars).sum()
}

/// What is different from how it is.
#[derive(Default)]
struct Change<'a> {
    what_if: Option<&'a WhatIf>,
}

struct Reckoning<'a> {
    options: &'a CostOptions,
    past: &'a Past,
    inventory: &'a Inventory,
    used: &'a [crate::cost::DayUse],
}

impl Reckoning<'_> {
    /// The rest of this month and those after it.
    fn ahead(&self, sources: &[Source], change: &Change<'_>) -> Result<Ahead> {
        let options = self.options;
        let today = Day::of_secs(options.now.secs);
        let end = today.month_after(MONTHS_AHEAD + 1);
        let days = end.0 - today.0 - 1;
        let policy = change.what_if.and_then(|w| w.policy.as_ref()).unwrap_or(&options.policy);
        let known: f64 = sources.iter().map(|s| s.series.stored_bytes).sum();
        let mut stored = vec![(self.inventory.stored_bytes() as f64 - known).max(0.0); days as usize];
        let growth =
            change.what_if.and_then(|w| w.growth_bytes).map(|bytes| bytes as f64 / sources.len().max(1) as f64);
        for source in sources {
            let mut series = source.series.clone();
            if let Some(growth) = growth {
                let churn = series.churn_bytes();
                (series.growth_bytes, series.new_bytes) = (growth, churn + growth.max(0.0));
            }
            let kept = kept_ahead(source, policy, &options.zone, options.now, days, options.removal_days)?;
            let like = change.what_if.map_or(0, |w| w.like.iter().filter(|w| **w == source.key.writer).count());
            for (sum, bytes) in stored.iter_mut().zip(stored_ahead(&series, &kept)) {
                *sum += bytes * (1 + like) as f64;
            }
        }
        let more: u64 = change.what_if.map_or(0, |w| w.hosts_bytes.iter().sum());
        stored.iter_mut().for_each(|bytes| *bytes += more as f64);
        let mut prices = options.prices.clone();
        if let Some(storage_tb) = change.what_if.and_then(|w| w.storage_tb) {
            let from = today.plus(1);
            prices.change(crate::cost::PriceList { from, storage_tb, ..prices.at(from).clone() });
        }
        let (down_bytes, calls) = self.past.a_day(today, 30);
        let found = months(&prices, &self.rest_of_today(), today.plus(1), &stored, down_bytes, calls);
        let each = found.into_iter().map(|(month, bill)| {
            let last = month.first_of_next_month().0 - 1;
            let at = (last - today.0).checked_sub(1).and_then(|at| stored.get(at as usize));
            MonthAhead { month: month.month_text(), end_stored_bytes: at.map_or(0, |bytes| *bytes as u64), bill }
        });
        Ok(each.collect())
    }

    /// The days of this month that have passed, and today to its end.
    fn rest_of_today(&self) -> Vec<crate::cost::DayUse> {
        let mut used = self.used.to_vec();
        if let Some(today) = used.last_mut() {
            let rest = 86_400 - today.secs.min(86_400);
            today.stored_byte_secs += u128::from(self.inventory.stored_bytes()) * u128::from(rest);
            today.secs += rest;
        }
        used
    }
}

/// A bill of which nobody knows anything.
impl Default for MonthAhead {
    fn default() -> Self {
        Self { month: String::new(), end_stored_bytes: 0, bill: Bill::default() }
    }
}
