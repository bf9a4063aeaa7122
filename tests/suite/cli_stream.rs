//! Backups of streams and of listed paths, through the real binary.

use crate::cli_common::{Run, Sandbox, document, run};
use crate::common::noise;
use std::io::Write;
use std::process::{Command, Stdio};

/// Runs it with this on its standard input.
fn feed(sandbox: &Sandbox, arguments: &[&str], input: &[u8]) -> Run {
    let mut command = sandbox.command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || drop(pipe.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Run { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}

fn dumped(sandbox: &Sandbox, path: &str) -> Vec<u8> {
    sandbox.command(&["dump", &format!("latest:{path}")]).output().unwrap().stdout
}

fn snapshots(sandbox: &Sandbox) -> usize {
    sandbox.json(&["snapshots"])["snapshots"].as_array().unwrap().len()
}

#[test]
fn the_standard_input() {
    let sandbox = Sandbox::new();
    let big = noise(5, 3_000_000);
    let made = feed(&sandbox, &["backup", "--stdin", "--stdin-filename", "db/all.sql", "--tag", "db", "--json"], &big);
    assert_eq!(made.code, 0, "{}", made.err);
    let made = document(&made.out);
    assert_eq!(made["summary"]["source_bytes"].as_u64(), Some(3_000_000));
    assert!(dumped(&sandbox, "/db/all.sql") == big);
    // The same once more stores next to nothing.
    let again = document(&feed(&sandbox, &["backup", "--stdin", "--stdin-filename", "db/all.sql", "--json"], &big).out);
    assert_eq!(again["summary"]["data_blobs"].as_u64(), Some(0));
    for (input, name) in [(&b""[..], "stdin"), (b"short", "stdin")] {
        assert_eq!(feed(&sandbox, &["backup", "--stdin"], input).code, 0);
        assert_eq!(dumped(&sandbox, name), input);
    }
    assert_eq!(snapshots(&sandbox), 4);
    let dry = document(&feed(&sandbox, &["backup", "--stdin", "--dry-run", "--json"], &big).out);
    assert!(dry["snapshot"].is_null() && snapshots(&sandbox) == 4);
    for bad in [
        &["backup", "--stdin", "source"][..],
        &["backup", "--stdin", "--stdin-filename", ""],
        &["backup", "--stdin", "--stdin-filename", "a/../b"],
        &["backup", "--stdin", "--stdin-from-command", "--", "true"],
    ] {
        assert_eq!(feed(&sandbox, bad, b"x").code, 2, "{bad:?}");
    }
    sandbox.ok(&["check", "--read-data"]);
}

#[test]
fn a_command() {
    let sandbox = Sandbox::new();
    let backup = |words: &[&str]| {
        sandbox.run(&[&["backup", "--stdin-from-command", "--stdin-filename", "out", "--"], words].concat())
    };
    assert_eq!(backup(&["echo", "$HOME; x"]).code, 0);
    assert_eq!(dumped(&sandbox, "/out"), b"$HOME; x\n");
    assert_eq!(snapshots(&sandbox), 1);
    // It fails at its very end, or cannot be run, or is killed: then there is no snapshot.
    for words in [
        &["sh", "-c", "head -c 500000 /dev/urandom; exit 3"][..],
        &["/nowhere/at-all"],
        &["sh", "-c", "echo x; kill -9 $$"],
    ] {
        let failed = backup(words);
        assert_eq!(failed.code, 8, "{words:?}: {}", failed.err);
    }
    assert_eq!(snapshots(&sandbox), 1);
    assert_eq!(sandbox.run(&["backup", "--stdin-from-command"]).code, 2);
    // A signal ends it, and what it runs.
    let mut command = sandbox.command(&["backup", "--stdin-from-command", "--"]);
    command.args(["sh", "-c", "echo $$ > pid; exec sleep 1000"]).stderr(Stdio::null()).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let pid = loop {
        match std::fs::read_to_string(sandbox.path("pid")) {
            Ok(text) if text.ends_with('\n') => break text.trim().to_owned(),
            _ => std::thread::sleep(std::time::Duration::from_millis(20)),
        }
    };
    let process = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z "), "{state}");
    assert_eq!(snapshots(&sandbox), 1);
}

#[test]
fn listed_paths() {
    let sandbox = Sandbox::new();
    for name in ["a", "b", "new\nline", "c"] {
        sandbox.write(&format!("source/{name}"), name);
    }
    sandbox.write("list", "source/a\n\nsource/b\nsource/gone\n");
    let listed = sandbox.run(&["backup", "--files-from", "list", "source/c"]);
    assert!(listed.code == 0 && listed.err.contains("source/gone"), "{}", listed.err);
    let names = |sandbox: &Sandbox| -> Vec<String> {
        sandbox.ok(&["ls", "latest"]).lines().map(|line| line.rsplit('/').next().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&sandbox), ["a", "b", "c"]);
    let found =
        Command::new("find").args(["source", "-type", "f", "-print0"]).current_dir(sandbox.temp.path()).output();
    let from_stdin = feed(&sandbox, &["backup", "--files-from0", "-"], &found.unwrap().stdout);
    assert_eq!(from_stdin.code, 0, "{}", from_stdin.err);
    assert_eq!(names(&sandbox), ["a", "b", "c", "new\\nline"]);
    assert_eq!(sandbox.run(&["backup", "--files-from", "no-such-list"]).code, 1);
    sandbox.write("empty", "\n");
    assert_eq!(run(&mut sandbox.command(&["backup", "--files-from", "empty"])).code, 2);
}
