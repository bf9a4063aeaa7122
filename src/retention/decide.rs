//! Rules applied to snapshots.

use super::slot::Slot;
use super::{CalendarSpan, Count, Policy, RetentionError, Unit};
use crate::format::time::Time;
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::Duration;

/// Clocks may differ by this before a snapshot counts as dated into the future.
const CLOCK_SKEW: Duration = Duration::from_secs(86_400);

/// Something that is kept or not. `I` tells it from others, `G` says which others it is judged with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item<I, G> {
    /// Tells it from others, and orders those of the same time.
    pub id: I,
    /// The time that it shows.
    pub time: Time,
    /// Its tags.
    pub tags: Vec<String>,
    /// Whether it is kept whatever the rules say.
    pub pinned: bool,
    /// With what it is judged.
    pub group: G,
}

/// Why something is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reason {
    /// It is pinned.
    Pinned,
    /// It is dated into the future.
    Future,
    /// It is the so-manieth of the newest.
    Last(u32),
    /// It is the last one of a period, the so-manieth that has one.
    Every {
        /// Of which sort.
        unit: Unit,
        /// From 1, the newest.
        number: u32,
        /// Which.
        slot: Slot,
    },
    /// It is the oldest, and there are fewer periods than the rule has places.
    Oldest(Unit),
    /// It is younger than this.
    Within(CalendarSpan),
    /// It is the last one of a period and younger than this.
    EveryWithin {
        /// Of which sort.
        unit: Unit,
        /// How young.
        span: CalendarSpan,
        /// Which.
        slot: Slot,
    },
    /// It has all these tags.
    Tags(Vec<String>),
    /// Others were named, and no rule was asked.
    NotNamed,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pinned => f.write_str("pinned"),
            Self::Future => f.write_str("dated into the future"),
            Self::Last(number) => write!(f, "last {number}"),
            Self::Every { unit, number, slot } => write!(f, "{} {number} (last of {slot})", unit.adverb()),
            Self::Oldest(unit) => write!(f, "{} (oldest, places are free)", unit.adverb()),
            Self::Within(span) => write!(f, "within {span}"),
            Self::EveryWithin { unit, span, slot } => {
                write!(f, "{} within {span} (last of {slot})", unit.adverb())
            }
            Self::NotNamed => f.write_str("not named"),
            Self::Tags(tags) => write!(f, "tag {}", tags.join(",")),
        }
    }
}

/// What becomes of an item.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Decision {
    /// Why it is kept; nothing if it is to be removed.
    pub reasons: Vec<Reason>,
}

impl Decision {
    /// Whether it is kept.
    pub fn keeps(&self) -> bool {
        !self.reasons.is_empty()
    }
}

/// Decides about each of `items`, in their order. The order does not matter for what is decided. `now` tells what lies in the future.
///
/// # Errors
/// [`RetentionError::Empty`] for a policy without a rule.
pub fn decide<I: Ord, G: Ord>(
    policy: &Policy,
    items: &[Item<I, G>],
    now: Time,
    zone: &TimeZone,
) -> Result<Vec<Decision>, RetentionError> {
    if policy.is_empty() {
        return Err(RetentionError::Empty);
    }
    let mut decisions = vec![Decision::default(); items.len()];
    let mut groups: BTreeMap<&G, Vec<usize>> = BTreeMap::new();
    for (at, item) in items.iter().enumerate() {
        let reasons = &mut decisions[at].reasons;
        if item.pinned {
            reasons.push(Reason::Pinned);
        }
        let has_all = |tags: &&Vec<String>| !tags.is_empty() && tags.iter().all(|tag| item.tags.contains(tag));
        reasons.extend(policy.tags.iter().filter(has_all).cloned().map(Reason::Tags));
        if item.time > now.plus(CLOCK_SKEW) {
            reasons.push(Reason::Future);
        } else {
            groups.entry(&item.group).or_default().push(at);
        }
    }
    for mut newest_first in groups.into_values() {
        newest_first.sort_by(|a, b| (items[*b].time, &items[*b].id).cmp(&(items[*a].time, &items[*a].id)));
        let times: Vec<(usize, Time)> = newest_first.iter().map(|at| (*at, items[*at].time)).collect();
        judge(policy, &times, zone, &mut decisions);
    }
    Ok(decisions)
}

/// Applies the rules that go by time to one group, given newest first.
fn judge(policy: &Policy, group: &[(usize, Time)], zone: &TimeZone, decisions: &mut [Decision]) {
    let (Some((_, newest)), Some((oldest, _))) = (group.first(), group.last()) else { return };
    let mut keep = |at: usize, reason| decisions[at].reasons.push(reason);
    for (number, (at, _)) in (1..=policy.last.0).zip(group) {
        keep(*at, Reason::Last(number));
    }
    for unit in Unit::ALL {
        let count = policy.every.get(unit);
        if count == Count::NONE {
            continue;
        }
        let mut number = 0;
        for (at, slot) in last_of_each(unit, group, zone).take(count.0 as usize) {
            number += 1;
            keep(at, Reason::Every { unit, number, slot });
        }
        if number < count.0 {
            keep(*oldest, Reason::Oldest(unit));
        }
    }
    if let Some(span) = policy.within {
        let since = span.before(*newest, zone);
        group.iter().take_while(|(_, time)| *time > since).for_each(|(at, _)| keep(*at, Reason::Within(span)));
    }
    for unit in Unit::ALL {
        if let Some(span) = policy.every_within.get(unit) {
            let since = span.before(*newest, zone);
            let young = group.iter().take_while(|(_, time)| *time > since).count();
            for (at, slot) in last_of_each(unit, &group[..young], zone) {
                keep(at, Reason::EveryWithin { unit, span, slot });
            }
            if young == group.len() {
                keep(*oldest, Reason::Oldest(unit));
            }
        }
    }
    // The oldest may well be the last of its period, or the oldest by two rules.
    let reasons = &mut decisions[*oldest].reasons;
    let said: HashSet<Unit> = reasons
        .iter()
        .filter_map(|r| match r {
            Reason::Every { unit, .. } | Reason::EveryWithin { unit, .. } => Some(*unit),
            _ => None,
        })
        .collect();
    let mut seen = HashSet::new();
    reasons.retain(|r| match r {
        Reason::Oldest(unit) => !said.contains(unit) && seen.insert(*unit),
        _ => true,
    });
}

/// The newest of each period that has one, newest first.
fn last_of_each<'g>(
    unit: Unit,
    group: &'g [(usize, Time)],
    zone: &'g TimeZone,
) -> impl Iterator<Item = (usize, Slot)> + 'g {
    // Where daylight saving ends at midnight a day comes back after the next has begun: looking at the last one only would not do.
    let mut seen = HashSet::new();
    group.iter().filter_map(move |(at, time)| {
        let slot = Slot::of(unit, *time, zone);
        seen.insert(slot).then_some((*at, slot))
    })
}
