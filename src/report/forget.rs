//! What was forgotten and why, and what a policy comes to.

use crate::format::time::Time;
use crate::id::{ObjectId, WriterName};
use crate::ops::forget::{ForgetReport, GroupKey, GroupPlan, Judged};
use crate::report::json::RawPath;
use crate::report::text::{self, Align, Table};
use crate::report::{time, units};
use crate::retention::{Calendar, Policy, Simulation};
use jiff::tz::TimeZone;
use serde::Serialize;

/// A snapshot and what becomes of it.
#[derive(Debug, Serialize)]
struct Row {
    id: ObjectId,
    time: Time,
    claimed_time: Time,
    tags: Vec<String>,
    paths: Vec<RawPath>,
    keep: bool,
    reasons: Vec<String>,
}

/// What the snapshots of a group have in common.
#[derive(Debug, Serialize)]
struct Common {
    writer: WriterName,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paths: Option<Vec<RawPath>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<String>>,
}

impl Common {
    fn new(key: &GroupKey) -> Self {
        Self {
            writer: key.writer.clone(),
            host: key.host.clone(),
            paths: key.paths.as_ref().map(|paths| paths.iter().map(|path| RawPath::new(path)).collect()),
            tags: key.tags.clone(),
        }
    }
}

#[derive(Debug, Serialize)]
struct Group {
    #[serde(flatten)]
    common: Common,
    snapshots: Vec<Row>,
}

/// The body of the JSON document of `forget`.
#[derive(Debug, Serialize)]
pub struct Body<'a> {
    policy: Option<String>,
    dry_run: bool,
    groups: Vec<Group>,
    kept: u64,
    removed: &'a [ObjectId],
    leftovers: &'a [ObjectId],
    missing: &'a [ObjectId],
    rescued: &'a [ObjectId],
    statement: Option<ObjectId>,
    tidied: u64,
    problems: &'a [String],
}

impl<'a> Body<'a> {
    /// Of a report; `policy` is none where snapshots were named.
    pub fn new(report: &'a ForgetReport, policy: Option<&Policy>) -> Self {
        let row = |judged: &Judged| Row {
            id: judged.id,
            time: judged.time,
            claimed_time: judged.claimed,
            tags: judged.tags.clone(),
            paths: judged.paths.iter().map(|path| RawPath::new(path)).collect(),
            keep: judged.decision.keeps(),
            reasons: judged.decision.reasons.iter().map(ToString::to_string).collect(),
        };
        let group = |plan: &GroupPlan| Group {
            common: Common::new(&plan.key),
            snapshots: plan.snapshots.iter().map(row).collect(),
        };
        Self {
            policy: policy.map(ToString::to_string),
            dry_run: report.dry_run,
            groups: report.groups.iter().map(group).collect(),
            kept: kept(report),
            removed: &report.removed,
            leftovers: &report.leftovers,
            missing: &report.missing,
            rescued: &report.rescued,
            statement: report.statement,
            tidied: report.tidied,
            problems: &report.problems,
        }
    }
}

fn kept(report: &ForgetReport) -> u64 {
    let kept = report.groups.iter().flat_map(|g| &g.snapshots).filter(|s| s.decision.keeps()).count();
    (kept + report.rescued.len()) as u64
}

/// For people; with `explain`, snapshot by snapshot.
pub fn text(report: &ForgetReport, policy: Option<&Policy>, explain: bool, zone: &TimeZone) -> String {
    let mut out = String::new();
    if let Some(policy) = policy {
        out += &format!("policy: {}\n", text::message(&policy.to_string()));
    }
    if explain {
        report.groups.iter().for_each(|group| out += &explained(group, zone));
    }
    let (would, have) = if report.dry_run { ("would be ", "would be ") } else { ("", "were ") };
    let removed = units::things(report.removed.len() as u64, "snapshot", "snapshots");
    out += &format!("{} kept, {removed} {would}removed\n", units::count(kept(report)));
    let more = [
        (&report.leftovers, "forgotten before and still there", "removed"),
        (&report.missing, "not there", "named as forgotten, so that their absence is no alarm"),
        (&report.rescued, "pinned meanwhile", "left alone"),
    ];
    for (ids, what, done) in more.into_iter().filter(|(ids, _, _)| !ids.is_empty()) {
        let count = units::things(ids.len() as u64, "snapshot", "snapshots");
        out += &format!("{count} {what}: {have}{done}\n");
    }
    if !report.dry_run && !report.removed.is_empty() {
        out += "the space that they took is freed by prune\n";
    }
    if report.dry_run {
        out += "dry run: nothing was removed\n";
    }
    out
}

fn in_words(key: &GroupKey) -> String {
    let mut words = format!("writer {}", key.writer);
    if let Some(host) = &key.host {
        words += &format!(", host {}", text::message(host));
    }
    if let Some(paths) = &key.paths {
        let names: Vec<String> = paths.iter().map(|path| text::name(path)).collect();
        words += &format!(", {}", names.join(" "));
    }
    if let Some(tags) = &key.tags {
        words += &format!(", tags {}", text::message(&tags.join(",")));
    }
    words
}

