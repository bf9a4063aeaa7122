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

const fn above(warning: f64, critical: f64) -> Threshold {
    Threshold { warning: Some(warning), critical }
}

const fn at_all(critical: f64) -> Threshold {
    Threshold { warning: None, critical }
}

/// All of them.
pub const ALERTS: &[Alert] = &[
    Alert {
        name: "backup-too-old",
        title: "The newest backup is too old",
        message: "No backup whose manifest was read back has been made for too long.",
        metric: "panther.backup.age_seconds",
        bad: Bad::Above,
        laptop: above(3.0 * DAY, 7.0 * DAY),
        server: above(30.0 * HOUR, 54.0 * HOUR),
        no_data_minutes: 180,
    },
    Alert {
        name: "backup-failed",
        title: "A backup has failed",
        message: "The last backup ended with an exit code that means that no snapshot was made.",
        metric: "panther.backup.exit_code",
        bad: Bad::Above,
        laptop: at_all(3.0),
        server: at_all(3.0),
        no_data_minutes: 0,
    },
    Alert {
        name: "backup-incomplete",
        title: "A backup is incomplete",
        message: "The last backup could not read everything, or something has vanished from the repository.",
        metric: "panther.backup.problems",
        bad: Bad::Above,
        laptop: above(0.0, 100.0),
        server: above(0.0, 10.0),
        no_data_minutes: 0,
    },
    Alert {
        name: "recovery-point-missed",
        title: "A recovery point objective is missed",
        message: "The newest backup is older than the objective of this machine's configuration.",
        metric: "panther.recovery_point.met",
        bad: Bad::Below,
        laptop: at_all(1.0),
        server: at_all(1.0),
        no_data_minutes: 0,
    },
    Alert {
        name: "transfer-errors",
        title: "The store could not be reached",
        message: "Backups end because the store fails, is full, or cannot be reached.",
        metric: "panther.transfer.failures_total",
        bad: Bad::Above,
        laptop: above(2.0, 5.0),
        server: above(0.0, 2.0),
        no_data_minutes: 0,
    },
    Alert {
        name: "verification-failed",
        title: "A check has found damage",
        message: "The last check of the repository has found something that is wrong.",
        metric: "panther.check.errors",
        bad: Bad::Above,
        laptop: at_all(0.0),
        server: at_all(0.0),
        no_data_minutes: 0,
    },
    Alert {
        name: "check-too-old",
        title: "The repository was not checked for too long",
        message: "No check has come to its end for too long.",
        metric: "panther.check.age_seconds",
        bad: Bad::Above,
        laptop: above(21.0 * DAY, 45.0 * DAY),
        server: above(10.0 * DAY, 21.0 * DAY),
        no_data_minutes: 0,
    },
    Alert {
        name: "snapshot-failed",
        title: "A local snapshot could not be taken",
        message: "A run of snapshot create has failed.",
        metric: "panther.snapshot.failed_total",
        bad: Bad::Above,
        laptop: above(0.0, 3.0),
        server: above(0.0, 1.0),
        no_data_minutes: 0,
    },
    Alert {
        name: "snapshot-too-old",
        title: "The newest local snapshot is too old",
        message: "No local snapshot of a subvolume was taken for too long.",
        metric: "panther.snapshot.age_seconds",
        bad: Bad::Above,
        laptop: above(2.0 * DAY, 4.0 * DAY),
        server: above(2.0 * HOUR, 26.0 * HOUR),
        no_data_minutes: 0,
    },
    Alert {
        name: "retention-violated",
        title: "Snapshots that should be gone are still there",
        message: "The policy says that they go, and they could not be removed.",
        metric: "panther.retention.violations",
        bad: Bad::Above,
        laptop: above(0.0, 10.0),
        server: above(0.0, 10.0),
        no_data_minutes: 0,
    },
    Alert {
        name: "disk-full",
        title: "A disk is nearly full",
        message: "A file system that is backed up, or that holds panther's state, has little room left.",
        metric: "panther.disk.free_ratio",
        bad: Bad::Below,
        laptop: Threshold { warning: Some(0.10), critical: 0.05 },
        server: Threshold { warning: Some(0.15), critical: 0.08 },
        no_data_minutes: 0,
    },
    Alert {
        name: "budget",
        title: "The month costs more than planned",
        message: "The forecast of the month's bill is over the budget's warning.",
        metric: "panther.cost.budget_used_ratio",
        bad: Bad::Above,
        laptop: above(1.0, 1.25),
        server: above(1.0, 1.25),
        no_data_minutes: 0,
    },
    Alert {
        name: "drill-failed",
        title: "A restore for practice has failed",
        message: "The last drill could not restore what it should, or what it restored was wrong.",
        metric: "panther.drill.success",
        bad: Bad::Below,
        laptop: at_all(1.0),
        server: at_all(1.0),
        no_data_minutes: 0,
    },
    Alert {
        name: "drill-too-old",
        title: "No restore was practised for too long",
        message: "The last drill that succeeded is too long ago.",
        metric: "panther.drill.age_seconds",
        bad: Bad::Above,
        laptop: above(40.0 * DAY, 90.0 * DAY),
        server: above(40.0 * DAY, 70.0 * DAY),
        no_data_minutes: 0,
    },
];
