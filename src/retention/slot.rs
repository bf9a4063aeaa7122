//! Hours, days, weeks, months and years of a time zone.

use super::span::stamp;
use crate::format::time::Time;
use jiff::tz::TimeZone;
use std::fmt;

/// A sort of period.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// An hour of the clock.
    Hour,
    /// A day.
    Day,
    /// A week from Monday to Sunday (ISO 8601).
    Week,
    /// A month.
    Month,
    /// A year.
    Year,
}

impl Unit {
    /// All of them, from the shortest.
    pub const ALL: [Self; 5] = [Self::Hour, Self::Day, Self::Week, Self::Month, Self::Year];

    /// The rule that goes by it: `hourly`, `daily` …
    pub fn adverb(self) -> &'static str {
        match self {
            Self::Hour => "hourly",
            Self::Day => "daily",
            Self::Week => "weekly",
            Self::Month => "monthly",
            Self::Year => "yearly",
        }
    }
}

/// A certain hour, day, week, month or year. Two times are in the same one if and only if these are equal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slot {
    unit: Unit,
    year: i16,
    /// Month or week.
    part: i8,
    day: i8,
    hour: i8,
    /// Tells an hour that the clock shows twice from itself.
    offset_secs: i32,
}

impl Slot {
    /// The `unit` in which `time` lies.
    pub fn of(unit: Unit, time: Time, zone: &TimeZone) -> Self {
        let zoned = stamp(time).to_zoned_datetime(zone.clone());
        let slot = Self { unit, year: zoned.year(), part: 0, day: 0, hour: 0, offset_secs: 0 };
        match unit {
            Unit::Year => slot,
            Unit::Month => Self { part: zoned.month(), ..slot },
            Unit::Week => {
                let week = zoned.date().iso_week_date();
                Self { year: week.year(), part: week.week(), ..slot }
            }
            Unit::Day => Self { part: zoned.month(), day: zoned.day(), ..slot },
            Unit::Hour => {
                let offset_secs = zoned.offset().seconds();
                Self { part: zoned.month(), day: zoned.day(), hour: zoned.hour(), offset_secs, ..slot }
            }
        }
    }
}

impl fmt::Display for Slot {
    /// `2026`, `2026-10`, `2026-W43`, `2026-10-25`, `2026-10-25 02+01:00` (the hour from two o'clock).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, part, day) = (self.year, self.part, self.day);
        match self.unit {
            Unit::Year => write!(f, "{year:04}"),
            Unit::Month => write!(f, "{year:04}-{part:02}"),
            Unit::Week => write!(f, "{year:04}-W{part:02}"),
            Unit::Day => write!(f, "{year:04}-{part:02}-{day:02}"),
            Unit::Hour => {
                let (sign, minutes) = (if self.offset_secs < 0 { '-' } else { '+' }, self.offset_secs.abs() / 60);
                let (hour, hours, minutes) = (self.hour, minutes / 60, minutes % 60);
                write!(f, "{year:04}-{part:02}-{day:02} {hour:02}{sign}{hours:02}:{minutes:02}")
            }
        }
    }
}
