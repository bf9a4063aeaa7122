//! Tests of [`super::TargetDir`].
#![allow(clippy::unwrap_used)]

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};

use super::*;

fn target() -> (tempfile::TempDir, TargetDir) {
    let temp = tempfile::tempdir().unwrap();
    let dir = TargetDir::root(temp.path(), false).unwrap();
    (temp, dir)
}

#[test]
fn names_of_more_or_less_than_one_step_are_refused() {
    let (temp, dir) = target();
    for name in [&b""[..], b".", b"..", b"/", b"a/b", b"/etc", b"a/", b"../x", b"a\0b"] {
        let errors = [
            dir.child_dir(name, true, true).unwrap_err(),
            dir.create_file(name, true).unwrap_err(),
            dir.open_existing(name).unwrap_err(),
            dir.symlink(name, b"x", true).unwrap_err(),
            dir.mknod(name, Kind::Fifo, (0, 0), true).unwrap_err(),
            dir.hard_link(&dir, b"x", name, true).unwrap_err(),
            dir.hard_link(&dir, name, b"x", true).unwrap_err(),
            dir.remove(name).unwrap_err(),
            dir.stat(name).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name:?}");
        }
    }
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 0);
}

#[test]
fn odd_names_are_names() {
    let (temp, dir) = target();
    for name in [&[b'n'; 255][..], b"\xff\xfe", b"...", b" ", b"\n", b"-rf"] {
        dir.create_file(name, false).unwrap();
        assert!(temp.path().join(OsStr::from_bytes(name)).exists());
        dir.remove(name).unwrap();
        dir.child_dir(name, true, false).unwrap();
        assert_eq!(dir.stat(name).unwrap().kind, Kind::Dir);
    }
    assert_eq!(dir.names().unwrap().len(), 6);
    let error = dir.create_file(&[b'n'; 256], false).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidFilename);
    dir.sync().unwrap();
}

#[test]
fn the_root_is_made_on_demand() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("a/b");
    assert!(TargetDir::root(&path, false).is_err());
    TargetDir::root(&path, true).unwrap();
    TargetDir::root(&path, true).unwrap();
    assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o700);
    std::fs::write(temp.path().join("file"), b"").unwrap();
    assert!(TargetDir::root(&temp.path().join("file"), true).is_err());
}

