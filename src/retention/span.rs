//! Lengths of time by the calendar.

use super::RetentionError;
use crate::format::time::Time;
use jiff::tz::TimeZone;
use std::fmt;
use std::str::FromStr;

/// A length of time by the calendar: a month has as many days as it has, a day 23 to 25 hours.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CalendarSpan {
    /// Years.
    pub years: u16,
    /// Months.
    pub months: u16,
    /// Days.
    pub days: u16,
    /// Hours.
    pub hours: u16,
}

impl CalendarSpan {
    fn span(&self) -> Result<jiff::Span, jiff::Error> {
        jiff::Span::new()
            .try_years(self.years)
            .and_then(|s| s.try_months(self.months))
            .and_then(|s| s.try_days(self.days))
            .and_then(|s| s.try_hours(self.hours))
    }

    /// The time that much after `time`, in `zone`. Where that leaves the calendar, its end.
    pub fn after(&self, time: Time, zone: &TimeZone) -> Time {
        let after = self.span().and_then(|span| stamp(time).to_zoned_datetime(zone.clone()).checked_add(span));
        after.map_or(time_of(jiff::Timestamp::MAX), |zoned| time_of(zoned.timestamp()))
    }

    /// The time that much before `time`, in `zone`. One month before the 31st is the last day of a shorter month. Where that leaves the calendar, its beginning.
    pub fn before(&self, time: Time, zone: &TimeZone) -> Time {
        let before = self.span().and_then(|span| stamp(time).to_zoned_datetime(zone.clone()).checked_sub(span));
        before.map_or(time_of(jiff::Timestamp::MIN), |zoned| time_of(zoned.timestamp()))
    }
}

/// The instant of a time; the ends of the calendar for times outside it.
pub(super) fn stamp(time: Time) -> jiff::Timestamp {
    let end = if time.secs < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    jiff::Timestamp::new(time.secs, time.nanos.cast_signed()).unwrap_or(end)
}

/// The time of an instant.
pub(super) fn time_of(stamp: jiff::Timestamp) -> Time {
    let (mut secs, mut nanos) = (stamp.as_second(), stamp.subsec_nanosecond());
    if nanos < 0 {
        // Before 1970 jiff counts both parts downwards.
        secs -= 1;
        nanos += 1_000_000_000;
    }
    Time { secs, nanos: nanos.unsigned_abs() }
}

impl FromStr for CalendarSpan {
    type Err = RetentionError;

    /// `1y6m`, `30d`, `36h`: each unit at most once, in this order; not all of them 0.
    fn from_str(text: &str) -> Result<Self, RetentionError> {
        let bad = || RetentionError::Span(text.to_owned());
        let mut span = Self::default();
        let mut rest = text;
        for (unit, field) in
            [('y', &mut span.years), ('m', &mut span.months), ('d', &mut span.days), ('h', &mut span.hours)]
        {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if let Some(after) = rest[digits..].strip_prefix(unit) {
                *field = rest[..digits].parse().map_err(|_| bad())?;
                rest = after;
            }
        }
        if rest.is_empty() && span != Self::default() { Ok(span) } else { Err(bad()) }
    }
}

impl fmt::Display for CalendarSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, unit) in [(self.years, 'y'), (self.months, 'm'), (self.days, 'd'), (self.hours, 'h')] {
            if number > 0 {
                write!(f, "{number}{unit}")?;
            }
        }
        Ok(())
    }
}
