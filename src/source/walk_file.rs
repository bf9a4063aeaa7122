//! Regular files of a walk: read whole by the readers, in parts by the walk, or only where they have changed.

use super::btrfs::{ChangedRanges, Places};
use super::items::{Batch, Change, FileDone, InodeKey, Item, Piece, ReadJob, Sink};
use super::meta::{Kind, Stat, file_clock, open_file_at, stat_fd};
use super::read::{path_of, read_full, regions_of};
use super::recut::{Changed, Outcome, Part, Recut, recut};
use super::shares::Shared;
use super::walk::{At, Place, Walk};
use crate::error::{Error, Result};
use crate::format::cbor::Dec;
use crate::format::content::{ContentRoot, ListOf, Record, decode_node};
use crate::format::entry::{Entry, Node};
use crate::format::limits::ROOT_RECORDS;
use crate::format::time::Time;
use crate::id::BlobId;
use crate::state::dirs::{DirKey, DirView};
use crate::state::lists::node_key;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

/// Files above this are read by the walk itself, in parts.
const LARGE_BYTES: u64 = 1 << 20;
/// Data of a changed file that travels together.
const PART_BYTES: usize = 1 << 20;
/// Pieces that travel together.
const PART_PIECES: usize = 4_096;
/// So many files with several links are remembered so that they are read once.
const LINKS_MAX: usize = 200_000;

impl<'a, S: Sink> Walk<'a, S> {
    pub(super) fn file(
        &mut self,
        at: At<'_>,
        stat: &Stat,
        inode: InodeKey,
        change: Change,
        place: &Place<'a>,
    ) -> Result<()> {
        let as_of = place.snapshot.map(|snapshot| snapshot.taken);
        let (dir, name) = (Arc::clone(at.dir), at.name.to_owned());
        let mut job = Box::new(ReadJob {
            dir,
            name,
            size_bytes: stat.size_bytes,
            inode,
            remember: false,
            shared: false,
            change,
            as_of,
        });
        if stat.nlink > 1 {
            if let Some(left) = self.links.get_mut(&inode) {
                *left -= 1;
                let last = *left == 0;
                if last {
                    self.links.remove(&inode);
                }
                return self.push(Item::Again { job, last });
            }
            if self.links.len() < LINKS_MAX {
                self.links.insert(inode, stat.nlink - 1);
                job.remember = true;
            }
        }
        if let Some((node, changed)) = self.earlier(inode, place)? {
            job.change = Change::Changed;
            return match (node, changed) {
                (node, ChangedRanges::Same) => self.same_content(&job, node),
                (Node::File(root), ChangedRanges::Ranges(ranges)) if self.pays(&ranges, stat.size_bytes) => {
                    self.changed_file(&job, &root, &ranges)
                }
                _ => self.whole_file(job, place),
            };
        }
        self.whole_file(job, place)
    }

    /// Whether to read only the changes: not of a file of which most has changed, nor of one that belongs in its entry now.
    fn pays(&self, ranges: &[Range<u64>], size_bytes: u64) -> bool {
        let changed: u64 = ranges.iter().map(|range| range.end - range.start).sum();
        let inline_max_bytes = self.context.read.keys.chunker().params().inline_max_bytes;
        changed <= size_bytes / 2 && size_bytes > u64::from(inline_max_bytes)
    }

    fn whole_file(&mut self, mut job: Box<ReadJob>, place: &Place<'a>) -> Result<()> {
        // Only what nobody changes is what its extents say; without memory everything is to be read.
        if place.snapshot.is_some() && self.context.memory.is_some() {
            let places = Places::of(job.dir.fd.as_fd());
            // What cannot be found out is read.
            match places.and_then(|places| self.shares.look(places, job.inode, job.size_bytes)).unwrap_or(Shared::No) {
                Shared::No => {}
                Shared::First => job.shared = true,
                Shared::Like(origin, changed) => {
                    if self.like(&job, origin, changed)? {
                        return Ok(());
                    }
                }
            }
        }
        if job.size_bytes > LARGE_BYTES {
            return self.large_file(&job);
        }
        self.batch.weight_bytes += job.size_bytes as usize;
        self.push(Item::Read(job))
    }

