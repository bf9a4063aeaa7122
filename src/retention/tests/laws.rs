//! The rules against a naive reference, and laws, over random histories.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Formats that are equal for two times if and only if they are in the same period, and order nothing.
fn name_of(unit: Unit, time: Time, zone: &TimeZone) -> String {
    let format = match unit {
        Unit::Hour => "%Y-%m-%dT%H%z",
        Unit::Day => "%Y-%m-%d",
        Unit::Week => "%G-%V",
        Unit::Month => "%Y-%m",
        Unit::Year => "%Y",
    };
    span::stamp(time).to_zoned_datetime(zone.clone()).strftime(format).to_string()
}

/// What the module's text says, done in the most obvious way.
fn reference(policy: &Policy, items: &[Thing], now: Time, zone: &TimeZone) -> Vec<u32> {
    let mut keep = BTreeSet::new();
    let groups: BTreeSet<u8> = items.iter().map(|i| i.group).collect();
    for item in items {
        let tagged = policy.tags.iter().any(|list| !list.is_empty() && list.iter().all(|t| item.tags.contains(t)));
        if item.pinned || tagged || item.time.secs > now.secs + 86_400 {
            keep.insert(item.id);
        }
    }
    for group in groups {
        let mut members: Vec<&Thing> =
            items.iter().filter(|i| i.group == group && i.time.secs <= now.secs + 86_400).collect();
        members.sort_by_key(|i| (i.time, i.id));
        let (Some(oldest), Some(newest)) = (members.first(), members.last()) else { continue };
        keep.extend(members.iter().rev().take(policy.last.0 as usize).map(|i| i.id));
        let last_ones = |unit: Unit, members: &[&Thing]| -> Vec<u32> {
            let mut by_name: BTreeMap<String, (Time, u32)> = BTreeMap::new();
            for item in members {
                let last = by_name.entry(name_of(unit, item.time, zone)).or_insert((item.time, item.id));
                *last = (*last).max((item.time, item.id));
            }
            let mut last: Vec<(Time, u32)> = by_name.into_values().collect();
            last.sort();
            last.reverse();
            last.into_iter().map(|(_, id)| id).collect()
        };
        for unit in Unit::ALL {
            let wanted = policy.every.get(unit).0 as usize;
            let last = last_ones(unit, &members);
            keep.extend(last.iter().take(wanted));
            if wanted > last.len() {
                keep.insert(oldest.id);
            }
            if let Some(span) = policy.every_within.get(unit) {
                let since = span.before(newest.time, zone);
                let young: Vec<&Thing> = members.iter().copied().filter(|i| i.time > since).collect();
                keep.extend(last_ones(unit, &young));
                if young.len() == members.len() {
                    keep.insert(oldest.id);
                }
            }
        }
        if let Some(span) = policy.within {
            let since = span.before(newest.time, zone);
            keep.extend(members.iter().filter(|i| i.time > since).map(|i| i.id));
        }
    }
    keep.into_iter().collect()
}

fn counts() -> impl Strategy<Value = Count> {
    prop_oneof![3 => Just(Count::NONE), 4 => (1u32..12).prop_map(Count), 1 => Just(Count::ALL)]
}

fn spans() -> impl Strategy<Value = Option<CalendarSpan>> {
    let span = (0u16..3, 0u16..14, 0u16..40, 0u16..50)
        .prop_map(|(years, months, days, hours)| CalendarSpan { years, months, days, hours })
        .prop_filter("a span has a length", |span| *span != CalendarSpan::default());
    prop_oneof![5 => Just(None), 1 => span.prop_map(Some)]
}

fn policies() -> impl Strategy<Value = Policy> {
    let every = [(); 5].map(|()| counts());
    let every_within = [(); 5].map(|()| spans());
    (counts(), every, spans(), every_within, any::<bool>()).prop_map(|(last, e, within, w, tagged)| Policy {
        last,
        every: PerUnit { hourly: e[0], daily: e[1], weekly: e[2], monthly: e[3], yearly: e[4] },
        within,
        every_within: PerUnit { hourly: w[0], daily: w[1], weekly: w[2], monthly: w[3], yearly: w[4] },
        tags: if tagged { vec![vec!["t".into()]] } else { Vec::new() },
    })
}

/// Histories around a change of the clocks or the turn of a year: some dense, some over years.
fn histories() -> impl Strategy<Value = Vec<Thing>> {
    let starts = prop::sample::select(vec![
        1_774_737_000i64, // 2026-03-28 22:30 UTC
        1_792_881_000,    // 2026-10-24 22:30 UTC
        1_798_671_600,    // 2026-12-30 23:00 UTC
        1_835_395_200,    // 2028-02-29
        -86_400,
    ]);
    let steps = prop::sample::select(vec![1i64, 60, 900, 3_600, 20_000, 86_400, 700_000]);
    (starts, steps).prop_flat_map(|(start, step)| {
        let one = (0..step * 40, 0u8..3, any::<u8>(), 0u32..3);
        prop::collection::vec(one, 0..60).prop_map(move |ones| {
            let make = |(id, (delta, group, dice, nanos)): (u32, (i64, u8, u8, u32))| Item {
                id,
                time: Time { secs: start + delta, nanos },
                tags: if dice % 7 == 0 { vec!["s".into(), "t".into()] } else { Vec::new() },
                pinned: dice % 31 == 0,
                group,
            };
            (0..).zip(ones).map(make).collect()
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn the_rules_are_those_of_the_reference(
        policy in policies(), items in histories(), zone_at in 0..ZONES.len(), now_delta in prop_oneof![Just(1i64 << 32), -9_000_000i64..9_000_000],
    ) {
        let zone = zone(ZONES[zone_at]);
        let latest = items.iter().map(|i| i.time.secs).max().unwrap_or(0);
        let now = Time { secs: latest + now_delta, nanos: 0 };
        if policy.is_empty() {
            prop_assert_eq!(decide(&policy, &items, now, &zone), Err(RetentionError::Empty));
            return Ok(());
        }
        let got = kept(&policy, &items, now, &zone);
        prop_assert_eq!(&got, &reference(&policy, &items, now, &zone));

        // In whatever order they come.
        let mut turned = items.clone();
        turned.reverse();
        prop_assert_eq!(&got, &kept(&policy, &turned, now, &zone));
        // What is kept once is kept again.
        let left: Vec<Thing> = items.iter().filter(|i| got.contains(&i.id)).cloned().collect();
        prop_assert_eq!(&got, &kept(&policy, &left, now, &zone));
        // A pin adds itself and nothing else.
        if let Some(first) = items.first() {
            let mut pinned = items.clone();
            pinned[0].pinned = true;
            let mut want = got.clone();
            if !want.contains(&first.id) {
                want.push(first.id);
                want.sort_unstable();
            }
            prop_assert_eq!(want, kept(&policy, &pinned, now, &zone));
        }
        // Nobody loses everything unless by tags alone.
        let only_tags = Policy { tags: policy.tags.clone(), ..Policy::default() } == policy;
        if !items.is_empty() && !only_tags {
            prop_assert!(!got.is_empty());
        }
    }
}
