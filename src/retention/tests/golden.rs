//! Cases whose outcome is known from the calendar.

use super::*;

/// Applies a policy to snapshots at these times and returns the times that are kept.
fn keep(policy: Policy, zone: &TimeZone, times: &[&str]) -> Vec<String> {
    let items: Vec<Thing> = (0..).zip(times).map(|(id, text)| thing(id, at(text, zone))).collect();
    let ids = kept(&policy, &items, FAR, zone);
    ids.iter().map(|id| times[*id as usize].to_owned()).collect()
}

fn every(change: impl Fn(&mut PerUnit<Count>)) -> Policy {
    let mut policy = Policy::default();
    change(&mut policy.every);
    policy
}

#[test]
fn the_last_of_each_day_is_kept() {
    let times = ["2026-05-01T08:00", "2026-05-01T23:59", "2026-05-02T00:00", "2026-05-04T12:00", "2026-05-04T12:01"];
    let daily = |n| every(|e| e.daily = Count(n));
    assert_eq!(keep(daily(2), &berlin(), &times), ["2026-05-02T00:00", "2026-05-04T12:01"]);
    assert_eq!(keep(daily(3), &berlin(), &times), ["2026-05-01T23:59", "2026-05-02T00:00", "2026-05-04T12:01"]);
    // There are but three days: the oldest of all is kept as well.
    assert_eq!(keep(daily(4), &berlin(), &times), [times[0], times[1], times[2], times[4]]);
    // The same moments lie in other days elsewhere: in UTC 2026-05-02 00:00 of Berlin is still the 1st.
    let items: Vec<Thing> = (0..).zip(times).map(|(id, text)| thing(id, at(text, &berlin()))).collect();
    assert_eq!(kept(&daily(2), &items, FAR, &TimeZone::UTC), [2, 4]);
    assert_eq!(kept(&daily(3), &items, FAR, &TimeZone::UTC), [0, 2, 4]);
}

#[test]
fn the_hour_that_the_clock_shows_twice_is_two_hours() {
    // 2026-10-25 in Berlin: 02:00 to 02:59 summer time, then 02:00 to 02:59 winter time.
    let zone = berlin();
    let start = at("2026-10-25T01:30", &zone);
    let items: Vec<Thing> =
        (0..4).map(|n| thing(n, start.plus(std::time::Duration::from_secs(u64::from(n) * 3_600)))).collect();
    let clocks: Vec<String> = items.iter().map(|item| show(item.time, &zone)).collect();
    assert_eq!(
        clocks,
        ["2026-10-25 01:30 +02:00", "2026-10-25 02:30 +02:00", "2026-10-25 02:30 +01:00", "2026-10-25 03:30 +01:00"]
    );
    assert_eq!(kept(&every(|e| e.hourly = Count(3)), &items, FAR, &zone), [1, 2, 3]);
    // All four are in one day of 25 hours.
    assert_eq!(kept(&every(|e| e.daily = Count(1)), &items, FAR, &zone), [3]);
    let slots: Vec<String> = items.iter().map(|i| slot::Slot::of(Unit::Hour, i.time, &zone).to_string()).collect();
    assert_eq!(slots[1..3], ["2026-10-25 02+02:00", "2026-10-25 02+01:00"]);
}

#[test]
fn a_day_that_ends_twice_is_one_day() {
    // Newfoundland: on 2026-10-25 the clock goes from 00:01 back to 23:01 of the 24th.
    let zone = zone(ZONES[4]);
    let before = at("2026-10-25T00:00:30", &zone);
    let after = before.plus(std::time::Duration::from_secs(60));
    let next = before.plus(std::time::Duration::from_secs(7_200));
    assert_eq!(show(before, &zone), "2026-10-25 00:00 -02:30");
    assert_eq!(show(after, &zone), "2026-10-24 23:01 -03:30");
    assert_eq!(show(next, &zone), "2026-10-25 01:00 -03:30");
    let items = [thing(0, at("2026-10-24T12:00", &zone)), thing(1, before), thing(2, after), thing(3, next)];
    assert_eq!(kept(&every(|e| e.daily = Count(2)), &items, FAR, &zone), [2, 3]);
}

