//! What will be stored: an estimate from how a series of snapshots has grown, and from which of its snapshots will be kept.
//!
//! The newest snapshot needs its live bytes. Beside them there are old versions: what is replaced between two kept snapshots stays as long as
//! the older of them is kept. Of what changes in a day, a part is what had changed the day before, too (a database's hot pages): between two
//! snapshots it counts once, however far they are apart. The rest is spread over everything: the further apart, the more of it. How large each
//! part is follows from what is stored now.

use super::{Bill, Day, DayUse, PriceTable, bill};

const SECS_PER_DAY: f64 = 86_400.0;

/// Snapshots that are compared with each other: those of one source.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Series {
    /// Everything that is stored for it now.
    pub stored_bytes: f64,
    /// What the newest snapshot needs.
    pub live_bytes: f64,
    /// By how much that grows in a day; less than 0 if it shrinks.
    pub growth_bytes: f64,
    /// What is stored anew in a day.
    pub new_bytes: f64,
    /// The times of the snapshots that are kept now, ascending, in seconds since 1970.
    pub kept_secs: Vec<i64>,
    /// Those that were forgotten, but whose data is still there.
    pub lingering_secs: Vec<i64>,
}

impl Series {
    /// What is replaced in a day.
    pub fn churn_bytes(&self) -> f64 {
        (self.new_bytes - self.growth_bytes.max(0.0)).max(0.0)
    }

    /// What is replaced between two snapshots that are so far apart: if it is always the same, and if it is spread over everything.
    fn replaced(&self, gap_secs: i64) -> (f64, f64) {
        let (days, churn) = (gap_secs.max(0) as f64 / SECS_PER_DAY, self.churn_bytes());
        let live = self.live_bytes.max(1.0);
        (churn * days.min(1.0), live * (1.0 - (-churn * days / live).exp()))
    }

    /// Old versions beside a kept set, for each of the two ways.
    fn old(&self, kept_secs: &[i64]) -> (f64, f64) {
        let gaps = kept_secs.windows(2).map(|pair| self.replaced(pair[1] - pair[0]));
        gaps.fold((0.0, 0.0), |sum, gap| (sum.0 + gap.0, sum.1 + gap.1))
    }

    /// Which part of the change is always the same, and what is stored beyond what that explains (waiting for a prune, say).
    fn fit(&self) -> (f64, f64) {
        let excess = self.stored_bytes - self.live_bytes;
        let mut there: Vec<i64> = self.kept_secs.iter().chain(&self.lingering_secs).copied().collect();
        there.sort_unstable();
        let (hot, spread) = self.old(&there);
        // Where both say the same, nothing is learnt.
        let share =
            if spread - hot > spread * 0.05 { ((spread - excess) / (spread - hot)).clamp(0.0, 1.0) } else { 0.5 };
        (share, excess - (share * hot + (1.0 - share) * spread))
    }
}

/// About how many bytes go when a snapshot goes: what only it needs, by the gap that it stands in. An estimate.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn excess_bytes(series: &Series, at: usize) -> u64 {
    let kept = &series.kept_secs;
    let Some(&here) = kept.get(at) else { return 0 };
    let (share, _) = series.fit();
    let mixed = |gap: i64| {
        let (hot, spread) = series.replaced(gap);
        share * hot + (1.0 - share) * spread
    };
    let before = at.checked_sub(1).and_then(|at| kept.get(at));
    let bytes = match (before, kept.get(at + 1)) {
        (_, None) if kept.len() == 1 => series.stored_bytes,
        // Of the newest goes what it alone has brought.
        (Some(before), None) => {
            mixed(here - before) + series.growth_bytes.max(0.0) * (here - before) as f64 / SECS_PER_DAY
        }
        (None, None) => 0.0,
        (None, Some(after)) => mixed(after - here),
        (Some(before), Some(after)) => mixed(here - before) + mixed(after - here) - mixed(after - before),
    };
    bytes.clamp(0.0, series.stored_bytes.max(0.0)) as u64
}

