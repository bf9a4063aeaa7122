//! In place: which parts of an existing file are right already.

use super::run::Run;
use super::window::{FileState, FileTask, How, Piece, Source, Want, attrs_of};
use crate::error::Error;
use crate::format::content::{ContentRoot, ListOf};
use crate::format::entry::Node;
use crate::format::header::BlobKind;
use crate::id::BlobId;
use crate::source::{Kind, Stat, stat_fd};
use crate::target::{NOCOW, flags, has_attrs, unfix};
use rustix::fs::{FallocateFlags, SeekFrom, fallocate, seek};
use rustix::io::Errno;
use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

/// How much is looked at at once where a hole is to be.
const STEP_BYTES: usize = 256 << 10;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Says how a file gets into the target and marks the pieces that are right already.
pub(super) fn compare(run: &Run<'_>, task: &mut FileTask, wants: &[Want]) {
    let file = &task.file;
    let Some(existing) = &file.existing else { return };
    if file.has_failed() || run.is_stopped() || file.how.get().is_some_and(|how| *how != How::Patch) {
        return;
    }
    // What has other names, perhaps elsewhere, is not written to.
    let may_patch = existing.kind == Kind::File && existing.nlink == 1;
    let opened = if may_patch { open(file, existing).ok() } else { None };
    // Only what is empty can be given up copy-on-write.
    let fits = |opened: &File| file.entry.flags & NOCOW == 0 || !run.is_btrfs || flags(opened.as_fd()) & NOCOW != 0;
    let Some(opened) = opened.filter(fits) else {
        let _ = file.how.set(How::Make);
        return;
    };
    let _ = file.how.set(How::Patch);
    for piece in &mut task.pieces {
        let id = match piece.source {
            Source::Blob(number) => wants.get(number as usize).map(|want| want.id),
            _ => None,
        };
        piece.is_right = is_right(run, file, &opened, existing.size_bytes, piece, id);
    }
}

/// Whether a file that looks right may stay as it is, without a look at its content if that is believed.
pub(super) fn may_stay(run: &Run<'_>, file: &FileState, existing: &Stat, content: Option<&ContentRoot>) -> bool {
    let is_believed = run.options.believe_times;
    if existing.nlink == 1 {
        // With its content in question, it is compared piece by piece; what may not be opened for that, which is also for writing, is here.
        let is_read_only = existing.mode & 0o200 == 0;
        return is_believed
            || (is_read_only && open(file, existing).is_err() && is_whole(run, file, existing, content));
    }
    // Others than the snapshot's names may be among its names, so it stays if nothing of it is to be changed.
    (is_believed || is_whole(run, file, existing, content)) && may_keep(run, file, existing)
}

/// Compares all of a file.
fn is_whole(run: &Run<'_>, file: &FileState, existing: &Stat, content: Option<&ContentRoot>) -> bool {
    let opened = file.dir.handle.as_ref().map(|handle| handle.open_read(&file.entry.name));
    let Some(Ok(opened)) = opened else { return false };
    if !stat_fd(opened.as_fd()).is_ok_and(|stat| stat.is_same_inode(existing)) {
        return false;
    }
    let mut piece = Piece { offset: 0, len_bytes: file.size_bytes, source: Source::Inline, is_right: false };
    let Some(content) = content else {
        return is_right(run, file, &opened, existing.size_bytes, &piece, None);
    };
    let visited = run.reader.each_record(content, ListOf::File, &mut |record| {
        let (source, id) = if record.is_hole() { (Source::Hole, None) } else { (Source::Blob(0), Some(record.id)) };
        (piece.source, piece.len_bytes) = (source, record.len_bytes);
        if run.is_stopped() || !is_right(run, file, &opened, existing.size_bytes, &piece, id) {
            return Err(Error::Aborted);
        }
        piece.offset += record.len_bytes;
        Ok(())
    });
    visited.is_ok()
}

