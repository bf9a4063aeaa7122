//! From where a backup reads: the live files, or read-only snapshots of the subvolumes in which they lie.

use super::parents::{ParentNote, newest_in, region_in};
use super::roots::{containing_subvolume, entered, mounts_below};
use super::taken::{Own, Subvolume, open_held};
use crate::error::{Error, Result};
use crate::format::entry::Boundary;
use crate::format::time::Time;
use crate::id::RepoId;
use crate::ops::Progress;
use crate::source::btrfs::{Delta, ParentRecord, SubvolInfo, is_subvolume_root, nested_subvolumes, subvol_info};
use crate::source::items::OpenDir;
use crate::source::overlay::{Overlay, Overlays, SnapshotView};
use crate::source::snapshot_folder::FOLDER;
use crate::source::walk::region_of;
use crate::source::{Excludes, stat_at};
use crate::state::State;
use rustix::fs::{Mode, OFlags};
use std::collections::{BTreeMap, HashSet};
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Whether and how snapshots are read in place of live files.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum SnapshotMode {
    /// The live files are read.
    #[default]
    Never,
    /// Of paths that are subvolumes a snapshot is taken, if this process may.
    Auto,
    /// Of all subvolumes in which the paths lie; it is an error if that cannot be done.
    Always,
    /// This snapshot is read, which somebody else has taken.
    Named(PathBuf),
    /// The newest snapshot of the subvolume in this folder.
    NewestIn(PathBuf),
}

/// After so many runs that relied on the file system's word everything is looked at once more.
const FULL_EVERY: u32 = 30;

/// From where everything is read.
#[derive(Default)]
pub(super) struct Sources {
    pub overlays: Overlays,
    pub subvolumes: Vec<Subvolume>,
    /// When the first snapshot was taken.
    pub taken: Option<Time>,
    /// Regions whose long files' lists are remembered.
    pub list_regions: HashSet<u64>,
    pub warnings: Vec<String>,
}

/// What the sources are made from.
pub(super) struct Wanted<'a> {
    pub state: &'a State,
    pub repo: &'a RepoId,
    pub mode: &'a SnapshotMode,
    /// What is otherwise for some subvolumes, by their paths.
    pub subvolumes: &'a BTreeMap<PathBuf, SubvolumeOptions>,
    pub roots: &'a [PathBuf],
    /// What was named too, but lies below one of the roots.
    pub inside: &'a [PathBuf],
    pub excludes: &'a Excludes,
    /// What makes two runs leave out the same.
    pub excludes_id: [u8; 32],
    /// Whether what is remembered may be used at all.
    pub uses_memory: bool,
    pub progress: &'a dyn Progress,
}

/// What is otherwise for one subvolume.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SubvolumeOptions {
    /// Read its newest snapshot in this folder instead of taking one.
    pub newest_of: Option<PathBuf>,
    /// Subvolumes below it are left out, and named in a warning.
    pub skips_nested: bool,
}

impl Sources {
    /// Takes or finds the snapshots that are wanted.
    ///
    /// # Errors
    /// [`Error::Usage`] and [`Error::Io`] when a snapshot that was asked for cannot be had.
    pub fn prepare(wanted: &Wanted<'_>) -> Result<Self> {
        let mut sources = Self::default();
        let one_file_system = wanted.excludes.one_file_system();
        // What was named is not left out because it lies on another file system.
        let entered = if one_file_system { entered(wanted.roots, wanted.inside)? } else { Vec::new() };
        if *wanted.mode == SnapshotMode::Never {
            entered.iter().for_each(|point| sources.add_live(point));
            return Ok(sources);
        }
        // Roots by the subvolume in which they lie, with their paths in it.
        let mut groups: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
        for root in wanted.roots {
            match containing_subvolume(root) {
                Some((subvolume, inner)) if *wanted.mode != SnapshotMode::Auto || inner.as_os_str().is_empty() => {
                    groups.entry(subvolume).or_default().push(inner);
                }
                None if *wanted.mode != SnapshotMode::Auto => {
                    return Err(Error::Usage(format!("{} does not lie in a Btrfs subvolume", root.display())));
                }
                _ => {}
            }
        }
        if groups.is_empty() && entered.is_empty() {
            return Ok(sources);
        }
        let is_given = matches!(wanted.mode, SnapshotMode::Named(_) | SnapshotMode::NewestIn(_));
        if is_given && groups.len() > 1 {
            return Err(Error::Usage("one snapshot can stand for the paths of one subvolume only".into()));
        }
        let mut covered: Vec<PathBuf> = Vec::new();
        for (subvolume, inner) in &groups {
            if sources.add_if_possible(wanted, subvolume, inner, true)? {
                covered.extend(inner.iter().map(|inner| joined(subvolume, inner)));
            }
        }
        let mut below: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
        for subvolume in groups.keys() {
            for nested in sources.nested(wanted, subvolume, &covered, &entered) {
                below.insert(nested, vec![PathBuf::new()]);
            }
        }
        let points = if one_file_system { entered } else { mounts_below(&covered) };
        for point in points {
            if below.contains_key(&point) || is_left_out(wanted.excludes, &point) {
                continue;
            }
            match containing_subvolume(&point) {
                Some((root, _)) if root == point && !is_given => {
                    below.insert(point, vec![PathBuf::new()]);
                }
                _ => sources.add_live(&point),
            }
        }
        for (subvolume, inner) in &below {
            if !sources.add_if_possible(wanted, subvolume, inner, false)? {
                sources.add_live(subvolume);
            }
        }
        Ok(sources)
    }

