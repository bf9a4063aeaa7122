//! Directories of the target while something is made in them.

use super::early::set_early;
use super::run::Run;
use super::tally::Lost;
use crate::format::entry::{Boundary, Entry};
use crate::source::btrfs::{is_btrfs, is_subvolume_root};
use crate::target::{TargetDir, unfix};
use rustix::io::Errno;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

/// The mode of a directory that only leads to a root.
const PLAIN_MODE: u32 = 0o755;

/// A path of the snapshot, as a chain that shares what is common: whole paths would take memory with the square of
/// the depth.
#[derive(Debug)]
pub(super) struct Step {
    above: Option<Arc<Step>>,
    name: Box<[u8]>,
}

impl Step {
    /// `/`.
    pub fn top() -> Arc<Self> {
        Arc::new(Self { above: None, name: Box::default() })
    }

    /// The path of `name` in `above`.
    pub fn new(above: &Arc<Self>, name: &[u8]) -> Arc<Self> {
        Arc::new(Self { above: Some(Arc::clone(above)), name: name.into() })
    }

    /// Its components from `/` on.
    pub fn names(&self) -> Vec<&[u8]> {
        let mut names: Vec<&[u8]> = Vec::new();
        let mut at = self;
        while let Some(above) = &at.above {
            names.push(&at.name);
            at = above;
        }
        names.reverse();
        names
    }

    /// The whole path.
    pub fn path(&self) -> Vec<u8> {
        let mut path: Vec<u8> = self.names().iter().flat_map(|name| [b"/", &name[..]].concat()).collect();
        if path.is_empty() {
            path.push(b'/');
        }
        path
    }

    /// The whole path of `name` in here.
    pub fn path_of(&self, name: &[u8]) -> Vec<u8> {
        let mut path = self.path();
        if path != b"/" {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        path
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        // Not by recursion: the chain may be 4,096 long.
        let mut next = self.above.take();
        while let Some(mut step) = next.and_then(Arc::into_inner) {
            next = step.above.take();
        }
    }
}

/// A directory of the target. As long as anybody has it, it is open.
#[derive(Debug)]
pub(super) struct Dir {
    /// Nothing if it is missing, in a dry run.
    pub handle: Option<TargetDir>,
    /// Its path in the snapshot.
    pub step: Arc<Step>,
    /// Whether it was empty to begin with, so that nothing can be in the way.
    pub fresh: bool,
    /// What the snapshot has; nothing if it only leads to a root.
    pub entry: Option<Arc<Entry>>,
}

impl Dir {
    /// The directory `name` in this one, made if need be. What is there and is no directory gives way.
    ///
    /// # Errors
    /// Those of openat(2) and mkdirat(2).
    pub fn open(&self, run: &Run<'_>, name: &[u8], step: Arc<Step>, entry: Option<Arc<Entry>>) -> io::Result<Self> {
        let Some(above) = &self.handle else {
            return Ok(Self { handle: None, step, fresh: true, entry });
        };
        // What only leads to a root may have been made for the root before.
        let is_new = self.fresh && entry.is_some();
        let there = if is_new { Err(Errno::NOENT.into()) } else { above.child_dir(name, false, false) };
        let (handle, fresh) = match there {
            Ok(handle) => (Some(handle), false),
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) if run.options.dry_run => (None, true),
                Some(Errno::NOENT) => (Some(self.make(run, above, name, &step, entry.as_deref())?), true),
                Some(Errno::NOTDIR | Errno::LOOP) => {
                    above.remove(name)?;
                    (Some(self.make(run, above, name, &step, entry.as_deref())?), true)
                }
                _ => return Err(error),
            },
        };
        if let Some(handle) = handle.as_ref().filter(|_| !run.options.dry_run) {
            match &entry {
                None if fresh => handle.set_mode(PLAIN_MODE)?,
                Some(entry) if fresh => {
                    set_early(run, handle.as_fd(), entry, self.entry.as_deref(), || step.path())?;
                }
                // Root may anyway, but for what is immutable. At the end it gets the flags that it is to have.
                _ if !fresh && run.policy.is_root => drop(unfix(handle.as_fd())),
                _ if !fresh => handle.make_usable(),
                _ => {}
            }
        }
        if let (Some(handle), false, Some(entry)) = (&handle, fresh, &entry)
            && entry.boundary == Some(Boundary::Subvolume)
            && !is_subvolume_root(handle.as_fd())
        {
            run.lost(SUBVOLUME, &|| step.path());
        }
        Ok(Self { handle, step, fresh, entry })
    }

    /// Makes the directory `name`, a subvolume if it was one and can be one here.
    fn make(
        &self,
        run: &Run<'_>,
        above: &TargetDir,
        name: &[u8],
        step: &Step,
        entry: Option<&Entry>,
    ) -> io::Result<TargetDir> {
        if entry.is_some_and(|entry| entry.boundary == Some(Boundary::Subvolume)) {
            if is_btrfs(above.as_fd())
                && let Ok(made) = above.new_subvolume(name)
            {
                run.tally.subvolumes.add(1);
                return Ok(made);
            }
            run.lost(SUBVOLUME, &|| step.path());
        }
        above.new_dir(name)
    }
}

/// Said where a subvolume is a plain directory in the target.
pub(super) const SUBVOLUME: Lost = Lost::storage("subvolumes, which are directories there");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let top = Step::top();
        assert_eq!((top.path(), top.path_of(b"x")), (b"/".to_vec(), b"/x".to_vec()));
        let b = Step::new(&Step::new(&top, b"a"), b"b");
        assert_eq!((b.path(), b.path_of(b"x")), (b"/a/b".to_vec(), b"/a/b/x".to_vec()));
    }

    #[test]
    fn long_chains_go_away() {
        let mut step = Step::top();
        for _ in 0..1_000_000 {
            step = Step::new(&step, b"x");
        }
        drop(step);
    }
}
