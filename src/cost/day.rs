//! Days and months of a bill: in UTC.

/// The length of a day in UTC; leap seconds are not billed.
pub const SECS_PER_DAY: i64 = 86_400;

/// A day in UTC: days since 1970-01-01.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Day(pub u32);

impl Day {
    /// The day of a time in seconds since 1970; the first one for what is before.
    pub fn of_secs(secs: i64) -> Self {
        Self(u32::try_from(secs.div_euclid(SECS_PER_DAY)).unwrap_or(0))
    }

    /// The day of a date; the first one for what is before 1970.
    pub fn of_date(date: jiff::civil::Date) -> Self {
        let since = jiff::civil::date(1970, 1, 1).until(date).map_or(0, |span| span.get_days());
        Self(u32::try_from(since).unwrap_or(0))
    }

    /// Today, by the system's clock.
    pub fn today() -> Self {
        Self::of_secs(crate::format::time::Time::now().secs)
    }

    /// The date.
    pub fn date(self) -> jiff::civil::Date {
        let span = jiff::Span::new().try_days(self.0);
        // Some four billion days are beyond what a calendar has; such a day was never noted.
        span.and_then(|span| jiff::civil::date(1970, 1, 1).checked_add(span)).unwrap_or(jiff::civil::Date::MAX)
    }

    /// When it begins, in seconds since 1970.
    pub fn start_secs(self) -> i64 {
        i64::from(self.0) * SECS_PER_DAY
    }

    /// The day that many days later.
    pub fn plus(self, days: u32) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// Whether both are in one calendar month.
    pub fn is_month_of(self, other: Self) -> bool {
        self.date().first_of_month() == other.date().first_of_month()
    }

    /// The first day of its month.
    pub fn first_of_month(self) -> Self {
        Self::of_date(self.date().first_of_month())
    }

    /// The first day of the month after its own.
    pub fn first_of_next_month(self) -> Self {
        self.first_of_month().plus(self.days_in_month())
    }

    /// How many days its month has.
    pub fn days_in_month(self) -> u32 {
        u32::from(self.date().days_in_month().unsigned_abs())
    }

    /// The first day of the month that is so many months away.
    pub fn month_after(self, months: u32) -> Self {
        let span = jiff::Span::new().try_months(months);
        let first = self.date().first_of_month();
        Self::of_date(span.and_then(|span| first.checked_add(span)).unwrap_or(jiff::civil::Date::MAX))
    }

    /// Its month as `2026-05`.
    pub fn month_text(self) -> String {
        self.date().strftime("%Y-%m").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn days_and_months() {
        assert_eq!(Day::of_secs(-1), Day(0));
        assert_eq!((Day::of_secs(86_399), Day::of_secs(86_400)), (Day(0), Day(1)));
        assert_eq!(Day(20_574).date(), date(2026, 5, 1));
        assert_eq!(Day(u32::MAX).date(), jiff::civil::Date::MAX);
        // 2026-05-01 to 2026-05-31.
        let may: Vec<u32> = (20_500..20_700).filter(|n| Day(*n).is_month_of(Day(20_580))).collect();
        assert_eq!((may.first(), may.last(), may.len()), (Some(&20_574), Some(&20_604), 31));
    }

    #[test]
    fn dates_there_and_back() {
        for number in (0..60_000).step_by(17) {
            assert_eq!(Day::of_date(Day(number).date()), Day(number));
        }
        let leap = Day::of_date(date(2028, 2, 10));
        assert_eq!((leap.days_in_month(), leap.first_of_next_month().date()), (29, date(2028, 3, 1)));
        assert_eq!(leap.month_after(11).date(), date(2029, 1, 1));
        assert_eq!((leap.month_text(), Day(3).start_secs()), ("2028-02".to_owned(), 259_200));
        assert_eq!(Day::of_date(date(1969, 1, 1)), Day(0));
    }
}
