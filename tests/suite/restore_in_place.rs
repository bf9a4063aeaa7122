//! Restoring over what is there.

use super::restore_kit::{Kit, identities, noise};
use panther::Error;
use panther::ops::{Progress, Totals};
use std::fs::{self, File, FileTimes};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

fn small_tree(kit: &Kit) {
    fs::create_dir_all(kit.source("a/b")).unwrap();
    fs::write(kit.source("a/inline"), b"inline").unwrap();
    fs::write(kit.source("a/b/medium"), noise(1, 200_000)).unwrap();
    fs::write(kit.source("large"), noise(2, 20_000_000)).unwrap();
    fs::hard_link(kit.source("large"), kit.source("large too")).unwrap();
    symlink("a", kit.source("link")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, kit.source("fifo"), rustix::fs::Mode::RUSR).unwrap();
    let holes = File::create(kit.source("holes")).unwrap();
    holes.write_all_at(&noise(3, 100_000), 2 << 20).unwrap();
    holes.set_len(4 << 20).unwrap();
}

#[test]
fn a_target_that_is_not_empty_is_refused() {
    let kit = Kit::new();
    small_tree(&kit);
    let snapshot = kit.backup();
    fs::create_dir(kit.path("target")).unwrap();
    fs::write(kit.path("target/mine"), b"mine").unwrap();
    let before = identities(&kit.path("target"));
    let error = kit.restore(&snapshot, &kit.options("target")).unwrap_err();
    assert!(
        matches!(&error, Error::Usage(text) if text.contains("--overwrite") && text.contains("--delete")),
        "{error}"
    );
    assert_eq!(before, identities(&kit.path("target")));
    // Nor does a dry run change anything, whether there is a target or not.
    let mut options = kit.options("nowhere");
    options.dry_run = true;
    let report = kit.good(&snapshot, &options);
    assert_eq!((report.files, report.links, report.dirs, report.others), (4, 1, 3, 2));
    assert_eq!(report.bytes, snapshot.manifest.summary.source_bytes);
    assert!(!kit.path("nowhere").exists());
    options.target = kit.path("target");
    options.delete = true;
    assert_eq!(kit.good(&snapshot, &options).removed, 1);
    assert_eq!(before, identities(&kit.path("target")));
}

#[test]
fn what_is_right_is_not_touched() {
    let kit = Kit::new();
    small_tree(&kit);
    let snapshot = kit.backup();
    kit.good(&snapshot, &kit.options("target"));
    let before = identities(&kit.path("target"));
    let mut options = kit.options("target");
    options.delete = true;
    for (verify, believe_times) in [(false, false), (true, false), (false, true)] {
        (options.verify, options.believe_times) = (verify, believe_times);
        let report = kit.good(&snapshot, &options);
        assert_eq!((report.files, report.files_unchanged, report.bytes, report.removed), (4, 4, 0, 0));
        assert_eq!(report.bytes_skipped, snapshot.manifest.summary.source_bytes);
        assert_eq!(report.verified_files, verify.then_some(4));
        assert_eq!(before, identities(&kit.path("target")), "verify: {verify}, believe: {believe_times}");
    }
    kit.assert_same("target");
}

#[test]
fn only_what_differs_is_written() {
    let kit = Kit::new();
    small_tree(&kit);
    fs::write(kit.source("big"), noise(9, 60_000_000)).unwrap();
    let snapshot = kit.backup();
    kit.good(&snapshot, &kit.options("target"));
    let before = identities(&kit.path("target"));
    // A change in the middle, a longer and a shorter one, another in a hole, an attribute.
    let open = |name: &str| File::options().write(true).open(kit.path("target").join(name)).unwrap();
    open("big").write_all_at(b"changed", 40_000_000).unwrap();
    open("a/inline").set_len(3).unwrap();
    open("a/b/medium").write_all_at(b"longer", 200_000).unwrap();
    open("holes").write_all_at(b"no hole", 100_000).unwrap();
    fs::set_permissions(kit.path("target/fifo"), PermissionsExt::from_mode(0o777)).unwrap();
    let mut options = kit.options("target");
    options.overwrite = true;
    options.verify = true;
    let report = kit.good(&snapshot, &options);
    kit.assert_same("target");
    assert_eq!((report.files, report.files_unchanged), (5, 1));
    assert!(report.bytes < 24_000_000, "{}", report.bytes);
    let after = identities(&kit.path("target"));
    for (path, identity) in &before {
        assert_eq!(identity.0, after[path].0, "{}", path.display());
    }
    let path = |name: &str| std::path::PathBuf::from(name);
    for name in ["large", "large too", "link", "a", "a/b"] {
        assert_eq!(before[&path(name)], after[&path(name)], "{name}");
    }
    // Size and time are believed only if that is asked for.
    let meta = fs::metadata(kit.path("target/big")).unwrap();
    open("big").write_all_at(b"sneaky", 5).unwrap();
    open("big").set_times(FileTimes::new().set_modified(meta.modified().unwrap())).unwrap();
    (options.verify, options.believe_times) = (false, true);
    assert_eq!(kit.good(&snapshot, &options).bytes, 0);
    options.believe_times = false;
    assert!(kit.good(&snapshot, &options).bytes > 0);
    kit.assert_same("target");
}

