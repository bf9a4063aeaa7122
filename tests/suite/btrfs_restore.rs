//! Restoring what only a Btrfs has: onto a Btrfs, and onto what is none.

use crate::btrfs_kit::{BtrfsLab, run};
use crate::common::Lab;
use crate::restore_kit::{assert_trees_equal, facts, noise};
use crate::words;
use panther::ops::Silent;
use panther::ops::backup::{BackupOptions, SnapshotMode, backup};
use panther::ops::restore::{RestoreOptions, RestoreReport, restore};
use panther::repo::snapshots::Snapshot;
use panther::source::btrfs::{create_subvolume, is_subvolume_root};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

fn nested(path: &Path) {
    let into = File::open(path.parent().unwrap()).unwrap();
    create_subvolume(into.as_fd(), &crate::btrfs_kit::name_of(path)).unwrap();
}

fn text(program: &str, arguments: &[&std::ffi::OsStr]) -> String {
    String::from_utf8(run(program, arguments).stdout).unwrap()
}

/// Takes immutable and append-only from everything, so that it can go away.
fn loosen(path: &Path) {
    let _ = Command::new("chattr").args(["-R", "-f", "-i", "-a"]).arg(path).output();
}

/// A small system with one of everything.
fn make_system(top: &Path) {
    let path = |below: &str| top.join(below);
    for folder in ["etc", "var", "data", "usr/lib", "usr/copies"] {
        fs::create_dir_all(path(folder)).unwrap();
    }
    for subvolume in ["home", "home/me", "var/db"] {
        nested(&path(subvolume));
        fs::write(path(subvolume).join("file"), format!("in {subvolume}")).unwrap();
    }
    // NOCOW, inherited by what is made in it; and a file without it below, a file with it elsewhere.
    fs::create_dir(path("var/db/pg")).unwrap();
    run("chattr", words!["+C", &path("var/db/pg")]);
    fs::write(path("var/db/pg/base"), noise(1, 700_000)).unwrap();
    run("cp", words!["--reflink=always", &path("var/db/pg/base"), &path("var/db/pg/cloned base")]);
    File::create(path("var/db/pg/cow")).unwrap();
    run("chattr", words!["-C", &path("var/db/pg/cow")]);
    fs::write(path("var/db/pg/cow"), noise(2, 300_000)).unwrap();
    File::create(path("data/nocow")).unwrap();
    run("chattr", words!["+C", &path("data/nocow")]);
    fs::write(path("data/nocow"), noise(3, 300_000)).unwrap();
    // Compression: of a folder, inherited; of a file; taken from a file.
    run("btrfs", words!["property", "set", &path("usr/lib"), "compression", "zstd"]);
    fs::write(path("usr/lib/text"), "all the same ".repeat(50_000)).unwrap();
    fs::write(path("usr/lib/own"), "all the same again ".repeat(50_000)).unwrap();
    fs::write(path("usr/lib/none"), "").unwrap();
    run("btrfs", words!["property", "set", &path("usr/lib/own"), "compression", "lzo"]);
    run("setfattr", words!["-x", "btrfs.compression", &path("usr/lib/none")]);
    fs::write(path("usr/lib/none"), "not compressed at all ".repeat(10_000)).unwrap();
    // Copies that share: whole, changed in the middle, within one file, and with a block that comes twice.
    let mut large = noise(4, 5_000_000);
    let (head, tail) = large.split_at_mut(2_048_000);
    tail[..1_000_000].copy_from_slice(&head[..1_000_000]);
    fs::write(path("usr/copies/large"), &large).unwrap();
    run("sync", words!["-f", top]);
    run("cp", words!["--reflink=always", &path("usr/copies/large"), &path("usr/copies/whole")]);
    run("cp", words!["--reflink=always", &path("usr/copies/large"), &path("home/me/changed")]);
    let changed = File::options().write(true).open(path("home/me/changed")).unwrap();
    changed.write_all_at(&noise(5, 8_192), 3_001_000).unwrap();
    fs::write(path("usr/copies/small"), noise(6, 30_001)).unwrap();
    run("cp", words!["--reflink=always", &path("usr/copies/small"), &path("usr/copies/small too")]);
    // Holes.
    let holes = File::create(path("data/holes")).unwrap();
    holes.write_all_at(&noise(7, 200_000), 1 << 20).unwrap();
    holes.set_len(9 << 20).unwrap();
    drop(holes);
    run("cp", words!["--reflink=always", &path("data/holes"), &path("data/holes too")]);
    // Flags, of files with several names, of compressed ones and of folders.
    fs::write(path("etc/fixed"), "fixed").unwrap();
    fs::hard_link(path("etc/fixed"), path("var/z other name of fixed")).unwrap();
    fs::write(path("etc/log"), "log").unwrap();
    fs::create_dir(path("etc/fixed folder")).unwrap();
    fs::write(path("etc/fixed folder/inside"), "inside").unwrap();
    fs::write(path("etc/quiet"), "quiet").unwrap();
    run("chattr", words!["+AdS", &path("etc/quiet")]);
    run("chattr", words!["+D", &path("data")]);
    run("chattr", words!["+i", &path("usr/lib/own")]);
    run("chattr", words!["+a", &path("etc/log")]);
    run("chattr", words!["+i", &path("etc/fixed"), &path("etc/fixed folder")]);
    run("sync", words!["-f", top]);
}

