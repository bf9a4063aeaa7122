//! Sharing content on a Btrfs: where content lies that others can share, and sharing it.

use super::dirs::Step;
use super::window::FileState;
use crate::source::btrfs::clone_range;
use crate::source::{Stat, stat_fd};
use crate::target::TargetDir;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

/// After so many refusals in a row nothing more is tried: it is another file system, or one that cannot.
const REFUSALS: u32 = 64;
/// So many files of earlier windows are kept open to share from.
const OPEN_ORIGINS: usize = 16;

/// A file of this restore from which others may share content.
pub(super) struct Origin {
    /// Counts the files.
    pub number: u32,
    /// Whether it is without copy-on-write: then only such a file can share with it.
    pub is_nocow: bool,
    /// As long as it is being written.
    file: Weak<FileState>,
    step: Arc<Step>,
    name: Box<[u8]>,
    /// What it was when it was complete. Without it, it is known by its handle only.
    done: OnceLock<Stat>,
}

impl Origin {
    /// For a file that is about to be made.
    pub fn new(number: u32, is_nocow: bool, file: &Arc<FileState>) -> Self {
        let (step, name) = (Arc::clone(&file.dir.step), file.entry.name.as_slice().into());
        Self { number, is_nocow, file: Arc::downgrade(file), step, name, done: OnceLock::new() }
    }

    /// Notes that the file is complete.
    pub fn complete(&self, open: &File) {
        if let Ok(stat) = stat_fd(open.as_fd()) {
            let _ = self.done.set(stat);
        }
    }
}

/// A part of a file that it shares instead of being written.
pub(super) struct CloneRange {
    pub from: Arc<Origin>,
    pub from_offset: u64,
    pub offset: u64,
    pub len_bytes: u64,
}

/// Shares content below a target.
pub(super) struct Cloner {
    top: TargetDir,
    /// So many components of a path in the snapshot are not in the target.
    skipped: usize,
    open: Mutex<Vec<(u32, Arc<File>)>>,
    refusals: AtomicU32,
}

impl Cloner {
    /// Shares below `top`, where a path of the snapshot is without its first `skipped` components.
    pub fn new(top: TargetDir, skipped: usize) -> Self {
        Self { top, skipped, open: Mutex::default(), refusals: AtomicU32::new(0) }
    }

    /// Whether it is worth trying.
    pub fn may_try(&self) -> bool {
        self.refusals.load(Ordering::Relaxed) < REFUSALS
    }

    /// Lets the file `to`, which is being made, share a part. False if that cannot be: then nothing was changed.
    pub fn share(&self, file: &FileState, to: &File, range: &CloneRange) -> bool {
        let cloned = self.with_origin(file, to, &range.from, |from| {
            clone_range(from.as_fd(), range.from_offset, range.len_bytes, to.as_fd(), range.offset)
        });
        match cloned {
            Ok(()) => self.refusals.store(0, Ordering::Relaxed),
            Err(_) => drop(self.refusals.fetch_add(1, Ordering::Relaxed)),
        }
        cloned.is_ok()
    }

    fn with_origin(
        &self,
        file: &FileState,
        to: &File,
        origin: &Origin,
        clone: impl Fn(&File) -> io::Result<()>,
    ) -> io::Result<()> {
        if let Some(from) = origin.file.upgrade() {
            return match from.open.get() {
                _ if std::ptr::eq(&*from, file) => clone(to),
                Some(open) if !from.has_failed() => clone(open),
                _ => Err(io::ErrorKind::NotFound.into()),
            };
        }
        let done = origin.done.get().ok_or(io::ErrorKind::NotFound)?;
        let known = self.lock().iter().find(|(number, _)| *number == origin.number).map(|(_, open)| Arc::clone(open));
        let from = match known {
            Some(open) => open,
            None => self.reopen(origin)?,
        };
        // Whoever may write to it may have done so.
        let now = stat_fd(from.as_fd())?;
        if !now.is_same_inode(done) || (now.size_bytes, now.mtime) != (done.size_bytes, done.mtime) {
            return Err(io::Error::other("it was changed meanwhile"));
        }
        clone(&from)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(u32, Arc<File>)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a file that was closed, step by step, without following anything.
    fn reopen(&self, origin: &Origin) -> io::Result<Arc<File>> {
        let names = origin.step.names();
        let below = names.iter().skip(self.skipped);
        let dir = below.into_iter().try_fold(self.top.try_clone()?, |dir, name| dir.child_dir(name, false, false))?;
        let opened = Arc::new(dir.open_read(&origin.name)?);
        let mut open = self.lock();
        if open.len() >= OPEN_ORIGINS {
            open.remove(0);
        }
        open.push((origin.number, Arc::clone(&opened)));
        Ok(opened)
    }
}
