//! What a policy would keep over time.

use super::{Calendar, Decision, Item, Policy, RetentionError, decide};
use crate::format::time::Time;
use jiff::tz::TimeZone;

/// What is there at a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample {
    /// The moment.
    pub at: Time,
    /// How many are kept then.
    pub kept: usize,
    /// The oldest of them.
    pub oldest: Time,
    /// How many were taken since the sample before.
    pub taken: usize,
    /// How many were removed since the sample before.
    pub removed: usize,
}

/// One of those that are left in the end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Left {
    /// The time that it shows.
    pub time: Time,
    /// Which of those that were there in the beginning it is, by its place; nothing for one that was taken later.
    pub origin: Option<usize>,
    /// Why it is kept.
    pub decision: Decision,
}

/// What a policy would come to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Simulation {
    /// At the beginning of each month, and in the end.
    pub samples: Vec<Sample>,
    /// The most that are kept at a moment.
    pub most: usize,
    /// What is left in the end, oldest first.
    pub left: Vec<Left>,
}

/// Moments of a calendar that is run through at most; a year of minutes.
const MOST_STEPS: usize = 366 * 24 * 60;

/// Takes one group of snapshots from `from` to `until`, adding one at each moment of `calendar` and applying `policy` right after it.
///
/// Takes time with the square of what is kept at once, so `policy` should not keep everything of a calendar of minutes.
///
/// # Errors
/// [`RetentionError::Empty`] for a policy without a rule.
pub fn simulate<I: Ord + Clone, G: Ord + Clone>(
    policy: &Policy,
    existing: &[Item<I, G>],
    calendar: &Calendar,
    (from, until): (Time, Time),
    zone: &TimeZone,
) -> Result<Simulation, RetentionError> {
    // Those that come later are greater than those that are there.
    let mut items: Vec<Item<(usize, usize), ()>> = existing
        .iter()
        .enumerate()
        .map(|(at, item)| Item {
            id: (0, at),
            time: item.time,
            tags: item.tags.clone(),
            pinned: item.pinned,
            group: (),
        })
        .collect();
    let mut run = Run { policy, zone, taken: 0, removed: 0, most: 0, samples: Vec::new() };
    run.apply(&mut items, from)?;
    run.sample(&items, from);
    let mut now = from;
    for step in 1..=MOST_STEPS {
        let Some(next) = calendar.after(now, zone).filter(|next| *next <= until) else { break };
        if month(next, zone) != month(now, zone) {
            run.sample(&items, next);
        }
        now = next;
        items.push(Item { id: (1, step), time: now, tags: Vec::new(), pinned: false, group: () });
        run.taken += 1;
        run.apply(&mut items, now)?;
    }
    run.sample(&items, until);
    let decisions = decide(policy, &items, until, zone)?;
    let mut left: Vec<Left> = items
        .iter()
        .zip(decisions)
        .map(|(item, decision)| Left { time: item.time, origin: (item.id.0 == 0).then_some(item.id.1), decision })
        .collect();
    left.sort_by_key(|left| left.time);
    Ok(Simulation { samples: run.samples, most: run.most, left })
}

fn month(time: Time, zone: &TimeZone) -> super::slot::Slot {
    super::slot::Slot::of(super::Unit::Month, time, zone)
}

struct Run<'a> {
    policy: &'a Policy,
    zone: &'a TimeZone,
    taken: usize,
    removed: usize,
    most: usize,
    samples: Vec<Sample>,
}

impl Run<'_> {
    fn apply<I: Ord>(&mut self, items: &mut Vec<Item<I, ()>>, now: Time) -> Result<(), RetentionError> {
        let decisions = decide(self.policy, items, now, self.zone)?;
        let before = items.len();
        let mut keeps = decisions.iter().map(Decision::keeps);
        items.retain(|_| keeps.next().unwrap_or(true));
        self.removed += before - items.len();
        self.most = self.most.max(items.len());
        Ok(())
    }

    fn sample<I>(&mut self, items: &[Item<I, ()>], at: Time) {
        let oldest = items.iter().map(|item| item.time).min().unwrap_or(at);
        let (taken, removed) = (std::mem::take(&mut self.taken), std::mem::take(&mut self.removed));
        self.samples.push(Sample { at, kept: items.len(), oldest, taken, removed });
    }
}
