//! What `cost` finds, as JSON has it.

use super::budget::Verdict;
use super::series::Source;
use crate::cost::{Bill, NanoDollars};
use crate::format::time::Time;
use crate::id::{ObjectId, WriterName};

/// A month to come; the first one is this month to its end.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct MonthAhead {
    /// `2026-05`.
    pub month: String,
    /// What is stored at its end.
    pub end_stored_bytes: u64,
    /// What it costs.
    #[serde(flatten)]
    pub bill: Bill,
}

/// This month and those to come.
pub type Ahead = Vec<MonthAhead>;

/// A host, by the name that it writes under.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Host {
    /// Its name.
    pub writer: WriterName,
    /// What is stored under it.
    pub stored_bytes: u64,
    /// Its share of what the month's storage costs.
    pub month_dollars: NanoDollars,
    /// By how much its sources grow in a day.
    pub growth_bytes: i64,
}

/// A source: snapshots that are judged together.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct SourceCost {
    /// Who writes it.
    pub writer: WriterName,
    /// The host's name.
    pub host: Option<String>,
    /// Its paths; bytes that are no UTF-8 are replaced.
    pub paths: Vec<String>,
    /// Its snapshots.
    pub snapshots: u64,
    /// What is stored for it, by its share of its writer's bytes.
    pub stored_bytes: u64,
    /// What the newest snapshot needs of it: an estimate.
    pub live_bytes: u64,
    /// What is stored anew in a day.
    pub new_bytes: u64,
    /// By how much the newest snapshot grows in a day.
    pub growth_bytes: i64,
    /// Its share of what the month's storage costs.
    pub month_dollars: NanoDollars,
    /// Whether there is a day of history or more, so that growth is seen.
    pub has_history: bool,
}

impl SourceCost {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub(super) fn of(source: &Source, month_dollars: NanoDollars) -> Self {
        let text = |path: &Vec<u8>| String::from_utf8_lossy(path).into_owned();
        Self {
            writer: source.key.writer.clone(),
            host: source.key.host.clone(),
            paths: source.key.paths.iter().flatten().map(text).collect(),
            snapshots: source.items.len() as u64,
            stored_bytes: source.series.stored_bytes as u64,
            live_bytes: source.series.live_bytes as u64,
            new_bytes: source.series.new_bytes as u64,
            growth_bytes: source.series.growth_bytes as i64,
            month_dollars,
            has_history: source.has_history,
        }
    }
}

/// A snapshot.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct SnapshotCost {
    /// Which.
    pub id: ObjectId,
    /// Who wrote it.
    pub writer: WriterName,
    /// The time that retention goes by.
    pub time: Time,
    /// What it has added to the store when it was made.
    pub added_bytes: u64,
    /// What would be freed by forgetting it alone and pruning: an estimate.
    pub frees_bytes: u64,
    /// What that costs in 30 days.
    pub frees_month_dollars: NanoDollars,
}

/// How it would be.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct WhatIfReport {
    /// This month and the next twelve.
    pub ahead: Ahead,
    /// The next twelve months together.
    pub twelve_months_dollars: NanoDollars,
}

/// What everything costs.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct CostReport {
    /// When this was reckoned.
    pub as_of: Time,
    /// This month: `2026-05`.
    pub month: String,
    /// The price of a terabyte for 30 days.
    pub storage_tb_dollars: NanoDollars,
    /// Since when the prices hold.
    pub prices_from: String,
    /// What is stored now.
    pub stored_bytes: u64,
    /// Whether the store says since when; else all of it counts as there for the whole month.
    pub is_dated: bool,
    /// The month so far.
    pub so_far: Bill,
    /// This month to its end, and the next twelve.
    pub ahead: Ahead,
    /// The next twelve months together.
    pub twelve_months_dollars: NanoDollars,
    /// By host.
    pub hosts: Vec<Host>,
    /// By source. Empty for a writer's key.
    pub sources: Vec<SourceCost>,
    /// By snapshot. Empty for a writer's key.
    pub snapshots: Vec<SnapshotCost>,
    /// The limit that is warned of.
    pub warn_dollars: Option<NanoDollars>,
    /// The limit at which no backup begins.
    pub stop_dollars: Option<NanoDollars>,
    /// Where this month's forecast stands.
    pub budget: Verdict,
    /// How it would be, where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what_if: Option<WhatIfReport>,
}
