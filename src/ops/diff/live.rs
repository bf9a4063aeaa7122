//! A snapshot beside the files as they are now.

use super::{Change, Differences, Fate, What, one_sided};
use crate::error::{Error, Result};
use crate::format::content::ListOf;
use crate::format::entry::{Entry, FileKind, Node};
use crate::format::header::BlobKind;
use crate::format::snapshot::Manifest;
use crate::ops::list::absolute;
use crate::ops::view::cursor::{Cursor, Next};
use crate::ops::view::tree::Item;
use crate::ops::{Progress, Totals};
use crate::repo::reader::BlobReader;
use crate::source::{self, ExcludeOptions, Excludes, Names, Stat};
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// How the live files are looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct LiveOptions {
    /// Read files whose size and time are as they were, too.
    pub reads_content: bool,
}

/// What differs, and what could not be looked at.
#[derive(Debug, Default)]
pub struct LiveReport {
    /// What differs: the snapshot is on the left.
    pub differences: Differences,
    /// Sentences.
    pub problems: Vec<String>,
}

/// What has become of the files of a snapshot, at `path` and below. What the snapshot's patterns leave out is not new, nor is what it has left out on
/// other file systems. Content is compared by the ids of its parts: nothing of it is read from the store. Memory: what differs.
///
/// # Errors
/// [`Error::Usage`] when the snapshot has no such path; what is wrong with its trees; [`Error::Interrupted`].
pub fn live(
    reader: &BlobReader<'_>,
    manifest: &Manifest,
    path: &[u8],
    options: LiveOptions,
    progress: &dyn Progress,
) -> Result<LiveReport> {
    progress.stage("compare", Totals::default());
    let path = absolute(path);
    let patterns = manifest.excludes.iter().map(|pattern| String::from_utf8_lossy(pattern).into_owned()).collect();
    let excludes = Excludes::new(&ExcludeOptions { patterns, ..ExcludeOptions::default() })?;
    let item = Item::at(reader, manifest, &path)?;
    let mut live = Live { reader, excludes, options, progress, changes: Vec::new(), problems: Vec::new(), path };
    live.item(item)?;
    Ok(LiveReport { differences: Differences::of(live.changes), problems: live.problems })
}

struct Live<'l, 'r> {
    reader: &'l BlobReader<'r>,
    excludes: Excludes,
    options: LiveOptions,
    progress: &'l dyn Progress,
    changes: Vec<Change>,
    problems: Vec<String>,
    path: Vec<u8>,
}

/// A folder that is compared.
struct Level {
    dir: OwnedFd,
    cursor: Cursor,
    names: Names,
    at: usize,
    next: Option<Box<Entry>>,
    path_bytes: usize,
    /// The snapshot has nothing of what is in it.
    is_left_out: bool,
}

impl Live<'_, '_> {
    /// Roots, each with its own way from the top.
    fn item(&mut self, item: Item) -> Result<()> {
        match item {
            Item::Entry(entry) => self.root(&entry),
            Item::Above(children) => {
                let len = self.path.len();
                for (name, child) in children {
                    self.push(&name);
                    self.item(child)?;
                    self.path.truncate(len);
                }
                Ok(())
            }
        }
    }