/// What is stored on each of the days to come. `kept` has for each day the times of the snapshots that are kept then, or wait to be removed.
pub fn stored_ahead(series: &Series, kept: &[Vec<i64>]) -> Vec<f64> {
    let (share, rest) = series.fit();
    let each = kept.iter().enumerate().map(|(day, kept_secs)| {
        let live = (series.live_bytes + series.growth_bytes * (day + 1) as f64).max(0.0);
        let (hot, spread) = Series { live_bytes: live, ..series.clone() }.old(kept_secs);
        (live + rest + share * hot + (1.0 - share) * spread).max(0.0)
    });
    each.collect()
}

/// The bills of months to come, of which `stored` is what is stored on each day from `first` on. What was used in the first month before that is
/// `used`. Each day has so many bytes downloaded and calls.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn months(
    table: &PriceTable,
    used: &[DayUse],
    first: Day,
    stored: &[f64],
    down_bytes: u64,
    calls: [u64; 3],
) -> Vec<(Day, Bill)> {
    let days = stored.iter().enumerate().map(|(at, bytes)| DayUse {
        day: first.plus(at as u32),
        secs: 86_400,
        stored_byte_secs: bytes.max(0.0) as u128 * 86_400,
        down_bytes,
        calls,
    });
    let mut found: Vec<(Day, Vec<DayUse>)> = Vec::new();
    for day in used.iter().copied().filter(|used| used.day.is_month_of(first)).chain(days) {
        let month = day.day.first_of_month();
        match found.last_mut() {
            Some((last, days)) if *last == month => days.push(day),
            _ => found.push((month, vec![day])),
        }
    }
    found.into_iter().map(|(month, days)| (month, bill(table, &days))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: f64 = 1e9;

    fn daily(days: i64) -> Vec<i64> {
        (0..days).map(|day| day * 86_400).collect()
    }

    fn close(found: f64, want: f64) -> bool {
        (found - want).abs() <= want * 0.01
    }

    #[test]
    fn what_is_stored_now_says_how_it_changes() {
        let series = |stored_bytes| Series {
            stored_bytes,
            live_bytes: 100.0 * GB,
            growth_bytes: 0.0,
            new_bytes: GB,
            // A snapshot a day for a week, and three from weeks before.
            kept_secs: [-21, -14, -7].into_iter().map(|day| day * 86_400).chain(daily(8)).collect(),
            lingering_secs: Vec::new(),
        };
        // Always the same gigabyte: ten gaps, ten of it.
        let hot = series(110.0 * GB);
        assert!(close(stored_ahead(&hot, std::slice::from_ref(&hot.kept_secs))[0], 110.0 * GB));
        assert!(close(stored_ahead(&hot, &[daily(2)])[0], 101.0 * GB));
        assert!(close(excess_bytes(&hot, 1) as f64, GB));
        // Always another one: gaps of 21 days together, and 7.
        let (spread, _) = (series(127.4 * GB), ());
        let later = stored_ahead(&spread, &[vec![0, 7 * 86_400]])[0];
        assert!((106.0 * GB..107.0 * GB).contains(&later), "{later}");
        assert!(excess_bytes(&spread, 1) < 1_000_000_000);
        // What nothing explains stays as it is.
        let odd = series(200.0 * GB);
        let now = stored_ahead(&odd, std::slice::from_ref(&odd.kept_secs))[0];
        assert!(close(now, 200.0 * GB), "{now}");
    }

    #[test]
    fn growth_goes_on() {
        let series = Series {
            stored_bytes: 50.0 * GB,
            live_bytes: 50.0 * GB,
            growth_bytes: GB,
            new_bytes: GB,
            kept_secs: daily(3),
            lingering_secs: Vec::new(),
        };
        let kept: Vec<Vec<i64>> = (0..60).map(|_| daily(3)).collect();
        let stored = stored_ahead(&series, &kept);
        assert!(close(stored[59], 110.0 * GB), "{}", stored[59]);
        let first = Day(20_574);
        let bills = months(&PriceTable::b2(), &[], first, &stored, 0, [1, 2, 3]);
        assert_eq!(bills.iter().map(|(day, _)| day.month_text()).collect::<Vec<_>>(), ["2026-05", "2026-06"]);
        // May: 66 GB on average, of which 10 are free; 31 days.
        assert_eq!(bills[0].1.storage_dollars.to_cents(), 40);
        assert_eq!((bills[0].1.class_c_calls, bills[1].1.class_a_calls), (93, 29));
        assert_eq!(excess_bytes(&Series::default(), 0), 0);
    }
}
