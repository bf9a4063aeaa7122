//! The alerts.

use crate::config::types::HostClass;

/// On which side of a threshold a value is bad.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bad {
    /// Above it.
    Above,
    /// Below it.
    Below,
}

/// When to warn and when to wake somebody.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Threshold {
    /// Nothing where there is no middle.
    pub warning: Option<f64>,
    /// Somebody has to act.
    pub critical: f64,
}

/// An alert.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Alert {
    /// Its name, and its place in the runbook.
    pub name: &'static str,
    /// What it says in a few words.
    pub title: &'static str,
    /// What it means, in a sentence.
    pub message: &'static str,
    /// Which metric is looked at.
    pub metric: &'static str,
    /// Which values are bad.
    pub bad: Bad,
    /// For laptops.
    pub laptop: Threshold,
    /// For servers.
    pub server: Threshold,
    /// After so many minutes without the metric it is an alert, too; 0 for never. Laptops may sleep: for them it is a day at least.
    pub no_data_minutes: u32,
    /// Which tags of the metric tell apart what is looked at by itself.
    pub by: &'static [&'static str],
}

/// How a value is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// Well.
    Ok,
    /// Somebody should look.
    Warning,
    /// Somebody has to act.
    Critical,
}

impl Alert {
    /// How a value is on such a machine.
    pub fn judge(&self, class: HostClass, value: f64) -> Grade {
        let threshold = self.threshold(class);
        let is_beyond = |limit: f64| match self.bad {
            Bad::Above => value > limit,
            Bad::Below => value < limit,
        };
        match () {
            () if is_beyond(threshold.critical) => Grade::Critical,
            () if threshold.warning.is_some_and(is_beyond) => Grade::Warning,
            () => Grade::Ok,
        }
    }

    /// The thresholds of a sort of machine.
    pub fn threshold(&self, class: HostClass) -> Threshold {
        match class {
            HostClass::Laptop => self.laptop,
            HostClass::Server => self.server,
        }
    }

    /// After how many minutes without a value somebody is told; nothing for never.
    pub fn no_data_minutes(&self, class: HostClass) -> Option<u32> {
        let least = match class {
            HostClass::Laptop => 24 * 60,
            HostClass::Server => 0,
        };
        (self.no_data_minutes > 0).then_some(self.no_data_minutes.max(least))
    }
}

const HOUR: f64 = 3_600.0;
const DAY: f64 = 86_400.0;

const fn both(warning: f64, critical: f64) -> Threshold {
    Threshold { warning: Some(warning), critical }
}

const fn only(critical: f64) -> Threshold {
    Threshold { warning: None, critical }
}

const fn alert(name: &'static str, metric: &'static str, bad: Bad, laptop: Threshold, server: Threshold) -> Alert {
    let by: &[&str] = &["host", "repository"];
    Alert { name, title: "", message: "", metric, bad, laptop, server, no_data_minutes: 0, by }
}

const fn above(name: &'static str, metric: &'static str, laptop: Threshold, server: Threshold) -> Alert {
    alert(name, metric, Bad::Above, laptop, server)
}

const fn below(name: &'static str, metric: &'static str, laptop: Threshold, server: Threshold) -> Alert {
    alert(name, metric, Bad::Below, laptop, server)
}

impl Alert {
    const fn says(self, title: &'static str, message: &'static str) -> Self {
        Self { title, message, ..self }
    }

    const fn or_silent_for(self, no_data_minutes: u32) -> Self {
        Self { no_data_minutes, ..self }
    }

    const fn of(self, by: &'static [&'static str]) -> Self {
        Self { by, ..self }
    }
}

/// All of them. Thresholds: for laptops, then for servers; warning, then critical.
pub const ALERTS: &[Alert] = &[
    above("backup-too-old", "panther.backup.age_seconds", both(3.0 * DAY, 7.0 * DAY), both(30.0 * HOUR, 54.0 * HOUR))
        .says("The newest backup is too old", "No backup whose manifest was read back has been made for too long.")
        .or_silent_for(180),
    above("backup-failed", "panther.backup.exit_code", only(3.0), only(3.0))
        .says("A backup has failed", "The last backup ended with an exit code that means that no snapshot was made."),
    above("backup-incomplete", "panther.backup.problems", both(0.0, 100.0), both(0.0, 10.0)).says(
        "A backup is incomplete",
        "The last backup could not read everything, or something has vanished from the repository.",
    ),
    below("recovery-point-missed", "panther.recovery_point.met", only(1.0), only(1.0)).says(
        "A recovery point objective is missed",
        "The newest backup is older than the objective of this machine's configuration.",
    ),
    above("transfer-errors", "panther.transfer.failures_total", both(2.0, 5.0), both(0.0, 2.0))
        .says("The store could not be reached", "Backups end because the store fails, is full, or cannot be reached."),
    above("verification-failed", "panther.check.errors", only(0.0), only(0.0))
        .says("A check has found damage", "The last check of the repository has found something that is wrong."),
    above("check-too-old", "panther.check.age_seconds", both(21.0 * DAY, 45.0 * DAY), both(10.0 * DAY, 21.0 * DAY))
        .says("The repository was not checked for too long", "No check has come to its end for too long."),
    above("snapshot-failed", "panther.snapshot.failed_total", both(0.0, 3.0), both(0.0, 1.0))
        .says("A local snapshot could not be taken", "A run of snapshot create has failed."),
    above(
        "snapshot-too-old",
        "panther.snapshot.age_seconds",
        both(2.0 * DAY, 4.0 * DAY),
        both(6.0 * HOUR, 26.0 * HOUR),
    )
    .says("The newest local snapshot is too old", "No local snapshot of a subvolume was taken for too long."),
    above("retention-violated", "panther.retention.violations", both(0.0, 10.0), both(0.0, 10.0)).says(
        "Snapshots that should be gone are still there",
        "The policy says that they go, and they could not be removed.",
    ),
    below("disk-full", "panther.disk.free_ratio", both(0.10, 0.05), both(0.15, 0.08)).says(
        "A disk is nearly full",
        "A file system that is backed up, or that holds panther's state, has little room left.",
    ),
    above("budget", "panther.cost.budget_used_ratio", both(1.0, 1.25), both(1.0, 1.25))
        .says("The month costs more than planned", "The forecast of the month's bill is over the budget's warning."),
    below("drill-failed", "panther.drill.success", only(1.0), only(1.0)).says(
        "A restore for practice has failed",
        "The last drill could not restore what it should, or what it restored was wrong.",
    ),
    above("drill-too-old", "panther.drill.age_seconds", both(40.0 * DAY, 90.0 * DAY), both(40.0 * DAY, 70.0 * DAY))
        .says("No restore was practised for too long", "The last drill that succeeded is too long ago."),
    above("unit-failed", "panther.unit.status", both(0.0, 1.0), both(0.0, 1.0))
        .says(
            "A unit of panther has failed",
            "The last run of a systemd unit of the NixOS modules was not good: 1 is to be looked at, 2 has failed.",
        )
        .of(&["host", "unit"]),
    above("attributes-wrong", "panther.storage.attributes_wrong", both(0.0, 10.0), both(0.0, 10.0))
        .says(
            "A subvolume has lost its attributes",
            "Without copy-on-write or compression, or with, where the configuration wants it otherwise.",
        )
        .of(&["host"]),
];
