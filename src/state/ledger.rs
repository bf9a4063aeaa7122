//! What was asked of stores that count: calls by class and bytes both ways, by store and day (UTC). One file for all repositories of a state folder, which
//! all runs of this machine share. Beside that, what was removed: how many bytes had been there for how long, so that a bill can be made of it.

use super::brief::Brief;
use super::{guarded, unguarded};
use crate::backend::Usage;
pub use crate::cost::Day;
use crate::cost::{Stored, byte_secs_by_day};
use crate::error::Result;
use redb::{ReadableTable, TableDefinition};
use std::collections::BTreeMap;
use std::path::Path;

/// Store and day to counts.
const DAYS: TableDefinition<(&str, u32), &[u8]> = TableDefinition::new("usage by day");
/// Store and day to the byte-seconds on that day of what this machine has removed since.
const REMOVED: TableDefinition<(&str, u32), &[u8]> = TableDefinition::new("removed by day");
/// Older days are dropped: 13 months are there whole.
const KEPT_DAYS: u32 = 400;

/// A store's day.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DayUsage {
    /// The day.
    pub day: Day,
    /// The store, as its backend calls it.
    pub location: String,
    /// What was asked of it.
    pub usage: Usage,
}

/// The ledger of a state folder.
pub struct Ledger {
    file: Brief,
}

impl Ledger {
    /// The ledger in `folder`, the one that also holds the states of all repositories.
    pub fn at(folder: &Path) -> Self {
        Self { file: Brief::at(folder.join("usage.redb")) }
    }

    /// Adds to a day of a store, durably, and drops days that are too old.
    ///
    /// # Errors
    /// [`crate::Error::Io`], [`crate::Error::State`].
    pub fn add(&self, location: &str, day: Day, usage: &Usage) -> Result<()> {
        if usage.is_zero() {
            return Ok(());
        }
        self.file.write(|write| {
            let mut table = write.open_table(DAYS)?;
            let key = (location, day.0);
            let old = table.get(key)?.and_then(|value| decode(location, day, value.value())).unwrap_or_default();
            table.insert(key, &encode(location, day, &(old + *usage))[..])?;
            let oldest = day.0.saturating_sub(KEPT_DAYS);
            table.retain(|(_, other), _| other >= oldest)?;
            Ok(())
        })
    }

    /// Notes what was removed from a store, durably: each day on which it was there gets its share.
    ///
    /// # Errors
    /// [`crate::Error::Io`], [`crate::Error::State`].
    pub fn add_removed(&self, location: &str, removed: &[Stored]) -> Result<()> {
        let Some(last) = removed.iter().filter_map(|stored| stored.until_secs).max().map(Day::of_secs) else {
            return Ok(());
        };
        let oldest = last.0.saturating_sub(KEPT_DAYS);
        let first = removed.iter().map(|stored| Day::of_secs(stored.from_secs).0).min().unwrap_or(last.0).max(oldest);
        let byte_secs = byte_secs_by_day(removed, Day(first), (last.0 + 1).saturating_sub(first), i64::MAX);
        self.file.write(|write| {
            let mut table = write.open_table(REMOVED)?;
            for (day, byte_secs) in (first..).map(Day).zip(&byte_secs).filter(|(_, byte_secs)| **byte_secs > 0) {
                let key = (location, day.0);
                let old = table.get(key)?.and_then(|value| sum_of(location, day, value.value())).unwrap_or_default();
                let sum = byte_secs.saturating_add(old).to_le_bytes();
                table.insert(key, &guarded(&key_bytes(location, day), &sum)[..])?;
            }
            table.retain(|(_, other), _| other >= oldest)?;
            Ok(())
        })
    }

    /// The byte-seconds by day of what this machine has removed from a store.
    ///
    /// # Errors
    /// [`crate::Error::Io`], [`crate::Error::State`].
    pub fn removed(&self, location: &str) -> Result<BTreeMap<Day, u128>> {
        let found = self.file.read(|read| {
            let mut found = BTreeMap::new();
            for item in read.open_table(REMOVED)?.range((location, 0)..=(location, u32::MAX))? {
                let (key, value) = item?;
                let day = Day(key.value().1);
                found.extend(sum_of(location, day, value.value()).map(|sum| (day, sum)));
            }
            Ok(found)
        })?;
        Ok(found.unwrap_or_default())
    }

    /// All days of all stores, by store and then by day.
    ///
    /// # Errors
    /// [`crate::Error::Io`], [`crate::Error::State`].
    pub fn days(&self) -> Result<Vec<DayUsage>> {
        let found = self.file.read(|read| {
            let mut found = Vec::new();
            for item in read.open_table(DAYS)?.iter()? {
                let (key, value) = item?;
                let (location, day) = key.value();
                let usage = decode(location, Day(day), value.value());
                found.extend(usage.map(|usage| DayUsage { day: Day(day), location: location.to_owned(), usage }));
            }
            Ok(found)
        })?;
        Ok(found.unwrap_or_default())
    }

    /// What was asked of a store in the calendar month of `day`.
    ///
    /// # Errors
    /// [`crate::Error::Io`], [`crate::Error::State`].
    pub fn month(&self, location: &str, day: Day) -> Result<Usage> {
        let all = self.days()?.into_iter().filter(|d| d.location == location && d.day.is_month_of(day));
        Ok(all.fold(Usage::default(), |sum, day| sum + day.usage))
    }
}

/// The bytes that a record's checksum covers beside its value.
fn key_bytes(location: &str, day: Day) -> Vec<u8> {
    [location.as_bytes(), &day.0.to_le_bytes()].concat()
}

