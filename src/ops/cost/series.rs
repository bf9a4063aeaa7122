//! Snapshots of one source as a series that grows, and which of it will be kept.

use super::stored::Inventory;
use crate::cost::{Day, Series};
use crate::error::{Error, Result};
use crate::format::time::Time;
use crate::id::{ObjectId, WriterName};
use crate::ops::forget::{GroupBy, GroupKey, item};
use crate::repo::snapshots::Snapshot;
use crate::repo::statements::Statements;
use crate::retention::{Item, Policy, decide};
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

/// Growth is measured over so many days before now.
const WINDOW_SECS: i64 = 60 * 86_400;
const SECS_PER_DAY: i64 = 86_400;

/// The snapshots of one source: what retention judges together.
#[derive(Clone, Debug)]
pub struct Source {
    /// What they have in common.
    pub key: GroupKey,
    /// How they grow.
    pub series: Series,
    /// Those that retention judges, oldest first.
    pub items: Vec<Item<ObjectId, ()>>,
    /// What each of them has added to the store.
    pub added_bytes: Vec<u64>,
    /// The time between two of them.
    pub cadence_secs: i64,
    /// Whether there was enough history to see growth.
    pub has_history: bool,
}

/// The sources of a repository.
pub fn sources(
    snapshots: &[Snapshot],
    statements: &Statements,
    by: GroupBy,
    inventory: &Inventory,
    now: Time,
) -> Vec<Source> {
    let mut groups: BTreeMap<GroupKey, Vec<&Snapshot>> = BTreeMap::new();
    let is_alive = |s: &&Snapshot| !statements.forgotten.contains(&s.head.id) || statements.pinned.contains(&s.head.id);
    for snapshot in snapshots.iter().filter(is_alive) {
        groups.entry(GroupKey::of(snapshot, by)).or_default().push(snapshot);
    }
    let mut found: Vec<Source> = groups.into_iter().map(|(key, group)| source(key, group, statements, now)).collect();
    share_out(&mut found, inventory);
    found
}

/// What is stored under a writer's name belongs to its sources by their live bytes.
fn share_out(sources: &mut [Source], inventory: &Inventory) {
    let mut live: BTreeMap<WriterName, f64> = BTreeMap::new();
    for source in sources.iter() {
        *live.entry(source.key.writer.clone()).or_default() += source.series.live_bytes.max(1.0);
    }
    for source in sources {
        let stored = inventory.stored_by(&source.key.writer) as f64;
        let of = live.get(&source.key.writer).copied().unwrap_or(1.0);
        source.series.stored_bytes = stored * source.series.live_bytes.max(1.0) / of;
        // What cannot be: the source compresses worse than its first snapshot did, or that is not known.
        source.series.live_bytes = source.series.live_bytes.min(source.series.stored_bytes);
    }
}

fn source(key: GroupKey, mut group: Vec<&Snapshot>, statements: &Statements, now: Time) -> Source {
    group.sort_by_key(|s| (s.judged_time(), s.head.id));
    // How much a byte of the source takes: as in the first snapshot, which stored all of it.
    let first = group.iter().find(|s| s.manifest.parent.is_none() && s.manifest.summary.source_bytes > 0);
    let ratio = first.map(|s| s.manifest.summary.stored_bytes as f64 / s.manifest.summary.source_bytes as f64);
    let ratio = ratio.filter(|ratio| *ratio > 0.0).unwrap_or_else(|| packed(&group));
    let live = |s: &Snapshot| s.manifest.summary.source_bytes as f64 * ratio;
    let recent: Vec<&&Snapshot> =
        group.iter().filter(|s| s.judged_time().secs > now.secs - WINDOW_SECS && s.manifest.parent.is_some()).collect();
    let begin = group.iter().rev().find(|s| recent.first().is_none_or(|r| s.judged_time() < r.judged_time()));
    let begin = begin.or(group.first());
    let span_days = match (begin, recent.last()) {
        (Some(first), Some(last)) => (last.judged_time().secs - first.judged_time().secs) as f64 / SECS_PER_DAY as f64,
        _ => 0.0,
    };
    let has_history = span_days >= 0.9;
    let kept_secs: Vec<i64> = group.iter().map(|s| s.judged_time().secs).collect();
    let cadence_secs = cadence(&kept_secs);
    let new_bytes = new_a_day(&group, now.secs - WINDOW_SECS, cadence_secs);
    let points: Vec<(f64, f64)> =
        begin.into_iter().chain(recent.iter().copied()).map(|s| (s.judged_time().secs as f64, live(s))).collect();
    let series = Series {
        stored_bytes: 0.0,
        live_bytes: group.last().map_or(0.0, |s| live(s)),
        growth_bytes: if has_history { slope(&points) * SECS_PER_DAY as f64 } else { 0.0 },
        new_bytes: if has_history { new_bytes } else { 0.0 },
        kept_secs,
        lingering_secs: Vec::new(),
    };
    let items = group.iter().map(|s| {
        let Item { id, time, tags, pinned, .. } = item(s, GroupBy::default(), statements);
        Item { id, time, tags, pinned, group: () }
    });
    Source {
        cadence_secs,
        items: items.collect(),
        added_bytes: group.iter().map(|s| s.manifest.summary.stored_bytes).collect(),
        key,
        series,
        has_history,
    }
}

