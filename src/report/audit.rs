//! What is backed up of a machine, and what is not.

use crate::ops::audit::{Coverage, Kind, Line};
use crate::report::text::{self, Align, Table};
use crate::report::units;
use serde::Serialize;

/// The document.
#[derive(Debug, Serialize)]
pub struct Body<'a> {
    /// The machine, by the name that it writes under.
    pub host: &'a str,
    /// What was looked at, gaps first.
    pub lines: &'a [Line],
    /// How many of them want something done.
    pub gaps: u64,
}

fn words(coverage: Coverage) -> &'static str {
    match coverage {
        Coverage::Covered => "backed up",
        Coverage::Excluded => "left out on purpose",
        Coverage::TooOld => "TOO OLD",
        Coverage::NeverBackedUp => "NEVER BACKED UP",
        Coverage::NotCovered => "NOT BACKED UP",
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Source => "source",
        Kind::Mount => "file system",
        Kind::Postgresql => "PostgreSQL",
        Kind::Redis => "Redis",
        Kind::Home => "home",
    }
}

/// For people.
pub fn text(body: &Body<'_>) -> String {
    let mut table = Table::new(&[
        ("Coverage", Align::Left),
        ("What", Align::Left),
        ("Path", Align::Left),
        ("Newest backup", Align::Right),
        ("Allowed", Align::Right),
    ]);
    for line in body.lines {
        let span = |secs: Option<u64>| secs.map(|secs| units::duration(secs as f64)).unwrap_or_default();
        table.row(vec![
            words(line.coverage).to_owned(),
            kind(line.kind).to_owned(),
            text::message(&line.path),
            line.age_secs.map(|age| format!("{} ago", span(Some(age)))).unwrap_or_default(),
            span(line.recovery_point_secs),
        ]);
    }
    table.render() + &format!("{}\n", units::things(body.gaps, "gap", "gaps"))
}
