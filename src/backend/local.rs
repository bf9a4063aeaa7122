//! A store in a folder of a file system.

use super::{Backend, Body, Listed};
use crate::error::StoreError;
use crate::format::time::Time;
use files::{FILE_MODE, Temp, make_folder, open_regular, same_bytes, sync_folder};
use rustix::fs::Access;
use rustix::io::Errno;
use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashSet};
use std::fs::{self, DirEntry, File, Metadata, Permissions};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

mod files;
#[cfg(test)]
mod tests;

/// The folder of unfinished files, directly below the root (spec 1.4).
const STAGING: &str = "tmp";

/// A store in a folder. Each object is a file of its name; `tmp/` holds what is not finished.
pub struct LocalBackend {
    root: PathBuf,
    /// Makes the names of temporary files unique among machines and containers.
    random: u64,
    /// Folders that are known to exist durably, relative to the root.
    folders: Mutex<HashSet<String>>,
}

impl LocalBackend {
    /// The store in a folder that exists.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such folder; any other [`StoreError`].
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        // A later change of the working folder must not move the store.
        let root = std::path::absolute(root)?;
        if !fs::metadata(&root)?.is_dir() {
            return Err(io::Error::from(ErrorKind::NotADirectory).into());
        }
        Ok(Self { root, random: RandomState::new().build_hasher().finish(), folders: Mutex::default() })
    }

    /// The store in a folder that is made, with its parents, if it does not exist.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn create(root: &Path) -> Result<Self, StoreError> {
        let root = std::path::absolute(root)?;
        let missing: Vec<&Path> = root.ancestors().take_while(|p| !p.exists()).collect();
        for folder in missing.into_iter().rev() {
            make_folder(folder).map_err(not_missing)?;
        }
        Self::open(&root)
    }

    /// Removes the files in `tmp/` that were last written to longer ago than `older_than`: what crashed processes left behind. Returns how many.
    ///
    /// # Errors
    /// [`StoreError`]; some may have been removed by then.
    pub fn clean_staging(&self, older_than: Duration) -> Result<u64, StoreError> {
        let now = SystemTime::now();
        let mut removed_files = 0;
        for entry in self.entries(STAGING)?.into_values() {
            let done = entry.metadata().and_then(|meta| {
                // A time in the future is no age at all.
                let age = now.duration_since(meta.modified()?).unwrap_or_default();
                let stale = meta.is_file() && age > older_than;
                if stale {
                    fs::remove_file(entry.path())?;
                }
                Ok(stale)
            });
            match done {
                Ok(stale) => removed_files += u64::from(stale),
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(removed_files)
    }

    fn known_folders(&self) -> MutexGuard<'_, HashSet<String>> {
        // An insertion that panicked only makes the set smaller.
        self.folders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a folder and its parents below the root, durably. Never makes the root: it may be a mount point whose disk is away.
    fn make_folders(&self, folder: &str) -> io::Result<()> {
        if folder.is_empty() || self.known_folders().contains(folder) {
            return Ok(());
        }
        let ends = folder.match_indices('/').map(|(end, _)| end);
        for end in ends.chain([folder.len()]) {
            let part = &folder[..end];
            if !self.known_folders().contains(part) {
                make_folder(&self.root.join(part))?;
                self.known_folders().insert(part.to_owned());
            }
        }
        Ok(())
    }

    /// Gives a complete, synced file its final name.
    fn rename_in(&self, from: &Path, name: &str) -> io::Result<()> {
        let folder = folder_of(name);
        let to = self.root.join(name);
        self.make_folders(folder)?;
        if let Err(e) = fs::rename(from, &to) {
            if e.kind() != ErrorKind::NotFound {
                return Err(e);
            }
            // Somebody has removed a folder that was known to exist.
            self.known_folders().clear();
            self.make_folders(folder)?;
            fs::rename(from, &to)?;
        }
        sync_folder(&self.root.join(folder))
    }

    /// Whether these bytes are there already; then durably. Such a copy must not be replaced: on Btrfs a listing that is under way misses
    /// a name that is renamed over.
    fn is_stored(&self, name: &str, bytes: impl Read, size_bytes: u64) -> io::Result<bool> {
        let Ok(file) = open_regular(&self.root.join(name)) else { return Ok(false) };
        // A copy that cannot be read is a damaged one.
        if file.metadata()?.len() != size_bytes || !same_bytes(&file, bytes).unwrap_or(false) {
            return Ok(false);
        }
        // Another process may have put it a moment ago and not have come this far.
        file.sync_all()?;
        self.make_folders(folder_of(name))?;
        sync_folder(&self.root.join(folder_of(name)))?;
        Ok(true)
    }

    fn put_bytes(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        if self.is_stored(name, bytes, bytes.len() as u64)? {
            return Ok(());
        }
        self.put_temp(name, |file| file.write_all(bytes))
    }

    /// Stores what `fill` writes.
    fn put_temp(&self, name: &str, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        let mut temp = Temp::new(&self.root.join(STAGING), self.random)?;
        fill(&mut temp.file)?;
        temp.file.sync_all()?;
        self.rename_in(&temp.path, name)?;
        temp.placed = true;
        Ok(())
    }

    fn put_file(&self, name: &str, path: &Path) -> io::Result<()> {
        let mut source = open_regular(path)?;
        let meta = source.metadata()?;
        if self.is_stored(name, &source, meta.len())? {
            return Ok(());
        }
        source.rewind()?;
        // With a second link the object could still be written to from outside. That the device is the same is no proof (bind mounts).
        if meta.nlink() == 1 && meta.dev() == fs::metadata(&self.root)?.dev() {
            if meta.mode() & 0o7777 != FILE_MODE {
                source.set_permissions(Permissions::from_mode(FILE_MODE))?;
            }
            source.sync_all()?;
            match self.rename_in(path, name) {
                Err(e) if e.kind() == ErrorKind::CrossesDevices => {}
                done => return done,
            }
        }
        self.put_temp(name, |file| io::copy(&mut source, file).map(drop))
    }

    fn open_object(&self, name: &str) -> Result<(File, Metadata), StoreError> {
        check_name(name)?;
        let file = open_regular(&self.root.join(name)).map_err(|e| self.absent(e))?;
        let meta = file.metadata()?;
        Ok((file, meta))
    }

    /// What the failure to reach a path below the root means.
    fn absent(&self, error: io::Error) -> StoreError {
        let missing = [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind());
        if missing && !self.root.is_dir() {
            // A store that is gone must not look like one without objects.
            let gone = "the folder of the store is gone";
            return StoreError::Io(io::Error::new(ErrorKind::NotFound, gone));
        }
        if missing { StoreError::NotFound } else { error.into() }
    }

    /// The entries of a folder, given relative to the root; none if it does not exist. Each once: some file systems repeat one that is renamed meanwhile.
    fn entries(&self, folder: &str) -> Result<BTreeMap<String, DirEntry>, StoreError> {
        let mut found = BTreeMap::new();
        let entries = match fs::read_dir(self.root.join(folder)).map_err(|e| self.absent(e)) {
            Err(StoreError::NotFound) => return Ok(found),
            entries => entries?,
        };
        for entry in entries {
            let entry = match entry {
                Err(e) if e.kind() == ErrorKind::NotFound => break,
                entry => entry?,
            };
            // No object has a name that is not UTF-8.
            if let Ok(name) = entry.file_name().into_string() {
                found.insert(name, entry);
            }
        }
        if folder.is_empty() {
            found.remove(STAGING);
        }
        Ok(found)
    }

    /// Visits the objects below a prefix until told to stop; returns whether it was.
    fn walk(&self, prefix: &str, visit: &mut dyn FnMut(Listed) -> ControlFlow<()>) -> Result<bool, StoreError> {
        let mut todo = vec![prefix.to_owned()];
        if is_staging(prefix) {
            return Ok(false);
        }
        while let Some(folder) = todo.pop() {
            for (name, entry) in self.entries(&folder)? {
                let meta = match entry.metadata() {
                    Err(e) if e.kind() == ErrorKind::NotFound => continue,
                    meta => meta?,
                };
                let name = format!("{folder}{name}");
                if meta.is_dir() {
                    todo.push(name + "/");
                } else if meta.is_file() {
                    let size_bytes = meta.len();
                    if visit(Listed { name, size_bytes, uploaded: None }).is_break() {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }
}

impl Backend for LocalBackend {
    fn location(&self) -> String {
        self.root.display().to_string()
    }

    fn put(&self, name: &str, body: Body<'_>) -> Result<(), StoreError> {
        check_name(name)?;
        match body {
            Body::Bytes(bytes) => self.put_bytes(name, bytes),
            Body::File(path) => self.put_file(name, path),
        }
        .map_err(not_missing)
    }

    fn get(&self, name: &str, max_bytes: u64) -> Result<Vec<u8>, StoreError> {
        let (file, meta) = self.open_object(name)?;
        let too_long = |actual_bytes| StoreError::Length { actual_bytes, wanted: format!("at most {max_bytes}") };
        if meta.len() > max_bytes {
            return Err(too_long(meta.len()));
        }
        let mut bytes = Vec::new();
        // A damaged file may claim to be larger than memory.
        bytes
            .try_reserve_exact(usize::try_from(meta.len()).unwrap_or(usize::MAX))
            .map_err(|_| io::Error::from(ErrorKind::OutOfMemory))?;
        file.take(meta.len()).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn get_range(&self, name: &str, offset: u64, len_bytes: usize) -> Result<Vec<u8>, StoreError> {
        // Opened each time: a file kept open would hide what other processes heal or delete.
        let (file, meta) = self.open_object(name)?;
        let end = offset.checked_add(len_bytes as u64);
        if end.is_none_or(|end| end > meta.len()) {
            return Err(StoreError::Length {
                actual_bytes: meta.len(),
                wanted: format!("at least {len_bytes} from {offset} on"),
            });
        }
        let mut bytes = vec![0; len_bytes];
        file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    fn size(&self, name: &str) -> Result<u64, StoreError> {
        check_name(name)?;
        let meta = fs::symlink_metadata(self.root.join(name)).map_err(|e| self.absent(e))?;
        if meta.is_file() { Ok(meta.len()) } else { Err(StoreError::NotFound) }
    }

    fn stored_at(&self, name: &str) -> Option<Time> {
        check_name(name).ok()?;
        let modified = fs::symlink_metadata(self.root.join(name)).ok()?.modified().ok()?;
        let since = modified.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(Time { secs: i64::try_from(since.as_secs()).ok()?, nanos: since.subsec_nanos() })
    }

    fn list(&self, prefix: &str, visit: &mut dyn FnMut(Listed)) -> Result<(), StoreError> {
        check_prefix(prefix)?;
        self.walk(prefix, &mut |object| {
            visit(object);
            ControlFlow::Continue(())
        })
        .map(drop)
    }

    fn list_folders(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        check_prefix(prefix)?;
        let mut folders = Vec::new();
        for (name, entry) in self.entries(prefix)? {
            // A file that vanishes or is no folder has no objects below it.
            if entry.file_type().is_ok_and(|kind| kind.is_dir())
                && self.walk(&format!("{prefix}{name}/"), &mut |_| ControlFlow::Break(()))?
            {
                folders.push(name);
            }
        }
        Ok(folders)
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        check_name(name)?;
        match fs::remove_file(self.root.join(name)) {
            Err(e) if e.kind() == ErrorKind::IsADirectory => Err(StoreError::NotFound),
            done => done.map_err(|e| self.absent(e)),
        }
    }

    fn staging(&self) -> Result<Option<PathBuf>, StoreError> {
        let path = self.root.join(STAGING);
        // Whether it may be written to, too: it may be there on what is now mounted read-only.
        match rustix::fs::access(&path, Access::WRITE_OK) {
            Err(Errno::NOENT) => make_folder(&path).map_err(not_missing)?,
            usable => usable.map_err(io::Error::from)?,
        }
        Ok(Some(path))
    }
}

fn folder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The error of a `put`: there, "not found" is about a folder or the caller's file and not about the object.
pub(super) fn not_missing(error: io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::NotFound => StoreError::Io(error),
        _ => error.into(),
    }
}

fn invalid(what: &'static str) -> StoreError {
    StoreError::Io(io::Error::new(ErrorKind::InvalidInput, what))
}

fn check_parts(name: &str) -> Result<(), StoreError> {
    if name.contains('\0') || name.split('/').any(|part| ["", ".", ".."].contains(&part)) {
        return Err(invalid("an object name has an empty part, '.', '..' or NUL"));
    }
    Ok(())
}

fn is_staging(name: &str) -> bool {
    name.split('/').next() == Some(STAGING)
}

/// Refuses what cannot be the name of an object: parts that lead elsewhere, and `tmp`.
pub(super) fn check_name(name: &str) -> Result<(), StoreError> {
    check_parts(name)?;
    if is_staging(name) {
        return Err(invalid("names below tmp/ are not objects"));
    }
    Ok(())
}

/// Refuses what cannot be a prefix.
pub(super) fn check_prefix(prefix: &str) -> Result<(), StoreError> {
    match prefix.strip_suffix('/') {
        Some(folder) => check_parts(folder),
        None if prefix.is_empty() => Ok(()),
        None => Err(invalid("a prefix ends in '/'")),
    }
}