/// What is stored anew in a day: by the snapshots whose predecessor is still there, as those of others have stored more than themselves.
fn new_a_day(group: &[&Snapshot], from_secs: i64, cadence_secs: i64) -> f64 {
    let pairs = group.windows(2).map(|pair| {
        let gap_secs = pair[1].judged_time().secs - pair[0].judged_time().secs;
        (pair[1].judged_time().secs, gap_secs, pair[1].manifest.summary.stored_bytes, pair[1].manifest.parent)
    });
    let near = pairs.filter(|(at, gap_secs, _, parent)| {
        *at > from_secs && parent.is_some() && *gap_secs <= cadence_secs + cadence_secs / 2
    });
    let (bytes, secs) = near.fold((0.0, 0.0), |sum, (_, gap, bytes, _)| (sum.0 + bytes as f64, sum.1 + gap as f64));
    if secs > 0.0 { bytes / secs * SECS_PER_DAY as f64 } else { 0.0 }
}

/// How much smaller new data becomes in packs.
fn packed(group: &[&Snapshot]) -> f64 {
    let sum = |of: fn(&Snapshot) -> u64| group.iter().map(|s| of(s)).sum::<u64>() as f64;
    let new = sum(|s| s.manifest.summary.data_bytes + s.manifest.summary.tree_bytes);
    if new > 0.0 { (sum(|s| s.manifest.summary.stored_bytes) / new).min(1.0) } else { 1.0 }
}

/// The slope of the straight line that fits best (least squares); 0 for fewer than two points.
fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len().max(1) as f64;
    let (mean_x, mean_y) = (points.iter().map(|p| p.0).sum::<f64>() / n, points.iter().map(|p| p.1).sum::<f64>() / n);
    let over: f64 = points.iter().map(|p| (p.0 - mean_x) * (p.1 - mean_y)).sum();
    let under: f64 = points.iter().map(|p| (p.0 - mean_x).powi(2)).sum();
    if under > 0.0 { over / under } else { 0.0 }
}

/// The median time between snapshots, from an hour to a week; a day where nobody knows.
fn cadence(kept_secs: &[i64]) -> i64 {
    // The newest: of older ones some are gone.
    let recent = &kept_secs[kept_secs.len().saturating_sub(8)..];
    let mut gaps: Vec<i64> = recent.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).map_or(SECS_PER_DAY, |gap| (*gap).clamp(3_600, 7 * SECS_PER_DAY))
}

/// Which snapshots were forgotten less than `removal_days` ago, if they came as regularly before as they do now: their data is still there.
pub fn lingering(source: &Source, policy: &Policy, zone: &TimeZone, now: Time, removal_days: u32) -> Vec<i64> {
    let (Some(first), Some(last)) = (source.items.first(), source.items.last()) else { return Vec::new() };
    let (first, last, step) = (first.time.secs, last.time.secs, source.cadence_secs.max(3_600));
    let then = now.secs - i64::from(removal_days) * SECS_PER_DAY;
    // Aligned with the newest; no more than a year of days.
    let back = ((last - first) / step).clamp(0, 9_000);
    let is_kept = |secs: &i64| source.items.iter().any(|item| (item.time.secs - secs).abs() <= step / 2);
    let regular = (0..=back).rev().map(|n| last - n * step);
    let (before, since): (Vec<i64>, Vec<i64>) = regular.partition(|secs| *secs <= then);
    let items: Vec<Item<usize, ()>> = before
        .iter()
        .enumerate()
        .map(|(id, secs)| Item { id, time: Time { secs: *secs, nanos: 0 }, tags: Vec::new(), pinned: false, group: () })
        .collect();
    // A policy without a rule forgets nothing.
    let Ok(decisions) = decide(policy, &items, Time { secs: then, nanos: 0 }, zone) else { return Vec::new() };
    let kept_then = before.into_iter().zip(decisions).filter(|(_, decision)| decision.keeps()).map(|(secs, _)| secs);
    kept_then.chain(since).filter(|secs| !is_kept(secs)).collect()
}

