//! Memory does not grow with what is backed up.

use crate::cli_common::Sandbox;
use crate::common::{noise, write};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

/// What a run may need at most.
const LIMIT_KIB: u64 = 256 << 10;

/// Whether to take the large ones, which need minutes with a debug build on a slow disk.
fn is_big() -> bool {
    std::env::var_os("PANTHER_BIG").is_some()
}

/// Runs a command that must succeed; the most memory it had, in KiB.
fn peak_kib(sandbox: &Sandbox, arguments: &[&str]) -> u64 {
    let mut child = sandbox.command(arguments).stdout(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let code = loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = line.map_or(peak, |line| line.trim().trim_end_matches(" kB").parse().unwrap());
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        sleep(Duration::from_millis(2));
    };
    assert_eq!(code, Some(0), "{arguments:?}");
    peak
}

fn assert_modest(sandbox: &Sandbox, what: &str) {
    for arguments in [
        &["backup", "source", "-q"][..],
        &["backup", "source", "-q"],
        &["backup", "source", "-q", "--force"],
        &["check", "--read-data", "-q"],
        &["restore", "latest", "--target", "target", "-q"],
    ] {
        let peak = peak_kib(sandbox, arguments);
        println!("{what}, {}: {} MiB", arguments.join(" "), peak >> 10);
        assert!(peak < LIMIT_KIB, "{what}: {arguments:?} took {peak} KiB");
    }
}

#[test]
fn a_folder_of_very_many_files() {
    let sandbox = Sandbox::new();
    let files = if is_big() { 1_000_000 } else { 100_000 };
    std::fs::create_dir(sandbox.path("source")).unwrap();
    for n in 0..files {
        let bytes = format!("file number {n}\n").repeat(n % 60);
        std::fs::write(sandbox.path(&format!("source/file{n}")), bytes).unwrap();
    }
    assert_modest(&sandbox, &format!("{files} files"));
}

#[test]
fn a_very_large_file() {
    let sandbox = Sandbox::new();
    write(&sandbox.path("source/small"), b"small");
    let file = File::create(sandbox.path("source/large")).unwrap();
    let parts = if is_big() { 80 } else { 4 };
    for n in 0..parts {
        file.write_all_at(&noise(n, 64 << 20), n * (256 << 20)).unwrap();
    }
    file.set_len(parts * (256 << 20)).unwrap();
    assert_modest(&sandbox, &format!("{} GiB, of which a quarter is no hole", parts / 4));
}
