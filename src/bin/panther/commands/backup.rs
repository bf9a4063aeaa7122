//! `backup`: files and folders into a snapshot.

use super::Outcome;
use super::stream::Streams;
use crate::context::Context;
use crate::{budget, open, roles};
use panther::config;
use panther::format::name::Name;
use panther::ops::Progress;
use panther::ops::backup::{BackupOptions, BackupReport, SnapshotMode, SubvolumeOptions, backup};
use panther::ops::database::spec::parse_timeout;
use panther::ops::database::{CommandLine, Database, DatabaseKind, Hooks};
use panther::ops::stream::{StreamOptions, backup_stream};
use panther::repo::Repository;
use panther::repo::statements::Statements;
use panther::repo::writer::{AUTO, DEFAULT_LEVEL};
use panther::report::backup as report;
use panther::source::{ExcludeOptions, parse_size};
use panther::{Error, Result};
use serde_json::json;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Options of `backup`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther -r REPO backup /home /etc --exclude-caches --tag daily
  panther -r REPO backup / -x --exclude /var/cache --exclude '*.iso'
  panther -r REPO backup ~/work --dry-run
  pg_dumpall | panther -r REPO backup --stdin --stdin-filename all.sql
  panther -r REPO backup --stdin-from-command --stdin-filename all.sql -- pg_dumpall
  find ~ -name '*.odt' -print0 | panther -r REPO backup --files-from0 -
  panther -r REPO backup /etc /var/lib/postgresql --database postgresql=/var/lib/postgresql

Patterns are those of .gitignore; one with a slash in its middle matches at any depth, one that
begins with a slash only there. Exit code 3: the snapshot was made, but something could not be read.")]
pub struct Options {
    /// Files and folders [default: the profile's sources]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    streams: Streams,
    /// Tags for the snapshot, separated by commas; may be given several times
    #[arg(long, value_name = "TAG[,TAG…]")]
    tag: Vec<String>,
    /// Host name for the snapshot [default: this host's]
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    #[command(flatten)]
    excludes: Excludes,
    /// Store nothing, only count
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Read every file, whether it seems unchanged or not
    #[arg(short, long)]
    force: bool,
    /// Make no snapshot if nothing has changed
    #[arg(long)]
    skip_if_unchanged: bool,
    /// Make the backup although the month's budget says stop (docs/cost.md)
    #[arg(long)]
    override_budget: bool,
    /// Read Btrfs subvolumes from read-only snapshots: auto takes one of each path that is a subvolume, and reads the live files if that cannot be done (docs/btrfs.md)
    #[arg(long, value_name = "WHEN", default_value = "auto", value_enum)]
    snapshot: When,
    /// Read this snapshot of the subvolume instead of taking one
    #[arg(long, value_name = "PATH", conflicts_with_all = ["snapshot", "newest_in"])]
    from_snapshot: Option<PathBuf>,
    /// Read the newest snapshot of the subvolume in this folder instead of taking one
    #[arg(long, value_name = "FOLDER", conflicts_with = "snapshot")]
    newest_in: Option<PathBuf>,
    /// A database in the paths: postgresql=FOLDER, redis=FOLDER or other=FOLDER, and maybe ,name= ,client= ,before= ,after= ,timeout=; it is made ready before its snapshot, and left out if that fails
    #[arg(long, value_name = "KIND=FOLDER[,…]")]
    database: Vec<Database>,
    /// Run before snapshots are taken, without a shell; if it fails, nothing is backed up
    #[arg(long, value_name = "COMMAND", value_parser = CommandLine::parse)]
    hook_before: Option<CommandLine>,
    /// Run as soon as snapshots are taken, also if something failed; where none is taken, once all is read
    #[arg(long, value_name = "COMMAND", value_parser = CommandLine::parse)]
    hook_after: Option<CommandLine>,
    /// How long each hook may take before it is killed
    #[arg(long, value_name = "TIME", default_value = "5min", value_parser = parse_timeout)]
    hook_timeout: Duration,
    /// auto, fastest, default, better, max, or a zstd level from 1 to 19; auto is default, and works harder where the uplink leaves time for it
    /// [default: the profile's, else auto]
    #[arg(long, value_name = "LEVEL", value_parser = parse_level)]
    compression: Option<i32>,
}

/// When snapshots are taken.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum When {
    /// Of each path that is a Btrfs subvolume; the live files if that cannot be done
    Auto,
    /// Of all subvolumes in which the paths lie; it is an error if that cannot be done
    Always,
    /// Never: the live files are read
    Never,
}

impl Options {
    fn snapshots(&self) -> SnapshotMode {
        match (&self.from_snapshot, &self.newest_in, self.snapshot) {
            (Some(path), ..) => SnapshotMode::Named(path.clone()),
            (None, Some(folder), _) => SnapshotMode::NewestIn(folder.clone()),
            (None, None, When::Auto) => SnapshotMode::Auto,
            (None, None, When::Always) => SnapshotMode::Always,
            (None, None, When::Never) => SnapshotMode::Never,
        }
    }
}

