//! Cases that a delta must get right, one by one.
#![allow(clippy::single_range_in_vec_init)]

use crate::btrfs_kit::{BtrfsLab, delta, name_of, open_dir, run};
use crate::btrfs_walk::{check, ino_of};
use crate::common::noise;
use crate::words;
use panther::source::btrfs::{self, ChangedRanges, PhysicalKind};
use rustix::fs::{AtFlags, CWD, FallocateFlags, Mode, OFlags};
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A lab with a subvolume.
fn source() -> Option<(BtrfsLab, PathBuf)> {
    let lab = BtrfsLab::new()?;
    let source = lab.subvolume("source");
    Some((lab, source))
}

/// Takes a snapshot, has something done, takes another, and checks everything that the delta says.
fn between(lab: &BtrfsLab, source: &Path, change: impl FnOnce()) -> btrfs::Delta {
    let n = fs::read_dir(lab.root()).unwrap().count();
    let parent = lab.snapshot(source, &format!("parent{n}"), true);
    change();
    let new = lab.snapshot(source, &format!("new{n}"), true);
    let delta = delta(&parent, &new);
    check(&delta, &parent, &new, "");
    delta
}

fn edit(path: &Path) -> File {
    File::options().read(true).write(true).open(path).unwrap()
}

fn ranges(delta: &btrfs::Delta, path: &Path) -> Vec<std::ops::Range<u64>> {
    match delta.changed_ranges(ino_of(path)).unwrap() {
        ChangedRanges::Same => Vec::new(),
        ChangedRanges::Ranges(ranges) => ranges,
        ChangedRanges::Whole => panic!("{} was there", path.display()),
    }
}

#[test]
fn nothing_changed_is_nothing_to_do() {
    let Some((lab, source)) = source() else { return };
    for n in 0..50 {
        fs::create_dir(source.join(format!("d{n}"))).unwrap();
        fs::write(source.join(format!("d{n}/f")), noise(n, 3_000)).unwrap();
    }
    lab.snapshot(&source, "first", true);
    let delta = between(&lab, &source, || {});
    assert_eq!(delta.changed_count(), 0);
    assert!(!delta.is_dirty_dir(256));
}

#[test]
fn snapshots_inside_the_source() {
    let Some((lab, source)) = source() else { return };
    let folder = source.join("snapshots");
    fs::create_dir(&folder).unwrap();
    fs::write(source.join("file"), b"content").unwrap();
    lab.snapshot(&source, "before", true);
    let make = |name| {
        let into = open_dir(&folder);
        btrfs::create_snapshot(open_dir(&source).as_fd(), into.as_fd(), name, true).unwrap();
    };
    make(c"one");
    make(c"two");
    make(c"three");
    // The entry of a snapshot is made while it is taken: the snapshot itself does not have it, the next one has.
    for (parent, new) in [("one", "two"), ("two", "three"), ("one", "three")] {
        let (parent, new) = (folder.join(parent), folder.join(new));
        let delta = delta(&parent, &new);
        check(&delta, &parent, &new, "");
        assert!(delta.is_changed(ino_of(&folder)) && delta.is_dirty_dir(256));
        assert!(!delta.is_changed(ino_of(&source.join("file"))));
    }
    drop(lab);
}

#[test]
fn a_file_that_gets_its_name_later_was_not_there() {
    let Some((lab, source)) = source() else { return };
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(&source, flags, Mode::from_raw_mode(0o600)).unwrap());
    file.write_all_at(&noise(1, 10_000), 0).unwrap();
    file.sync_all().unwrap();
    let name = source.join("named");
    let delta = between(&lab, &source, || {
        rustix::fs::linkat(&file, c"", CWD, &name, AtFlags::EMPTY_PATH).unwrap();
    });
    let ino = ino_of(&name);
    assert!(!delta.was_there(ino).unwrap() && delta.is_changed(ino));
    assert_eq!(delta.changed_ranges(ino).unwrap(), ChangedRanges::Whole);
}

#[test]
fn a_file_that_was_open_but_removed_is_nowhere() {
    let Some((lab, source)) = source() else { return };
    let path = source.join("removed");
    fs::write(&path, noise(1, 10_000)).unwrap();
    let file = edit(&path);
    let ino = ino_of(&path);
    fs::remove_file(&path).unwrap();
    let parent = lab.snapshot(&source, "parent", true);
    let record = crate::btrfs_kit::record(&parent);
    drop(file);
    fs::write(source.join("other"), b"other").unwrap();
    // The kernel tidies the snapshot up when it is first looked at: that must not make it another.
    lab.remount();
    fs::read_dir(&parent).unwrap().for_each(drop);
    rustix::fs::syncfs(open_dir(&lab.root())).unwrap();
    let new = lab.snapshot(&source, "new", true);
    let delta = crate::btrfs_kit::try_delta(&parent, &new, &record).unwrap();
    check(&delta, &parent, &new, "");
    assert!(!delta.was_there(ino).unwrap() && !delta.is_changed(ino));
}

