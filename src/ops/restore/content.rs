//! The first stage, for regular files: their content as pieces, in windows.

use super::dirs::Dir;
use super::inplace::may_stay;
use super::links::LinkKey;
use super::run::text_of;
use super::walk::Walker;
use super::window::{FileState, FileTask, How, Piece, Source, Task, Want};
use crate::error::{Error, Result};
use crate::format::content::{ContentRoot, ListOf, Record};
use crate::format::entry::{Entry, Node};
use crate::format::header::BlobKind;
use crate::source::{Kind, Stat};
use crate::state::blobs::Place;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// The part of a file that is being put together.
struct Part {
    pieces: Vec<Piece>,
    offset: u64,
}

impl Walker<'_, '_> {
    /// A regular file.
    pub(super) fn file(&mut self, dir: Arc<Dir>, mut entry: Entry, key: Option<LinkKey>) {
        let run = self.run;
        let size_bytes = entry.size_bytes();
        let existing = match existing(&dir, &entry.name) {
            Ok(existing) => existing,
            Err(error) => {
                run.link_failed(key);
                return run.target_problem(&dir.step.path_of(&entry.name), "look at", error);
            }
        };
        let looks_right = existing
            .as_ref()
            .is_some_and(|stat| stat.kind == Kind::File && stat.size_bytes == size_bytes && stat.mtime == entry.mtime);
        if run.options.dry_run {
            run.tally.files.add(1);
            run.tally.files_unchanged.add(looks_right.into());
            let bytes = if looks_right { &run.tally.bytes_skipped } else { &run.tally.bytes };
            bytes.add(size_bytes);
            return run.progress.advance(1, size_bytes);
        }
        let content = match &mut entry.node {
            Node::File(content) => Some(std::mem::take(content)),
            _ => None,
        };
        let file = Arc::new(FileState {
            dir,
            entry,
            key,
            size_bytes,
            existing,
            content_key: content.as_ref().map(key_of),
            origin: OnceLock::new(),
            how: OnceLock::new(),
            open: OnceLock::new(),
            failed: AtomicBool::new(false),
            written: AtomicBool::new(false),
            complete: AtomicBool::new(false),
        });
        let mut part = Part { pieces: Vec::new(), offset: 0 };
        if let Some(stat) = file.existing.as_ref().filter(|_| looks_right)
            && may_stay(run, &file, stat, content.as_ref())
        {
            let _ = file.how.set(How::Keep);
        } else if let Some(content) = content {
            self.records(&file, &mut part, &content);
        } else {
            self.piece(&file, &mut part, Source::Inline, size_bytes);
        }
        self.part(&file, &mut part, true);
    }

    fn records(&mut self, file: &Arc<FileState>, part: &mut Part, content: &ContentRoot) {
        let run = self.run;
        let result = run.reader.each_record(content, ListOf::File, &mut |record| self.record(file, part, &record));
        match result {
            Ok(()) => {}
            Err(Error::Aborted) => file.failed.store(true, Ordering::Relaxed),
            Err(error) => {
                run.read_problem(&error);
                run.problem(&file.path(), text_of(&error));
                file.failed.store(true, Ordering::Relaxed);
            }
        }
    }

    fn record(&mut self, file: &Arc<FileState>, part: &mut Part, record: &Record) -> Result<()> {
        // Nothing more of a file that is given up need be read.
        if file.has_failed() || self.run.is_stopped() {
            return Err(Error::Aborted);
        }
        let source = if record.is_hole() { Source::Hole } else { Source::Blob(self.blob(file, part, record)?) };
        self.piece(file, part, source, record.len_bytes);
        Ok(())
    }

    fn piece(&mut self, file: &Arc<FileState>, part: &mut Part, source: Source, len_bytes: u64) {
        part.pieces.push(Piece { offset: part.offset, len_bytes, source, is_right: false });
        part.offset += len_bytes;
        self.window.note_piece(source, len_bytes);
        if self.window.is_full() && source != Source::Inline {
            self.part(file, part, false);
            self.flush();
        }
    }

    /// The number of a blob in the window, which may be a new one.
    fn blob(&mut self, file: &Arc<FileState>, part: &mut Part, record: &Record) -> Result<u32> {
        if let Some(number) = self.window.wanted(record) {
            return Ok(number);
        }
        let place = match self.run.reader.place(BlobKind::Data, &record.id) {
            Err(error @ Error::State { .. }) => return Err(error),
            Err(error) => Err(self.run.read_problem(&error).into()),
            Ok(place) => Ok(place),
        };
        let located = place.and_then(|place| Ok((place, self.segment_bytes(&place)?)));
        let (place, segment) = match located {
            Ok((place, plain_bytes)) => (Ok(place), Some(((place.pack, place.segment), plain_bytes))),
            Err(why) => (Err(why), None),
        };
        if let Some((id, plain_bytes)) = segment
            && !self.window.has_room(id, plain_bytes)
        {
            self.part(file, part, false);
            self.flush();
        }
        Ok(self.window.want(Want { id: record.id, len_bytes: record.len_bytes, place }, segment))
    }

    /// Plaintext bytes of the segment in which a blob is.
    fn segment_bytes(&mut self, place: &Place) -> Result<u32, Arc<str>> {
        if let Some(why) = self.bad_packs.get(&place.pack) {
            return Err(Arc::clone(why));
        }
        let reader = &self.run.reader;
        // Over a network the pack is opened when its segments are fetched: by the same request.
        let info = match reader.repo().backend().is_remote() {
            true => reader.pack_info(place.pack),
            false => reader.open_pack(place.pack).map(|open| Arc::clone(&open.info)),
        };
        match info {
            Ok(info) => {
                let segment = info.segments.get(usize::from(place.segment));
                segment.map(|s| s.plain_bytes).ok_or_else(|| {
                    self.run.doubt();
                    "the index names a segment that its pack does not have".into()
                })
            }
            Err(error) => {
                let why: Arc<str> = self.run.read_problem(&error).into();
                self.bad_packs.insert(place.pack, Arc::clone(&why));
                Err(why)
            }
        }
    }

    /// Puts what there is of a file into the window.
    fn part(&mut self, file: &Arc<FileState>, part: &mut Part, is_last: bool) {
        if part.pieces.is_empty() && !is_last {
            return;
        }
        self.window.note_dir(&file.dir);
        let pieces = std::mem::take(&mut part.pieces);
        self.window.tasks.push(Task::File(FileTask {
            file: Arc::clone(file),
            pieces,
            is_last,
            clones: Vec::new(),
            wave: 0,
        }));
    }
}

/// Stands for a file's whole content: equal ones have equal content.
fn key_of(content: &ContentRoot) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[content.depth]);
    for record in &content.records {
        hasher.update(&record.id.0).update(&record.len_bytes.to_le_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// What is there under a name.
fn existing(dir: &Dir, name: &[u8]) -> io::Result<Option<Stat>> {
    let Some(handle) = dir.handle.as_ref().filter(|_| !dir.fresh) else { return Ok(None) };
    match handle.stat(name) {
        Ok(stat) => Ok(Some(stat)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
