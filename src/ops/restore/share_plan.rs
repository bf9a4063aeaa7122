//! Sharing content on a Btrfs: which parts of a window's files other files have, or have earlier themselves.

use super::share::{CloneRange, Origin};
use super::window::{FileState, FileTask, Piece, Source, Task, Window};
use crate::id::BlobId;
use crate::target::NOCOW;
use std::collections::HashMap;
use std::sync::Arc;

/// So many places of blobs are remembered at most twice over: the newer half, and the older one that goes when the newer
/// is full. Some 30 MiB in all.
const PLACES: usize = 1 << 17;

/// Where content lies.
#[derive(Default)]
struct Places {
    /// The first place of each blob.
    blobs: HashMap<BlobId, (Arc<Origin>, u64)>,
    /// Which blob lies at a place.
    at: HashMap<(u32, u64), BlobId>,
    /// Files by all of their content, and whether they are without copy-on-write.
    twins: HashMap<([u8; 32], bool), Arc<Origin>>,
}

/// Pieces that follow each other in both files.
struct Stretch {
    from: Arc<Origin>,
    from_offset: u64,
    offset: u64,
    len_bytes: u64,
}

/// Plans what is shared. Only new files share, and are shared.
pub(super) struct Shares {
    block_bytes: u64,
    files: u32,
    newer: Places,
    older: Places,
}

impl Shares {
    /// For a file system with blocks of so many bytes.
    pub fn new(block_bytes: u64) -> Self {
        Self { block_bytes: block_bytes.max(1), files: 0, newer: Places::default(), older: Places::default() }
    }

    /// Says of each file of the window what it shares and in which wave it is written; returns the number of waves.
    pub fn plan(&mut self, window: &mut Window) -> u32 {
        if self.newer.blobs.len() + self.newer.twins.len() >= PLACES {
            self.older = std::mem::take(&mut self.newer);
        }
        let Window { tasks, wants, .. } = window;
        let mut waves: HashMap<u32, u32> = HashMap::new();
        let mut last = 0;
        for task in tasks {
            let Task::File(task) = task else { continue };
            // What exists in the target is changed where it differs; sharing needs files that are nobody else's.
            if task.file.existing.is_some() && task.file.how() != super::window::How::Make || task.file.has_failed() {
                continue;
            }
            let ids = |piece: &Piece| match piece.source {
                Source::Blob(number) => wants.get(number as usize).map(|want| want.id),
                _ => None,
            };
            let Some(origin) = self.task(task, &ids) else { continue };
            let needed = task.clones.iter().filter(|clone| clone.from.number != origin.number);
            task.wave = needed.filter_map(|clone| waves.get(&clone.from.number)).max().map_or(0, |wave| wave + 1);
            waves.insert(origin.number, task.wave);
            last = last.max(task.wave);
        }
        last + 1
    }

    fn task(&mut self, task: &mut FileTask, ids: &impl Fn(&Piece) -> Option<BlobId>) -> Option<Arc<Origin>> {
        let file = Arc::clone(&task.file);
        let key = file.content_key?;
        let origin = Arc::clone(file.origin.get_or_init(|| {
            self.files = self.files.wrapping_add(1);
            Arc::new(Origin::new(self.files, file.entry.flags & NOCOW != 0, &file))
        }));
        let twin_key = (key, origin.is_nocow);
        let twin = self.newer.twins.get(&twin_key).or_else(|| self.older.twins.get(&twin_key));
        let twin = twin.filter(|twin| twin.number != origin.number).map(Arc::clone);
        let mut stretches: Vec<Stretch> = Vec::new();
        for piece in &task.pieces {
            let Some(id) = ids(piece) else { continue };
            let found = match &twin {
                Some(twin) => Some((Arc::clone(twin), piece.offset)),
                // Parts of files without copy-on-write are written often: they would soon be apart again, in pieces.
                None if origin.is_nocow => None,
                None => self.find(stretches.last(), piece, &id),
            };
            let Some((from, from_offset)) = found else {
                if !origin.is_nocow {
                    self.newer.blobs.insert(id, (Arc::clone(&origin), piece.offset));
                    self.newer.at.insert((origin.number, piece.offset), id);
                }
                continue;
            };
            // Where others that share with this file are to find what follows.
            if twin.is_none() {
                self.newer.at.insert((origin.number, piece.offset), id);
            }
            match stretches.last_mut() {
                Some(last)
                    if last.from.number == from.number
                        && last.offset + last.len_bytes == piece.offset
                        && last.from_offset + last.len_bytes == from_offset =>
                {
                    last.len_bytes += piece.len_bytes;
                }
                _ => stretches.push(Stretch { from, from_offset, offset: piece.offset, len_bytes: piece.len_bytes }),
            }
        }
        if twin.is_none() {
            self.newer.twins.insert(twin_key, Arc::clone(&origin));
        }
        let is_twin = twin.is_some();
        task.clones = stretches.into_iter().filter_map(|stretch| self.aligned(&file, stretch, is_twin)).collect();
        Some(origin)
    }

    /// A place of a blob: best where the last stretch goes on, else where it was first.
    fn find(&self, last: Option<&Stretch>, piece: &Piece, id: &BlobId) -> Option<(Arc<Origin>, u64)> {
        if let Some(last) = last.filter(|last| last.offset + last.len_bytes == piece.offset) {
            let next = (last.from.number, last.from_offset + last.len_bytes);
            let there = self.newer.at.get(&next).or_else(|| self.older.at.get(&next));
            if there == Some(id) {
                return Some((Arc::clone(&last.from), next.1));
            }
        }
        self.newer.blobs.get(id).or_else(|| self.older.blobs.get(id)).map(|(from, at)| (Arc::clone(from), *at))
    }

    /// The part of a stretch that consists of whole blocks in both files. At the end of both, the last may be short.
    fn aligned(&self, file: &FileState, stretch: Stretch, is_twin: bool) -> Option<CloneRange> {
        let Stretch { from, from_offset, offset, len_bytes } = stretch;
        let block = self.block_bytes;
        if offset % block != from_offset % block {
            return None;
        }
        let head = offset.next_multiple_of(block) - offset;
        let is_end = is_twin && offset + len_bytes == file.size_bytes;
        let end = if is_end { offset + len_bytes } else { (offset + len_bytes) / block * block };
        let start = offset + head;
        let len_bytes = end.checked_sub(start).filter(|len| *len > 0)?;
        Some(CloneRange { from, from_offset: from_offset + head, offset: start, len_bytes })
    }
}
