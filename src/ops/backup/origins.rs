//! From which local snapshots a backup was read, for whoever wants to compare it with them.

use super::memory::note_name;
use super::sources::{Sources, open_dir};
use crate::error::Result;
use crate::id::{ObjectId, WriterName};
use crate::repo::snapshots::Snapshot;
use crate::source::btrfs::ParentRecord;
use crate::source::snapshot_folder::hold;
use crate::state::State;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// A local snapshot from which a subvolume was backed up, and which still is as it was then.
pub(in crate::ops) struct Origin {
    /// The subvolume.
    pub at: PathBuf,
    /// Its snapshot.
    pub snapshot: PathBuf,
    /// Nobody removes it while this is open.
    #[expect(dead_code, reason = "open as long as the snapshot is read")]
    held: OwnedFd,
}

const WHAT: &[u8] = b"origins ";

/// Notes from where the backup `id` was read: of each subvolume whose snapshot stays, one line. Replaces what was noted about the one before.
///
/// # Errors
/// [`crate::Error::State`].
pub(super) fn remember(
    state: &State,
    sources: &Sources,
    id: ObjectId,
    (writer, host, roots): (&WriterName, &str, &[PathBuf]),
) -> Result<()> {
    let mut value = id.0.to_vec();
    for subvolume in sources.subvolumes.iter().filter(|subvolume| subvolume.is_alone()) {
        let Some(record) = subvolume.record else { continue };
        value.extend_from_slice(&record.encode());
        for path in [&subvolume.at, &subvolume.path] {
            let bytes = path.as_os_str().as_bytes();
            value.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            value.extend_from_slice(bytes);
        }
    }
    state.set_notes(&[(note_name(WHAT, writer, host, roots), value)])
}

/// The local snapshots from which this one was backed up, as far as they are there, unchanged. None if a later backup has taken its place.
///
/// # Errors
/// [`crate::Error::State`].
pub(in crate::ops) fn origins_of(state: &State, snapshot: &Snapshot) -> Result<Vec<Origin>> {
    let path = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
    let roots: Vec<PathBuf> = snapshot.manifest.roots.iter().map(|root| path(&root.path)).collect();
    let head = &snapshot.head;
    let Some(value) = state.note(&note_name(WHAT, &head.writer, &head.cover.host, &roots))? else {
        return Ok(Vec::new());
    };
    let Some(mut rest) = value.strip_prefix(&head.id.0[..]) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    // Another layout gives nothing.
    while let Some((record, paths)) = rest.split_at_checked(ParentRecord::ENCODED_BYTES)
        && let Some((at, paths)) = split_path(paths)
        && let Some((snapshot, more)) = split_path(paths)
    {
        rest = more;
        let Some(record) = ParentRecord::decode(record) else { break };
        let Ok(held) = open_dir(&snapshot) else { continue };
        let is_it = ParentRecord::of(held.as_fd()).is_ok_and(|now| now == record);
        if is_it && hold(held.as_fd()).unwrap_or(false) {
            found.push(Origin { at, snapshot, held });
        }
    }
    Ok(found)
}

fn split_path(bytes: &[u8]) -> Option<(PathBuf, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (path, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((OsString::from_vec(path.to_vec()).into(), rest))
}
