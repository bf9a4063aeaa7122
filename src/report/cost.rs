//! What a repository costs.

use crate::cost::NanoDollars;
use crate::ops::cost::{CostReport, MonthAhead, Verdict};
use crate::report::text::{self, Align, Table};
use crate::report::{time, units};
use jiff::tz::TimeZone;

/// For people. `snapshots`: a line for each of them, too.
pub fn text(report: &CostReport, snapshots: bool, zone: &TimeZone) -> String {
    let mut out = format!(
        "{} stored; {} a TB for 30 days since {}\n",
        units::size(report.stored_bytes),
        report.storage_tb_dollars,
        report.prices_from
    );
    if !report.is_dated {
        out.push_str("the store does not say since when: all of it counts as there for the whole month\n");
    }
    out.push('\n');
    out.push_str(&months(report));
    out.push('\n');
    out.push_str(&parts(report));
    if snapshots {
        out.push('\n');
        out.push_str(&by_snapshot(report, zone));
    }
    out.push_str(&budget(report));
    if report.sources.is_empty() {
        out.push_str(
            "a writer's key sees no sizes: the forecast counts what is stored now as all that there will be\n",
        );
    } else if report.sources.iter().any(|source| !source.has_history) {
        out.push_str("less than a day of history of some sources: they count as not growing\n");
    }
    out.push_str("downloads and calls are those of this machine; storage is of all hosts\n");
    out
}

fn months(report: &CostReport) -> String {
    let mut table = Table::new(&[
        ("Month", Align::Left),
        ("Stored", Align::Right),
        ("Storage", Align::Right),
        ("Egress", Align::Right),
        ("Calls", Align::Right),
        ("Total", Align::Right),
        ("What if", Align::Right),
    ]);
    let of = |bill: &crate::cost::Bill| {
        [bill.storage_dollars, bill.egress_dollars, bill.calls_dollars, bill.total_dollars].map(|d| d.to_string())
    };
    let mut row = vec![format!("{} so far", report.month), units::size(report.stored_bytes)];
    row.extend(of(&report.so_far));
    table.row(row);
    let other = |at: usize| report.what_if.as_ref().and_then(|w| w.ahead.get(at)).map(|m| m.bill.total_dollars);
    for (at, MonthAhead { month, end_stored_bytes, bill }) in report.ahead.iter().enumerate() {
        let mut row = vec![month.clone(), units::size(*end_stored_bytes)];
        row.extend(of(bill));
        row.extend(other(at).map(|dollars| dollars.to_string()));
        table.row(row);
    }
    let mut row = vec!["the next 12".to_owned(), String::new(), String::new(), String::new(), String::new()];
    row.push(report.twelve_months_dollars.to_string());
    row.extend(report.what_if.as_ref().map(|w| w.twelve_months_dollars.to_string()));
    table.row(row);
    let text = table.render();
    // The last column is for a question that may not have been asked.
    if report.what_if.is_some() { text } else { text.replacen("  What if\n", "\n", 1) }
}

fn parts(report: &CostReport) -> String {
    let mut table = Table::new(&[
        ("Host, source", Align::Left),
        ("Snapshots", Align::Right),
        ("Stored", Align::Right),
        ("New a day", Align::Right),
        ("Grows a day", Align::Right),
        ("This month", Align::Right),
    ]);
    for host in &report.hosts {
        let snapshots = report.sources.iter().filter(|s| s.writer == host.writer).map(|s| s.snapshots).sum::<u64>();
        let new: u64 = report.sources.iter().filter(|s| s.writer == host.writer).map(|s| s.new_bytes).sum();
        table.row(vec![
            text::message(host.writer.as_str()),
            if report.sources.is_empty() { String::new() } else { units::count(snapshots) },
            units::size(host.stored_bytes),
            if report.sources.is_empty() { String::new() } else { units::size(new) },
            if report.sources.is_empty() { String::new() } else { signed(host.growth_bytes) },
            host.month_dollars.to_string(),
        ]);
        for source in report.sources.iter().filter(|s| s.writer == host.writer) {
            table.row(vec![
                format!("  {}", text::message(&source.paths.join(" "))),
                units::count(source.snapshots),
                units::size(source.stored_bytes),
                units::size(source.new_bytes),
                signed(source.growth_bytes),
                source.month_dollars.to_string(),
            ]);
        }
    }
    table.render()
}

fn signed(bytes: i64) -> String {
    let size = units::size(bytes.unsigned_abs());
    if bytes < 0 { format!("-{size}") } else { size }
}

fn by_snapshot(report: &CostReport, zone: &TimeZone) -> String {
    let mut table = Table::new(&[
        ("Snapshot", Align::Left),
        ("Time", Align::Left),
        ("Host", Align::Left),
        ("Added", Align::Right),
        ("Would free", Align::Right),
        ("A month", Align::Right),
    ]);
    for snapshot in &report.snapshots {
        table.row(vec![
            snapshot.id.short(),
            time::local(snapshot.time, zone),
            text::message(snapshot.writer.as_str()),
            units::size(snapshot.added_bytes),
            format!("~{}", units::size(snapshot.frees_bytes)),
            snapshot.frees_month_dollars.to_string(),
        ]);
    }
    table.render() + "what forgetting one alone would free is an estimate\n"
}

fn budget(report: &CostReport) -> String {
    let forecast = report.ahead.first().map_or(NanoDollars::ZERO, |month| month.bill.total_dollars);
    let limits = [("warn", report.warn_dollars), ("stop", report.stop_dollars)];
    let limits: Vec<String> =
        limits.iter().filter_map(|(what, limit)| limit.map(|limit| format!("{what} at {limit}"))).collect();
    match report.budget {
        Verdict::None => String::new(),
        verdict => {
            let what = match verdict {
                Verdict::Within => "within the budget",
                Verdict::Warn => "more than the budget's warning",
                _ => "over the budget: backups are refused",
            };
            format!("{}: {forecast} is {what} ({})\n", report.month, limits.join(", "))
        }
    }
}
