//! Databases and hooks around the taking of snapshots.

use super::roots::{containing_subvolume, mounts_below};
use super::sources::{Sources, Wanted};
use super::{BackupOptions, SnapshotMode};
use crate::error::{CommandError, Error, Result};
use crate::ops::Progress;
use crate::ops::database::command::Limits;
use crate::ops::database::postgres::{Cluster, PID_FILE};
use crate::ops::database::{CommandLine, Database, DatabaseKind, DatabaseReport, Hooks, PostgresReport, redis};
use crate::source::btrfs::nested_subvolumes;
use crate::source::snapshot_folder::FOLDER;
use crate::source::{ExcludeOptions, Excludes};
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A database while its snapshot is taken.
struct Held<'a> {
    database: &'a Database,
    /// The folder that was given, resolved.
    folder: PathBuf,
    /// Folders that must be in one snapshot.
    places: Vec<PathBuf>,
    cluster: Option<Cluster>,
    error: Option<Error>,
    facts: Option<PostgresReport>,
    wants_after: bool,
}

/// What was made ready, until it is let go.
pub(super) struct Quiet<'a> {
    hooks: &'a Hooks,
    held: Vec<Held<'a>>,
    progress: &'a dyn Progress,
    wants_after: bool,
    failed_hooks: Vec<String>,
}

/// What is backed up, now that it is known what is left out.
pub(super) struct Ready {
    pub sources: Sources,
    pub roots: Vec<PathBuf>,
    pub excludes: Excludes,
    pub exclude_options: ExcludeOptions,
    /// Whether this run is not like others: what it took is not for the next run to compare with.
    pub is_odd: bool,
}

impl Sources {
    /// Where a path is in the snapshot that this run has taken; nothing if it is read from none.
    fn taken_of(&self, path: &Path) -> Option<PathBuf> {
        let (at, inner) = containing_subvolume(path)?;
        let subvolume = self.subvolumes.iter().find(|subvolume| subvolume.at == at && subvolume.own.is_some())?;
        Some(subvolume.path.join(inner))
    }
}

fn refused(database: &Database, why: String) -> Error {
    Error::Command { what: database.label(), source: CommandError::Failed(why) }
}

impl<'a> Quiet<'a> {
    /// Checks what was asked for; runs nothing.
    ///
    /// # Errors
    /// [`Error::Usage`] when a database is in none of the roots, or no snapshot is taken.
    pub fn new(options: &'a BackupOptions, roots: &[PathBuf], progress: &'a dyn Progress) -> Result<Self> {
        let mut held = Vec::new();
        for database in &options.databases {
            let (folder, error) = match database.folder.canonicalize() {
                Ok(folder) => (folder, None),
                Err(error) => (database.folder.clone(), Some(Error::io("find", &database.folder, error))),
            };
            if error.is_none() && !roots.iter().any(|root| folder.starts_with(root)) {
                let why = "is not in any of the paths that are backed up";
                return Err(Error::Usage(format!("the database's folder {} {why}", folder.display())));
            }
            let places = vec![folder.clone()];
            held.push(Held { database, folder, places, cluster: None, error, facts: None, wants_after: false });
        }
        let takes = matches!(options.snapshots, SnapshotMode::Auto | SnapshotMode::Always);
        let is_built_in = |database: &Database| database.kind != DatabaseKind::Other;
        if !takes && options.databases.iter().any(is_built_in) {
            return Err(Error::Usage("a database's backup takes a snapshot of its own: it must be allowed to".into()));
        }
        Ok(Self { hooks: &options.hooks, held, progress, wants_after: false, failed_hooks: Vec::new() })
    }

    /// Makes everything ready. What fails is left out, and known from then on.
    ///
    /// # Errors
    /// [`Error::Command`] when the hook before everything has failed; [`Error::Interrupted`].
    pub fn begin(&mut self) -> Result<()> {
        self.wants_after = true;
        if let Some(hook) = &self.hooks.before {
            run(hook, "the hook before", self.hooks.timeout, false, self.progress)?;
        }
        for held in self.held.iter_mut().filter(|held| held.error.is_none()) {
            match held.begin(self.progress) {
                Ok(()) => {}
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Err(error) => held.error = Some(error),
            }
        }
        Ok(())
    }

