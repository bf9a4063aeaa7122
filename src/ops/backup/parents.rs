//! With which snapshot the next backup of a subvolume compares, and which of several is the newest.

use super::sources::open_dir;
use crate::error::{Error, Result};
use crate::format::time::Time;
use crate::id::RepoId;
use crate::source::btrfs::{ParentRecord, is_subvolume_root, subvol_info};
use crate::state::State;
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// What the state remembers of the last snapshot that was backed up.
pub(super) struct ParentNote {
    pub record: ParentRecord,
    pub session: u32,
    pub runs_since_full: u32,
    /// The inode numbers of what was read of it.
    pub roots: Vec<u64>,
    pub path: PathBuf,
}

/// How the names of the notes about parents begin.
pub(in crate::ops) const PARENT_NOTES: &[u8] = b"parent ";

/// Where the snapshot lies that a note is about, and what it was.
pub(in crate::ops) fn noted_parent(note: &[u8]) -> Option<(PathBuf, ParentRecord)> {
    ParentNote::decode(note).map(|note| (note.path, note.record))
}

impl ParentNote {
    fn name(region: u64) -> Vec<u8> {
        [PARENT_NOTES, &region.to_be_bytes()[..]].concat()
    }

    pub fn recall(state: &State, region: u64) -> Result<Option<Self>> {
        Ok(state.note(&Self::name(region))?.and_then(|bytes| Self::decode(&bytes)))
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (record, rest) = bytes.split_at_checked(ParentRecord::ENCODED_BYTES)?;
        let (session, rest) = rest.split_first_chunk()?;
        let (runs, rest) = rest.split_first_chunk()?;
        let (count, rest) = rest.split_first_chunk()?;
        let (roots, path) = rest.split_at_checked((u32::from_le_bytes(*count) as usize).checked_mul(8)?)?;
        Some(Self {
            record: ParentRecord::decode(record)?,
            session: u32::from_le_bytes(*session),
            runs_since_full: u32::from_le_bytes(*runs),
            roots: roots.as_chunks::<8>().0.iter().map(|ino| u64::from_le_bytes(*ino)).collect(),
            path: OsString::from_vec(path.to_vec()).into(),
        })
    }

    pub fn remember(&self, state: &State, region: u64) -> Result<()> {
        let mut value = self.record.encode();
        value.extend_from_slice(&self.session.to_le_bytes());
        value.extend_from_slice(&self.runs_since_full.to_le_bytes());
        value.extend_from_slice(&(self.roots.len() as u32).to_le_bytes());
        self.roots.iter().for_each(|ino| value.extend_from_slice(&ino.to_le_bytes()));
        value.extend_from_slice(self.path.as_os_str().as_bytes());
        state.set_notes(&[(Self::name(region), value)])
    }
}

/// The region of some paths of a subvolume under some rules of what is left out: only a run that looks at the same may rely on what is remembered.
/// Each repository has its own: backups to two of them must not take each other's parents away.
pub(in crate::ops) fn region_in(repo: &RepoId, subvolume: &Path, inner: &[PathBuf], excludes_id: &[u8; 32]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"snapshot").update(&repo.0).update(excludes_id);
    for path in std::iter::once(subvolume).chain(inner.iter().map(PathBuf::as_path)) {
        let bytes = path.as_os_str().as_bytes();
        hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    }
    hasher.finalize().as_bytes().first_chunk::<8>().map_or(0, |b| u64::from_le_bytes(*b))
}

/// The newest read-only snapshot of the live subvolume in a folder.
pub(super) fn newest_in(folder: &Path, live: &File) -> Result<PathBuf> {
    let io = |e| Error::io("look for snapshots in", folder, e);
    let of = subvol_info(live.as_fd()).map_err(io)?;
    let mut newest: Option<(Time, PathBuf)> = None;
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let Ok(fd) = open_dir(&path) else { continue };
        if !is_subvolume_root(fd.as_fd()) {
            continue;
        }
        let Ok(info) = subvol_info(fd.as_fd()) else { continue };
        let is_newer = newest.as_ref().is_none_or(|(taken, _)| info.otime > *taken);
        if info.read_only && info.parent_uuid == Some(of.uuid) && is_newer {
            newest = Some((info.otime, path));
        }
    }
    newest
        .map(|(_, path)| path)
        .ok_or_else(|| Error::Usage(format!("there is no read-only snapshot of the subvolume in {}", folder.display())))
}
