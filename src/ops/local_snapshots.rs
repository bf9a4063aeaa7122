//! `snapshot`: local read-only snapshots of subvolumes, made, listed, and thinned out by the rules of `forget`.

use crate::error::{Error, Result};
use crate::format::time::Time;
use crate::retention::{Decision, Item, Policy, Reason, decide};
use crate::source::btrfs::{exclusive_bytes, is_subvolume_root, subvol_info};
use crate::source::local_name::{LABEL_MAX_BYTES, LocalName, is_label};
use crate::source::snapshot_folder::{Removal, SnapshotFolder};
use jiff::tz::TimeZone;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A set of snapshots that was made.
#[derive(Clone, Debug)]
pub struct Created {
    /// Their name, the same in each subvolume's folder.
    pub name: LocalName,
    /// Where they are, in the order in which they were made.
    pub paths: Vec<PathBuf>,
    /// From before the first was made until the last one was: how far apart they are at most.
    pub spread_secs: f64,
}

/// Who has made a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// `panther snapshot create`.
    Created,
    /// A backup, which removes it itself.
    Backup,
}

/// A snapshot in a subvolume's folder.
#[derive(Clone, Debug)]
pub struct LocalSnapshot {
    /// Its name in the folder.
    pub name: OsString,
    /// Where it is.
    pub path: PathBuf,
    /// Who has made it.
    pub origin: Origin,
    /// The time in its name, or, of a backup's, when it was made.
    pub time: Time,
    /// What a person has added to its name.
    pub label: Option<String>,
    /// The bytes that only it refers to, where quota groups tell.
    pub exclusive_bytes: Option<u64>,
    /// Whether a backup compares with it.
    pub is_pinned: bool,
}

/// A subvolume and its snapshots.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Where the subvolume is.
    pub subvolume: PathBuf,
    /// Oldest first.
    pub snapshots: Vec<LocalSnapshot>,
}

/// What became of a snapshot when they were thinned out.
#[derive(Clone, Debug)]
pub enum Fate {
    /// It is kept: why.
    Kept(Vec<Reason>),
    /// It is kept although no rule does: a backup reads it.
    InUse,
    /// It is gone; in a dry run, it would be.
    Removed,
    /// It should have gone, but could not be removed.
    Failed(String),
}

/// A snapshot, and what became of it.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Which subvolume's.
    pub subvolume: PathBuf,
    /// Which.
    pub snapshot: LocalSnapshot,
    /// What became of it.
    pub fate: Fate,
}

/// A subvolume that was named, by its real path.
struct Subvolume {
    path: PathBuf,
    root: File,
}

fn open_all(paths: &[PathBuf]) -> Result<Vec<Subvolume>> {
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for path in paths {
        let real = path.canonicalize().map_err(|e| Error::io("find", path, e))?;
        let root = File::open(&real).map_err(|e| Error::io("open", path, e))?;
        if !is_subvolume_root(root.as_fd()) {
            return Err(Error::Usage(format!("{} is not the root of a Btrfs subvolume", path.display())));
        }
        let info = subvol_info(root.as_fd()).map_err(|e| Error::io("look at", path, e))?;
        // The same may be mounted at several places.
        if seen.insert((info.fsid.0, info.tree_id)) {
            all.push(Subvolume { path: real, root });
        }
    }
    if all.is_empty() {
        return Err(Error::Usage("name at least one subvolume".into()));
    }
    Ok(all)
}

/// Makes a read-only snapshot of each of `paths`, one right after the other, all under the same name: all or none.
///
/// # Errors
/// [`Error::Usage`] for a bad label and for what is no subvolume; [`Error::NoSnapshot`].
pub fn create(paths: &[PathBuf], label: Option<&str>, now: Time) -> Result<Created> {
    if let Some(label) = label.filter(|label| !is_label(label)) {
        return Err(Error::Usage(format!(
            "{label:?} is no label: up to {LABEL_MAX_BYTES} letters, digits, dashes, dots and underscores"
        )));
    }
    let subvolumes = open_all(paths)?;
    let mut folders = Vec::new();
    for subvolume in &subvolumes {
        folders.push(SnapshotFolder::make(&subvolume.path).map_err(|e| no_snapshot(&subvolume.path, e))?);
    }
    let time = Time { secs: now.secs, nanos: 0 };
    let mut taken = HashSet::new();
    for folder in &folders {
        let names = folder.names()?;
        let parsed = names.iter().filter_map(|name| LocalName::parse(name.to_str()?));
        taken.extend(parsed.filter(|name| name.time == time).map(|name| name.again));
    }
    let free = (0..1_000).find(|again| !taken.contains(again));
    let again = free.ok_or_else(|| Error::Usage("there are too many snapshots of this second".into()))?;
    let name = LocalName { time, again, label: label.map(str::to_owned) };
    let file_name = OsString::from(name.to_string());
    let began = Instant::now();
    for (at, (subvolume, folder)) in subvolumes.iter().zip(&folders).enumerate() {
        if let Err(error) = folder.snapshot(&subvolume.root, &file_name) {
            // Half a set would pass for a whole one.
            folders.iter().take(at).try_for_each(|folder| folder.remove(&file_name))?;
            return Err(no_snapshot(&subvolume.path, error));
        }
    }
    let spread_secs = began.elapsed().as_secs_f64();
    let paths = folders.iter().map(|folder| folder.path().join(&file_name)).collect();
    Ok(Created { name, paths, spread_secs })
}

