//! Rules against what they promise: golden cases, a naive reference, two simulated years.
#![allow(clippy::unwrap_used)]

mod golden;
mod laws;
mod years;

use super::*;
use crate::format::time::Time;
use jiff::tz::TimeZone;

type Thing = Item<u32, u8>;

/// Zones by their rules, so that no data of the system is needed.
const ZONES: [&str; 8] = [
    "UTC0",
    "CET-1CEST,M3.5.0,M10.5.0/3",
    "EST5EDT,M3.2.0,M11.1.0",
    // Lord Howe: half an hour of daylight saving.
    "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
    // As in Newfoundland until 2011: a minute past midnight, so that a day ends twice.
    "NST3:30NDT,M4.1.0/0:01,M10.5.0/0:01",
    // Southern summer.
    "<-03>3<-02>,M10.3.0/0,M2.3.0/0",
    "<+14>-14",
    "<-12>12",
];

fn zone(name: &str) -> TimeZone {
    TimeZone::posix(name).unwrap()
}

fn berlin() -> TimeZone {
    zone(ZONES[1])
}

/// A time by the clock of `zone`; the first one where the clock shows it twice.
fn at(text: &str, zone: &TimeZone) -> Time {
    let civil: jiff::civil::DateTime = text.parse().unwrap();
    span::time_of(zone.to_ambiguous_zoned_datetime(civil).earlier().unwrap().timestamp())
}

fn show(time: Time, zone: &TimeZone) -> String {
    span::stamp(time).to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M %:z").to_string()
}

fn thing(id: u32, time: Time) -> Thing {
    Item { id, time, tags: Vec::new(), pinned: false, group: 0 }
}

/// The ids of what is kept, ascending.
fn kept(policy: &Policy, items: &[Thing], now: Time, zone: &TimeZone) -> Vec<u32> {
    let decisions = decide(policy, items, now, zone).unwrap();
    let mut ids: Vec<u32> = items.iter().zip(decisions).filter(|(_, d)| d.keeps()).map(|(i, _)| i.id).collect();
    ids.sort_unstable();
    ids
}

const FAR: Time = Time { secs: 32_000_000_000, nanos: 0 };
