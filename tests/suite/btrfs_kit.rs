//! A real Btrfs in an image file, for tests. Needs root, `mkfs.btrfs` and a kernel with Btrfs and loop devices.

use panther::source::btrfs::{self, Delta, ParentRecord, Refused};
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// A Btrfs, mounted. It is unmounted and gone when dropped.
pub struct BtrfsLab {
    folder: TempDir,
    options: String,
}

/// Runs a program that must succeed.
pub fn run(program: &str, arguments: &[&OsStr]) -> Output {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Runs a program that may fail.
pub fn try_run(program: &str, arguments: &[&OsStr]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

/// Arguments from texts and paths.
#[macro_export]
macro_rules! words {
    ($($word:expr),* $(,)?) => { &[$(::std::ffi::OsStr::new($word)),*][..] };
}

pub fn open_dir(path: &Path) -> OwnedFd {
    OwnedFd::from(File::open(path).unwrap())
}

pub fn name_of(path: &Path) -> CString {
    CString::new(path.file_name().unwrap().as_bytes()).unwrap()
}

impl BtrfsLab {
    /// A small one with the defaults; nothing, and a line that says so, where it cannot be had.
    pub fn new() -> Option<Self> {
        Self::with(1 << 30, &[], "noatime")
    }

    /// One of so many bytes, made with these options of `mkfs.btrfs`, mounted with those of `mount`.
    pub fn with(size_bytes: u64, mkfs: &[&str], options: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: mounting a Btrfs needs root");
            return None;
        }
        if Command::new("mkfs.btrfs").arg("--version").output().is_err() {
            println!("skipped: mkfs.btrfs is not installed");
            return None;
        }
        let folder = TempDir::new().unwrap();
        let lab = Self { folder, options: options.to_owned() };
        File::create(lab.image()).unwrap().set_len(size_bytes).unwrap();
        let mut arguments: Vec<&OsStr> = vec![OsStr::new("-q")];
        arguments.extend(mkfs.iter().map(OsStr::new));
        let image = lab.image();
        arguments.push(image.as_os_str());
        run("mkfs.btrfs", &arguments);
        std::fs::create_dir(lab.root()).unwrap();
        let mounted = lab.mount_command().output().unwrap();
        if !mounted.status.success() {
            println!("skipped: no Btrfs can be mounted: {}", String::from_utf8_lossy(&mounted.stderr).trim());
            return None;
        }
        Some(lab)
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    /// Where it is mounted.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("mount")
    }

    /// A path on it.
    pub fn path(&self, below: &str) -> PathBuf {
        self.root().join(below)
    }

    fn mount_command(&self) -> Command {
        let mut command = Command::new("mount");
        command.arg("-o").arg(format!("loop,{}", self.options)).arg(self.image()).arg(self.root());
        command
    }

    /// Unmounts and mounts again. Nothing on it may be open.
    pub fn remount(&self) {
        run("umount", words![&self.root()]);
        assert!(self.mount_command().status().unwrap().success());
    }

    /// What the disk would have after a power cut, mounted in its place. Nothing on it may be open.
    pub fn crash(&self) {
        let copy = self.folder.path().join("crashed");
        run("cp", words!["--sparse=always", &self.image(), &copy]);
        run("umount", words![&self.root()]);
        std::fs::rename(copy, self.image()).unwrap();
        assert!(self.mount_command().status().unwrap().success());
    }

    /// An empty subvolume at this path.
    pub fn subvolume(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        btrfs::create_subvolume(open_dir(path.parent().unwrap()).as_fd(), &name_of(&path)).unwrap();
        path
    }

    /// A snapshot at this path.
    pub fn snapshot(&self, source: &Path, below: &str, read_only: bool) -> PathBuf {
        let path = self.path(below);
        let (source, into) = (open_dir(source), open_dir(path.parent().unwrap()));
        btrfs::create_snapshot(source.as_fd(), into.as_fd(), &name_of(&path), read_only).unwrap();
        path
    }

    /// Removes a subvolume.
    pub fn delete(&self, path: &Path) {
        btrfs::delete_subvolume(open_dir(path.parent().unwrap()).as_fd(), &name_of(path)).unwrap();
    }

    /// Writes all data and metadata somewhere else.
    pub fn balance(&self) {
        run("btrfs", words!["balance", "start", "--full-balance", &self.root()]);
    }
}

impl Drop for BtrfsLab {
    fn drop(&mut self) {
        if Command::new("mountpoint").arg("-q").arg(self.root()).status().is_ok_and(|status| status.success()) {
            // Lazily where a failing test still has something open.
            let unmounted = try_run("umount", words![&self.root()]) || try_run("umount", words!["-l", &self.root()]);
            assert!(unmounted || std::thread::panicking(), "{} stays mounted", self.root().display());
        }
    }
}

/// What is remembered of a snapshot.
pub fn record(path: &Path) -> ParentRecord {
    ParentRecord::of(open_dir(path).as_fd()).unwrap()
}

/// What changed from one snapshot, of which this is remembered, to the other.
pub fn try_delta(parent: &Path, new: &Path, record: &ParentRecord) -> Result<Delta, Refused> {
    Delta::open(open_dir(parent), open_dir(new), record).unwrap()
}

/// What changed from one snapshot to the other.
pub fn delta(parent: &Path, new: &Path) -> Delta {
    try_delta(parent, new, &record(parent)).unwrap()
}
