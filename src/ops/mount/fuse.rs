//! What the kernel asks (FUSE's protocol, `include/uapi/linux/fuse.h`), answered from the tree.

use super::tree::{Object, Tree};
use crate::error::{Error, StoreError};
use crate::format::entry::{Entry, FileKind, Node};
use crate::format::header::BlobKind;
use crate::format::time::Time;
use crate::ops::view::content::{Piece, pieces_in, read_at};
use crate::repo::reader::SegmentId;
use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, InitFlags, KernelConfig,
    LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyLseek,
    ReplyOpen, ReplyStatfs, ReplyXattr, Request,
};
use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// How long the kernel may believe what it was told: nothing here ever changes.
const FOR_EVER: Duration = Duration::from_secs(86_400 * 365);
/// What the kernel reads ahead of a program that reads a file in order.
const READ_AHEAD_BYTES: u32 = 1 << 20;
/// Over a network, so much more is fetched before it is asked for.
const ANNOUNCED_BYTES: u64 = 16 << 20;
/// lseek(2): `SEEK_DATA` and `SEEK_HOLE`.
const SEEK_DATA: i32 = 3;
const SEEK_HOLE: i32 = 4;

/// An open file.
struct Handle {
    object: Object,
    /// Where the last read ended, and up to where the store was told.
    at: Mutex<(u64, u64)>,
}

/// The file system.
pub(super) struct Fuse {
    tree: Arc<Tree>,
    handles: Mutex<HashMap<u64, Arc<Handle>>>,
    next: AtomicU64,
}

impl Fuse {
    pub fn new(tree: Arc<Tree>) -> Self {
        Self { tree, handles: Mutex::default(), next: AtomicU64::new(1) }
    }

    fn failed(&self, error: &Error) -> Errno {
        self.tree.complain(error);
        match error {
            Error::Store { source: StoreError::Denied(_), .. } => Errno::EACCES,
            _ => Errno::EIO,
        }
    }

    /// The object, or what to answer.
    fn object(&self, ino: INodeNo) -> Result<(Object, u32), Errno> {
        match self.tree.object(ino.0) {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(Errno::ESTALE),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn handle(&self, fh: FileHandle) -> Option<Arc<Handle>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner).get(&fh.0).cloned()
    }

    fn attr(&self, ino: u64, object: &Object, nlink: u32) -> Option<FileAttr> {
        object.entry().map(|entry| attr(ino, entry, nlink))
    }

    /// Lets a store over a network know what a program that reads in order will want.
    fn announce(&self, handle: &Handle, entry: &Entry, offset: u64, len_bytes: u64) {
        let reader = self.tree.reader();
        let Node::File(root) = &entry.node else { return };
        let end = offset + len_bytes;
        let range = {
            let (last_end, told) = &mut *handle.at.lock().unwrap_or_else(PoisonError::into_inner);
            let in_order = *last_end == offset;
            *last_end = end;
            if !in_order || !reader.repo().backend().is_remote() || end + ANNOUNCED_BYTES / 2 <= *told {
                return;
            }
            let range = end.max(*told)..end + ANNOUNCED_BYTES;
            *told = range.end;
            range
        };
        let mut segments: BTreeSet<SegmentId> = BTreeSet::new();
        // What is wrong is said when it is read.
        let _ = pieces_in(reader, root, &range, &mut |piece| {
            if !piece.record.is_hole()
                && let Ok(place) = reader.place(BlobKind::Data, &piece.record.id)
            {
                segments.insert((place.pack, place.segment));
            }
            Ok(())
        });
        reader.announce(&segments.into_iter().collect::<Vec<_>>());
    }

    /// Where data or a hole begins at or after `offset`.
    fn seek(&self, entry: &Entry, offset: u64, for_data: bool) -> Result<u64, Errno> {
        let size_bytes = entry.size_bytes();
        if offset >= size_bytes {
            return Err(Errno::ENXIO);
        }
        let Node::File(root) = &entry.node else { return Ok(if for_data { offset } else { size_bytes }) };
        let mut found = None;
        let range: Range<u64> = offset..size_bytes;
        let walked = pieces_in(self.tree.reader(), root, &range, &mut |Piece { offset: begin, record }| {
            if record.is_hole() != for_data {
                found = Some(begin.max(offset));
                return Err(Error::Aborted);
            }
            Ok(())
        });
        match (walked, found) {
            (Ok(()) | Err(Error::Aborted), Some(at)) => Ok(at),
            // There is a hole at the end of every file.
            (Ok(()) | Err(Error::Aborted), None) => {
                if for_data {
                    Err(Errno::ENXIO)
                } else {
                    Ok(size_bytes)
                }
            }
            (Err(error), _) => Err(self.failed(&error)),
        }
    }

