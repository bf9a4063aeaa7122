//! The status page: one HTML file, without a script, that needs nothing from anywhere. Pure.

mod calendar;
mod charts;
mod figures;
pub mod html;
mod style;

use crate::format::time::Time;
use crate::ops::status::{HostStatus, Night, State, Status};
use crate::report::{time, units};
use html::{escaped, table};
use jiff::tz::TimeZone;

/// The word for a state.
pub fn word(state: State) -> &'static str {
    match state {
        State::Ok => "well",
        State::Warning => "look at it",
        State::Critical => "needs action",
    }
}

fn class(state: State) -> &'static str {
    match state {
        State::Ok => "ok",
        State::Warning => "warning",
        State::Critical => "critical",
    }
}

fn badge(state: State, text: &str) -> String {
    format!("<span class=\"badge {}\">{}</span>", class(state), escaped(text))
}

/// The whole page.
pub fn page(status: &Status, zone: &TimeZone) -> String {
    let sentence = match status.state {
        State::Ok => "Everything is backed up, and restores were practised.",
        State::Warning => "Backups are there; something wants to be looked at.",
        State::Critical => "Somebody has to act.",
    };
    let scope = if status.sees_all { "all hosts" } else { "this machine only" };
    let mut out = String::from(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><meta name=\"robots\" content=\"noindex\"><meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\"><link rel=\"icon\" href=\"data:,\"><title>Backups</title><style>",
    );
    out.push_str(style::STYLE.trim());
    out.push_str(&format!(
        "</style></head><body><header><h1>Backups</h1><p>{} {}</p><p class=\"soft small\">{} · {scope} · as of <time datetime=\"{}\">{}</time></p></header><main>",
        badge(status.state, word(status.state)),
        escaped(sentence),
        escaped(&status.repository),
        jiff::Timestamp::from_second(status.as_of.secs).map(|t| t.to_string()).unwrap_or_default(),
        escaped(&time::local(status.as_of, zone)),
    ));
    out.push_str(&hosts(status));
    out.push_str(&figures::section(status));
    out.push_str(&calendars(status, zone));
    out.push_str(&drills(status, zone));
    out.push_str(&mishaps(status, zone));
    out.push_str("</main><footer><p>The same as data: <a href=\"status.json\">status.json</a>. Written by panther ");
    out.push_str(env!("CARGO_PKG_VERSION"));
    out.push_str(".</p></footer></body></html>\n");
    out
}

fn hosts(status: &Status) -> String {
    let mut out = String::from("<section aria-labelledby=\"hosts\"><h2 id=\"hosts\">Hosts</h2><ul class=\"hosts\">");
    for host in &status.hosts {
        out.push_str(&format!(
            "<li class=\"host {}\"><h3><span>{} <span class=\"soft small\">{}</span></span>{}</h3><dl>",
            class(host.state),
            escaped(&host.host),
            escaped(&host.class),
            badge(host.state, word(host.state))
        ));
        for (name, value) in facts(host, status.as_of) {
            out.push_str(&format!("<dt>{name}</dt><dd>{value}</dd>"));
        }
        out.push_str("</dl>");
        if !host.reasons.is_empty() {
            let reasons: Vec<String> = host.reasons.iter().map(|why| format!("<li>{}</li>", escaped(why))).collect();
            out.push_str(&format!("<ul class=\"why\">{}</ul>", reasons.concat()));
        }
        out.push_str("</li>");
    }
    out + "</ul></section>"
}

