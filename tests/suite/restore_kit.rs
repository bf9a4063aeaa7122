//! What the tests of restore share: a repository in a folder, a source to back up, and facts about trees.

use panther::backend::fault::{Fault, FaultBackend, Op, connection_reset};
use panther::backend::local::LocalBackend;
use panther::keys::wrap::{Recipient, new_identity};
use panther::ops::backup::{BackupOptions, backup};
use panther::ops::restore::{RestoreOptions, RestoreReport, restore};
use panther::ops::{Progress, Silent};
use panther::repo::Repository;
use panther::repo::snapshots::Snapshot;
use panther::source::{ExcludeOptions, data_regions, xattrs_path};
use panther::state::State;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub struct Kit {
    pub temp: tempfile::TempDir,
    pub repo: Repository,
    pub state: State,
    /// After so many ranges the store does not answer any more.
    pub reads_left: Arc<AtomicU64>,
}

impl Kit {
    pub fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        // So that another user can get to what is his.
        fs::set_permissions(temp.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let reads_left = Arc::new(AtomicU64::new(u64::MAX));
        let left = Arc::clone(&reads_left);
        let local = LocalBackend::create(&temp.path().join("repo")).unwrap();
        let backend = Arc::new(FaultBackend::new(local, move |call| {
            let less = |left: u64| left.checked_sub(1);
            let is_gone = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_err();
            (call.op == Op::GetRange && is_gone()).then_some(Fault::Error(connection_reset))
        }));
        let recipient = Recipient::Recipients(vec![new_identity().1]);
        let repo = Repository::init(backend, &recipient, "test", 1).unwrap();
        let state = State::open(&temp.path().join("state"), &repo.config().repo).unwrap();
        fs::create_dir(temp.path().join("source")).unwrap();
        Self { temp, repo, state, reads_left }
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.temp.path().join(below)
    }

    pub fn source(&self, below: &str) -> PathBuf {
        self.path("source").join(below)
    }

    /// Backs up the source.
    pub fn backup(&self) -> Snapshot {
        self.backup_of(&[self.path("source")])
    }

    pub fn backup_of(&self, paths: &[PathBuf]) -> Snapshot {
        let options = BackupOptions {
            paths: paths.to_vec(),
            tags: Vec::new(),
            host: "test".into(),
            writer: None,
            excludes: ExcludeOptions::default(),
            level: 1,
            dry_run: false,
            force: false,
            skip_if_unchanged: false,
            threads: 0,
            snapshots: Default::default(),
            databases: Vec::new(),
            hooks: Default::default(),
            subvolumes: Default::default(),
        };
        let report = backup(&self.repo, &self.state, &options, &Silent).unwrap();
        assert!(report.unreadable.is_empty(), "{:?}", report.unreadable);
        let snapshots = self.repo.snapshots(&self.repo.statements().unwrap()).unwrap().snapshots;
        snapshots.into_iter().find(|s| Some(s.head.id) == report.snapshot).unwrap()
    }

    /// Options that put the source's content straight into `target`.
    pub fn options(&self, target: &str) -> RestoreOptions {
        RestoreOptions {
            threads: 2,
            ..RestoreOptions::new(Some(self.path("source").as_os_str().as_bytes().to_vec()), self.path(target))
        }
    }

    pub fn restore(&self, snapshot: &Snapshot, options: &RestoreOptions) -> panther::Result<RestoreReport> {
        self.restore_with(snapshot, options, &Silent)
    }

    pub fn restore_with(
        &self,
        snapshot: &Snapshot,
        options: &RestoreOptions,
        progress: &dyn Progress,
    ) -> panther::Result<RestoreReport> {
        restore(&self.repo, &self.state, snapshot, options, progress)
    }

    /// Restores and wants no problems.
    pub fn good(&self, snapshot: &Snapshot, options: &RestoreOptions) -> RestoreReport {
        let report = self.restore(snapshot, options).unwrap();
        assert_eq!(report.problems, [], "no problems");
        assert!(!report.incomplete);
        report
    }

    /// Whether source and `target` are the same in everything that a snapshot keeps.
    pub fn assert_same(&self, target: &str) {
        assert_trees_equal(&self.path("source"), &self.path(target));
    }
}

/// What is compared of an object.
#[derive(Debug, PartialEq, Eq)]
pub struct Facts {
    kind: char,
    mode: u32,
    owner: (u32, u32),
    mtime: (i64, i64),
    rdev: u64,
    content: Vec<u8>,
    data: Vec<Range<u64>>,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// The first path of the same inode.
    first: PathBuf,
}