#[test]
fn an_inode_number_that_came_back_is_another_file() {
    let Some((lab, source)) = source() else { return };
    let path = source.join("first");
    fs::write(&path, noise(1, 10_000)).unwrap();
    let ino = ino_of(&path);
    let parent = lab.snapshot(&source, "parent", true);
    fs::remove_file(&path).unwrap();
    lab.remount();
    fs::write(&path, noise(1, 10_000)).unwrap();
    assert_eq!(ino_of(&path), ino, "this kernel gives numbers anew after a remount");
    let new = lab.snapshot(&source, "new", true);
    let delta = delta(&parent, &new);
    check(&delta, &parent, &new, "");
    assert!(!delta.was_there(ino).unwrap());
    assert_eq!(delta.old_names(ino).unwrap(), [(256, b"first".to_vec())]);
}

#[test]
fn clones_of_old_extents_are_changes() {
    let Some((lab, source)) = source() else { return };
    let (one, other) = (source.join("one"), source.join("other"));
    fs::write(&one, noise(1, 1 << 20)).unwrap();
    fs::write(&other, noise(2, 1 << 20)).unwrap();
    let clone = |from: &Path, at: u64, len: u64, to: &Path, to_at: u64| {
        btrfs::clone_range(edit(from).as_fd(), at, len, edit(to).as_fd(), to_at).unwrap();
    };
    let delta = between(&lab, &source, || {
        clone(&one, 8192, 4096, &other, 65_536);
        // Within one file: the extent is the same, its place is not.
        clone(&other, 0, 8192, &other, 131_072);
    });
    assert!(ranges(&delta, &one).is_empty());
    assert_eq!(ranges(&delta, &other), [65_536..69_632, 131_072..139_264]);
    let run = |path: &Path, range| delta.physical(ino_of(path), range).unwrap()[0];
    let shared = run(&other, 65_536..69_632);
    assert!(matches!(shared.kind, PhysicalKind::Data { compression: 0, .. }));
    assert_eq!(shared.kind, run(&one, 8192..12_288).kind, "both read the same place");
    let PhysicalKind::Data { disk_bytenr, .. } = run(&one, 0..1).kind else { panic!() };
    let places = delta.places();
    assert_eq!(places.first(ino_of(&one)).unwrap(), Some(disk_bytenr));
    let root = open_dir(&source);
    assert_eq!(btrfs::Places::of(root.as_fd()).unwrap().first(ino_of(&one)).unwrap(), Some(disk_bytenr));
    assert_eq!(places.first(256).unwrap(), None);
}

#[test]
fn holes_come_and_go() {
    let Some((lab, source)) = source() else { return };
    let path = source.join("file");
    let size = 8_u64 << 20;
    let content = noise(1, size as usize);
    fs::write(&path, &content).unwrap();
    let punch = |at, len| {
        let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        rustix::fs::fallocate(edit(&path), how, at, len).unwrap();
    };
    let delta = between(&lab, &source, || punch(1 << 20, 65_536));
    assert_eq!(ranges(&delta, &path), [1 << 20..(1 << 20) + 65_536], "a hole leaves nothing in the tree");
    let delta = between(&lab, &source, || edit(&path).write_all_at(b"back", 1 << 20).unwrap());
    assert_eq!(ranges(&delta, &path), [1 << 20..(1 << 20) + 4096]);
    let delta = between(&lab, &source, || {
        edit(&path).set_len(5_000_000).unwrap();
        edit(&path).set_len(size).unwrap();
    });
    let said = ranges(&delta, &path);
    assert_eq!((said.len(), said[0].end), (1, size));
    assert!(said[0].start <= 5_000_000 && said[0].start >= 5_000_000 - 4096, "{said:?}");
    let delta = between(&lab, &source, || edit(&path).set_len(4_000_000).unwrap());
    assert!(ranges(&delta, &path).iter().all(|r| r.start >= 4_000_000 - 4096), "only the last block is read");
}

