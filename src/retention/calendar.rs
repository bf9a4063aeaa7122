//! When snapshots are taken: the part of systemd's calendar events (systemd.time(7)) that schedules of backups need.

use super::RetentionError;
use super::span::{stamp, time_of};
use crate::format::time::Time;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use std::fmt;
use std::str::FromStr;

/// Moments that come again: `hourly`, `daily`, `weekly`, `monthly`, `yearly`, `03:30`, `Sun 04:00`, `Mon..Fri 12,18:00`, `*-*-1 05:00`, `*-2-29 00:00`,
/// `*:0/15`. As systemd reads them; seconds may be there and must be 00. Years are `*`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Calendar {
    text: String,
    /// Bit 0 is Monday.
    weekdays: u8,
    /// Bit 1 is January.
    months: u16,
    /// Bit 1 is the first.
    days: u32,
    hours: u32,
    minutes: u64,
}

const DAY_NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// A 29th of February comes again after eight years at the latest.
const DAYS_AHEAD: usize = 8 * 366 + 2;

impl Calendar {
    /// The first moment after `time`, in `zone`. A moment that the clock leaves out comes as much later as the clock jumps; one that it shows twice comes the first
    /// time. Nothing where the calendar ends.
    pub fn after(&self, time: Time, zone: &TimeZone) -> Option<Time> {
        let start = stamp(time).to_zoned_datetime(zone.clone()).date();
        // The day before, too: what the clock leaves out may come on the next day.
        let mut date = start.yesterday().unwrap_or(start);
        for _ in 0..DAYS_AHEAD {
            if let Some(found) = self.on(date, time, zone) {
                return Some(found);
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    fn on(&self, date: Date, after: Time, zone: &TimeZone) -> Option<Time> {
        let weekday = 1 << date.weekday().to_monday_zero_offset();
        let fits = self.weekdays & weekday != 0
            && self.months & (1 << date.month()) != 0
            && self.days & (1 << date.day()) != 0;
        if !fits {
            return None;
        }
        let bits = |set: u64| (0..64i8).filter(move |n| set & (1 << n) != 0);
        let moments = bits(self.hours.into()).flat_map(|hour| bits(self.minutes).map(move |minute| (hour, minute)));
        let times = moments.filter_map(|(hour, minute)| {
            let zoned = zone.to_ambiguous_zoned_datetime(date.at(hour, minute, 0, 0)).compatible().ok()?;
            Some(time_of(zoned.timestamp()))
        });
        times.filter(|time| *time > after).min()
    }
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Calendar {
    type Err = RetentionError;

    fn from_str(text: &str) -> Result<Self, RetentionError> {
        parse(text).ok_or_else(|| RetentionError::Calendar(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Calendar> {
    let spelled_out = match text {
        "minutely" => "*:*",
        "hourly" => "*:00",
        "daily" => "00:00",
        "weekly" => "Mon 00:00",
        "monthly" => "*-*-1 00:00",
        "quarterly" => "*-1,4,7,10-1 00:00",
        "semiannually" => "*-1,7-1 00:00",
        "yearly" | "annually" => "*-1-1 00:00",
        other => other,
    };
    let mut calendar = Calendar {
        text: text.to_owned(),
        weekdays: 0x7f,
        months: bits(1..=12) as u16,
        days: bits(1..=31) as u32,
        hours: 1,
        minutes: 1,
    };
    let mut parts = spelled_out.split_ascii_whitespace().peekable();
    parts.peek()?;
    if let Some(days) = parts.next_if(|part| part.starts_with(|c: char| c.is_ascii_alphabetic())) {
        calendar.weekdays = weekdays(days)?;
    }
    if let Some(date) = parts.next_if(|part| part.contains('-') && !part.contains(':')) {
        let (month, day) = match *date.split('-').collect::<Vec<_>>() {
            ["*", month, day] | [month, day] => (month, day),
            _ => return None,
        };
        calendar.months = numbers(month, 1, 12)? as u16;
        calendar.days = numbers(day, 1, 31)? as u32;
    }
    if let Some(time) = parts.next() {
        let (hour, minute) = match *time.split(':').collect::<Vec<_>>() {
            [hour, minute] | [hour, minute, "00" | "0"] => (hour, minute),
            _ => return None,
        };
        calendar.hours = numbers(hour, 0, 23)? as u32;
        calendar.minutes = numbers(minute, 0, 59)?;
    }
    if parts.next().is_some() || !calendar.comes() { None } else { Some(calendar) }
}

impl Calendar {
    /// Whether any year has such a day: there is no 31st of June.
    fn comes(&self) -> bool {
        // 2024 is a leap year.
        (1..=12).filter(|month| self.months & (1 << month) != 0).any(|month| {
            let length = Date::new(2024, month, 1).map_or(31, |date| date.days_in_month());
            (1..=length).any(|day| self.days & (1 << day) != 0)
        })
    }
}

fn weekdays(text: &str) -> Option<u8> {
    let one = |name: &str| -> Option<u32> {
        let name = name.to_ascii_lowercase();
        let short = name.get(..3)?;
        let at = DAY_NAMES.iter().position(|known| *known == short)?;
        let full = Weekday::from_monday_zero_offset(i8::try_from(at).ok()?).ok()?;
        let whole = format!("{full:?}").to_ascii_lowercase();
        (name == short || name == whole).then_some(at as u32)
    };
    let mut set = 0;
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (from, to) = match part.split_once("..") {
            Some((from, to)) => (one(from)?, one(to)?),
            None => (one(part)?, one(part)?),
        };
        // Saturday to Tuesday goes around the end of the week.
        let length = (to + 7 - from) % 7;
        (0..=length).for_each(|n| set |= 1 << ((from + n) % 7));
    }
    u8::try_from(set).ok().filter(|set| *set != 0)
}

/// The numbers that `text` stands for, as bits: `*`, `5`, `1,15`, `9..17`, `0/15`, `*/15`.
fn numbers(text: &str, least: u32, most: u32) -> Option<u64> {
    let one = |text: &str| -> Option<u32> {
        let digits = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|n| digits && (least..=most).contains(n))
    };
    let mut set = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<u32>().ok().filter(|n| (1..=most).contains(n))?)),
            None => (part, None),
        };
        let (from, to) = match range.split_once("..") {
            _ if range == "*" => (least, most),
            Some((from, to)) => (one(from)?, one(to)?),
            // A step goes to the end.
            None => (one(range)?, if step.is_some() { most } else { one(range)? }),
        };
        if from > to {
            return None;
        }
        (from..=to).step_by(step.unwrap_or(1) as usize).for_each(|n| set |= 1 << n);
    }
    Some(set)
}

fn bits(range: std::ops::RangeInclusive<u32>) -> u64 {
    range.fold(0, |set, n| set | 1 << n)
}
