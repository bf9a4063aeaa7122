//! What is stored, and what each snapshot alone costs.

use crate::ops::stats::StatsReport;
use crate::report::text::{self, Align, Table};
use crate::report::{time, units};
use jiff::tz::TimeZone;

/// For people.
pub fn text(report: &StatsReport, zone: &TimeZone) -> String {
    use Align::{Left, Right};
    let mut out = String::new();
    if !report.snapshots.is_empty() {
        let columns =
            [("ID", Left), ("Time", Left), ("Host", Left), ("Files", Right), ("Restored", Right), ("Alone", Right)];
        let has_price = report.month_dollars.is_some();
        let columns = [&columns[..], if has_price { &[("A month", Right)] } else { &[] }].concat();
        let mut table = Table::new(&columns);
        for one in &report.snapshots {
            let mut row = vec![
                one.id.short(),
                time::local(one.started, zone),
                text::message(&one.host),
                units::count(one.files),
                units::size(one.restore_bytes),
                units::size(one.alone.stored_bytes),
            ];
            row.extend(one.alone_month_dollars.map(|dollars| format!("${dollars:.4}")));
            table.row(row);
        }
        out += &table.render();
        out += "\n";
    }
    if !report.hosts.is_empty() {
        let columns = [("Host", Left), ("Snapshots", Right), ("Restored", Right), ("Stored", Right), ("Alone", Right)];
        let mut table = Table::new(&columns);
        for host in &report.hosts {
            table.row(vec![
                text::message(&host.host),
                units::count(host.snapshots),
                units::size(host.restore_bytes),
                units::size(host.needed.stored_bytes),
                units::size(host.alone.stored_bytes),
            ]);
        }
        out += &table.render();
        out += "\n";
    }
    let times = |ratio: Option<f64>| ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
    let needed = &report.needed;
    let mut lines = vec![
        ("snapshots", units::count(report.all_snapshots)),
        ("restored", units::size(report.restore_bytes)),
        (
            "different",
            format!("{} in {}", units::size(needed.plain_bytes), units::things(needed.blobs, "blob", "blobs")),
        ),
        ("stored", units::size(needed.stored_bytes)),
        (
            "packs",
            format!(
                "{}, {} of it needed by no snapshot",
                units::size(report.pack_bytes),
                units::size(report.other_bytes)
            ),
        ),
        ("deduplication", times(report.dedup_ratio)),
        ("compression", times(report.compression_ratio)),
    ];
    let price = |dollars| format!("${dollars:.2} a month at today's price, if nothing of it is free");
    lines.extend(report.month_dollars.map(|dollars| ("price", price(dollars))));
    lines.push(("time", units::duration(report.elapsed_secs)));
    out += &text::pairs(&lines);
    if report.unread > 0 {
        out += &format!(
            "{} of trees cannot be read: `panther check` says more\n",
            units::things(report.unread, "part", "parts")
        );
    }
    out
}
