//! The snapshot that a backup compares with is deleted, recreated, replaced or changed; several backups share a folder; the folder itself is left out.

use crate::btrfs_backup::{Listener, assert_as_if_all_were_read, left, options, snapshot};
use crate::btrfs_kit::{BtrfsLab, open_dir};
use crate::common::{Lab, noise, settle, write};
use panther::ops::Silent;
use panther::ops::backup::{BackupOptions, BackupReport, SnapshotMode, backup};
use panther::ops::list::list;
use panther::repo::reader::BlobReader;
use panther::source::btrfs::set_read_only;
use panther::source::snapshot_folder::SnapshotFolder;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Backs up; what was said besides.
fn run(lab: &Lab, source: &Path) -> (BackupReport, Vec<String>) {
    // What is too fresh would be read again by the next one.
    settle();
    let listener = Listener::default();
    let report = backup(&lab.repo, &lab.state, &options(lab, source), &listener).unwrap();
    assert!(report.unreadable.is_empty(), "{report:?}");
    (report, listener.notes.into_inner().unwrap())
}

fn fill(source: &Path) {
    for n in 0..40 {
        write(&source.join(format!("folder{}/file{n}", n % 4)), &noise(n, 5_000));
    }
}

/// What somebody does to the parent snapshot at this path.
type Tampering = fn(&BtrfsLab, &Path);

fn recreate(fs: &BtrfsLab, parent: &Path, of: &str) {
    fs.delete(parent);
    fs.snapshot(&fs.path(of), parent.strip_prefix(fs.root()).unwrap().to_str().unwrap(), true);
}

const TAMPERINGS: [(&str, &str, Tampering); 5] = [
    ("deleted", "is gone", |fs, parent| fs.delete(parent)),
    ("recreated under the same name", "there is another", |fs, parent| recreate(fs, parent, "source")),
    ("replaced by one of another subvolume", "there is another", |fs, parent| recreate(fs, parent, "other")),
    ("replaced by a folder", "is not the root of a Btrfs subvolume", |fs, parent| {
        fs.delete(parent);
        fs::create_dir(parent).unwrap();
    }),
    ("written to", "was changed after", |_, parent| {
        let root = open_dir(parent);
        set_read_only(root.as_fd(), false).unwrap();
        fs::write(parent.join("folder1/file1"), b"as if it had always been so").unwrap();
        set_read_only(root.as_fd(), true).unwrap();
    }),
];

#[test]
fn another_parent_than_the_one_remembered_is_noticed() {
    let Some(fs) = BtrfsLab::new() else { return };
    let lab = Lab::new();
    let (source, other) = (fs.subvolume("source"), fs.subvolume("other"));
    fill(&source);
    fill(&other);
    let (first, notes) = run(&lab, &source);
    assert!(notes.len() == 1 && notes[0].contains("no earlier backup"), "{notes:?}");
    assert_eq!(first.summary.files, 40);
    for (n, (what, reason, tamper)) in TAMPERINGS.into_iter().enumerate() {
        fs::write(source.join("folder2/file2"), noise(100 + n as u64, 6_000)).unwrap();
        fs::rename(source.join("folder3/file3"), source.join("folder3/moved")).unwrap();
        tamper(&fs, &left(&source, 1));
        if what == "deleted" {
            // Within the second its name would be taken again, by this run's own snapshot.
            std::thread::sleep(std::time::Duration::from_millis(1_100));
        }
        fs::rename(source.join("folder3/moved"), source.join("folder3/file3")).unwrap();
        fs::write(source.join("folder1/file5"), noise(200 + n as u64, 4_000)).unwrap();
        let (report, notes) = run(&lab, &source);
        assert!(notes.len() == 1 && notes[0].contains(reason), "{what}: {notes:?}");
        assert!(notes[0].contains("everything is looked at"), "{what}: {notes:?}");
        if what == "replaced by a folder" {
            // It was none of the snapshots that may be removed.
            let folders = fs::read_dir(source.join(".panther")).unwrap().map(|entry| entry.unwrap().path());
            let plain: Vec<PathBuf> = folders.filter(|path| fs::remove_dir(path).is_ok()).collect();
            assert_eq!(plain.len(), 1, "{plain:?}");
        }
        let taken = left(&source, 1);
        assert_as_if_all_were_read(&lab, &source, &taken, report.snapshot.unwrap(), &Default::default(), what);
        // And from there on what has changed is enough again.
        let (report, notes) = run(&lab, &source);
        assert!(notes.is_empty(), "{what}: {notes:?}");
        assert_eq!(report.summary.read_bytes, 0, "{what}");
    }
}

#[test]
fn backups_to_two_repositories_leave_each_other_their_parents() {
    let Some(fs) = BtrfsLab::new() else { return };
    let labs = [Lab::new(), Lab::new()];
    let source = fs.subvolume("source");
    fill(&source);
    for round in 0..3 {
        for (n, lab) in labs.iter().enumerate() {
            fs::write(source.join("folder0/file0"), noise(round * 10 + n as u64, 7_000)).unwrap();
            let (report, notes) = run(lab, &source);
            assert_eq!(notes.len(), usize::from(round == 0), "{notes:?}");
            assert_eq!(report.summary.read_bytes, if round == 0 { 40 * 5_000 + 2_000 } else { 7_000 });
            left(&source, if round == 0 { n + 1 } else { 2 });
        }
    }
}

