//! What was asked of stores that count.

use crate::backend::Usage;
use crate::report::text::{self, Align, Table};
use crate::report::units;
use crate::state::ledger::DayUsage;
use serde::Serialize;
use std::collections::BTreeMap;

/// One store's day or month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// `2026-05-01`, or `2026-05` for a month.
    pub period: String,
    /// The store.
    pub repository: String,
    /// What was asked of it.
    pub calls: Usage,
}

/// The ledger's content: of each store the days, and their sums by calendar month, all in UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Body {
    /// By day, oldest first.
    pub days: Vec<Row>,
    /// By month, oldest first. The first one may lack days that are no longer kept.
    pub months: Vec<Row>,
}

impl Body {
    /// Of these days.
    pub fn new(days: &[DayUsage]) -> Self {
        let by = |period: &dyn Fn(&DayUsage) -> String| {
            let mut sums: BTreeMap<(String, &str), Usage> = BTreeMap::new();
            for day in days {
                *sums.entry((period(day), &day.location)).or_default() += day.usage;
            }
            let row = |((period, location), calls): ((String, &str), Usage)| Row {
                period,
                repository: location.to_owned(),
                calls,
            };
            sums.into_iter().map(row).collect()
        };
        Self {
            days: by(&|day| day.day.date().to_string()),
            months: by(&|day| day.day.date().strftime("%Y-%m").to_string()),
        }
    }
}

/// A table of days or months.
pub fn text(body: &Body, by_month: bool) -> String {
    let rows = if by_month { &body.months } else { &body.days };
    if rows.is_empty() {
        return "nothing was counted: only what is asked of B2 is, and kept for 400 days\n".to_owned();
    }
    let mut table = Table::new(&[
        (if by_month { "Month" } else { "Day" }, Align::Left),
        ("Repository", Align::Left),
        ("Class A", Align::Right),
        ("Class B", Align::Right),
        ("Class C", Align::Right),
        ("Repeated", Align::Right),
        ("Up", Align::Right),
        ("Down", Align::Right),
    ]);
    for Row { period, repository, calls } in rows {
        let counts = [calls.class_a_calls, calls.class_b_calls, calls.class_c_calls, calls.retry_calls];
        let mut cells = vec![period.clone(), text::message(repository)];
        cells.extend(counts.map(units::count));
        cells.extend([calls.up_bytes, calls.down_bytes].map(units::size));
        table.row(cells);
    }
    table.render() + "by day in UTC, as this machine has counted it\n"
}

/// What one run asked, on a line; nothing for a store that does not count.
pub fn line(usage: &Usage) -> Option<String> {
    if usage.is_zero() {
        return None;
    }
    let calls = |count, class| format!("{} {class}", units::count(count));
    let mut parts =
        vec![calls(usage.class_a_calls, "A"), calls(usage.class_b_calls, "B"), calls(usage.class_c_calls, "C")];
    if usage.retry_calls > 0 {
        parts.push(format!("{} repeated", units::count(usage.retry_calls)));
    }
    let (up, down) = (units::size(usage.up_bytes), units::size(usage.down_bytes));
    Some(format!("calls: {}; {up} up, {down} down\n", parts.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::ledger::Day;

    fn day(day: u32, location: &str, class_a_calls: u64) -> DayUsage {
        let usage = Usage { class_a_calls, up_bytes: 2048, ..Usage::default() };
        DayUsage { day: Day(day), location: location.to_owned(), usage }
    }

    #[test]
    fn days_become_months() {
        // 2026-05-31, 2026-06-01.
        let body = Body::new(&[
            day(20_604, "b2://a", 1),
            day(20_605, "b2://a", 1_000),
            day(20_603, "b2://a", 2),
            day(20_604, "b2://b", 5),
        ]);
        let brief = |rows: &[Row]| -> Vec<(String, String, u64)> {
            rows.iter().map(|r| (r.period.clone(), r.repository.clone(), r.calls.class_a_calls)).collect()
        };
        let row = |a: &str, b: &str, n| (a.to_owned(), format!("b2://{b}"), n);
        assert_eq!(brief(&body.months), [row("2026-05", "a", 3), row("2026-05", "b", 5), row("2026-06", "a", 1_000)]);
        assert_eq!(
            brief(&body.days),
            [
                row("2026-05-30", "a", 2),
                row("2026-05-31", "a", 1),
                row("2026-05-31", "b", 5),
                row("2026-06-01", "a", 1_000)
            ]
        );
        let months = text(&body, true);
        assert!(
            months.contains("2026-06  b2://a        1,000        0        0         0  2.0 KiB   0 B\n"),
            "{months}"
        );
        assert!(months.starts_with("Month ") && text(&body, false).starts_with("Day "));
        assert!(text(&Body::default(), true).starts_with("nothing was counted"));
    }

    #[test]
    fn a_run_on_a_line() {
        assert_eq!(line(&Usage::default()), None);
        let usage = Usage { class_a_calls: 1_200, class_b_calls: 3, down_bytes: 1024, ..Usage::default() };
        assert_eq!(line(&usage).as_deref(), Some("calls: 1,200 A, 3 B, 0 C; 0 B up, 1.0 KiB down\n"));
        let again = Usage { retry_calls: 2, ..usage };
        assert!(line(&again).is_some_and(|line| line.contains("0 C, 2 repeated; ")));
    }
}
