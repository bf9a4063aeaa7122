//! Every metric.

/// What a metric counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A value that goes up and down.
    Gauge,
    /// How often something has happened.
    Counter,
}

/// A metric.
#[derive(PartialEq, Eq, Debug)]
pub struct Metric {
    /// Its name with dots, as Datadog has it; Prometheus has underscores in their place.
    pub name: &'static str,
    /// What it counts.
    pub kind: Kind,
    /// What it means.
    pub help: &'static str,
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, help }
}

const fn counter(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, help }
}

/// All of them. The last word of a name is its unit, as Prometheus' naming rules want it.
pub const ALL: &[Metric] = &[
    counter("panther.runs_total", "Runs by command and result (success, incomplete, failure)."),
    counter("panther.transfer.retries_total", "Calls to the store that had to be repeated."),
    counter(
        "panther.transfer.failures_total",
        "Runs that ended because the store failed, was full or could not be reached.",
    ),
    counter("panther.snapshot.created_total", "Local snapshots runs that succeeded."),
    counter("panther.snapshot.failed_total", "Local snapshots runs that failed."),
    gauge("panther.backup.age_seconds", "Time since the last backup began whose manifest was read back."),
    gauge("panther.backup.last_success_timestamp_seconds", "When that backup began, in seconds since 1970."),
    gauge("panther.backup.exit_code", "Exit code of the last backup."),
    gauge("panther.backup.duration_seconds", "How long the last successful backup took."),
    gauge("panther.backup.source_bytes", "What the sources held."),
    gauge("panther.backup.new_bytes", "Plaintext of the last backup that was new."),
    gauge("panther.backup.stored_bytes", "What was stored for it."),
    gauge("panther.backup.dedup_ratio", "Share of the sources that was in the repository already, 0 to 1."),
    gauge(
        "panther.backup.problems",
        "Objects that the last backup could not read, or found vanished from the repository.",
    ),
    gauge("panther.recovery_point.objective_seconds", "How old the newest backup may be."),
    gauge("panther.recovery_point.met", "1 if the newest backup is no older than that, else 0."),
    gauge("panther.repository.stored_bytes", "What the repository holds, by the last listing of all of it."),
    gauge("panther.repository.growth_bytes", "By how much it grew in a day, over the last 30 days."),
    gauge("panther.check.age_seconds", "Time since the last check that came to its end."),
    gauge("panther.check.errors", "Errors that the last check found."),
    gauge("panther.check.exit_code", "Exit code of the last check."),
    gauge(
        "panther.retention.violations",
        "Snapshots that should have been removed and could not be, by the last runs of forget and snapshot prune.",
    ),
    gauge("panther.snapshot.age_seconds", "Time since the newest local snapshot of a subvolume."),
    gauge("panther.snapshot.kept", "Local snapshots of a subvolume."),
    gauge("panther.disk.free_bytes", "Room on a file system."),
    gauge("panther.disk.free_ratio", "The same as a share, 0 to 1."),
    gauge("panther.cost.forecast_dollars", "What the month will cost, by the last forecast."),
    gauge("panther.cost.budget_used_ratio", "The same as a share of the budget; more than 1 is over it."),
    gauge("panther.drill.age_seconds", "Time since the last restore for practice that succeeded."),
    gauge("panther.drill.success", "1 if the last restore for practice succeeded, else 0."),
    gauge("panther.drill.duration_seconds", "How long it took."),
    gauge(
        "panther.recovery_time.estimate_seconds",
        "How long a whole restore would take, by the last restore for practice.",
    ),
    gauge("panther.recovery_time.objective_seconds", "How long a restore may take."),
];

/// Those that the units of the NixOS modules send beside the program (`nixos/scripts`).
pub const OF_UNITS: &[Metric] = &[
    gauge("panther.unit.status", "How the last run of a systemd unit was: 0 good, 1 to be looked at, 2 failed."),
    gauge("panther.unit.success", "1 if it was good, else 0."),
    gauge("panther.unit.exit_code", "Its exit code."),
    gauge("panther.unit.finished_seconds", "When it ended, in seconds since 1970."),
    gauge("panther.storage.attributes_wrong", "Subvolumes whose attributes are not what the configuration wants."),
];

/// The metric of a name.
pub fn by_name(name: &str) -> Option<&'static Metric> {
    ALL.iter().chain(OF_UNITS).find(|metric| metric.name == name)
}
