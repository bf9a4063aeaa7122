//! Restoring into an empty place.

use super::restore_kit::{Kit, as_nobody, assert_trees_equal, is_root, noise};
use panther::Error;
use rustix::fs::{CWD, FileType, Mode, XattrFlags, lsetxattr, mknodat};
use std::ffi::OsStr;
use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn xattr(path: &Path, name: &str, value: &[u8]) {
    lsetxattr(path, name, value, XattrFlags::empty()).unwrap();
}

/// rwx for the owner, r-x for user 1234, the group and the mask, nothing for others.
fn acl() -> Vec<u8> {
    let mut acl = 2_u32.to_le_bytes().to_vec();
    for (tag, bits, id) in
        [(1_u16, 7_u16, u32::MAX), (2, 5, 1_234), (4, 5, u32::MAX), (16, 5, u32::MAX), (32, 0, u32::MAX)]
    {
        acl.extend(tag.to_le_bytes());
        acl.extend(bits.to_le_bytes());
        acl.extend(id.to_le_bytes());
    }
    acl
}

/// Something of everything that an ordinary user may make.
fn make_all_kinds(kit: &Kit) {
    fs::write(kit.source("empty"), b"").unwrap();
    fs::write(kit.source("small"), b"small").unwrap();
    fs::write(kit.source("medium"), noise(1, 300_000)).unwrap();
    fs::write(kit.source("large"), noise(2, 9_000_001)).unwrap();
    fs::write(kit.source("again"), noise(2, 9_000_001)).unwrap();
    let not_utf8 = kit.path("source").join(OsStr::from_bytes(b"\xff\xfe\n name"));
    fs::write(&not_utf8, b"odd").unwrap();
    symlink(OsStr::from_bytes(b"/no/where/\xff"), kit.source("symlink")).unwrap();
    symlink("small", kit.source("link to small")).unwrap();
    for (name, kind) in [("fifo", FileType::Fifo), ("socket", FileType::Socket)] {
        mknodat(CWD, kit.source(name), kind, Mode::from_raw_mode(0o640), 0).unwrap();
    }
    let holes = File::create(kit.source("holes")).unwrap();
    holes.write_all_at(&noise(3, 200_000), 1 << 20).unwrap();
    holes.write_all_at(b"end", 5 << 20).unwrap();
    holes.set_len(9 << 20).unwrap();
    File::create(kit.source("one hole")).unwrap().set_len(1 << 30).unwrap();
    fs::create_dir_all(kit.source("a/b/c/d")).unwrap();
    fs::create_dir(kit.source("empty dir")).unwrap();
    for name in ["a/first", "symlink first", "pipe first"] {
        match name {
            "a/first" => fs::write(kit.source(name), b"linked").unwrap(),
            "symlink first" => symlink("linked", kit.source(name)).unwrap(),
            _ => mknodat(CWD, kit.source(name), FileType::Fifo, Mode::RUSR, 0).unwrap(),
        }
        for other in ["1", "a/b/2", "z"] {
            fs::hard_link(kit.source(name), kit.source(&format!("{other} of {}", name.replace('/', "_")))).unwrap();
        }
    }
    xattr(&kit.source("small"), "user.x", b"\0\xff value");
    xattr(&kit.source("a/b"), "user.dir", b"");
    xattr(&kit.source("medium"), "system.posix_acl_access", &acl());
    xattr(&kit.source("a"), "system.posix_acl_default", &acl());
    fs::write(kit.source("a/after the acl"), b"x").unwrap();
    for (name, mode) in
        [("large", 0o4755), ("again", 0o2711), ("empty dir", 0o1777), ("a/b/c", 0o500), ("a/b/c/d", 0o2750)]
    {
        chmod(&kit.source(name), mode);
    }
    for (name, secs, nanos) in
        [("small", 1_000_000_000, 123_456_789), ("a/b/c/d", 1, 1), ("a/b", 5_000_000_000, 999_999_999)]
    {
        let time = FileTimes::new().set_modified(UNIX_EPOCH + Duration::new(secs, nanos));
        File::open(kit.source(name)).unwrap().set_times(time).unwrap();
    }
    let old = FileTimes::new().set_modified(UNIX_EPOCH - Duration::new(3, 5));
    File::open(kit.source("medium")).unwrap().set_times(old).unwrap();
}

