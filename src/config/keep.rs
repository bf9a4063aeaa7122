//! The file's tables about what is kept.

use super::values::{AbsolutePath, Count, Span};
use crate::retention::{self, PerUnit, Policy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A policy with a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// 7 daily, 4 weekly, 12 monthly.
    Laptop,
    /// 30 daily, 12 weekly, 12 monthly.
    Server,
}

impl Preset {
    /// What it stands for.
    pub fn policy(self) -> Policy {
        match self {
            Self::Laptop => retention::Preset::Laptop.policy(),
            Self::Server => retention::Preset::Server.policy(),
        }
    }
}

/// By what snapshots are grouped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GroupBy {
    /// The host's name.
    Host,
    /// The paths, all of them.
    Paths,
    /// The tags, all of them.
    Tags,
}

/// What to keep: a preset, numbers, or a preset with some numbers changed.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Retention {
    /// Numbers that are not given are those of this preset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// So many of the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Count>,
    /// The last of so many hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hourly: Option<Count>,
    /// The last of so many days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub daily: Option<Count>,
    /// The last of so many ISO weeks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weekly: Option<Count>,
    /// The last of so many months.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monthly: Option<Count>,
    /// The last of so many years.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub yearly: Option<Count>,
    /// All of this span before the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
    /// The last of each hour of this span.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within_hourly: Option<Span>,
    /// The last of each day of this span.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within_daily: Option<Span>,
    /// The last of each week of this span.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within_weekly: Option<Span>,
    /// The last of each month of this span.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within_monthly: Option<Span>,
    /// The last of each year of this span.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within_yearly: Option<Span>,
    /// What has all tags of one of these lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Vec<String>>,
    /// By what snapshots are grouped: host and paths where nothing is said. They are always apart by writer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_by: Option<Vec<GroupBy>>,
}

impl Retention {
    /// The policy that this is.
    pub fn policy(&self) -> Policy {
        let base = self.preset.map(Preset::policy).unwrap_or_default();
        let count = |given: Option<Count>, base: retention::Count| given.map_or(base, |count| count.0);
        let span = |given: &Option<Span>| given.as_ref().map(|span| *span.get());
        Policy {
            last: count(self.last, base.last),
            every: PerUnit {
                hourly: count(self.hourly, base.every.hourly),
                daily: count(self.daily, base.every.daily),
                weekly: count(self.weekly, base.every.weekly),
                monthly: count(self.monthly, base.every.monthly),
                yearly: count(self.yearly, base.every.yearly),
            },
            within: span(&self.within),
            every_within: PerUnit {
                hourly: span(&self.within_hourly),
                daily: span(&self.within_daily),
                weekly: span(&self.within_weekly),
                monthly: span(&self.within_monthly),
                yearly: span(&self.within_yearly),
            },
            tags: self.tags.clone(),
        }
    }
}

/// Snapshots that stay on this machine.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Snapshots {
    /// The folder that they are kept in, on the same file system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<AbsolutePath>,
    /// Of which subvolumes; where nothing is said, of those among the sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subvolumes: Vec<AbsolutePath>,
    /// Which are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
}
