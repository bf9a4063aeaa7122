//! Which snapshots stay and which go.

use super::ForgetOptions;
use crate::error::{Error, Result};
use crate::format::time::Time;
use crate::id::{ObjectId, WriterName};
use crate::repo::snapshots::Snapshot;
use crate::repo::statements::Statements;
use crate::retention::{Decision, Item, Reason, decide};
use std::collections::{BTreeMap, HashSet};

/// By what snapshots are grouped. They are always apart by writer: a stolen writer's key must push out nobody else's (spec 12.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GroupBy {
    /// By host name.
    pub host: bool,
    /// By all paths.
    pub paths: bool,
    /// By all tags.
    pub tags: bool,
}

impl Default for GroupBy {
    fn default() -> Self {
        Self { host: true, paths: true, tags: false }
    }
}

/// What the snapshots of a group have in common.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct GroupKey {
    /// Their writer.
    pub writer: WriterName,
    /// Their host, if it is grouped by that.
    pub host: Option<String>,
    /// Their paths.
    pub paths: Option<Vec<Vec<u8>>>,
    /// Their tags.
    pub tags: Option<Vec<String>>,
}

impl GroupKey {
    /// The group of a snapshot.
    pub fn of(snapshot: &Snapshot, by: GroupBy) -> Self {
        let manifest = &snapshot.manifest;
        Self {
            writer: snapshot.head.writer.clone(),
            host: by.host.then(|| snapshot.head.cover.host.clone()),
            paths: by.paths.then(|| manifest.roots.iter().map(|root| root.path.clone()).collect()),
            tags: by.tags.then(|| manifest.tags.clone()),
        }
    }

    /// For a message.
    fn in_words(&self) -> String {
        let mut words = format!("writer {}", self.writer);
        if let Some(host) = &self.host {
            words += &format!(", host {host}");
        }
        if let Some(paths) = &self.paths {
            let paths: Vec<_> = paths.iter().map(|path| String::from_utf8_lossy(path)).collect();
            words += &format!(", paths {}", paths.join(" "));
        }
        if let Some(tags) = &self.tags {
            words += &format!(", tags {}", tags.join(","));
        }
        words
    }
}

/// A snapshot and what becomes of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Judged {
    /// The snapshot.
    pub id: ObjectId,
    /// The time that it was judged by.
    pub time: Time,
    /// The time that it claims.
    pub claimed: Time,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its paths.
    pub paths: Vec<Vec<u8>>,
    /// Why it stays, if it does.
    pub decision: Decision,
}

/// What becomes of a group.
#[derive(Clone, PartialEq, Debug)]
pub struct GroupPlan {
    /// What its snapshots have in common.
    pub key: GroupKey,
    /// Its snapshots, oldest first.
    pub snapshots: Vec<Judged>,
    /// Whether they were named, and not judged by rules.
    pub named: bool,
}

impl GroupPlan {
    /// Those that go.
    pub fn removed(&self) -> impl Iterator<Item = ObjectId> {
        self.snapshots.iter().filter(|s| !s.decision.keeps()).map(|s| s.id)
    }
}

/// The snapshot as retention sees it.
pub fn item(snapshot: &Snapshot, by: GroupBy, statements: &Statements) -> Item<ObjectId, GroupKey> {
    Item {
        id: snapshot.head.id,
        time: snapshot.judged_time(),
        tags: snapshot.manifest.tags.clone(),
        pinned: statements.pinned.contains(&snapshot.head.id),
        group: GroupKey::of(snapshot, by),
    }
}

/// Judges snapshots by the policy of `options`.
///
/// # Errors
/// [`Error::Usage`] for a policy without a rule, and where all of a group would go though that is not allowed.
pub fn plan(
    snapshots: &[&Snapshot],
    options: &ForgetOptions,
    statements: &Statements,
    now: Time,
) -> Result<Vec<GroupPlan>> {
    let items: Vec<_> = snapshots.iter().map(|s| item(s, options.group_by, statements)).collect();
    let decisions =
        decide(&options.policy, &items, now, &options.zone).map_err(|error| Error::Usage(error.to_string()))?;
    let judged = snapshots.iter().zip(items).zip(decisions).map(|((s, item), d)| (item.group, judge(s, d)));
    finish(judged, options, false)
}

/// The groups of those that are named: the named ones go, the others stay.
///
/// # Errors
/// [`Error::Usage`] where all of a group would go though that is not allowed.
pub(super) fn by_name(
    alive: &[&Snapshot],
    named: &HashSet<ObjectId>,
    options: &ForgetOptions,
    statements: &Statements,
) -> Result<Vec<GroupPlan>> {
    let by = options.group_by;
    let hit: HashSet<_> = alive.iter().filter(|s| named.contains(&s.head.id)).map(|s| GroupKey::of(s, by)).collect();
    let judged = alive.iter().filter(|s| hit.contains(&GroupKey::of(s, by))).map(|s| {
        let mut decision = Decision::default();
        if !named.contains(&s.head.id) {
            let pinned = statements.pinned.contains(&s.head.id);
            decision.reasons.push(if pinned { Reason::Pinned } else { Reason::NotNamed });
        }
        (GroupKey::of(s, by), judge(s, decision))
    });
    finish(judged, options, true)
}

fn judge(snapshot: &Snapshot, decision: Decision) -> Judged {
    Judged {
        id: snapshot.head.id,
        time: snapshot.judged_time(),
        claimed: snapshot.head.cover.started,
        tags: snapshot.manifest.tags.clone(),
        paths: snapshot.manifest.roots.iter().map(|root| root.path.clone()).collect(),
        decision,
    }
}

fn finish(
    judged: impl Iterator<Item = (GroupKey, Judged)>,
    options: &ForgetOptions,
    named: bool,
) -> Result<Vec<GroupPlan>> {
    let mut groups: BTreeMap<GroupKey, Vec<Judged>> = BTreeMap::new();
    for (key, judged) in judged {
        groups.entry(key).or_default().push(judged);
    }
    let mut plans = Vec::new();
    for (key, mut snapshots) in groups {
        snapshots.sort_by_key(|s| (s.time, s.id));
        if !options.remove_all && snapshots.iter().all(|s| !s.decision.keeps()) {
            return Err(Error::Usage(format!(
                "all {} snapshots of {} would go: nothing is removed; if that is meant, add --remove-all",
                snapshots.len(),
                key.in_words()
            )));
        }
        plans.push(GroupPlan { key, snapshots, named });
    }
    Ok(plans)
}
