//! Owner, mode, extended attributes and times of a restored object.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags};
use rustix::io::{Errno, retry_on_intr};

use super::dir::{TargetDir, checked};
use super::owner::OwnerMap;
use crate::source::{Kind, Stat, Time, Xattr, stat_fd, xattrs_fd, xattrs_pinned};

/// The security module's own label, which every new file has: not removed, but set if the entry has it.
pub(super) const LABEL: &[u8] = b"security.selinux";

/// What an object is to have.
#[derive(Debug, Clone, Copy)]
pub struct Attrs<'a> {
    /// What it is.
    pub kind: Kind,
    /// Permission bits with setuid, setgid and sticky: 0 to 07777.
    pub mode: u32,
    /// The owner in the snapshot.
    pub uid: u32,
    /// The group in the snapshot.
    pub gid: u32,
    /// The owner's name in the snapshot.
    pub user: Option<&'a str>,
    /// The group's name in the snapshot.
    pub group: Option<&'a str>,
    /// Last modification of the content.
    pub mtime: Time,
    /// Extended attributes, all that it is to have.
    pub xattrs: &'a [Xattr],
}

/// How attributes are applied, for any number of threads.
#[derive(Debug)]
pub struct Policy {
    /// Which owner an object gets.
    pub owners: OwnerMap,
    /// Whether owners can be expected to be set; if not, an owner that may not be set is only counted.
    pub is_root: bool,
    /// Leave extended attributes as they are.
    pub no_xattrs: bool,
    /// The groups that a user who is not root may give to what is his.
    pub(super) own_groups: Vec<u32>,
    pub(super) skipped_owners: AtomicU64,
}

impl Policy {
    /// A policy for the user that this process runs as, with extended attributes.
    pub fn new(owners: OwnerMap) -> Self {
        let mut own_groups = vec![rustix::process::getegid().as_raw()];
        own_groups.extend(rustix::process::getgroups().into_iter().flatten().map(Gid::as_raw));
        Self {
            owners,
            own_groups,
            is_root: rustix::process::geteuid().is_root(),
            no_xattrs: false,
            skipped_owners: AtomicU64::new(0),
        }
    }

    /// How many objects did not get their owner or group because only root may set it.
    pub fn skipped_owners(&self) -> u64 {
        self.skipped_owners.load(Ordering::Relaxed)
    }
}

/// An attribute that could not be applied; the others were.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what}")]
pub struct AttrProblem {
    /// What was tried: `set the mode`.
    pub what: String,
    /// Why not.
    #[source]
    pub source: io::Error,
    /// The name of the extended attribute that was to be set.
    pub xattr: Option<Vec<u8>>,
}

/// Applies `attrs` to `name` in `dir`, or to `fd` if it is given: then the name does not matter.
///
/// To be called when the content is complete: writing changes the time and drops capabilities, and what is made in
/// a directory changes the directory's time. Returns what could not be applied; empty if all is well.
pub fn apply(
    dir: &TargetDir,
    name: &[u8],
    fd: Option<BorrowedFd<'_>>,
    attrs: &Attrs<'_>,
    policy: &Policy,
) -> Vec<AttrProblem> {
    if let Some(fd) = fd {
        return apply_fd(fd, attrs, policy);
    }
    match Object::pin(dir, name, attrs.kind) {
        Ok(object) => apply_to(&object, attrs, policy),
        Err(error) => vec![problem("set the attributes", error)],
    }
}

/// Applies `attrs` to an open file or directory (not opened with `O_PATH`), as [`apply`] does.
pub fn apply_fd(fd: BorrowedFd<'_>, attrs: &Attrs<'_>, policy: &Policy) -> Vec<AttrProblem> {
    apply_to(&Object::Open(fd), attrs, policy)
}

fn problem(what: impl Into<String>, source: impl Into<io::Error>) -> AttrProblem {
    AttrProblem { what: what.into(), source: source.into(), xattr: None }
}

fn apply_to(object: &Object<'_>, attrs: &Attrs<'_>, policy: &Policy) -> Vec<AttrProblem> {
    let mut problems = Vec::new();
    // First, as it drops setuid, setgid and capabilities.
    let unsafe_bits = set_owner(object, attrs, policy, &mut problems);
    let existing = if policy.no_xattrs { Vec::new() } else { remove_xattrs(object, attrs, &mut problems) };
    let set_xattrs = |late: bool, problems: &mut Vec<AttrProblem>| {
        let wanted = attrs.xattrs.iter().filter(|_| !policy.no_xattrs);
        for xattr in wanted.filter(|(name, _)| is_late(name) == late) {
            if existing.contains(xattr) {
                continue;
            }
            if let Err(errno) = object.set_xattr(&xattr.0, &xattr.1) {
                let what = format!("set the extended attribute {}", xattr.0.escape_ascii());
                problems.push(AttrProblem { xattr: Some(xattr.0.clone()), ..problem(what, errno) });
            }
        }
    };
    // The owner of a read-only file may not set them any more.
    set_xattrs(false, &mut problems);
    if attrs.kind != Kind::Symlink {
        let mode = Mode::from_raw_mode(attrs.mode & 0o7777 & !unsafe_bits);
        if let Err(errno) = object.chmod(mode) {
            problems.push(problem("set the mode", errno));
        }
    }
    // An ACL has a say in the mode, and capabilities are the last to be given.
    set_xattrs(true, &mut problems);
    if let Err(errno) = object.set_mtime(attrs.mtime) {
        problems.push(problem("set the modification time", errno));
    }
    problems
}

fn is_late(name: &[u8]) -> bool {
    name.starts_with(b"system.") || name.starts_with(b"security.")
}

