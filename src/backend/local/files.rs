//! Files and folders as [`LocalBackend`](super::LocalBackend) makes and opens them.

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The permissions of an object.
pub(super) const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// Makes the names of temporary files unique in this process.
static NEXT_TEMP: AtomicU64 = AtomicU64::new(0);

/// A new file that goes away again unless it is placed.
pub(super) struct Temp {
    pub file: File,
    pub path: PathBuf,
    pub placed: bool,
}

impl Temp {
    /// A temporary file in `folder`, which is made if need be.
    pub fn new(folder: &Path, random: u64) -> io::Result<Self> {
        let count = NEXT_TEMP.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("{}-{count}-{random:016x}", std::process::id()));
        let open = || OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&path);
        let file = match open() {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                make_folder(folder)?;
                open()?
            }
            file => file?,
        };
        Ok(Self { file, path, placed: false })
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        if !self.placed {
            // If this fails as well, `clean_staging` removes it one day.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Opens a regular file for reading; everything else, links too, is "not found": it is no object. Does not wait for the other end of a pipe.
pub(super) fn open_regular(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Err(Errno::LOOP | Errno::NXIO) => return Err(ErrorKind::NotFound.into()),
        file => File::from(file?),
    };
    if file.metadata()?.is_file() { Ok(file) } else { Err(ErrorKind::NotFound.into()) }
}

/// Makes one folder if it is not there, durably.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(FOLDER_MODE).create(path) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            // A listing does not follow links, so nothing may be put behind one.
            if !fs::symlink_metadata(path)?.is_dir() {
                return Err(ErrorKind::NotADirectory.into());
            }
        }
        made => made?,
    }
    // Also if it was there: the process that made it may not have come this far.
    path.parent().map_or(Ok(()), sync_folder)
}

/// Makes what was done to the entries of a folder durable.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    match File::open(path)?.sync_all() {
        // Some network file systems cannot sync a folder; their server orders renames itself.
        Err(e) if e.kind() == ErrorKind::InvalidInput => Ok(()),
        done => done,
    }
}

/// Whether both give the same bytes until they end.
pub(super) fn same_bytes(mut one: impl Read, mut other: impl Read) -> io::Result<bool> {
    const PART_BYTES: u64 = 1 << 16;
    let (mut left, mut right) = (Vec::new(), Vec::new());
    loop {
        left.clear();
        right.clear();
        one.by_ref().take(PART_BYTES).read_to_end(&mut left)?;
        other.by_ref().take(PART_BYTES).read_to_end(&mut right)?;
        if left != right || left.is_empty() {
            return Ok(left == right);
        }
    }
}