#[test]
fn room_set_aside_reads_as_zeros_until_it_is_written() {
    let Some((lab, source)) = source() else { return };
    let path = source.join("file");
    fs::write(&path, noise(1, 100_000)).unwrap();
    let allocate = |at, len| rustix::fs::fallocate(edit(&path), FallocateFlags::KEEP_SIZE, at, len).unwrap();
    edit(&path).set_len(8 << 20).unwrap();
    let delta = between(&lab, &source, || allocate(1 << 20, 4 << 20));
    assert!(ranges(&delta, &path).is_empty());
    let delta = between(&lab, &source, || edit(&path).write_all_at(&noise(2, 8192), 2 << 20).unwrap());
    assert_eq!(ranges(&delta, &path), [2 << 20..(2 << 20) + 8192]);
}

#[test]
fn files_without_copy_on_write_written_twice() {
    let Some((lab, source)) = source() else { return };
    let path = source.join("database");
    File::create(&path).unwrap();
    run("chattr", words!["+C", &path]);
    edit(&path).write_all_at(&noise(1, 6 << 20), 0).unwrap();
    for n in 1..4 {
        let delta = between(&lab, &source, || {
            // In place the second time: the first write after a snapshot copies.
            for _ in 0..2 {
                edit(&path).write_all_at(&noise(n, 16_384), n << 20).unwrap();
                edit(&path).sync_all().unwrap();
            }
        });
        assert_eq!(ranges(&delta, &path), [n << 20..(n << 20) + 16_384]);
    }
}

#[test]
fn what_is_moved_on_the_disk_costs_only_time() {
    let Some((lab, source)) = source() else { return };
    for n in 0..40 {
        fs::write(source.join(format!("f{n}")), noise(n, 20_000)).unwrap();
    }
    let path = source.join("fragmented");
    for n in 0..40 {
        let file = File::options().create(true).append(true).open(&path).unwrap();
        std::io::Write::write_all(&mut &file, &noise(n, 8192)).unwrap();
        file.sync_all().unwrap();
    }
    lab.snapshot(&source, "before", true);
    let delta = between(&lab, &source, || lab.balance());
    assert_eq!(delta.changed_count(), 0, "only blocks were written anew");
    let delta = between(&lab, &source, || {
        run("btrfs", words!["filesystem", "defragment", &path]);
    });
    assert!(delta.changed_count() <= 1);
}

#[test]
fn while_a_balance_runs() {
    let Some((lab, source)) = source() else { return };
    for n in 0..300 {
        fs::write(source.join(format!("f{n}")), noise(n, 200_000)).unwrap();
    }
    let mut balance = std::process::Command::new("btrfs");
    balance.args(["balance", "start", "--full-balance"]).arg(lab.root()).stdout(std::process::Stdio::null());
    let mut balance = balance.spawn().unwrap();
    let mut during = 0;
    for n in 0..20 {
        between(&lab, &source, || edit(&source.join(format!("f{n}"))).write_all_at(b"changed", 100_000).unwrap());
        during += usize::from(balance.try_wait().unwrap().is_none());
        if during > 3 {
            break;
        }
    }
    assert!(balance.wait().unwrap().success());
    println!("{during} snapshots during a balance");
}

#[test]
fn nested_subvolumes_are_seen_in_their_folder() {
    let Some((lab, source)) = source() else { return };
    fs::create_dir_all(source.join("a/b")).unwrap();
    let make = |path: &Path| {
        btrfs::create_subvolume(open_dir(path.parent().unwrap()).as_fd(), &name_of(path)).unwrap();
        fs::write(path.join("within"), b"within").unwrap();
    };
    let nested = source.join("a/b/nested");
    let dir = ino_of(&source.join("a/b"));
    let delta = between(&lab, &source, || make(&nested));
    assert!(delta.is_changed(dir) && delta.is_dirty_dir(ino_of(&source.join("a"))));
    make(&nested.join("deeper"));
    let found = btrfs::nested_subvolumes(open_dir(&source).as_fd()).unwrap();
    let paths: Vec<_> = found.iter().map(|n| String::from_utf8_lossy(&n.path).into_owned()).collect();
    assert_eq!(paths, ["a/b/nested", "a/b/nested/deeper"]);
    let tree_id = btrfs::subvol_info(open_dir(&nested).as_fd()).unwrap().tree_id;
    assert_eq!(found[0].tree_id, tree_id);
    let delta = between(&lab, &source, || fs::write(nested.join("within"), b"changed").unwrap());
    assert_eq!(delta.changed_count(), 0, "what is in it belongs to it");
    let delta = between(&lab, &source, || fs::rename(&nested, source.join("a/renamed")).unwrap());
    assert!(delta.is_changed(dir) && delta.is_changed(ino_of(&source.join("a"))));
    let stub = fs::symlink_metadata(delta_path(&lab, &delta).join("a/renamed")).unwrap();
    assert_eq!(stub.ino(), btrfs::STUB_INO);
    lab.delete(&source.join("a/renamed/deeper"));
    let delta = between(&lab, &source, || {
        lab.delete(&source.join("a/renamed"));
        make(&source.join("a/renamed"));
    });
    assert!(delta.is_changed(ino_of(&source.join("a"))), "another in its place");
}