    /// Hands the children of a folder from `offset` on to `add`, which says whether there is no more room. The kernel counts `.` and `..`, too.
    fn list(&self, ino: u64, offset: u64, add: &mut Add<'_>) -> Result<(), Errno> {
        let fixed = [(b".".to_vec(), ino), (b"..".to_vec(), self.tree.parent(ino))];
        for (at, (name, number)) in (0..).zip(fixed) {
            if at >= offset {
                let (object, nlink) = self.object(INodeNo(number)).or_else(|_| self.object(INodeNo(1)))?;
                if add(number, at + 1, &name, &object, nlink) {
                    return Ok(());
                }
            }
        }
        let listing = self.tree.listing(ino).map_err(|error| self.failed(&error))?;
        for position in offset.saturating_sub(2).. {
            match self.tree.child_at(&listing, position) {
                Ok(None) => return Ok(()),
                Ok(Some(child)) => {
                    if add(child.ino, position + 3, &child.name, &child.object, child.nlink) {
                        self.tree.forget(child.ino, 1);
                        return Ok(());
                    }
                }
                Err(error) => return Err(self.failed(&error)),
            }
        }
        Ok(())
    }
}

/// Takes a child: number, offset of the next one, name, object, number of names. Whether there was no room for it.
type Add<'a> = dyn FnMut(u64, u64, &[u8], &Object, u32) -> bool + 'a;

fn time(time: Time) -> SystemTime {
    let secs = Duration::from_secs(time.secs.unsigned_abs());
    let whole =
        if time.secs < 0 { SystemTime::UNIX_EPOCH.checked_sub(secs) } else { SystemTime::UNIX_EPOCH.checked_add(secs) };
    let exact = whole.and_then(|whole| whole.checked_add(Duration::from_nanos(time.nanos.into())));
    exact.unwrap_or(SystemTime::UNIX_EPOCH)
}

fn kind(kind: FileKind) -> FileType {
    match kind {
        FileKind::File => FileType::RegularFile,
        FileKind::Dir => FileType::Directory,
        FileKind::Symlink => FileType::Symlink,
        FileKind::Fifo => FileType::NamedPipe,
        FileKind::Socket => FileType::Socket,
        FileKind::Char => FileType::CharDevice,
        FileKind::Block => FileType::BlockDevice,
    }
}

fn attr(ino: u64, entry: &Entry, nlink: u32) -> FileAttr {
    let mtime = time(entry.mtime);
    let size = match &entry.node {
        Node::Symlink(target) => target.len() as u64,
        _ => entry.size_bytes(),
    };
    let stored_bytes = match &entry.node {
        // Of longer lists only the length is known here.
        Node::File(root) if root.depth == 0 => {
            root.records.iter().filter(|record| !record.is_hole()).map(|record| record.len_bytes).sum()
        }
        Node::File(_) | Node::Inline(_) => size,
        _ => 0,
    };
    let rdev = match entry.node {
        // As the kernel packs them (`include/linux/kdev_t.h`: new_encode_dev).
        Node::Char(major, minor) | Node::Block(major, minor) => {
            (minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xf_ff00) << 12)
        }
        _ => 0,
    };
    FileAttr {
        ino: INodeNo(ino),
        size,
        blocks: stored_bytes.div_ceil(512),
        atime: mtime,
        mtime,
        ctime: mtime,
        crtime: entry.btime.map_or(mtime, time),
        kind: kind(entry.kind()),
        perm: (entry.mode & 0o7777) as u16,
        nlink,
        uid: entry.uid,
        gid: entry.gid,
        rdev,
        blksize: 128 << 10,
        flags: 0,
    }
}

/// A value whose length or bytes are wanted.
fn reply_xattr(value: &[u8], size: u32, reply: ReplyXattr) {
    match u32::try_from(value.len()) {
        Ok(len) if size == 0 => reply.size(len),
        Ok(len) if len <= size => reply.data(value),
        _ => reply.error(Errno::ERANGE),
    }
}