fn encode(location: &str, day: Day, usage: &Usage) -> Vec<u8> {
    let Usage {
        request_calls,
        retry_calls,
        class_a_calls,
        class_b_calls,
        class_c_calls,
        upload_calls,
        download_calls,
        list_calls,
        up_bytes,
        down_bytes,
    } = *usage;
    let all = [
        request_calls,
        retry_calls,
        class_a_calls,
        class_b_calls,
        class_c_calls,
        upload_calls,
        download_calls,
        list_calls,
        up_bytes,
        down_bytes,
    ];
    let value: Vec<u8> = all.iter().flat_map(|count| count.to_le_bytes()).collect();
    guarded(&key_bytes(location, day), &value)
}

fn sum_of(location: &str, day: Day, value: &[u8]) -> Option<u128> {
    unguarded(&key_bytes(location, day), value)?.try_into().ok().map(u128::from_le_bytes)
}

/// Counts that a later version may have put behind ours are passed over.
fn decode(location: &str, day: Day, value: &[u8]) -> Option<Usage> {
    let key = key_bytes(location, day);
    let mut counts = unguarded(&key, value)?.chunks_exact(8).map(|c| c.try_into().map_or(0, u64::from_le_bytes));
    let mut next = || counts.next();
    Some(Usage {
        request_calls: next()?,
        retry_calls: next()?,
        class_a_calls: next()?,
        class_b_calls: next()?,
        class_c_calls: next()?,
        upload_calls: next()?,
        download_calls: next()?,
        list_calls: next()?,
        up_bytes: next()?,
        down_bytes: next()?,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn usage(n: u64) -> Usage {
        Usage {
            request_calls: n,
            retry_calls: n + 1,
            class_a_calls: n + 2,
            class_b_calls: n + 3,
            class_c_calls: n + 4,
            upload_calls: n + 5,
            download_calls: n + 6,
            list_calls: n + 7,
            up_bytes: n + 8,
            down_bytes: n + 9,
        }
    }

    #[test]
    fn runs_add_up_by_store_and_day() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::at(folder.path());
        assert!(ledger.days().unwrap().is_empty());
        ledger.add("b2://one", Day(20_574), &Usage::default()).unwrap();
        assert!(ledger.days().unwrap().is_empty());
        let path = folder.path();
        std::thread::scope(|scope| {
            for n in 0..4 {
                scope.spawn(move || Ledger::at(path).add("b2://one", Day(20_574), &usage(n)).unwrap());
            }
        });
        ledger.add("b2://one", Day(20_604), &usage(100)).unwrap();
        ledger.add("b2://one", Day(20_605), &usage(1_000)).unwrap();
        ledger.add("b2://one/more", Day(20_575), &usage(7)).unwrap();
        let first = usage(0) + usage(1) + usage(2) + usage(3);
        let days = ledger.days().unwrap();
        let brief: Vec<(&str, u32)> = days.iter().map(|d| (&d.location[..], d.day.0)).collect();
        assert_eq!(
            brief,
            [("b2://one", 20_574), ("b2://one", 20_604), ("b2://one", 20_605), ("b2://one/more", 20_575)]
        );
        assert_eq!((days[0].usage, days[2].usage), (first, usage(1_000)));
        assert_eq!(ledger.month("b2://one", Day(20_580)).unwrap(), first + usage(100));
        assert!(ledger.month("b2://two", Day(20_580)).unwrap().is_zero());

        // 400 days are kept, of all stores.
        ledger.add("b2://two", Day(20_574 + KEPT_DAYS), &usage(1)).unwrap();
        assert_eq!(ledger.days().unwrap().len(), 5);
        ledger.add("b2://two", Day(20_575 + KEPT_DAYS), &usage(1)).unwrap();
        assert_eq!(ledger.days().unwrap().len(), 5);
        assert!(ledger.days().unwrap().iter().all(|d| d.day.0 > 20_574));
    }

    #[test]
    fn what_was_removed_is_there_day_by_day() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::at(folder.path());
        assert!(ledger.removed("b2://one").unwrap().is_empty());
        let start = Day(20_574).start_secs();
        let object = |bytes, from, until| Stored { bytes, from_secs: start + from, until_secs: Some(start + until) };
        ledger.add_removed("b2://one", &[object(2, 86_300, 86_500), object(1, 0, 10)]).unwrap();
        ledger.add_removed("b2://one", &[object(1, 86_400, 86_405)]).unwrap();
        ledger.add_removed("b2://one/more", &[object(9, 0, 10)]).unwrap();
        ledger.add_removed("b2://one", &[]).unwrap();
        let want = BTreeMap::from([(Day(20_574), 210), (Day(20_575), 205)]);
        assert_eq!(ledger.removed("b2://one").unwrap(), want);
        // What was there for years concerns the days that are kept.
        ledger.add_removed("b2://two", &[object(1, -86_400 * 1_000, 0)]).unwrap();
        assert_eq!(ledger.removed("b2://two").unwrap().len(), KEPT_DAYS as usize);
    }

    #[test]
    fn records_are_guarded() {
        let record = encode("b2://one", Day(3), &usage(5));
        assert_eq!(decode("b2://one", Day(3), &record), Some(usage(5)));
        assert_eq!(decode("b2://one", Day(4), &record), None);
        assert_eq!(decode("b2://onf", Day(3), &record), None);
        assert_eq!(decode("b2://one", Day(3), &record[..20]), None);
        for at in 0..record.len() {
            let mut other = record.clone();
            other[at] ^= 4;
            assert_eq!(decode("b2://one", Day(3), &other), None, "{at}");
        }
    }
}
