//! The bill that panther makes is the one that the service's own log comes to: months of random nights, removals and downloads.

use crate::b2_kit::{fake, open, options};
use crate::common::noise;
use crate::fake_b2::{FakeB2, Kind};
use panther::backend::{Backend, Body};
use panther::cost::{Day, NanoDollars, PriceList, PriceTable, bill};
use panther::ops::cost::{Inventory, Past, used_days};
use panther::state::ledger::Ledger;
use std::collections::BTreeMap;
use std::time::Duration;

/// A byte of the test stands for so many: a few kilobytes a night are a few hundred megabytes.
const SCALE: i64 = 100_000;

/// The vendor's prices for bytes that stand for more. The free calls are few, and dear beyond that, as there are few calls.
fn prices() -> PriceTable {
    let mut lists = PriceTable::b2().lists().to_vec();
    for list in &mut lists {
        list.storage_tb = list.storage_tb.times(SCALE.into());
        list.egress_gb = list.egress_gb.times(SCALE.into());
        list.free_stored_bytes /= SCALE.unsigned_abs();
        list.calls_1000 = list.calls_1000.map(|price| price.times(1_000));
        list.free_calls = 4;
    }
    let mut table = PriceTable::single(lists[0].clone());
    table.add(lists[1].clone());
    table
}

/// The bill of a month by the service's log, in dollars: in floating point, hour by hour and call by call, by nobody else's code.
fn by_the_log(fake: &FakeB2, first: Day, days: u32) -> [f64; 3] {
    let log = fake.stored_log();
    let is_old = *first.month_text() < *"2026-05";
    let (tb_30_days, scale) = (if is_old { 6.0 } else { 6.95 }, SCALE as f64);
    let month_millis = f64::from(days) * 86_400_000.0;
    let (mut storage, mut byte_millis) = (0.0, 0.0);
    for day in 0..days {
        let from = i64::from(first.0 + day) * 86_400_000;
        let (mut today, until) = (0.0, from + 86_400_000);
        for (bytes, since, gone) in &log {
            let there = gone.unwrap_or(i64::MAX).min(until) - (*since).max(from);
            today += *bytes as f64 * there.max(0) as f64;
        }
        byte_millis += today;
        let beyond = (today / 86_400_000.0 - 1e10 / scale).max(0.0);
        storage += beyond * scale / 1e12 / 30.0 * tb_30_days;
    }
    let mut calls_of: BTreeMap<(i64, char), u64> = BTreeMap::new();
    let mut down_bytes = 0u64;
    for call in fake.log() {
        let day = call.at_millis.div_euclid(86_400_000);
        if !(i64::from(first.0)..i64::from(first.0 + days)).contains(&day) {
            continue;
        }
        let class = match call.kind {
            Kind::DownloadById | Kind::DownloadByName => 'b',
            Kind::ListFileNames | Kind::ListFileVersions | Kind::Authorize | Kind::ListBuckets => 'c',
            _ => 'a',
        };
        *calls_of.entry((day, class)).or_default() += call.listed.div_ceil(1_000).max(1);
        if class == 'b' {
            down_bytes += call.down_bytes;
        }
    }
    let price = |class| match class {
        'b' if is_old => 0.004 / 10_000.0 * 1_000.0,
        'c' if is_old => 0.004,
        _ => 0.0,
    };
    let calls = calls_of.iter().map(|((_, class), calls)| calls.saturating_sub(4) as f64 * price(*class)).sum();
    let egress = (down_bytes as f64 - 3.0 * byte_millis / month_millis).max(0.0) * scale / 1e9 * 0.01;
    [storage, egress, calls]
}

struct Nights {
    seed: u64,
    names: Vec<(String, usize)>,
}

impl Nights {
    fn random(&mut self, below: u64) -> u64 {
        let bytes = blake3::hash(&self.seed.to_le_bytes());
        self.seed += 1;
        u64::from_le_bytes(bytes.as_bytes()[..8].try_into().unwrap()) % below
    }