#[test]
fn everything_comes_back() {
    let kit = Kit::new();
    make_all_kinds(&kit);
    if is_root() {
        for (name, kind, dev) in
            [("null", FileType::CharacterDevice, (1, 3)), ("disk", FileType::BlockDevice, (7, 300))]
        {
            mknodat(CWD, kit.source(name), kind, Mode::RUSR, rustix::fs::makedev(dev.0, dev.1)).unwrap();
        }
        chown(kit.source("small"), Some(1_234), Some(5_678)).unwrap();
        chown(kit.source("a/b"), Some(4_294_967_294), Some(7)).unwrap();
        lchown(kit.source("symlink"), Some(11), Some(12)).unwrap();
        chown(kit.source("large"), Some(99), Some(98)).unwrap();
        chmod(&kit.source("large"), 0o6755);
        let mut capability = vec![0; 20];
        capability[..8].copy_from_slice(&[1, 0, 0, 2, 0, 4, 0, 0]);
        xattr(&kit.source("medium"), "security.capability", &capability);
        xattr(&kit.source("symlink"), "trusted.t", b"t");
        for name in ["small", "a/first", "a/b/c/d"] {
            chmod(&kit.source(name), 0);
        }
    }
    let snapshot = kit.backup();
    let mut options = kit.options("target");
    options.verify = true;
    let report = kit.good(&snapshot, &options);
    kit.assert_same("target");
    // Three of the links are names of a regular file.
    assert_eq!(report.files + 3, snapshot.manifest.summary.files);
    assert_eq!(report.dirs, snapshot.manifest.summary.dirs);
    assert_eq!(report.links, 9);
    assert_eq!(report.verified_files, Some(report.files));
    assert_eq!((report.files_unchanged, report.bytes_skipped, report.removed), (0, 0, 0));
    let blocks = fs::metadata(kit.path("target/one hole")).unwrap().blocks();
    assert!(blocks < 64, "{blocks}");
}

#[test]
fn the_whole_snapshot_under_full_paths() {
    let kit = Kit::new();
    fs::create_dir_all(kit.source("one/deep")).unwrap();
    fs::create_dir_all(kit.source("two")).unwrap();
    fs::write(kit.source("one/deep/file"), b"1").unwrap();
    fs::write(kit.source("two/file"), b"2").unwrap();
    chmod(&kit.source("one"), 0o700);
    let snapshot = kit.backup_of(&[kit.source("one"), kit.source("two/file")]);
    let mut options = kit.options("target");
    options.path = None;
    let report = kit.good(&snapshot, &options);
    assert_eq!((report.files, report.dirs), (2, 2));
    let below = |path: &str| kit.path("target").join(kit.source(path).strip_prefix("/").unwrap());
    assert_trees_equal(&kit.source("one"), &below("one"));
    assert_eq!(fs::read(below("two/file")).unwrap(), b"2");
    assert_eq!(fs::metadata(below("two")).unwrap().mode() & 0o7777, 0o755);
    // From a folder above all roots.
    let report = kit.good(&snapshot, &kit.options("other"));
    assert_eq!((report.files, report.dirs), (2, 2));
    assert_trees_equal(&kit.source("one"), &kit.path("other/one"));
    // One root of them, and nothing.
    options.path = Some(kit.source("two/file").as_os_str().as_bytes().to_vec());
    options.target = kit.path("single");
    assert_eq!(kit.good(&snapshot, &options).files, 1);
    assert_eq!(fs::read(kit.path("single/file")).unwrap(), b"2");
    for path in ["/nothing", "relative"] {
        options.path = Some(path.into());
        assert!(matches!(kit.restore(&snapshot, &options), Err(Error::Usage(_))));
    }
}