#[test]
fn weeks_are_those_of_iso_8601() {
    // 2026-12-31 is a Thursday, so that week is 2026-W53 and ends on 2027-01-03.
    let times = ["2026-12-27T12:00", "2026-12-28T12:00", "2026-12-31T12:00", "2027-01-03T23:00", "2027-01-04T00:30"];
    let weekly = |n| every(|e| e.weekly = Count(n));
    assert_eq!(keep(weekly(2), &berlin(), &times), ["2027-01-03T23:00", "2027-01-04T00:30"]);
    assert_eq!(keep(weekly(3), &berlin(), &times), ["2026-12-27T12:00", "2027-01-03T23:00", "2027-01-04T00:30"]);
    let slot = |text| slot::Slot::of(Unit::Week, at(text, &berlin()), &berlin()).to_string();
    assert_eq!(slot("2027-01-03T12:00"), "2026-W53");
    assert_eq!(slot("2024-12-30T12:00"), "2025-W01");
    // By year they are apart.
    assert_eq!(keep(every(|e| e.yearly = Count(2)), &berlin(), &times), ["2026-12-31T12:00", "2027-01-04T00:30"]);
}

#[test]
fn months_end_when_they_end() {
    let times = [
        "2027-12-31T23:59",
        "2028-01-01T00:00",
        "2028-01-31T23:30",
        "2028-02-01T00:30",
        "2028-02-28T12:00",
        "2028-02-29T12:00",
        "2028-03-01T00:00",
        "2028-04-30T23:59",
    ];
    let monthly = |n| every(|e| e.monthly = Count(n));
    assert_eq!(
        keep(monthly(4), &berlin(), &times),
        ["2028-01-31T23:30", "2028-02-29T12:00", "2028-03-01T00:00", "2028-04-30T23:59"]
    );
}

#[test]
fn spans_go_by_the_calendar() {
    let zone = berlin();
    let back =
        |span: &str, from: &str| show(span.parse::<CalendarSpan>().unwrap().before(at(from, &zone), &zone), &zone);
    // A month before the 31st of March is the end of February.
    assert_eq!(back("1m", "2026-03-31T12:00"), "2026-02-28 12:00 +01:00");
    assert_eq!(back("1m", "2028-03-31T12:00"), "2028-02-29 12:00 +01:00");
    assert_eq!(back("1y", "2028-02-29T12:00"), "2027-02-28 12:00 +01:00");
    // A day before is the same time by the clock, though 23 or 25 hours ago; 24 hours are 24 hours.
    assert_eq!(back("1d", "2026-03-29T12:00"), "2026-03-28 12:00 +01:00");
    assert_eq!(back("24h", "2026-03-29T12:00"), "2026-03-28 11:00 +01:00");
    assert_eq!(back("1d", "2026-10-25T12:00"), "2026-10-24 12:00 +02:00");
    assert_eq!(back("24h", "2026-10-25T12:00"), "2026-10-24 13:00 +02:00");
    // A time that the clock left out.
    assert_eq!(back("1d", "2026-03-30T02:30"), "2026-03-29 03:30 +02:00");
    assert_eq!(back("1y2m3d4h", "2026-05-04T06:00"), "2025-03-01 02:00 +01:00");
}

#[test]
fn within_counts_from_the_newest() {
    let policy = Policy { within: Some("2d".parse().unwrap()), ..Policy::default() };
    let times = ["2026-05-01T12:00", "2026-05-01T12:01", "2026-05-02T00:00", "2026-05-03T12:00"];
    // What is exactly as old as that is not within it: a span of two days keeps two daily snapshots, not three.
    assert_eq!(keep(policy, &berlin(), &times), times[1..]);
    let weekly = PerUnit { weekly: Some("20d".parse().unwrap()), ..PerUnit::default() };
    let policy = Policy { every_within: weekly, ..Policy::default() };
    let times = ["2026-04-01T12:00", "2026-04-20T12:00", "2026-04-22T12:00", "2026-05-01T12:00", "2026-05-03T12:00"];
    assert_eq!(keep(policy, &berlin(), &times), [times[2], times[4]]);
}