fn take(lab: &Lab, source: &Path) -> Snapshot {
    let mut options = BackupOptions { paths: vec![source.to_owned()], snapshots: SnapshotMode::Auto, ..lab.options() };
    options.excludes.patterns = vec![".panther".into()];
    let report = backup(&lab.repo, &lab.state, &options, &Silent).unwrap();
    assert!(report.unreadable.is_empty(), "{report:?}");
    let all = lab.repo.snapshots(&lab.repo.statements().unwrap()).unwrap().snapshots;
    all.into_iter().find(|snapshot| Some(snapshot.head.id) == report.snapshot).unwrap()
}

fn options(source: &Path, target: &Path) -> RestoreOptions {
    RestoreOptions {
        verify: true,
        threads: 2,
        ..RestoreOptions::new(Some(source.as_os_str().as_bytes().to_vec()), target.to_owned())
    }
}

fn put(lab: &Lab, snapshot: &Snapshot, options: &RestoreOptions) -> RestoreReport {
    restore(&lab.repo, &lab.state, snapshot, options, &Silent).unwrap()
}

/// Whether it belongs to the folder of the backup's snapshots.
fn is_own(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == ".panther")
}

/// What the tools say of everything below `top`, by path.
fn said(top: &Path) -> BTreeMap<PathBuf, String> {
    let mut said = BTreeMap::new();
    for path in facts(top).into_keys().filter(|path| !is_own(path)) {
        let full = top.join(&path);
        let meta = full.symlink_metadata().unwrap();
        if meta.is_file() || meta.is_dir() {
            let flags = text("lsattr", words!["-d", &full]);
            let flags = flags.split(' ').next().unwrap().to_owned();
            let property = text("btrfs", words!["property", "get", &full, "compression"]);
            let subvolume = is_subvolume_root(File::open(&full).unwrap().as_fd());
            said.insert(path, format!("{flags} {} {subvolume}", property.trim()));
        }
    }
    said
}

fn subvolumes(top: &Path) -> Vec<String> {
    let list = text("btrfs", words!["subvolume", "list", "-o", top]);
    let mut paths: Vec<String> =
        list.lines().filter_map(|line| line.split(" path ").nth(1)).map(str::to_owned).collect();
    let prefix = format!("{}/", top.file_name().unwrap().to_str().unwrap());
    paths.retain(|path| !path.contains(".panther"));
    for path in &mut paths {
        *path = path.trim_start_matches(&prefix).to_owned();
    }
    paths.sort();
    paths
}

