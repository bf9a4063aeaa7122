//! Price lists, and since when each holds.

use super::{Day, NanoDollars};

/// The bytes of a terabyte and of a gigabyte, as the vendor counts them.
const TB: i128 = 1_000_000_000_000;
const GB: i128 = 1_000_000_000;
/// The price of storage is for so many days.
const PRICE_DAYS: i128 = 30;
pub(super) const SECS_PER_PRICE: i128 = PRICE_DAYS * 86_400;

/// The prices of a store from a day on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PriceList {
    /// The first day (UTC) on which they hold.
    pub from: Day,
    /// A terabyte (10^12 bytes) stored for 30 days.
    pub storage_tb: NanoDollars,
    /// So much is stored for nothing, by the day.
    pub free_stored_bytes: u64,
    /// A gigabyte (10^9 bytes) downloaded.
    pub egress_gb: NanoDollars,
    /// So many times the month's average of stored bytes is downloaded for nothing.
    pub free_egress_factor: u64,
    /// 1,000 calls of class A, B, C.
    pub calls_1000: [NanoDollars; 3],
    /// Calls of each class for nothing, by the day.
    pub free_calls: u64,
}

impl PriceList {
    /// The numerator of what `byte_secs` beyond the free ones cost, over [`storage_denominator`].
    pub(super) fn storage_numerator(&self, byte_secs: i128) -> i128 {
        byte_secs.saturating_mul(self.storage_tb.0)
    }

    /// What storing `bytes` costs for so many days, if nothing of it is free: what one snapshot, host or object adds.
    pub fn storage(&self, bytes: u64, days: u32) -> NanoDollars {
        let byte_secs = i128::from(bytes) * i128::from(days) * 86_400;
        NanoDollars::share(byte_secs, self.storage_tb.0, storage_denominator())
    }

    /// What storing `bytes` costs in a month of 30 days, if nothing of it is free.
    pub fn month(&self, bytes: u64) -> NanoDollars {
        self.storage(bytes, 30)
    }

    /// What downloading `bytes` costs, if nothing of it is free.
    pub fn egress(&self, bytes: u128) -> NanoDollars {
        NanoDollars::share(i128::try_from(bytes).unwrap_or(i128::MAX), self.egress_gb.0, GB)
    }

    /// What so many calls of classes A, B, C on one day cost.
    pub fn calls(&self, calls: [u64; 3]) -> [NanoDollars; 3] {
        let mut costs = [NanoDollars::ZERO; 3];
        for ((cost, calls), price) in costs.iter_mut().zip(calls).zip(self.calls_1000) {
            *cost = NanoDollars::share(i128::from(calls.saturating_sub(self.free_calls)), price.0, 1_000);
        }
        costs
    }
}

pub(super) fn storage_denominator() -> i128 {
    TB * SECS_PER_PRICE
}

/// Price lists by their days.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PriceTable {
    /// Ascending by day, never empty.
    lists: Vec<PriceList>,
}

impl Default for PriceTable {
    /// Those of Backblaze B2.
    fn default() -> Self {
        Self::b2()
    }
}

impl PriceTable {
    /// Backblaze B2: what holds since 2026-05-01, and what held before. The vendor's page "Cloud Storage Pricing", read on several days from
    /// 2026-05 to 2026-09, and "Pricing Organized by API Calls" for calls before.
    pub fn b2() -> Self {
        let before = PriceList {
            from: Day::of_date(jiff::civil::date(2023, 10, 3)),
            storage_tb: NanoDollars::dollars(6),
            free_stored_bytes: 10_000_000_000,
            egress_gb: NanoDollars::cents(1),
            free_egress_factor: 3,
            // Class B $0.004 for 10,000, class C for 1,000.
            calls_1000: [NanoDollars::ZERO, NanoDollars(400_000), NanoDollars(4_000_000)],
            free_calls: 2_500,
        };
        let now = PriceList {
            from: Day::of_date(jiff::civil::date(2026, 5, 1)),
            storage_tb: NanoDollars::cents(695),
            calls_1000: [NanoDollars::ZERO; 3],
            ..before.clone()
        };
        Self { lists: vec![before, now] }
    }

    /// One list for all days.
    pub fn single(list: PriceList) -> Self {
        Self { lists: vec![list] }
    }

    /// Adds a list; one that begins on the same day is replaced.
    pub fn add(&mut self, list: PriceList) {
        self.lists.retain(|other| other.from != list.from);
        self.lists.push(list);
        self.lists.sort_by_key(|list| list.from);
    }

    /// A list that holds from its day on, whatever was known of later days.
    pub fn change(&mut self, list: PriceList) {
        self.lists.retain(|other| other.from < list.from);
        self.lists.push(list);
    }

    /// What holds on a day; of days before the first list, that one.
    pub fn at(&self, day: Day) -> &PriceList {
        let at = self.lists.partition_point(|list| list.from <= day).saturating_sub(1);
        &self.lists[at]
    }

    /// All lists, the oldest first.
    pub fn lists(&self) -> &[PriceList] {
        &self.lists
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn dated() {
        let mut table = PriceTable::b2();
        let at = |table: &PriceTable, y, m, d| table.at(Day::of_date(date(y, m, d))).storage_tb;
        assert_eq!(at(&table, 2020, 1, 1), NanoDollars::dollars(6));
        assert_eq!(at(&table, 2026, 4, 30), NanoDollars::dollars(6));
        assert_eq!(at(&table, 2026, 5, 1), NanoDollars::cents(695));
        let next = PriceList {
            from: Day::of_date(date(2027, 1, 1)),
            storage_tb: NanoDollars::dollars(8),
            ..table.at(Day(30_000)).clone()
        };
        table.add(next.clone());
        table.add(PriceList { storage_tb: NanoDollars::dollars(9), ..next });
        assert_eq!(
            (at(&table, 2026, 12, 31), at(&table, 2027, 1, 1)),
            (NanoDollars::cents(695), NanoDollars::dollars(9))
        );
        assert_eq!(table.lists().len(), 3);
        table.change(PriceList { from: Day::of_date(date(2026, 3, 1)), ..table.at(Day(0)).clone() });
        assert_eq!((at(&table, 2030, 1, 1), table.lists().len()), (NanoDollars::dollars(6), 2));
    }

    #[test]
    fn amounts() {
        let (old, new) = (PriceTable::b2().lists()[0].clone(), PriceTable::b2().lists()[1].clone());
        assert_eq!(new.month(1_000_000_000_000), NanoDollars::cents(695));
        assert_eq!(new.storage(1_000_000_000_000, 31).to_cents(), 718);
        // Five dollars are about 719 GB beyond the free 10, ten 1,439.
        assert_eq!(new.month(719_424_000_000).to_cents(), 500);
        assert_eq!(new.egress(2_500_000_000), NanoDollars(25_000_000));
        assert_eq!(new.calls([1_000_000; 3]), [NanoDollars::ZERO; 3]);
        assert_eq!(
            old.calls([9_999_999, 12_500, 3_500]),
            [NanoDollars(0), NanoDollars(4_000_000), NanoDollars(4_000_000)]
        );
        assert_eq!(old.calls([0, 2_500, 2_499]), [NanoDollars::ZERO; 3]);
    }
}