    fn root(&mut self, entry: &Entry) -> Result<()> {
        let path = Path::new(OsStr::from_bytes(&self.path)).to_owned();
        let (parent, name) = match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => (parent.to_owned(), name.as_bytes().to_vec()),
            _ => (path, b".".to_vec()),
        };
        let name = CString::new(name).map_err(|e| Error::io("open", &parent, io::Error::from(e)))?;
        let dir = match File::open(&parent) {
            Ok(dir) => OwnedFd::from(dir),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.gone(entry),
            Err(error) => return Err(Error::io("open", parent, error)),
        };
        let mut stack = Vec::new();
        let base = self.path.len();
        if let Some(level) = self.object(dir.as_fd(), &name, entry)? {
            stack.push(level);
        }
        while let Some(level) = stack.last_mut() {
            if self.progress.cancelled() {
                return Err(Error::Interrupted);
            }
            self.path.truncate(level.path_bytes);
            let live = level.names.get(level.at).map(|name| name.name.to_owned());
            let order = match (&level.next, &live) {
                (Some(entry), Some(name)) => entry.name[..].cmp(name.to_bytes()),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (None, None) => {
                    stack.pop();
                    continue;
                }
            };
            let entry = if order.is_le() { level.next.take() } else { None };
            if entry.is_some() {
                level.next = advance(&mut level.cursor, self.reader)?;
            }
            if order.is_ge() {
                level.at += 1;
            }
            let (dir, is_left_out) = (level.dir.as_fd(), level.is_left_out);
            let name = if order.is_ge() { live } else { None };
            let bytes = entry.as_ref().map(|e| e.name.clone()).or(name.as_ref().map(|n| n.to_bytes().to_vec()));
            self.push(&bytes.unwrap_or_default());
            match (entry, name) {
                (Some(entry), Some(name)) => {
                    if let Some(below) = self.object(dir, &name, &entry)? {
                        stack.push(below);
                    }
                }
                (Some(entry), None) => self.gone(&entry)?,
                (None, Some(name)) if !is_left_out => self.came(dir, &name)?,
                (None, _) => {}
            }
        }
        self.path.truncate(base);
        Ok(())
    }

    fn push(&mut self, name: &[u8]) {
        if !self.path.ends_with(b"/") {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(name);
    }

    fn problem(&mut self, what: &str, error: &io::Error) {
        self.problems.push(format!("cannot {what} {}: {error}", String::from_utf8_lossy(&self.path)));
    }

    /// What the snapshot has here is no longer there, with all that is below.
    fn gone(&mut self, entry: &Entry) -> Result<()> {
        let base = self.path.clone();
        self.changes.push(one_sided(base.clone(), entry, Fate::Removed));
        let Node::Dir(root) = &entry.node else { return Ok(()) };
        let mut stack = vec![(Cursor::new(root.clone()), base)];
        while let Some((cursor, path)) = stack.last_mut() {
            if self.progress.cancelled() {
                return Err(Error::Interrupted);
            }
            let Some(entry) = advance(cursor, self.reader)? else {
                stack.pop();
                continue;
            };
            let path = [path.strip_suffix(b"/").unwrap_or(path), b"/", &entry.name].concat();
            self.changes.push(one_sided(path.clone(), &entry, Fate::Removed));
            if let Node::Dir(root) = entry.node {
                stack.push((Cursor::new(root), path));
            }
        }
        Ok(())
    }

    /// Something that the snapshot does not have, with all that is below.
    fn came(&mut self, dir: BorrowedFd<'_>, name: &std::ffi::CStr) -> Result<()> {
        let stat = match source::stat_at(dir, name) {
            Ok(stat) => stat,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    self.problem("look at", &error);
                }
                return Ok(());
            }
        };
        if self.excludes.matches(Path::new(OsStr::from_bytes(&self.path)), stat.kind == FileKind::Dir) {
            return Ok(());
        }
        self.changes.push(Change {
            path: self.path.clone(),
            kind: stat.kind,
            fate: Fate::Added,
            what: Vec::new(),
            from: None,
            old_bytes: 0,
            new_bytes: if stat.kind == FileKind::File { stat.size_bytes } else { 0 },
        });
        if stat.kind != FileKind::Dir || self.progress.cancelled() {
            return Ok(());
        }
        let opened = source::open_dir_at(dir, name).and_then(|dir| Ok((source::read_names(dir.as_fd())?, dir)));
        let (names, below) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.problem("list", &error);
                return Ok(());
            }
        };
        let len = self.path.len();
        for name in names.iter() {
            self.push(name.name.to_bytes());
            self.came(below.as_fd(), name.name)?;
            self.path.truncate(len);
        }
        Ok(())
    }

    /// Compares one object; returns its level if it is a folder on both sides.
    fn object(&mut self, dir: BorrowedFd<'_>, name: &std::ffi::CStr, entry: &Entry) -> Result<Option<Level>> {
        self.progress.advance(1, 0);
        let stat = match source::stat_at(dir, name) {
            Ok(stat) => stat,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.gone(entry).map(|()| None),
            Err(error) => {
                self.problem("look at", &error);
                return Ok(None);
            }
        };
        if stat.kind != entry.kind() {
            self.gone(entry)?;
            return self.came(dir, name).map(|()| None);
        }
        let mut what = attributes(entry, &stat);
        match source::xattrs_path(dir, name) {
            Ok(xattrs) if xattrs != entry.xattrs => what.push(What::Attributes),
            Ok(_) => {}
            Err(error) => self.problem("read the attributes of", &error),
        }
        match &entry.node {
            Node::Symlink(target) if !source::readlink_at(dir, name).is_ok_and(|found| found == *target) => {
                what.push(What::Target);
            }
            Node::Inline(_) | Node::File(_) => {
                let looks_same = stat.size_bytes == entry.size_bytes() && stat.mtime == entry.mtime;
                if stat.size_bytes != entry.size_bytes() {
                    what.insert(0, What::Content);
                } else if !looks_same || self.options.reads_content {
                    match source::open_file_at(dir, name) {
                        Ok(file) if !self.has_same_content(&file, entry)? => what.insert(0, What::Content),
                        Ok(_) => {}
                        Err(error) => self.problem("read", &error),
                    }
                }
            }
            _ => {}
        }
        if !what.is_empty() {
            self.changes.push(Change {
                path: self.path.clone(),
                kind: stat.kind,
                fate: Fate::Changed,
                what,
                from: None,
                old_bytes: entry.size_bytes(),
                new_bytes: if stat.kind == FileKind::File { stat.size_bytes } else { 0 },
            });
        }
        let Node::Dir(root) = &entry.node else { return Ok(None) };
        let opened = source::open_dir_at(dir, name).and_then(|dir| Ok((source::read_names(dir.as_fd())?, dir)));
        let (names, dir) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.problem("list", &error);
                return Ok(None);
            }
        };
        // The backup did not go there.
        let is_left_out = entry.boundary.is_some() && root.records.is_empty();
        let mut cursor = Cursor::new(root.clone());
        let next = advance(&mut cursor, self.reader)?;
        let path_bytes = if self.path == b"/" { 0 } else { self.path.len() };
        Ok(Some(Level { dir, cursor, names, at: 0, next, path_bytes, is_left_out }))
    }

    /// Whether the file has the bytes that the snapshot has, by their ids.
    fn has_same_content(&self, file: &File, entry: &Entry) -> Result<bool> {
        let mut buffer = Vec::new();
        let mut is_at = |offset: u64, len_bytes: u64, is_right: &dyn Fn(&[u8]) -> bool| {
            // No blob is larger than 16 MiB.
            buffer.resize(usize::try_from(len_bytes).unwrap_or(0), 0);
            file.read_exact_at(&mut buffer, offset).is_ok() && is_right(&buffer)
        };
        let root = match &entry.node {
            Node::Inline(bytes) => return Ok(is_at(0, bytes.len() as u64, &|read| read == bytes)),
            Node::File(root) => root,
            _ => return Ok(true),
        };
        let keys = self.reader.repo().keys();
        let mut offset = 0;
        let compared = self.reader.each_record(root, ListOf::File, &mut |record| {
            if self.progress.cancelled() {
                return Err(Error::Interrupted);
            }
            let end = offset + record.len_bytes;
            let is_same = if record.is_hole() {
                const PART_BYTES: u64 = 1 << 20;
                let zeros = |read: &[u8]| read.iter().all(|byte| *byte == 0);
                (offset..end).step_by(PART_BYTES as usize).all(|from| is_at(from, PART_BYTES.min(end - from), &zeros))
            } else {
                is_at(offset, record.len_bytes, &|read| keys.blob_id(BlobKind::Data, read) == record.id)
            };
            offset = end;
            self.progress.advance(0, record.len_bytes);
            // The first difference is enough.
            if is_same { Ok(()) } else { Err(Error::Aborted) }
        });
        match compared {
            Ok(()) => Ok(true),
            Err(Error::Aborted) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn advance(cursor: &mut Cursor, reader: &BlobReader<'_>) -> Result<Option<Box<Entry>>> {
    match cursor.next(reader) {
        Next::Entry(entry) => Ok(Some(entry)),
        Next::Gap(error) => Err(error),
        Next::End => Ok(None),
    }
}

fn attributes(entry: &Entry, stat: &Stat) -> Vec<What> {
    let device = match entry.node {
        Node::Char(major, minor) | Node::Block(major, minor) => stat.rdev != (major, minor),
        _ => false,
    };
    [
        (entry.mode != stat.mode && stat.kind != FileKind::Symlink, What::Mode),
        ((entry.uid, entry.gid) != (stat.uid, stat.gid), What::Owner),
        (entry.mtime != stat.mtime, What::Time),
        (device, What::Device),
    ]
    .into_iter()
    .filter_map(|(differs, what)| differs.then_some(what))
    .collect()
}
