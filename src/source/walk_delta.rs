//! What a walk of a snapshot takes over from the backup of its parent, by the file system's own word on what has changed.

use super::btrfs::Delta;
use super::items::{Change, InodeKey, Item, Leaf, Sink};
use super::meta::{Kind, Stat, Time};
use super::read::entry_of;
use super::walk::{Place, Walk};
use crate::error::Result;
use crate::format::entry::{Boundary, Entry, Node};
use crate::format::limits;
use crate::state::dirs::{Child, DirKey, Stamp, Totals};
use std::ffi::CStr;

/// Of so many directories it is remembered whether they were part of the parent's backup.
const INCLUDED_MAX: usize = 100_000;

impl<'a, S: Sink> Walk<'a, S> {
    /// Whether a directory was part of the backup of the parent snapshot, by its place there: else what is remembered of it, if anything, is older.
    pub(super) fn was_included(&mut self, delta: &Delta, here: &Place<'a>, dir: u64) -> Result<bool> {
        let (Some(snapshot), Some(view)) = (here.snapshot, self.context.memory) else { return Ok(false) };
        let mut chain = Vec::new();
        let mut at = dir;
        let known = loop {
            if snapshot.parent_roots.contains(&at) {
                break true;
            }
            if let Some(known) = self.included.get(&(here.region, at)) {
                break *known;
            }
            chain.push(at);
            // A directory has one name.
            let names = delta.old_names(at).unwrap_or_default();
            let (Some((above, name)), true) = (names.first(), chain.len() <= limits::DIRECTORY_DEPTH) else {
                break false;
            };
            let key = DirKey { region: here.region, ino: *above };
            let is_listed = view.child(key, name)?.is_some_and(|(session, child)| {
                session <= snapshot.parent_session
                    && child.stamp.ino == at
                    && child.totals.is_some_and(|totals| totals.is_dir())
            });
            if !is_listed {
                break false;
            }
            at = *above;
        };
        if self.included.len() >= INCLUDED_MAX {
            self.included.clear();
        }
        self.included.extend(chain.into_iter().map(|ino| ((here.region, ino), known)));
        Ok(known)
    }

    /// A child that is as it was in the parent snapshot, by the file system's own word.
    pub(super) fn unchanged(&self, delta: &Delta, child: &Child, here: &Place<'_>) -> Option<Leaf> {
        let (ino, excludes) = (child.stamp.ino, self.context.excludes);
        let inode = InodeKey { region: here.region, ino };
        let is_dir = child.totals.is_some_and(|totals| totals.is_dir());
        if let Some(totals) = child.totals.filter(|_| is_dir) {
            // Below another path other patterns may match.
            let may_differ = here.is_moved && excludes.has_patterns();
            if may_differ
                || child.doubtful
                || totals.unreadable > 0
                || delta.is_dirty_dir(ino)
                || self.context.overlays.leads_to(&self.path)
            {
                return None;
            }
        } else if delta.is_changed(ino) || !(self.context.reusable)(inode, child) {
            return None;
        }
        if here.is_moved && excludes.has_patterns() && excludes.matches(&self.path, is_dir) {
            return None;
        }
        let Child { name, stamp, entry, totals, .. } = child.clone();
        let file_bytes = (Entry::kind_of(&entry) == Some(Kind::File)).then_some(stamp.size_bytes);
        Some(Leaf { name, stamp, entry, inode, file_bytes, change: Change::Same, totals })
    }

    /// Where a subvolume that is not part of a snapshot was: an empty folder, whose times mean nothing.
    pub(super) fn stub(&mut self, name: &CStr, stat: &Stat, here: &Place<'_>) -> Result<()> {
        let owners = self.context.read.owners;
        let mut entry = entry_of(name.to_bytes(), stat, Node::Dir(Default::default()), Vec::new(), owners);
        (entry.mtime, entry.btime) = (Time { secs: 0, nanos: 0 }, None);
        entry.boundary = Some(Boundary::Subvolume);
        let stamp = Stamp { ino: stat.ino, size_bytes: 0, mtime: entry.mtime, ctime: entry.mtime };
        let leaf = Leaf {
            name: name.to_bytes().to_vec(),
            stamp,
            entry: entry.encode_onto(Vec::new()),
            inode: InodeKey { region: here.region, ino: stat.ino },
            file_bytes: None,
            change: Change::Same,
            totals: Some(Totals { dirs: 1, ..Totals::default() }),
        };
        self.push(Item::Leaf(Box::new(leaf)))
    }
}
