//! How everything is, in a terminal.

use crate::cost::NanoDollars;
use crate::ops::status::Status;
use crate::report::page::word;
use crate::report::text::{self, Align, Table};
use crate::report::{time, units};
use jiff::tz::TimeZone;

/// For people.
pub fn text(status: &Status, zone: &TimeZone) -> String {
    let mut out = format!(
        "{}, as of {}: {}\n\n",
        text::message(&status.repository),
        time::local(status.as_of, zone),
        word(status.state)
    );
    let mut table = Table::new(&[
        ("Host", Align::Left),
        ("State", Align::Left),
        ("Last backup", Align::Right),
        ("Allowed", Align::Right),
        ("Last drill", Align::Left),
        ("Whole restore", Align::Right),
        ("Allowed", Align::Right),
        ("Snapshots", Align::Right),
        ("Stored", Align::Right),
    ]);
    let span = |secs: u64| units::duration(secs as f64);
    for host in &status.hosts {
        let drill = host.last_drill.as_ref().map_or("never".to_owned(), |drill| {
            let when = time::day(crate::format::time::Time { secs: drill.at_secs, nanos: 0 }, zone);
            format!("{when} {}", if drill.success { "good" } else { "failed" })
        });
        table.row(vec![
            text::message(&host.host),
            word(host.state).to_owned(),
            host.age_secs.map_or("never".into(), |age| format!("{} ago", span(age))),
            span(host.recovery_point_secs),
            drill,
            host.last_drill.as_ref().map_or("?".into(), |drill| units::duration(drill.recovery_secs)),
            span(host.recovery_time_secs),
            units::count(host.snapshots),
            units::size(host.stored_bytes),
        ]);
    }
    out.push_str(&table.render());
    for host in &status.hosts {
        for why in &host.reasons {
            out.push_str(&format!("{}: {}\n", text::message(&host.host), why));
        }
    }
    if let Some(money) = &status.money {
        let month = money.ahead.first().map_or(NanoDollars::ZERO, |month| month.bill.total_dollars);
        out.push_str(&format!(
            "\nthis month: {month} forecast, {} so far; budget: {}\n",
            money.so_far_dollars,
            money.budget.as_str()
        ));
    }
    if !status.mishaps.is_empty() {
        out.push('\n');
        for mishap in status.mishaps.iter().take(5) {
            let (when, doing) = (time::local(mishap.at, zone), text::message(&mishap.doing));
            out.push_str(&format!("{when}  {doing} ({}): {}\n", mishap.exit_code, text::message(&mishap.message)));
        }
    }
    if !status.sees_all {
        out.push_str("\na writer's key sees its own backups only\n");
    }
    out
}