impl Filesystem for Fuse {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // What the kernel does not know it does without.
        for wanted in [InitFlags::FUSE_DO_READDIRPLUS, InitFlags::FUSE_CACHE_SYMLINKS, InitFlags::FUSE_PARALLEL_DIROPS]
        {
            let _ = config.add_capabilities(wanted);
        }
        let _ = config.set_max_readahead(READ_AHEAD_BYTES);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.tree.child(parent.0, name.as_bytes()) {
            Ok(Some(child)) => match self.attr(child.ino, &child.object, child.nlink) {
                Some(attr) => reply.entry(&FOR_EVER, &attr, Generation(0)),
                None => reply.error(Errno::EIO),
            },
            Ok(None) => reply.error(Errno::ENOENT),
            Err(error) => reply.error(self.failed(&error)),
        }
    }

    fn forget(&self, _: &Request, ino: INodeNo, nlookup: u64) {
        self.tree.forget(ino.0, nlookup);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.object(ino).map(|(object, nlink)| self.attr(ino.0, &object, nlink)) {
            Ok(Some(attr)) => reply.attr(&FOR_EVER, &attr),
            Ok(None) => reply.error(Errno::EIO),
            Err(error) => reply.error(error),
        }
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        match self.object(ino) {
            Ok((object, _)) => match object.entry().map(|entry| &entry.node) {
                Some(Node::Symlink(target)) => reply.data(target),
                _ => reply.error(Errno::EINVAL),
            },
            Err(error) => reply.error(error),
        }
    }

    fn open(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.object(ino) {
            Ok((object, _)) => {
                let fh = self.next.fetch_add(1, Ordering::Relaxed);
                let handle = Arc::new(Handle { object, at: Mutex::default() });
                self.handles.lock().unwrap_or_else(PoisonError::into_inner).insert(fh, handle);
                reply.opened(FileHandle(fh), FopenFlags::FOPEN_KEEP_CACHE);
            }
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let Some(handle) = self.handle(fh) else { return reply.error(Errno::EBADF) };
        let Some(entry) = handle.object.entry() else { return reply.error(Errno::EBADF) };
        self.announce(&handle, entry, offset, size.into());
        match read_at(self.tree.reader(), entry, offset, size as usize) {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(self.failed(&error)),
        }
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        fh: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner).remove(&fh.0);
        reply.ok();
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn opendir(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_CACHE_DIR);
    }

    fn readdir(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let listed = self.list(ino.0, offset, &mut |number, next, name, object, _| {
            let kind = object.entry().map_or(FileType::RegularFile, |entry| kind(entry.kind()));
            let full = reply.add(INodeNo(number), next, kind, OsStr::from_bytes(name));
            if !full && next > 2 {
                // Nobody but a lookup holds what was only listed.
                self.tree.forget(number, 1);
            }
            full
        });
        match listed {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error),
        }
    }

    fn readdirplus(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectoryPlus) {
        let listed = self.list(ino.0, offset, &mut |number, next, name, object, nlink| {
            let Some(entry) = object.entry() else { return false };
            reply.add(
                INodeNo(number),
                next,
                OsStr::from_bytes(name),
                &FOR_EVER,
                &attr(number, entry, nlink),
                Generation(0),
            )
        });
        match listed {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error),
        }
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        reply.statfs(0, 0, 0, 0, 0, 4_096, 255, 4_096);
    }

    fn getxattr(&self, _: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        match self.object(ino) {
            Ok((object, _)) => {
                let xattrs = object.entry().map_or(&[][..], |entry| &entry.xattrs);
                match xattrs.iter().find(|(found, _)| found == name.as_bytes()) {
                    Some((_, value)) => reply_xattr(value, size, reply),
                    None => reply.error(Errno::ENODATA),
                }
            }
            Err(error) => reply.error(error),
        }
    }

    fn listxattr(&self, _: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        match self.object(ino) {
            Ok((object, _)) => {
                let xattrs = object.entry().map_or(&[][..], |entry| &entry.xattrs);
                let names: Vec<u8> = xattrs.iter().flat_map(|(name, _)| [name, &b"\0"[..]].concat()).collect();
                reply_xattr(&names, size, reply);
            }
            Err(error) => reply.error(error),
        }
    }

    fn lseek(&self, _: &Request, ino: INodeNo, fh: FileHandle, offset: i64, whence: i32, reply: ReplyLseek) {
        let object = match self.handle(fh) {
            Some(handle) => handle.object.clone(),
            None => match self.object(ino) {
                Ok((object, _)) => object,
                Err(error) => return reply.error(error),
            },
        };
        let (Some(entry), Ok(offset)) = (object.entry(), u64::try_from(offset)) else {
            return reply.error(Errno::ENXIO);
        };
        let found = match whence {
            SEEK_DATA => self.seek(entry, offset, true),
            SEEK_HOLE => self.seek(entry, offset, false),
            _ => Err(Errno::EINVAL),
        };
        match found {
            Ok(at) => reply.offset(i64::try_from(at).unwrap_or(i64::MAX)),
            Err(error) => reply.error(error),
        }
    }
}
