//! Packs into the store: as many at a time as the store has slots.

use super::Repository;
use super::commit::Commit;
use super::effort::Effort;
use super::packer::SpooledPack;
use super::writer::Failure;
use crate::backend::{Body, Slots};
use crate::error::{Error, Result};
use crate::format::name::Name;
use crate::state::State;
use crossbeam_channel::{Receiver, Sender};
use std::time::Instant;

/// Uploads packs until there are none left. One of several threads; each holds a spool file only while it has a slot.
pub(super) fn upload_all(
    repo: &Repository,
    state: &State,
    slots: &Slots,
    effort: &Effort,
    packs: &Receiver<SpooledPack>,
    commits: &Sender<Commit>,
    failure: &Failure,
) {
    loop {
        // The slot comes first: who has none must not take a pack away from who has.
        let slot = slots.take();
        let Ok(pack) = packs.recv() else { return };
        if !failure.is_set() {
            effort.began();
            let began = Instant::now();
            let done = upload(repo, state, &pack, commits).and_then(|()| {
                effort.ended(pack.record.size_bytes, began.elapsed());
                effort.remember(state)
            });
            if let Err(error) = done {
                failure.set(error);
            }
        }
        drop(slot);
    }
}

/// Noted before, stored, noted after: a run that is killed in between finds out what became of it.
fn upload(repo: &Repository, state: &State, pack: &SpooledPack, commits: &Sender<Commit>) -> Result<()> {
    let name = Name::Pack(pack.record.writer.clone(), pack.record.id);
    state.note_in_flight(&pack.record)?;
    let put = repo.backend().put(&name.to_string(), Body::File(&pack.path));
    put.map_err(|e| Error::store("store", &name, e))?;
    let (record, last_sequence) = (pack.record.clone(), pack.last_sequence);
    commits.send(Commit::Stored { record, last_sequence }).map_err(|_| Error::Aborted)
}