#[test]
fn other_types_and_other_links_give_way() {
    let kit = Kit::new();
    small_tree(&kit);
    let snapshot = kit.backup();
    let outside = kit.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("precious"), b"precious").unwrap();
    let target = kit.path("target");
    fs::create_dir_all(target.join("large/is/a/directory")).unwrap();
    fs::create_dir_all(target.join("link")).unwrap();
    symlink(&outside, target.join("a")).unwrap();
    fs::write(target.join("fifo"), b"file").unwrap();
    symlink(outside.join("precious"), target.join("large too")).unwrap();
    fs::hard_link(outside.join("precious"), target.join("holes")).unwrap();
    let mut options = kit.options("target");
    options.overwrite = true;
    kit.good(&snapshot, &options);
    kit.assert_same("target");
    assert_eq!(fs::read(outside.join("precious")).unwrap(), b"precious");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);

    // Right in content and time, but linked otherwise than in the snapshot.
    fs::hard_link(target.join("a/b/medium"), outside.join("medium")).unwrap();
    fs::remove_file(target.join("large too")).unwrap();
    fs::hard_link(target.join("large"), outside.join("large")).unwrap();
    fs::copy(target.join("large"), target.join("large too")).unwrap();
    kit.good(&snapshot, &options);
    kit.assert_same("target");
    assert_eq!(fs::metadata(outside.join("medium")).unwrap().nlink(), 1);
    // What is linked elsewhere and differs is not written through.
    fs::hard_link(target.join("a/inline"), outside.join("inline")).unwrap();
    fs::write(outside.join("inline"), b"other text").unwrap();
    fs::write(outside.join("large"), b"other text").unwrap();
    kit.good(&snapshot, &options);
    kit.assert_same("target");
    for name in ["inline", "large"] {
        assert_eq!(fs::read(outside.join(name)).unwrap(), b"other text");
    }
}

#[test]
fn delete_removes_what_the_snapshot_lacks() {
    let kit = Kit::new();
    small_tree(&kit);
    fs::create_dir_all(kit.source("kept")).unwrap();
    fs::write(kit.source("kept/file.log"), b"log").unwrap();
    let snapshot = kit.backup();
    kit.good(&snapshot, &kit.options("target"));
    let target = kit.path("target");
    let outside = kit.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("precious"), b"precious").unwrap();
    for path in ["0 first", "a/extra/deep/file", "a/zz", "zz last", "kept/old.log", "logs/x.log", "logs/y"] {
        fs::create_dir_all(target.join(path).parent().unwrap()).unwrap();
        fs::write(target.join(path), path).unwrap();
    }
    symlink(&outside, target.join("a/way out")).unwrap();
    let mut options = kit.options("target");
    options.delete = true;
    options.excludes.patterns = vec!["*.log".into()];
    fs::write(target.join("kept/file.log"), b"mine").unwrap();
    let report = kit.good(&snapshot, &options);
    assert_eq!(report.removed, 6);
    for kept in ["kept/old.log", "kept/file.log", "logs/x.log"] {
        assert!(target.join(kept).exists(), "{kept}");
    }
    assert_eq!(fs::read(target.join("kept/file.log")).unwrap(), b"mine", "excluded, so neither written nor removed");
    assert!(!target.join("logs/y").exists() && !target.join("a/extra").exists());
    options.excludes.patterns.clear();
    assert_eq!(kit.good(&snapshot, &options).removed, 2);
    kit.assert_same("target");
    assert!(outside.join("precious").exists());

    // Below its full path, nothing beside the root is removed.
    options.path = None;
    let whole = target.join(kit.path("source").strip_prefix("/").unwrap());
    fs::create_dir_all(&whole).unwrap();
    fs::write(whole.join("extra"), b"x").unwrap();
    fs::write(whole.parent().unwrap().join("sibling"), b"x").unwrap();
    assert_eq!(kit.good(&snapshot, &options).removed, 1);
    assert!(whole.parent().unwrap().join("sibling").exists() && target.join("a").exists());

    // One directory: what is beside it in the snapshot is not its business.
    options.path = Some(kit.source("a").as_os_str().as_bytes().to_vec());
    options.target = target.join("a");
    fs::write(target.join("a/extra"), b"x").unwrap();
    assert_eq!(kit.good(&snapshot, &options).removed, 1);
    assert!(target.join("large").exists());
}

