//! A backup's last look and look back (`ops::last_look`): what has been condemned meanwhile is stored anew.

use super::memory::Memory;
use super::{Made, Run, add_stats};
use crate::error::{Error, Result};
use crate::format::time::Time;
use crate::ops::last_look::{Basis, Place, secs_since};
use crate::prune::rest::{Look, is_stale};
use crate::repo::dedup::Dedup;
use crate::repo::writer::WriteStats;
use std::path::PathBuf;
use std::sync::Mutex;

/// So often the source is read again because packs were condemned meanwhile.
const PASSES: u32 = 5;

impl Run<'_> {
    /// Stores the source; and again, what rests on packs that are condemned meanwhile, until nothing does. Returns what it comes to, the last session, and
    /// when that was looked at.
    ///
    /// # Errors
    /// Whatever keeps the source from being stored; [`Error::Usage`] if packs are condemned faster than their blobs are stored anew.
    pub fn store_all(
        &self,
        memory: &mut Memory,
        basis: &mut Basis,
        roots: &[PathBuf],
        session: &mut u32,
    ) -> Result<(Made, WriteStats, Time)> {
        let (mut made, mut stats) = self.store(memory, basis, roots, *session)?;
        if self.options.dry_run {
            return Ok((made, stats, Time::now()));
        }
        for _ in 0..PASSES {
            let looked_at = Time::now();
            if basis.look(self.place(), &mut memory.lost_packs)? == Look::Same {
                return Ok((made, stats, looked_at));
            }
            self.progress.note("packs were condemned while this backup ran: what they held is stored anew");
            let (again, more) = self.store_again(memory, basis, roots, session)?;
            made = again.after(made);
            add(&mut stats, &more);
        }
        let what = "packs are condemned faster than this backup can store anew what they hold: run it again, it carries on where it stopped";
        Err(Error::Usage(what.into()))
    }

    /// Stores the source once more, with what is known now.
    fn store_again(
        &self,
        memory: &mut Memory,
        basis: &Basis,
        roots: &[PathBuf],
        session: &mut u32,
    ) -> Result<(Made, WriteStats)> {
        // What the last pass has seen holds, but is looked up.
        self.state.end_session(*session)?;
        *session = self.state.begin_session()?;
        memory.renew(self.state)?;
        self.store(memory, basis, roots, *session)
    }

    fn store(&self, memory: &Memory, basis: &Basis, roots: &[PathBuf], session: u32) -> Result<(Made, WriteStats)> {
        let mut unusable = basis.unusable().clone();
        unusable.extend(memory.lost_packs.iter().copied());
        let dedup = Mutex::new(Dedup::new(self.state.blob_view()?, unusable));
        let (mut made, stats) = self.store_once(memory, roots, session, &dedup)?;
        add_stats(&mut made.summary, &stats);
        Ok((made, stats))
    }

    /// Where this session stores.
    fn place(&self) -> Place<'_> {
        Place { repo: self.repo, state: self.state, writer: self.signer.writer() }
    }

    /// Whether a last look is too old for a manifest to be written by it.
    pub fn is_too_late(looked_at: Time) -> bool {
        is_stale(secs_since(looked_at))
    }

    /// The look back, if the manifest took its time: what was condemned meanwhile is stored anew, so that the packs can go. The snapshot is safe in any case: a
    /// sweep leaves alone what it needs. Whether anything was stored.
    ///
    /// # Errors
    /// As [`Run::store_all`].
    pub fn look_back(
        &self,
        memory: &mut Memory,
        basis: &mut Basis,
        roots: &[PathBuf],
        session: &mut u32,
        looked_at: Time,
    ) -> Result<Option<WriteStats>> {
        match basis.look_back(self.place(), &memory.lost_packs, looked_at)? {
            Look::Same => Ok(None),
            Look::Changed => Ok(Some(self.store_again(memory, basis, roots, session)?.1)),
        }
    }
}

impl Made {
    /// This pass, with what the one before it counted.
    fn after(mut self, before: Made) -> Made {
        let (now, then) = (&mut self.summary, before.summary);
        // The second pass finds unchanged what the first has seen as new.
        now.files_new = now.files_new.max(then.files_new);
        now.files_changed = now.files_changed.max(then.files_changed);
        now.files_unchanged = now.files.saturating_sub(now.files_new + now.files_changed);
        now.read_bytes += then.read_bytes;
        now.data_blobs += then.data_blobs;
        now.data_bytes += then.data_bytes;
        now.tree_blobs += then.tree_blobs;
        now.tree_bytes += then.tree_bytes;
        now.stored_bytes += then.stored_bytes;
        let fresh: Vec<String> = before.warnings.into_iter().filter(|old| !self.warnings.contains(old)).collect();
        self.warnings.extend(fresh);
        self.visited.extend(before.visited);
        self
    }
}

/// Adds what another pass has stored.
pub(super) fn add(stats: &mut WriteStats, more: &WriteStats) {
    stats.data_blobs += more.data_blobs;
    stats.data_bytes += more.data_bytes;
    stats.tree_blobs += more.tree_blobs;
    stats.tree_bytes += more.tree_bytes;
    stats.packs += more.packs;
    stats.pack_bytes += more.pack_bytes;
    stats.index_objects += more.index_objects;
}