fn delta_path(lab: &BtrfsLab, delta: &btrfs::Delta) -> PathBuf {
    lab.path(std::str::from_utf8(&delta.new_info().name).unwrap())
}

#[test]
fn times_of_access_cost_a_look() {
    let Some(lab) = BtrfsLab::with(1 << 30, &[], "strictatime") else { return };
    let source = lab.subvolume("source");
    let path = source.join("read");
    fs::write(&path, noise(1, 100_000)).unwrap();
    let delta = between(&lab, &source, || drop(fs::read(&path).unwrap()));
    assert!(delta.is_changed(ino_of(&path)) && delta.is_dirty_dir(256));
    assert!(ranges(&delta, &path).is_empty());
}

#[test]
fn a_folder_of_sixty_thousand_entries() {
    let Some((lab, source)) = source() else { return };
    let folder = source.join("large");
    fs::create_dir(&folder).unwrap();
    for n in 0..60_000 {
        File::create(folder.join(format!("one-of-many-{n}"))).unwrap();
    }
    lab.snapshot(&source, "before", true);
    let one = folder.join("one-of-many-33333");
    let delta = between(&lab, &source, || fs::write(&one, b"changed").unwrap());
    assert_eq!(delta.changed(), [ino_of(&one)]);
    assert!(delta.is_dirty_dir(ino_of(&folder)) && !delta.is_changed(ino_of(&folder)));
    let delta = between(&lab, &source, || fs::remove_file(&one).unwrap());
    assert_eq!(delta.changed(), [ino_of(&folder)]);
}

#[test]
fn more_names_than_a_look_up_expects() {
    let Some(lab) = BtrfsLab::with(1 << 30, &["-n", "65536"], "noatime") else { return };
    let source = lab.subvolume("source");
    let path = source.join("file");
    fs::write(&path, b"many names").unwrap();
    // In one folder they are one item as long as they fit a block of the tree, then one each.
    for n in 0..400 {
        fs::hard_link(&path, source.join(format!("{n:x<240}"))).unwrap();
    }
    lab.snapshot(&source, "before", true);
    let delta = between(&lab, &source, || fs::write(&path, b"changed").unwrap());
    assert_eq!(delta.old_names(ino_of(&path)).unwrap().len(), 401);
    assert_eq!(delta.changed(), [ino_of(&path)]);
}

#[test]
fn few_pages_of_a_large_file() {
    let Some(lab) = BtrfsLab::with(4 << 30, &[], "noatime") else { return };
    let source = lab.subvolume("source");
    let path = source.join("pages");
    let file = File::create(&path).unwrap();
    // Thousands of extents, with holes of all kinds before, between and after.
    for n in 0..4_000_u64 {
        file.write_all_at(&noise(n, 8192), (n << 16) + (1 << 34)).unwrap();
    }
    file.write_all_at(b"far away", 1 << 40).unwrap();
    let pages: Vec<u64> = (0..64).map(|n| ((n * 61) << 16) + (1 << 34) + 4096).collect();
    lab.snapshot(&source, "before", true);
    let parent = lab.snapshot(&source, "parent", true);
    for page in &pages {
        file.write_all_at(&noise(*page, 4096), *page).unwrap();
    }
    let new = lab.snapshot(&source, "new", true);
    let delta = delta(&parent, &new);
    let want: Vec<_> = pages.iter().map(|page| *page..*page + 4096).collect();
    assert_eq!(ranges(&delta, &path), want);
    let ino = ino_of(&path);
    let want = ChangedRanges::Ranges(want);
    assert_eq!(delta.changed_ranges_both_ways(ino).unwrap(), (want.clone(), Some(want)));
    // What begins before a window is found, however far back.
    let runs = delta.physical(ino, (1 << 40) - 10..(1 << 40) + 8).unwrap();
    assert_eq!((runs[0].len_bytes, runs[0].kind), (10, PhysicalKind::Hole));
    assert!(matches!(runs[1].kind, PhysicalKind::Data { .. }));
    let middle = delta.physical(ino, pages[3] + 5..pages[3] + 6).unwrap();
    assert!(matches!(middle[..], [btrfs::PhysicalRun { kind: PhysicalKind::Data { .. }, len_bytes: 1, .. }]));
}
