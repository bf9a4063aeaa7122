//! Extents that several files share are read once in a run.

use crate::btrfs_backup::{Listener, assert_as_if_all_were_read, left, options};
use crate::btrfs_kit::BtrfsLab;
use crate::common::{Lab, noise, settle};
use panther::ops::backup::backup;
use panther::source::btrfs;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

const MIB: u64 = 1 << 20;

fn clone(from: &Path, to: &Path) {
    btrfs::clone_range(File::open(from).unwrap().as_fd(), 0, 0, File::create(to).unwrap().as_fd(), 0).unwrap();
}

fn write_at(path: &Path, bytes: &[u8], at: u64) {
    File::options().write(true).open(path).unwrap().write_all_at(bytes, at).unwrap();
}

#[test]
fn shared_extents_are_read_once() {
    let Some(fs) = BtrfsLab::new() else { return };
    let lab = Lab::new();
    let source = fs.subvolume("source");
    let nested = source.join("nested");
    btrfs::create_subvolume(File::open(&source).unwrap().as_fd(), c"nested").unwrap();
    let at = |name: &str| source.join(name);
    fs::write(at("a"), noise(1, 6 << 20)).unwrap();
    fs::write(at("b"), noise(2, 300_000)).unwrap();
    // Short ones are simply read.
    fs::write(at("c"), noise(3, 50_000)).unwrap();
    for (from, to) in
        [("a", "a like"), ("a", "a too"), ("b", "b too"), ("c", "c too"), ("a", "a longer"), ("a", "a shorter")]
    {
        clone(&at(from), &at(to));
    }
    clone(&at("a"), &nested.join("a elsewhere"));
    fs::set_permissions(at("a too"), fs::Permissions::from_mode(0o600)).unwrap();
    // In its middle, at its beginning and its end others; another one starts with what is its own.
    write_at(&at("a like"), &noise(4, 16_384), 3 * MIB);
    write_at(&at("a like"), b"x", 0);
    write_at(&at("a longer"), &noise(5, 70_000), 6 * MIB);
    File::options().write(true).open(at("a shorter")).unwrap().set_len(4 * MIB + 1234).unwrap();
    // Most of it is another's: it is read.
    clone(&at("a"), &at("a other"));
    write_at(&at("a other"), &noise(6, 5 << 20), 0);
    // What was written a moment ago would be looked at again.
    settle();
    let report = lab.backup_with(&options(&lab, &source));
    let mib = report.summary.read_bytes as f64 / MIB as f64;
    println!("{mib:.2} MiB read of {:.2}", report.summary.source_bytes as f64 / MIB as f64);
    // a, a elsewhere (another subvolume), a other, b, and some around what is changed.
    assert!((18.0..23.0).contains(&mib), "{mib}");
    let id = report.snapshot.unwrap();
    let taken = left(&source, 1);
    assert_as_if_all_were_read(&lab, &source, &taken, id, &Default::default(), "first");

    // What is copied of what is known already is read once more, not twice.
    settle();
    for to in ["d", "e", "f"] {
        clone(&at("a"), &at(to));
    }
    write_at(&at("f"), &noise(7, 4096), MIB);
    let listener = Listener::default();
    let report = backup(&lab.repo, &lab.state, &options(&lab, &source), &listener).unwrap();
    let mib = report.summary.read_bytes as f64 / MIB as f64;
    assert!((6.0..9.0).contains(&mib), "{mib} {report:?} {:?}", listener.notes);
    assert_eq!(report.summary.files_new, 3);
    let taken = left(&source, 1);
    assert_as_if_all_were_read(&lab, &source, &taken, report.snapshot.unwrap(), &Default::default(), "second");
}
