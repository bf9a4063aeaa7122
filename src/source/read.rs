//! Reading files: metadata, holes, content, cut and hashed.

use super::items::{Batch, Change, FileDone, InodeKey, Item, Piece, ReadJob};
use super::meta::{Kind, Stat, file_clock, open_file_at, stat_fd};
use super::owners::OwnerNames;
use super::{data_regions, xattrs_fd};
use crate::buffers::Buffers;
use crate::chunk::Chunker;
use crate::error::{Error, FormatError, Result};
use crate::format::content::ContentRoot;
use crate::format::entry::{Entry, Node, Xattrs};
use crate::format::header::BlobKind;
use crate::format::time::Time;
use crate::id::BlobId;
use crate::keys::Keyring;
use crate::state::dirs::Stamp;
use rustix::fs::SeekFrom;
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// A change this long before it is looked at may be followed by another with the same time: the clock of file systems ticks slowly.
const TICK_NANOS: i128 = 20_000_000;

/// The figures by which a later change is noticed. They never match when the last change is so fresh that another could hide behind it.
pub fn stamp_of(stat: &Stat, looked_at: Time) -> Stamp {
    let nanos = |t: Time| i128::from(t.secs) * 1_000_000_000 + i128::from(t.nanos);
    let settled = nanos(looked_at) - nanos(stat.ctime) > TICK_NANOS;
    Stamp {
        ino: if settled { stat.ino } else { 0 },
        size_bytes: if stat.kind == Kind::File { stat.size_bytes } else { 0 },
        mtime: stat.mtime,
        ctime: stat.ctime,
    }
}

/// An entry from what the file system says; `node` is what only that kind has.
pub fn entry_of(name: &[u8], stat: &Stat, node: Node, xattrs: Xattrs, owners: &OwnerNames) -> Entry {
    Entry {
        name: name.to_vec(),
        link: (stat.nlink > 1 && stat.kind != Kind::Dir).then_some(stat.ino),
        node,
        mode: stat.mode,
        uid: stat.uid,
        gid: stat.gid,
        user: owners.user(stat.uid),
        group: owners.group(stat.gid),
        mtime: stat.mtime,
        btime: stat.btime,
        xattrs,
        flags: 0,
        boundary: None,
    }
}

/// What readers share.
pub struct ReadContext<'a> {
    /// For ids and cuts.
    pub keys: &'a Keyring,
    /// For names of owners.
    pub owners: &'a OwnerNames,
    /// For data.
    pub buffers: Buffers,
}