#[test]
fn one_file_and_one_directory() {
    let kit = Kit::new();
    make_all_kinds(&kit);
    let snapshot = kit.backup();
    let mut options = kit.options("file");
    options.path = Some(kit.source("large").as_os_str().as_bytes().to_vec());
    let report = kit.good(&snapshot, &options);
    assert_eq!((report.files, report.dirs, report.bytes), (1, 0, 9_000_001));
    assert_eq!(fs::read(kit.path("file/large")).unwrap(), noise(2, 9_000_001));
    assert_eq!(fs::metadata(kit.path("file/large")).unwrap().mode() & 0o7777, 0o4755);
    options.path = Some(kit.source("a").as_os_str().as_bytes().to_vec());
    options.target = kit.path("dir");
    kit.good(&snapshot, &options);
    // Links from outside are missing, so the rest of the group is linked among itself: compare without the group.
    assert_eq!(fs::read(kit.path("dir/b/2 of a_first")).unwrap(), b"linked");
    let (first, second) =
        (fs::metadata(kit.path("dir/first")).unwrap(), fs::metadata(kit.path("dir/b/2 of a_first")).unwrap());
    assert_eq!(first.ino(), second.ino());
}

#[test]
fn excludes_and_includes() {
    let kit = Kit::new();
    for path in
        ["src/main.rs", "src/old.tmp", "doc/x/deep.rs", "doc/x/notes", "keep/all/of", "keep/this.tmp", "empty/x"]
    {
        fs::create_dir_all(kit.source(path).parent().unwrap()).unwrap();
        fs::write(kit.source(path), path).unwrap();
    }
    fs::hard_link(kit.source("doc/x/notes"), kit.source("keep/linked")).unwrap();
    let snapshot = kit.backup();
    let mut options = kit.options("target");
    options.excludes.patterns = vec!["*.tmp".into()];
    let report = kit.good(&snapshot, &options);
    assert_eq!(report.files + report.links, 6);
    assert!(!kit.path("target/src/old.tmp").exists() && kit.path("target/src/main.rs").exists());
    options.includes = vec!["*.rs".into(), format!("{}/keep", kit.path("source").display())];
    options.target = kit.path("included");
    let report = kit.good(&snapshot, &options);
    // The first name of the group is left out, so the second stands for it.
    assert_eq!((report.files, report.links), (4, 0));
    for (path, want) in [
        ("src/main.rs", true),
        ("doc/x/deep.rs", true),
        ("doc/x/notes", false),
        ("keep/all/of", true),
        ("keep/linked", true),
        ("keep/this.tmp", false),
        ("empty", false),
    ] {
        assert_eq!(kit.path("included").join(path).exists(), want, "{path}");
    }
    let mtime = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    assert_eq!(mtime(&kit.source("doc/x")), mtime(&kit.path("included/doc/x")), "a directory on the way");
    options.includes = vec!["nothing".into()];
    options.target = kit.path("nothing");
    assert_eq!(kit.good(&snapshot, &options).files, 0);
}

#[test]
fn files_larger_than_a_window_and_many_directories() {
    let kit = Kit::new();
    fs::write(kit.source("huge"), noise(7, 75_000_000)).unwrap();
    // Windows are full of directories before they are full of files.
    for dir in 0..700 {
        let dir = kit.source(&format!("d{dir:03}"));
        fs::create_dir(&dir).unwrap();
        for file in 0..3 {
            fs::write(dir.join(format!("{file}")), format!("{}", dir.display())).unwrap();
        }
    }
    let snapshot = kit.backup();
    let report = kit.good(&snapshot, &kit.options("target"));
    assert_eq!((report.files, report.dirs), (2_101, 701));
    kit.assert_same("target");
}