    /// A backup, now and then a prune, a restore, somebody who hides, and an upload that is there twice.
    fn night(&mut self, fake: &FakeB2, store: &dyn Backend, night: u32) {
        for n in 0..self.random(3) {
            let (name, len) = (format!("writers/web/packs/00/{night:04}-{n}"), 2_000 + self.random(60_000) as usize);
            store.put(&name, Body::Bytes(&noise(self.seed, len))).unwrap();
            self.names.push((name, len));
        }
        if self.random(6) == 0 && !self.names.is_empty() {
            let at = self.random(self.names.len() as u64) as usize;
            let name = format!("cost/{}", self.names[at].0);
            match self.random(2) {
                0 if fake.names(crate::b2_kit::BUCKET).contains(&name) => fake.hide(crate::b2_kit::BUCKET, &name),
                _ => fake.shadow(crate::b2_kit::BUCKET, &name, &noise(3, 20_000)),
            }
        }
        if self.random(9) == 0 {
            store.list("", &mut |_| ()).unwrap();
            for _ in 0..self.random(1 + self.names.len() as u64 / 3) {
                let at = self.random(self.names.len() as u64) as usize;
                store.delete(&self.names.swap_remove(at).0).unwrap();
            }
        }
        // More and more is read, in the end far more than three times what is stored.
        for _ in 0..self.random(1 + u64::from(night) / 2) {
            let at = self.random(self.names.len().max(1) as u64) as usize;
            if let Some((name, len)) = self.names.get(at).cloned() {
                let len = 1 + self.random(len as u64) as usize;
                store.get_range(&name, 0, len).unwrap();
            }
        }
    }
}

#[test]
fn it_is_the_bill_of_the_services_own_log() {
    let fake = fake();
    // From 20 March 2026 into August: months of 30 and 31 days, old prices and new ones.
    let start = Day::of_date(jiff::civil::date(2026, 3, 20));
    fake.skew(start.start_secs() * 1_000 + 7_200_000 - fake.now_millis());
    let store = open(&options(&fake, "cost"));
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::at(folder.path());
    let location = store.location();
    let (mut nights, mut noted) = (Nights { seed: 5, names: Vec::new() }, store.usage());
    let (mut egress, mut calls) = (0, 0);
    let mut bills = 0;
    for night in 0..150u32 {
        nights.night(&fake, &store, night);
        let today = Day::of_secs(fake.now_millis() / 1_000);
        let note = |noted: &mut panther::backend::Usage| {
            ledger.add(&location, today, &store.usage().since(noted)).unwrap();
            ledger.add_removed(&location, &store.take_removed()).unwrap();
            *noted = store.usage();
        };
        note(&mut noted);
        let hours = if nights.random(12) == 0 { 0 } else { 20 + nights.random(9) };
        fake.advance(Duration::from_secs(hours * 3_600 + nights.random(3_600)));
        let now = Day::of_secs(fake.now_millis() / 1_000);
        if now.is_month_of(today) || today.is_month_of(start) {
            continue;
        }
        // A month is over: its bill is made from what is there and what was noted.
        let inventory = Inventory::read(&store).unwrap();
        assert!(inventory.is_dated);
        let past = Past::of(&ledger, &location).unwrap();
        let days = used_days(&inventory.all(), &past, today, fake.now_millis() / 1_000);
        assert_eq!((days.len() as u32, days[0].secs), (today.days_in_month(), 86_400));
        let made = bill(&prices(), &days);
        let want = by_the_log(&fake, today.first_of_month(), today.days_in_month());
        let found = [made.storage_dollars, made.egress_dollars, made.calls_dollars];
        for (found, want) in found.into_iter().zip(want) {
            // Times are in whole seconds here, in thousandths there.
            assert!((found.as_f64() - want).abs() < 0.001, "{}: {found:?}, not {want}", today.month_text());
        }
        egress += u32::from(made.egress_dollars > NanoDollars::cents(1));
        calls += u32::from(made.calls_dollars > NanoDollars::cents(1));
        assert!(made.storage_dollars > NanoDollars::cents(10), "{made:?}");
        bills += 1;
        // Making the bill has asked something, too.
        let usage = store.usage().since(&noted);
        ledger.add(&location, now, &usage).unwrap();
        noted = store.usage();
    }
    assert!(bills >= 3 && egress > 0 && calls > 0, "{bills} bills, {egress} with egress, {calls} with calls");
}

#[test]
fn bytes_of_a_real_size_cost_what_they_should() {
    // 1.5 TB for half of a month of 31 days, 40 TB read.
    let list: PriceList = PriceTable::b2().at(Day(30_000)).clone();
    let month = Day::of_date(jiff::civil::date(2027, 1, 1));
    let stored = panther::cost::Stored {
        bytes: 1_500_000_000_000,
        from_secs: month.start_secs() + 15 * 86_400 + 43_200,
        until_secs: None,
    };
    let days = used_days(&[stored], &Past::default(), month, month.first_of_next_month().start_secs());
    let made = bill(&PriceTable::single(list), &days);
    // 15 days of 1,490 GB and one of 740 GB beyond the free ten.
    let want = (15.0 * 1.49 + 0.74) / 30.0 * 6.95;
    assert_eq!(made.total_dollars.to_cents(), (want * 100.0_f64).round() as i128);
    assert_eq!(made.average_stored_bytes, 750_000_000_000);
}
