//! `mount`: snapshots as a read-only file system.

mod fuse;
pub mod layout;
mod links;
mod nodes;
mod tree;

use crate::error::{Error, Result};
use crate::ops::Progress;
use crate::repo::reader::BlobReader;
use crate::repo::snapshots::Snapshot;
use fuser::{Config, MountOption, Session, SessionACL};
use jiff::tz::TimeZone;
use layout::Layout;
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a program may take to let go of the mounted files after the end was asked for.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it is looked whether the end was asked for.
const TICK: Duration = Duration::from_millis(50);
/// Requests that are answered at the same time.
const THREADS: usize = 4;

/// How to mount.
#[derive(Clone, Debug)]
pub struct MountOptions {
    /// On this folder.
    pub target: PathBuf,
    /// Other users may look, too, as far as the permissions of the files go.
    pub allow_other: bool,
}

/// Mounts the snapshots and answers until somebody unmounts, or `progress` says that it is to end. `mounted` is called once it is done.
///
/// # Errors
/// [`Error::Io`] when it cannot be mounted or unmounted.
pub fn mount(
    reader: BlobReader<'static>,
    snapshots: Vec<Snapshot>,
    zone: &TimeZone,
    options: &MountOptions,
    progress: &Arc<dyn Progress + Send>,
    mounted: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let failed = |e| Error::io("mount on", &options.target, e);
    clear_away_a_dead_one(&options.target);
    let target = options.target.canonicalize().map_err(failed)?;
    if !target.is_dir() {
        return Err(failed(io::ErrorKind::NotADirectory.into()));
    }
    let layout = Layout::new(&snapshots, zone);
    let tree = Arc::new(tree::Tree::new(reader, snapshots, layout, Arc::clone(progress)));
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::RO,
        MountOption::NoDev,
        MountOption::NoSuid,
        MountOption::NoAtime,
        MountOption::FSName("panther".to_owned()),
        MountOption::Subtype("panther".to_owned()),
    ];
    config.n_threads = Some(THREADS);
    config.clone_fd = true;
    if options.allow_other {
        config.acl = SessionACL::All;
        config.mount_options.push(MountOption::DefaultPermissions);
    }
    let session = Session::new(fuse::Fuse::new(tree), &target, &config).map_err(failed)?;
    let running = session.spawn().map_err(failed)?;
    mounted(&target)?;
    while !running.guard.is_finished() {
        if progress.cancelled() {
            detach(&target).map_err(|e| Error::io("unmount", &target, e))?;
            let until = Instant::now() + PATIENCE;
            while !running.guard.is_finished() && Instant::now() < until {
                std::thread::sleep(TICK);
            }
            if !running.guard.is_finished() {
                progress.warn("files below it are still open: whoever has them open gets errors from now on");
                // It is unmounted; what is left goes with the process.
                std::mem::forget(running);
            }
            return Ok(());
        }
        std::thread::sleep(TICK);
    }
    running.join().map_err(failed)
}

/// Unmounts, also where programs have files open there: nobody else gets in.
fn detach(target: &Path) -> io::Result<()> {
    match unmount(target, UnmountFlags::DETACH) {
        Ok(()) => return Ok(()),
        // Nobody but root may; fusermount3 may for those who have mounted.
        Err(Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    let mut helper = Command::new("fusermount3");
    helper.args(["-u", "-z", "-q", "--"]).arg(target).stdin(Stdio::null()).stdout(Stdio::null());
    let status = helper.status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("fusermount3 could not do it")) }
}

/// Where a process was killed that had mounted something there, nothing answers any more.
fn clear_away_a_dead_one(target: &Path) {
    let is_dead = std::fs::metadata(target).is_err_and(|e| e.raw_os_error() == Some(Errno::NOTCONN.raw_os_error()));
    if is_dead {
        // If it stays, mounting says so.
        let _ = detach(target);
    }
}