#[test]
fn deeper_than_handles_are_kept() {
    let kit = Kit::new();
    let mut here = rustix::fs::openat(CWD, kit.path("source"), rustix::fs::OFlags::DIRECTORY, Mode::empty()).unwrap();
    let depth = 1_500;
    for level in 0..depth {
        rustix::fs::mkdirat(&here, "d", Mode::RWXU).unwrap();
        // Comes after the directory, so on the way back.
        rustix::fs::symlinkat(format!("level {level}"), &here, "z").unwrap();
        here = rustix::fs::openat(&here, "d", rustix::fs::OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    drop(here);
    let snapshot = kit.backup();
    let report = kit.good(&snapshot, &kit.options("target"));
    assert_eq!((report.dirs, report.others), (depth + 1, depth));
    let mut here = rustix::fs::openat(CWD, kit.path("target"), rustix::fs::OFlags::DIRECTORY, Mode::empty()).unwrap();
    for level in 0..depth {
        let link = rustix::fs::readlinkat(&here, "z", Vec::new()).unwrap();
        assert_eq!(link.to_bytes(), format!("level {level}").as_bytes());
        here = rustix::fs::openat(&here, "d", rustix::fs::OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    let mut options = kit.options("target");
    options.delete = true;
    assert_eq!(kit.good(&snapshot, &options).removed, 0);
}

#[test]
fn zeros_become_holes_if_asked_for() {
    let kit = Kit::new();
    let mut bytes = noise(4, 3 << 20);
    bytes[1 << 20..2 << 20].fill(0);
    fs::write(kit.source("zeros"), &bytes).unwrap();
    fs::write(kit.source("all zeros"), vec![0; 1 << 20]).unwrap();
    let snapshot = kit.backup();
    kit.good(&snapshot, &kit.options("dense"));
    kit.assert_same("dense");
    let mut options = kit.options("sparse");
    options.sparse = true;
    options.verify = true;
    kit.good(&snapshot, &options);
    for (name, want, most) in [("zeros", &bytes[..], 4_200), ("all zeros", &vec![0; 1 << 20], 16)] {
        let path = kit.path("sparse").join(name);
        assert!(fs::read(&path).unwrap() == want);
        assert!(fs::metadata(&path).unwrap().blocks() <= most, "{name}");
    }
}

#[test]
fn owners_are_mapped() {
    if !is_root() {
        return;
    }
    let kit = Kit::new();
    for (name, uid, gid) in [("a", 1_000, 1_000), ("b", 2_000, 100), ("c", 0, 0)] {
        fs::write(kit.source(name), name).unwrap();
        chown(kit.source(name), Some(uid), Some(gid)).unwrap();
    }
    let snapshot = kit.backup();
    let mut options = kit.options("target");
    options.owners.map_user("1000:5000").unwrap();
    options.owners.map_group("100:6000").unwrap();
    kit.good(&snapshot, &options);
    for (name, owner) in [("a", (5_000, 1_000)), ("b", (2_000, 6_000)), ("c", (0, 0))] {
        let meta = fs::metadata(kit.path("target").join(name)).unwrap();
        assert_eq!((meta.uid(), meta.gid()), owner, "{name}");
    }
}

#[test]
fn without_root_what_cannot_be_set_is_counted() {
    if !is_root() {
        return;
    }
    let kit = Kit::new();
    make_all_kinds(&kit);
    mknodat(CWD, kit.source("null"), FileType::CharacterDevice, Mode::RUSR, rustix::fs::makedev(1, 3)).unwrap();
    xattr(&kit.source("small"), "trusted.t", b"t");
    let snapshot = kit.backup();
    let report = as_nobody_into(&kit, &snapshot, "target");
    assert!(report.skipped_owners > 20 && report.skipped_attributes == 3, "{report:?}");
    assert_eq!(report.problem_count, 1, "{:?}", report.problems);
    assert!(report.problems[0].path.ends_with("/null"));
    assert!(report.incomplete);
    assert_eq!(fs::read(kit.path("target/large")).unwrap(), noise(2, 9_000_001));
    assert_eq!(fs::metadata(kit.path("target/large")).unwrap().mode() & 0o7777, 0o755, "nobody's setuid file");
    assert_eq!(fs::metadata(kit.path("target/a/b/c")).unwrap().mode() & 0o7777, 0o500);
    // Once more over read-only directories and files: nothing is to be done but for the device.
    chmod(&kit.path("target/medium"), 0o400);
    fs::remove_file(kit.path("target/a/b/2 of a_first")).unwrap();
    let report = as_nobody_into(&kit, &snapshot, "target");
    assert_eq!(report.files, report.files_unchanged);
    assert!(kit.path("target/a/b/2 of a_first").exists());
}

fn as_nobody_into(
    kit: &Kit,
    snapshot: &panther::repo::snapshots::Snapshot,
    target: &str,
) -> panther::ops::restore::RestoreReport {
    let mut options = kit.options(target);
    options.overwrite = true;
    if !options.target.exists() {
        fs::create_dir(&options.target).unwrap();
        chown(&options.target, Some(65_534), Some(65_534)).unwrap();
    }
    chmod(&kit.path("repo"), 0o755);
    let chmod_all = std::process::Command::new("chmod").arg("-R").arg("a+rX").arg(kit.path("repo")).status().unwrap();
    assert!(chmod_all.success());
    as_nobody(|| kit.restore(snapshot, &options).unwrap())
}