#[test]
fn rules_add_up_and_say_why() {
    let zone = TimeZone::UTC;
    let mut items: Vec<Thing> = ["2026-01-31T12:00", "2026-02-01T12:00", "2026-02-02T12:00", "2026-02-03T12:00"]
        .iter()
        .zip(0..)
        .map(|(text, id)| thing(id, at(text, &zone)))
        .collect();
    items[1].tags = vec!["a".into(), "b".into()];
    items[2].pinned = true;
    let tags = vec![vec!["b".into(), "a".into()], vec!["c".into()]];
    let policy = Policy {
        last: Count(1),
        every: PerUnit { monthly: Count(2), ..PerUnit::default() },
        tags,
        ..Policy::default()
    };
    let why: Vec<Vec<String>> = decide(&policy, &items, FAR, &zone)
        .unwrap()
        .iter()
        .map(|d| d.reasons.iter().map(ToString::to_string).collect())
        .collect();
    assert_eq!(why[0], ["monthly 2 (last of 2026-01)"]);
    assert_eq!(why[1], ["tag b,a"]);
    assert_eq!(why[2], ["pinned"]);
    assert_eq!(why[3], ["last 1", "monthly 1 (last of 2026-02)"]);
    assert_eq!(policy.to_string(), "1 last, 2 monthly, tag b,a, tag c");
}

#[test]
fn groups_do_not_touch_each_other() {
    let zone = TimeZone::UTC;
    let mut items: Vec<Thing> = (0..6).map(|n| thing(n, Time { secs: i64::from(n) * 86_400, nanos: 0 })).collect();
    items[0].group = 1;
    items[3].group = 1;
    assert_eq!(kept(&Policy { last: Count(1), ..Policy::default() }, &items, FAR, &zone), [3, 5]);
}

#[test]
fn the_future_is_kept_and_takes_no_place() {
    let zone = TimeZone::UTC;
    let now = at("2026-05-10T12:00", &zone);
    let mut items: Vec<Thing> = (0..5).map(|n| thing(n, at(&format!("2026-05-0{}T12:00", n + 1), &zone))).collect();
    items.push(thing(5, at("2031-01-01T00:00", &zone)));
    items.push(thing(6, at("2031-01-02T00:00", &zone)));
    // A clock that is some hours ahead is nothing special.
    items.push(thing(7, at("2026-05-11T06:00", &zone)));
    let policy = every(|e| e.daily = Count(2));
    assert_eq!(kept(&policy, &items, now, &zone), [4, 5, 6, 7]);
    // When that day has come they are as any other.
    assert_eq!(kept(&policy, &items, FAR, &zone), [5, 6]);
}

#[test]
fn an_empty_policy_is_an_error() {
    let items = [thing(0, Time { secs: 0, nanos: 0 })];
    for policy in [Policy::default(), Policy { tags: vec![Vec::new()], ..Policy::default() }] {
        assert_eq!(decide(&policy, &items, FAR, &TimeZone::UTC), Err(RetentionError::Empty));
    }
    // An empty list of tags keeps nothing by itself.
    let policy = Policy { last: Count(1), tags: vec![Vec::new()], ..Policy::default() };
    let items = [thing(0, Time { secs: 0, nanos: 0 }), thing(1, Time { secs: 1, nanos: 0 })];
    assert_eq!(kept(&policy, &items, FAR, &TimeZone::UTC), [1]);
}

#[test]
fn times_outside_the_calendar_do_no_harm() {
    let times = [i64::MIN, -400_000_000_000, 0, 400_000_000_000, i64::MAX];
    let items: Vec<Thing> = (0..).zip(times).map(|(id, secs)| thing(id, Time { secs, nanos: 0 })).collect();
    let all = every(|e| {
        *e = PerUnit { hourly: Count(9), daily: Count(9), weekly: Count(9), monthly: Count(9), yearly: Count(9) }
    });
    for zone in ZONES.map(zone) {
        // Those beyond an end count as at the end: the later one is the last there. The oldest of all fills a free place.
        assert_eq!(kept(&all, &items, Time { secs: i64::MAX, nanos: 0 }, &zone), [0, 1, 2, 4]);
    }
}

