//! When a delta may be taken at all: identity, lineage, privileges, and whether it still holds at the end.

use crate::btrfs_kit::{BtrfsLab, delta, open_dir, record, run, try_delta, try_run};
use crate::btrfs_walk::check;
use crate::common::noise;
use crate::words;
use panther::source::btrfs::{self, ChangedRanges, ParentRecord, Refused, Standing, Which};
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A lab with a subvolume in which there is something.
fn source() -> Option<(BtrfsLab, PathBuf)> {
    let lab = BtrfsLab::new()?;
    let source = lab.subvolume("source");
    fs::create_dir(source.join("folder")).unwrap();
    for n in 0..10 {
        fs::write(source.join(format!("folder/f{n}")), noise(n, 5_000)).unwrap();
    }
    // What is written in the transaction of a snapshot counts as changed since.
    lab.snapshot(&source, "before", true);
    Some((lab, source))
}

fn change(source: &Path, n: u64) {
    fs::write(source.join(format!("folder/f{n}")), noise(1000 + n, 6_000)).unwrap();
}

fn set_read_only(path: &Path, read_only: bool) {
    btrfs::set_read_only(open_dir(path).as_fd(), read_only).unwrap();
}

#[test]
fn what_is_known_of_a_subvolume() {
    let Some((lab, source)) = source() else { return };
    let snapshot = lab.snapshot(&source, "snapshot", true);
    let info = |path: &Path| btrfs::subvol_info(open_dir(path).as_fd()).unwrap();
    let (of_source, of_snapshot, of_root) = (info(&source), info(&snapshot), info(&lab.root()));
    assert_eq!(of_snapshot.parent_uuid, Some(of_source.uuid));
    assert_eq!((of_source.parent_uuid, of_source.received_uuid), (None, None));
    assert_eq!((of_source.fsid, of_root.tree_id, of_root.parent_tree_id), (of_root.fsid, 5, 0));
    assert_eq!((&of_snapshot.name[..], of_snapshot.parent_tree_id, of_snapshot.dir_ino), (&b"snapshot"[..], 5, 256));
    assert!(of_snapshot.read_only && of_snapshot.is_pristine() && !of_source.read_only && !of_source.is_pristine());
    let shown = String::from_utf8(run("btrfs", words!["subvolume", "show", &snapshot]).stdout).unwrap();
    assert!(shown.contains(&of_snapshot.uuid.to_string()) && shown.contains(&of_source.uuid.to_string()), "{shown}");
    assert!(btrfs::is_subvolume_root(open_dir(&source).as_fd()));
    assert!(!btrfs::is_subvolume_root(open_dir(&source.join("folder")).as_fd()));
    assert!(btrfs::is_btrfs(open_dir(&source.join("folder")).as_fd()));
    assert!(!btrfs::is_btrfs(open_dir(Path::new("/proc")).as_fd()));
    assert!(btrfs::subvol_info(open_dir(Path::new("/proc")).as_fd()).is_err());
}

#[test]
fn the_top_level_can_be_a_source() {
    let Some((lab, source)) = source() else { return };
    fs::write(lab.path("at the top"), b"1").unwrap();
    let parent = lab.snapshot(&lab.root(), "parent", true);
    fs::write(lab.path("at the top"), b"2").unwrap();
    change(&source, 1);
    let new = lab.snapshot(&lab.root(), "new", true);
    let delta = delta(&parent, &new);
    check(&delta, &parent, &new, "");
}

