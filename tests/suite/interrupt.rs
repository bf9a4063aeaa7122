//! SIGINT and SIGTERM: the run ends soon, what it has done is written down, the next one carries on.

use crate::cli_common::{Run, Sandbox, document};
use crate::common::{noise, write};
use crate::crash::packs::{assert_nothing_twice, stored};
use crate::generations::manifest::Manifest;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const FILES: u64 = 8;
const FILE_BYTES: usize = 24 << 20;

/// A sandbox with a source that takes a while.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    for n in 0..FILES {
        write(&sandbox.path(&format!("source/folder{n}/large")), &noise(n, FILE_BYTES));
        (0..50).for_each(|m| write(&sandbox.path(&format!("source/folder{n}/small{m}")), &noise(n * 100 + m, 2_000)));
    }
    sandbox
}

/// Runs a command and sends it a signal once `is_time`.
fn interrupted(command: &mut Command, signal: Signal, is_time: impl Fn() -> bool) -> Run {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while child.try_wait().unwrap().is_none() && !is_time() {
        sleep(Duration::from_millis(1));
    }
    let asked = Instant::now();
    // It may just have ended by itself.
    let _ = kill_process(Pid::from_child(&child), signal);
    let output = child.wait_with_output().unwrap();
    assert!(asked.elapsed() < Duration::from_secs(30), "it took {:?} to end", asked.elapsed());
    Run {
        code: output.status.code().unwrap_or_else(|| panic!("{signal:?} has killed it: {}", output.status)),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn assert_says_so(run: &Run) {
    assert_eq!(run.code, 130, "{}", run.err);
    assert!(run.err.contains("interrupted") && run.err.contains("carries on"), "{}", run.err);
}

#[test]
fn a_backup_that_is_interrupted_keeps_what_it_has_stored() {
    for signal in [Signal::INT, Signal::TERM] {
        let sandbox = sandbox();
        let mut backup = sandbox.command(&["backup", "source", "--json", "-q"]);
        let run = interrupted(&mut backup, signal, || !stored(&sandbox).is_empty());
        assert_says_so(&run);
        assert_eq!(document(&run.out)["error"]["exit_code"], 130);

        // Nothing half done is left, and what is there has its index object already.
        assert_eq!(fs::read_dir(sandbox.path("repo/tmp")).unwrap().count(), 0);
        let found = sandbox.json(&["check", "--read-data"]);
        assert_eq!((found["snapshots"].as_u64(), found["notes"].as_array().unwrap().len()), (Some(0), 0), "{found}");
        let kept: u64 = stored(&sandbox).iter().map(|(_, size_bytes)| size_bytes).sum();
        assert!(kept > FILE_BYTES as u64);

        let report = sandbox.json(&["backup", "source"]);
        let (read, whole) = (report["summary"]["read_bytes"].as_u64().unwrap(), FILES * FILE_BYTES as u64);
        assert!(read <= whole - FILE_BYTES as u64, "{read} bytes were read again of {whole}");
        let uploaded = report["uploaded_bytes"].as_u64().unwrap();
        assert!(uploaded + kept < whole + (whole >> 5), "{uploaded} after {kept} bytes were stored of {whole}");
        assert_nothing_twice(&sandbox);
    }
}

#[test]
fn a_restore_that_is_interrupted_carries_on() {
    let sandbox = sandbox();
    sandbox.ok(&["backup", "source", "-q"]);
    let source = sandbox.path("source").canonicalize().unwrap();
    let manifest = Manifest::of(&source);
    let what = format!("latest:{}", source.display());
    for signal in [Signal::INT, Signal::TERM] {
        let target = sandbox.path("target");
        let mut restore = sandbox.command(&["restore", &what, "--target", "target", "-q"]);
        let is_begun = || fs::metadata(target.join("folder2/large")).is_ok();
        assert_says_so(&interrupted(&mut restore, signal, is_begun));

        let report = sandbox.json(&["restore", &what, "--target", "target", "--overwrite"]);
        assert!(report["bytes_skipped"].as_u64().unwrap() > FILE_BYTES as u64, "{report}");
        manifest.assert_is(&target, "carried on");
        fs::remove_dir_all(target).unwrap();
    }
}

#[test]
fn whoever_asks_twice_does_not_wait() {
    let sandbox = sandbox();
    let mut child = sandbox.command(&["backup", "source", "-q"]).stderr(Stdio::null()).spawn().unwrap();
    while child.try_wait().unwrap().is_none() && stored(&sandbox).is_empty() {
        sleep(Duration::from_millis(1));
    }
    for _ in 0..2 {
        let _ = kill_process(Pid::from_child(&child), Signal::INT);
        sleep(Duration::from_millis(1));
    }
    assert_eq!(child.wait().unwrap().code(), Some(130));
    sandbox.ok(&["check"]);
    sandbox.ok(&["backup", "source", "-q"]);
    sandbox.ok(&["check", "--read-data"]);
    assert_nothing_twice(&sandbox);
}