    /// As [`Sources::add`]. False, and a line that says why, if no snapshot can be taken and the live files will do.
    fn add_if_possible(
        &mut self,
        wanted: &Wanted<'_>,
        subvolume: &Path,
        inner: &[PathBuf],
        is_root: bool,
    ) -> Result<bool> {
        let error = match self.add(wanted, subvolume, inner, is_root) {
            Err(Error::NoSnapshot { source, .. }) if *wanted.mode != SnapshotMode::Always => source,
            other => return other.map(|()| true),
        };
        let at = subvolume.display();
        wanted.progress.note(&format!("{at}: the live files are read, because no snapshot can be taken: {error}"));
        Ok(false)
    }

    /// The subvolumes in `subvolume` that are to be followed. What is left out is named.
    fn nested(
        &mut self,
        wanted: &Wanted<'_>,
        subvolume: &Path,
        covered: &[PathBuf],
        entered: &[PathBuf],
    ) -> Vec<PathBuf> {
        let Ok(file) = File::open(subvolume) else { return Vec::new() };
        let found = match nested_subvolumes(file.as_fd()) {
            Ok(found) => found,
            Err(error) => {
                self.warnings.push(format!("what subvolumes there are in {}: {error}", subvolume.display()));
                return Vec::new();
            }
        };
        let skips = wanted.subvolumes.get(subvolume).is_some_and(|options| options.skips_nested);
        let mut follow = Vec::new();
        for nested in found {
            let path = subvolume.join(OsStr::from_bytes(&nested.path));
            let is_ours = path.components().any(|part| part.as_os_str() == FOLDER);
            if is_ours || !covered.iter().any(|root| path.starts_with(root)) || is_left_out(wanted.excludes, &path) {
                continue;
            }
            let info = File::open(&path).and_then(|file| subvol_info(file.as_fd()));
            // Snapshots that lie about are not what anybody wants to have twice.
            let is_snapshot = info.as_ref().is_ok_and(|info| info.read_only && info.parent_uuid.is_some());
            if is_snapshot {
                continue;
            }
            if entered.contains(&path) {
                follow.push(path);
            } else if wanted.excludes.one_file_system() || skips {
                self.warnings.push(format!("the nested subvolume {} is not in this snapshot", path.display()));
            } else {
                follow.push(path);
            }
        }
        follow
    }

    /// Live files of what begins there: another file system that is mounted, or a subvolume.
    fn add_live(&mut self, path: &Path) {
        let Ok(fd) = open_dir(path) else { return };
        let boundary = Some(if is_subvolume_root(fd.as_fd()) { Boundary::Subvolume } else { Boundary::FileSystem });
        let dir = Arc::new(OpenDir { fd, path: path.to_owned() });
        let overlay = Overlay { dir, name: c".".into(), region: region_of(path), boundary, snapshot: None };
        self.overlays.insert(path.to_owned(), overlay);
    }

