//! The third stage: files are written, then comes everything else of a window.

use super::dirs::Dir;
use super::early::{set_early, set_late};
use super::inplace::{is_zero, make_hole, open, reads};
use super::objects;
use super::run::Run;
use super::share::Cloner;
use super::share_plan::Shares;
use super::tally::Lost;
use super::window::{FileState, FileTask, From, How, LinkTask, Piece, Ready, Source, Task, attrs_of};
use crate::format::entry::Node;
use crate::repo::reader::Blob;
use crate::source::Kind;
use crate::source::btrfs::fs_info;
use crate::source::{Stat, stat_fd};
use crate::target::{NOCOW, TargetDir, apply, apply_fd, flags, has_attrs, unfix};
use rayon::prelude::*;
use std::fs::{File, Permissions};
use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// So many slices go into one pwritev(2).
const SLICES: usize = 256;
/// The unit of holes that are made of zeros.
const ZERO_BLOCK: usize = 4_096;

/// `STATX_ATTR_IMMUTABLE` and `STATX_ATTR_APPEND`.
const FIXED: u64 = 0x10 | 0x20;

type Blobs = [Option<Result<Blob, Arc<str>>>];

/// Why a file cannot be restored.
enum Failure {
    /// Its content cannot be had, or is not what was written.
    Content(Arc<str>),
    /// The target refused.
    Target(&'static str, io::Error),
}

impl Failure {
    fn target(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |error| Self::Target(what, error)
    }
}

/// Writes windows.
pub(super) struct Writer<'r, 'a> {
    run: &'r Run<'a>,
    top: Option<TargetDir>,
    /// Where content can be shared.
    shares: Option<(Shares, Cloner)>,
    /// The directory of a first name that was opened last, with its number.
    last: Option<(u32, Arc<Dir>)>,
}

impl<'r, 'a> Writer<'r, 'a> {
    /// Writes below `top`, where a path of the snapshot is without its first `skipped` components.
    pub fn new(run: &'r Run<'a>, top: Option<TargetDir>, skipped: usize) -> Self {
        let wanted = run.options.reflink && run.is_btrfs && !run.options.dry_run;
        let shares = top.as_ref().filter(|_| wanted).and_then(|top| {
            let block_bytes = fs_info(top.as_fd()).ok()?.sector_bytes;
            Some((Shares::new(block_bytes.into()), Cloner::new(top.try_clone().ok()?, skipped)))
        });
        Self { run, top, shares, last: None }
    }

    /// Makes all that is in a window.
    pub fn window(&mut self, ready: Ready) {
        let Ready { mut window, blobs } = ready;
        let run = self.run;
        let shares = self.shares.as_mut().filter(|(_, cloner)| cloner.may_try());
        let waves = shares.map_or(1, |(shares, _)| shares.plan(&mut window));
        let cloner = self.shares.as_ref().map(|(_, cloner)| cloner);
        for wave in 0..waves {
            run.pool.install(|| {
                window.tasks.par_iter().for_each(|task| match task {
                    Task::File(task) if task.wave == wave => file(run, task, &blobs, cloner),
                    Task::Other { dir, entry, key } if wave == 0 => objects::other(run, dir, entry, *key),
                    _ => {}
                });
            });
        }
        drop((window.tasks, blobs));
        for link in &window.links {
            self.link(link);
        }
        run.pool.install(|| window.ends.par_iter().for_each(|dir| objects::end(run, dir)));
    }

    fn link(&mut self, task: &LinkTask) {
        let run = self.run;
        let Some(handle) = task.dir.handle.as_ref().filter(|_| !run.is_stopped()) else { return };
        let path = || task.dir.step.path_of(&task.name);
        if run.has_link_failed(&task.key) {
            return run.problem(&path(), "the file of which it is another name could not be restored");
        }
        let linked = self.first_dir(&task.from).and_then(|from| {
            let from = from.handle.as_ref().ok_or(io::ErrorKind::NotFound)?;
            handle.hard_link(from, &task.first_name, &task.name, !task.dir.fresh)
        });
        match linked {
            Ok(()) => {
                run.tally.links.add(1);
                // A backup counts each name of a file.
                run.progress.advance((task.key.kind == Kind::File as u8).into(), 0);
            }
            Err(error) => run.target_problem(&path(), "link", error),
        }
    }

