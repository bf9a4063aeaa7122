//! Windows: what is fetched and written together.

use super::dirs::Dir;
use super::links::LinkKey;
use super::share::{CloneRange, Origin};
use crate::format::content::Record;
use crate::format::entry::Entry;
use crate::id::BlobId;
use crate::repo::reader::Blob;
use crate::source::Stat;
use crate::state::blobs::Place;
use crate::target::Attrs;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// Plaintext of the segments that a window needs, and inline content.
const WINDOW_BYTES: u64 = 32 << 20;
/// Objects in a window.
const WINDOW_TASKS: usize = 1_000;
/// Content of a window's files: more than what it needs if a blob stands in many places.
const WINDOW_CONTENT_BYTES: u64 = 64 << 20;
/// Pieces of content in a window.
const WINDOW_PIECES: usize = 8_192;
/// Directories of which a window has a handle. Four windows are under way and a process may have 1,024 handles.
const WINDOW_DIRS: usize = 128;

/// A blob that is needed.
pub(super) struct Want {
    pub id: BlobId,
    pub len_bytes: u64,
    /// Where it is, or why it cannot be had.
    pub place: Result<Place, Arc<str>>,
}

/// Where the bytes of a piece come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// The window's blob of this number.
    Blob(u32),
    /// The entry.
    Inline,
    /// Nowhere: a hole.
    Hole,
}

/// A piece of a file's content.
pub(super) struct Piece {
    pub offset: u64,
    pub len_bytes: u64,
    pub source: Source,
    /// The target has it already.
    pub is_right: bool,
}

/// How a file gets into the target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum How {
    /// Made anew; what is there is removed if the directory was not empty.
    Make,
    /// Written where it differs.
    Patch,
    /// It is right, or its size and time are, so nothing is written.
    Keep,
}

/// A regular file, shared by the windows that it is split over.
pub(super) struct FileState {
    pub dir: Arc<Dir>,
    /// Without its content list.
    pub entry: Entry,
    pub key: Option<LinkKey>,
    pub size_bytes: u64,
    /// Files with equal ones have equal content; nothing if it is in the entry.
    pub content_key: Option<[u8; 32]>,
    /// What others know of it that share content with it.
    pub origin: OnceLock<Arc<Origin>>,
    /// What was there.
    pub existing: Option<Stat>,
    pub how: OnceLock<How>,
    /// Open for writing, from the first byte to the last.
    pub open: OnceLock<File>,
    /// It is given up: what comes of it in later windows is passed over.
    pub failed: AtomicBool,
    /// Something was written.
    pub written: AtomicBool,
    /// It is as it should be.
    pub complete: AtomicBool,
}

impl FileState {
    pub fn path(&self) -> Vec<u8> {
        self.dir.step.path_of(&self.entry.name)
    }

    pub fn how(&self) -> How {
        self.how.get().copied().unwrap_or(How::Make)
    }

    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Removes what was written of it.
    pub fn discard(&self) {
        let Some(handle) = &self.dir.handle else { return };
        if self.open.get().is_some() && (self.how() == How::Make || self.written.load(Ordering::Relaxed)) {
            // It is a problem already; one that cannot be removed has a time that is not the snapshot's.
            let _ = handle.remove(&self.entry.name);
        }
    }
}

impl Drop for FileState {
    fn drop(&mut self) {
        // The run has ended in the middle of it. One that existed stays: its time says that it is not right.
        let done = self.complete.load(Ordering::Relaxed) || self.has_failed();
        if !done && self.how() == How::Make {
            self.discard();
        }
    }
}

/// A part of a regular file.
pub(super) struct FileTask {
    pub file: Arc<FileState>,
    pub pieces: Vec<Piece>,
    pub is_last: bool,
    /// What of the pieces is shared with other files instead of written; ascending, not overlapping.
    pub clones: Vec<CloneRange>,
    /// When in the window it is written: after all with lower numbers, whose content it may share.
    pub wave: u32,
}

/// Something that is made.
pub(super) enum Task {
    /// A regular file or a part of it.
    File(FileTask),
    /// A symlink, pipe, socket or device.
    Other {
        /// In which directory.
        dir: Arc<Dir>,
        /// What.
        entry: Box<Entry>,
        /// Its group.
        key: Option<LinkKey>,
    },
}