    /// Reads the paths `inner` of a subvolume from a snapshot.
    fn add(&mut self, wanted: &Wanted<'_>, subvolume: &Path, inner: &[PathBuf], is_root: bool) -> Result<()> {
        let region = region_in(wanted.repo, subvolume, inner, &wanted.excludes_id);
        let live = File::open(subvolume).map_err(|e| Error::io("open", subvolume, e))?;
        let mut taken = None;
        let own_folder = wanted.subvolumes.get(subvolume).and_then(|options| options.newest_of.as_ref());
        let (path, held) = match (wanted.mode, own_folder) {
            (SnapshotMode::Named(path), _) if is_root => (path.clone(), open_held(path)?),
            (SnapshotMode::NewestIn(folder), _) | (_, Some(folder)) if is_root => {
                let path = newest_in(folder, &live)?;
                let held = open_held(&path)?;
                (path, held)
            }
            _ if is_read_only_snapshot(&live) => (subvolume.to_owned(), open_held(subvolume)?),
            _ => {
                let (own, held) = Own::take(subvolume, &live, region)?;
                let path = own.path();
                taken = Some(own);
                (path, held)
            }
        };
        let snapshot = held.try_clone().map_err(|e| Error::io("open", &path, e))?;
        // From here on dropping `self` takes the snapshot away again.
        self.subvolumes.push(Subvolume {
            region,
            at: subvolume.to_owned(),
            path: path.clone(),
            record: None,
            delta: None,
            runs_since_full: 0,
            roots: Vec::new(),
            own: taken,
            held,
            held_parent: None,
        });
        if !is_subvolume_root(snapshot.as_fd()) {
            return Err(Error::Usage(format!("{} is not a Btrfs snapshot", path.display())));
        }
        let info = subvol_info(snapshot.as_fd()).map_err(|e| Error::io("look at the snapshot", &path, e))?;
        if !info.read_only {
            return Err(Error::Usage(format!("the snapshot {} is not read-only", path.display())));
        }
        // What is still in memory only of a snapshot that somebody else has made is written first.
        let record = ParentRecord::of(snapshot.as_fd()).map_err(|e| Error::io("look at the snapshot", &path, e))?;
        let found = self.delta(wanted, subvolume, region, &snapshot)?;
        let (delta, note, held_parent) =
            found.map_or((None, None, None), |(delta, note, parent)| (Some(delta), Some(note), Some(parent)));
        let delta = delta.map(Arc::new);
        if let Some(added) = self.subvolumes.last_mut() {
            added.record = Some(record);
            added.delta.clone_from(&delta);
            added.held_parent = held_parent;
            added.runs_since_full = note.as_ref().map_or(0, |note| note.runs_since_full + 1);
        }
        self.taken = Some(self.taken.map_or(info.otime, |taken| taken.min(info.otime)));
        self.list_regions.insert(region);
        let (session, parent_roots) = note.map_or((0, Vec::new()), |note| (note.session, note.roots));
        let mut roots = Vec::new();
        for inner in inner {
            let parent_roots = parent_roots.clone();
            let view = SnapshotView { taken: info.otime, delta: delta.clone(), parent_session: session, parent_roots };
            roots.push(self.overlay(&live, &snapshot, subvolume, inner, region, view)?);
        }
        if let Some(added) = self.subvolumes.last_mut() {
            added.roots = roots;
        }
        Ok(())
    }

    /// One path of a subvolume, which must be the same object in the snapshot. Returns its inode number.
    fn overlay(
        &mut self,
        live: &File,
        snapshot: &OwnedFd,
        subvolume: &Path,
        inner: &Path,
        region: u64,
        view: SnapshotView,
    ) -> Result<u64> {
        let at = joined(subvolume, inner);
        let io = |e: rustix::io::Errno| Error::io("open in the snapshot", &at, e);
        let (folder, name) = match (inner.parent(), inner.file_name()) {
            (Some(folder), Some(name)) => (folder, name),
            _ => (Path::new(""), OsStr::new(".")),
        };
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let name = CString::new(name.as_bytes()).map_err(|_| Error::Usage("a path has a NUL".into()))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(snapshot, folder, flags, Mode::empty()).map_err(io)?;
        // What is bound from elsewhere has another place in the subvolume than it seems.
        let is_own = self.subvolumes.last().is_some_and(|last| last.own.is_some());
        let here = rustix::fs::openat(live, folder, flags, Mode::empty()).map_err(io)?;
        let ino = |dir: &OwnedFd| stat_at(dir.as_fd(), &name).map(|stat| stat.ino);
        let (in_snapshot, in_live) = (ino(&fd), ino(&here));
        let Ok(root) = in_snapshot else {
            return Err(Error::Usage(format!("{} is not in the snapshot", at.display())));
        };
        if is_own && in_live.ok() != Some(root) {
            return Err(Error::Usage(format!("{} is bound from elsewhere: name what it is bound to", at.display())));
        }
        let dir = Arc::new(OpenDir { fd, path: at.parent().unwrap_or(Path::new("/")).to_owned() });
        let overlay = Overlay { dir, name, region, boundary: Some(Boundary::Subvolume), snapshot: Some(view) };
        self.overlays.insert(at, overlay);
        Ok(root)
    }