    /// Takes the snapshots of all that is ready.
    ///
    /// # Errors
    /// As [`Sources::prepare`]; the first database's error when nothing else is to be backed up.
    pub fn snapshots(&mut self, roots: &[PathBuf], wanted: &Wanted<'_>, options: &ExcludeOptions) -> Result<Ready> {
        loop {
            let (kept, exclude_options) = self.kept(roots, options);
            if kept.is_empty() {
                let first = self.held.iter_mut().find_map(|held| held.error.take());
                return Err(first.unwrap_or_else(|| Error::Usage("nothing is left to back up".into())));
            }
            let is_odd = exclude_options.patterns != self.patterns(options);
            let excludes = Excludes::new(&exclude_options)?;
            let excludes_id = exclude_options.id()?;
            let sources = Sources::prepare(&Wanted { roots: &kept, excludes: &excludes, excludes_id, ..*wanted })?;
            let known = self.held.iter().filter(|held| held.error.is_some()).count();
            self.held.iter_mut().filter(|held| held.error.is_none()).for_each(|held| held.look(&sources));
            if self.held.iter().filter(|held| held.error.is_some()).count() == known {
                return Ok(Ready { sources, roots: kept, excludes, exclude_options, is_odd });
            }
        }
    }

    /// Patterns of every run with these databases: a server's pid is nothing for who restores.
    fn patterns(&self, options: &ExcludeOptions) -> Vec<String> {
        let mut patterns = options.patterns.clone();
        let clusters = self.held.iter().filter_map(|held| held.cluster.as_ref());
        patterns.extend(clusters.filter_map(|cluster| exact(&cluster.folder.join(PID_FILE))));
        patterns
    }

    /// The roots and patterns without what has failed.
    fn kept(&self, roots: &[PathBuf], options: &ExcludeOptions) -> (Vec<PathBuf>, ExcludeOptions) {
        let mut kept = roots.to_vec();
        let mut patterns = self.patterns(options);
        for held in self.held.iter().filter(|held| held.error.is_some()) {
            kept.retain(|root| !root.starts_with(&held.folder));
            if kept.iter().any(|root| held.folder.starts_with(root)) {
                match exact(&held.folder) {
                    Some(pattern) => patterns.push(pattern),
                    None => kept.retain(|root| !held.folder.starts_with(root)),
                }
            }
        }
        (kept, ExcludeOptions { patterns, ..options.clone() })
    }

    /// Runs what is to be run afterwards, once.
    pub fn release(&mut self) {
        for held in &mut self.held {
            if !std::mem::take(&mut held.wants_after) {
                continue;
            }
            if let Some(hook) = &held.database.after {
                let what = format!("the hook after {}", held.database.label());
                if let Err(error) = run(hook, &what, held.database.timeout, true, self.progress) {
                    self.failed_hooks.push(with_causes(&error));
                }
            }
        }
        if std::mem::take(&mut self.wants_after)
            && let Some(hook) = &self.hooks.after
            && let Err(error) = run(hook, "the hook after", self.hooks.timeout, true, self.progress)
        {
            self.failed_hooks.push(with_causes(&error));
        }
    }

    /// Tags that say what the snapshot has.
    pub fn tags(&self) -> impl Iterator<Item = String> {
        self.held.iter().filter_map(|held| Some(held.facts.as_ref()?.tags(held.database.name.as_deref()))).flatten()
    }

    /// What became of each database, and which hooks afterwards have failed.
    pub fn report(&mut self) -> (Vec<DatabaseReport>, Vec<String>) {
        let report = |held: &Held<'_>| DatabaseReport {
            kind: held.database.kind,
            name: held.database.name.clone(),
            path: held.folder.display().to_string(),
            error: held.error.as_ref().map(with_causes),
            postgresql: held.facts.clone(),
        };
        (self.held.iter().map(report).collect(), std::mem::take(&mut self.failed_hooks))
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        self.release();
        // Whoever has taken the report has left none here.
        self.failed_hooks.iter().for_each(|failed| self.progress.warn(failed));
    }
}