#[test]
fn a_parent_that_is_not_what_it_was() {
    let Some((lab, source)) = source() else { return };
    let parent = lab.snapshot(&source, "parent", true);
    let remembered = record(&parent);
    change(&source, 1);
    let new = lab.snapshot(&source, "new", true);
    let refused = |remembered: &ParentRecord| try_delta(&parent, &new, remembered).map(drop);
    assert_eq!(refused(&remembered), Ok(()));
    set_read_only(&parent, false);
    assert_eq!(refused(&remembered), Err(Refused::NotReadOnly(Which::Parent)));
    set_read_only(&parent, true);
    assert_eq!(refused(&remembered), Ok(()), "only the flag was changed, and is as it was");
    set_read_only(&parent, false);
    fs::set_permissions(parent.join("folder/f3"), fs::Permissions::from_mode(0o600)).unwrap();
    set_read_only(&parent, true);
    assert!(matches!(refused(&remembered), Err(Refused::Changed { .. })));
    // Nor is it a parent for those who remember it as it is now: the source never was like that.
    assert!(matches!(refused(&record(&parent)), Err(Refused::Lineage(_))));
    // Written back to what it was: nobody can know.
    lab.delete(&parent);
    lab.snapshot(&source, "parent", true);
    assert!(matches!(refused(&remembered), Err(Refused::OtherIdentity { .. })), "another at the same path");
}

#[test]
fn a_parent_that_is_gone() {
    let Some((lab, source)) = source() else { return };
    let parent = lab.snapshot(&source, "parent", true);
    let remembered = record(&parent);
    let held = open_dir(&parent);
    change(&source, 1);
    let new = lab.snapshot(&source, "new", true);
    lab.delete(&parent);
    let refused = btrfs::Delta::open(held, open_dir(&new), &remembered).unwrap().unwrap_err();
    assert_eq!(refused, Refused::Missing(Which::Parent));
}

#[test]
fn a_parent_that_goes_in_mid_run() {
    let Some((lab, source)) = source() else { return };
    let parent = lab.snapshot(&source, "parent", true);
    change(&source, 1);
    let new = lab.snapshot(&source, "new", true);
    let delta = delta(&parent, &new);
    let walked = (crate::btrfs_walk::walk(&parent), crate::btrfs_walk::walk(&new));
    assert_eq!(delta.standing().unwrap(), Standing::Same);
    lab.delete(&parent);
    // It stays whole for as long as it is open, even if the kernel is told to clean up.
    try_run("btrfs", words!["filesystem", "sync", &lab.root()]);
    lab.balance();
    for (ino, facts) in &walked.1 {
        assert_eq!(delta.was_there(*ino).unwrap(), walked.0.contains_key(ino), "{}", facts.path.display());
    }
    let changed = crate::btrfs_walk::ino_of(&new.join("folder/f1"));
    assert!(matches!(delta.changed_ranges(changed).unwrap(), ChangedRanges::Ranges(_)));
    assert_eq!(delta.standing().unwrap(), Standing::Deleted(Which::Parent));
    assert!(delta.still_valid().unwrap());
    set_read_only(&new, false);
    assert_eq!(delta.standing().unwrap(), Standing::Changed(Which::New));
    change(&new, 2);
    set_read_only(&new, true);
    assert_eq!(delta.standing().unwrap(), Standing::Changed(Which::New));
    assert!(!delta.still_valid().unwrap());
}

#[test]
fn the_generation_of_a_snapshot_means_nothing() {
    let Some((lab, source)) = source() else { return };
    let parent = lab.snapshot(&source, "parent", true);
    let remembered = record(&parent);
    let before = btrfs::subvol_info(open_dir(&parent).as_fd()).unwrap();
    lab.balance();
    let after = btrfs::subvol_info(open_dir(&parent).as_fd()).unwrap();
    assert!(after.generation > before.generation, "a balance moves it");
    change(&source, 1);
    let new = lab.snapshot(&source, "new", true);
    let delta = try_delta(&parent, &new, &remembered).unwrap();
    check(&delta, &parent, &new, "");
    assert!(delta.changed_count() <= 2, "{:?}", delta.changed());
}

