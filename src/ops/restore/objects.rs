//! The third stage: what is no regular file, and the end of a directory.

use super::dirs::Dir;
use super::early::{set_early, set_late};
use super::links::LinkKey;
use super::run::Run;
use super::window::attrs_of;
use crate::format::entry::{Entry, Node};
use crate::source::{Kind, Stat};
use crate::target::{TargetDir, apply, apply_fd, has_attrs};
use std::io;
use std::os::fd::AsFd;

/// Makes a symlink, pipe, socket or device.
pub(super) fn other(run: &Run<'_>, dir: &Dir, entry: &Entry, key: Option<LinkKey>) {
    let Some(handle) = dir.handle.as_ref().filter(|_| !run.is_stopped()) else { return };
    let path = || dir.step.path_of(&entry.name);
    let attrs = attrs_of(entry);
    let existing = if dir.fresh { None } else { handle.stat(&entry.name).ok() };
    if let Some(existing) = existing.filter(|stat| is_same(handle, entry, stat)) {
        let right = has_attrs(handle, &entry.name, &existing, &attrs, &run.policy).unwrap_or(false);
        // What has other names, perhaps elsewhere, is not changed.
        let shared = existing.nlink > 1;
        let mine = || key.is_some_and(|key| run.claim((existing.dev, existing.ino), key));
        if !shared || (right && mine()) {
            if !right {
                run.attr_problems(path, apply(handle, &entry.name, None, &attrs, &run.policy));
            }
            run.tally.others.add(1);
            return;
        }
    }
    if let Err(error) = make(handle, entry, !dir.fresh) {
        run.link_failed(key);
        return run.target_problem(&path(), "make", error);
    }
    run.attr_problems(path, apply(handle, &entry.name, None, &attrs, &run.policy));
    run.tally.others.add(1);
}

fn is_same(handle: &TargetDir, entry: &Entry, stat: &Stat) -> bool {
    stat.kind == entry.kind()
        && match &entry.node {
            Node::Symlink(target) => handle.readlink(&entry.name).is_ok_and(|found| found == *target),
            Node::Char(major, minor) | Node::Block(major, minor) => stat.rdev == (*major, *minor),
            _ => true,
        }
}

fn make(handle: &TargetDir, entry: &Entry, replace: bool) -> io::Result<()> {
    let name = &entry.name;
    match &entry.node {
        Node::Symlink(target) => handle.symlink(name, target, replace),
        Node::Fifo => handle.mknod(name, Kind::Fifo, (0, 0), replace),
        Node::Socket => handle.mknod(name, Kind::Socket, (0, 0), replace),
        Node::Char(major, minor) => handle.mknod(name, Kind::Char, (*major, *minor), replace),
        Node::Block(major, minor) => handle.mknod(name, Kind::Block, (*major, *minor), replace),
        Node::Inline(_) | Node::File(_) | Node::Dir(_) => Ok(()),
    }
}

/// Gives a directory in which nothing more is made its own attributes.
pub(super) fn end(run: &Run<'_>, dir: &Dir) {
    let (Some(handle), Some(entry)) = (&dir.handle, &dir.entry) else { return };
    if run.options.dry_run || run.is_stopped() {
        return;
    }
    let attrs = attrs_of(entry);
    let is_right = |stat: Stat| has_attrs(handle, b"", &stat, &attrs, &run.policy).unwrap_or(false);
    if dir.fresh || !handle.own_stat().is_ok_and(is_right) {
        run.attr_problems(|| dir.step.path(), apply_fd(handle.as_fd(), &attrs, &run.policy));
    }
    if !dir.fresh {
        // What it gets from now on; what is in it already stays as it is.
        let early = set_early(run, handle.as_fd(), entry, None, || dir.step.path());
        if let Err(error) = early {
            run.problem(&dir.step.path(), format!("cannot set its flags: {error}"));
        }
    }
    set_late(run, handle.as_fd(), entry.flags, !dir.fresh, || dir.step.path());
}