/// What is left out.
#[derive(Debug, clap::Args)]
pub struct Excludes {
    /// Leave out what matches this pattern
    #[arg(short, long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// As --exclude, but the case of letters does not matter
    #[arg(long, value_name = "PATTERN")]
    iexclude: Vec<String>,
    /// Leave out what matches a pattern of this file, one a line
    #[arg(long, value_name = "FILE")]
    exclude_file: Vec<PathBuf>,
    /// Leave out what is in folders with a CACHEDIR.TAG
    #[arg(long)]
    exclude_caches: bool,
    /// Leave out files larger than this, such as 500M or 2GiB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    exclude_larger_than: Option<u64>,
    /// Stay on the file systems of the paths given
    #[arg(short = 'x', long)]
    one_file_system: bool,
}

impl Excludes {
    /// What the profile leaves out and what these options leave out.
    pub fn make(&self, profile: &config::types::Backup) -> ExcludeOptions {
        let files = profile.exclude_files.iter().map(|file| file.get().clone());
        ExcludeOptions {
            patterns: both(&profile.exclude, &self.exclude),
            case_insensitive_patterns: both(&profile.iexclude, &self.iexclude),
            files: files.chain(self.exclude_file.iter().cloned()).collect(),
            caches: self.exclude_caches || profile.exclude_caches == Some(true),
            larger_than_bytes: self
                .exclude_larger_than
                .or(profile.exclude_larger_than.as_ref().map(|size| *size.get())),
            one_file_system: self.one_file_system || profile.one_file_system == Some(true),
        }
    }
}

fn both(profile: &[String], options: &[String]) -> Vec<String> {
    profile.iter().chain(options).cloned().collect()
}

/// The paths of the profile's sources.
fn sources(context: &Context) -> Result<Vec<PathBuf>> {
    let Some(profile) = context.profile() else {
        return Err(Error::Usage("name at least one file or folder to back up, or use a profile with sources".into()));
    };
    if profile.sources.is_empty() {
        return Err(Error::Usage("the profile has no sources: name at least one file or folder to back up".into()));
    }
    let place =
        |source: &config::types::Source| source.path.as_ref().or(source.subvolume.as_ref()).map(|p| p.get().clone());
    Ok(profile.sources.iter().filter_map(place).collect())
}

/// The databases of the profile.
fn databases(context: &Context) -> Result<Vec<Database>> {
    let made = |from: &config::types::Database| {
        let command = |words: &Option<config::values::Command>| match words {
            Some(words) => CommandLine::new(words.0.clone()).map(Some),
            None => Ok(None),
        };
        // The first source has the data directory; what else belongs to it is found by that.
        let folder = from.sources.first().map(|path| path.get().clone()).unwrap_or_default();
        let kind = match from.kind {
            config::types::DatabaseKind::Postgresql => DatabaseKind::Postgresql,
            config::types::DatabaseKind::Redis => DatabaseKind::Redis,
            config::types::DatabaseKind::Other => DatabaseKind::Other,
        };
        let mut database = Database::new(kind, folder);
        database.name.clone_from(&from.name);
        database.client = command(&from.client)?;
        database.before = command(&from.before)?;
        database.after = command(&from.after)?;
        if let Some(timeout) = &from.timeout {
            database.timeout = *timeout.get();
        }
        Ok(database)
    };
    context.profile().map_or(&[][..], |profile| &profile.databases).iter().map(made).collect()
}

/// What the profile says of single subvolumes.
fn subvolumes(context: &Context) -> BTreeMap<PathBuf, SubvolumeOptions> {
    let of = |source: &config::types::Source| {
        let options = SubvolumeOptions {
            newest_of: source.newest_of.as_ref().map(|folder| folder.get().clone()),
            skips_nested: source.nested == config::types::Nested::Skip,
        };
        Some((source.subvolume.as_ref()?.get().clone(), options))
    };
    context.profile().map_or(&[][..], |profile| &profile.sources).iter().filter_map(of).collect()
}

fn size(text: &str) -> Result<u64, String> {
    parse_size(text).map_err(|e| e.to_string())
}

fn parse_level(text: &str) -> Result<i32, String> {
    match text {
        "fastest" => Ok(1),
        "auto" => Ok(AUTO),
        "default" => Ok(DEFAULT_LEVEL),
        "better" => Ok(9),
        "max" => Ok(19),
        _ => text
            .parse()
            .ok()
            .filter(|level| (1..=19).contains(level))
            .ok_or_else(|| "it is none of auto, fastest, default, better, max, 1 to 19".to_owned()),
    }
}