impl ReadContext<'_> {
    /// Reads the files of a batch and computes ids.
    pub fn process(&self, batch: &mut Batch) {
        let Batch { items, data, .. } = batch;
        if data.capacity() == 0 && items.iter().any(|item| matches!(item, Item::Read(_))) {
            *data = self.buffers.take();
        }
        for item in items {
            match item {
                Item::Read(job) => {
                    let start = data.len();
                    *item = match self.read(job, data) {
                        Ok(done) => Item::File(Box::new(done)),
                        Err(error) => {
                            data.truncate(start);
                            let path = path_of(job);
                            Item::Failed { error: Error::io("read", &path, error), path }
                        }
                    };
                }
                Item::Part { pieces, .. } => self.hash(pieces, data),
                Item::PartsEnd(done) => self.hash(&mut done.pieces, data),
                _ => {}
            }
        }
    }

    fn hash(&self, pieces: &mut [Piece], data: &[u8]) {
        for piece in pieces {
            if let Piece::Blob { start, len_bytes, id } = piece {
                *id = self.keys.blob_id(BlobKind::Data, &data[*start..*start + *len_bytes as usize]);
            }
        }
    }

    fn read(&self, job: &ReadJob, data: &mut Vec<u8>) -> io::Result<FileDone> {
        let looked_at = job.as_of.unwrap_or_else(file_clock);
        let file = open_file_at(job.dir.fd.as_fd(), &job.name)?;
        let stat = stat_fd(file.as_fd())?;
        if stat.kind != Kind::File {
            return Err(io::Error::other("it was replaced by something else while the folder was read"));
        }
        let xattrs = xattrs_fd(file.as_fd())?;
        let flags = flags_of(file.as_fd(), &xattrs);
        // A file that has grown past all bounds since it was listed is taken as it was then.
        let size_bytes = stat.size_bytes.min(job.size_bytes.max(4 << 20));
        let regions = regions_of(&file, size_bytes)?;
        let from = data.len();
        let mut pieces = Vec::new();
        let mut at = 0;
        let mut short = false;
        for region in regions {
            push_hole(&mut pieces, region.start - at);
            let start = data.len();
            let wanted = (region.end - region.start) as usize;
            let got = read_full(&file, data, wanted, region.start)?;
            cut_region(self.keys.chunker(), data, start, &mut pieces);
            at = region.start + got as u64;
            if got < wanted {
                short = true;
                break;
            }
        }
        if !short {
            push_hole(&mut pieces, size_bytes.saturating_sub(at));
        }
        let after = stat_fd(file.as_fd())?;
        let stable = !short && same_content(&stat, &after) && size_bytes == stat.size_bytes;
        let inline = self.inline(&pieces, data, from);
        if inline.is_some() {
            pieces.clear();
            data.truncate(from);
        }
        self.hash(&mut pieces, data);
        let mut done = self.done(Seen { name: &job.name, stat: &stat, looked_at, xattrs, flags }, job.into());
        (done.pieces, done.node) = (pieces, inline.map(Node::Inline));
        if !stable {
            done.is_unstable(&path_of(job));
        }
        Ok(done)
    }

    /// The content, if it is one region and small enough to lie in the entry.
    fn inline(&self, pieces: &[Piece], data: &[u8], from: usize) -> Option<Vec<u8>> {
        let small = data.len() - from <= self.keys.chunker().params().inline_max_bytes as usize;
        match pieces {
            [Piece::Blob { start, .. }] if small && *start == from => Some(data[from..].to_vec()),
            _ => None,
        }
    }

    /// Reads a large file, handing on its parts as they come. `emit` takes data and its pieces.
    ///
    /// # Errors
    /// What the file system says, or what `emit` says.
    pub fn read_large(
        &self,
        file: &File,
        stat: &Stat,
        looked_at: Time,
        job: &ReadJob,
        emit: &mut dyn FnMut(Vec<u8>, Vec<Piece>) -> Result<()>,
    ) -> Result<FileDone> {
        let path = &path_of(job);
        let io = |e| Error::io("read", path, e);
        let mut done = self.without_content(file, stat, looked_at, job).map_err(io)?;
        let regions = regions_of(file, stat.size_bytes).map_err(io)?;
        let (mut at, mut short) = (0, false);
        for region in regions {
            if region.start > at {
                emit(Vec::new(), vec![Piece::Hole { len_bytes: region.start - at }])?;
            }
            at = self.read_region(file, region.clone(), emit, path)?;
            if at < region.end {
                short = true;
                break;
            }
        }
        if !short && stat.size_bytes > at {
            emit(Vec::new(), vec![Piece::Hole { len_bytes: stat.size_bytes - at }])?;
        }
        let after = stat_fd(file.as_fd()).map_err(io)?;
        if short || !same_content(stat, &after) {
            done.is_unstable(path);
        }
        Ok(done)
    }

    /// All but the content of a file that is open.
    ///
    /// # Errors
    /// What the file system says.
    pub fn without_content(&self, file: &File, stat: &Stat, looked_at: Time, job: &ReadJob) -> io::Result<FileDone> {
        let xattrs = xattrs_fd(file.as_fd())?;
        let flags = flags_of(file.as_fd(), &xattrs);
        Ok(self.done(Seen { name: &job.name, stat, looked_at, xattrs, flags }, job.into()))
    }

    fn done(&self, seen: Seen<'_>, of: Asked) -> FileDone {
        let Seen { name, stat, looked_at, xattrs, flags } = seen;
        let mut entry = entry_of(name.to_bytes(), stat, Node::File(ContentRoot::default()), xattrs, self.owners);
        entry.flags = flags;
        FileDone {
            entry,
            stamp: stamp_of(stat, looked_at),
            pieces: Vec::new(),
            node: None,
            inode: InodeKey { region: of.inode.region, ino: stat.ino },
            nlink: stat.nlink,
            // The name may have become another file's since the folder was read.
            remember: of.remember && of.inode.ino == stat.ino,
            shared: of.shared,
            change: of.change,
            warning: None,
        }
    }

    /// Reads and cuts one region; returns where it ended.
    fn read_region(
        &self,
        file: &File,
        region: Range<u64>,
        emit: &mut dyn FnMut(Vec<u8>, Vec<Piece>) -> Result<()>,
        path: &Path,
    ) -> Result<u64> {
        let chunker = self.keys.chunker();
        let window = PART_BYTES + chunker.max_bytes();
        let mut at = region.start;
        let mut rest: Vec<u8> = Vec::new();
        loop {
            let mut data = self.buffers.take();
            data.reserve(window);
            data.append(&mut rest);
            let wanted = (window - data.len()).min(usize::try_from(region.end - at).unwrap_or(usize::MAX));
            let got = read_full(file, &mut data, wanted, at).map_err(|e| Error::io("read", path, e))?;
            at += got as u64;
            let end = got < wanted || at == region.end;
            let mut pieces = Vec::new();
            let mut start = 0;
            while start < data.len() && (end || data.len() - start >= chunker.max_bytes()) {
                let len = chunker.cut(&data[start..]);
                pieces.push(Piece::Blob { start, len_bytes: len as u32, id: BlobId::HOLE });
                start += len;
            }
            rest.extend_from_slice(&data[start..]);
            data.truncate(start);
            if !pieces.is_empty() {
                emit(data, pieces)?;
            }
            if end {
                return Ok(at);
            }
        }
    }
}

