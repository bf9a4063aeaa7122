//! Tests of [`super::apply`].
#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::Write;

use super::*;
use crate::source::{test_acl, xattrs_path};

const TIME: Time = Time { secs: -86_400, nanos: 123_456_789 };

/// What belongs to whoever runs the test.
fn plain(kind: Kind, mode: u32) -> Attrs<'static> {
    Attrs {
        kind,
        mode,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        user: None,
        group: None,
        mtime: TIME,
        xattrs: &[],
    }
}

fn target() -> (tempfile::TempDir, TargetDir) {
    let temp = tempfile::tempdir().unwrap();
    let dir = TargetDir::root(temp.path(), false).unwrap();
    (temp, dir)
}

fn policy() -> Policy {
    Policy::new(OwnerMap::numeric())
}

fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        println!("skipped: only root may set owners, capabilities and some attributes");
    }
    is_root
}

fn xattr(name: &str, value: &[u8]) -> Xattr {
    (name.as_bytes().to_vec(), value.to_vec())
}

fn capability() -> Vec<u8> {
    let mut value = vec![0; 20];
    value[..8].copy_from_slice(&[1, 0, 0, 2, 0, 4, 0, 0]);
    value
}

/// Runs `test` in a thread that is an ordinary user.
fn as_nobody<T: Send>(test: impl FnOnce() -> T + Send) -> T {
    let run = move || {
        rustix::thread::set_thread_groups(&[]).unwrap();
        rustix::thread::set_thread_gid(Gid::from_raw(65_534)).unwrap();
        rustix::thread::set_thread_uid(Uid::from_raw(65_534)).unwrap();
        test()
    };
    std::thread::scope(|scope| scope.spawn(run).join().unwrap())
}

#[test]
fn every_kind_gets_its_mode_and_time() {
    let (_temp, dir) = target();
    let file = dir.create_file(b"file", false).unwrap();
    let child = dir.child_dir(b"dir", true, false).unwrap();
    dir.symlink(b"link", b"/etc/hostname", false).unwrap();
    dir.mknod(b"fifo", Kind::Fifo, (0, 0), false).unwrap();
    dir.mknod(b"sock", Kind::Socket, (0, 0), false).unwrap();
    let before = std::fs::metadata("/etc/hostname").unwrap().modified().unwrap();
    let policy = policy();
    let check = |name: &[u8], fd: Option<BorrowedFd<'_>>, kind, mode| {
        let problems = apply(&dir, name, fd, &plain(kind, mode), &policy);
        assert!(problems.is_empty(), "{problems:?}");
        let stat = dir.stat(name).unwrap();
        assert_eq!((stat.kind, stat.mtime), (kind, TIME));
        if kind != Kind::Symlink {
            assert_eq!(stat.mode, mode);
        }
    };
    check(b"file", Some(file.as_fd()), Kind::File, 0o4755);
    check(b"file", None, Kind::File, 0o000);
    check(b"dir", Some(child.as_fd()), Kind::Dir, 0o3711);
    check(b"dir", None, Kind::Dir, 0o500);
    check(b"link", None, Kind::Symlink, 0o777);
    check(b"fifo", None, Kind::Fifo, 0o640);
    check(b"sock", None, Kind::Socket, 0o755);
    let after = std::fs::metadata("/etc/hostname").unwrap().modified().unwrap();
    assert_eq!(before, after, "the symlink was not followed");
    if is_root() {
        dir.mknod(b"null", Kind::Char, (1, 3), false).unwrap();
        check(b"null", None, Kind::Char, 0o666);
    }
}

#[test]
fn what_was_swapped_gets_nothing() {
    let (_temp, dir) = target();
    let outside = tempfile::NamedTempFile::new().unwrap();
    let before = outside.as_file().metadata().unwrap();
    let path = outside.path().as_os_str().as_encoded_bytes();
    dir.symlink(b"x", path, false).unwrap();
    for kind in [Kind::File, Kind::Dir, Kind::Fifo] {
        let problems = apply(&dir, b"x", None, &plain(kind, 0o777), &policy());
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].to_string(), "cannot set the attributes");
    }
    assert_eq!(apply(&dir, b"no", None, &plain(Kind::File, 0), &policy()).len(), 1);
    assert_eq!(apply(&dir, b"../x", None, &plain(Kind::File, 0), &policy()).len(), 1);
    let after = outside.as_file().metadata().unwrap();
    assert_eq!(before.permissions(), after.permissions());
    assert_eq!(before.modified().unwrap(), after.modified().unwrap());
}