/// Logical blocks of a file and where they lie on the disk, as `filefrag -v` has them.
fn blocks(path: &Path) -> BTreeMap<u64, u64> {
    let mut found = BTreeMap::new();
    let number = |text: &str| text.trim().trim_end_matches(':').trim_matches('.').parse::<u64>().ok();
    for line in text("filefrag", words!["-v", path]).lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let Some((logical, physical)) = fields.get(1).zip(fields.get(2)) else { continue };
        let (Some(logical), Some(physical)) = (logical.split_once(".."), physical.split_once("..")) else { continue };
        if let (Some(from), Some(to), Some(at)) = (number(logical.0), number(logical.1), number(physical.0)) {
            found.extend((from..=to).map(|block| (block, at + block - from)));
        }
    }
    assert!(!found.is_empty(), "{}", path.display());
    found
}

/// Which logical blocks two files have in common.
fn shared(a: &Path, b: &Path) -> Vec<u64> {
    let (a, b) = (blocks(a), blocks(b));
    a.iter().filter(|(block, at)| b.get(block) == Some(at)).map(|(block, _)| *block).collect()
}

#[test]
fn a_system_comes_back_on_a_btrfs() {
    let Some(fs) = BtrfsLab::new() else { return };
    let lab = Lab::new();
    let source = fs.subvolume("source");
    make_system(&source);
    let snapshot = take(&lab, &source);
    // The target is made as a folder, or is a subvolume that somebody has made.
    let target = fs.subvolume("target");
    let report = put(&lab, &snapshot, &options(&source, &target));
    assert!(!report.incomplete && report.not_kept.is_empty(), "{report:?}");
    assert_eq!(report.subvolumes, 3);
    assert_eq!(subvolumes(&source), subvolumes(&target));
    assert_eq!(said(&source), said(&target));
    assert_same(&source, &target);
    assert_shared_as(&source, &target);
    assert!(report.bytes_shared > 5_000_000 + 4_900_000, "{report:?}");
    // Within one file, though the source has it twice.
    let large = blocks(&target.join("usr/copies/large"));
    assert!((0..240).filter(|n| large[n] == large[&(n + 500)]).count() > 100, "{large:?}");

    // Again over it: nothing is to be done, and the subvolumes stay the same ones.
    let before = said_inodes(&target);
    let again = RestoreOptions { overwrite: true, ..options(&source, &target) };
    let report = put(&lab, &snapshot, &again);
    assert!(!report.incomplete && report.not_kept.is_empty(), "{report:?}");
    assert_eq!((report.subvolumes, report.bytes), (0, 0));
    assert_eq!(before, said_inodes(&target));
    // Damaged: what is immutable is put right, flags too.
    run("chattr", words!["-i", &target.join("etc/fixed folder"), &target.join("etc/fixed")]);
    fs::write(target.join("etc/fixed folder/inside"), "wrong").unwrap();
    fs::write(target.join("etc/fixed folder/more"), "more").unwrap();
    fs::write(target.join("etc/fixed"), "broken").unwrap();
    run("chattr", words!["+i", &target.join("etc/fixed folder"), &target.join("etc/fixed folder/inside")]);
    run("chattr", words!["+i", &target.join("etc/fixed"), &target.join("data/nocow")]);
    let report = put(&lab, &snapshot, &RestoreOptions { delete: true, ..again });
    assert!(!report.incomplete, "{report:?}");
    assert_eq!(report.removed, 1);
    assert_eq!(said(&source), said(&target));
    assert_same(&source, &target);

    // Without sharing.
    let apart = fs.path("apart");
    let report = put(&lab, &snapshot, &RestoreOptions { reflink: false, ..options(&source, &apart) });
    assert!(!report.incomplete && report.bytes_shared == 0, "{report:?}");
    assert_same(&source, &apart);
    assert_eq!(shared(&apart.join("usr/copies/large"), &apart.join("usr/copies/whole")).len(), 0);
    // A subvolume by itself becomes one.
    let mut home = options(&source.join("home"), &fs.path("just home"));
    assert!(!put(&lab, &snapshot, &home).incomplete);
    assert!(is_subvolume_root(File::open(fs.path("just home")).unwrap().as_fd()));
    assert_eq!(subvolumes(&fs.path("just home")), ["me"]);
    // Plain folders that are there are kept, and that is said.
    home.target = fs.path("folders");
    home.overwrite = true;
    fs::create_dir_all(fs.path("folders/me")).unwrap();
    let report = put(&lab, &snapshot, &home);
    assert!(!report.incomplete && report.not_kept.len() == 1 && report.not_kept[0].count == 1, "{report:?}");
    assert_trees_equal(&fs.path("just home"), &fs.path("folders"));
    for path in [&source, &target, &apart] {
        loosen(path);
    }
}

