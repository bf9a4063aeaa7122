//! Databases among what is backed up, and hooks: what is run before and after snapshots are taken.

pub mod command;
pub mod control;
pub mod postgres;
pub mod redis;
pub mod spec;

pub use command::CommandLine;
pub use control::{ControlFile, Lsn};
pub use spec::{Database, DatabaseKind};

use std::time::Duration;

/// What is run around the taking of all snapshots of a backup.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hooks {
    /// Before: if it fails, nothing is backed up.
    pub before: Option<CommandLine>,
    /// After, also if something failed.
    pub after: Option<CommandLine>,
    /// How long each may take.
    pub timeout: Duration,
}

impl Default for Hooks {
    fn default() -> Self {
        Self { before: None, after: None, timeout: command::DEFAULT_TIMEOUT }
    }
}

/// What became of a database in a backup.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct DatabaseReport {
    /// What it is.
    pub kind: DatabaseKind,
    /// What it is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The folder that was given.
    pub path: String,
    /// Why it was left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What the snapshot has of PostgreSQL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postgresql: Option<PostgresReport>,
}

/// What is in the snapshot of a PostgreSQL.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct PostgresReport {
    /// The system identifier, in decimal.
    pub system: String,
    /// The timeline.
    pub timeline: u32,
    /// Where recovery begins: the last checkpoint's redo location.
    pub lsn: String,
}

impl PostgresReport {
    /// What a data directory says of itself.
    pub fn new(control: &ControlFile) -> Self {
        let ControlFile { system, redo, timeline } = *control;
        Self { system: system.to_string(), timeline, lsn: redo.to_string() }
    }

    /// Tags of the snapshot: `pg.system=…`, `pg.timeline=…`, `pg.lsn=…`; with a name `pg.NAME.system=…`.
    pub fn tags(&self, name: Option<&str>) -> [String; 3] {
        let prefix = name.map_or_else(|| "pg".to_owned(), |name| format!("pg.{name}"));
        [
            format!("{prefix}.system={}", self.system),
            format!("{prefix}.timeline={}", self.timeline),
            format!("{prefix}.lsn={}", self.lsn),
        ]
    }
}