#[test]
fn xattrs_become_exactly_the_wanted_ones() {
    let (temp, dir) = target();
    let file = dir.create_file(b"file", false).unwrap();
    for (name, value) in [("user.old", &b"x"[..]), ("user.same", b"same"), ("user.other", b"x")] {
        rustix::fs::fsetxattr(&file, name, value, XattrFlags::empty()).unwrap();
    }
    let large = vec![7; 3000];
    let wanted = [
        xattr("user.empty", b""),
        xattr("user.large", &large),
        xattr("user.other", b"new"),
        xattr("user.same", b"same"),
    ];
    let attrs = Attrs { xattrs: &wanted, ..plain(Kind::File, 0o444) };
    let keep = Policy { no_xattrs: true, ..policy() };
    assert!(apply_fd(file.as_fd(), &attrs, &keep).is_empty());
    assert_eq!(xattrs_fd(file.as_fd()).unwrap().len(), 3);
    dir.remove(b"file").unwrap();
    let file = dir.create_file(b"file", false).unwrap();
    rustix::fs::fsetxattr(&file, "user.old", b"x", XattrFlags::empty()).unwrap();
    for fd in [Some(file.as_fd()), None] {
        let problems = apply(&dir, b"file", fd, &attrs, &policy());
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(xattrs_fd(file.as_fd()).unwrap(), wanted);
    }
    assert_eq!(dir.stat(b"file").unwrap().mtime, TIME);
    drop(temp);
}

#[test]
fn an_inherited_acl_goes_and_a_wanted_one_comes() {
    let (temp, dir) = target();
    let acl = test_acl(1234);
    let path = temp.path();
    let name = "system.posix_acl_default";
    if rustix::fs::setxattr(path, name, &acl, XattrFlags::empty()).is_err() {
        println!("skipped: this file system has no ACLs");
        return;
    }
    let file = dir.create_file(b"file", false).unwrap();
    let child = dir.child_dir(b"dir", true, false).unwrap();
    assert_eq!(xattrs_fd(file.as_fd()).unwrap().len(), 1);
    assert_eq!(xattrs_fd(child.as_fd()).unwrap().len(), 2);
    for (name, kind, mode) in [(&b"file"[..], Kind::File, 0o664), (b"dir", Kind::Dir, 0o2775)] {
        assert!(apply(&dir, name, None, &plain(kind, mode), &policy()).is_empty());
        assert_eq!(dir.stat(name).unwrap().mode, mode);
    }
    assert!(xattrs_fd(file.as_fd()).unwrap().is_empty());
    assert!(xattrs_fd(child.as_fd()).unwrap().is_empty());

    let wanted = [xattr("system.posix_acl_access", &acl), xattr("system.posix_acl_default", &acl)];
    let attrs = Attrs { xattrs: &wanted, ..plain(Kind::Dir, 0o2750) };
    for _ in 0..2 {
        assert!(apply(&dir, b"dir", None, &attrs, &policy()).is_empty());
        assert_eq!(xattrs_fd(child.as_fd()).unwrap(), wanted);
        assert_eq!(dir.stat(b"dir").unwrap().mode, 0o2750);
    }
    // A file has no default ACL: that one is reported, all else is done.
    let attrs = Attrs { xattrs: &wanted, ..plain(Kind::File, 0o750) };
    let problems = apply(&dir, b"file", None, &attrs, &policy());
    assert_eq!(problems.len(), 1);
    let text = problems[0].to_string();
    assert_eq!(text, "cannot set the extended attribute system.posix_acl_default");
    assert_eq!(xattrs_fd(file.as_fd()).unwrap(), wanted[..1]);
    assert_eq!(dir.stat(b"file").unwrap().mtime, TIME);
}

#[test]
fn capabilities_and_setuid_outlive_the_change_of_owner() {
    if !is_root() {
        return;
    }
    let (_temp, dir) = target();
    let mut file = dir.create_file(b"file", false).unwrap();
    file.write_all(b"#!").unwrap();
    let wanted = [xattr("security.capability", &capability()), xattr("trusted.x", b"\0\xff")];
    let attrs = Attrs { uid: 1234, gid: 5678, xattrs: &wanted, ..plain(Kind::File, 0o6755) };
    for fd in [Some(file.as_fd()), None, None] {
        assert!(apply(&dir, b"file", fd, &attrs, &policy()).is_empty());
        let stat = dir.stat(b"file").unwrap();
        assert_eq!((stat.uid, stat.gid, stat.mode), (1234, 5678, 0o6755));
        assert_eq!(xattrs_fd(file.as_fd()).unwrap(), wanted);
    }
}

