//! Snapshots.

use super::repo::Restic;
use super::{Id, bad, bad_json};
use crate::error::{Error, FormatError, Result};
use crate::format::time::Time;
use serde::Deserialize;

/// A snapshot of restic's.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Its id.
    pub id: Id,
    /// When it was begun.
    pub time: Time,
    /// When the backup was finished, where the snapshot says so (since restic 0.17); else when it was begun.
    pub finished: Time,
    /// The snapshot that it was compared with.
    pub parent: Option<Id>,
    /// Its root.
    pub tree: Id,
    /// What was backed up, made absolute; bytes that are no UTF-8 are U+FFFD.
    pub paths: Vec<String>,
    /// Host name.
    pub host: String,
    /// Who made it.
    pub user: String,
    /// His number.
    pub uid: u32,
    /// And his group's.
    pub gid: u32,
    /// Tags, as they come.
    pub tags: Vec<String>,
    /// Patterns of what was left out.
    pub excludes: Vec<String>,
    /// Program and version, where the snapshot says so.
    pub program: Option<String>,
}

#[derive(Deserialize)]
struct Raw {
    time: String,
    parent: Option<Id>,
    tree: Id,
    paths: Option<Vec<String>>,
    #[serde(default)]
    hostname: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    uid: u32,
    #[serde(default)]
    gid: u32,
    tags: Option<Vec<String>>,
    excludes: Option<Vec<String>>,
    program_version: Option<String>,
    summary: Option<RawSummary>,
}

#[derive(Deserialize)]
struct RawSummary {
    backup_end: Option<String>,
}

/// The time of an RFC 3339 text; nothing if it is none.
pub(super) fn time(text: &str) -> Option<Time> {
    let stamp: jiff::Timestamp = text.parse().ok()?;
    let (secs, nanos) = (stamp.as_second(), stamp.subsec_nanosecond());
    // Of times before 1970 the fraction is counted backwards.
    Some(match u32::try_from(nanos) {
        Ok(nanos) => Time { secs, nanos },
        Err(_) => Time { secs: secs - 1, nanos: u32::try_from(nanos + 1_000_000_000).ok()? },
    })
}

impl Restic {
    /// All snapshots, oldest first, and what is wrong with those that cannot be read.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn snapshots(&self) -> Result<(Vec<Snapshot>, Vec<Error>)> {
        let (mut found, mut odd) = (Vec::new(), Vec::new());
        for id in self.list("snapshots")? {
            match self.snapshot(&id) {
                Ok(snapshot) => found.push(snapshot),
                Err(error @ Error::Foreign { .. }) => odd.push(error),
                Err(error) => return Err(error),
            }
        }
        found.sort_by_key(|snapshot| (snapshot.time, snapshot.id));
        Ok((found, odd))
    }

    fn snapshot(&self, id: &Id) -> Result<Snapshot> {
        let object = format!("snapshots/{}", id.to_hex());
        let raw: Raw = bad_json(&object, serde_json::from_slice(&self.file("snapshots", id)?))?;
        let began = time(&raw.time).ok_or_else(|| bad(&object, FormatError::Invalid("its time makes no sense")))?;
        let finished = raw.summary.and_then(|summary| time(&summary.backup_end?));
        Ok(Snapshot {
            id: *id,
            time: began,
            finished: finished.filter(|finished| *finished > began).unwrap_or(began),
            parent: raw.parent,
            tree: raw.tree,
            paths: raw.paths.unwrap_or_default(),
            host: raw.hostname,
            user: raw.username,
            uid: raw.uid,
            gid: raw.gid,
            tags: raw.tags.unwrap_or_default(),
            excludes: raw.excludes.unwrap_or_default(),
            program: raw.program_version,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_to_the_nanosecond() {
        for (text, secs, nanos) in [
            ("2024-02-29T12:00:00.123456789+01:00", 1_709_204_400, 123_456_789),
            ("1970-01-01T00:00:00Z", 0, 0),
            ("1969-12-31T23:59:59.25Z", -1, 250_000_000),
            ("1900-01-01T00:00:00-02:00", -2_208_981_600, 0),
            ("0001-01-01T00:00:00Z", -62_135_596_800, 0),
            ("2024-02-29T12:00:00.5+01:00[Europe/Berlin]", 1_709_204_400, 500_000_000),
        ] {
            assert_eq!(time(text), Some(Time { secs, nanos }), "{text}");
        }
        for text in ["", "yesterday", "2024-02-30T00:00:00Z", "2024-02-29T12:00:00"] {
            assert_eq!(time(text), None, "{text}");
        }
    }
}
