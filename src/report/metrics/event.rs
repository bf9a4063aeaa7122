//! A run as an event: what somebody is told of it.

use crate::report::{text, units};
use crate::state::runs::RunRecord;
use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// All is well.
    Info,
    /// Somebody should look.
    Warning,
    /// It did not work.
    Error,
}

/// Something that has happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Event {
    /// What it is about: the command.
    pub key: String,
    /// In a few words.
    pub title: String,
    /// More.
    pub text: String,
    /// How bad it is.
    pub level: Level,
    /// When, in seconds since 1970.
    pub at_secs: i64,
}

/// What a webhook and a command get: one JSON document.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Document<'a> {
    /// The number of the schema, as in `docs/json.md`.
    pub schema: u32,
    /// Always `event`.
    pub command: &'static str,
    /// The machine.
    pub host: &'a str,
    /// What has happened.
    pub event: &'a Event,
    /// The run.
    pub run: &'a RunRecord,
}

/// The event of a run.
pub fn of(run: &RunRecord, host: &str) -> Event {
    let is_unseen = run.command == "backup" && run.is_success() && !run.is_read_back;
    let (level, how) = match run.exit_code {
        0 | 3 if is_unseen => (Level::Warning, "was made, but its manifest could not be read back"),
        0 => (Level::Info, "succeeded"),
        3 => (Level::Warning, "is done, but incomplete"),
        4 => (Level::Error, "found damage"),
        15 => (Level::Error, "was stopped by the budget"),
        130 => (Level::Warning, "was interrupted"),
        _ => (Level::Error, "failed"),
    };
    let mut lines = vec![format!("{} in {}", text::message(&run.location), units::duration(run.elapsed_secs))];
    lines.extend(run.error.iter().map(|error| text::message(error)));
    if run.command == "backup" && run.is_success() {
        lines.push(format!("{} new, stored as {}", units::size(run.new_bytes), units::size(run.stored_bytes)));
    }
    if run.problems > 0 {
        lines.push(units::things(run.problems, "problem", "problems"));
    }
    if let Some(dollars) = run.forecast_dollars {
        lines.push(format!("the month will cost ${dollars:.2}"));
    }
    Event {
        key: run.command.clone(),
        title: format!("panther: {} on {} {how}", run.command, text::message(host)),
        text: lines.join("\n"),
        level,
        at_secs: run.started_secs.saturating_add(secs(run.elapsed_secs)),
    }
}

#[allow(clippy::cast_possible_truncation)]
fn secs(elapsed: f64) -> i64 {
    elapsed as i64
}
