//! The first stage: the directories of the target from its top to where the walk is.

use super::dirs::{Dir, Step};
use super::links::LinkMap;
use super::prune::Prune;
use super::select::Verdict;
use super::walk::Walker;
use crate::format::entry::Entry;
use crate::ops::view::cursor::Cursor;
use crate::source::Stat;
use crate::target::TargetDir;
use std::sync::Arc;

/// Of so many directories above the present one a handle is kept.
const OPEN_LEVELS: usize = 64;

/// A directory of the target on the way from its top to where the walk is.
pub(super) enum Level {
    /// It is made when something is made in it.
    Pending,
    /// It is open.
    Open(Arc<Dir>),
    /// It was closed, as it is far above; this is how it is known again.
    Closed(Box<Stat>, bool),
    /// It could not be made; that was said.
    Failed,
}

/// What is known of one of them.
pub(super) struct Frame {
    pub level: Level,
    pub step: Arc<Step>,
    /// Its name in the directory above.
    pub name: Vec<u8>,
    /// What the snapshot has of it, without its content; nothing if it only leads to a root.
    pub entry: Option<Arc<Entry>>,
    /// What is left of its content; nothing if it only leads to a root.
    pub cursor: Option<Cursor>,
    pub verdict: Verdict,
    pub region: u32,
    pub link_dir: Option<u32>,
    pub prune: Option<Prune>,
    /// A part of its content could not be read.
    pub gap: bool,
    /// Length of the walker's path without it.
    pub path_bytes: usize,
}

impl Walker<'_, '_> {
    /// The directory above `dir` is the one where the walk is now: opens it, if it was closed.
    pub(super) fn reopen(&mut self, dir: &Arc<Dir>) {
        let Some(above) = self.stack.last_mut() else { return };
        let Level::Closed(stat, fresh) = &above.level else { return };
        let (step, entry) = (Arc::clone(&above.step), above.entry.clone());
        let opened = dir.handle.as_ref().map(|handle| handle.parent(stat)).transpose();
        above.level = match opened {
            Ok(handle) => Level::Open(Arc::new(Dir { handle, step, fresh: *fresh, entry })),
            Err(error) => {
                self.run.problem(&above.step.path(), format!("the rest of it cannot be restored: {error}"));
                Level::Failed
            }
        };
    }

    /// A directory whose handle was lost is left: then there is no way back to one above that was closed.
    pub(super) fn lost(&mut self, left: &Level) {
        let Some(above) = self.stack.last_mut() else { return };
        if matches!((left, &above.level), (Level::Failed, Level::Closed(..))) {
            self.run.problem(&above.step.path(), "the rest of it cannot be restored, as one in it could not");
            above.level = Level::Failed;
        }
    }

    /// The directory on top of the stack, made with those that lead there if need be; nothing if that failed.
    pub(super) fn dir(&mut self) -> Option<Arc<Dir>> {
        let top = self.stack.len().checked_sub(1)?;
        let pending = self.stack.iter().rposition(|frame| !matches!(frame.level, Level::Pending))? + 1;
        for index in pending..=top {
            self.make(index);
        }
        match &self.stack[top].level {
            Level::Open(dir) => Some(Arc::clone(dir)),
            _ => None,
        }
    }

    /// Makes a pending directory; the one above is not pending.
    fn make(&mut self, index: usize) {
        let Level::Open(above) = &self.stack[index - 1].level else {
            self.stack[index].level = Level::Failed;
            return;
        };
        let above = Arc::clone(above);
        let frame = &mut self.stack[index];
        let made = above.open(self.run, &frame.name, Arc::clone(&frame.step), frame.entry.clone());
        let dir = match made {
            Ok(dir) => Arc::new(dir),
            Err(error) => {
                self.run.target_problem(&frame.step.path(), "make the directory and restore what is in", error);
                frame.level = Level::Failed;
                return;
            }
        };
        frame.level = Level::Open(Arc::clone(&dir));
        if frame.entry.is_some() {
            self.run.tally.dirs.add(1);
            let verdict = frame.verdict;
            self.stack[index].prune = self.prune_of(&dir, verdict);
        }
        if let Some(far) = index.checked_sub(OPEN_LEVELS) {
            self.close(far);
        }
    }

    /// Closes a directory far above, as there may be more of them than handles.
    fn close(&mut self, index: usize) {
        let level = &mut self.stack[index].level;
        let Level::Open(dir) = level else { return };
        if let Some(Ok(stat)) = dir.handle.as_ref().map(TargetDir::own_stat) {
            *level = Level::Closed(Box::new(stat), dir.fresh);
        }
    }

    /// What goes through the names of a directory that is restored as a whole.
    pub(super) fn prune_of(&self, dir: &Dir, verdict: Verdict) -> Option<Prune> {
        let wanted = self.run.options.delete && !dir.fresh && verdict == Verdict::In;
        let handle = dir.handle.as_ref().filter(|_| wanted)?;
        match Prune::new(handle) {
            Ok(prune) => Some(prune),
            Err(error) => {
                self.run.problem(&dir.step.path(), format!("cannot read what is to be removed from it: {error}"));
                None
            }
        }
    }

    /// The number of a directory on the stack in the map of links.
    pub(super) fn link_dir(&mut self, index: usize) -> u32 {
        let known = self.stack[..=index].iter().rposition(|frame| frame.link_dir.is_some());
        let mut above = known.and_then(|at| self.stack[at].link_dir).unwrap_or(LinkMap::TOP);
        for at in known.map_or(1, |at| at + 1)..=index {
            above = self.links.add_dir(above, &self.stack[at].name);
            self.stack[at].link_dir = Some(above);
        }
        above
    }
}
