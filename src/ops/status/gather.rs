//! The document put together from what others have read.

use super::{HostStatus, Mishap, Money, Night, State, Status, StoredDay};
use crate::config::types::{HostClass, Objective};
use crate::cost::{Day, NanoDollars, SECS_PER_DAY};
use crate::format::time::Time;
use crate::id::{ObjectId, WriterName};
use crate::ops::cost::{CostReport, Inventory};
use crate::ops::drill::DrillRecord;
use crate::ops::forget::{GroupBy, item};
use crate::repo::snapshots::{Snapshot, SnapshotHead};
use crate::repo::statements::Statements;
use crate::retention::{Policy, decide};
use crate::state::runs::RunRecord;
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// So much of the past is shown.
const SHOWN_DAYS: u32 = 365;
/// Errors are shown for so long.
const MISHAP_SECS: i64 = 30 * SECS_PER_DAY;
const MOST_MISHAPS: usize = 20;
/// A drill is too old after this, where the configuration says nothing else.
const DRILL_SECS: i64 = 40 * SECS_PER_DAY;

/// What was read.
pub struct Input<'a> {
    /// The time.
    pub now: Time,
    /// The zone of retention's days.
    pub zone: &'a TimeZone,
    /// The repository.
    pub repository: String,
    /// All snapshots as far as they can be read: by readers.
    pub snapshots: &'a [Snapshot],
    /// Covers, for those who cannot read more.
    pub heads: &'a [SnapshotHead],
    /// Whether all hosts are seen.
    pub sees_all: bool,
    /// What is forgotten or pinned.
    pub statements: &'a Statements,
    /// What is stored.
    pub inventory: &'a Inventory,
    /// What it costs, where anybody bills it.
    pub cost: Option<&'a CostReport>,
    /// Which snapshots are kept.
    pub policy: &'a Policy,
    /// By what they are grouped.
    pub group_by: GroupBy,
    /// This machine's runs.
    pub runs: &'a [RunRecord],
    /// Records of drills.
    pub drills: Vec<DrillRecord>,
    /// After how long a drill is too old.
    pub drill_secs: Option<i64>,
    /// What hosts are to keep to, by name.
    pub objectives: &'a BTreeMap<String, Objective>,
}

/// Puts it together.
pub fn gather(input: Input<'_>) -> Status {
    let Input { now, inventory, cost, .. } = input;
    let mut drills = input.drills.clone();
    drills.sort_by_key(|drill| std::cmp::Reverse(drill.at_secs));
    let nights = nights(&input);
    let mut names: BTreeSet<String> = nights.iter().map(|night| night.host.clone()).collect();
    names.extend(inventory.by_writer.keys().flatten().map(ToString::to_string).filter(|_| input.sees_all));
    names.extend(input.objectives.keys().filter(|_| input.sees_all).cloned());
    let hosts: Vec<HostStatus> = names.into_iter().map(|name| host(name, &input, &nights, &drills)).collect();
    let mut mishaps: Vec<Mishap> = input
        .runs
        .iter()
        .rev()
        .filter(|run| !run.is_success() && run.started_secs > now.secs - MISHAP_SECS)
        .take(MOST_MISHAPS)
        .map(|run| Mishap {
            at: Time { secs: run.started_secs, nanos: 0 },
            doing: run.command.clone(),
            exit_code: run.exit_code,
            message: run.error.clone().unwrap_or_else(|| match run.problems {
                0 => "no more is known".into(),
                problems => format!("{problems} problems"),
            }),
        })
        .collect();
    mishaps.sort_by_key(|mishap| std::cmp::Reverse(mishap.at));
    let oldest = now.secs - i64::from(SHOWN_DAYS) * SECS_PER_DAY;
    Status {
        as_of: now,
        repository: input.repository.clone(),
        sees_all: input.sees_all,
        state: hosts.iter().map(|host| host.state).max().unwrap_or(State::Warning),
        hosts,
        stored_bytes: inventory.stored_bytes(),
        stored: stored(inventory, now),
        nights: nights.into_iter().filter(|night| night.started.secs > oldest).collect(),
        money: cost.map(|cost| Money {
            so_far_dollars: cost.so_far.total_dollars,
            ahead: cost.ahead.clone(),
            warn_dollars: cost.warn_dollars,
            stop_dollars: cost.stop_dollars,
            budget: cost.budget,
        }),
        drills,
        mishaps,
    }
}

/// What is there now, by when it came: how the repository grew. What was removed since is not in it.
fn stored(inventory: &Inventory, now: Time) -> Vec<StoredDay> {
    if !inventory.is_dated {
        return Vec::new();
    }
    let today = Day::of_secs(now.secs);
    let first = Day(today.0.saturating_sub(SHOWN_DAYS));
    let mut came = vec![0u64; SHOWN_DAYS as usize + 1];
    for stored in inventory.by_writer.values().flatten() {
        let at = Day::of_secs(stored.from_secs).0.saturating_sub(first.0).min(SHOWN_DAYS);
        came[at as usize] += stored.bytes;
    }
    let mut sum = 0;
    let days = came.into_iter().zip(first.0..).map(|(bytes, day)| {
        sum += bytes;
        StoredDay { at_secs: Day(day + 1).start_secs().min(now.secs), bytes: sum }
    });
    days.skip_while(|day| day.bytes == 0).collect()
}

