//! What the newest snapshots say of files that are as they were, written down as a backup would have: the next one need not read them.
//!
//! A snapshot has neither inode numbers nor change times. So that a file counts as being the one that was backed up, all of this must hold:
//! - it is of the same kind, and size, mode, owner, modification time are those of the entry;
//! - its birth time is that of the entry, to the nanosecond, and both have one: so it is the same inode, whatever folder was renamed since;
//! - its change time is before the backup began: nothing of it has changed since, by the machine's clock;
//! - a hard link's group, which is the inode's number, is the same.
//!
//! What does not meet that is read by the next backup, like a new file. The one assumption beyond those of every backup is that the machine's clock was
//! not put back by more than the time since the backup.

use crate::error::{Error, FormatError, Result};
use crate::format::content::{ContentRoot, ListOf};
use crate::format::entry::{Entry, FileKind, Node, decode_stream_raw};
use crate::format::header::BlobKind;
use crate::format::limits;
use crate::format::time::Time;
use crate::ops::Progress;
use crate::ops::backup::{containing_subvolume, region_in};
use crate::repo::Repository;
use crate::repo::reader::{BlobReader, describe};
use crate::repo::snapshots::Snapshot;
use crate::source::btrfs::is_subvolume_root;
use crate::source::read::stamp_of;
use crate::source::walk::region_of;
use crate::source::{Kind, Stat, stat_at};
use crate::state::State;
use crate::state::dirs::{DirChange, DirKey, RecordBuilder, Totals};
use crate::state::session::Watermark;
use rustix::fs::{Mode, OFlags};
use std::collections::BTreeMap;
use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A record is ended when it has so many bytes.
const RECORD_BYTES: usize = 64 << 10;
/// Changes are gathered up to this before they go to the state.
const GATHERED_BYTES: usize = 4 << 20;
/// The change must be so long before the backup began: clocks of file systems tick slowly.
const MARGIN_SECS: i64 = 2;
/// Stack for a walk: a few functions for each of up to 4,096 levels. Only what is used of it costs memory.
const STACK_BYTES: usize = 256 << 20;

/// What became of the files of the newest snapshots.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Warmed {
    /// Names that need not be read again.
    pub files: u64,
    /// Their content.
    pub bytes: u64,
    /// Names that will be read: they have changed, or it cannot be told that they have not.
    pub doubtful_files: u64,
    /// Folders that were looked at.
    pub dirs: u64,
}

