//! `audit`: what is on this machine beside what is backed up of it.

use super::Outcome;
use crate::context::Context;
use crate::facts::Known;
use crate::open;
use panther::format::time::Time;
use panther::ops::Progress;
use panther::ops::audit::{AuditSource, Made, audit, look};
use panther::repo::Repository;
use panther::repo::snapshots::Snapshot;
use panther::report::audit::{Body, text};
use panther::source::{ExcludeOptions, Excludes};
use panther::state::runs::RunRecord;
use panther::{Error, Result};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Options of `audit`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther -p nightly audit

Looks at this machine for file systems that last, data folders of PostgreSQL and Redis, and homes; and says of
each, and of each source of the profile, whether it is backed up and how old its newest backup is, beside
what the source or the machine allows (recovery-point). Goes by the snapshots in the repository; with a
writer's key, which cannot read them, by this machine's own history of runs. Needs a profile with sources.
Exit code 3: there are gaps.")]
pub struct Options {}

/// Looks.
pub fn run(_: &Options, context: &Context) -> Result<Outcome> {
    let Some(profile) = context.profile().filter(|profile| !profile.sources.is_empty()) else {
        return Err(Error::Usage("what should be backed up? An audit needs a profile with sources".into()));
    };
    let known = Known::gather(context);
    let objective = known.objective.recovery_point_secs();
    let sources: Vec<AuditSource> = profile
        .sources
        .iter()
        .filter_map(|source| {
            let path = source.path.as_ref().or(source.subvolume.as_ref())?.get().clone();
            let own = source.recovery_point.as_ref().map(|time| time.get().as_secs());
            Some(AuditSource { path, recovery_point_secs: own.unwrap_or(objective) })
        })
        .collect();
    let backup = profile.backup.clone().unwrap_or_default();
    let excludes = Excludes::new(&ExcludeOptions {
        patterns: backup.exclude.clone(),
        case_insensitive_patterns: backup.iexclude.clone(),
        files: backup.exclude_files.iter().map(|file| file.get().clone()).collect(),
        ..ExcludeOptions::default()
    })?;
    let (repo, _) = open::repository(context)?;
    let host = backup.host.clone().unwrap_or_else(open::host);
    let made = if repo.keys().need_reader("compare sources with snapshots").is_ok() {
        of_snapshots(context, &repo, &host)?
    } else {
        of_history(&known)
    };
    let mountinfo = std::fs::read("/proc/self/mountinfo").map_err(|e| Error::io("read", "/proc/self/mountinfo", e))?;
    let found = look(Path::new("/"), &String::from_utf8_lossy(&mountinfo), backup.one_file_system != Some(true));
    let lines = audit(&found, &sources, &excludes, &made, Time::now().secs);
    let gaps = lines.iter().filter(|line| line.is_gap()).count() as u64;
    let body = Body { host: &known.host, lines: &lines, gaps };
    context.emit(&body, || text(&body))?;
    Ok(if gaps == 0 { Outcome::Complete } else { Outcome::Incomplete })
}

/// What the repository has of a host.
fn of_snapshots(context: &Context, repo: &Repository, host: &str) -> Result<Vec<Made>> {
    let statements = repo.statements_for_reading(|error| context.ui.warn(&open::with_causes(error)))?;
    let listing = repo.snapshots(&statements)?;
    listing.bad.iter().for_each(|error| context.ui.warn(&open::with_causes(error)));
    let is_its = |s: &&Snapshot| s.head.cover.host == host && !statements.forgotten.contains(&s.head.id);
    let path = |raw: &[u8]| PathBuf::from(OsStr::from_bytes(raw));
    let made = |s: &Snapshot| Made {
        paths: s.manifest.roots.iter().map(|root| path(&root.path)).collect(),
        at_secs: s.judged_time().secs,
    };
    Ok(listing.snapshots.iter().filter(is_its).map(made).collect())
}

/// What this machine remembers of its backups.
fn of_history(known: &Known) -> Vec<Made> {
    let made = |run: &RunRecord| Made {
        paths: run.details["paths"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|p| p.as_str())
            .map(PathBuf::from)
            .collect(),
        at_secs: run.started_secs,
    };
    known.runs.iter().filter(|run| run.command == "backup" && run.is_success() && !run.is_dry).map(made).collect()
}
