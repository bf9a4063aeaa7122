//! The values of metrics.

use super::table::by_name;
use super::{Facts, Sample};
use crate::state::runs::RunRecord;

const SECS_PER_DAY: f64 = 86_400.0;
/// Growth is measured over so long.
const GROWTH_SECS: i64 = 30 * 86_400;

struct Samples(Vec<Sample>);

impl Samples {
    fn add(&mut self, name: &str, value: f64) {
        self.tagged(name, value, Vec::new());
    }

    fn some(&mut self, name: &str, value: Option<f64>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    fn tagged(&mut self, name: &str, value: f64, tags: Vec<(&'static str, String)>) {
        // A name that the table does not have is a mistake that a test finds.
        if let Some(metric) = by_name(name).filter(|_| value.is_finite()) {
            self.0.push(Sample { metric, value, tags });
        }
    }
}

fn last<'a>(runs: &'a [RunRecord], command: &str) -> Option<&'a RunRecord> {
    runs.iter().rev().find(|run| run.command == command)
}

/// The last backup that is in the repository for sure: its manifest was read back.
fn last_backup(runs: &[RunRecord]) -> Option<&RunRecord> {
    runs.iter().rev().find(|run| run.command == "backup" && run.is_success() && run.is_read_back)
}

/// Everything that has a value now.
#[allow(clippy::cast_precision_loss)]
pub fn gauges(facts: &Facts<'_>) -> Vec<Sample> {
    let mut found = Samples(Vec::new());
    let age = |run: &RunRecord| (facts.now_secs - run.started_secs).max(0) as f64;
    backups(facts, &mut found);
    let check = runs_of(facts.runs, "check").find(|run| matches!(run.exit_code, 0 | 3 | 4));
    found.some("panther.check.age_seconds", check.map(age));
    found.some("panther.check.errors", check.map(|run| run.problems as f64));
    found.some("panther.check.exit_code", last(facts.runs, "check").map(|run| f64::from(run.exit_code)));
    let violations: Vec<u64> =
        ["forget", "snapshot prune"].iter().filter_map(|c| last(facts.runs, c)).map(|run| run.problems).collect();
    if !violations.is_empty() {
        found.add("panther.retention.violations", violations.iter().sum::<u64>() as f64);
    }
    for local in facts.local {
        let tags = vec![("subvolume", local.subvolume.clone())];
        found.tagged("panther.snapshot.age_seconds", (facts.now_secs - local.taken_secs).max(0) as f64, tags.clone());
        found.tagged("panther.snapshot.kept", local.count as f64, tags);
    }
    for disk in facts.disks {
        let tags = vec![("path", disk.path.clone())];
        found.tagged("panther.disk.free_bytes", disk.free_bytes as f64, tags.clone());
        found.tagged("panther.disk.free_ratio", disk.free_bytes as f64 / disk.total_bytes.max(1) as f64, tags);
    }
    let forecast = facts.runs.iter().rev().find_map(|run| run.forecast_dollars);
    found.some("panther.cost.forecast_dollars", forecast);
    let budget = facts.budget_dollars.filter(|budget| *budget > 0.0);
    found.some("panther.cost.budget_used_ratio", forecast.zip(budget).map(|(forecast, budget)| forecast / budget));
    let drill = runs_of(facts.runs, "drill").find(|run| run.exit_code == 0);
    found.some("panther.drill.age_seconds", drill.map(age));
    if let Some(run) = last(facts.runs, "drill") {
        found.add("panther.drill.success", f64::from(u8::from(run.exit_code == 0)));
        found.add("panther.drill.duration_seconds", run.elapsed_secs);
        found.some("panther.recovery_time.estimate_seconds", run.details["recovery_secs"].as_f64());
    }
    found.add("panther.recovery_time.objective_seconds", facts.recovery_time_secs as f64);
    found.0
}

fn runs_of<'a>(runs: &'a [RunRecord], command: &'static str) -> impl Iterator<Item = &'a RunRecord> {
    runs.iter().rev().filter(move |run| run.command == command)
}

#[allow(clippy::cast_precision_loss)]
fn backups(facts: &Facts<'_>, found: &mut Samples) {
    found.add("panther.recovery_point.objective_seconds", facts.recovery_point_secs as f64);
    found.some("panther.backup.exit_code", last(facts.runs, "backup").map(|run| f64::from(run.exit_code)));
    let Some(run) = last_backup(facts.runs) else { return };
    let age_secs = (facts.now_secs - run.started_secs).max(0);
    found.add("panther.backup.age_seconds", age_secs as f64);
    found.add("panther.backup.last_success_timestamp_seconds", run.started_secs as f64);
    found.add("panther.recovery_point.met", f64::from(u8::from(age_secs as u64 <= facts.recovery_point_secs)));
    found.add("panther.backup.duration_seconds", run.elapsed_secs);
    found.add("panther.backup.source_bytes", run.source_bytes as f64);
    found.add("panther.backup.new_bytes", run.new_bytes as f64);
    found.add("panther.backup.stored_bytes", run.stored_bytes as f64);
    if run.source_bytes > 0 {
        let new = run.new_bytes as f64 / run.source_bytes as f64;
        found.add("panther.backup.dedup_ratio", (1.0 - new).max(0.0));
    }
    found.add("panther.backup.problems", run.problems as f64);
    let sizes: Vec<(i64, u64)> =
        facts.runs.iter().filter_map(|run| Some((run.started_secs, run.repository_bytes?))).collect();
    if let Some((at, bytes)) = sizes.last() {
        found.add("panther.repository.stored_bytes", *bytes as f64);
        let before = sizes.iter().find(|(then, _)| at - then <= GROWTH_SECS && at - then >= 86_400);
        let growth = before.map(|(then, old)| (*bytes as f64 - *old as f64) / ((at - then) as f64 / SECS_PER_DAY));
        found.some("panther.repository.growth_bytes", growth);
    }
}

/// What a run adds to counters.
#[allow(clippy::cast_precision_loss)]
pub fn counters(run: &RunRecord) -> Vec<Sample> {
    let mut found = Samples(Vec::new());
    // A backup whose manifest nobody could read back is no success.
    let is_unseen = run.command == "backup" && !run.is_read_back;
    let result = match run.exit_code {
        0 if is_unseen => "unconfirmed",
        0 => "success",
        3 if is_unseen => "unconfirmed",
        3 => "incomplete",
        _ => "failure",
    };
    let tags = vec![("command", run.command.replace(' ', "_")), ("result", result.to_owned())];
    found.tagged("panther.runs_total", 1.0, tags);
    if run.retry_calls > 0 {
        found.add("panther.transfer.retries_total", run.retry_calls as f64);
    }
    if matches!(run.exit_code, 5..=7) {
        found.add("panther.transfer.failures_total", 1.0);
    }
    if run.command == "snapshot create" {
        let name = if run.exit_code == 0 { "panther.snapshot.created_total" } else { "panther.snapshot.failed_total" };
        found.add(name, 1.0);
    }
    found.0
}
