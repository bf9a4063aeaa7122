//! `try` with the real binary: its figures, and that nothing is left.

use crate::cli_common::{PASSWORD, Sandbox, document, run};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A source, and a folder for temporary files that is empty.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::empty();
    sandbox.write("source/a/one", "1");
    sandbox.write("source/a/two", vec![7; 300_000]);
    std::os::unix::fs::symlink("one", sandbox.path("source/a/link")).unwrap();
    std::fs::create_dir(sandbox.path("tmp")).unwrap();
    sandbox
}

fn command(sandbox: &Sandbox) -> Command {
    let mut command = sandbox.bare();
    command.env_remove("PANTHER_REPOSITORY").env("TMPDIR", sandbox.path("tmp")).arg("try");
    command
}

fn nothing_left(sandbox: &Sandbox) {
    let left: Vec<_> = std::fs::read_dir(sandbox.path("tmp")).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn figures() {
    let sandbox = sandbox();
    let tried = run(command(&sandbox).args(["source", "--json"]));
    assert_eq!(tried.code, 0, "{}", tried.err);
    let json = document(&tried.out);
    assert_eq!((json["files"].as_u64(), json["comparison"]["different"].as_u64()), (Some(2), Some(0)));
    assert_eq!((json["comparison"]["objects"].as_u64(), json["kept"].is_null()), (Some(4), true));
    nothing_left(&sandbox);
    let text = run(command(&sandbox).arg("source/a/two"));
    assert!(text.out.contains("1 object as before") && text.out.contains("$0.00 a month"), "{}{}", text.out, text.err);
    nothing_left(&sandbox);
    assert!(!sandbox.path("state").exists(), "the state of others is left alone");
    assert_eq!(run(command(&sandbox).arg("nothing")).code, 1);
    nothing_left(&sandbox);
}

#[test]
fn what_holds_the_scratch_folder_can_be_tried() {
    let sandbox = sandbox();
    let tried = run(command(&sandbox).args([".", "--json"]));
    assert_eq!(tried.code, 0, "{}{}", tried.out, tried.err);
    nothing_left(&sandbox);
}

#[test]
fn kept() {
    let sandbox = sandbox();
    let tried = run(command(&sandbox).args(["source", "--keep", "kept", "--password-file", "password"]));
    assert_eq!(tried.code, 0, "{}", tried.err);
    assert!(tried.out.contains("the repository was kept in "), "{}", tried.out);
    nothing_left(&sandbox);
    let listed = run(sandbox.bare().env("PANTHER_PASSWORD", PASSWORD).args(["snapshots", "-r", "kept", "--json"]));
    assert_eq!(document(&listed.out)["snapshots"].as_array().unwrap().len(), 2);
    let again = run(command(&sandbox).args(["source", "--keep", "kept", "--password-file", "password"]));
    assert_eq!(again.code, 2, "it is not empty");
}

#[test]
fn interrupted() {
    let sandbox = sandbox();
    for number in 0..40 {
        let noise: Vec<u8> =
            (0..2_000_000_u32).flat_map(|n| (n ^ number).wrapping_mul(0x9e37_79b9).to_le_bytes()).collect();
        sandbox.write(&format!("source/{number}"), noise);
    }
    let mut child = command(&sandbox).arg("source").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    let at_work = || {
        let made = std::fs::read_dir(sandbox.path("tmp")).unwrap().flatten().next();
        made.is_some_and(|scratch| scratch.path().join("state").exists())
    };
    while !at_work() && began.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let id = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    // Impatience changes nothing: it clears away first.
    for _ in 0..3 {
        let _ = rustix::process::kill_process(id, rustix::process::Signal::INT);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(child.wait().unwrap().code(), Some(130));
    nothing_left(&sandbox);
}