/// Asks to stop after so many files.
struct StopAfter(AtomicU64);

impl Progress for StopAfter {
    fn stage(&self, _: &'static str, _: Totals) {}
    fn advance(&self, files: u64, bytes: u64) {
        let done = if bytes > 1_000_000 { u64::MAX } else { files };
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(done)));
    }
    fn warn(&self, _: &str) {}
    fn cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

#[test]
fn a_stopped_run_is_carried_on() {
    let kit = Kit::new();
    for number in 0..3_000 {
        fs::write(kit.source(&format!("f{number:04}")), format!("{number}")).unwrap();
    }
    // Stopped in its middle.
    fs::write(kit.source("zz huge"), noise(5, 80_000_000)).unwrap();
    let snapshot = kit.backup();
    let mut options = kit.options("target");
    for files in [1_500, 3_200] {
        let result = kit.restore_with(&snapshot, &options, &StopAfter(AtomicU64::new(files)));
        assert!(matches!(result, Err(Error::Interrupted)));
        let done = fs::read_dir(kit.path("target")).unwrap().count();
        assert!(done < 3_001, "{done}");
        assert!(!kit.path("target/zz huge").exists(), "no half file stays");
        options.overwrite = true;
    }
    let report = kit.good(&snapshot, &options);
    assert!(report.files_unchanged >= 2_900, "{report:?}");
    kit.assert_same("target");
}

#[test]
fn a_directory_swapped_for_a_symlink_while_running() {
    let kit = Kit::new();
    for dir in 0..40 {
        let dir = kit.source(&format!("d{dir:02}/inner"));
        fs::create_dir_all(&dir).unwrap();
        for file in 0..20 {
            fs::write(dir.join(format!("file{file:02}")), b"from the snapshot").unwrap();
        }
    }
    let snapshot = kit.backup();
    let outside = kit.path("outside");
    fs::create_dir_all(outside.join("inner")).unwrap();
    fs::write(outside.join("inner/file00"), b"precious").unwrap();
    fs::write(outside.join("inner/own"), b"precious").unwrap();
    kit.good(&snapshot, &kit.options("target"));
    let target = kit.path("target");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut turn = 0;
            while !done.load(Ordering::Relaxed) {
                turn += 1;
                let dir = target.join(format!("d{:02}", turn % 40));
                if fs::rename(&dir, target.join("aside")).is_ok() {
                    let _ = symlink(&outside, &dir);
                    std::thread::yield_now();
                    let _ = fs::remove_file(&dir);
                    let _ = fs::rename(target.join("aside"), &dir);
                }
            }
        });
        let mut options = kit.options("target");
        options.delete = true;
        options.verify = true;
        for _ in 0..8 {
            // Whatever it says of it: it must not get out.
            let _ = kit.restore(&snapshot, &options);
        }
        done.store(true, Ordering::Relaxed);
    });
    let mut names: Vec<_> = fs::read_dir(outside.join("inner")).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["file00", "own"]);
    for name in ["file00", "own"] {
        assert_eq!(fs::read(outside.join("inner").join(name)).unwrap(), b"precious");
    }
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
}
