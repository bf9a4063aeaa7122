//! Byte-seconds: how much was stored for how long.

use super::{Day, SECS_PER_DAY};

/// Bytes that were stored from a time until another: an object, hidden or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stored {
    /// How many.
    pub bytes: u64,
    /// Since when, in seconds since 1970.
    pub from_secs: i64,
    /// Until when; nothing if they are still there.
    pub until_secs: Option<i64>,
}

impl Stored {
    /// For how many seconds between two times it was there.
    pub fn secs_between(&self, from_secs: i64, until_secs: i64) -> u64 {
        let end = self.until_secs.map_or(until_secs, |until| until.min(until_secs));
        u64::try_from(end.saturating_sub(self.from_secs.max(from_secs))).unwrap_or(0)
    }
}

/// Byte-seconds of all of them between two times.
pub fn byte_secs(stored: &[Stored], from_secs: i64, until_secs: i64) -> u128 {
    stored.iter().map(|s| u128::from(s.bytes) * u128::from(s.secs_between(from_secs, until_secs))).sum()
}

/// Byte-seconds on each of `days` days from `first` on, nothing after `until_secs`. Takes time with the number of objects and of days, not
/// with their product.
pub fn byte_secs_by_day(stored: &[Stored], first: Day, days: u32, until_secs: i64) -> Vec<u128> {
    let begin = first.start_secs();
    let end = (begin + i64::from(days) * SECS_PER_DAY).min(until_secs);
    let place = |secs: i64| usize::try_from((secs - begin) / SECS_PER_DAY).unwrap_or(0);
    // What is added on a day alone, and what begins (less what ends) with a whole day.
    let mut partly = vec![0u128; days as usize + 1];
    let mut change = vec![0i128; days as usize + 1];
    for object in stored {
        let from = object.from_secs.max(begin);
        let until = object.until_secs.map_or(end, |until| until.min(end));
        if from >= until {
            continue;
        }
        let (bytes, here, there) = (u128::from(object.bytes), place(from), place(until));
        let into = |secs: i64| u128::from((secs - begin).rem_euclid(SECS_PER_DAY).unsigned_abs());
        if here == there {
            partly[here] += bytes * (into(until) - into(from));
            continue;
        }
        partly[here] += bytes * (u128::from(SECS_PER_DAY.unsigned_abs()) - into(from));
        partly[there] += bytes * into(until);
        change[here + 1] += i128::from(object.bytes);
        change[there] -= i128::from(object.bytes);
    }
    let mut whole = 0i128;
    let day_secs = u128::from(SECS_PER_DAY.unsigned_abs());
    let each = partly.iter().zip(change).take(days as usize).map(|(partly, change)| {
        whole += change;
        partly + u128::try_from(whole).unwrap_or(0) * day_secs
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn days_are_what_seconds_are(
            objects in proptest::collection::vec((0u64..1 << 50, -200_000i64..2_000_000, proptest::option::of(0i64..2_000_000)), 0..30),
            first in 0u32..5,
            days in 0u32..20,
            until in 0i64..2_000_000,
        ) {
            let stored: Vec<Stored> = objects
                .into_iter()
                .map(|(bytes, from_secs, until_secs)| Stored { bytes, from_secs, until_secs })
                .collect();
            let found = byte_secs_by_day(&stored, Day(first), days, until);
            let want: Vec<u128> = (first..first + days)
                .map(|day| byte_secs(&stored, Day(day).start_secs(), Day(day + 1).start_secs().min(until)))
                .collect();
            prop_assert_eq!(found, want);
        }
    }

    #[test]
    fn hours() {
        let object = Stored { bytes: 1_000, from_secs: 3_600, until_secs: Some(7_200) };
        assert_eq!(byte_secs(&[object], 0, 86_400), 3_600_000);
        assert_eq!(byte_secs(&[object], 7_200, 86_400), 0);
        let forever = Stored { bytes: 2, from_secs: 86_400 + 1, until_secs: None };
        assert_eq!(byte_secs_by_day(&[object, forever], Day(0), 3, 2 * 86_400 + 5), [3_600_000, 2 * 86_399, 10]);
    }
}