    /// What has changed since the snapshot before; nothing if that cannot be said, with a line why.
    fn delta(
        &self,
        wanted: &Wanted<'_>,
        subvolume: &Path,
        region: u64,
        snapshot: &OwnedFd,
    ) -> Result<Option<(Delta, ParentNote, OwnedFd)>> {
        let Some(last) = self.subvolumes.last() else { return Ok(None) };
        let is_alone = last.is_alone();
        let say = |why: &str| {
            wanted.progress.note(&format!("{}: everything is looked at, because {why}", subvolume.display()));
        };
        if !wanted.uses_memory {
            return Ok(None);
        }
        let Some(note) = ParentNote::recall(wanted.state, region)? else {
            say("there is no earlier backup of it from a snapshot on this machine");
            return Ok(None);
        };
        if !is_alone {
            say("another backup of it is running");
            return Ok(None);
        }
        if note.runs_since_full + 1 >= FULL_EVERY {
            say("that is done once in a while");
            return Ok(None);
        }
        let held =
            open_held(&note.path).and_then(|fd| Ok((fd.try_clone().map_err(|e| Error::io("open", subvolume, e))?, fd)));
        let Ok((parent, held)) = held else {
            say(&format!("the snapshot before, {}, is gone", note.path.display()));
            return Ok(None);
        };
        let new = snapshot.try_clone().map_err(|e| Error::io("open", subvolume, e))?;
        match Delta::open(parent, new, &note.record) {
            Ok(Ok(delta)) => Ok(Some((delta, note, held))),
            Ok(Err(refused)) => {
                say(&refused.to_string());
                Ok(None)
            }
            Err(error) => {
                say(&format!("the file system does not tell what has changed: {error}"));
                Ok(None)
            }
        }
    }

    /// Whether anything is taken over without being looked at.
    pub fn has_delta(&self) -> bool {
        self.subvolumes.iter().any(|subvolume| subvolume.delta.is_some())
    }

    /// All snapshots once more, right before the manifest: what was read must still be what it was taken for.
    ///
    /// # Errors
    /// [`Error::SnapshotChanged`].
    pub fn verify(&self) -> Result<()> {
        for subvolume in &self.subvolumes {
            let is_valid = match &subvolume.delta {
                Some(delta) => delta.still_valid().unwrap_or(false),
                None => open_dir(&subvolume.path)
                    .ok()
                    .and_then(|fd| subvol_info(fd.as_fd()).ok())
                    .is_some_and(|info: SubvolInfo| Some(ParentRecord::from(&info)) == subvolume.record),
            };
            if !is_valid {
                return Err(Error::SnapshotChanged(subvolume.path.clone()));
            }
        }
        Ok(())
    }

    /// The backup has succeeded: what it has read is what the next one compares with, and what went before may go.
    ///
    /// # Errors
    /// [`Error::State`]. What cannot be cleared away is a warning.
    pub fn keep(&mut self, state: &State, session: u32, progress: &dyn Progress) -> Result<()> {
        for subvolume in &mut self.subvolumes {
            if !subvolume.is_alone() {
                // Another run looks after this region.
                continue;
            }
            let Some(record) = subvolume.record else { continue };
            let note = ParentNote {
                record,
                session,
                runs_since_full: subvolume.runs_since_full,
                roots: subvolume.roots.clone(),
                path: subvolume.path.clone(),
            };
            note.remember(state, subvolume.region)?;
            let cleared = subvolume.clear_earlier();
            if let Err(error) = cleared {
                progress.warn(&error.to_string());
            }
        }
        Ok(())
    }
}

fn joined(subvolume: &Path, inner: &Path) -> PathBuf {
    if inner.as_os_str().is_empty() { subvolume.to_owned() } else { subvolume.join(inner) }
}

pub(super) fn open_dir(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).map_err(|e| Error::io("open", path, e))
}

/// Whether a path, or a folder above it, is left out by a pattern.
fn is_left_out(excludes: &Excludes, path: &Path) -> bool {
    excludes.has_patterns() && path.ancestors().any(|at| excludes.matches(at, true))
}

fn is_read_only_snapshot(live: &File) -> bool {
    subvol_info(live.as_fd()).is_ok_and(|info| info.read_only)
}
