//! Backups of subvolumes by a plain user with just the capabilities that they take, and without.

use crate::btrfs_kit::BtrfsLab;
use crate::cli_common::{Run, Sandbox, document, run};
use crate::common::{noise, write};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Nobody has this number.
const USER: u32 = 61_234;
const TWO: &str = "+sys_admin,+dac_read_search";
const THREE: &str = "+sys_admin,+dac_read_search,+fowner";

struct World {
    fs: BtrfsLab,
    sandbox: Sandbox,
}

impl World {
    fn new() -> Option<Self> {
        let fs = BtrfsLab::new()?;
        if Command::new("setpriv").arg("--version").output().is_err() {
            println!("skipped: setpriv is not installed");
            return None;
        }
        fs::set_permissions(fs.root().parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
        let sandbox = Sandbox::new();
        // The user's own copy: where the program was built others may not get.
        fs::copy(env!("CARGO_BIN_EXE_panther"), sandbox.path("panther")).unwrap();
        let mut todo = vec![sandbox.temp.path().to_owned()];
        while let Some(path) = todo.pop() {
            std::os::unix::fs::lchown(&path, Some(USER), Some(USER)).unwrap();
            if path.is_dir() {
                todo.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
        }
        Some(Self { fs, sandbox })
    }

    /// A subvolume of `owner` with a few files.
    fn subvolume(&self, name: &str, owner: u32) -> PathBuf {
        let path = self.fs.subvolume(name);
        for n in 0..10 {
            write(&path.join(format!("file{n}")), &noise(n, 9_000));
        }
        chown(&path, Some(owner), Some(owner)).unwrap();
        path
    }

    /// `backup` as the user, with these capabilities and no others.
    fn backup(&self, capabilities: &str, path: &Path, more: &[&str]) -> Run {
        let like = self.sandbox.command(&["backup"]);
        let mut command = Command::new("setpriv");
        command.env_clear().envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(self.sandbox.temp.path());
        let sets = if capabilities.is_empty() { "-all".to_owned() } else { format!("-all,{capabilities}") };
        let user = format!("{USER}");
        command.args(["--reuid", &user, "--regid", &user, "--clear-groups"]);
        for set in ["--inh-caps", "--ambient-caps", "--bounding-set"] {
            command.args([set, &sets]);
        }
        command.arg(self.sandbox.path("panther")).args(["backup", "--json", "--host", "h"]).args(more).arg(path);
        run(&mut command)
    }
}

fn made(subvolume: &Path) -> usize {
    let Ok(entries) = fs::read_dir(subvolume.join(".panther")) else { return 0 };
    entries.filter(|entry| entry.as_ref().unwrap().file_name().as_bytes().starts_with(b"backup-")).count()
}

fn assert_done(done: &Run, files: u64) {
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    assert_eq!(document(&done.out)["summary"]["files"], files, "{}", done.out);
}

#[test]
fn two_capabilities_are_enough_for_ones_own_subvolume() {
    let Some(world) = World::new() else { return };
    let source = world.subvolume("source", USER);
    // Somebody else's, which only a capability can read.
    fs::set_permissions(source.join("file3"), fs::Permissions::from_mode(0)).unwrap();
    let first = world.backup(TWO, &source, &["--snapshot", "always"]);
    assert_done(&first, 10);
    assert!(first.err.contains("no earlier backup"), "{}", first.err);
    assert_eq!(made(&source), 1);
    fs::write(source.join("file4"), noise(99, 8_000)).unwrap();
    let second = world.backup(TWO, &source, &[]);
    assert_done(&second, 10);
    assert!(!second.err.contains("looked at") && !second.err.contains("live"), "{}", second.err);
    assert_eq!(document(&second.out)["summary"]["read_bytes"], 8_000, "{}", second.out);
    // The one before could be removed.
    assert_eq!(made(&source), 1);
}

#[test]
fn a_third_one_is_needed_for_the_subvolume_of_another() {
    let Some(world) = World::new() else { return };
    let source = world.subvolume("source", 0);
    let refused = |capabilities, why: &str| {
        let always = world.backup(capabilities, &source, &["--snapshot", "always"]);
        assert_eq!(always.code, 1, "{}{}", always.out, always.err);
        assert!(always.err.contains(&format!("cannot take a snapshot of {}", source.display())), "{}", always.err);
        assert!(always.err.contains("hint: it takes CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH"), "{}", always.err);
        assert!(always.err.contains(why), "{}", always.err);
        assert_eq!(document(&always.out)["error"]["exit_code"], 1);
        let auto = world.backup(capabilities, &source, &[]);
        assert_done(&auto, 10);
        assert!(auto.err.contains("the live files are read, because no snapshot can be taken"), "{}", auto.err);
        assert_eq!(made(&source), 0);
    };
    // Nowhere to put it.
    refused(THREE, ".panther");
    let folder = source.join(".panther");
    fs::create_dir(&folder).unwrap();
    chown(&folder, Some(USER), Some(USER)).unwrap();
    refused(TWO, "take the snapshot");
    for round in 0..2 {
        let done = world.backup(THREE, &source, &["--snapshot", "always"]);
        assert_done(&done, 10);
        assert_eq!(done.err.contains("everything is looked at"), round == 0, "{}", done.err);
        assert_eq!(made(&source), 1);
    }
}

/// Owners of subvolumes may take snapshots, but not remove them: none may be left behind.
#[test]
fn without_capabilities_the_live_files_are_read() {
    let Some(world) = World::new() else { return };
    let source = world.subvolume("source", USER);
    for capabilities in ["", "+dac_read_search"] {
        let always = world.backup(capabilities, &source, &["--snapshot", "always"]);
        assert_eq!(always.code, 1, "{}{}", always.out, always.err);
        assert!(always.err.contains("CAP_SYS_ADMIN"), "{}", always.err);
        let auto = world.backup(capabilities, &source, &[]);
        assert_done(&auto, 10);
        assert!(auto.err.contains("the live files are read"), "{}", auto.err);
        let never = world.backup(capabilities, &source, &["--snapshot", "never"]);
        assert_done(&never, 10);
        assert!(!never.err.contains("live files"), "{}", never.err);
        assert_eq!(made(&source), 0);
    }
}
