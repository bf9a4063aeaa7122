//! What all stages of a run share, and the stages put together.

use super::links::LinkKey;
use super::select::Selector;
use super::tally::{Lost, Problem, Tally};
use super::walk::Walker;
use super::window::{Ready, Window};
use super::{Plan, RestoreOptions, Target, fetch, write};
use crate::error::{Error, Result, StoreError};
use crate::ops::Progress;
use crate::repo::Repository;
use crate::repo::reader::BlobReader;
use crate::repo::tree::parts;
use crate::state::State;
use crate::target::{AttrProblem, Policy, TargetDir};
use crossbeam_channel::bounded;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::collections::{HashMap, HashSet};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// After so many failures of the store in a row, it is taken to be gone.
const STORE_FAILURES: u32 = 16;

/// An inode: the device's numbers, and its own.
type Inode = ((u32, u32), u64);

/// What all stages share.
pub(super) struct Run<'a> {
    pub reader: BlobReader<'a>,
    pub options: &'a RestoreOptions,
    pub policy: Policy,
    pub selector: Selector,
    pub tally: Tally,
    pub progress: &'a dyn Progress,
    pub pool: ThreadPool,
    /// Whether the target lies on a Btrfs.
    pub is_btrfs: bool,
    /// Link groups whose first name could not be made.
    failed_links: Mutex<HashSet<LinkKey>>,
    /// Inodes of the target that stay, with the group whose they are.
    claimed: Mutex<HashMap<Inode, LinkKey>>,
    /// Packs that are not in the store, and what to say of them: nobody asks for each of their segments.
    missing_packs: Mutex<HashMap<u32, Arc<str>>>,
    store_failures: AtomicU32,
    /// Whether a blob was not where the local state says: that may be damaged, and not the repository.
    doubts: AtomicBool,
    stop: AtomicBool,
    fatal: Mutex<Option<Error>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Run<'a> {
    /// Makes a run ready.
    ///
    /// # Errors
    /// [`Error::Role`], [`Error::State`], [`Error::Usage`] for malformed patterns.
    pub fn new(
        repo: &'a Repository,
        state: &State,
        options: &'a RestoreOptions,
        progress: &'a dyn Progress,
    ) -> Result<Self> {
        let mut policy = Policy::new(options.owners.clone());
        policy.no_xattrs = options.no_xattrs;
        let pool = ThreadPoolBuilder::new().num_threads(options.threads).thread_name(|n| format!("restore-{n}"));
        Ok(Self {
            reader: BlobReader::new(repo, state)?,
            options,
            policy,
            selector: Selector::new(&options.excludes, &options.includes)?,
            tally: Tally::default(),
            progress,
            pool: pool.build().map_err(|e| Error::io("start", "threads", io::Error::other(e)))?,
            is_btrfs: false,
            failed_links: Mutex::default(),
            claimed: Mutex::default(),
            missing_packs: Mutex::default(),
            store_failures: AtomicU32::new(0),
            doubts: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            fatal: Mutex::default(),
        })
    }

    /// Whether to begin nothing new.
    pub fn is_stopped(&self) -> bool {
        if self.stop.load(Ordering::Relaxed) {
            return true;
        }
        if self.progress.cancelled() {
            self.fatal(Error::Interrupted);
            return true;
        }
        false
    }

    /// Ends the run with `error`, unless another came first.
    pub fn fatal(&self, error: Error) {
        lock(&self.fatal).get_or_insert(error);
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Notes that something could not be restored.
    pub fn problem(&self, path: &[u8], error: impl Into<String>) {
        let problem = Problem { path: String::from_utf8_lossy(path).into_owned(), error: error.into() };
        self.progress.warn(&format!("{}: {}", problem.path, problem.error));
        self.tally.problem(problem);
    }

    /// Notes an error of the target on `path`: a full disk ends the run, anything else is a problem.
    pub fn target_problem(&self, path: &[u8], what: &'static str, error: io::Error) {
        use io::ErrorKind as K;
        if matches!(error.kind(), K::StorageFull | K::QuotaExceeded | K::ReadOnlyFilesystem) {
            self.fatal(Error::io(what, Path::new(std::ffi::OsStr::from_bytes(path)), error));
        } else {
            self.problem(path, format!("cannot {what} it: {error}"));
        }
    }

    /// Notes what the target cannot hold; said once for each kind.
    pub fn lost(&self, lost: Lost, path: &impl Fn() -> Vec<u8>) {
        if let Some(first) = self.tally.lost(lost, path) {
            self.progress.warn(&format!("{first}: the target cannot keep {}, here and maybe elsewhere", lost.what));
        }
    }

    /// Notes the attributes that could not be applied to `path`.
    pub fn attr_problems(&self, path: impl Fn() -> Vec<u8>, problems: Vec<AttrProblem>) {
        for problem in problems {
            if !self.policy.is_root && problem.source.kind() == io::ErrorKind::PermissionDenied {
                self.tally.skipped_attributes.add(1);
            } else if let Some(lost) = Lost::of(&problem) {
                self.lost(lost, &path);
            } else {
                self.problem(&path(), text_of(&problem));
            }
        }
    }

    /// What to say of a blob that cannot be had. A store that fails again and again ends the run.
    pub fn read_problem(&self, error: &Error) -> String {
        let text = text_of(error);
        if let Error::Store { op, object, source } = error
            && source.ends_the_run()
        {
            // A cap, a key that was withdrawn, a service that is away: nothing more comes now.
            self.fatal(Error::store(op, object, source.again()));
        } else if let Error::Store { op, object, source: StoreError::Io(source) } = error {
            // A disk with bad places is not gone: what it still gives is to be saved.
            let is_bad_place = source.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error());
            if !is_bad_place && self.store_failures.fetch_add(1, Ordering::Relaxed) + 1 >= STORE_FAILURES {
                let source = StoreError::Io(io::Error::new(source.kind(), source.to_string()));
                self.fatal(Error::Store { op, object: object.clone(), source });
            }
        } else if matches!(error, Error::Interrupted) {
            self.fatal(Error::Interrupted);
        } else if let Error::State { path, what } = error {
            self.fatal(Error::State { path: path.clone(), what: what.clone() });
        } else if matches!(error, Error::Missing(_) | Error::Damaged { .. }) {
            self.doubt();
        }
        text
    }

    /// Notes that what the local state says of blobs does not fit what is there.
    pub fn doubt(&self) {
        self.doubts.store(true, Ordering::Relaxed);
    }

    /// Whether what the local state says of blobs is in doubt.
    pub fn doubts_state(&self) -> bool {
        self.doubts.load(Ordering::Relaxed)
    }

    /// As [`Run::read_problem`], of a segment of this pack.
    pub fn segment_problem(&self, pack: u32, error: &Error) -> Arc<str> {
        let why: Arc<str> = self.read_problem(error).into();
        if matches!(error, Error::Missing(_)) {
            lock(&self.missing_packs).insert(pack, Arc::clone(&why));
        }
        why
    }

    /// What to say of a pack that is known to be missing.
    pub fn missing_pack(&self, pack: u32) -> Option<Arc<str>> {
        lock(&self.missing_packs).get(&pack).cloned()
    }

    /// The store has answered.
    pub fn read_well(&self) {
        self.store_failures.store(0, Ordering::Relaxed);
    }

    /// Notes that the first name of a group is not there.
    pub fn link_failed(&self, key: Option<LinkKey>) {
        lock(&self.failed_links).extend(key);
    }

    /// Whether the first name of a group is not there.
    pub fn has_link_failed(&self, key: &LinkKey) -> bool {
        lock(&self.failed_links).contains(key)
    }

    /// Takes an inode of the target, which stays as it is, for a group. False if it is another group's already.
    pub fn claim(&self, inode: Inode, key: LinkKey) -> bool {
        *lock(&self.claimed).entry(inode).or_insert(key) == key
    }
}

