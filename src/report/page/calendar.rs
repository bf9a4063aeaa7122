//! A year of snapshots: a square for each day.

use super::html::escaped;
use crate::cost::Day;
use crate::ops::status::{Night, Status};
use crate::report::time;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::fmt::Write;

// In units of a day, of which each square takes three quarters; the group of the squares is scaled.
const STEP: u32 = 12;
const LEFT: u32 = 27;
const TOP: u32 = 16;
const WEEKS: u32 = 53;

/// What became of a day.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Square {
    Going,
    Kept,
}

/// The days that a calendar has: 53 weeks that begin on Monday, this one the last.
fn days(status: &Status) -> std::ops::RangeInclusive<u32> {
    let today = Day::of_secs(status.as_of.secs);
    let weekday = u32::try_from(today.date().weekday().to_monday_zero_offset()).unwrap_or(0);
    today.0.saturating_sub(weekday + 7 * (WEEKS - 1))..=today.0
}

/// Those days for which `is_it` as a path of strokes, one for each run of days in a week: the stroke's dashes make squares of it.
fn strokes(days: &std::ops::RangeInclusive<u32>, is_it: impl Fn(u32) -> bool) -> String {
    let mut out = String::new();
    let mut run = 0;
    for day in days.clone() {
        run += u32::from(is_it(day));
        let is_end = (day - days.start()) % 7 == 6 || day == *days.end() || !is_it(day + 1);
        if is_it(day) && is_end {
            let (column, row) = ((day - days.start()) / 7, (day - days.start()) % 7);
            // Writing to a string does not fail.
            let _ = write!(out, "M{column} {}v{run}", row + 1 - run);
        }
        if is_end {
            run = 0;
        }
    }
    out
}

/// What all calendars share: squares without snapshots, the names of days and months. Drawn nowhere by itself.
pub fn shared(status: &Status) -> String {
    let days = days(status);
    let mut out = String::from("<svg class=\"shared\" aria-hidden=\"true\"><defs><g id=\"year\">");
    for (row, label) in [(0, "Mon"), (2, "Wed"), (4, "Fri")] {
        let _ = write!(out, "<text x=\"0\" y=\"{}\">{label}</text>", TOP + STEP * row + 8);
    }
    let mut month = None;
    for day in days.clone().step_by(7) {
        let (date, column) = (Day(day).date(), (day - days.start()) / 7);
        if month != Some(date.month()) && column < WEEKS - 1 {
            if month.is_some() || date.day() < 15 {
                let _ = write!(out, "<text x=\"{}\" y=\"10\">{}</text>", LEFT + STEP * column, date.strftime("%b"));
            }
            month = Some(date.month());
        }
    }
    let _ =
        write!(out, "<path class=\"none\" transform=\"{PLACE}\" d=\"{}\"/></g></defs></svg>", strokes(&days, |_| true));
    out
}

/// Where the squares are: their middles, from left and top of the picture.
const PLACE: &str = "translate(31.5 16) scale(12)";

/// The calendar of a host, and what it shows.
pub fn of_host(host: &str, at: usize, status: &Status, zone: &TimeZone) -> String {
    let nights: Vec<&Night> = status.nights.iter().filter(|night| night.host == host).collect();
    let mut squares: BTreeMap<String, Square> = BTreeMap::new();
    for night in &nights {
        let square = squares.entry(time::day(night.started, zone)).or_insert(Square::Going);
        if night.is_kept {
            *square = Square::Kept;
        }
    }
    let kept = nights.iter().filter(|night| night.is_kept).count();
    let summary = format!(
        "{} snapshots of the last year are there, of which {kept} will be kept by the policy as it is today",
        nights.len()
    );
    let (width, height, days) = (LEFT + STEP * WEEKS, TOP + STEP * 7, days(status));
    let path = |wanted: Square| strokes(&days, |day| squares.get(&Day(day).date().to_string()) == Some(&wanted));
    format!(
        "<figure class=\"cal\" tabindex=\"0\" role=\"region\" aria-label=\"Calendar of {0}\"><h3>{0}</h3><svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"c{at}-t c{at}-d\"><title id=\"c{at}-t\">Snapshots of {0}</title><desc id=\"c{at}-d\">{1}</desc><use href=\"#year\"/><g transform=\"{PLACE}\"><path class=\"going\" d=\"{2}\"/><path class=\"kept\" d=\"{3}\"/></g></svg></figure>",
        escaped(host),
        escaped(&summary),
        path(Square::Going),
        path(Square::Kept),
    )
}

/// What the squares mean.
pub fn key() -> String {
    let one = |class: &str, what: &str| {
        format!(
            "<span class=\"key\"><svg viewBox=\"0 0 1 1\" aria-hidden=\"true\"><path class=\"{class}\" d=\"M.5 .125v1\"/></svg>{what}</span>"
        )
    };
    let all = [("kept", "kept by the policy"), ("going", "there, goes with the next forget"), ("none", "no snapshot")];
    format!("<p>{}</p>", all.map(|(class, what)| one(class, what)).concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_strokes() {
        // Two weeks and a day; the third, the fourth and the last.
        let days = 700..=714;
        assert_eq!(strokes(&days, |day| [702, 703, 714].contains(&day)), "M0 2v2M2 0v1");
        assert_eq!(strokes(&days, |_| true), "M0 0v7M1 0v7M2 0v1");
        assert_eq!(strokes(&days, |day| day == 706 || day == 707), "M0 6v1M1 0v1");
        assert_eq!(strokes(&days, |_| false), "");
    }
}
