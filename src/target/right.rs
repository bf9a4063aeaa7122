//! Whether an object has the attributes that it is to have, so that it need not be touched.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

use super::attrs::LABEL;
use super::dir::{TargetDir, checked};
use super::{Attrs, Policy};
use crate::source::{Kind, Stat, xattrs_fd, xattrs_path};

/// Whether `name` in `dir`, whose metadata is `stat`, has all of `attrs` already, as far as this user could set
/// them. An empty name stands for `dir` itself.
///
/// # Errors
/// Those of listxattr(2) and getxattr(2).
pub fn has_attrs(dir: &TargetDir, name: &[u8], stat: &Stat, attrs: &Attrs<'_>, policy: &Policy) -> io::Result<bool> {
    let uid = policy.owners.user(attrs.uid, attrs.user);
    let gid = policy.owners.group(attrs.gid, attrs.group);
    let is_mode_right = attrs.kind == Kind::Symlink || stat.mode == attrs.mode;
    // Nobody but root gives files away, so trying would only change the time of change.
    let is_owner_right = stat.uid == uid || !policy.is_root;
    let is_group_right = stat.gid == gid || !(policy.is_root || policy.own_groups.contains(&gid));
    if stat.kind != attrs.kind || !is_mode_right || !is_owner_right || !is_group_right || stat.mtime != attrs.mtime {
        return Ok(false);
    }
    if !policy.no_xattrs {
        let mut existing =
            if name.is_empty() { xattrs_fd(dir.as_fd())? } else { xattrs_path(dir.as_fd(), &checked(name)?)? };
        existing.retain(|(name, _)| name != LABEL || attrs.xattrs.iter().any(|(wanted, _)| wanted == name));
        if existing != attrs.xattrs {
            return Ok(false);
        }
    }
    if stat.uid != uid || stat.gid != gid {
        policy.skipped_owners.fetch_add(1, Ordering::Relaxed);
    }
    Ok(true)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::source::Time;
    use crate::target::{OwnerMap, apply};

    #[test]
    fn what_was_applied_is_right_and_nothing_else() {
        let temp = tempfile::tempdir().unwrap();
        let dir = TargetDir::root(temp.path(), false).unwrap();
        dir.create_file(b"f", false).unwrap();
        let policy = Policy::new(OwnerMap::numeric());
        let stat = dir.stat(b"f").unwrap();
        let attrs = Attrs {
            kind: Kind::File,
            mode: 0o640,
            uid: stat.uid,
            gid: stat.gid,
            user: None,
            group: None,
            mtime: Time { secs: 5, nanos: 6 },
            xattrs: &[],
        };
        let right = |attrs: &Attrs<'_>| has_attrs(&dir, b"f", &dir.stat(b"f").unwrap(), attrs, &policy).unwrap();
        assert!(!right(&attrs));
        assert!(apply(&dir, b"f", None, &attrs, &policy).is_empty());
        assert!(right(&attrs));
        assert!(!right(&Attrs { mode: 0o600, ..attrs }));
        assert!(!right(&Attrs { mtime: Time { secs: 5, nanos: 7 }, ..attrs }));
        assert!(!right(&Attrs { kind: Kind::Fifo, ..attrs }));
        let xattrs = [(b"user.x".to_vec(), b"1".to_vec())];
        assert!(!right(&Attrs { xattrs: &xattrs, ..attrs }));
    }
}
