//! `--one-file-system` leaves out what was not named, and nothing that was.

use crate::btrfs_kit::BtrfsLab;
use crate::common::Lab;
use crate::db_kit::snapshot;
use panther::Error;
use panther::ops::Silent;
use panther::ops::backup::{BackupOptions, SnapshotMode, backup};
use panther::ops::restore::{RestoreOptions, restore};
use panther::source::ExcludeOptions;
use std::fs;
use std::path::{Path, PathBuf};

fn options(lab: &Lab, paths: &[&Path], snapshots: SnapshotMode) -> BackupOptions {
    BackupOptions {
        paths: paths.iter().map(|path| path.to_path_buf()).collect(),
        snapshots,
        excludes: ExcludeOptions { one_file_system: true, ..Default::default() },
        ..lab.options()
    }
}

#[test]
fn what_was_named_is_entered() {
    let Some(fs) = BtrfsLab::new() else { return };
    let outer = fs.subvolume("outer");
    let (named, other) = (fs.subvolume("outer/named"), fs.subvolume("outer/other"));
    fs::create_dir(named.join("below")).unwrap();
    for (folder, name) in [(&outer, "a"), (&named, "below/b"), (&other, "c")] {
        fs::write(folder.join(name), name).unwrap();
    }
    for mode in [SnapshotMode::Auto, SnapshotMode::Never, SnapshotMode::Always] {
        let lab = Lab::new();
        for round in 0..2 {
            let what = format!("{mode:?}, round {round}");
            let report = lab.backup_with(&options(&lab, &[&outer, &named], mode.clone()));
            assert_eq!(report.summary.files, 2, "{what}: {report:?}");
            assert!(!report.warnings.iter().any(|line| line.contains("named")), "{what}: {report:?}");
            let target = fs.path("restored");
            let options = RestoreOptions {
                reflink: false,
                threads: 2,
                ..RestoreOptions::new(Some(outer.to_str().unwrap().as_bytes().to_vec()), target.clone())
            };
            restore(&lab.repo, &lab.state, &snapshot(&lab, report.snapshot.unwrap()), &options, &Silent).unwrap();
            assert_eq!(fs::read_to_string(target.join("named/below/b")).unwrap(), "below/b", "{what}");
            assert!(!target.join("other/c").exists(), "{what}");
            let nested: Vec<PathBuf> = ["named", "other"].map(|name| target.join(name)).to_vec();
            nested.iter().filter(|path| fs::remove_dir_all(path).is_err()).for_each(|path| fs.delete(path));
            fs::remove_dir_all(&target).unwrap();
        }
    }
    // The walk does not lead there: nothing is left out in silence.
    let lab = Lab::new();
    let deep = named.join("below");
    let refused = backup(&lab.repo, &lab.state, &options(&lab, &[&outer, &deep], SnapshotMode::Auto), &Silent);
    assert!(matches!(&refused, Err(Error::Usage(why)) if why.contains("another file system")), "{refused:?}");
}