/// Data of a large file that travels together.
const PART_BYTES: usize = 1 << 20;

/// A file as it was found.
struct Seen<'a> {
    name: &'a CStr,
    stat: &'a Stat,
    looked_at: Time,
    xattrs: Xattrs,
    flags: u32,
}

/// What the walk knows of a file that it wants read.
struct Asked {
    inode: InodeKey,
    remember: bool,
    shared: bool,
    change: Change,
}

impl From<&ReadJob> for Asked {
    fn from(job: &ReadJob) -> Self {
        Self { inode: job.inode, remember: job.remember, shared: job.shared, change: job.change }
    }
}

impl FileDone {
    /// It changed while it was read: it is to be read again the next time.
    fn is_unstable(&mut self, path: &Path) {
        self.stamp.ino = 0;
        self.warning = Some(format!("{} changed while it was read", path.display()));
    }
}

/// The inode flags that a snapshot records (spec 8.1), as far as the file system has any. The bit for compression says nothing where the property is there.
pub fn flags_of(fd: BorrowedFd<'_>, xattrs: &Xattrs) -> u32 {
    const COMPRESSED: u32 = 0x4;
    const RECORDED: u32 = COMPRESSED | 0x8 | 0x10 | 0x20 | 0x40 | 0x80 | 0x1_0000 | 0x80_0000;
    let flags = rustix::fs::ioctl_getflags(fd).map_or(0, |flags| flags.bits()) & RECORDED;
    if xattrs.iter().any(|(name, _)| name == b"btrfs.compression") { flags & !COMPRESSED } else { flags }
}

/// Where the file is, for people.
pub(super) fn path_of(job: &ReadJob) -> std::path::PathBuf {
    use std::os::unix::ffi::OsStrExt;
    job.dir.path.join(std::ffi::OsStr::from_bytes(job.name.as_bytes()))
}

fn same_content(before: &Stat, after: &Stat) -> bool {
    before.mtime == after.mtime && before.ctime == after.ctime && before.size_bytes == after.size_bytes
}

/// Data regions. They depend on the content alone, not on the room that it takes: who reads only what has changed must come to the same.
pub(super) fn regions_of(file: &File, size_bytes: u64) -> io::Result<Vec<Range<u64>>> {
    if size_bytes == 0 {
        return Ok(Vec::new());
    }
    if rustix::fs::seek(file, SeekFrom::Hole(0)).is_ok_and(|end| end >= size_bytes) {
        return Ok(std::iter::once(0..size_bytes).collect());
    }
    data_regions(file.as_fd(), size_bytes)
}

fn push_hole(pieces: &mut Vec<Piece>, len_bytes: u64) {
    if len_bytes > 0 {
        pieces.push(Piece::Hole { len_bytes });
    }
}

fn cut_region(chunker: &Chunker, data: &[u8], mut start: usize, pieces: &mut Vec<Piece>) {
    while start < data.len() {
        let len = chunker.cut(&data[start..]);
        pieces.push(Piece::Blob { start, len_bytes: len as u32, id: BlobId::HOLE });
        start += len;
    }
}

/// Below this it costs little to clear a buffer before it is read into.
const SMALL_BYTES: usize = 64 << 10;

/// Appends `wanted` bytes from `offset` on, or what there is before the file ends; returns how many.
pub(super) fn read_full(file: &File, buffer: &mut Vec<u8>, wanted: usize, offset: u64) -> io::Result<usize> {
    let start = buffer.len();
    if wanted < SMALL_BYTES {
        // Exactly so much: a region between holes may be tiny, and the buffer roomy.
        buffer.resize(start + wanted, 0);
        let mut got = 0;
        while got < wanted {
            match rustix::io::pread(file, &mut buffer[start + got..], offset + got as u64) {
                Ok(0) => break,
                Ok(n) => got += n,
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        buffer.truncate(start + got);
        return Ok(got);
    }
    buffer.reserve(wanted);
    while buffer.len() - start < wanted {
        let got = buffer.len() - start;
        // Into spare capacity, which needs no zeros first; it may be more than is wanted.
        match rustix::io::pread(file, rustix::buffer::spare_capacity(buffer), offset + got as u64) {
            Ok(0) => break,
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    buffer.truncate(start + wanted);
    Ok(buffer.len() - start)
}

/// What is wrong with an entry that is too large to be recorded.
pub fn too_large(path: &Path) -> Error {
    Error::format(path.display(), FormatError::Invalid("its metadata is larger than an entry may be"))
}