fn no_snapshot(subvolume: &Path, error: Error) -> Error {
    match error {
        Error::Io { source, .. } => Error::NoSnapshot { path: subvolume.to_owned(), source },
        other => other,
    }
}

/// The snapshots in the folders of these subvolumes. What is no snapshot of panther's is passed over.
///
/// # Errors
/// [`Error::Usage`] for what is no subvolume; [`Error::Io`].
pub fn list(paths: &[PathBuf]) -> Result<Vec<Listed>> {
    let all = open_all(paths)?;
    all.iter().map(|subvolume| Ok(list_one(subvolume)?.1)).collect()
}

fn list_one(subvolume: &Subvolume) -> Result<(Option<SnapshotFolder>, Listed)> {
    let mut listed = Listed { subvolume: subvolume.path.clone(), snapshots: Vec::new() };
    let Some(folder) = SnapshotFolder::find(&subvolume.path)? else { return Ok((None, listed)) };
    let pinned = folder.all_pinned()?;
    for name in folder.names()? {
        if let Some(snapshot) = look_at(&folder, &name, &pinned) {
            listed.snapshots.push(snapshot);
        }
    }
    listed.snapshots.sort_by(|a, b| (a.time, &a.name).cmp(&(b.time, &b.name)));
    Ok((Some(folder), listed))
}

/// What is known of a snapshot of panther's; nothing if it is something else.
fn look_at(folder: &SnapshotFolder, name: &OsStr, pinned: &[OsString]) -> Option<LocalSnapshot> {
    let created = name.to_str().and_then(LocalName::parse);
    if created.is_none() && !name.as_bytes().starts_with(b"backup-") {
        return None;
    }
    // It may just be going.
    let root = folder.open_snapshot(name).ok()?;
    let info = is_subvolume_root(root.as_fd()).then(|| subvol_info(root.as_fd()).ok()).flatten()?;
    if !info.read_only || info.parent_uuid.is_none() {
        return None;
    }
    let (origin, time, label) = match created {
        Some(name) => (Origin::Created, name.time, name.label),
        None => (Origin::Backup, info.otime, None),
    };
    Some(LocalSnapshot {
        name: name.to_owned(),
        path: folder.path().join(name),
        origin,
        time,
        label,
        // Who may not ask does without.
        exclusive_bytes: exclusive_bytes(root.as_fd(), info.tree_id).unwrap_or(None),
        is_pinned: pinned.iter().any(|pinned| pinned == name),
    })
}

/// Removes the snapshots made by [`create`] that the rules do not keep, each subvolume's judged by themselves; never one that a backup reads or compares
/// with. `now` tells what is dated into the future. With `dry_run` only says what would go.
///
/// # Errors
/// [`Error::Usage`] for rules that keep nothing and for what is no subvolume; [`Error::Io`] for a folder that cannot be read. A snapshot that
/// cannot be removed is a [`Fate`].
pub fn prune(paths: &[PathBuf], policy: &Policy, now: Time, zone: &TimeZone, dry_run: bool) -> Result<Vec<Judged>> {
    if policy.is_empty() {
        return Err(Error::Usage("there is no rule: it would keep nothing, so nothing is removed".into()));
    }
    let mut judged = Vec::new();
    for subvolume in open_all(paths)? {
        let (Some(folder), listed) = list_one(&subvolume)? else { continue };
        let snapshots: Vec<LocalSnapshot> =
            listed.snapshots.into_iter().filter(|snapshot| snapshot.origin == Origin::Created).collect();
        let item = |snapshot: &LocalSnapshot| Item {
            id: snapshot.name.clone(),
            time: snapshot.time,
            tags: Vec::new(),
            pinned: snapshot.is_pinned,
            group: (),
        };
        let items: Vec<_> = snapshots.iter().map(item).collect();
        let decisions = decide(policy, &items, now, zone).map_err(|e| Error::Usage(e.to_string()))?;
        for (snapshot, decision) in snapshots.into_iter().zip(decisions) {
            let fate = carry_out(&folder, &snapshot.name, decision, dry_run);
            judged.push(Judged { subvolume: subvolume.path.clone(), snapshot, fate });
        }
    }
    Ok(judged)
}

fn carry_out(folder: &SnapshotFolder, name: &OsStr, decision: Decision, dry_run: bool) -> Fate {
    if decision.keeps() {
        return Fate::Kept(decision.reasons);
    }
    match folder.remove_unless_used(name, dry_run) {
        Ok(Removal::Removed) => Fate::Removed,
        Ok(Removal::InUse) => Fate::InUse,
        Ok(Removal::Other) => Fate::Failed(format!("{} is no snapshot any more", name.display())),
        Ok(Removal::Pinned) => Fate::Kept(vec![Reason::Pinned]),
        Err(error) => {
            let cause = std::error::Error::source(&error).map_or_else(String::new, |source| format!(": {source}"));
            Fate::Failed(format!("{error}{cause}"))
        }
    }
}
