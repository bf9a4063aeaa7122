//! How databases are named on the command line: `KIND=FOLDER[,KEY=VALUE…]`, with the words of the configuration.

use super::command::{CommandLine, DEFAULT_TIMEOUT};
use crate::error::{Error, Result};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// A sort of database.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatabaseKind {
    /// PostgreSQL.
    Postgresql,
    /// Redis, or Valkey.
    Redis,
    /// Something else, with hooks.
    Other,
}

impl DatabaseKind {
    /// What it is called.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Postgresql => "postgresql",
            Self::Redis => "redis",
            Self::Other => "other",
        }
    }
}

/// A database among what is backed up, and what is done around its snapshot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Database {
    /// What it is.
    pub kind: DatabaseKind,
    /// What it is called in reports and tags.
    pub name: Option<String>,
    /// Its data directory.
    pub folder: PathBuf,
    /// How to reach it: `psql` or `redis-cli` with its options.
    pub client: Option<CommandLine>,
    /// Run before the snapshot.
    pub before: Option<CommandLine>,
    /// Run after the snapshot, also if something failed.
    pub after: Option<CommandLine>,
    /// How long each of these may take.
    pub timeout: Duration,
}

impl Database {
    /// A database of which nothing else is said.
    pub fn new(kind: DatabaseKind, folder: PathBuf) -> Self {
        Self { kind, name: None, folder, client: None, before: None, after: None, timeout: DEFAULT_TIMEOUT }
    }

    /// What messages call it.
    pub fn label(&self) -> String {
        match &self.name {
            Some(name) => format!("{} {name}", self.kind.as_str()),
            None => format!("{} in {}", self.kind.as_str(), self.folder.display()),
        }
    }
}

impl FromStr for Database {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let usage = |why: String| Error::Usage(format!("the database {text:?}: {why}"));
        let mut parts = split(text).into_iter();
        let first = parts.next().unwrap_or_default();
        let Some((kind, folder)) = first.split_once('=') else {
            return Err(usage("it is not KIND=FOLDER".into()));
        };
        let kind = match kind {
            "postgresql" => DatabaseKind::Postgresql,
            "redis" => DatabaseKind::Redis,
            "other" => DatabaseKind::Other,
            _ => return Err(usage(format!("{kind:?} is none of postgresql, redis, other"))),
        };
        if folder.is_empty() {
            return Err(usage("its folder is empty".into()));
        }
        let mut database = Self::new(kind, PathBuf::from(folder));
        for part in parts {
            let Some((key, value)) = part.split_once('=') else {
                return Err(usage(format!("{part:?} is not KEY=VALUE")));
            };
            match key {
                "name" if is_name(value) => database.name = Some(value.to_owned()),
                "name" => return Err(usage("a name has letters, digits, - and _".into())),
                "client" => database.client = Some(CommandLine::parse(value)?),
                "before" => database.before = Some(CommandLine::parse(value)?),
                "after" => database.after = Some(CommandLine::parse(value)?),
                "timeout" => database.timeout = parse_timeout(value)?,
                _ => return Err(usage(format!("{key:?} is none of name, client, before, after, timeout"))),
            }
        }
        if kind == DatabaseKind::Other && database.client.is_some() {
            return Err(usage("only postgresql and redis have a client".into()));
        }
        Ok(database)
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// At commas outside quotes. Quotes stay, except that of a value which is quoted as a whole they are left to who reads it.
fn split(text: &str) -> Vec<String> {
    let (mut parts, mut quote, mut escaped) = (vec![String::new()], None, false);
    for c in text.chars() {
        match (c, quote) {
            _ if escaped => escaped = false,
            ('\\', None | Some('"')) => escaped = true,
            (',', None) => {
                parts.push(String::new());
                continue;
            }
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
}

/// A length of time: `90s`, `5min`, `1h 30min`.
///
/// # Errors
/// [`Error::Usage`] for what is none, or is nothing.
pub fn parse_timeout(text: &str) -> Result<Duration> {
    let span: Option<jiff::SignedDuration> = text.parse().ok();
    let found = span.and_then(|span| Duration::try_from(span).ok()).filter(|timeout| !timeout.is_zero());
    found.ok_or_else(|| Error::Usage(format!("{text:?} is no length of time such as 90s or 5min")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_database() {
        let plain: Database = "postgresql=/var/lib/pg".parse().unwrap();
        assert_eq!(plain, Database::new(DatabaseKind::Postgresql, "/var/lib/pg".into()));
        let full: Database =
            "redis=/d,name=main,client=redis-cli -s '/run/a,b',timeout=1h 30min,before=x \"a,b\",after=y"
                .parse()
                .unwrap();
        assert_eq!(full.client, Some(CommandLine::parse("redis-cli -s /run/a,b").unwrap()));
        assert_eq!(full.timeout, Duration::from_secs(5400));
        assert_eq!(full.before, Some(CommandLine::parse("x a,b").unwrap()));
        assert_eq!(full.label(), "redis main");
        for bad in [
            "",
            "redis",
            "mysql=/x",
            "redis=",
            "redis=/x,y",
            "redis=/x,y=z",
            "redis=/x,name=a.b",
            "redis=/x,timeout=0s",
            "redis=/x,timeout=5",
            "redis=/x,client=",
            "other=/x,client=y",
            "redis=/x,client='y",
        ] {
            assert!(bad.parse::<Database>().is_err(), "{bad}");
        }
    }
}
