//! Figures for monitoring, from what is known of this machine's runs, disks and local snapshots. Pure: who sends them is above.
//!
//! - `table`: every metric, what it means and its unit
//! - `gather`: their values
//! - [`dogstatsd`], [`prometheus`]: as texts
//! - [`event`]: a run as an event

pub mod dogstatsd;
pub mod event;
mod gather;
pub mod prometheus;
mod table;

pub use gather::{counters, gauges};
pub use table::{ALL, Kind, Metric, OF_UNITS, by_name};

use crate::config::types::HostClass;
use crate::state::runs::RunRecord;

/// A value of a metric.
#[derive(Clone, PartialEq, Debug)]
pub struct Sample {
    /// Which metric.
    pub metric: &'static Metric,
    /// Its value, in the metric's unit.
    pub value: f64,
    /// Tags beside those that all have: name and value.
    pub tags: Vec<(&'static str, String)>,
}

/// A file system that something of panther is on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disk {
    /// A path on it.
    pub path: String,
    /// Room that is left for this user.
    pub free_bytes: u64,
    /// All of it.
    pub total_bytes: u64,
}

/// The newest local snapshot of a subvolume.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LocalNewest {
    /// The subvolume.
    pub subvolume: String,
    /// When it was taken, in seconds since 1970.
    pub taken_secs: i64,
    /// How many there are.
    pub count: u64,
}

/// What there is to tell.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The time, in seconds since 1970.
    pub now_secs: i64,
    /// The machine's name.
    pub host: &'a str,
    /// The repository.
    pub repository: &'a str,
    /// What sort of machine it is.
    pub class: HostClass,
    /// How old the newest backup may be.
    pub recovery_point_secs: u64,
    /// How long a restore may take.
    pub recovery_time_secs: u64,
    /// What the month may cost before it is warned of.
    pub budget_dollars: Option<f64>,
    /// The machine's runs on this repository, oldest first.
    pub runs: &'a [RunRecord],
    /// Its disks.
    pub disks: &'a [Disk],
    /// Its local snapshots.
    pub local: &'a [LocalNewest],
}

impl Facts<'_> {
    /// Tags that every sample has.
    pub fn common_tags(&self) -> Vec<(&'static str, String)> {
        vec![
            ("host", self.host.to_owned()),
            ("class", self.class.as_str().to_owned()),
            ("repository", self.repository.to_owned()),
        ]
    }
}