/// Where the first name of a hard link is.
pub(super) enum From {
    /// In this directory.
    Dir(Arc<Dir>),
    /// In the directory of this number to which these names lead from the target.
    Steps(u32, Vec<Vec<u8>>),
}

/// A further name.
pub(super) struct LinkTask {
    pub dir: Arc<Dir>,
    pub name: Vec<u8>,
    pub from: From,
    pub first_name: Vec<u8>,
    pub key: LinkKey,
}

/// What is fetched and written together, in this order: tasks, links, ends.
#[derive(Default)]
pub(super) struct Window {
    pub tasks: Vec<Task>,
    pub links: Vec<LinkTask>,
    /// Directories in which nothing more is made.
    pub ends: Vec<Arc<Dir>>,
    pub wants: Vec<Want>,
    by_id: HashMap<BlobId, u32>,
    segments: HashSet<(u32, u16)>,
    /// Plaintext of segments, and inline content.
    bytes: u64,
    content_bytes: u64,
    pieces: usize,
    dirs: usize,
    last_dir: Option<Arc<Dir>>,
}

impl Window {
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.links.is_empty() && self.ends.is_empty()
    }

    /// Whether it is to be sent on its way.
    pub fn is_full(&self) -> bool {
        self.bytes >= WINDOW_BYTES
            || self.tasks.len() + self.links.len() + self.ends.len() >= WINDOW_TASKS
            || self.pieces >= WINDOW_PIECES
            || self.content_bytes >= WINDOW_CONTENT_BYTES
            || self.dirs >= WINDOW_DIRS
    }

    /// Counts a directory that something of the window has a handle of.
    pub fn note_dir(&mut self, dir: &Arc<Dir>) {
        if !self.last_dir.as_ref().is_some_and(|last| Arc::ptr_eq(last, dir)) {
            self.dirs += 1;
            self.last_dir = Some(Arc::clone(dir));
        }
    }

    /// Counts a piece of content, which takes memory of its own if it is in the entry.
    pub fn note_piece(&mut self, source: Source, len_bytes: u64) {
        self.pieces += 1;
        match source {
            Source::Blob(_) => self.content_bytes += len_bytes,
            Source::Inline => self.bytes += len_bytes,
            Source::Hole => {}
        }
    }

    /// The number of a blob that is wanted already.
    pub fn wanted(&self, record: &Record) -> Option<u32> {
        let number = self.by_id.get(&record.id).copied();
        // A tree may say wrong lengths.
        number.filter(|n| self.wants.get(*n as usize).is_some_and(|w| w.len_bytes == record.len_bytes))
    }

    /// Whether there is room for the segment `id` of `plain_bytes`; always, if the window has nothing yet.
    pub fn has_room(&self, id: (u32, u16), plain_bytes: u32) -> bool {
        self.bytes == 0 || self.segments.contains(&id) || self.bytes + u64::from(plain_bytes) <= WINDOW_BYTES
    }

    /// Adds a blob and returns its number. `segment` is where it is and how long that is.
    pub fn want(&mut self, want: Want, segment: Option<((u32, u16), u32)>) -> u32 {
        if let Some((id, plain_bytes)) = segment
            && self.segments.insert(id)
        {
            self.bytes += u64::from(plain_bytes);
        }
        // A window is full long before.
        let number = u32::try_from(self.wants.len()).unwrap_or(u32::MAX);
        self.by_id.insert(want.id, number);
        self.wants.push(want);
        number
    }
}

/// A window with the content that it needs.
pub(super) struct Ready {
    pub window: Window,
    /// For each of the window's blobs: checked, or why it cannot be had; nothing if the target has it already.
    pub blobs: Vec<Option<Result<Blob, Arc<str>>>>,
}

/// The attributes of an entry.
pub(super) fn attrs_of(entry: &Entry) -> Attrs<'_> {
    Attrs {
        kind: entry.kind(),
        mode: entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        user: entry.user.as_deref(),
        group: entry.group.as_deref(),
        mtime: entry.mtime,
        xattrs: &entry.xattrs,
    }
}
