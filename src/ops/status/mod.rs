//! `status` and `report`: how the backups of all hosts are, in one document.

mod gather;

pub use gather::{Input, gather};

use crate::cost::NanoDollars;
use crate::format::time::Time;
use crate::ops::cost::{MonthAhead, Verdict};
use crate::ops::drill::DrillRecord;

/// How a host is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// All is well.
    Ok,
    /// Somebody should look.
    Warning,
    /// Somebody has to act.
    Critical,
}

/// A host.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct HostStatus {
    /// The name that it writes under.
    pub host: String,
    /// `laptop` or `server`.
    pub class: String,
    /// How it is.
    pub state: State,
    /// Why it is not well, in sentences.
    pub reasons: Vec<String>,
    /// When the newest backup began.
    pub last_backup: Option<Time>,
    /// How old that is.
    pub age_secs: Option<u64>,
    /// How old it may be.
    pub recovery_point_secs: u64,
    /// Whether it is no older.
    pub recovery_point_met: bool,
    /// The last drill of its backups.
    pub last_drill: Option<DrillRecord>,
    /// How long a restore may take.
    pub recovery_time_secs: u64,
    /// Whether it would take no longer, by the last drill.
    pub recovery_time_met: Option<bool>,
    /// Its snapshots.
    pub snapshots: u64,
    /// What is stored under its name.
    pub stored_bytes: u64,
    /// Its share of what the month's storage costs.
    pub month_dollars: NanoDollars,
}

/// A backup that was made.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Night {
    /// The host.
    pub host: String,
    /// When it began.
    pub started: Time,
    /// How long it took.
    pub elapsed_secs: f64,
    /// What was stored for it; nothing where this machine cannot see that.
    pub stored_bytes: Option<u64>,
    /// What the sources held.
    pub source_bytes: Option<u64>,
    /// Whether retention keeps it.
    pub is_kept: bool,
    /// Why.
    pub reasons: Vec<String>,
}

/// What was stored at the end of a day.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub struct StoredDay {
    /// The day's end, in seconds since 1970.
    pub at_secs: i64,
    /// Bytes.
    pub bytes: u64,
}

/// Something that went wrong.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Mishap {
    /// When.
    pub at: Time,
    /// Which command.
    pub doing: String,
    /// Its exit code.
    pub exit_code: u8,
    /// What it said.
    pub message: String,
}

/// What it costs.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Money {
    /// The month so far.
    pub so_far_dollars: NanoDollars,
    /// This month to its end, and the next twelve.
    pub ahead: Vec<MonthAhead>,
    /// The limit that is warned of.
    pub warn_dollars: Option<NanoDollars>,
    /// The limit at which no backup begins.
    pub stop_dollars: Option<NanoDollars>,
    /// Where the month stands.
    pub budget: Verdict,
}

/// How everything is.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Status {
    /// When this was looked at.
    pub as_of: Time,
    /// The repository.
    pub repository: String,
    /// Whether all hosts are seen; else only the writer's own.
    pub sees_all: bool,
    /// The worst of the hosts.
    pub state: State,
    /// The hosts, by name.
    pub hosts: Vec<HostStatus>,
    /// What is stored now.
    pub stored_bytes: u64,
    /// What is stored of what is there now, day by day, a year at most.
    pub stored: Vec<StoredDay>,
    /// Backups, oldest first, a year at most.
    pub nights: Vec<Night>,
    /// What it costs; nothing for a store that nobody bills.
    pub money: Option<Money>,
    /// Drills, newest first.
    pub drills: Vec<DrillRecord>,
    /// What went wrong on this machine in the last 30 days, newest first, 20 at most.
    pub mishaps: Vec<Mishap>,
}