/// Whether an inode with several names may stay: its attributes are right, and it is no other group's.
fn may_keep(run: &Run<'_>, file: &FileState, existing: &Stat) -> bool {
    let (Some(key), Some(handle)) = (file.key, &file.dir.handle) else { return false };
    let attrs = attrs_of(&file.entry);
    has_attrs(handle, &file.entry.name, existing, &attrs, &run.policy).unwrap_or(false)
        && run.claim((existing.dev, existing.ino), key)
}

/// Opens the file that was there, if it still is the same.
pub(super) fn open(file: &FileState, existing: &Stat) -> io::Result<File> {
    let handle = file.dir.handle.as_ref().ok_or(io::ErrorKind::NotFound)?;
    let opened = match handle.open_existing(&file.entry.name) {
        // Immutable or append-only, maybe by an earlier restore. It gets the flags that it is to have at the end.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            unfix(handle.open_read(&file.entry.name)?.as_fd())?;
            handle.open_existing(&file.entry.name)?
        }
        other => other?,
    };
    if stat_fd(opened.as_fd())?.is_same_inode(existing) {
        Ok(opened)
    } else {
        Err(io::Error::other("it was replaced meanwhile"))
    }
}

/// Whether `piece` is right in the file that was there, which has `have_bytes` bytes. `id` is that of its blob.
fn is_right(
    run: &Run<'_>,
    file: &FileState,
    opened: &File,
    have_bytes: u64,
    piece: &Piece,
    id: Option<BlobId>,
) -> bool {
    let end = piece.offset.saturating_add(piece.len_bytes);
    if piece.source == Source::Hole {
        // What is behind the end becomes a hole by setting the length.
        return is_zero(opened, piece.offset, end.min(have_bytes)).unwrap_or(false);
    }
    if end > have_bytes {
        return false;
    }
    match id {
        Some(id) => reads(opened, piece, |bytes| run.reader.repo().keys().blob_id(BlobKind::Data, bytes) == id),
        None => matches!(&file.entry.node, Node::Inline(inline) if reads(opened, piece, |bytes| bytes == inline)),
    }
}

/// Whether the bytes of `piece` can be read and are what `test` wants. They are at most as many as a blob may have.
pub(super) fn reads(file: &File, piece: &Piece, test: impl FnOnce(&[u8]) -> bool) -> bool {
    let Ok(len) = usize::try_from(piece.len_bytes) else { return false };
    BUFFER.with_borrow_mut(|buffer| {
        if buffer.len() < len {
            buffer.resize(len, 0);
        }
        file.read_exact_at(&mut buffer[..len], piece.offset).is_ok() && test(&buffer[..len])
    })
}

/// Whether the bytes from `start` to `end` read as zeros. Only data is read, not holes.
pub(super) fn is_zero(file: &File, start: u64, end: u64) -> io::Result<bool> {
    let mut at = start;
    let mut buffer = vec![0; STEP_BYTES];
    while at < end {
        at = match seek(file, SeekFrom::Data(at)) {
            Ok(data) => data.max(at),
            Err(Errno::NXIO) => return Ok(true),
            Err(Errno::INVAL | Errno::OPNOTSUPP) => at,
            Err(errno) => return Err(errno.into()),
        };
        if at >= end {
            break;
        }
        let len = usize::try_from(end - at).map_or(STEP_BYTES, |rest| rest.min(STEP_BYTES));
        file.read_exact_at(&mut buffer[..len], at)?;
        if buffer[..len].iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        at += len as u64;
    }
    Ok(true)
}

/// Makes a hole in an existing file, or writes zeros where there are no holes.
pub(super) fn make_hole(file: &File, offset: u64, len_bytes: u64) -> io::Result<()> {
    let have_bytes = file.metadata()?.len();
    let end = offset.saturating_add(len_bytes).min(have_bytes);
    if end <= offset {
        return Ok(());
    }
    match fallocate(file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, offset, end - offset) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
        other => return Ok(other?),
    }
    let zeros = vec![0; STEP_BYTES];
    let mut at = offset;
    while at < end {
        let len = usize::try_from(end - at).map_or(STEP_BYTES, |rest| rest.min(STEP_BYTES));
        file.write_all_at(&zeros[..len], at)?;
        at += len as u64;
    }
    Ok(())
}
