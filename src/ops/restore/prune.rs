//! `delete`: what the snapshot does not have is removed from a directory of the target.

use super::dirs::Dir;
use super::run::Run;
use super::select::Verdict;
use crate::source::{Kind, Name, Names};
use crate::target::TargetDir;
use std::io;

/// The names of a directory of the target, gone through side by side with the entries of the snapshot: both ascend.
pub(super) struct Prune {
    names: Names,
    at: usize,
}

impl Prune {
    /// The names of `dir` as they are now.
    ///
    /// # Errors
    /// Those of getdents(2).
    pub fn new(dir: &TargetDir) -> io::Result<Self> {
        Ok(Self { names: dir.names()?, at: 0 })
    }

    /// Goes past the names before `name`, and past it; to the end without a name. What was passed is not in the
    /// snapshot, and is removed unless `gap` says that this is not certain. `path` is the directory's.
    pub fn pass(&mut self, run: &Run<'_>, dir: &Dir, path: &[u8], above: Verdict, name: Option<&[u8]>, gap: bool) {
        let Some(handle) = &dir.handle else { return };
        while let Some(next) = self.names.get(self.at) {
            let found = next.name.to_bytes();
            if name.is_some_and(|name| found > name) || run.is_stopped() {
                return;
            }
            self.at += 1;
            if gap || name == Some(found) {
                continue;
            }
            let removed = remove(run, handle, found, is_dir(handle, &next), &join(path, found), above);
            run.tally.removed.add(removed.count);
        }
    }
}

fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    if path == b"/" { [b"/", name].concat() } else { [path, b"/", name].concat() }
}

/// What became of a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Removed {
    /// It is gone, with all in it.
    all: bool,
    /// What was removed; a directory with all in it counts once.
    count: u64,
}

const KEPT: Removed = Removed { all: false, count: 0 };

/// Removes `name` with all in it, but for what is excluded and what leads there.
fn remove(run: &Run<'_>, dir: &TargetDir, name: &[u8], is_dir: bool, path: &[u8], above: Verdict) -> Removed {
    let verdict = run.selector.judge(path, is_dir, 0, above);
    if verdict == Verdict::Out {
        return KEPT;
    }
    if is_dir && run.selector.has_patterns() {
        let below = remove_below(run, dir, name, path, verdict);
        if !below.all || verdict != Verdict::In {
            return Removed { all: false, ..below };
        }
    }
    if verdict != Verdict::In {
        return KEPT;
    }
    if !run.options.dry_run
        && let Err(error) = dir.remove(name)
    {
        run.problem(path, format!("cannot remove it: {error}"));
        return KEPT;
    }
    Removed { all: true, count: 1 }
}

/// Removes from a directory what may go. By recursion, as deep as what exists.
fn remove_below(run: &Run<'_>, dir: &TargetDir, name: &[u8], path: &[u8], verdict: Verdict) -> Removed {
    let below = dir.child_dir(name, false, false).and_then(|below| Ok((below.names()?, below)));
    let (names, below) = match below {
        Ok(found) => found,
        Err(error) => {
            run.problem(path, format!("cannot remove it: {error}"));
            return KEPT;
        }
    };
    let mut sum = Removed { all: true, count: 0 };
    for child in names.iter() {
        let name = child.name.to_bytes();
        let removed = remove(run, &below, name, is_dir(&below, &child), &join(path, name), verdict);
        sum = Removed { all: sum.all && removed.all, count: sum.count + removed.count };
    }
    sum
}

fn is_dir(dir: &TargetDir, name: &Name<'_>) -> bool {
    match name.kind {
        Some(kind) => kind == Kind::Dir,
        None => dir.stat(name.name.to_bytes()).is_ok_and(|stat| stat.kind == Kind::Dir),
    }
}