/// Sets owner and group. Returns the mode bits that must not be set, as they would lend an owner's rights that the
/// object was not meant to lend.
fn set_owner(object: &Object<'_>, attrs: &Attrs<'_>, policy: &Policy, problems: &mut Vec<AttrProblem>) -> u32 {
    let uid = policy.owners.user(attrs.uid, attrs.user);
    let gid = policy.owners.group(attrs.gid, attrs.group);
    match object.chown(Some(uid), gid) {
        Ok(()) => return 0,
        Err(Errno::PERM) if !policy.is_root => {
            // One of the user's own groups may well be set; if not, that makes it no worse.
            let _ = object.chown(None, gid);
            policy.skipped_owners.fetch_add(1, Ordering::Relaxed);
        }
        Err(errno) => problems.push(problem("set the owner", errno)),
    }
    let bits = attrs.mode & 0o6000;
    if bits == 0 || attrs.kind == Kind::Dir {
        return 0;
    }
    let unsafe_bits = object.stat().map_or(0o6000, |stat| {
        let setuid = if stat.uid == uid { 0 } else { 0o4000 };
        setuid | if stat.gid == gid { 0 } else { 0o2000 }
    });
    if bits & unsafe_bits != 0 {
        let why = io::Error::new(io::ErrorKind::PermissionDenied, "it has another owner here");
        problems.push(problem("set setuid or setgid", why));
    }
    unsafe_bits
}

/// Removes the attributes that the object is not to have, such as an ACL inherited from the directory. Returns what
/// it had.
fn remove_xattrs(object: &Object<'_>, attrs: &Attrs<'_>, problems: &mut Vec<AttrProblem>) -> Vec<Xattr> {
    let existing = match object.xattrs() {
        Ok(existing) => existing,
        Err(error) => {
            problems.push(problem("read the extended attributes", error));
            return Vec::new();
        }
    };
    for (name, _) in &existing {
        let is_wanted = attrs.xattrs.iter().any(|(wanted, _)| wanted == name);
        if is_wanted || name == LABEL {
            continue;
        }
        match object.remove_xattr(name) {
            Ok(()) | Err(Errno::NODATA) => {}
            Err(errno) => {
                problems.push(problem(format!("remove the extended attribute {}", name.escape_ascii()), errno));
            }
        }
    }
    existing
}

/// An object that stays the same whatever becomes of its name.
enum Object<'a> {
    /// Open for reading or writing.
    Open(BorrowedFd<'a>),
    /// Held by `O_PATH`, which needs no permission, does not wait, and wakes no device; with its path in /proc, by
    /// which those calls reach it that do not take such a handle.
    Pinned(OwnedFd, CString),
}

impl Object<'_> {
    fn pin(dir: &TargetDir, name: &[u8], kind: Kind) -> io::Result<Self> {
        let name = checked(name)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = retry_on_intr(|| rustix::fs::openat(dir, &name, flags, Mode::empty()))?;
        if stat_fd(fd.as_fd())?.kind != kind {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is something else now"));
        }
        let path = CString::new(format!("/proc/self/fd/{}", fd.as_raw_fd()))?;
        Ok(Self::Pinned(fd, path))
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Open(fd) => fd.as_fd(),
            Self::Pinned(fd, _) => fd.as_fd(),
        }
    }

    fn stat(&self) -> io::Result<Stat> {
        stat_fd(self.fd())
    }

    fn chown(&self, uid: Option<u32>, gid: u32) -> Result<(), Errno> {
        // For chown(2), this number means "leave it".
        if uid == Some(u32::MAX) || gid == u32::MAX {
            return Err(Errno::INVAL);
        }
        let (uid, gid) = (uid.map(Uid::from_raw), Some(Gid::from_raw(gid)));
        rustix::fs::chownat(self.fd(), c"", uid, gid, AtFlags::EMPTY_PATH)
    }

    fn chmod(&self, mode: Mode) -> Result<(), Errno> {
        match self {
            Self::Open(fd) => rustix::fs::fchmod(fd, mode),
            Self::Pinned(_, path) => rustix::fs::chmodat(CWD, path, mode, AtFlags::empty()),
        }
    }

    fn xattrs(&self) -> io::Result<Vec<Xattr>> {
        match self {
            Self::Open(fd) => xattrs_fd(fd.as_fd()),
            Self::Pinned(fd, _) => xattrs_pinned(fd.as_fd()),
        }
    }

    fn set_xattr(&self, name: &[u8], value: &[u8]) -> Result<(), Errno> {
        let flags = XattrFlags::empty();
        match self {
            Self::Open(fd) => rustix::fs::fsetxattr(fd, name, value, flags),
            Self::Pinned(_, path) => rustix::fs::setxattr::<&CStr, _>(path, name, value, flags),
        }
    }

    fn remove_xattr(&self, name: &[u8]) -> Result<(), Errno> {
        match self {
            Self::Open(fd) => rustix::fs::fremovexattr(fd, name),
            Self::Pinned(_, path) => rustix::fs::removexattr::<&CStr, _>(path, name),
        }
    }

    fn set_mtime(&self, time: Time) -> Result<(), Errno> {
        // Larger numbers have a meaning of their own for utimensat(2).
        if time.nanos > 999_999_999 {
            return Err(Errno::INVAL);
        }
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec { tv_sec: time.secs, tv_nsec: time.nanos.into() },
        };
        match self {
            Self::Open(fd) => rustix::fs::futimens(fd, &times),
            Self::Pinned(fd, path) => {
                match rustix::fs::utimensat(fd, c"", &times, AtFlags::EMPTY_PATH) {
                    // Linux before 5.8.
                    Err(Errno::INVAL) => rustix::fs::utimensat(CWD, path, &times, AtFlags::empty()),
                    other => other,
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "attrs_tests.rs"]
mod tests;
