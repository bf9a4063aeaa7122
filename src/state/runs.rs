//! What this machine's runs came to: one file for all repositories of a state folder. For reports, pages and budgets; nothing depends on it.

use super::brief::Brief;
use super::{guarded, unguarded};
use crate::error::Result;
use redb::{ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Time (nanoseconds since 1970) and a number to a record.
const RUNS: TableDefinition<(u64, u32), &[u8]> = TableDefinition::new("runs");
/// Older ones are dropped.
const KEPT_SECS: i64 = 400 * 86_400;
/// Of more than this the oldest are dropped: an hourly run for a year is less.
const MOST: usize = 10_000;

/// A run of a command.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunRecord {
    /// The command.
    pub command: String,
    /// The store, as its backend calls it.
    pub location: String,
    /// Under which name it wrote.
    pub writer: String,
    /// When it began, in seconds since 1970.
    pub started_secs: i64,
    /// How long it took.
    pub elapsed_secs: f64,
    /// Its exit code.
    pub exit_code: u8,
    /// Why it failed, on one line.
    pub error: Option<String>,
    /// The snapshot that it made.
    pub snapshot: Option<String>,
    /// Whether that was read back.
    pub is_read_back: bool,
    /// Whether nothing was to be changed.
    pub is_dry: bool,
    /// What the sources hold.
    pub source_bytes: u64,
    /// Plaintext that was new.
    pub new_bytes: u64,
    /// What was stored for it.
    pub stored_bytes: u64,
    /// What the whole repository holds, where that was looked at.
    pub repository_bytes: Option<u64>,
    /// What the month was forecast to cost.
    pub forecast_dollars: Option<f64>,
    /// Problems that did not end it: unreadable files, errors of a check.
    pub problems: u64,
    /// Calls to the store that had to be repeated.
    pub retry_calls: u64,
    /// More, by command.
    pub details: serde_json::Value,
}

impl RunRecord {
    /// Whether it did what it was for, perhaps with something to look at.
    pub fn is_success(&self) -> bool {
        matches!(self.exit_code, 0 | 3)
    }
}

/// The runs of a state folder.
pub struct Runs {
    file: Brief,
}

impl Runs {
    /// Those in `folder`, the one that also holds the states of all repositories.
    pub fn at(folder: &Path) -> Self {
        Self { file: Brief::at(folder.join("runs.redb")) }
    }

    /// Adds a run, durably, and drops what is too old.
    ///
    /// # Errors
    /// [`crate::Error::Io`], [`crate::Error::State`].
    pub fn add(&self, record: &RunRecord) -> Result<()> {
        let at = u64::try_from(record.started_secs).unwrap_or(0);
        let oldest = u64::try_from(record.started_secs - KEPT_SECS).unwrap_or(0);
        // A record of texts and numbers has a text.
        let Ok(value) = serde_json::to_vec(record) else { return Ok(()) };
        self.file.write(|write| {
            let mut table = write.open_table(RUNS)?;
            let number = table.range((at, 0)..=(at, u32::MAX))?.count();
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            table.insert((at, number), &guarded(&at.to_le_bytes(), &value)[..])?;
            table.retain(|(time, _), _| time >= oldest)?;
            while table.iter()?.count() > MOST {
                table.pop_first()?;
            }
            Ok(())
        })
    }

    /// All of them, oldest first.
    ///
    /// # Errors
    /// [`crate::Error::Io`], [`crate::Error::State`].
    pub fn all(&self) -> Result<Vec<RunRecord>> {
        let found = self.file.read(|read| {
            let mut found = Vec::new();
            for item in read.open_table(RUNS)?.iter()? {
                let (key, value) = item?;
                let record = unguarded(&key.value().0.to_le_bytes(), value.value());
                found.extend(record.and_then(|bytes| serde_json::from_slice(bytes).ok()));
            }
            Ok(found)
        })?;
        Ok(found.unwrap_or_default())
    }

    /// Those of one store, oldest first.
    ///
    /// # Errors
    /// [`crate::Error::Io`], [`crate::Error::State`].
    pub fn of(&self, location: &str) -> Result<Vec<RunRecord>> {
        let mut all = self.all()?;
        all.retain(|record| record.location == location);
        Ok(all)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_kept_for_a_year_and_more() {
        let folder = tempfile::tempdir().unwrap();
        let runs = Runs::at(folder.path());
        assert!(runs.all().unwrap().is_empty());
        let run = |command: &str, started_secs| RunRecord {
            command: command.into(),
            location: "b2://one".into(),
            started_secs,
            ..RunRecord::default()
        };
        runs.add(&run("backup", 1_000_000)).unwrap();
        runs.add(&run("check", 1_000_000)).unwrap();
        runs.add(&RunRecord { location: "/other".into(), exit_code: 7, ..run("backup", 1_000_001) }).unwrap();
        let commands = |all: Vec<RunRecord>| all.into_iter().map(|r| r.command).collect::<Vec<_>>();
        assert_eq!(commands(runs.all().unwrap()), ["backup", "check", "backup"]);
        assert_eq!(commands(runs.of("b2://one").unwrap()), ["backup", "check"]);
        assert!(runs.all().unwrap()[0].is_success() && !runs.all().unwrap()[2].is_success());
        runs.add(&run("drill", 1_000_000 + KEPT_SECS + 1)).unwrap();
        assert_eq!(commands(runs.all().unwrap()), ["backup", "drill"]);
    }
}