fn said_inodes(top: &Path) -> BTreeMap<PathBuf, (u64, u64)> {
    let inode = |path: &PathBuf| top.join(path).symlink_metadata().map(|meta| (meta.dev(), meta.ino())).unwrap();
    facts(top).into_keys().map(|path| (path.clone(), inode(&path))).collect()
}

/// Content, holes and all attributes but for the backup's own folder.
fn assert_same(source: &Path, target: &Path) {
    let wanted: BTreeMap<_, _> = ours(source);
    let found = ours(target);
    assert_eq!(wanted.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>());
    for (path, facts) in &wanted {
        assert!(*facts == found[path], "{}: {} {}", path.display(), facts.brief(), found[path].brief());
    }
}

fn ours(top: &Path) -> BTreeMap<PathBuf, crate::restore_kit::Facts> {
    let with_own = |path: &Path| path.as_os_str().is_empty();
    facts(top).into_iter().filter(|(path, _)| !is_own(path) && !with_own(path)).collect()
}

fn assert_shared_as(source: &Path, target: &Path) {
    for (a, b) in [
        ("usr/copies/large", "usr/copies/whole"),
        ("usr/copies/small", "usr/copies/small too"),
        ("data/holes", "data/holes too"),
        ("var/db/pg/base", "var/db/pg/cloned base"),
    ] {
        let wanted = shared(&source.join(a), &source.join(b));
        assert!(!wanted.is_empty(), "{a}");
        assert_eq!(wanted, shared(&target.join(a), &target.join(b)), "{a} {b}");
    }
    // What was changed is cut to blobs, so that a little more than the changed blocks is apart.
    let (a, b) = ("usr/copies/large", "home/me/changed");
    let wanted = shared(&source.join(a), &source.join(b));
    let found = shared(&target.join(a), &target.join(b));
    assert!(found.iter().all(|block| wanted.contains(block)), "nothing else");
    assert!(wanted.len() - found.len() < 300, "{} of {}", found.len(), wanted.len());
}

#[test]
fn elsewhere_it_is_said_what_could_not_be_kept() {
    let Some(fs) = BtrfsLab::new() else { return };
    let lab = Lab::new();
    let source = fs.subvolume("source");
    make_system(&source);
    let snapshot = take(&lab, &source);
    let place = tempfile::tempdir().unwrap();
    let (image, mount) = (place.path().join("image"), place.path().join("mount"));
    File::create(&image).unwrap().set_len(256 << 20).unwrap();
    run("mkfs.ext4", words!["-q", "-F", &image]);
    fs::create_dir(&mount).unwrap();
    run("mount", words!["-o", "loop", &image, &mount]);
    let target = mount.join("target");
    let report = restore(&lab.repo, &lab.state, &snapshot, &options(&source, &target), &Silent);
    let report = report.unwrap();
    let kinds: Vec<(&str, u64, bool)> =
        report.not_kept.iter().map(|kind| (kind.what.as_str(), kind.count, kind.matters)).collect();
    let immutable = text("lsattr", words!["-d", &target.join("etc/fixed")]);
    let contents = |top: &Path| {
        let all = ours(top).into_keys().filter(|path| top.join(path).is_file());
        all.map(|path| (path.clone(), fs::read(top.join(path)).unwrap())).collect::<BTreeMap<_, _>>()
    };
    let same = contents(&source) == contents(&target);
    loosen(&target);
    loosen(&source);
    run("umount", words![&mount]);
    assert!(same);
    assert!(!report.incomplete && report.problem_count == 0, "{report:?}");
    assert_eq!((report.subvolumes, report.bytes_shared), (0, 0));
    assert_eq!(
        kinds,
        [
            ("subvolumes, which are directories there", 3, false),
            ("the Btrfs compression property", 3, false),
            ("the flag no copy-on-write (C)", 4, false),
        ]
    );
    assert!(immutable.contains('i'), "{immutable}");
}