/// For each of `days` days after that of `now`: the times of the snapshots that are kept at its end, or went less than `removal_days` before.
///
/// # Errors
/// Never for a policy without a rule: then all stay.
pub fn kept_ahead(
    source: &Source,
    policy: &Policy,
    zone: &TimeZone,
    now: Time,
    days: u32,
    removal_days: u32,
) -> Result<Vec<Vec<i64>>> {
    let mut items: Vec<Item<(u32, usize), ()>> = (0..)
        .zip(&source.items)
        .map(|(at, item)| Item {
            id: (0, at),
            time: item.time,
            tags: item.tags.clone(),
            pinned: item.pinned,
            group: (),
        })
        .collect();
    let mut gone: Vec<(u32, i64)> = source.series.lingering_secs.iter().map(|secs| (0, *secs)).collect();
    let today = Day::of_secs(now.secs);
    let last = source.items.last().map_or(now.secs, |item| item.time.secs);
    let mut next_secs = (last + source.cadence_secs).max(now.secs);
    let mut each = Vec::with_capacity(days as usize);
    for day in 0..days {
        let end_secs = today.plus(day + 2).start_secs();
        while next_secs < end_secs && source.cadence_secs > 0 {
            let time = Time { secs: next_secs, nanos: 0 };
            items.push(Item { id: (1, items.len()), time, tags: Vec::new(), pinned: false, group: () });
            next_secs += source.cadence_secs;
        }
        if !policy.is_empty() {
            let at = Time { secs: end_secs, nanos: 0 };
            let decisions = decide(policy, &items, at, zone).map_err(|e| Error::Usage(e.to_string()))?;
            let mut decisions = decisions.iter();
            items.retain(|item| {
                let keeps = decisions.next().is_none_or(|decision| decision.keeps());
                if !keeps {
                    gone.push((day, item.time.secs));
                }
                keeps
            });
        }
        gone.retain(|(since, _)| since + removal_days > day);
        let mut there: Vec<i64> = items.iter().map(|item| item.time.secs).chain(gone.iter().map(|g| g.1)).collect();
        there.sort_unstable();
        each.push(there);
    }
    Ok(each)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::retention::Preset;

    #[test]
    fn slopes_and_cadences() {
        assert!((slope(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]) - 2.0).abs() < 1e-9);
        assert!(slope(&[(1.0, 5.0)]).abs() < 1e-9 && slope(&[]).abs() < 1e-9);
        assert_eq!(cadence(&[0, 86_000, 172_000, 1_000_000, 1_086_000]), 86_000);
        assert_eq!((cadence(&[5]), cadence(&[0, 10, 20])), (86_400, 3_600));
    }

    #[test]
    fn what_is_kept_fills_up_and_stays() {
        let key = GroupKey { writer: WriterName::new("a").unwrap(), host: None, paths: None, tags: None };
        let now = Time { secs: 20_600 * 86_400 + 7_200, nanos: 0 };
        let items = vec![Item { id: ObjectId([0; 32]), time: now, tags: Vec::new(), pinned: false, group: () }];
        let (series, added_bytes) = (Series::default(), vec![0]);
        let source = Source { key, series, items, added_bytes, cadence_secs: 86_400, has_history: true };
        let kept = kept_ahead(&source, &Preset::Laptop.policy(), &TimeZone::UTC, now, 400, 0).unwrap();
        let counts: Vec<usize> = kept.iter().map(Vec::len).collect();
        // 7 daily, 4 weekly and 12 monthly, some of which are the same; the oldest while places are free.
        assert_eq!((counts[0], counts[5]), (2, 7));
        assert!((17..=22).contains(counts.last().unwrap()), "{counts:?}");
        let lingering = kept_ahead(&source, &Preset::Laptop.policy(), &TimeZone::UTC, now, 400, 10).unwrap();
        assert!((7..=11).contains(&(lingering[399].len() - kept[399].len())));
        let all = kept_ahead(&source, &Policy::default(), &TimeZone::UTC, now, 400, 10).unwrap();
        assert_eq!(all[399].len(), 401);
    }
}
