//! What goes wrong outside of the program: it says so, with the exit code that is documented, and spoils nothing.

mod memory;
mod source;
mod state;

use crate::cli_common::{Run, Sandbox, run};
use crate::common::{noise, write};
use crate::crash::packs::{assert_nothing_twice, stored};
use crate::generations::manifest::Manifest;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Something mounted for a while.
struct Mount(PathBuf);

impl Mount {
    /// Nothing, and a line that says so, where nothing can be mounted.
    fn new(what: &Path, at: &Path, options: &[&str]) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mut mount = Command::new("mount");
        let done = mount.args(options).args([what, at]).stderr(Stdio::null()).status();
        if done.is_ok_and(|status| status.success()) {
            return Some(Self(at.to_owned()));
        }
        println!("skipped: nothing can be mounted here");
        None
    }

    fn remount(&self, options: &str) {
        assert!(Command::new("mount").args(["-o", options]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Fails unless a run ended with this code and said all of these.
fn assert_says(run: &Run, code: i32, words: &[&str]) {
    assert_eq!(run.code, code, "{}", run.err);
    for word in words {
        assert!(run.err.contains(word), "no {word:?} in: {}", run.err);
    }
}

/// Restores the latest snapshot of the sandbox's source.
fn assert_comes_back(sandbox: &Sandbox, manifest: &Manifest) {
    let source = sandbox.path("source").canonicalize().unwrap();
    let target = sandbox.path("back");
    sandbox.ok(&["restore", &format!("latest:{}", source.display()), "--target", "back", "-q"]);
    manifest.assert_is(&target, "restored");
    fs::remove_dir_all(target).unwrap();
}

#[test]
fn a_repository_that_is_full() {
    let sandbox = Sandbox::empty();
    let repo = sandbox.path("repo");
    let Some(mount) = Mount::new(Path::new("tmpfs"), &repo, &["-t", "tmpfs", "-o", "size=80m"]) else { return };
    sandbox.ok(&["init"]);
    sandbox.write("source/before", noise(9, 100_000));
    sandbox.ok(&["backup", "source", "-q"]);
    let before = Manifest::of(&sandbox.path("source"));
    for n in 0..6 {
        sandbox.write(&format!("source/file{n}"), noise(n, 20 << 20));
    }
    let manifest = Manifest::of(&sandbox.path("source"));

    for _ in 0..2 {
        let full = sandbox.run(&["backup", "source", "-q"]);
        assert_says(&full, 5, &["the store is full", "carries on where it stopped", "store a pack"]);
    }
    sandbox.ok(&["check", "--read-data"]);
    assert_comes_back(&sandbox, &before);
    assert_eq!(fs::read_dir(repo.join("tmp")).unwrap().count(), 0, "what could not be finished is gone");

    let kept: u64 = stored(&sandbox).iter().map(|(_, size_bytes)| size_bytes).sum();
    assert!(kept > 40 << 20);
    mount.remount("remount,size=400m");
    let report = sandbox.json(&["backup", "source"]);
    let uploaded = report["uploaded_bytes"].as_u64().unwrap();
    assert!(uploaded + kept < (6 * 20 + 4) << 20, "{uploaded} bytes were stored after {kept}");
    sandbox.ok(&["check", "--read-data"]);
    assert_nothing_twice(&sandbox);
    assert_comes_back(&sandbox, &manifest);
}

#[test]
fn a_repository_that_is_read_only() {
    let sandbox = Sandbox::new();
    sandbox.write("source/file", noise(1, 100_000));
    sandbox.ok(&["backup", "source", "-q"]);
    let manifest = Manifest::of(&sandbox.path("source"));
    let repo = sandbox.path("repo");
    let Some(mount) = Mount::new(&repo, &repo, &["--bind"]) else { return };
    mount.remount("remount,bind,ro");
    sandbox.write("source/more", "more");

    let refused = sandbox.run(&["backup", "source", "-q"]);
    assert_says(&refused, 5, &["the store does not allow it", "read-only", "repo"]);
    assert_comes_back(&sandbox, &manifest);
    for arguments in [&["ls", "latest"][..], &["snapshots"], &["check", "--read-data"], &["key", "list"]] {
        sandbox.ok(arguments);
    }
    // Neither does it need to know the repository already.
    fs::remove_dir_all(sandbox.path("state")).unwrap();
    assert_comes_back(&sandbox, &manifest);
    drop(mount);
    sandbox.ok(&["backup", "source", "-q"]);
    sandbox.ok(&["check", "--read-data"]);
}

#[test]
fn a_target_that_is_full() {
    let sandbox = Sandbox::new();
    sandbox.write("source/file", noise(1, 12 << 20));
    sandbox.ok(&["backup", "source", "-q"]);
    let target = sandbox.path("target");
    let Some(mount) = Mount::new(Path::new("tmpfs"), &target, &["-t", "tmpfs", "-o", "size=8m"]) else { return };
    let what = format!("latest:{}", sandbox.path("source").canonicalize().unwrap().display());
    let full = sandbox.run(&["restore", &what, "--target", "target", "-q"]);
    assert_says(&full, 1, &["cannot write", "No space left"]);
    mount.remount("remount,size=80m");
    sandbox.ok(&["restore", &what, "--target", "target", "--overwrite", "-q"]);
    let manifest = Manifest::of(&sandbox.path("source"));
    manifest.assert_is(&target, "carried on");
}

#[test]
fn whoever_has_the_wrong_key_or_place_changes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("source/file", "content");
    sandbox.ok(&["backup", "source", "-q"]);
    let before = Manifest::of(&sandbox.path("repo"));

    sandbox.write("wrong", "not the passphrase\n");
    for arguments in [&["backup", "source"][..], &["restore", "latest", "--target", "x"], &["check"], &["ls", "latest"]]
    {
        let run = sandbox.run(&[arguments, &["--password-file", "wrong"]].concat());
        assert_says(&run, 12, &["no key of the repository opens with this passphrase"]);
        let run = sandbox.run(&[arguments, &["-r", "source"]].concat());
        assert_says(&run, 10, &["no panther repository at", "source"]);
        let run = sandbox.run(&[arguments, &["-r", "nowhere"]].concat());
        assert_says(&run, 10, &["nowhere"]);
    }
    assert!(!sandbox.path("nowhere").exists() && !sandbox.path("x").exists());
    assert_eq!(fs::read_dir(sandbox.path("source")).unwrap().count(), 1);

    let missing = sandbox.run(&["backup", "source", "not there"]);
    assert_says(&missing, 1, &["not there"]);

    sandbox.write("full/mine", "mine");
    let full = Manifest::of(&sandbox.path("full"));
    let run = sandbox.run(&["restore", "latest", "--target", "full"]);
    assert_says(&run, 2, &["full is not empty", "--overwrite"]);
    full.assert_is(&sandbox.path("full"), "the target");
    before.assert_is(&sandbox.path("repo"), "the repository");
}

#[test]
fn what_killed_runs_have_left_goes_away_in_time() {
    let sandbox = Sandbox::new();
    write(&sandbox.path("source/file"), b"content");
    let tmp = sandbox.path("repo/tmp");
    // A spool file is locked while it is written to; what the store itself puts there is not.
    for (name, age_secs, stays) in [
        ("spool-1-0-old", 10, false),
        ("spool-1-0-young", 0, true),
        ("12-3-0123456789abcdef", 3_600, true),
        ("12-4-0123456789abcdef", 2 * 24 * 3_600, false),
    ] {
        write(&tmp.join(name), b"half");
        let file = fs::File::options().write(true).open(tmp.join(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(age_secs)).unwrap();
        drop(file);
        sandbox.ok(&["backup", "source", "-q"]);
        assert_eq!(tmp.join(name).exists(), stays, "{name}");
    }
    let done = run(&mut sandbox.command(&["check"]));
    assert_says(&done, 0, &[]);
}