/// An error with its causes.
pub(super) fn text_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Runs the three stages.
///
/// # Errors
/// What ended the run early.
pub(super) fn run(run: &Run<'_>, plan: Plan, target: Target) -> Result<()> {
    let top = target.handle.as_ref().map(TargetDir::try_clone).transpose();
    let top = top.map_err(|e| Error::io("open", &run.options.target, e))?;
    let skipped = match &plan {
        Plan::Into(path, _) => parts(path).count(),
        Plan::Below(skipped, _) => *skipped,
    };
    // One window being filled, one waiting, one being fetched and one being written: only the last two have content.
    let (planned_to, planned) = bounded::<Window>(1);
    let (ready_to, ready) = bounded::<Ready>(0);
    std::thread::scope(|scope| -> Result<()> {
        let named = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let failed = |e| Error::io("start", "a thread", e);
        let walker = named("restore-walk")
            .stack_size(16 << 20)
            .spawn_scoped(scope, move || Walker::new(run, planned_to).walk(plan, target));
        let fetcher = named("restore-fetch").spawn_scoped(scope, move || {
            // To the end also after an error: the walker stops by itself.
            for window in planned {
                if ready_to.send(fetch::fetch(run, window)).is_err() {
                    break;
                }
            }
        });
        let mut writer = write::Writer::new(run, top, skipped);
        for window in ready {
            writer.window(window);
        }
        let ended = [walker.map_err(failed)?.join(), fetcher.map_err(failed)?.join()];
        if ended.iter().any(std::thread::Result::is_err) { Err(Error::Aborted) } else { Ok(()) }
    })?;
    match lock(&run.fatal).take() {
        Some(error) => Err(error),
        None => Ok(()),
    }
}