#[test]
fn child_directories() {
    let (temp, dir) = target();
    let missing = dir.child_dir(b"d", false, true).unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    let child = dir.child_dir(b"d", true, false).unwrap();
    child.create_file(b"kept", false).unwrap();
    assert_eq!(dir.stat(b"d").unwrap().mode, 0o700);
    // What is a directory is taken as it is, also with `replace`.
    let again = dir.child_dir(b"d", true, true).unwrap();
    assert_eq!(again.names().unwrap().len(), 1);

    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), temp.path().join("link")).unwrap();
    dir.create_file(b"file", false).unwrap();
    dir.mknod(b"fifo", Kind::Fifo, (0, 0), false).unwrap();
    for name in [&b"link"[..], b"file", b"fifo"] {
        assert!(dir.child_dir(name, true, false).is_err());
        let made = dir.child_dir(name, true, true).unwrap();
        made.create_file(b"inside", false).unwrap();
        assert_eq!(dir.stat(name).unwrap().kind, Kind::Dir);
    }
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn a_directory_swapped_for_a_symlink_leads_nowhere() {
    let (temp, dir) = target();
    let outside = tempfile::tempdir().unwrap();
    let child = dir.child_dir(b"d", true, false).unwrap();
    std::fs::rename(temp.path().join("d"), temp.path().join("moved")).unwrap();
    symlink(outside.path(), temp.path().join("d")).unwrap();
    // The handle still is the directory that was made.
    child.create_file(b"one", false).unwrap();
    assert!(temp.path().join("moved/one").exists());
    // By its name it is not reached any more.
    assert!(dir.child_dir(b"d", false, false).is_err());
    assert!(dir.create_file(b"d", false).is_err());
    assert!(dir.open_existing(b"d").is_err());
    dir.remove(b"d").unwrap();
    assert!(outside.path().exists());
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn files() {
    let (temp, dir) = target();
    let outside = tempfile::tempdir().unwrap();
    let precious = outside.path().join("precious");
    std::fs::write(&precious, b"precious").unwrap();
    for name in ["absolute", "existing"] {
        symlink(&precious, temp.path().join(name)).unwrap();
    }
    let error = dir.create_file(b"absolute", false).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    let mut file = dir.create_file(b"absolute", true).unwrap();
    file.write_all(b"new").unwrap();
    assert_eq!(dir.stat(b"absolute").unwrap().mode, 0o600);
    assert!(dir.open_existing(b"existing").is_err());
    assert_eq!(std::fs::read(&precious).unwrap(), b"precious");

    // A whole directory gives way.
    std::fs::create_dir_all(temp.path().join("tree/a/b")).unwrap();
    symlink(outside.path(), temp.path().join("tree/a/out")).unwrap();
    assert!(dir.create_file(b"tree", false).is_err());
    dir.create_file(b"tree", true).unwrap();
    assert!(precious.exists());

    let mut file = dir.open_existing(b"absolute").unwrap();
    file.write_all(b"NEW").unwrap();
    assert_eq!(std::fs::read(temp.path().join("absolute")).unwrap(), b"NEW");
    dir.mknod(b"fifo", Kind::Fifo, (0, 0), false).unwrap();
    let error = dir.open_existing(b"fifo").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn symlinks_and_special_files() {
    let (temp, dir) = target();
    let path = |name| temp.path().join(OsStr::from_bytes(name));
    for target in [&b"../../etc/\xff"[..], b"/", b"."] {
        dir.symlink(b"s", target, true).unwrap();
        let found = std::fs::read_link(path(b"s")).unwrap();
        assert_eq!(found.as_os_str().as_bytes(), target);
    }
    assert!(dir.symlink(b"s", b"x", false).is_err());
    dir.mknod(b"f", Kind::Fifo, (0, 0), false).unwrap();
    dir.mknod(b"k", Kind::Socket, (0, 0), false).unwrap();
    assert!(path(b"f").metadata().unwrap().file_type().is_fifo());
    assert!(path(b"k").metadata().unwrap().file_type().is_socket());
    let error = dir.mknod(b"f", Kind::Fifo, (0, 0), false).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    for kind in [Kind::File, Kind::Dir, Kind::Symlink] {
        assert!(dir.mknod(b"x", kind, (0, 0), false).is_err());
    }
    if !rustix::process::geteuid().is_root() {
        println!("skipped: devices can only be made by root");
        return;
    }
    dir.mknod(b"s", Kind::Char, (1, 3), true).unwrap();
    dir.mknod(b"b", Kind::Block, (7, 1000), true).unwrap();
    let null = dir.stat(b"s").unwrap();
    assert_eq!((null.kind, null.rdev, null.mode), (Kind::Char, (1, 3), 0o600));
    let block = dir.stat(b"b").unwrap();
    assert_eq!((block.kind, block.rdev), (Kind::Block, (7, 1000)));
    assert!(dir.open_existing(b"s").is_err());
}

#[test]
fn hard_links() {
    let (temp, dir) = target();
    let other = dir.child_dir(b"d", true, false).unwrap();
    dir.create_file(b"first", false).unwrap();
    other.hard_link(&dir, b"first", b"second", false).unwrap();
    assert_eq!(dir.stat(b"first").unwrap().nlink, 2);
    // Linked already: also with `replace`, nothing is lost.
    other.hard_link(&dir, b"first", b"second", true).unwrap();
    dir.hard_link(&dir, b"first", b"first", true).unwrap();
    assert_eq!(dir.stat(b"first").unwrap().nlink, 2);
    // Something else has the name.
    dir.create_file(b"third", false).unwrap();
    assert!(dir.hard_link(&dir, b"first", b"third", false).is_err());
    dir.hard_link(&dir, b"first", b"third", true).unwrap();
    assert_eq!(dir.stat(b"first").unwrap().nlink, 3);
    // A symlink is linked itself.
    symlink("/etc/hostname", temp.path().join("s")).unwrap();
    dir.hard_link(&dir, b"s", b"t", false).unwrap();
    assert_eq!(dir.stat(b"t").unwrap().kind, Kind::Symlink);
    assert!(dir.hard_link(&dir, b"missing", b"u", true).is_err());
    // A source that is missing costs nothing.
    assert!(dir.hard_link(&dir, b"missing", b"t", true).is_err());
    dir.stat(b"t").unwrap();
}

#[test]
fn modes_are_not_widened_by_anything() {
    let (temp, dir) = target();
    std::fs::set_permissions(temp.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    dir.create_file(b"f", false).unwrap();
    dir.mknod(b"p", Kind::Fifo, (0, 0), false).unwrap();
    for name in [b"f", b"p"] {
        assert_eq!(dir.stat(name).unwrap().mode & 0o077, 0);
    }
}

#[test]
fn new_directories_and_the_way_back() {
    let (temp, dir) = target();
    assert!(dir.is_empty().unwrap());
    let child = dir.new_dir(b"d").unwrap();
    assert!(!dir.is_empty().unwrap() && child.is_empty().unwrap());
    assert_eq!(dir.new_dir(b"d").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    symlink("/", temp.path().join("link")).unwrap();
    assert!(dir.new_dir(b"link").is_err());
    assert_eq!(dir.readlink(b"link").unwrap(), b"/");
    assert!(dir.readlink(b"d").is_err());

    let stat = dir.own_stat().unwrap();
    let above = child.parent(&stat).unwrap();
    assert!(above.own_stat().unwrap().is_same_inode(&stat));
    dir.new_dir(b"elsewhere").unwrap();
    std::fs::rename(temp.path().join("d"), temp.path().join("elsewhere/d")).unwrap();
    assert!(child.parent(&stat).is_err(), "moved meanwhile");

    child.set_mode(0o500).unwrap();
    child.make_usable();
    assert_eq!(child.own_stat().unwrap().mode, 0o700);
    child.set_mode(0o755).unwrap();
    child.make_usable();
    assert_eq!(child.own_stat().unwrap().mode, 0o755);
}