/// Two runs of the same at the same time: the one that ends first leaves the other what it reads; a later one removes it.
#[test]
fn what_another_run_reads_is_not_removed() {
    let Some(fs) = BtrfsLab::new() else { return };
    let lab = Lab::new();
    let source = fs.subvolume("source");
    fill(&source);
    run(&lab, &source);
    let folder = SnapshotFolder::make(&source).unwrap();
    let lock = folder.names().unwrap().into_iter().find(|name| name.as_bytes().starts_with(b"lock-")).unwrap();
    let region = u64::from_str_radix(lock.to_str().unwrap().strip_prefix("lock-").unwrap(), 16).unwrap();
    let (name, held) = folder.take(&File::open(&source).unwrap(), region).unwrap();
    run(&lab, &source);
    assert!(folder.made_for(region).unwrap().contains(&name));
    left(&source, 2);
    // The other way round: while another has the lock, this run removes nothing but its own.
    let locked = folder.lock(region).unwrap().unwrap();
    let pinned = folder.pinned(region).unwrap();
    let (_, notes) = run(&lab, &source);
    assert!(notes.len() == 1 && notes[0].contains("another backup of it is running"), "{notes:?}");
    assert_eq!(folder.pinned(region).as_deref(), Some(&*pinned));
    assert_eq!(folder.made_for(region).unwrap().len(), 2);
    drop((held, locked));
    let (_, notes) = run(&lab, &source);
    assert!(notes.is_empty(), "{notes:?}");
    left(&source, 1);
}

fn paths_in(lab: &Lab, report: &BackupReport) -> Vec<String> {
    let manifest = snapshot(lab, report.snapshot.unwrap()).manifest;
    let reader = BlobReader::new(&lab.repo, &lab.state).unwrap();
    let mut paths = Vec::new();
    list(&reader, &manifest, None, true, &mut |path, _| {
        paths.push(String::from_utf8(path.to_vec()).unwrap());
        Ok(())
    })
    .unwrap();
    paths
}

#[test]
fn the_folder_of_snapshots_is_left_out_whatever_is_read() {
    let Some(fs) = BtrfsLab::new() else { return };
    let lab = Lab::new();
    let source = fs.subvolume("source");
    let nested = fs.subvolume("source/nested");
    fill(&source);
    fill(&nested);
    // Not at the root of a subvolume it is a folder like any other.
    write(&source.join("folder0/.panther/mine"), b"mine");
    run(&lab, &source);
    for folder in [&source, &nested] {
        SnapshotFolder::make(folder).unwrap();
        write(&folder.join(".panther/stray"), b"whatever lies in it");
        fs.snapshot(
            folder,
            folder.join(".panther/20260101T000000Z").strip_prefix(fs.root()).unwrap().to_str().unwrap(),
            true,
        );
    }
    let at = |below: &str| source.join(below).to_str().unwrap().to_owned();
    for mode in [SnapshotMode::Never, SnapshotMode::Auto, SnapshotMode::Always] {
        let options = BackupOptions { snapshots: mode.clone(), ..options(&lab, &source) };
        let report = backup(&lab.repo, &lab.state, &options, &Silent).unwrap();
        let paths = paths_in(&lab, &report);
        let ours: Vec<&String> = paths
            .iter()
            .filter(|path| Path::new(path).components().any(|part| part.as_os_str() == OsStr::new(".panther")))
            .collect();
        assert_eq!(ours, [&at("folder0/.panther"), &at("folder0/.panther/mine")], "{mode:?}");
        for wanted in ["folder3/file3", "nested/folder3/file3"] {
            assert!(paths.contains(&at(wanted)), "{mode:?}: {wanted}");
        }
    }
}

/// `doctor` looks at the snapshot with which the next backup would compare.
#[test]
fn a_doctor_misses_the_parent() {
    use crate::cli_common::{Sandbox, document};
    let Some(fs) = BtrfsLab::new() else { return };
    let sandbox = Sandbox::new();
    let source = fs.subvolume("source");
    fill(&source);
    let found = |code: i32| -> Vec<(String, String)> {
        let run = sandbox.run(&["doctor", "--json"]);
        assert_eq!(run.code, code, "{}{}", run.out, run.err);
        let lines = document(&run.out)["lines"].as_array().unwrap().clone();
        let text = |line: &serde_json::Value, key: &str| line[key].as_str().unwrap().to_owned();
        lines.iter().filter(|line| line["check"] == "parent").map(|l| (text(l, "grade"), text(l, "what"))).collect()
    };
    // There is no backup yet.
    assert_eq!(found(3), []);
    sandbox.ok(&["backup", source.to_str().unwrap(), "--snapshot", "always"]);
    let well = found(0);
    assert!(well.len() == 1 && well[0].0 == "ok", "{well:?}");
    for (what, says) in [("deleted", "is gone"), ("recreated under the same name", "another one now")] {
        let parent = left(&source, 1);
        let tamper = TAMPERINGS.iter().find(|(name, ..)| *name == what).unwrap().2;
        tamper(&fs, &parent);
        let ill = found(3);
        assert!(ill.len() == 1 && ill[0].0 == "warning" && ill[0].1.contains(says), "{ill:?}");
        if what == "deleted" {
            std::thread::sleep(std::time::Duration::from_millis(1_100));
            sandbox.ok(&["backup", source.to_str().unwrap(), "--snapshot", "always"]);
        }
    }
}