    /// Takes the content of a file that shares its extents over, but for some ranges. Returns whether that could be done.
    fn like(&mut self, job: &ReadJob, origin: InodeKey, changed: ChangedRanges) -> Result<bool> {
        let pays = match &changed {
            ChangedRanges::Same => true,
            ChangedRanges::Ranges(ranges) => self.pays(ranges, job.size_bytes),
            ChangedRanges::Whole => false,
        };
        if !pays {
            return Ok(false);
        }
        // It is known as soon as all that came before has been assembled.
        self.flush()?;
        let (answer, known) = sync_channel(1);
        self.sink.put(Batch { items: vec![Item::Ask { inode: origin, answer }], ..Batch::default() })?;
        let Some(records) = known.recv().map_err(|_| Error::Aborted)? else { return Ok(false) };
        let is_short = records.len() as u64 <= ROOT_RECORDS;
        let root = ContentRoot { depth: 0, records: records.to_vec() };
        match changed {
            ChangedRanges::Same if is_short => self.same_content(job, Node::File(root))?,
            ChangedRanges::Ranges(ranges) => self.changed_file(job, &root, &ranges)?,
            ChangedRanges::Same | ChangedRanges::Whole => self.changed_file(job, &root, &[])?,
        }
        Ok(true)
    }

    /// The content that a changed file had in the parent snapshot, and what of it may have changed.
    fn earlier(&mut self, inode: InodeKey, place: &Place<'a>) -> Result<Option<(Node, ChangedRanges)>> {
        let (Some(snapshot), Some(view)) = (place.snapshot, self.context.memory) else { return Ok(None) };
        let Some(delta) = place.delta() else { return Ok(None) };
        // What cannot be found out is read.
        let names = delta.old_names(inode.ino).unwrap_or_default();
        for (folder, name) in names {
            if !self.was_included(delta, place, folder)? {
                continue;
            }
            let found = view.child(DirKey { region: inode.region, ino: folder }, &name)?;
            let Some((session, child)) = found else { continue };
            // What a later run that was killed wrote down is not what the parent snapshot has.
            if session > snapshot.parent_session
                || child.stamp.ino != inode.ino
                || !(self.context.reusable)(inode, &child)
            {
                continue;
            }
            let Ok(entry) = Entry::decode(&mut Dec::new(&child.entry), false) else { continue };
            return Ok(match delta.changed_ranges(inode.ino) {
                Ok(changed) if matches!(entry.node, Node::File(_) | Node::Inline(_)) => Some((entry.node, changed)),
                _ => None,
            });
        }
        Ok(None)
    }

    /// Only its metadata have changed.
    fn same_content(&mut self, job: &ReadJob, node: Node) -> Result<()> {
        let done = self
            .open(job)
            .and_then(|(file, stat, looked_at)| self.context.read.without_content(&file, &stat, looked_at, job));
        match done {
            Ok(done) => self.push(Item::File(Box::new(FileDone { node: Some(node), ..done }))),
            Err(error) => self.fail(Error::io("read", self.path.clone(), error)),
        }
    }

    /// Opens a file, which must still be one. When it was looked at is that time of the snapshot in which it is.
    fn open(&self, job: &ReadJob) -> io::Result<(File, Stat, Time)> {
        let looked_at = job.as_of.unwrap_or_else(file_clock);
        let file = open_file_at(job.dir.fd.as_fd(), &job.name)?;
        let stat = stat_fd(file.as_fd())?;
        if stat.kind == Kind::File {
            Ok((file, stat, looked_at))
        } else {
            Err(io::Error::other("it was replaced by something else while the folder was read"))
        }
    }