    /// The directory of a first name, opened step by step.
    fn first_dir(&mut self, from: &From) -> io::Result<Arc<Dir>> {
        let (number, steps) = match from {
            From::Dir(dir) => return Ok(Arc::clone(dir)),
            From::Steps(number, steps) => (*number, steps),
        };
        if let Some((_, dir)) = self.last.as_ref().filter(|(last, _)| *last == number) {
            return Ok(Arc::clone(dir));
        }
        let top = self.top.as_ref().ok_or(io::ErrorKind::NotFound)?.try_clone()?;
        let handle = steps.iter().try_fold(top, |dir, name| dir.child_dir(name, false, false))?;
        let dir = Dir { handle: Some(handle), step: super::dirs::Step::top(), fresh: false, entry: None };
        let dir = Arc::new(dir);
        self.last = Some((number, Arc::clone(&dir)));
        Ok(dir)
    }
}

/// Writes a file or a part of it.
fn file(run: &Run<'_>, task: &FileTask, blobs: &Blobs, cloner: Option<&Cloner>) {
    let file = &task.file;
    // What was begun of it goes away with the state.
    if run.is_stopped() {
        return;
    }
    if !file.has_failed()
        && let Err(failure) = part(run, task, blobs, cloner)
    {
        file.failed.store(true, Ordering::Relaxed);
        match failure {
            Failure::Content(why) => run.problem(&file.path(), &*why),
            Failure::Target(what, error) => run.target_problem(&file.path(), what, error),
        }
        file.discard();
    }
    let part_bytes = task.pieces.iter().map(|piece| piece.len_bytes).sum::<u64>();
    if !task.is_last {
        return run.progress.advance(0, part_bytes);
    }
    run.progress.advance(1, if file.how() == How::Keep { file.size_bytes } else { part_bytes });
    if file.has_failed() {
        file.discard();
        run.link_failed(file.key);
        return;
    }
    if let (Some(origin), Some(open)) = (file.origin.get(), file.open.get()) {
        origin.complete(open);
    }
    file.complete.store(true, Ordering::Relaxed);
    run.tally.files.add(1);
    run.tally.verified.add(1);
    if file.existing.is_some() && file.open.get().is_none() {
        run.tally.files_unchanged.add(1);
    }
}

fn part(run: &Run<'_>, task: &FileTask, blobs: &Blobs, cloner: Option<&Cloner>) -> Result<(), Failure> {
    let file = &task.file;
    let how = file.how();
    let sparse = run.options.sparse && how == How::Make;
    let slices = slices(task, blobs, sparse)?;
    let needed = || task.pieces.iter().filter(|piece| !piece.is_right);
    let other_length = file.existing.as_ref().is_none_or(|stat| stat.size_bytes != file.size_bytes);
    let is_touched = match how {
        How::Make => true,
        How::Patch => needed().next().is_some() || other_length || file.open.get().is_some(),
        How::Keep => false,
    };
    if is_touched {
        let open = opened(run, file)?;
        match cloner.filter(|_| how == How::Make && !task.clones.is_empty()) {
            None => write_slices(open, &slices).map_err(Failure::target("write"))?,
            Some(cloner) => write_shared(run, task, open, &slices, cloner).map_err(Failure::target("write"))?,
        }
        if how == How::Patch {
            for hole in needed().filter(|piece| piece.source == Source::Hole) {
                make_hole(open, hole.offset, hole.len_bytes).map_err(Failure::target("write"))?;
            }
        }
        let ends_in_hole = sparse || task.pieces.last().is_some_and(|piece| piece.source == Source::Hole);
        if task.is_last && (ends_in_hole || (how == How::Patch && other_length)) {
            open.set_len(file.size_bytes).map_err(Failure::target("set the length of"))?;
        }
        if run.options.verify {
            verify(task, open, blobs)?;
        }
    }
    let (mut written, mut skipped) = (0, if how == How::Keep { file.size_bytes } else { 0 });
    for piece in &task.pieces {
        *(if piece.is_right { &mut skipped } else { &mut written }) += piece.len_bytes;
    }
    run.tally.bytes.add(written);
    run.tally.bytes_skipped.add(skipped);
    if task.is_last {
        attributes(run, file);
    }
    Ok(())
}

/// The file, open for writing.
fn opened<'f>(run: &Run<'_>, file: &'f FileState) -> Result<&'f File, Failure> {
    if let Some(open) = file.open.get() {
        return Ok(open);
    }
    let handle = file.dir.handle.as_ref().ok_or(Failure::Target("make", io::ErrorKind::NotFound.into()))?;
    let made = match (&file.existing, file.how()) {
        (Some(existing), How::Patch) => {
            let open = open(file, existing).map_err(Failure::target("open"))?;
            // Whoever may read it now is not to read what it becomes, unless the snapshot says so.
            let mode = existing.mode & 0o777 & file.entry.mode | 0o600;
            if existing.mode != mode {
                open.set_permissions(Permissions::from_mode(mode)).map_err(Failure::target("protect"))?;
            }
            file.written.store(true, Ordering::Relaxed);
            open
        }
        _ => {
            let made = handle.create_file(&file.entry.name, !file.dir.fresh).map_err(Failure::target("make"))?;
            let above = file.dir.entry.as_deref();
            set_early(run, made.as_fd(), &file.entry, above, || file.path())
                .map_err(Failure::target("set the flags of"))?;
            made
        }
    };
    Ok(file.open.get_or_init(|| made))
}

fn attributes(run: &Run<'_>, file: &FileState) {
    let attrs = attrs_of(&file.entry);
    let Some(open) = file.open.get() else {
        let (Some(handle), Some(existing)) = (&file.dir.handle, &file.existing) else { return };
        let name = &file.entry.name;
        if !has_attrs(handle, name, existing, &attrs, &run.policy).unwrap_or(false) {
            if existing.attributes & FIXED != 0
                && let Ok(open) = handle.open_read(name)
            {
                // What may not be is said when it is tried.
                let _ = unfix(open.as_fd());
            }
            run.attr_problems(|| file.path(), apply(handle, name, None, &attrs, &run.policy));
        }
        if file.entry.flags != 0 || existing.attributes & FIXED != 0 {
            kept_flags(run, file, handle, existing);
        }
        return;
    };
    run.attr_problems(|| file.path(), apply_fd(open.as_fd(), &attrs, &run.policy));
    set_late(run, open.as_fd(), file.entry.flags, file.how() == How::Patch, || file.path());
}

/// The flags of a file in which nothing was written.
fn kept_flags(run: &Run<'_>, file: &FileState, handle: &TargetDir, existing: &Stat) {
    let Ok(open) = handle.open_read(&file.entry.name) else { return };
    if !stat_fd(open.as_fd()).is_ok_and(|stat| stat.is_same_inode(existing)) {
        return;
    }
    if file.entry.flags & NOCOW != 0 && flags(open.as_fd()) & NOCOW == 0 {
        run.lost(Lost::storage("the flag no copy-on-write (C)"), &|| file.path());
    }
    set_late(run, open.as_fd(), file.entry.flags, true, || file.path());
}

/// The bytes to write, each with its offset.
fn slices<'b>(task: &'b FileTask, blobs: &'b Blobs, sparse: bool) -> Result<Vec<(u64, &'b [u8])>, Failure> {
    let mut slices = Vec::with_capacity(task.pieces.len());
    for piece in task.pieces.iter().filter(|piece| !piece.is_right) {
        let bytes: &[u8] = match piece.source {
            Source::Hole => continue,
            Source::Inline => match &task.file.entry.node {
                Node::Inline(bytes) => bytes,
                _ => continue,
            },
            Source::Blob(number) => match blobs.get(number as usize) {
                Some(Some(Ok(blob))) => blob,
                Some(Some(Err(why))) => return Err(Failure::Content(Arc::clone(why))),
                _ => return Err(Failure::Content("its content was not read".into())),
            },
        };
        if sparse { without_zeros(piece.offset, bytes, &mut slices) } else { slices.push((piece.offset, bytes)) }
    }
    Ok(slices)
}