impl Held<'_> {
    fn begin(&mut self, progress: &dyn Progress) -> Result<()> {
        let database = self.database;
        self.wants_after = true;
        if let Some(hook) = &database.before {
            run(hook, &format!("the hook before {}", database.label()), database.timeout, false, progress)?;
        }
        let limits = Limits { timeout: database.timeout, run_as: None, finishes: false, logs_output: false, progress };
        match database.kind {
            DatabaseKind::Other => {}
            DatabaseKind::Redis => {
                self.places = vec![redis::quiesce(database, &self.folder, limits)?.folder];
                self.need_one_snapshot()?;
            }
            DatabaseKind::Postgresql => {
                let cluster = Cluster::find(database, &self.folder)?;
                self.places.clone_from(&cluster.places);
                let cluster = self.cluster.insert(cluster).clone();
                self.need_one_snapshot()?;
                if !cluster.checkpoint(database, &limits)? {
                    progress.note(&format!("{} does not run: its files are taken as they are", database.label()));
                }
            }
        }
        Ok(())
    }

    /// All places must be in one subvolume: only that is one point in time.
    fn need_one_snapshot(&self) -> Result<()> {
        let mut subvolume: Option<PathBuf> = None;
        for place in &self.places {
            let Some((at, _)) = containing_subvolume(place) else {
                let why = "does not lie in a Btrfs subvolume, of which a snapshot could be taken";
                return Err(refused(self.database, format!("{} {why}", place.display())));
            };
            match &subvolume {
                Some(first) if *first != at => return Err(self.scattered(first, &at)),
                Some(_) => {}
                None => subvolume = Some(at),
            }
        }
        let Some(subvolume) = subvolume else { return Ok(()) };
        let file = File::open(&subvolume).map_err(|e| Error::io("open", &subvolume, e))?;
        let nested = nested_subvolumes(file.as_fd()).map_err(|e| Error::io("look for subvolumes in", &subvolume, e))?;
        let nested = nested.into_iter().map(|nested| subvolume.join(OsStr::from_bytes(&nested.path)));
        let is_ours = |path: &Path| path.components().any(|part| part.as_os_str() == FOLDER);
        let mut others = nested.filter(|path| !is_ours(path)).chain(mounts_below(&self.places));
        match others.find(|path| self.places.iter().any(|place| path.starts_with(place))) {
            Some(other) => Err(self.scattered(&subvolume, &other)),
            None => Ok(()),
        }
    }

    fn scattered(&self, one: &Path, other: &Path) -> Error {
        refused(
            self.database,
            format!(
                "its files lie in several subvolumes or file systems, {} and {}: snapshots of these are not of one point in time. Move them into one subvolume, or back up with pg_basebackup",
                one.display(),
                other.display()
            ),
        )
    }

    /// What the snapshot has of it; an error if none was taken.
    fn look(&mut self, sources: &Sources) {
        if self.database.kind == DatabaseKind::Other {
            return;
        }
        if let Some(place) = self.places.iter().find(|place| sources.taken_of(place).is_none()) {
            let why = "is not read from a snapshot: name its subvolume as a path of the backup, or use --snapshot always; taking one needs CAP_SYS_ADMIN";
            self.error = Some(refused(self.database, format!("{} {why}", place.display())));
            return;
        }
        let Some(cluster) = &self.cluster else { return };
        let Some(at) = sources.taken_of(&cluster.folder) else { return };
        match Cluster::control(self.database, &at) {
            Ok(control) => self.facts = Some(PostgresReport::new(&control)),
            Err(error) => self.error = Some(error),
        }
    }
}

fn run(hook: &CommandLine, what: &str, timeout: Duration, finishes: bool, progress: &dyn Progress) -> Result<()> {
    hook.run(what, "", &Limits { timeout, run_as: None, finishes, logs_output: true, progress }).map(drop)
}

/// The pattern that matches this path only; nothing if none can.
fn exact(path: &Path) -> Option<String> {
    let text = path.to_str()?;
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '*' | '?' | '[' | ']' | '{' | '}' | '!' | '#' | ' ') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    (!text.contains('\n')).then_some(pattern)
}

/// An error and its causes on one line.
fn with_causes(error: &Error) -> String {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn odd_paths_are_left_out_exactly() {
        for path in ["/a b/c[1]/{x}", "/a*", "/!x/#y", "/back\\slash", "/trailing "] {
            let patterns = vec![exact(Path::new(path)).unwrap()];
            let excludes = Excludes::new(&ExcludeOptions { patterns, ..Default::default() }).unwrap();
            assert!(excludes.matches(Path::new(path), true), "{path}");
            assert!(!excludes.matches(Path::new("/elsewhere").join(&path[1..]).as_path(), true), "{path}");
            assert!(!excludes.matches(Path::new("/ab"), true), "{path}");
        }
    }
}