    fn large_file(&mut self, job: &ReadJob) -> Result<()> {
        let (file, stat, looked_at) = match self.open(job) {
            Ok(opened) => opened,
            Err(error) => return self.fail(Error::io("read", self.path.clone(), error)),
        };
        // It is read once, from front to back.
        let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Sequential);
        self.flush()?;
        let sink = &mut self.sink;
        let mut emit = |data: Vec<u8>, pieces| {
            let weight_bytes = data.len();
            sink.put(Batch { items: vec![Item::Part { pieces, inode: job.inode }], data, weight_bytes })
        };
        let done = self.context.read.read_large(&file, &stat, looked_at, job, &mut emit);
        self.end_parts(done)
    }

    fn end_parts(&mut self, done: Result<FileDone>) -> Result<()> {
        match done {
            Ok(done) => self.push(Item::PartsEnd(Box::new(done))),
            Err(error @ Error::Io { .. }) => {
                self.push(Item::PartsFailed)?;
                self.fail(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Of a file in a snapshot, which nobody changes meanwhile, only what has changed is read.
    fn changed_file(&mut self, job: &ReadJob, old: &ContentRoot, ranges: &[Range<u64>]) -> Result<()> {
        let opened = self.open(job).and_then(|(file, stat, looked_at)| {
            let done = self.context.read.without_content(&file, &stat, looked_at, job)?;
            let regions = regions_of(&file, stat.size_bytes)?;
            Ok((file, stat, regions, done))
        });
        let (file, stat, regions, done) = match opened {
            Ok(opened) => opened,
            Err(error) => return self.fail(Error::io("read", self.path.clone(), error)),
        };
        self.flush()?;
        let path = path_of(job);
        let failed = |error| Error::io("read", &path, error);
        let changed = Changed { size_bytes: stat.size_bytes, regions: &regions, ranges };
        let mut parts = Parts {
            file: &file,
            inode: job.inode,
            view: self.context.memory,
            sink: &mut self.sink,
            data: self.context.read.buffers.take(),
            pieces: Vec::new(),
        };
        let cut = recut(&changed, old, self.context.read.keys.chunker(), &mut parts, &failed)
            .and_then(|outcome| parts.flush().map(|()| outcome));
        match cut {
            Ok(Outcome::Done) => self.end_parts(Ok(done)),
            Ok(Outcome::Unknown) => {
                self.push(Item::PartsFailed)?;
                self.large_file(job)
            }
            Err(error) => self.end_parts(Err(error)),
        }
    }
}

/// Parts of a changed file on their way to the assembler.
struct Parts<'a, S> {
    file: &'a File,
    inode: InodeKey,
    view: Option<&'a DirView>,
    sink: &'a mut S,
    data: Vec<u8>,
    pieces: Vec<Piece>,
}

impl<S: Sink> Parts<'_, S> {
    fn flush(&mut self) -> Result<()> {
        if self.pieces.is_empty() {
            return Ok(());
        }
        let (data, pieces) = (std::mem::take(&mut self.data), std::mem::take(&mut self.pieces));
        let weight_bytes = data.len() + pieces.len() * size_of::<Piece>();
        let item = Item::Part { pieces, inode: self.inode };
        self.sink.put(Batch { items: vec![item], data, weight_bytes })
    }
}

impl<S: Sink> Recut for Parts<'_, S> {
    fn node(&mut self, id: &BlobId, depth: u8) -> Result<Option<Vec<Record>>> {
        let Some(view) = self.view else { return Ok(None) };
        let node = view.node(&node_key(self.inode.into(), id))?;
        Ok(node.and_then(|node| decode_node(&node, depth - 1, ListOf::File).ok()).map(|(records, _)| records))
    }

    fn read(&mut self, offset: u64, len_bytes: usize, data: &mut Vec<u8>) -> io::Result<usize> {
        read_full(self.file, data, len_bytes, offset)
    }

    fn emit(&mut self, part: Part) -> Result<()> {
        self.pieces.push(match part {
            Part::Hole { len_bytes } => Piece::Hole { len_bytes },
            Part::Known(record) => Piece::Known(record),
            Part::Node { depth, record } => Piece::Node { depth, record },
            Part::Data(blob) => {
                let start = self.data.len();
                self.data.extend_from_slice(&blob);
                Piece::Blob { start, len_bytes: blob.len() as u32, id: BlobId::HOLE }
            }
        });
        if self.data.len() >= PART_BYTES || self.pieces.len() >= PART_PIECES { self.flush() } else { Ok(()) }
    }
}