/// Adds what is not a whole block of zeros. Blocks are counted from the file's beginning.
fn without_zeros<'b>(offset: u64, bytes: &'b [u8], slices: &mut Vec<(u64, &'b [u8])>) {
    let head = usize::try_from(offset.next_multiple_of(ZERO_BLOCK as u64) - offset).unwrap_or(usize::MAX);
    let mut start = 0;
    let mut at = head;
    while let Some(block) = bytes.get(at..at.saturating_add(ZERO_BLOCK)) {
        if block.iter().all(|byte| *byte == 0) {
            if start < at {
                slices.push((offset + start as u64, &bytes[start..at]));
            }
            start = at + ZERO_BLOCK;
        }
        at += ZERO_BLOCK;
    }
    if start < bytes.len() {
        slices.push((offset + start as u64, &bytes[start..]));
    }
}

/// Writes what is not shared, then shares in order, as a file may share what comes earlier in itself.
fn write_shared(
    run: &Run<'_>,
    task: &FileTask,
    open: &File,
    slices: &[(u64, &[u8])],
    cloner: &Cloner,
) -> io::Result<()> {
    let mut at = 0;
    for clone in &task.clones {
        write_slices(open, &within(slices, at..clone.offset))?;
        at = clone.offset + clone.len_bytes;
    }
    write_slices(open, &within(slices, at..u64::MAX))?;
    for clone in &task.clones {
        if cloner.share(&task.file, open, clone) {
            run.tally.bytes_shared.add(clone.len_bytes);
        } else {
            write_slices(open, &within(slices, clone.offset..clone.offset + clone.len_bytes))?;
        }
    }
    Ok(())
}