#[test]
fn a_source_that_was_rolled_back() {
    let Some((lab, source)) = source() else { return };
    let older = lab.snapshot(&source, "older", true);
    change(&source, 1);
    let parent = lab.snapshot(&source, "parent", true);
    change(&source, 2);
    // To the parent: what came after it is undone, and the new source descends from it.
    let replace = |by: &Path| {
        fs::rename(&source, lab.path("old")).unwrap();
        lab.snapshot(by, "source", false);
        let old = lab.path("old");
        lab.delete(&old);
    };
    replace(&parent);
    change(&source, 3);
    let new = lab.snapshot(&source, "new", true);
    check(&delta(&parent, &new), &parent, &new, "");
    // To one that is older than the parent: what changed from there to the parent is nowhere in the new tree.
    replace(&older);
    change(&source, 4);
    let newer = lab.snapshot(&source, "newer", true);
    let refused = |parent, new| try_delta(parent, new, &record(parent)).map(drop);
    assert!(matches!(refused(&parent, &newer), Err(Refused::Lineage(_))));
    check(&delta(&older, &newer), &older, &newer, "");
    // Back in time.
    assert!(matches!(refused(&parent, &older), Err(Refused::Lineage(_))));
    // The source was replaced by a copy of itself after the parent was taken.
    let last = lab.snapshot(&source, "last", true);
    fs::rename(&source, lab.path("old")).unwrap();
    lab.snapshot(&lab.path("old"), "source", false);
    change(&source, 5);
    let newest = lab.snapshot(&source, "newest", true);
    check(&delta(&last, &newest), &last, &newest, "");
    // The way back to what they have in common leads over one that is deleted.
    let again = lab.snapshot(&source, "again", false);
    lab.delete(&source);
    let now = lab.snapshot(&again, "now", true);
    assert!(matches!(refused(&last, &now), Err(Refused::Lineage(_))));
}

#[test]
fn a_writable_snapshot_as_parent() {
    let Some((lab, source)) = source() else { return };
    let parent = lab.snapshot(&source, "parent", false);
    change(&parent, 7);
    set_read_only(&parent, true);
    let new = lab.snapshot(&source, "new", true);
    let refused = try_delta(&parent, &new, &record(&parent)).map(drop);
    assert!(matches!(refused, Err(Refused::Lineage(_))), "the parent has what the source never had");
    // But it can be one for its own snapshots.
    let below = lab.snapshot(&parent, "below", true);
    check(&delta(&parent, &below), &parent, &below, "");
    // One in which its own child was placed while it was taken has what the child has not.
    set_read_only(&parent, false);
    let inside = parent.join("inside");
    let into = open_dir(&parent);
    btrfs::create_snapshot(open_dir(&parent).as_fd(), into.as_fd(), c"inside", true).unwrap();
    set_read_only(&parent, true);
    let refused = try_delta(&parent, &inside, &record(&parent)).map(drop);
    assert!(matches!(refused, Err(Refused::Lineage(_))));
}

#[test]
fn the_same_snapshot_again() {
    let Some((lab, source)) = source() else { return };
    let parent = lab.snapshot(&source, "parent", true);
    let delta = delta(&parent, &parent);
    fn is_shared<T: Send + Sync>(_: &T) {}
    is_shared(&delta);
    assert_eq!((delta.changed_count(), delta.is_dirty_dir(256)), (0, false));
    drop(lab);
}

#[test]
fn subvolumes_made_read_only_by_a_flag() {
    let Some((lab, source)) = source() else { return };
    // Written just now, not on the disk yet.
    let parent = lab.snapshot(&source, "parent", true);
    change(&source, 1);
    set_read_only(&source, true);
    check(&delta(&parent, &source), &parent, &source, "the source itself, a snapshot of it as parent");
    let remembered = record(&source);
    let below = lab.snapshot(&source, "below", true);
    let delta_below = try_delta(&source, &below, &remembered).unwrap();
    check(&delta_below, &source, &below, "");
    assert_eq!(delta_below.changed_count(), 0);
    set_read_only(&source, false);
    let refused = try_delta(&parent, &source, &record(&parent)).map(drop);
    assert_eq!(refused, Err(Refused::NotReadOnly(Which::New)));
}

