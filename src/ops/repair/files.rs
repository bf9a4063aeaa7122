//! Where on this machine the bytes of a snapshot's file may still be: at its own path, in panther's local Btrfs snapshots, in folders that somebody names.

use crate::format::header::BlobKind;
use crate::id::BlobId;
use crate::keys::Keyring;
use crate::ops::backup::containing_subvolume;
use crate::source::snapshot_folder::SnapshotFolder;
use rustix::fs::OFlags;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Looks for files.
pub(super) struct Files<'a> {
    /// Folders below which the paths of snapshots are looked for, too.
    sources: &'a [PathBuf],
    /// Whether the paths themselves, and local snapshots of their subvolumes, are looked at.
    live: bool,
    /// The local snapshots of subvolumes, newest first, by the subvolume's path.
    snapshots: HashMap<PathBuf, Vec<PathBuf>>,
}

impl<'a> Files<'a> {
    pub fn new(sources: &'a [PathBuf], live: bool) -> Self {
        Self { sources, live, snapshots: HashMap::new() }
    }

    /// Everywhere that a path of a snapshot may be.
    pub fn candidates(&mut self, path: &[u8]) -> Vec<PathBuf> {
        let path = Path::new(OsStr::from_bytes(path));
        let inner = path.strip_prefix("/").unwrap_or(path);
        let mut found: Vec<PathBuf> = Vec::new();
        if self.live {
            // A snapshot is what was backed up; the live file may have changed since, or be gone.
            if let Some((subvolume, rest)) = path.ancestors().find_map(|above| {
                let (subvolume, _) = containing_subvolume(above)?;
                let rest = path.strip_prefix(&subvolume).ok()?.to_owned();
                Some((subvolume, rest))
            }) {
                let snapshots = self.snapshots.entry(subvolume).or_insert_with_key(|root| local_snapshots(root));
                found.extend(snapshots.iter().map(|snapshot| snapshot.join(&rest)));
            }
            found.push(path.to_owned());
        }
        found.extend(self.sources.iter().map(|source| source.join(inner)));
        found
    }

    /// The bytes of a data blob that a file has at `offset`, if they are still there.
    pub fn blob(&mut self, keys: &Keyring, id: &BlobId, len_bytes: u64, path: &[u8], offset: u64) -> Option<Vec<u8>> {
        self.candidates(path).iter().find_map(|candidate| {
            let file = open(candidate)?;
            // No blob is larger than 16 MiB.
            let mut bytes = vec![0; usize::try_from(len_bytes).ok()?];
            file.read_exact_at(&mut bytes, offset).ok()?;
            (keys.blob_id(BlobKind::Data, &bytes) == *id).then_some(bytes)
        })
    }
}

/// A regular file; what is none is not waited for.
fn open(path: &Path) -> Option<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path).ok()?;
    file.metadata().ok()?.is_file().then_some(file)
}

/// The snapshots that panther keeps of a subvolume, the newest first by name, which begins with the time.
fn local_snapshots(subvolume: &Path) -> Vec<PathBuf> {
    let Ok(Some(folder)) = SnapshotFolder::find(subvolume) else { return Vec::new() };
    let mut names = folder.names().unwrap_or_default();
    names.sort();
    names.iter().rev().map(|name| folder.path().join(name)).collect()
}
