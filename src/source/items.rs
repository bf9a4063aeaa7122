//! What a source tells, in order: a directory begins, its children in name order, it ends.

use crate::error::Error;
use crate::format::content::Record;
use crate::format::entry::{Entry, Node};
use crate::format::time::Time;
use crate::id::BlobId;
use crate::state::dirs::{DirKey, Stamp, Totals};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

/// How an object compares with what is remembered of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// Not remembered.
    New,
    /// Remembered otherwise.
    Changed,
    /// As remembered.
    Same,
}

/// An inode within a source.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct InodeKey {
    /// Region, as in [`DirKey`].
    pub region: u64,
    /// Inode number.
    pub ino: u64,
}

impl From<InodeKey> for DirKey {
    fn from(inode: InodeKey) -> Self {
        Self { region: inode.region, ino: inode.ino }
    }
}

/// A directory that is open, with its path for messages.
#[derive(Debug)]
pub struct OpenDir {
    /// Its handle.
    pub fd: OwnedFd,
    /// Its path.
    pub path: PathBuf,
}

/// A part of a file's content.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Piece {
    /// So many bytes of the batch's data from `start` on, and their id once it is computed.
    Blob {
        /// Offset in the data.
        start: usize,
        /// Length.
        len_bytes: u32,
        /// Id; all zero until it is computed.
        id: BlobId,
    },
    /// A hole.
    Hole {
        /// Length.
        len_bytes: u64,
    },
    /// A blob that is stored already and was not read.
    Known(Record),
    /// A node of the list that the file had, with all that is below it.
    Node {
        /// The depth of the list in which its record stands, at least 1.
        depth: u8,
        /// Its record.
        record: Record,
    },
}

/// A file that is to be opened and read as a whole.
#[derive(Debug)]
pub struct ReadJob {
    /// In which directory.
    pub dir: Arc<OpenDir>,
    /// Its name, with the NUL that the kernel wants.
    pub name: std::ffi::CString,
    /// Its size when it was listed.
    pub size_bytes: u64,
    /// Which file it was.
    pub inode: InodeKey,
    /// Whether another link to it may come.
    pub remember: bool,
    /// Which change.
    pub change: Change,
    /// Whether other files may turn out to have its content, too.
    pub shared: bool,
    /// The time as of which it is read, if that is not now: when a snapshot was taken.
    pub as_of: Option<Time>,
}

/// A child with its final entry.
#[derive(Debug)]
pub struct Leaf {
    /// Name.
    pub name: Vec<u8>,
    /// What it looks like.
    pub stamp: Stamp,
    /// Its encoded entry.
    pub entry: Vec<u8>,
    /// Which inode it is.
    pub inode: InodeKey,
    /// Size of a regular file; none for anything else.
    pub file_bytes: Option<u64>,
    /// Which change.
    pub change: Change,
    /// What is in a directory that is taken over as a whole, or what a name counts of a file with several.
    pub totals: Option<Totals>,
}

/// A regular file that was read.
#[derive(Debug)]
pub struct FileDone {
    /// Its entry, still without content.
    pub entry: Entry,
    /// What it looked like.
    pub stamp: Stamp,
    /// Its content in parts of the batch's data.
    pub pieces: Vec<Piece>,
    /// Its content, if that belongs in the entry, or is known to be as it was.
    pub node: Option<Node>,
    /// Which file it is.
    pub inode: InodeKey,
    /// How many names it has.
    pub nlink: u64,
    /// Whether another link to it may come.
    pub remember: bool,
    /// Whether other files may turn out to have its content, too.
    pub shared: bool,
    /// Which change.
    pub change: Change,
    /// Said to the user: it changed while it was read.
    pub warning: Option<String>,
}

/// The end of a directory.
#[derive(Debug)]
pub struct DirEnd {
    /// Its entry, still without content.
    pub entry: Entry,
    /// What it looked like.
    pub stamp: Stamp,
    /// First names of the records that were remembered of it.
    pub old_records: Vec<Vec<u8>>,
}

/// A message of a source.
#[derive(Debug)]
pub enum Item {
    /// A root begins; its path.
    Root(Vec<u8>),
    /// A directory begins.
    Enter(DirKey),
    /// A child that needs no reading.
    Leaf(Box<Leaf>),
    /// A file to be read; readers make a [`Item::File`] of it.
    Read(Box<ReadJob>),
    /// A file that was read.
    File(Box<FileDone>),
    /// Another link to a file that is read in this run.
    Again {
        /// Which file, and how to read it should that have failed.
        job: Box<ReadJob>,
        /// Whether it is the last one.
        last: bool,
    },
    /// Parts of a large file.
    Part {
        /// In order.
        pieces: Vec<Piece>,
        /// Which file.
        inode: InodeKey,
    },
    /// The end of a large file whose parts came before.
    PartsEnd(Box<FileDone>),
    /// The end of a large file that could not be read to its end.
    PartsFailed,
    /// Asks for the whole content list of a file that was read in this run, if it is known.
    Ask {
        /// Which file.
        inode: InodeKey,
        /// Where the answer goes.
        answer: SyncSender<Option<Arc<[Record]>>>,
    },
    /// The directory that began last ends.
    Leave(Box<DirEnd>),
    /// Something could not be read and is missing.
    Failed {
        /// Where.
        path: PathBuf,
        /// Why.
        error: Error,
    },
}

/// Items with the data that their pieces point into.
#[derive(Debug, Default)]
pub struct Batch {
    /// In order.
    pub items: Vec<Item>,
    /// What pieces point into.
    pub data: Vec<u8>,
    /// What it is expected to take of memory.
    pub weight_bytes: usize,
}

/// Where a source puts its items.
pub trait Sink {
    /// Takes a batch; waits while too much is under way.
    ///
    /// # Errors
    /// [`Error::Aborted`] when nobody listens any more, [`Error::Interrupted`].
    fn put(&mut self, batch: Batch) -> Result<(), Error>;
}