fn nights(input: &Input<'_>) -> Vec<Night> {
    let elapsed = |head: &SnapshotHead| {
        let (from, to) = (head.cover.started, head.cover.finished);
        (to.secs - from.secs) as f64 + (f64::from(to.nanos) - f64::from(from.nanos)) / 1e9
    };
    let statements = input.statements;
    let is_dead = |id: &ObjectId| statements.forgotten.contains(id) && !statements.pinned.contains(id);
    if input.snapshots.is_empty() {
        let ours: HashMap<&str, &RunRecord> =
            input.runs.iter().filter_map(|run| Some((run.snapshot.as_deref()?, run))).collect();
        let night = |head: &SnapshotHead| {
            let run = ours.get(&*head.id.to_hex()).copied();
            Night {
                host: head.writer.to_string(),
                started: head.cover.started,
                elapsed_secs: elapsed(head).max(0.0),
                stored_bytes: run.map(|run| run.stored_bytes),
                source_bytes: run.map(|run| run.source_bytes),
                is_kept: !is_dead(&head.id),
                reasons: Vec::new(),
            }
        };
        return input.heads.iter().map(night).collect();
    }
    let items: Vec<_> = input.snapshots.iter().map(|s| item(s, input.group_by, statements)).collect();
    let decisions = decide(input.policy, &items, input.now, input.zone).unwrap_or_default();
    let night = |(at, snapshot): (usize, &Snapshot)| {
        let reasons = decisions.get(at).map(|d| d.reasons.iter().map(ToString::to_string).collect::<Vec<_>>());
        Night {
            host: snapshot.head.writer.to_string(),
            started: snapshot.judged_time(),
            elapsed_secs: elapsed(&snapshot.head).max(0.0),
            stored_bytes: Some(snapshot.manifest.summary.stored_bytes),
            source_bytes: Some(snapshot.manifest.summary.source_bytes),
            // Without a policy everything stays.
            is_kept: !is_dead(&snapshot.head.id) && reasons.as_ref().is_none_or(|reasons| !reasons.is_empty()),
            reasons: reasons.unwrap_or_default(),
        }
    };
    let mut nights: Vec<Night> = input.snapshots.iter().enumerate().map(night).collect();
    nights.sort_by_key(|night| night.started);
    nights
}

fn host(name: String, input: &Input<'_>, nights: &[Night], drills: &[DrillRecord]) -> HostStatus {
    let objective = input.objectives.get(&name).cloned().unwrap_or_default();
    let class: HostClass = objective.class();
    let newest = nights.iter().filter(|night| night.host == name).map(|night| night.started).max();
    let age_secs = newest.map(|newest| u64::try_from(input.now.secs - newest.secs).unwrap_or(0));
    let recovery_point_secs = objective.recovery_point_secs();
    let recovery_point_met = age_secs.is_some_and(|age| age <= recovery_point_secs);
    let last_drill = drills.iter().find(|drill| drill.writer == name).cloned();
    let recovery_time_secs = objective.recovery_time_secs();
    let recovery_time_met =
        last_drill.as_ref().filter(|drill| drill.success).map(|drill| drill.recovery_secs <= recovery_time_secs as f64);
    let (mut state, mut reasons) = (State::Ok, Vec::new());
    let mut say = |worse: State, why: String| {
        state = state.max(worse);
        reasons.push(why);
    };
    match age_secs {
        None => say(State::Critical, "there is no backup".into()),
        Some(age) if age > recovery_point_secs * 2 => {
            say(State::Critical, "the newest backup is more than twice as old as it may be".into());
        }
        Some(_) if !recovery_point_met => say(State::Warning, "the newest backup is older than it may be".into()),
        Some(_) => {}
    }
    match &last_drill {
        None => say(State::Warning, "no restore was ever practised".into()),
        Some(drill) if !drill.success => say(State::Critical, "the last restore for practice has failed".into()),
        Some(drill) if input.now.secs - drill.at_secs > input.drill_secs.unwrap_or(DRILL_SECS) => {
            say(State::Warning, "the last restore for practice is too long ago".into());
        }
        Some(_) => {}
    }
    if recovery_time_met == Some(false) {
        say(State::Warning, "a restore would take longer than it may".into());
    }
    let writer = WriterName::new(&name).ok();
    let cost = input.cost.and_then(|cost| cost.hosts.iter().find(|host| Some(&host.writer) == writer.as_ref()));
    HostStatus {
        class: class.as_str().to_owned(),
        state,
        reasons,
        last_backup: newest,
        age_secs,
        recovery_point_secs,
        recovery_point_met,
        last_drill,
        recovery_time_secs,
        recovery_time_met,
        snapshots: nights.iter().filter(|night| night.host == name).count() as u64,
        stored_bytes: writer.map_or(0, |writer| input.inventory.stored_by(&writer)),
        month_dollars: cost.map_or(NanoDollars::ZERO, |host| host.month_dollars),
        host: name,
    }
}
