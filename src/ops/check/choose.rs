//! Which packs are read: the one that was read longest ago first, those that were never verified before all others.

use crate::format::name::Name;
use crate::id::ObjectId;
use crate::state::verified::Reading;
use std::collections::HashMap;

/// How much of the data is read.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Amount {
    /// All of it.
    All,
    /// At least this share of the bytes of all packs, more than 0 and at most 1: a seventh a day reads everything in a week.
    Share(f64),
    /// At most so many bytes, but one pack at least.
    Bytes(u64),
    /// Only the packs of which this machine's last reading has found something wrong.
    Doubtful,
}

impl Amount {
    /// Whether it is possible.
    pub(super) fn is_sensible(self) -> bool {
        match self {
            Self::All | Self::Doubtful => true,
            Self::Share(share) => share > 0.0 && share <= 1.0,
            Self::Bytes(bytes) => bytes > 0,
        }
    }

    /// The least bytes to reach and the most not to pass, of `total_bytes`.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn bounds(self, total_bytes: u64) -> (u64, u64) {
        match self {
            Self::All | Self::Doubtful => (u64::MAX, u64::MAX),
            Self::Share(share) => (((total_bytes as f64 * share).ceil() as u64).max(1), u64::MAX),
            Self::Bytes(bytes) => (u64::MAX, bytes),
        }
    }
}

/// A pack to be read: its name and size in bytes.
pub(super) type Chosen = (Name, u64);

/// The packs of the store in the order in which they are to be read, cut off where `amount` is reached. `now_secs` is the time in seconds since 1970.
pub(super) fn choose<'a>(
    packs: impl Iterator<Item = (&'a Name, &'a u64)>,
    readings: &HashMap<ObjectId, Reading>,
    amount: Amount,
    now_secs: i64,
) -> Vec<Chosen> {
    let is_meant = |name: &Name| {
        let last = name.id().and_then(|id| readings.get(&id));
        amount != Amount::Doubtful || last.is_some_and(|reading| !reading.sound)
    };
    let packs = packs.filter(|(name, _)| is_meant(name));
    let mut all: Vec<(Option<i64>, &Name, u64)> =
        packs.map(|(name, size_bytes)| (read_at(name, readings, now_secs), name, *size_bytes)).collect();
    // None, which is never, comes first. By name where that is the same, so that a run that is repeated goes on alike.
    all.sort_unstable();
    let total_bytes = all.iter().fold(0u64, |sum, (_, _, size_bytes)| sum.saturating_add(*size_bytes));
    let (least_bytes, most_bytes) = amount.bounds(total_bytes);
    let mut sum_bytes = 0u64;
    let mut chosen = Vec::new();
    for (_, name, size_bytes) in all {
        let next_bytes = sum_bytes.saturating_add(size_bytes);
        if sum_bytes >= least_bytes || (next_bytes > most_bytes && !chosen.is_empty()) {
            break;
        }
        sum_bytes = next_bytes;
        chosen.push((name.clone(), size_bytes));
    }
    chosen
}

/// When a pack was last read to its end; a damaged one too, or it would keep the others from their turn. A time to come is none: a clock was wrong.
fn read_at(name: &Name, readings: &HashMap<ObjectId, Reading>, now_secs: i64) -> Option<i64> {
    readings.get(&name.id()?).map(|reading| reading.at_secs).filter(|at_secs| *at_secs <= now_secs)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::id::WriterName;

    fn name(n: u8) -> Name {
        Name::Pack(WriterName::new("w").unwrap(), ObjectId([n; 32]))
    }

    /// Numbers of the packs of 10, 20, … bytes that are read.
    fn chosen(count: u8, readings: &[(u8, i64)], amount: Amount) -> Vec<u8> {
        let packs: HashMap<Name, u64> = (1..=count).map(|n| (name(n), u64::from(n) * 10)).collect();
        let reading = |(n, at_secs): &(u8, i64)| (ObjectId([*n; 32]), Reading { at_secs: *at_secs, sound: *n != 3 });
        let readings = readings.iter().map(reading).collect();
        choose(packs.iter(), &readings, amount, 1_000).iter().map(|(name, _)| name.id().unwrap().0[0]).collect()
    }

    #[test]
    fn the_oldest_come_first() {
        assert_eq!(chosen(4, &[], Amount::All), [1, 2, 3, 4]);
        assert_eq!(chosen(4, &[(1, 9), (2, 5), (3, 5), (4, 7)], Amount::All), [2, 3, 4, 1]);
        // Never verified before everything; a time to come counts as never.
        assert_eq!(chosen(5, &[(1, 9), (2, -5), (4, 1_001), (5, 1_000)], Amount::All), [3, 4, 2, 1, 5]);
    }

    #[test]
    fn shares_reach_what_they_say_and_bytes_do_not_pass_it() {
        // 10, 20, 30, 40: 100 bytes.
        for (amount, want) in [
            (Amount::Share(1.0), 4),
            (Amount::Share(0.1), 1),
            (Amount::Share(0.11), 2),
            (Amount::Share(0.3), 2),
            (Amount::Share(0.000_001), 1),
            (Amount::Bytes(1), 1),
            (Amount::Bytes(10), 1),
            (Amount::Bytes(29), 1),
            (Amount::Bytes(30), 2),
            (Amount::Bytes(99), 3),
            (Amount::Bytes(100), 4),
            (Amount::Bytes(u64::MAX), 4),
        ] {
            assert_eq!(chosen(4, &[], amount).len(), want, "{amount:?}");
        }
        assert!(chosen(0, &[], Amount::Share(0.5)).is_empty());
    }

    #[test]
    fn only_what_is_in_doubt() {
        assert_eq!(chosen(4, &[(1, 9), (3, 5)], Amount::Doubtful), [3]);
        assert!(chosen(4, &[(1, 9)], Amount::Doubtful).is_empty());
    }

    #[test]
    fn a_seventh_a_day_reads_everything_in_a_week() {
        let mut readings: Vec<(u8, i64)> = Vec::new();
        for day in 1..=7 {
            let read = chosen(100, &readings, Amount::Share(1.0 / 7.0));
            readings.retain(|(n, _)| !read.contains(n));
            readings.extend(read.iter().map(|n| (*n, day)));
        }
        assert_eq!(readings.len(), 100);
        // The eighth day begins with what is oldest then.
        let first = chosen(100, &readings, Amount::Share(1.0 / 7.0))[0];
        let day_of = |n: u8| readings.iter().find(|(m, _)| *m == n).map(|(_, day)| *day);
        assert_eq!(day_of(first), readings.iter().map(|(_, day)| *day).min());
    }

    #[test]
    fn impossible_amounts() {
        for amount in [Amount::Share(0.0), Amount::Share(1.01), Amount::Share(f64::NAN), Amount::Bytes(0)] {
            assert!(!amount.is_sensible(), "{amount:?}");
        }
        assert!(Amount::All.is_sensible() && Amount::Share(1.0).is_sensible() && Amount::Bytes(1).is_sensible());
    }
}
