//! The page's figures: money, stored bytes, what each night added and took.

use super::charts::{Frame, Limit, area, bars, dots, plain, round_up_bytes};
use super::html::{escaped, table};
use crate::cost::{Day, NanoDollars};
use crate::ops::status::{Money, Status};
use crate::report::units;

/// So many days of nights are drawn.
const DAYS: u32 = 90;

/// All of them in a grid.
pub fn section(status: &Status) -> String {
    let mut out =
        String::from("<section aria-labelledby=\"figures\"><h2 id=\"figures\">Figures</h2><div class=\"figures\">");
    let mut figure = |value: &str, what: &str| {
        out.push_str(&format!("<div class=\"figure\"><b>{}</b><span>{}</span></div>", escaped(value), escaped(what)));
    };
    if let Some(money) = &status.money {
        let month = money.ahead.first().map_or(NanoDollars::ZERO, |month| month.bill.total_dollars);
        figure(&month.to_string(), "this month, forecast");
        if let Some(limit) = money.stop_dollars.or(money.warn_dollars) {
            figure(&limit.to_string(), &format!("budget: {}", money.budget.as_str()));
        }
        let year: NanoDollars = money.ahead.iter().skip(1).map(|month| month.bill.total_dollars).sum();
        figure(&year.to_string(), "the next twelve months");
    }
    figure(&units::size(status.stored_bytes), "stored now");
    figure(&units::count(status.nights.len() as u64), "snapshots");
    out.push_str("</div><div class=\"grid\">");
    if let Some(money) = &status.money {
        out.push_str(&dollars(money));
    }
    if status.stored.len() > 1 {
        out.push_str(&stored(status));
    }
    out.push_str(&nights(status));
    out + "</div></section>"
}

fn figure(title: &str, chart: &str, table: &str) -> String {
    format!(
        "<figure><figcaption><h3>{}</h3></figcaption>{chart}<details><summary>As a table</summary>{table}</details></figure>",
        escaped(title)
    )
}