/// Makes a snapshot.
pub fn run(options: &Options, context: &Context) -> Result<Outcome> {
    let from_profile = context.profile().and_then(|profile| profile.backup.clone()).unwrap_or_default();
    let host = options.host.clone().or_else(|| from_profile.host.clone()).unwrap_or_else(open::host);
    // Its databases live in its sources.
    let stream = options.streams.input(&options.paths)?;
    let whole_profile = options.paths.is_empty() && stream.is_none() && !options.streams.has_lists();
    let mut paths = if whole_profile { sources(context)? } else { options.paths.clone() };
    if options.streams.has_lists() {
        paths.extend(options.streams.listed(context)?);
    }
    let level = match (options.compression, &from_profile.compression) {
        (Some(level), _) => level,
        (None, Some(text)) => parse_level(&text.to_string()).map_err(Error::Usage)?,
        (None, None) => AUTO,
    };
    let mut tags: Vec<String> = options.tag.iter().flat_map(|list| list.split(',')).map(str::to_owned).collect();
    tags.extend(from_profile.tags.iter().cloned());
    if tags.iter().any(String::is_empty) {
        return Err(Error::Usage("a tag is empty".into()));
    }
    tags.sort();
    tags.dedup();
    let (repo, _) = open::repository(context)?;
    roles::warn_of_power(context, &repo);
    let state = open::state(context, &repo)?;
    if let Some((input, path)) = stream {
        let writer = open::writer(context, &repo, &host);
        let made = StreamOptions { path, tags, host, writer, dry_run: options.dry_run };
        let done = backup_stream(&repo, &state, &input, &made, &context.ui)?;
        note(context, &repo, &[PathBuf::from(OsStr::from_bytes(&made.path))], &done);
        context.report(&done, || report::text(&done))?;
        return Ok(Outcome::Complete);
    }
    let overridden = options.override_budget;
    let options = BackupOptions {
        paths,
        tags,
        writer: open::writer(context, &repo, &host),
        host,
        excludes: options.excludes.make(&from_profile),
        level,
        dry_run: options.dry_run,
        force: options.force,
        skip_if_unchanged: options.skip_if_unchanged || from_profile.skip_if_unchanged == Some(true),
        threads: 0,
        snapshots: options.snapshots(),
        databases: if whole_profile && options.database.is_empty() {
            databases(context)?
        } else {
            options.database.clone()
        },
        subvolumes: if whole_profile { subvolumes(context) } else { Default::default() },
        hooks: Hooks {
            before: options.hook_before.clone(),
            after: options.hook_after.clone(),
            timeout: options.hook_timeout,
        },
    };
    budget::check(context, &repo, &state, &options, overridden)?;
    let done = backup(&repo, &state, &options, &context.ui)?;
    note(context, &repo, &options.paths, &done);
    let left_out = done.databases.iter().filter_map(|database| database.error.as_ref());
    done.warnings.iter().chain(&done.failed_hooks).chain(left_out).for_each(|warning| context.ui.warn(warning));
    open::warn_of_oddities(context, &repo);
    context.report(&done, || report::text(&done))?;
    Ok(if report::is_incomplete(&done) { Outcome::Incomplete } else { Outcome::Complete })
}

/// For the history and for metrics.
fn note(context: &Context, repo: &Repository, paths: &[PathBuf], done: &BackupReport) {
    // What is not read back is no success to be told to anybody.
    let is_read_back = done.snapshot.is_some_and(|id| {
        let name = Name::Snapshot(done.writer.clone(), id);
        context.metrics().is_some() && matches!(repo.read_head(&name, &Statements::default()), Ok(Some(_)))
    });
    context.note(|record| {
        record.writer = done.writer.to_string();
        record.snapshot = done.snapshot.map(|id| id.to_hex());
        record.is_read_back = is_read_back || (done.snapshot.is_none() && !done.dry_run);
        record.source_bytes = done.summary.source_bytes;
        record.new_bytes = done.summary.data_bytes + done.summary.tree_bytes;
        record.stored_bytes = done.summary.stored_bytes;
        record.problems = done.summary.unreadable + done.vanished.len() as u64;
        record.is_dry = done.dry_run;
        // What was asked for, without a database that was left out: an audit goes by it.
        let is_there =
            |path: &&PathBuf| !done.databases.iter().any(|d| d.error.is_some() && Path::new(&d.path) == *path);
        let whole = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone()).display().to_string();
        record.details = json!({ "paths": paths.iter().filter(is_there).map(whole).collect::<Vec<_>>() });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels() {
        for (text, level) in [("auto", AUTO), ("default", 3), ("fastest", 1), ("max", 19), ("7", 7)] {
            assert_eq!(parse_level(text), Ok(level));
        }
        for text in ["", "0", "20", "-1", "off"] {
            assert!(parse_level(text).is_err());
        }
    }
}