/// About how long, in one unit: `85 min`, `30 h`, `9 d`.
fn span(secs: u64) -> String {
    match secs {
        0..120 => format!("{secs} s"),
        120..7_200 => format!("{} min", secs / 60),
        7_200..172_800 => format!("{} h", secs / 3_600),
        _ => format!("{} d", secs / 86_400),
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn short(secs: f64) -> String {
    span(secs.max(0.0) as u64)
}

fn facts(host: &HostStatus, now: Time) -> Vec<(&'static str, String)> {
    let age = host.age_secs.map_or("never".into(), |age| format!("{} ago", span(age)));
    let met = |is_met: bool| if is_met { "met" } else { "missed" };
    let drill = host.last_drill.as_ref().map_or("never".into(), |drill| {
        let age = u64::try_from(now.secs - drill.at_secs).unwrap_or(0);
        format!("{} ago: {}", span(age), if drill.success { "good" } else { "failed" })
    });
    let restore = match (host.recovery_time_met, &host.last_drill) {
        (Some(is_met), Some(drill)) => {
            format!("{} of {}: {}", short(drill.recovery_secs), span(host.recovery_time_secs), met(is_met))
        }
        _ => format!("? of {}", span(host.recovery_time_secs)),
    };
    vec![
        ("Last backup", escaped(&age)),
        ("Recovery point", escaped(&format!("{}: {}", span(host.recovery_point_secs), met(host.recovery_point_met)))),
        ("Last drill", escaped(&drill)),
        ("Recovery time", escaped(&restore)),
        ("Snapshots", units::count(host.snapshots)),
        ("Stored", units::size(host.stored_bytes)),
        ("This month", host.month_dollars.to_string()),
    ]
}

fn calendars(status: &Status, zone: &TimeZone) -> String {
    let mut out = String::from("<section aria-labelledby=\"calendar\"><h2 id=\"calendar\">Snapshots of a year</h2>");
    out.push_str(&calendar::key());
    out.push_str(&calendar::shared(status));
    let hosts = || status.hosts.iter().filter(|host| host.snapshots > 0);
    for (at, host) in hosts().enumerate() {
        out.push_str(&calendar::of_host(&host.host, at, status, zone));
    }
    out.push_str(&format!("<details><summary>All {} snapshots as tables</summary>", status.nights.len()));
    for host in hosts() {
        let nights = status.nights.iter().rev().filter(|night| night.host == host.host);
        let row = |night: &Night| {
            let reasons: Vec<&str> = night.reasons.iter().map(|why| brief(why)).collect();
            let kept = if night.is_kept { reasons.join("; ") } else { "goes".to_owned() };
            vec![
                escaped(minute(&time::local(night.started, zone))),
                escaped(&kept),
                night.stored_bytes.map(units::size).unwrap_or_default(),
                short(night.elapsed_secs),
            ]
        };
        let rows: Vec<Vec<String>> = nights.map(row).collect();
        let caption = format!("Snapshots of {}, newest first", host.host);
        let titles = ["Time", "Kept as", "Stored for it", "Took"];
        out.push_str(&format!("<h4>{}</h4>{}", escaped(&host.host), table(&caption, &titles, &rows, 2)));
    }
    out + "</details></section>"
}

/// Without the period that the time says, too: `daily 7 (last of 2026-11-23)`.
fn brief(reason: &str) -> &str {
    reason.split(" (last of ").next().unwrap_or(reason)
}

/// A time without its seconds.
fn minute(time: &str) -> &str {
    match time.rsplit_once(':') {
        Some((minute, _)) => minute,
        None => time,
    }
}

fn drills(status: &Status, zone: &TimeZone) -> String {
    let mut out = String::from("<section aria-labelledby=\"drills\"><h2 id=\"drills\">Restores for practice</h2>");
    if status.drills.is_empty() {
        return out + "<p class=\"soft\">None so far. A backup that was never restored is a hope.</p></section>";
    }
    let row = |drill: &crate::ops::drill::DrillRecord| {
        let state = if drill.success { State::Ok } else { State::Critical };
        let when = Time { secs: drill.at_secs, nanos: 0 };
        vec![
            escaped(&time::local(when, zone)),
            escaped(&drill.writer),
            badge(state, if drill.success { "good" } else { "failed" }),
            escaped(&drill.problems.join("; ")),
            units::count(drill.files),
            units::size(drill.bytes),
            units::duration(drill.elapsed_secs),
            format!("{:.2} %", drill.bad_share * 100.0),
            if drill.success { short(drill.recovery_secs) } else { "–".to_owned() },
        ]
    };
    let rows: Vec<Vec<String>> = status.drills.iter().take(24).map(row).collect();
    let titles =
        ["Time", "Host", "Result", "What was wrong", "Files", "Size", "Took", "Bad packs, at most", "Whole restore"];
    out.push_str(&table("Restores for practice, newest first", &titles, &rows, 4));
    out + "<p class=\"soft small\">“At most” holds with a confidence of 95 %.</p></section>"
}

fn mishaps(status: &Status, zone: &TimeZone) -> String {
    let mut out = String::from("<section aria-labelledby=\"errors\"><h2 id=\"errors\">Errors of the last 30 days</h2>");
    if status.mishaps.is_empty() {
        return out + "<p class=\"soft\">None on the machine that wrote this page.</p></section>";
    }
    let row = |mishap: &crate::ops::status::Mishap| {
        vec![
            escaped(&time::local(mishap.at, zone)),
            escaped(&mishap.doing),
            escaped(&mishap.message),
            mishap.exit_code.to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = status.mishaps.iter().map(row).collect();
    out.push_str(&table("Errors, newest first", &["Time", "Command", "What it said", "Exit code"], &rows, 3));
    out + "</section>"
}
