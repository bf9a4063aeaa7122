//! A year of snapshots: a square for each day.

use super::html::escaped;
use crate::cost::Day;
use crate::ops::status::{Night, Status};
use crate::report::time;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::fmt::Write;

const SQUARE: f64 = 9.0;
const STEP: f64 = 12.0;
const LEFT: f64 = 27.0;
const TOP: f64 = 16.0;
const WEEKS: u32 = 53;

/// What became of a day.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Square {
    None,
    Going,
    Kept,
}

/// The calendar of a host, and what it shows.
pub fn of_host(host: &str, at: usize, status: &Status, zone: &TimeZone) -> String {
    let nights: Vec<&Night> = status.nights.iter().filter(|night| night.host == host).collect();
    let mut days: BTreeMap<String, Square> = BTreeMap::new();
    for night in &nights {
        let day = days.entry(time::day(night.started, zone)).or_insert(Square::None);
        if *day != Square::Kept {
            *day = if night.is_kept { Square::Kept } else { Square::Going };
        }
    }
    let today = Day::of_secs(status.as_of.secs);
    // Weeks begin on Monday; the last one is this one.
    let weekday = u32::try_from(today.date().weekday().to_monday_zero_offset()).unwrap_or(0);
    let first = Day(today.0.saturating_sub(weekday + 7 * (WEEKS - 1)));
    let (width, height) = (LEFT + STEP * f64::from(WEEKS), TOP + STEP * 7.0);
    let kept = nights.iter().filter(|night| night.is_kept).count();
    let summary = format!(
        "{} snapshots of the last year are there, of which {kept} will be kept by the policy as it is today",
        nights.len()
    );
    let mut out = format!(
        "<figure class=\"cal\" tabindex=\"0\" role=\"region\" aria-label=\"Calendar of {0}\"><h3>{0}</h3><svg viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-labelledby=\"c{at}-t c{at}-d\"><title id=\"c{at}-t\">Snapshots of {0}</title><desc id=\"c{at}-d\">{1}</desc>",
        escaped(host),
        escaped(&summary)
    );
    for (row, label) in [(0, "Mon"), (2, "Wed"), (4, "Fri")] {
        // Writing to a string does not fail.
        let _ = write!(out, "<text x=\"0\" y=\"{:.1}\">{label}</text>", TOP + STEP * f64::from(row) + 8.5);
    }
    let mut month = None;
    let (mut none_path, mut going_path, mut kept_path) = (String::new(), String::new(), String::new());
    for day in first.0..=today.0 {
        let (column, row) = ((day - first.0) / 7, (day - first.0) % 7);
        let date = Day(day).date();
        let (x, y) = (LEFT + STEP * f64::from(column), TOP + STEP * f64::from(row));
        if row == 0 && month != Some(date.month()) && column < WEEKS - 1 {
            if month.is_some() || date.day() < 15 {
                let _ = write!(out, "<text x=\"{x:.1}\" y=\"10\">{}</text>", date.strftime("%b"));
            }
            month = Some(date.month());
        }
        // One path for each sort: squares by themselves would be most of the page.
        let (path, inset) = match days.get(&date.to_string()) {
            Some(Square::Kept) => (&mut kept_path, 0.0),
            Some(Square::Going) => (&mut going_path, 0.5),
            _ => (&mut none_path, 0.0),
        };
        let (x, y, side) = (x + inset, y + inset, SQUARE - 2.0 * inset);
        let _ = write!(path, "M{x} {y}h{side}v{side}h-{side}z");
    }
    for (class, path) in [("none", none_path), ("going", going_path), ("kept", kept_path)] {
        let _ = write!(out, "<path class=\"{class}\" d=\"{path}\"/>");
    }
    out + "</svg></figure>"
}

/// What the squares mean.
pub fn key() -> &'static str {
    "<p><span class=\"key\"><svg viewBox=\"0 0 12 12\" aria-hidden=\"true\"><rect class=\"kept\" x=\"1\" y=\"1\" width=\"10\" height=\"10\" rx=\"2\"/></svg>kept by the policy</span><span class=\"key\"><svg viewBox=\"0 0 12 12\" aria-hidden=\"true\"><rect class=\"going\" x=\"1.75\" y=\"1.75\" width=\"8.5\" height=\"8.5\" rx=\"2\"/></svg>there, goes with the next forget</span><span class=\"key\"><svg viewBox=\"0 0 12 12\" aria-hidden=\"true\"><rect class=\"none\" x=\"1\" y=\"1\" width=\"10\" height=\"10\" rx=\"2\"/></svg>no snapshot</span></p>"
}