/// Writes down what is as it was.
pub(super) fn warm(
    repo: &Repository,
    state: &State,
    snapshots: &[&Snapshot],
    excludes_id: &[u8; 32],
    progress: &dyn Progress,
) -> Result<Warmed> {
    let reader = BlobReader::new(repo, state)?;
    let session = state.begin_session()?;
    let mut walk = Walk {
        repo,
        state,
        reader: &reader,
        excludes_id,
        progress,
        session,
        before: Time::default(),
        changes: Vec::new(),
        bytes: 0,
        warmed: Warmed::default(),
    };
    let warmed = std::thread::scope(|scope| {
        let run = move || {
            snapshots.iter().try_for_each(|snapshot| walk.snapshot(snapshot))?;
            walk.flush()?;
            Ok::<_, Error>(walk.warmed)
        };
        let thread = std::thread::Builder::new().name("warm".into()).stack_size(STACK_BYTES);
        let handle = thread.spawn_scoped(scope, run).map_err(|e| Error::io("start a thread for", "the files", e))?;
        handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    state.end_session(session)?;
    Ok(warmed)
}

struct Walk<'a> {
    repo: &'a Repository,
    state: &'a State,
    reader: &'a BlobReader<'a>,
    excludes_id: &'a [u8; 32],
    progress: &'a dyn Progress,
    session: u32,
    /// What has changed at this time or later is read.
    before: Time,
    changes: Vec<DirChange>,
    bytes: usize,
    warmed: Warmed,
}

/// A folder of this machine.
struct Here {
    fd: OwnedFd,
    dev: (u32, u32),
    ino: u64,
    /// Under which regions it is remembered: that of live files, and that of snapshots.
    regions: Vec<u64>,
    depth: usize,
}

impl Walk<'_> {
    fn snapshot(&mut self, snapshot: &Snapshot) -> Result<()> {
        let started = snapshot.head.cover.started;
        self.before = Time { secs: started.secs.saturating_sub(MARGIN_SECS), ..started };
        let paths: Vec<PathBuf> =
            snapshot.manifest.roots.iter().map(|root| PathBuf::from(OsStr::from_bytes(&root.path))).collect();
        // A backup from snapshots remembers the paths of a subvolume together.
        let mut groups: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
        for path in &paths {
            if let Some((subvolume, inner)) = containing_subvolume(path) {
                groups.entry(subvolume).or_default().push(inner);
            }
        }
        for (path, root) in paths.iter().zip(&snapshot.manifest.roots) {
            let Node::Dir(content) = &root.entry.node else { continue };
            let Some((fd, stat)) = open(rustix::fs::CWD, path) else { continue };
            let mut regions = vec![region_of(path)];
            let group = containing_subvolume(path).and_then(|(subvolume, _)| groups.get_key_value(&subvolume));
            regions
                .extend(group.map(|(root, inner)| region_in(&self.repo.keys().repo(), root, inner, self.excludes_id)));
            let here = Here { fd, dev: stat.dev, ino: stat.ino, regions, depth: 0 };
            self.folder(path, content, &here)?;
        }
        Ok(())
    }

    fn folder(&mut self, path: &Path, content: &ContentRoot, here: &Here) -> Result<()> {
        if self.progress.cancelled() {
            return Err(Error::Interrupted);
        }
        if here.depth > limits::DIRECTORY_DEPTH {
            return Ok(());
        }
        self.warmed.dirs += 1;
        let (mut record, mut first_name, mut size_bytes) = (RecordBuilder::default(), Vec::new(), 0);
        let mut last = Vec::new();
        let mut records = Vec::new();
        self.reader.each_record(content, ListOf::Directory, &mut |record| {
            records.push(record);
            Ok(())
        })?;
        for part in records {
            let blob = self.reader.blob(BlobKind::Tree, &part.id, part.len_bytes)?;
            let mut entries: Vec<(Vec<u8>, Entry)> = Vec::new();
            decode_stream_raw(&blob, &mut last, |_, encoded, entry| {
                entries.extend(entry.ok().map(|entry| (encoded.to_vec(), entry)));
            })
            .map_err(|e: FormatError| Error::format(describe(BlobKind::Tree, &part.id), e))?;
            drop(blob);
            for (encoded, entry) in entries {
                let Ok(name) = CString::new(entry.name.clone()) else { continue };
                if let Node::Dir(below) = &entry.node {
                    let path = path.join(OsStr::from_bytes(&entry.name));
                    self.below(&path, below, here)?;
                    continue;
                }
                let looked_at = Time::now();
                let stat = stat_at(here.fd.as_fd(), &name).ok().filter(|stat| self.is_same(stat, &entry));
                let stamp = stat.as_ref().map(|stat| (stamp_of(stat, looked_at), stat.nlink));
                let is_file = entry.kind() == FileKind::File;
                let Some((stamp, nlink)) = stamp.filter(|(stamp, _)| stamp.ino != 0) else {
                    self.warmed.doubtful_files += u64::from(is_file);
                    continue;
                };
                let totals = (is_file && nlink > 1).then(|| Totals::of_file(entry.size_bytes(), nlink));
                if size_bytes == 0 {
                    first_name.clone_from(&entry.name);
                }
                record.push(&entry.name, &stamp, &encoded, totals.as_ref());
                size_bytes += entry.name.len() + encoded.len() + 64;
                self.warmed.files += u64::from(is_file);
                self.warmed.bytes += entry.size_bytes();
                self.progress.advance(1, entry.size_bytes());
                if size_bytes >= RECORD_BYTES {
                    self.put(here, &first_name, record.take())?;
                    size_bytes = 0;
                }
            }
        }
        if size_bytes > 0 { self.put(here, &first_name, record.take()) } else { Ok(()) }
    }

    fn below(&mut self, path: &Path, content: &ContentRoot, above: &Here) -> Result<()> {
        let Some(name) = path.file_name() else { return Ok(()) };
        let Some((fd, stat)) = open(above.fd.as_fd(), Path::new(name)) else { return Ok(()) };
        let mut regions = above.regions.clone();
        if stat.dev != above.dev {
            regions = vec![region_of(path)];
            if is_subvolume_root(fd.as_fd()) {
                regions.push(region_in(&self.repo.keys().repo(), path, &[PathBuf::new()], self.excludes_id));
            }
        }
        let here = Here { fd, dev: stat.dev, ino: stat.ino, regions, depth: above.depth + 1 };
        self.folder(path, content, &here)
    }

    fn put(&mut self, here: &Here, first_name: &[u8], children: Vec<u8>) -> Result<()> {
        for region in &here.regions {
            let key = DirKey { region: *region, ino: here.ino }.record(first_name);
            let change = DirChange::Put { key, children: children.clone(), needs: Watermark::default() };
            self.bytes += change.size_bytes();
            self.changes.push(change);
        }
        if self.bytes >= GATHERED_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.state.change_dirs(self.session, &self.changes)?;
        self.changes.clear();
        self.bytes = 0;
        Ok(())
    }

    /// See the top of this file.
    fn is_same(&self, stat: &Stat, entry: &Entry) -> bool {
        let kind = match stat.kind {
            Kind::File => FileKind::File,
            Kind::Dir => FileKind::Dir,
            Kind::Symlink => FileKind::Symlink,
            Kind::Fifo => FileKind::Fifo,
            Kind::Socket => FileKind::Socket,
            Kind::Char => FileKind::Char,
            Kind::Block => FileKind::Block,
        };
        let is_device_same = match entry.node {
            Node::Char(major, minor) | Node::Block(major, minor) => stat.rdev == (major, minor),
            _ => true,
        };
        kind == entry.kind()
            && is_device_same
            && (kind != FileKind::File || stat.size_bytes == entry.size_bytes())
            && (stat.mode, stat.uid, stat.gid, stat.mtime) == (entry.mode, entry.uid, entry.gid, entry.mtime)
            && stat.btime.is_some()
            && stat.btime == entry.btime
            && (stat.ctime.secs, stat.ctime.nanos) < (self.before.secs, self.before.nanos)
            && entry.link == (stat.nlink > 1).then_some(stat.ino)
    }
}

/// A folder, not through a symlink, and what it is; nothing if it is none any more.
fn open(at: impl AsFd, path: &Path) -> Option<(OwnedFd, Stat)> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(at, path, flags, Mode::empty()).ok()?;
    let stat = crate::source::stat_fd(fd.as_fd()).ok()?;
    Some((fd, stat))
}
