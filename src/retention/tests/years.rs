//! Two simulated years of nights under the presets.

use super::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};

/// The last night of each period of the whole history so far, the newest periods first. `name` says in which period a night is.
fn promised(
    nights: &[(jiff::civil::Date, u32)],
    places: usize,
    name: impl Fn(jiff::civil::Date) -> (i16, i8, i8),
) -> BTreeSet<u32> {
    let mut last = BTreeMap::new();
    for (date, id) in nights {
        last.insert(name(*date), *id);
    }
    let mut kept: BTreeSet<u32> = last.values().rev().take(places).copied().collect();
    if last.len() < places {
        kept.insert(nights[0].1);
    }
    kept
}

/// Snapshots are taken every night but `missed`, and the policy is applied after each. In no night is anything else there than what the policy promises for
/// the whole history.
fn two_years(policy: &Policy, places: (usize, usize, usize), missed_of_ten: u32) -> BTreeSet<usize> {
    let zone = berlin();
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let mut sizes = BTreeSet::new();
    let (mut nights, mut items) = (Vec::new(), Vec::new());
    let mut date = jiff::civil::date(2026, 5, 14);
    for id in 0..731 {
        if random.random_range(0..10) >= missed_of_ten {
            let moment = date.at(random.random_range(0..24), random.random_range(0..60), 0, 0);
            let time = span::time_of(zone.to_ambiguous_zoned_datetime(moment).compatible().unwrap().timestamp());
            nights.push((date, id));
            items.push(thing(id, time));
            let left = kept(policy, &items, time, &zone);
            items.retain(|item| left.contains(&item.id));
            let mut want = promised(&nights, places.0, |d| (d.year(), d.month(), d.day()));
            want.extend(promised(&nights, places.1, |d| (d.iso_week_date().year(), d.iso_week_date().week(), 0)));
            want.extend(promised(&nights, places.2, |d| (d.year(), d.month(), 0)));
            assert_eq!(left, want.into_iter().collect::<Vec<_>>(), "{date}");
            sizes.insert(left.len());
        }
        date = date.tomorrow().unwrap();
    }
    assert!(nights.len() > 300);
    sizes
}

#[test]
fn the_laptop_keeps_what_it_promises() {
    let most = *two_years(&Policy::LAPTOP, (7, 4, 12), 0).last().unwrap();
    assert!((7 + 2 + 10..=7 + 4 + 12).contains(&most), "{most}");
    two_years(&Policy::LAPTOP, (7, 4, 12), 4);
}

#[test]
fn the_server_keeps_what_it_promises() {
    let most = *two_years(&Policy::SERVER, (30, 12, 12), 0).last().unwrap();
    assert!((30 + 7 + 9..=30 + 12 + 12).contains(&most), "{most}");
    two_years(&Policy::SERVER, (30, 12, 12), 2);
}

#[test]
fn a_simulation_says_what_is_there_after_two_years() {
    let zone = berlin();
    let (from, until) = (at("2026-05-14T12:00", &zone), at("2028-05-14T12:00", &zone));
    let calendar: Calendar = "03:30".parse().unwrap();
    let none: [Thing; 0] = [];
    let simulation = simulate(&Policy::LAPTOP, &none, &calendar, (from, until), &zone).unwrap();
    let left: Vec<String> = simulation.left.iter().map(|l| show(l.time, &zone)[..10].to_owned()).collect();
    // Sunday the 14th: seven days, which are that week; the Sundays of three weeks before; the ends of eleven months before.
    let want = [
        "2027-06-30",
        "2027-07-31",
        "2027-08-31",
        "2027-09-30",
        "2027-10-31",
        "2027-11-30",
        "2027-12-31",
        "2028-01-31",
        "2028-02-29",
        "2028-03-31",
        "2028-04-23",
        "2028-04-30",
        "2028-05-07",
        "2028-05-08",
        "2028-05-09",
        "2028-05-10",
        "2028-05-11",
        "2028-05-12",
        "2028-05-13",
        "2028-05-14",
    ];
    assert_eq!(left, want);
    assert_eq!(simulation.samples.len(), 1 + 24 + 1);
    let taken: usize = simulation.samples.iter().map(|s| s.taken).sum();
    let removed: usize = simulation.samples.iter().map(|s| s.removed).sum();
    assert_eq!((taken, taken - removed), (731, want.len()));
    assert!(simulation.most <= 23 && simulation.left.iter().all(|l| l.decision.keeps() && l.origin.is_none()));

    // What was there before is judged with the rest, and pins stay.
    let mut old = vec![thing(0, at("2025-01-01T00:00", &zone)), thing(1, at("2025-01-02T00:00", &zone))];
    old[0].pinned = true;
    let simulation = simulate(&Policy::LAPTOP, &old, &calendar, (from, until), &zone).unwrap();
    assert_eq!(simulation.left.len(), want.len() + 1);
    assert_eq!(simulation.left[0].origin, Some(0));
    assert_eq!(simulate(&Policy::default(), &old, &calendar, (from, until), &zone), Err(RetentionError::Empty));
}