#[test]
fn received_snapshots() {
    let Some((lab, source)) = source() else { return };
    let (first, second, received) = (lab.path("first"), lab.path("second"), lab.path("received"));
    fs::create_dir(&received).unwrap();
    lab.snapshot(&source, "first", true);
    change(&source, 1);
    fs::rename(source.join("folder/f2"), source.join("folder/renamed")).unwrap();
    fs::write(source.join("large"), noise(9, 3 << 20)).unwrap();
    lab.snapshot(&source, "second", true);
    let file = lab.path("stream");
    let send = |arguments: &[&std::ffi::OsStr]| {
        run("btrfs", &[words!["send", "-q", "-f", &file], arguments].concat());
        run("btrfs", words!["receive", "-q", "-f", &file, &received]);
    };
    send(words![&first]);
    let remembered = record(&received.join("first"));
    send(words!["-p", &first, &second]);
    // Without a sync: the second is not on the disk yet.
    let (parent, new) = (received.join("first"), received.join("second"));
    let delta = try_delta(&parent, &new, &remembered).unwrap();
    let tally = check(&delta, &parent, &new, "");
    assert!(delta.new_info().received_uuid.is_some());
    assert!(tally.said_changed < 8, "{tally:?}");
}

#[test]
fn other_file_systems_and_other_things() {
    let (Some((lab, source)), Some((other, elsewhere))) = (source(), source()) else { return };
    let parent = lab.snapshot(&source, "parent", true);
    let stranger = other.snapshot(&elsewhere, "stranger", true);
    let refused = |parent: &Path, new: &Path, remembered| try_delta(parent, new, remembered).map(drop);
    let (mine, its) = (record(&parent), record(&stranger));
    assert!(matches!(refused(&parent, &stranger, &mine), Err(Refused::OtherFileSystem { .. })));
    assert!(matches!(refused(&parent, &stranger, &its), Err(Refused::OtherFileSystem { .. })));
    let folder = source.join("folder");
    assert_eq!(refused(&parent, &folder, &mine), Err(Refused::NotSubvolume(Which::New)));
    assert_eq!(refused(Path::new("/proc"), &parent, &mine), Err(Refused::NotSubvolume(Which::Parent)));
    let second = lab.snapshot(&source, "second", true);
    let unrelated = lab.subvolume("unrelated");
    set_read_only(&unrelated, true);
    assert!(matches!(refused(&second, &unrelated, &record(&second)), Err(Refused::Lineage(_))));
}

/// What a process with few privileges can do; run by the next test.
#[test]
#[ignore = "run by another test"]
fn as_somebody() {
    let path = |name| PathBuf::from(std::env::var_os(name).unwrap());
    let (parent, new) = (path("TEST_PARENT"), path("TEST_NEW"));
    let info = btrfs::subvol_info(open_dir(&parent).as_fd()).unwrap();
    let said = match try_delta(&parent, &new, &(&info).into()) {
        Ok(delta) => format!("{} changed", delta.changed_count()),
        Err(refused) => refused.to_string(),
    };
    println!("delta: {said}");
    let secret = fs::read(new.join("secret/file")).map(|bytes| bytes.len()).map_err(|e| e.kind());
    println!("secret: {secret:?}");
    let into = open_dir(&path("TEST_INTO"));
    let name = c"own";
    let made = btrfs::create_snapshot(open_dir(&path("TEST_SOURCE")).as_fd(), into.as_fd(), name, true);
    println!("snapshot: {:?}", made.as_ref().map_err(std::io::Error::kind));
    if made.is_ok() {
        btrfs::delete_subvolume(into.as_fd(), name).unwrap();
        println!("deleted");
    }
}