fn size(value: f64) -> String {
    // No fractions where they say nothing.
    units::size(bytes_of(value)).replace(".0 ", " ")
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn bytes_of(value: f64) -> u64 {
    value.max(0.0) as u64
}

fn dollars(money: &Money) -> String {
    let values: Vec<f64> = money.ahead.iter().map(|month| month.bill.total_dollars.as_f64()).collect();
    let last = money.ahead.len().saturating_sub(1).max(1) as f64;
    let below = |at: usize| money.ahead.get(at).map(|month| ((at as f64 + 0.5) / (last + 1.0), month.month.clone()));
    let mut limits = Vec::new();
    if let Some(warn) = money.warn_dollars {
        limits.push(Limit { value: warn.as_f64(), is_warning: true, label: "warn" });
    }
    if let Some(stop) = money.stop_dollars {
        limits.push(Limit { value: stop.as_f64(), is_warning: false, label: "stop" });
    }
    let frame = Frame {
        id: "money",
        title: "Dollars a month",
        summary: format!(
            "{} this month, {} in twelve months",
            money.ahead.first().map_or(NanoDollars::ZERO, |m| m.bill.total_dollars),
            money.ahead.last().map_or(NanoDollars::ZERO, |m| m.bill.total_dollars)
        ),
        write: &|value| if value.fract() == 0.0 { format!("${value:.0}") } else { format!("${value:.2}") },
        below: [below(0), below(6), below(12)].into_iter().flatten().collect(),
        limits,
    };
    let row = |month: &crate::ops::cost::MonthAhead| {
        let bill = &month.bill;
        let mut row = vec![escaped(&month.month), units::size(month.end_stored_bytes)];
        row.extend(
            [bill.storage_dollars, bill.egress_dollars, bill.calls_dollars, bill.total_dollars].map(|d| d.to_string()),
        );
        row
    };
    let rows: Vec<Vec<String>> = money.ahead.iter().map(row).collect();
    let titles = ["Month", "Stored", "Storage", "Egress", "Calls", "Total"];
    figure(
        "Dollars a month: this one and twelve to come",
        &bars(&frame, &values, &|at| at > 0, &plain),
        &table("Dollars a month", &titles, &rows, 1),
    )
}

fn stored(status: &Status) -> String {
    let (first, last) = (status.stored.first().map_or(0, |d| d.at_secs), status.stored.last().map_or(1, |d| d.at_secs));
    let share = |secs: i64| (secs - first) as f64 / (last - first).max(1) as f64;
    let points: Vec<(f64, f64)> = status.stored.iter().map(|day| (share(day.at_secs), day.bytes as f64)).collect();
    let month = |secs: i64| Day::of_secs(secs - 1).date().strftime("%b %Y").to_string();
    let frame = Frame {
        id: "stored",
        title: "Stored bytes",
        summary: format!(
            "from {} to {}, of what is there now by when it came",
            size(points.first().map_or(0.0, |p| p.1)),
            size(points.last().map_or(0.0, |p| p.1))
        ),
        write: &size,
        below: vec![(0.0, month(first)), (0.5, month(i64::midpoint(first, last))), (1.0, month(last))],
        limits: Vec::new(),
    };
    // A line for each month is enough to read.
    let rows: Vec<Vec<String>> = status
        .stored
        .iter()
        .enumerate()
        .filter(|(at, day)| {
            let next = status.stored.get(at + 1);
            next.is_none_or(|next| !Day::of_secs(next.at_secs - 1).is_month_of(Day::of_secs(day.at_secs - 1)))
        })
        .map(|(_, day)| vec![Day::of_secs(day.at_secs - 1).date().to_string(), units::size(day.bytes)])
        .collect();
    figure(
        "Stored, of what is there now",
        &area(&frame, &points, &round_up_bytes),
        &table("Stored at the end of each month", &["Day", "Stored"], &rows, 1),
    )
}

/// A time on an axis: `2.5 min`.
fn exact_secs(secs: f64) -> String {
    let (value, unit) = match secs {
        secs if secs > 3_600.0 => (secs / 3_600.0, "h"),
        secs if secs > 60.0 => (secs / 60.0, "min"),
        secs => (secs, "s"),
    };
    if value.fract() == 0.0 { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") }
}

/// Rounds a time to a number that is round in minutes or hours.
fn plain_secs(secs: f64) -> f64 {
    let unit = match secs {
        secs if secs > 3_600.0 => 3_600.0,
        secs if secs > 60.0 => 60.0,
        _ => 1.0,
    };
    plain(secs / unit) * unit
}

fn nights(status: &Status) -> String {
    let today = Day::of_secs(status.as_of.secs);
    let first = Day(today.0.saturating_sub(DAYS - 1));
    let recent: Vec<_> = status.nights.iter().filter(|night| Day::of_secs(night.started.secs) >= first).collect();
    let place = |secs: i64| (Day::of_secs(secs).0 - first.0) as usize;
    let mut new = vec![0.0; DAYS as usize];
    for night in &recent {
        if let Some(slot) = new.get_mut(place(night.started.secs)) {
            *slot += night.stored_bytes.unwrap_or(0) as f64;
        }
    }
    // The first backup stores everything: nothing else would be seen beside it.
    let mut sorted: Vec<f64> = new.iter().copied().filter(|value| *value > 0.0).collect();
    sorted.sort_by(f64::total_cmp);
    let usual = sorted.get(sorted.len() * 9 / 10).copied().unwrap_or(0.0) * 3.0;
    let cut = new.iter().any(|value| *value > usual && usual > 0.0);
    let shown: Vec<f64> = new.iter().map(|value| if cut { value.min(usual) } else { *value }).collect();
    let label = |day: u32| Day(first.0 + day).date().strftime("%-d %b").to_string();
    let below = || vec![(0.0, label(0)), (0.5, label(DAYS / 2)), (1.0, label(DAYS - 1))];
    let sum: f64 = new.iter().sum();
    let frame = Frame {
        id: "new",
        title: "New bytes a night",
        summary: format!("{} in {DAYS} days, {} on average", size(sum), size(sum / f64::from(DAYS))),
        write: &size,
        below: below(),
        limits: Vec::new(),
    };
    let mut out = String::new();
    let title = if cut { "New bytes a night (what is far above the others is cut off)" } else { "New bytes a night" };
    let chart = bars(&frame, &shown, &|_| false, &round_up_bytes);
    out.push_str(&format!("<figure><figcaption><h3>{}</h3></figcaption>{chart}</figure>", escaped(title)));
    let points: Vec<(f64, f64)> = recent
        .iter()
        .map(|night| ((place(night.started.secs) as f64 + 0.5) / f64::from(DAYS), night.elapsed_secs))
        .collect();
    let longest = points.iter().map(|point| point.1).fold(0.0, f64::max);
    let frame = Frame {
        id: "took",
        title: "How long backups took",
        summary: format!("{} backups, the longest {}", points.len(), units::duration(longest)),
        write: &exact_secs,
        below: below(),
        limits: Vec::new(),
    };
    let chart = dots(&frame, &points, &plain_secs);
    out.push_str(&format!(
        "<figure><figcaption><h3>How long each backup took</h3></figcaption>{chart}<p class=\"small soft\">Each night’s figures are in the <a href=\"#calendar\">table of snapshots</a>.</p></figure>"
    ));
    out
}
