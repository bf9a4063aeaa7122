//! The bill of a month.

use super::prices::storage_denominator;
use super::{Day, NanoDollars, PriceTable};

/// What was used on a day.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DayUse {
    /// The day.
    pub day: Day,
    /// How much of it has passed: 86,400, but for today.
    pub secs: u64,
    /// Bytes stored times seconds.
    pub stored_byte_secs: u128,
    /// Bytes downloaded.
    pub down_bytes: u64,
    /// Calls of classes A, B, C, as they are billed.
    pub calls: [u64; 3],
}

/// What a month, or the part of it that has passed, costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Bill {
    /// For what is stored.
    pub storage_dollars: NanoDollars,
    /// For what was downloaded.
    pub egress_dollars: NanoDollars,
    /// For calls of all classes.
    pub calls_dollars: NanoDollars,
    /// All together.
    pub total_dollars: NanoDollars,
    /// The average of what was stored.
    pub average_stored_bytes: u64,
    /// What was downloaded.
    pub down_bytes: u64,
    /// What could be downloaded for nothing.
    pub free_down_bytes: u64,
    /// Calls of class A.
    pub class_a_calls: u64,
    /// Calls of class B.
    pub class_b_calls: u64,
    /// Calls of class C.
    pub class_c_calls: u64,
}

/// The bill for days of one month. Each day has the prices that hold on it; egress those of the last day.
pub fn bill(table: &PriceTable, days: &[DayUse]) -> Bill {
    let (mut numerator, mut byte_secs, mut secs) = (0i128, 0u128, 0u128);
    let mut bill = Bill::default();
    for day in days {
        let list = table.at(day.day);
        let free = u128::from(list.free_stored_bytes) * u128::from(day.secs);
        let charged = i128::try_from(day.stored_byte_secs.saturating_sub(free)).unwrap_or(i128::MAX);
        numerator = numerator.saturating_add(list.storage_numerator(charged));
        byte_secs += day.stored_byte_secs;
        secs += u128::from(day.secs);
        bill.calls_dollars += list.calls(day.calls).into_iter().sum();
        bill.down_bytes = bill.down_bytes.saturating_add(day.down_bytes);
        let [a, b, c] = day.calls;
        bill.class_a_calls += a;
        bill.class_b_calls += b;
        bill.class_c_calls += c;
    }
    bill.storage_dollars = NanoDollars::share(numerator, 1, storage_denominator());
    bill.average_stored_bytes = u64::try_from(byte_secs.checked_div(secs).unwrap_or(0)).unwrap_or(u64::MAX);
    if let Some(last) = days.last() {
        let list = table.at(last.day);
        bill.free_down_bytes = bill.average_stored_bytes.saturating_mul(list.free_egress_factor);
        bill.egress_dollars = list.egress(u128::from(bill.down_bytes.saturating_sub(bill.free_down_bytes)));
    }
    bill.total_dollars = bill.storage_dollars + bill.egress_dollars + bill.calls_dollars;
    bill
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn month(first: jiff::civil::Date, stored_bytes: u64, down_bytes: u64, calls: [u64; 3]) -> Vec<DayUse> {
        let first = Day::of_date(first);
        (0..first.days_in_month())
            .map(|n| DayUse {
                day: first.plus(n),
                secs: 86_400,
                stored_byte_secs: u128::from(stored_bytes) * 86_400,
                down_bytes,
                calls,
            })
            .collect()
    }

    #[test]
    fn whole_months() {
        let table = PriceTable::b2();
        let tb = 1_000_000_000_000;
        // 31 days, 10 GB free: 6.95 × 0.99 × 31 / 30.
        let may = bill(&table, &month(date(2026, 5, 1), tb, 0, [10, 5_000, 5_000]));
        assert_eq!((may.storage_dollars.to_cents(), may.total_dollars), (711, may.storage_dollars));
        assert_eq!((may.average_stored_bytes, may.free_down_bytes, may.class_b_calls), (tb, 3 * tb, 155_000));
        // The month before has 30 days, and calls were charged: 2,500 a day of each class beyond the free ones.
        let april = bill(&table, &month(date(2026, 4, 1), tb, 0, [10, 5_000, 5_000]));
        assert_eq!(april.storage_dollars, NanoDollars::cents(594));
        assert_eq!(april.calls_dollars, NanoDollars(30 * (1_000_000 + 10_000_000)));
        assert_eq!(bill(&table, &month(date(2027, 2, 1), tb, 0, [0; 3])).storage_dollars.to_cents(), 642);
        // Below 10 GB nothing, and three times of it may be read.
        let small = bill(&table, &month(date(2026, 5, 1), 10_000_000_000, 1_000_000_000, [0; 3]));
        assert_eq!((small.total_dollars.to_cents(), small.down_bytes), (1, 31_000_000_000));
        assert_eq!(bill(&table, &[]), Bill::default());
    }

    #[test]
    fn free_storage_is_by_the_day() {
        let table = PriceTable::b2();
        let mut days = month(date(2026, 6, 1), 0, 0, [0; 3]);
        // 40 GB on one day are 30 GB-days, though the month's average is far below 10 GB.
        days[7].stored_byte_secs = 40_000_000_000 * 86_400;
        assert_eq!(bill(&table, &days).storage_dollars, NanoDollars(6_950_000));
        // A day that has passed in part has a part of what is free.
        let now = DayUse { secs: 3_600, stored_byte_secs: 40_000_000_000 * 3_600, ..days[7] };
        assert_eq!(bill(&table, &[now]).storage_dollars, NanoDollars(6_950_000 / 24));
    }

    #[test]
    fn a_price_that_changes_within_a_month() {
        let mut table = PriceTable::b2();
        let next = super::super::PriceList {
            from: Day::of_date(date(2026, 6, 16)),
            storage_tb: NanoDollars::dollars(10),
            egress_gb: NanoDollars::cents(2),
            ..table.at(Day(25_000)).clone()
        };
        table.add(next);
        let june = bill(&table, &month(date(2026, 6, 1), 1_010_000_000_000, 200_000_000_000, [0; 3]));
        assert_eq!(
            june.storage_dollars,
            NanoDollars::cents(695 / 2) + NanoDollars(5_000_000) + NanoDollars::dollars(5)
        );
        assert_eq!(june.egress_dollars, NanoDollars::cents(2 * (6_000 - 3_030)));
    }
}