/// The parts of slices, which ascend, that lie in `range`.
fn within<'b>(slices: &[(u64, &'b [u8])], range: Range<u64>) -> Vec<(u64, &'b [u8])> {
    let first = slices.partition_point(|(at, bytes)| at + bytes.len() as u64 <= range.start);
    let before_end = slices[first..].iter().take_while(|(at, _)| *at < range.end);
    let clip = |(at, bytes): &(u64, &'b [u8])| {
        let cut = |offset: u64| usize::try_from(offset.saturating_sub(*at)).map_or(bytes.len(), |n| n.min(bytes.len()));
        let start = cut(range.start);
        (at + start as u64, &bytes[start..cut(range.end)])
    };
    before_end.map(clip).filter(|(_, bytes)| !bytes.is_empty()).collect()
}

/// Writes slices in order, those that follow each other together.
fn write_slices(file: &File, slices: &[(u64, &[u8])]) -> io::Result<()> {
    let follows = |a: &(u64, &[u8]), b: &(u64, &[u8])| a.0 + a.1.len() as u64 == b.0;
    for run in slices.chunk_by(follows).flat_map(|run| run.chunks(SLICES)) {
        let [(offset, bytes)] = run else {
            write_together(file, run)?;
            continue;
        };
        file.write_all_at(bytes, *offset)?;
    }
    Ok(())
}

fn write_together(file: &File, run: &[(u64, &[u8])]) -> io::Result<()> {
    let Some((start, _)) = run.first() else { return Ok(()) };
    let list: Vec<IoSlice<'_>> = run.iter().map(|(_, bytes)| IoSlice::new(bytes)).collect();
    let mut done = match rustix::io::pwritev(file, &list, *start) {
        Ok(done) => done,
        Err(rustix::io::Errno::INTR) => 0,
        Err(errno) => return Err(errno.into()),
    };
    for (offset, bytes) in run {
        let skip = done.min(bytes.len());
        done -= skip;
        file.write_all_at(&bytes[skip..], offset + skip as u64)?;
    }
    Ok(())
}

/// Reads back what was written.
fn verify(task: &FileTask, open: &File, blobs: &Blobs) -> Result<(), Failure> {
    let file = &task.file;
    let is_good = |piece: &Piece| match piece.source {
        // The blob was checked against its id; comparing with it is quicker than hashing again.
        Source::Blob(number) => {
            matches!(blobs.get(number as usize), Some(Some(Ok(blob))) if reads(open, piece, |b| *b == **blob))
        }
        Source::Inline => matches!(&file.entry.node, Node::Inline(inline) if reads(open, piece, |b| b == inline)),
        Source::Hole => {
            let end = piece.offset.saturating_add(piece.len_bytes);
            is_zero(open, piece.offset, end).unwrap_or(false)
        }
    };
    let good = task.pieces.iter().filter(|piece| !piece.is_right).all(is_good);
    let length = || open.metadata().is_ok_and(|meta| meta.len() == file.size_bytes);
    if good && (!task.is_last || length()) {
        Ok(())
    } else {
        Err(Failure::Content("it reads back as something else than was written".into()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_left_out_by_whole_blocks() {
        let mut bytes = vec![0; 5 * ZERO_BLOCK];
        bytes[2 * ZERO_BLOCK] = 1;
        let mut slices = Vec::new();
        without_zeros(0, &bytes, &mut slices);
        let places: Vec<_> = slices.iter().map(|(at, bytes)| (*at, bytes.len())).collect();
        assert_eq!(places, [(2 * ZERO_BLOCK as u64, ZERO_BLOCK)]);
        // Not aligned: what is before and after the whole blocks is kept.
        let mut slices = Vec::new();
        without_zeros(100, &bytes, &mut slices);
        let places: Vec<_> = slices.iter().map(|(at, bytes)| (*at, bytes.len())).collect();
        let block = ZERO_BLOCK as u64;
        assert_eq!(places, [(100, ZERO_BLOCK - 100), (2 * block, ZERO_BLOCK), (5 * block, 100)]);
        let mut slices = Vec::new();
        without_zeros(5, &[0; 7], &mut slices);
        assert_eq!(slices.len(), 1);
    }

    #[test]
    fn slices_land_where_they_belong() {
        let file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..2_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let mut slices: Vec<(u64, &[u8])> = bytes.chunks(3).enumerate().map(|(n, b)| (n as u64 * 3, b)).collect();
        slices.push((3_000, b"end"));
        write_slices(&file, &slices).unwrap();
        let mut read = vec![0; 3_003];
        file.read_exact_at(&mut read, 0).unwrap();
        assert_eq!(read[..2_000], bytes);
        assert!(read[2_000..3_000].iter().all(|b| *b == 0));
        assert_eq!(&read[3_000..], b"end");
    }
}
