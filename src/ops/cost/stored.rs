//! What a store holds and has held, as it is billed.

use crate::backend::Backend;
use crate::cost::{Day, DayUse, SECS_PER_DAY, Stored, byte_secs_by_day};
use crate::error::{Error, Result};
use crate::id::WriterName;
use crate::state::ledger::{DayUsage, Ledger};
use std::collections::BTreeMap;

/// Everything that is stored now, hidden versions too.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// By writer; nothing for what belongs to no single one.
    pub by_writer: BTreeMap<Option<WriterName>, Vec<Stored>>,
    /// Whether the store says since when each is there.
    pub is_dated: bool,
}

impl Inventory {
    /// Lists the whole store.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn read(backend: &dyn Backend) -> Result<Self> {
        let mut found = Self { is_dated: true, ..Self::default() };
        let mut visit = |name: &str, stored: Stored| {
            let writer = name.strip_prefix("writers/").and_then(|rest| rest.split_once('/'));
            let writer = writer.and_then(|(writer, _)| WriterName::new(writer).ok());
            found.is_dated &= stored.from_secs > 0;
            found.by_writer.entry(writer).or_default().push(stored);
        };
        backend.list_billed(&mut visit).map_err(|e| Error::store("list", backend.location(), e))?;
        Ok(found)
    }

    /// All of it.
    pub fn all(&self) -> Vec<Stored> {
        self.by_writer.values().flatten().copied().collect()
    }

    /// How many bytes are stored now.
    pub fn stored_bytes(&self) -> u64 {
        self.by_writer.values().flatten().map(|stored| stored.bytes).sum()
    }

    /// How many of them are a writer's own.
    pub fn stored_by(&self, writer: &WriterName) -> u64 {
        self.by_writer.get(&Some(writer.clone())).into_iter().flatten().map(|stored| stored.bytes).sum()
    }

    /// What was uploaded between two times and is still there.
    pub fn uploaded_between(&self, from_secs: i64, until_secs: i64) -> u64 {
        let within = |stored: &&Stored| (from_secs..until_secs).contains(&stored.from_secs);
        self.by_writer.values().flatten().filter(within).map(|stored| stored.bytes).sum()
    }
}

/// What this machine remembers of a store for the bill.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// Calls and bytes by day.
    pub days: Vec<DayUsage>,
    /// Byte-seconds by day of what it has removed since.
    pub removed: BTreeMap<Day, u128>,
}

impl Past {
    /// What the ledger has of a store.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::State`].
    pub fn of(ledger: &Ledger, location: &str) -> Result<Self> {
        let mut days = ledger.days()?;
        days.retain(|day| day.location == location);
        Ok(Self { days, removed: ledger.removed(location)? })
    }

    /// Downloaded bytes and calls by class of a day, on average over the last `days` days before `now`, today too.
    pub fn a_day(&self, today: Day, days: u32) -> (u64, [u64; 3]) {
        let span = u64::from(days.max(1));
        let recent = self.days.iter().filter(|day| day.day.0 + days > today.0 && day.day <= today);
        let (mut down_bytes, mut calls) = (0u64, [0u64; 3]);
        for day in recent {
            down_bytes = down_bytes.saturating_add(day.usage.down_bytes);
            let of_day = [day.usage.class_a_calls, day.usage.class_b_calls, day.usage.class_c_calls];
            calls.iter_mut().zip(of_day).for_each(|(sum, calls)| *sum += calls);
        }
        (down_bytes / span, calls.map(|calls| calls.div_ceil(span)))
    }
}

/// What was used on each day of the month of `month`, until `now_secs`.
pub fn used_days(stored: &[Stored], past: &Past, month: Day, now_secs: i64) -> Vec<DayUse> {
    let first = month.first_of_month();
    let today = Day::of_secs(now_secs);
    if today < first {
        return Vec::new();
    }
    let days = (today.0 + 1 - first.0).min(first.days_in_month());
    let byte_secs = byte_secs_by_day(stored, first, days, now_secs);
    let each = (first.0..).map(Day).zip(byte_secs).map(|(day, byte_secs)| {
        let usage = past.days.iter().filter(|used| used.day == day).map(|used| used.usage).reduce(|a, b| a + b);
        let usage = usage.unwrap_or_default();
        DayUse {
            day,
            secs: u64::try_from((now_secs - day.start_secs()).clamp(0, SECS_PER_DAY)).unwrap_or(0),
            stored_byte_secs: byte_secs + past.removed.get(&day).copied().unwrap_or(0),
            down_bytes: usage.down_bytes,
            calls: [usage.class_a_calls, usage.class_b_calls, usage.class_c_calls],
        }
    });
    each.collect()
}
