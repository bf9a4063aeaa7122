//! `audit`: what is on this machine beside what is backed up of it, and how old.

mod machine;

pub use machine::{Found, Kind, look};

use crate::source::Excludes;
use std::path::{Path, PathBuf};

/// A source of the configuration.
#[derive(Clone, Debug)]
pub struct AuditSource {
    /// Where it is.
    pub path: PathBuf,
    /// How old its newest backup may be, in seconds.
    pub recovery_point_secs: u64,
}

/// A backup that was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// What it has.
    pub paths: Vec<PathBuf>,
    /// When it was made, in seconds since 1970.
    pub at_secs: i64,
}

/// How something is covered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coverage {
    /// It is backed up, and recently enough.
    Covered,
    /// Somebody has left it out on purpose.
    Excluded,
    /// It is backed up, but the newest backup is too old.
    TooOld,
    /// It is a source, and no snapshot has it.
    NeverBackedUp,
    /// Nobody backs it up.
    NotCovered,
}

/// Something on this machine.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Line {
    /// What it is.
    pub kind: Kind,
    /// Where it is.
    pub path: String,
    /// How it is covered.
    pub coverage: Coverage,
    /// The source that covers it.
    pub source: Option<String>,
    /// How old its newest backup is.
    pub age_secs: Option<u64>,
    /// How old it may be.
    pub recovery_point_secs: Option<u64>,
}

impl Line {
    /// Whether somebody should do something.
    pub fn is_gap(&self) -> bool {
        self.coverage > Coverage::Excluded
    }
}

/// Judges what was found. `backups` are those of this host; `now_secs` is the time since 1970.
pub fn audit(
    found: &[Found],
    sources: &[AuditSource],
    excludes: &Excludes,
    backups: &[Made],
    now_secs: i64,
) -> Vec<Line> {
    let mut lines: Vec<Line> =
        sources.iter().map(|source| judge(Kind::Source, &source.path, Some(source), backups, now_secs)).collect();
    for found in found.iter().filter(|found| sources.iter().all(|source| source.path != found.path)) {
        // The nearest one: a source may lie in another.
        let within = sources.iter().filter(|source| found.path.starts_with(&source.path));
        let source = within.max_by_key(|source| source.path.as_os_str().len());
        let is_left_out = |path: &Path| excludes.matches(path, true);
        let between = source.map(|source| {
            let above = found.path.ancestors().take_while(|above| *above != source.path);
            above.into_iter().any(is_left_out)
        });
        let mut line = match source {
            // Another file system, or a subvolume that is not followed, is not in the source's snapshot.
            Some(source) if found.is_apart && !source_reaches(source, found) => {
                judge(found.kind, &found.path, None, backups, now_secs)
            }
            source => judge(found.kind, &found.path, source, backups, now_secs),
        };
        if between == Some(true) || (source.is_none() && is_left_out(&found.path)) {
            line.coverage = Coverage::Excluded;
        }
        lines.push(line);
    }
    lines.sort_by(|a, b| b.coverage.cmp(&a.coverage).then_with(|| a.path.cmp(&b.path)));
    lines
}

/// Whether a source takes along what lies in it and is a file system or subvolume of its own.
fn source_reaches(_: &AuditSource, found: &Found) -> bool {
    found.is_followed
}

fn judge(kind: Kind, path: &Path, source: Option<&AuditSource>, backups: &[Made], now_secs: i64) -> Line {
    let newest = source.and_then(|source| {
        let has = |made: &&Made| made.paths.iter().any(|path| source.path.starts_with(path));
        backups.iter().filter(has).map(|made| made.at_secs).max()
    });
    let age_secs = newest.map(|newest| u64::try_from(now_secs - newest).unwrap_or(0));
    let coverage = match (source, age_secs) {
        (None, _) => Coverage::NotCovered,
        (Some(_), None) => Coverage::NeverBackedUp,
        (Some(source), Some(age)) if age > source.recovery_point_secs => Coverage::TooOld,
        (Some(_), Some(_)) => Coverage::Covered,
    };
    Line {
        kind,
        path: path.display().to_string(),
        coverage,
        source: source.map(|source| source.path.display().to_string()),
        age_secs,
        recovery_point_secs: source.map(|source| source.recovery_point_secs),
    }
}
