//! Whole backups of random histories: what is made from the file system's word is what reading everything makes.

use crate::btrfs_history::History;
use crate::btrfs_kit::BtrfsLab;
use crate::common::Lab;
use crate::generations::manifest::Manifest;
use panther::Error;
use panther::format::entry::{Entry, Node};
use panther::id::ObjectId;
use panther::ops::backup::{BackupOptions, BackupReport, SnapshotMode, backup};
use panther::ops::restore::{RestoreOptions, restore};
use panther::ops::{Progress, Silent, Totals};
use panther::repo::reader::BlobReader;
use panther::repo::snapshots::Snapshot;
use panther::source::ExcludeOptions;
use panther::source::btrfs::subvol_info;
use panther::state::State;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

fn number(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

/// Notes what is said, and stops after so many files.
#[derive(Default)]
pub struct Listener {
    pub notes: Mutex<Vec<String>>,
    files: AtomicU64,
    stop_after_files: Option<u64>,
}

impl Progress for Listener {
    fn stage(&self, _: &'static str, _: Totals) {}
    fn advance(&self, files: u64, _: u64) {
        self.files.fetch_add(files, Ordering::SeqCst);
    }
    fn warn(&self, _: &str) {}
    fn note(&self, message: &str) {
        self.notes.lock().unwrap().push(message.to_owned());
    }
    fn cancelled(&self) -> bool {
        self.stop_after_files.is_some_and(|most| self.files.load(Ordering::SeqCst) > most)
    }
}

pub fn options(lab: &Lab, source: &Path) -> BackupOptions {
    BackupOptions { paths: vec![source.to_owned()], snapshots: SnapshotMode::Auto, ..lab.options() }
}

pub fn snapshot(lab: &Lab, id: ObjectId) -> Snapshot {
    let statements = lab.repo.statements().unwrap();
    let all = lab.repo.snapshots(&statements).unwrap().snapshots;
    all.into_iter().find(|snapshot| snapshot.head.id == id).unwrap()
}

/// The snapshot that the last backup has left in the source; `regions` are all whose backups have left one.
pub fn left(source: &Path, regions: usize) -> PathBuf {
    let names = std::fs::read_dir(source.join(".panther")).unwrap().map(|entry| entry.unwrap().path());
    let mut made: Vec<PathBuf> =
        names.filter(|path| path.file_name().unwrap().as_bytes().starts_with(b"backup-")).collect();
    assert_eq!(made.len(), regions, "one snapshot of each is left, no more: {made:?}");
    made.sort_by_key(|path| subvol_info(File::open(path).unwrap().as_fd()).unwrap().otransid);
    made.pop().unwrap()
}

/// Reads all of the snapshot that was backed up, with a state that knows nothing: the trees must be the same.
pub fn assert_as_if_all_were_read(
    lab: &Lab,
    source: &Path,
    taken: &Path,
    id: ObjectId,
    excludes: &ExcludeOptions,
    what: &str,
) {
    let folder = lab.folder.path().join("other state");
    let state = State::open(&folder, &lab.repo.keys().repo()).unwrap();
    let options = BackupOptions {
        snapshots: SnapshotMode::Named(taken.to_owned()),
        force: true,
        excludes: excludes.clone(),
        ..options(lab, source)
    };
    // What this run takes of nested subvolumes is not to take the place of what is pinned there.
    let locks = hold_locks(source);
    let full = backup(&lab.repo, &state, &options, &Silent).unwrap();
    drop((state, locks));
    std::fs::remove_dir_all(folder).unwrap();
    let (ours, theirs) = (snapshot(lab, id).manifest, snapshot(lab, full.snapshot.unwrap()).manifest);
    if ours.roots != theirs.roots {
        print_differences(lab, &ours.roots[0].entry, &theirs.roots[0].entry, String::new());
        keep_for_a_look(lab, source);
        panic!(
            "{what}: reading everything gives something else ({} and {})",
            id.short(),
            full.snapshot.unwrap().short()
        );
    }
    assert_eq!(full.summary.data_blobs, 0, "{what}: reading everything finds something that was not stored");
    let counts = |s: &panther::format::snapshot::Summary| (s.files, s.dirs, s.others, s.source_bytes);
    assert_eq!(counts(&ours.summary), counts(&theirs.summary), "{what}");
}

/// Names what differs between two trees.
fn print_differences(lab: &Lab, ours: &Entry, theirs: &Entry, path: String) {
    if ours == theirs {
        return;
    }
    let blank = |entry: &Entry| Entry { node: Node::Fifo, ..entry.clone() };
    if let (Node::Dir(ours_below), Node::Dir(theirs_below)) = (&ours.node, &theirs.node)
        && blank(ours) == blank(theirs)
    {
        let reader = BlobReader::new(&lab.repo, &lab.state).unwrap();
        let mut children: [BTreeMap<Vec<u8>, Entry>; 2] = Default::default();
        for (list, root) in children.iter_mut().zip([ours_below, theirs_below]) {
            let mut add = |entry: Entry| {
                list.insert(entry.name.clone(), entry);
                Ok(())
            };
            reader.each_entry(root, &mut add).unwrap();
        }
        drop(reader);
        for name in children[0].keys().chain(children[1].keys().filter(|name| !children[0].contains_key(*name))) {
            let below = format!("{path}/{}", name.escape_ascii());
            match (children[0].get(name), children[1].get(name)) {
                (Some(ours), Some(theirs)) => print_differences(lab, ours, theirs, below),
                (ours, theirs) => println!("{below}: {} {}", ours.is_some(), theirs.is_some()),
            }
        }
        return;
    }
    println!("{path}:\n  {ours:?}\n  {theirs:?}");
}

/// Locks all regions, as a backup does that is running.
fn hold_locks(folder: &Path) -> Vec<File> {
    let mut held = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (name, path) = (entry.file_name(), entry.path());
        if entry.file_type().unwrap().is_dir() && !name.as_bytes().starts_with(b"backup-") {
            held.append(&mut hold_locks(&path));
        } else if name.as_bytes().starts_with(b"lock-") && folder.ends_with(".panther") && folder != path {
            let file = File::open(path).unwrap();
            rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
            held.push(file);
        }
    }
    held
}

/// With `PANTHER_KEEP` set, waits so that somebody can look.
fn keep_for_a_look(lab: &Lab, source: &Path) {
    if std::env::var_os("PANTHER_KEEP").is_some() {
        println!("{} {}", lab.folder.path().display(), source.display());
        std::thread::sleep(std::time::Duration::from_secs(100_000));
    }
}

fn restored_equals(lab: &Lab, source: &Path, taken: &Path, nested: &[PathBuf], id: ObjectId, what: &str) {
    // Beside the source: only a Btrfs can hold all of it.
    let target = source.with_file_name("restored");
    let options = RestoreOptions {
        threads: 2,
        ..RestoreOptions::new(Some(source.as_os_str().as_bytes().to_vec()), target.clone())
    };
    let report = restore(&lab.repo, &lab.state, &snapshot(lab, id), &options, &Silent).unwrap();
    assert!(!report.incomplete, "{what}: {:?}", report.problems);
    let (mut wanted, mut found) = (Manifest::of(taken).without(".panther"), Manifest::of(&target));
    for path in nested {
        // In the snapshot there is nothing of them.
        let below = path.strip_prefix(source).unwrap().to_str();
        let Some(below) = below else { return std::fs::remove_dir_all(target).unwrap() };
        (wanted, found) = (wanted.without(below), found.without(below));
    }
    if let Some(difference) = wanted.without_holes().difference(&found.without_holes()) {
        panic!("{what}: {difference}");
    }
    std::fs::remove_dir_all(target).unwrap();
}

fn live_through(seed: u64, rounds: u64, mkfs: &[&str], mount: &str) {
    let Some(fs) = BtrfsLab::with(2 << 30, mkfs, mount) else { return };
    let mut lab = Lab::new();
    let source = fs.subvolume("source");
    let mut history = History::new(seed, &source);
    let mut chance = ChaCha8Rng::seed_from_u64(!seed);
    let excludes = ExcludeOptions {
        patterns: if seed.is_multiple_of(2) { vec!["*7".into(), "/nowhere".into()] } else { Vec::new() },
        ..Default::default()
    };
    let (mut by_delta, mut read_bytes, mut source_bytes, mut regions) = (0, 0, 0, 1);
    for round in 0..rounds {
        for _ in 0..chance.random_range(0..30) {
            history.step();
        }
        let what = format!("seed {seed}, round {round}: {:?}", history.take_log());
        let options = BackupOptions { excludes: excludes.clone(), ..options(&lab, &source) };
        match chance.random_range(0..10) {
            // A run that is stopped somewhere, then more changes.
            0..3 => {
                let listener = Listener { stop_after_files: Some(chance.random_range(0..60)), ..Listener::default() };
                match backup(&lab.repo, &lab.state, &options, &listener) {
                    Err(Error::Interrupted) | Ok(_) => {}
                    Err(error) => panic!("{what}: {error}"),
                }
                for _ in 0..chance.random_range(0..20) {
                    history.step();
                }
            }
            // Others that look at the same.
            3 => drop(backup(
                &lab.repo,
                &lab.state,
                &BackupOptions { snapshots: SnapshotMode::Never, ..options.clone() },
                &Silent,
            )),
            4 => {
                let other = ExcludeOptions { patterns: vec!["*3".into()], ..Default::default() };
                let options = BackupOptions { excludes: other, ..options.clone() };
                backup(&lab.repo, &lab.state, &options, &Silent).unwrap();
                regions = 2;
            }
            5 => lab = lab.reopen(),
            6 => {
                history.release();
                fs.remount();
            }
            _ => {}
        }
        let listener = Listener::default();
        let report: BackupReport = backup(&lab.repo, &lab.state, &options, &listener).unwrap();
        assert!(report.unreadable.is_empty(), "{what}: {report:?}");
        let notes = listener.notes.into_inner().unwrap();
        if notes.is_empty() {
            by_delta += 1;
            read_bytes += report.summary.read_bytes;
            source_bytes += report.summary.source_bytes;
        }
        let id = report.snapshot.unwrap();
        let what = format!("{what}; {notes:?}");
        let taken = left(&source, regions);
        assert_as_if_all_were_read(&lab, &source, &taken, id, &excludes, &what);
        if round.is_multiple_of(7) && excludes.patterns.is_empty() {
            restored_equals(&lab, &source, &taken, &history.nested(), id, &what);
        }
    }
    history.release();
    println!("{rounds} rounds, {by_delta} by what has changed: {read_bytes} bytes of {source_bytes} were read");
    assert!(by_delta * 3 >= rounds && read_bytes < source_bytes / 4 * 3, "it must have been about something");
}

#[test]
fn histories_are_backed_up_as_if_all_were_read() {
    for seed in number("PANTHER_BTRFS_SEED", 1)..number("PANTHER_BTRFS_SEED", 1) + number("PANTHER_BTRFS_SEEDS", 2) {
        live_through(seed, number("PANTHER_BTRFS_ROUNDS", 12), &[], "noatime");
    }
}