fn explained(group: &GroupPlan, zone: &TimeZone) -> String {
    use Align::Left;
    let mut table = Table::new(&[("", Left), ("ID", Left), ("Time", Left), ("Tags", Left), ("Why", Left)]);
    for judged in &group.snapshots {
        let reasons: Vec<String> = judged.decision.reasons.iter().map(|r| text::message(&r.to_string())).collect();
        let why = match (reasons.is_empty(), group.named) {
            (true, true) => "named".to_owned(),
            (true, false) => "no rule keeps it".to_owned(),
            (false, _) => reasons.join("\n"),
        };
        let shown = match judged.time == judged.claimed {
            true => time::local(judged.time, zone),
            false => format!("{} (stored)", time::local(judged.time, zone)),
        };
        let verdict = if judged.decision.keeps() { "keep" } else { "remove" };
        let tags = judged.tags.iter().map(|tag| text::message(tag)).collect::<Vec<_>>().join(",");
        table.row(vec![verdict.into(), judged.id.short(), shown, tags, why]);
    }
    format!("\n{}\n{}\n", in_words(&group.key), table.render())
}

/// A group and what a policy makes of it.
#[derive(Debug)]
pub struct Simulated {
    /// Which group; none where the repository has no snapshot.
    pub key: Option<GroupKey>,
    /// The snapshots that are there now, by their places.
    pub ids: Vec<ObjectId>,
    /// What becomes of it.
    pub simulation: Simulation,
}

#[derive(Debug, Serialize)]
struct SampleRow {
    time: Time,
    kept: usize,
    oldest: Time,
    taken: usize,
    removed: usize,
}

#[derive(Debug, Serialize)]
struct LeftRow {
    time: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<ObjectId>,
    reasons: Vec<String>,
}

#[derive(Debug, Serialize)]
struct SimulatedGroup {
    group: Option<Common>,
    most: usize,
    samples: Vec<SampleRow>,
    left: Vec<LeftRow>,
}

/// The body of the JSON document of `forget --simulate`.
#[derive(Debug, Serialize)]
pub struct SimulationBody {
    policy: String,
    schedule: String,
    simulated: Vec<SimulatedGroup>,
}

impl SimulationBody {
    /// Of all groups.
    pub fn new(all: &[Simulated], policy: &Policy, calendar: &Calendar) -> Self {
        let group = |one: &Simulated| SimulatedGroup {
            group: one.key.as_ref().map(Common::new),
            most: one.simulation.most,
            samples: one
                .simulation
                .samples
                .iter()
                .map(|s| SampleRow { time: s.at, kept: s.kept, oldest: s.oldest, taken: s.taken, removed: s.removed })
                .collect(),
            left: one
                .simulation
                .left
                .iter()
                .map(|left| LeftRow {
                    time: left.time,
                    id: left.origin.and_then(|at| one.ids.get(at).copied()),
                    reasons: left.decision.reasons.iter().map(ToString::to_string).collect(),
                })
                .collect(),
        };
        let (policy, schedule) = (policy.to_string(), calendar.to_string());
        Self { policy, schedule, simulated: all.iter().map(group).collect() }
    }
}

/// For people; with `explain`, each snapshot that is left in the end.
pub fn simulation_text(
    all: &[Simulated],
    policy: &Policy,
    calendar: &Calendar,
    explain: bool,
    zone: &TimeZone,
) -> String {
    use Align::{Left, Right};
    let mut out =
        format!("policy: {}\na backup: {}\n", text::message(&policy.to_string()), text::message(&calendar.to_string()));
    for one in all {
        out += &format!("\n{}\n", one.key.as_ref().map_or("a new machine".into(), in_words));
        let mut table =
            Table::new(&[("From", Left), ("Kept", Right), ("Oldest", Left), ("Taken", Right), ("Removed", Right)]);
        for s in &one.simulation.samples {
            let oldest = if s.kept == 0 { String::new() } else { time::day(s.oldest, zone) };
            let counts = [s.kept, s.taken, s.removed].map(|n| units::count(n as u64));
            let [kept, taken, removed] = counts;
            table.row(vec![time::day(s.at, zone), kept, oldest, taken, removed]);
        }
        out += &table.render();
        out += &format!("at most {} at a time\n", units::things(one.simulation.most as u64, "snapshot", "snapshots"));
        if explain {
            let mut table = Table::new(&[("Left in the end", Left), ("ID", Left), ("Why", Left)]);
            for left in &one.simulation.left {
                let id = left.origin.and_then(|at| one.ids.get(at)).map(ObjectId::short).unwrap_or_default();
                let why = left.decision.reasons.iter().map(|r| text::message(&r.to_string()));
                table.row(vec![time::local(left.time, zone), id, why.collect::<Vec<_>>().join("\n")]);
            }
            out += &table.render();
        }
    }
    out
}