#[test]
fn a_symlink_and_a_fifo_have_owners_and_attributes_too() {
    if !is_root() {
        return;
    }
    let (temp, dir) = target();
    dir.create_file(b"file", false).unwrap();
    dir.symlink(b"link", b"file", false).unwrap();
    dir.mknod(b"fifo", Kind::Fifo, (0, 0), false).unwrap();
    let handle = File::open(temp.path()).unwrap();
    rustix::fs::lsetxattr(temp.path().join("link"), "trusted.old", b"", XattrFlags::empty()).unwrap();
    let wanted = [xattr("trusted.x", b"value")];
    for (name, c_name, kind) in [(b"link", c"link", Kind::Symlink), (b"fifo", c"fifo", Kind::Fifo)] {
        let attrs = Attrs { uid: 11, gid: 12, xattrs: &wanted, ..plain(kind, 0o604) };
        assert!(apply(&dir, name, None, &attrs, &policy()).is_empty());
        let stat = dir.stat(name).unwrap();
        assert_eq!((stat.uid, stat.gid, stat.mtime), (11, 12, TIME));
        assert_eq!(xattrs_path(handle.as_fd(), c_name).unwrap(), wanted);
    }
    let file = dir.stat(b"file").unwrap();
    assert_eq!((file.uid, file.mode), (0, 0o600), "the symlink was not followed");
    // What may not be: a user attribute of a symlink.
    let attrs = Attrs { xattrs: &[xattr("user.x", b"")], ..plain(Kind::Symlink, 0o777) };
    assert_eq!(apply(&dir, b"link", None, &attrs, &policy()).len(), 1);
}

#[test]
fn owners_are_mapped() {
    if !is_root() {
        return;
    }
    let (_temp, dir) = target();
    dir.create_file(b"file", false).unwrap();
    let mut owners = OwnerMap::by_name();
    owners.map_group("5:77").unwrap();
    let attrs = Attrs { uid: 4321, gid: 5, user: Some("root"), ..plain(Kind::File, 0o600) };
    let policy = Policy::new(owners);
    assert!(apply(&dir, b"file", None, &attrs, &policy).is_empty());
    let stat = dir.stat(b"file").unwrap();
    assert_eq!((stat.uid, stat.gid), (0, 77));
    assert_eq!(policy.skipped_owners(), 0);
}

#[test]
fn what_no_kernel_takes_is_reported() {
    let (_temp, dir) = target();
    dir.create_file(b"file", false).unwrap();
    let attrs = Attrs { uid: u32::MAX, mtime: Time { secs: 0, nanos: 1_073_741_823 }, ..plain(Kind::File, 0o6755) };
    let problems = apply(&dir, b"file", None, &attrs, &policy());
    let whats: Vec<_> = problems.iter().map(|problem| problem.what.as_str()).collect();
    assert_eq!(whats, ["set the owner", "set setuid or setgid", "set the modification time"]);
    // The group is right by chance, the owner is not.
    assert_eq!(dir.stat(b"file").unwrap().mode, 0o2755);
}

#[test]
fn an_ordinary_user_gets_what_he_may_have() {
    if !is_root() {
        return;
    }
    let (_temp, dir) = target();
    let nobody = Attrs { uid: 65_534, gid: 65_534, ..plain(Kind::Dir, 0o700) };
    assert!(apply_fd(dir.as_fd(), &nobody, &policy()).is_empty());
    let wanted = [xattr("security.capability", &capability()), xattr("trusted.x", b""), xattr("user.x", b"value")];
    let attrs = Attrs { uid: 0, gid: 0, xattrs: &wanted, ..plain(Kind::File, 0o6444) };
    let (problems, skipped, no_chown) = as_nobody(|| {
        let policy = policy();
        assert!(!policy.is_root);
        let file = dir.create_file(b"file", false).unwrap();
        let problems = apply_fd(file.as_fd(), &attrs, &policy);
        // Of one's own, nothing is skipped.
        dir.symlink(b"link", b"x", false).unwrap();
        let own = Attrs { uid: 65_534, gid: 65_534, ..plain(Kind::Symlink, 0o777) };
        let none = apply(&dir, b"link", None, &own, &policy);
        (problems, policy.skipped_owners(), none)
    });
    let whats: Vec<_> = problems.iter().map(|problem| problem.what.as_str()).collect();
    let want = [
        "set setuid or setgid",
        "set the extended attribute trusted.x",
        "set the extended attribute security.capability",
    ];
    assert_eq!(whats, want);
    assert_eq!(skipped, 1);
    assert!(no_chown.is_empty(), "{no_chown:?}");
    let stat = dir.stat(b"file").unwrap();
    assert_eq!((stat.uid, stat.mode, stat.mtime), (65_534, 0o444, TIME));
    let handle = dir.as_fd();
    assert_eq!(xattrs_path(handle, c"file").unwrap(), wanted[2..]);
}