#[test]
fn texts_are_read() {
    for (text, shown) in [("1y6m", "1y6m"), ("36h", "36h"), ("30d", "30d"), ("1y2m3d4h", "1y2m3d4h")] {
        assert_eq!(text.parse::<CalendarSpan>().unwrap().to_string(), shown);
    }
    for bad in ["", "0d", "1d1y", "1", "d", "-1d", "1w", "1d ", "70000d", "1m1m"] {
        assert!(bad.parse::<CalendarSpan>().is_err(), "{bad}");
    }
    assert_eq!(["7", "unlimited", "-1"].map(|text| text.parse::<Count>().unwrap()), [Count(7), Count::ALL, Count::ALL]);
    for bad in ["", "-2", "+1", "1.5", "4294967295", "all"] {
        assert!(bad.parse::<Count>().is_err(), "{bad}");
    }
}

#[test]
fn calendars_are_read_as_systemd_reads_them() {
    let zone = berlin();
    let next = |text: &str, from: &str| {
        let calendar: Calendar = text.parse().unwrap();
        show(calendar.after(at(from, &zone), &zone).unwrap(), &zone)
    };
    for (text, from, want) in [
        ("hourly", "2026-05-01T12:00", "2026-05-01 13:00 +02:00"),
        ("daily", "2026-05-01T12:00", "2026-05-02 00:00 +02:00"),
        ("weekly", "2026-05-01T12:00", "2026-05-04 00:00 +02:00"),
        ("monthly", "2026-05-01T12:00", "2026-06-01 00:00 +02:00"),
        ("yearly", "2026-05-01T12:00", "2027-01-01 00:00 +01:00"),
        ("03:30", "2026-05-01T03:29:59", "2026-05-01 03:30 +02:00"),
        ("03:30:00", "2026-05-01T03:30", "2026-05-02 03:30 +02:00"),
        ("Sun 04:00", "2026-05-01T00:00", "2026-05-03 04:00 +02:00"),
        ("Mon..Fri 12,18:00", "2026-05-01T12:00", "2026-05-01 18:00 +02:00"),
        ("sat..mon 12:00", "2026-05-01T12:00", "2026-05-02 12:00 +02:00"),
        ("Tuesday,Thu *-*-* 5:05", "2026-05-01T12:00", "2026-05-05 05:05 +02:00"),
        ("*-*-31 01:00", "2026-05-31T12:00", "2026-07-31 01:00 +02:00"),
        ("*-2-29 00:00", "2096-03-01T00:00", "2104-02-29 00:00 +01:00"),
        ("*-2-29", "2026-05-01T12:00", "2028-02-29 00:00 +01:00"),
        ("*:0/15", "2026-05-01T12:50", "2026-05-01 13:00 +02:00"),
        ("9..17:00", "2026-05-01T17:00", "2026-05-02 09:00 +02:00"),
        // 02:30 is left out on that day, and comes twice on the other.
        ("02:30", "2026-03-29T00:00", "2026-03-29 03:30 +02:00"),
        ("02:30", "2026-10-25T00:00", "2026-10-25 02:30 +02:00"),
        ("02:30", "2026-10-25T02:30", "2026-10-26 02:30 +01:00"),
    ] {
        assert_eq!(next(text, from), want, "{text} after {from}");
    }
    for bad in [
        "",
        "often",
        "25:00",
        "12:60",
        "12",
        "12:00:30",
        "*-13-1 0:00",
        "*-*-0 0:00",
        "2026-1-1 0:00",
        "17..9:00",
        "*-6-31 0:00",
        "Mo 1:00",
        "1:00 Mon",
        "0/0:00",
    ] {
        assert!(bad.parse::<Calendar>().is_err(), "{bad}");
    }
}