impl Facts {
    /// All but the content.
    pub fn brief(&self) -> String {
        let Self { kind, mode, owner, mtime, rdev, content, data, xattrs, first } = self;
        format!("{kind} {mode:o} {owner:?} {mtime:?} {rdev} {} {data:?} {xattrs:?} {first:?}", content.len())
    }
}

/// All objects below `top`, which is the empty path.
pub fn facts(top: &Path) -> BTreeMap<PathBuf, Facts> {
    let mut all = BTreeMap::new();
    let mut paths = Vec::new();
    collect(top, Path::new(""), &mut paths);
    let mut inodes = BTreeMap::new();
    for path in paths {
        let full = top.join(&path);
        let meta = full.symlink_metadata().unwrap();
        let first = inodes.entry((meta.dev(), meta.ino())).or_insert_with(|| path.clone()).clone();
        all.insert(path, facts_of(&full, &meta, first));
    }
    all
}

fn facts_of(full: &Path, meta: &fs::Metadata, first: PathBuf) -> Facts {
    let kind = meta.file_type();
    let (mut content, mut data) = (Vec::new(), Vec::new());
    let mark = match () {
        () if kind.is_file() => {
            content = fs::read(full).unwrap();
            // A file system may give a file's tail more room, so only large holes are compared.
            data = data_regions(File::open(full).unwrap().as_fd(), meta.len()).unwrap();
            data.retain(|range| range.end - range.start >= 4_096);
            'f'
        }
        () if kind.is_symlink() => {
            content = fs::read_link(full).unwrap().as_os_str().as_bytes().to_vec();
            'l'
        }
        () if kind.is_dir() => 'd',
        () if kind.is_fifo() => 'p',
        () if kind.is_socket() => 's',
        () if kind.is_char_device() => 'c',
        () => 'b',
    };
    let name = full.file_name().unwrap();
    let name = std::ffi::CString::new(name.as_bytes()).unwrap();
    let xattrs = xattrs_path(File::open(full.parent().unwrap()).unwrap().as_fd(), &name).unwrap();
    Facts {
        kind: mark,
        mode: meta.mode(),
        owner: (meta.uid(), meta.gid()),
        mtime: (meta.mtime(), meta.mtime_nsec()),
        rdev: meta.rdev(),
        content,
        data,
        xattrs,
        first,
    }
}

fn collect(top: &Path, below: &Path, paths: &mut Vec<PathBuf>) {
    paths.push(below.to_owned());
    if top.join(below).symlink_metadata().unwrap().is_dir() {
        let mut names: Vec<_> = fs::read_dir(top.join(below)).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        for name in names {
            collect(top, &below.join(name), paths);
        }
    }
}

pub fn assert_trees_equal(want: &Path, have: &Path) {
    let (want, have) = (facts(want), facts(have));
    assert_eq!(want.keys().collect::<Vec<_>>(), have.keys().collect::<Vec<_>>());
    for (path, want) in &want {
        let have = &have[path];
        // Contents are too long for a message.
        assert!(want.content == have.content, "content of {}", path.display());
        assert_eq!(want, have, "{}", path.display());
    }
}

/// Inode number and time of change of everything below `top`.
pub fn identities(top: &Path) -> BTreeMap<PathBuf, (u64, i64, i64)> {
    let mut paths = Vec::new();
    collect(top, Path::new(""), &mut paths);
    let identity = |path: &PathBuf| {
        let meta = top.join(path).symlink_metadata().unwrap();
        (meta.ino(), meta.ctime(), meta.ctime_nsec())
    };
    paths.into_iter().map(|path| (path.clone(), identity(&path))).collect()
}

/// Bytes that do not compress and never repeat, the same for the same seed.
pub fn noise(seed: u64, len_bytes: usize) -> Vec<u8> {
    use rand::{RngExt as _, SeedableRng as _};
    let mut bytes = vec![0; len_bytes];
    rand_chacha::ChaCha8Rng::seed_from_u64(seed).fill(&mut bytes[..]);
    bytes
}

pub fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        println!("skipped: it needs root");
    }
    is_root
}

/// Runs `test` in a thread that is an ordinary user, as are the threads that it starts.
pub fn as_nobody<T: Send>(test: impl FnOnce() -> T + Send) -> T {
    let run = move || {
        rustix::thread::set_thread_groups(&[]).unwrap();
        rustix::thread::set_thread_gid(rustix::fs::Gid::from_raw(65_534)).unwrap();
        rustix::thread::set_thread_uid(rustix::fs::Uid::from_raw(65_534)).unwrap();
        test()
    };
    std::thread::scope(|scope| scope.spawn(run).join().unwrap())
}