#[test]
fn two_capabilities_are_enough() {
    let Some((lab, source)) = source() else { return };
    if Command::new("setpriv").arg("--version").output().is_err() {
        println!("skipped: setpriv is not installed");
        return;
    }
    fs::set_permissions(lab.root().parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(source.join("secret")).unwrap();
    fs::write(source.join("secret/file"), b"secret").unwrap();
    fs::set_permissions(source.join("secret"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(source.join("secret/file"), fs::Permissions::from_mode(0o600)).unwrap();
    let parent = lab.snapshot(&source, "parent", true);
    change(&source, 1);
    let new = lab.snapshot(&source, "new", true);
    let into = lab.path("snapshots of nobody");
    fs::create_dir(&into).unwrap();
    chown(&into, Some(65_534), Some(65_534)).unwrap();
    // The program, where nobody can get at it.
    let program = lab.root().parent().unwrap().join("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let with = |capabilities: &str| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]);
        command.args([format!("--inh-caps={capabilities}"), format!("--ambient-caps={capabilities}")]);
        command.arg(format!("--bounding-set={capabilities}"));
        command.arg(&program).args(["--exact", "btrfs_lineage::as_somebody", "--ignored", "--nocapture"]);
        command.env("TEST_PARENT", &parent).env("TEST_NEW", &new).env("TEST_SOURCE", &source).env("TEST_INTO", &into);
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{capabilities}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    };
    let text = with("-all,+sys_admin,+dac_read_search");
    assert!(text.contains("delta: ") && text.contains(" changed\n") && text.contains("secret: Ok(6)"), "{text}");
    assert!(text.contains("snapshot: Err(PermissionDenied)"), "of what is somebody else's it takes more: {text}");
    let text = with("-all,+sys_admin,+dac_read_search,+fowner");
    assert!(text.contains("snapshot: Ok(())\ndeleted\n"), "{text}");
    let none = "delta: searching Btrfs trees needs CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH";
    for capabilities in ["-all", "-all,+dac_read_search"] {
        let text = with(capabilities);
        assert!(text.contains(none), "{text}");
    }
}

#[test]
fn a_delta_agrees_with_send() {
    let Some((lab, source)) = source() else { return };
    for n in 0..6 {
        fs::write(source.join(format!("data{n}")), noise(n, 600_000)).unwrap();
    }
    let parent = lab.snapshot(&source, "parent", true);
    for n in 0..4_u64 {
        let file = File::options().write(true).open(source.join(format!("data{n}"))).unwrap();
        use std::os::unix::fs::FileExt;
        file.write_all_at(&noise(n + 50, 9_000), 12_345 * n).unwrap();
        file.write_all_at(&noise(n + 60, 4_096), 400_000).unwrap();
    }
    File::options().write(true).open(source.join("data5")).unwrap().set_len(300_000).unwrap();
    change(&source, 4);
    let new = lab.snapshot(&source, "new", true);
    let delta = delta(&parent, &new);
    let stream = lab.path("stream");
    run("btrfs", words!["send", "-q", "--no-data", "-f", &stream, "-p", &parent, &new]);
    let dump = String::from_utf8(run("btrfs", words!["receive", "--dump", "-f", &stream]).stdout).unwrap();
    let mut extents = 0;
    for line in dump.lines().filter(|line| line.starts_with("update_extent")) {
        let field = |name: &str| line.split(name).nth(1).unwrap().split(' ').next().unwrap();
        let path = line.split_whitespace().nth(1).unwrap().strip_prefix("./new/").unwrap();
        let (at, len): (u64, u64) = (field("offset=").parse().unwrap(), field("len=").parse().unwrap());
        let ino = crate::btrfs_walk::ino_of(&new.join(path));
        let ChangedRanges::Ranges(ranges) = delta.changed_ranges(ino).unwrap() else { panic!("{line}") };
        assert!(ranges.iter().any(|r| r.start <= at && at + len <= r.end), "{line}: {ranges:?}");
        extents += 1;
    }
    assert!(extents >= 9, "{dump}");
}
