//! Snapshots mounted by the real binary.

use crate::cli_common::{Sandbox, document};
use crate::common::noise;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A mount that goes away.
struct Mount {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
    target: PathBuf,
}

impl Mount {
    fn new(sandbox: &Sandbox, arguments: &[&str]) -> Self {
        let target = sandbox.path("mnt");
        fs::create_dir_all(&target).ok();
        let mut command = sandbox.command(&["mount", "mnt", "--json"]);
        let mut child = command.args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert_eq!(document(&line)["kind"].as_str(), Some("mounted"), "{line}");
        Self { child, out, target }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.target.join(below)
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Ends it by a signal; its status and last line.
    fn end(mut self, signal: Signal) -> (ExitStatus, String) {
        self.signal(signal);
        let status = self.child.wait().unwrap();
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        (status, line)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        // Nothing of a test may stay mounted.
        let _ = rustix::mount::unmount(&self.target, rustix::mount::UnmountFlags::DETACH);
    }
}

/// Whether this machine lets this user mount.
fn can_mount() -> bool {
    let can = rustix::process::geteuid().is_root() && File::options().read(true).write(true).open("/dev/fuse").is_ok();
    if !can {
        println!("skipped: only root with /dev/fuse can mount here");
    }
    can
}

fn is_mounted(target: &Path) -> bool {
    let target = target.to_str().unwrap();
    fs::read_to_string("/proc/self/mounts").unwrap().lines().any(|line| line.split(' ').nth(1) == Some(target))
}

/// What rsync says differs, to the nanosecond, contents read.
fn rsync(from: &Path, to: &Path) -> String {
    let mut rsync = Command::new("rsync");
    rsync.args(["-aHAXn", "--numeric-ids", "--checksum", "--delete", "--itemize-changes", "--modify-window=-1"]);
    let output = rsync.arg(format!("{}/", from.display())).arg(to).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn setfattr(path: &Path, name: &str, value: &str) {
    let status = Command::new("setfattr").args(["-h", "-n", name, "-v", value]).arg(path).status().unwrap();
    assert!(status.success());
}

/// A tree with everything that a file system has.
fn everything(sandbox: &Sandbox) -> PathBuf {
    let source = sandbox.path("source");
    for number in 0..700 {
        sandbox.write(&format!("source/many/file number {number:04}"), format!("{number}"));
    }
    sandbox.write("source/noise", noise(1, 5_000_000));
    sandbox.write("source/a", "a file with two more names");
    fs::hard_link(source.join("a"), source.join("b")).unwrap();
    fs::hard_link(source.join("a"), source.join("many/c")).unwrap();
    symlink("a", source.join("link")).unwrap();
    symlink("nowhere", source.join("dangling")).unwrap();
    let holes = File::create(source.join("holes")).unwrap();
    holes.set_len(3 << 20).unwrap();
    holes.write_all_at(b"data", 1 << 20).unwrap();
    let mknod = |name: &str, kind: rustix::fs::FileType, device: u64| {
        let mode = rustix::fs::Mode::from_raw_mode(0o640);
        rustix::fs::mknodat(rustix::fs::CWD, source.join(name), kind, mode, device).unwrap();
    };
    mknod("fifo", rustix::fs::FileType::Fifo, 0);
    mknod("char", rustix::fs::FileType::CharacterDevice, rustix::fs::makedev(10, 300));
    mknod("block", rustix::fs::FileType::BlockDevice, rustix::fs::makedev(259, 70_000));
    std::os::unix::fs::chown(source.join("many"), Some(1_234), Some(5_678)).unwrap();
    std::os::unix::fs::lchown(source.join("link"), Some(4_000_000_000), Some(3)).unwrap();
    fs::set_permissions(source.join("noise"), fs::Permissions::from_mode(0o6751)).unwrap();
    setfattr(&source.join("a"), "user.some", "thing");
    setfattr(&source.join("many"), "trusted.of", "root");
    let acl = Command::new("setfacl").args(["-m", "u:77:rx"]).arg(source.join("noise")).status().unwrap();
    assert!(acl.success());
    source
}

#[test]
fn a_mounted_snapshot_is_what_was_backed_up() {
    if !can_mount() {
        return;
    }
    let sandbox = Sandbox::new();
    let source = everything(&sandbox);
    let made = sandbox.json(&["backup", "source", "--tag", "x/y", "--host", ".."]);
    let id = made["snapshot"].as_str().unwrap()[..8].to_owned();
    let mount = Mount::new(&sandbox, &[]);
    let root = mount.path(&format!("ids/{id}{}", source.canonicalize().unwrap().display()));
    assert_eq!(rsync(&source, &root), "");

    let stat = |path: PathBuf| path.symlink_metadata().unwrap();
    let [a, b, c] = ["a", "b", "many/c"].map(|name| stat(root.join(name)));
    assert_eq!((a.nlink(), a.ino(), a.ino()), (3, b.ino(), c.ino()));
    assert_eq!(stat(root.join("noise")).nlink(), 1);
    let holes = stat(root.join("holes"));
    assert!(holes.len() == 3 << 20 && holes.blocks() < 2_048, "{}", holes.blocks());
    let file = File::open(root.join("holes")).unwrap();
    let seek = |to| rustix::fs::seek(&file, to);
    let data = seek(rustix::fs::SeekFrom::Data(0)).unwrap();
    assert!(data > 0 && data <= 1 << 20);
    assert_eq!(seek(rustix::fs::SeekFrom::Hole(0)).unwrap(), 0);
    assert!(seek(rustix::fs::SeekFrom::Hole(data)).unwrap() < 2 << 20);
    assert_eq!(seek(rustix::fs::SeekFrom::Data(2 << 20)), Err(rustix::io::Errno::NXIO));
    for path in ["char", "block"] {
        assert_eq!(stat(root.join(path)).rdev(), stat(source.join(path)).rdev());
    }
    // Read only, and nothing in it does anything.
    assert_eq!(File::create(root.join("new")).unwrap_err().raw_os_error(), Some(30));
    assert_eq!(fs::remove_file(root.join("a")).unwrap_err().raw_os_error(), Some(30));
    assert!(File::open(root.join("char")).is_err());
    assert_eq!(fs::metadata(root.join("no such")).unwrap_err().kind(), std::io::ErrorKind::NotFound);

    // The links by time, host and tag; names that somebody chose lead nowhere else.
    for way in ["snapshots", "hosts/_..", "tags/x_y"] {
        let names: Vec<String> =
            fs::read_dir(mount.path(way)).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        for name in names {
            let there = mount.path(way).join(name).canonicalize().unwrap();
            assert_eq!(there, mount.path(&format!("ids/{id}")));
        }
    }
    // Any part of a file.
    let file = File::open(root.join("noise")).unwrap();
    let whole = noise(1, 5_000_000);
    for (offset, len) in [(0, 1), (4_999_990, 100), (1_234_567, 700_001), (65_535, 2), (5_000_000, 1)] {
        let end = (offset + len).min(whole.len());
        let mut buffer = vec![0; len];
        let read = file.read_at(&mut buffer, offset as u64).unwrap();
        assert!(buffer[..read] == whole[offset..offset + read] && (read == len || offset + read == end));
    }
    drop(file);
    let (status, line) = mount.end(Signal::TERM);
    assert!(status.success());
    assert_eq!(document(&line)["kind"].as_str(), Some("unmounted"));
    assert!(!is_mounted(&sandbox.path("mnt").canonicalize().unwrap()));
}

#[test]
fn it_ends_whatever_happens() {
    if !can_mount() {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.write("source/file", noise(2, 300_000));
    sandbox.ok(&["backup", "source"]);
    let target = sandbox.path("mnt");
    let file = |mount: &Mount| {
        let below = sandbox.path("source/file").canonicalize().unwrap();
        mount.path(&format!("snapshots/latest{}", below.display()))
    };

    // By SIGINT, with a file open.
    let mount = Mount::new(&sandbox, &[]);
    let open = File::open(file(&mount)).unwrap();
    let (status, _) = mount.end(Signal::INT);
    assert!(status.success() && !is_mounted(&target));
    assert!(open.read_at(&mut [0; 10], 200_000).is_err());
    drop(open);

    // By umount.
    let mut mount = Mount::new(&sandbox, &[]);
    assert_eq!(fs::read(file(&mount)).unwrap(), noise(2, 300_000));
    rustix::mount::unmount(&target, rustix::mount::UnmountFlags::empty()).unwrap();
    assert!(mount.child.wait().unwrap().success());
    drop(mount);

    // Killed: whoever comes gets an error at once, and the next mount clears away.
    let mut mount = Mount::new(&sandbox, &[]);
    let began = Instant::now();
    mount.child.kill().unwrap();
    mount.child.wait().unwrap();
    let gone = fs::read_dir(&target).unwrap_err();
    assert_eq!(gone.raw_os_error(), Some(rustix::io::Errno::NOTCONN.raw_os_error()));
    assert!(began.elapsed() < Duration::from_secs(5));
    let again = Mount::new(&sandbox, &["--allow-other"]);
    assert_eq!(fs::read(file(&again)).unwrap(), noise(2, 300_000));
    drop(again);
    assert!(!is_mounted(&target));
}

#[test]
fn damage_is_an_error_of_what_it_is_in() {
    if !can_mount() {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.write("source/bad", noise(3, 100_000));
    sandbox.ok(&["backup", "source"]);
    let packs = files(&sandbox.path("repo/writers"), "packs");
    sandbox.write("source/good", noise(4, 100_000));
    sandbox.ok(&["backup", "source"]);
    // Of the first backup the data pack is the largest.
    let victim = packs.iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    fs::set_permissions(victim, fs::Permissions::from_mode(0o600)).unwrap();
    File::options().write(true).open(victim).unwrap().write_all_at(&[0; 64], 50_000).unwrap();
    let mount = Mount::new(&sandbox, &[]);
    let root = sandbox.path("source").canonicalize().unwrap();
    let at = |name: &str| mount.path(&format!("snapshots/latest{}/{name}", root.display()));
    assert_eq!(fs::read(at("bad")).unwrap_err().raw_os_error(), Some(5));
    assert_eq!(fs::read(at("good")).unwrap(), noise(4, 100_000));
}

/// The files in folders of this name.
fn files(folder: &Path, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.components().any(|part| part.as_os_str() == name) {
                found.push(entry);
            }
        }
    }
    found
}

#[test]
fn what_cannot_be_mounted() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("mnt")).unwrap();
    let none = sandbox.run(&["mount", "mnt"]);
    assert_eq!(none.code, 2, "{}", none.err);
    sandbox.write("source/file", "x");
    sandbox.ok(&["backup", "source"]);
    assert_eq!(sandbox.run(&["mount", "no-such-folder"]).code, 1);
    assert_eq!(sandbox.run(&["mount", "source/file"]).code, 1);
    assert_eq!(sandbox.run(&["mount", "mnt", "--host", "nobody"]).code, 2);
    let json: Value = document(&sandbox.run(&["mount", "no-such-folder", "--json"]).out);
    assert_eq!(json["error"]["exit_code"].as_u64(), Some(1));
}
