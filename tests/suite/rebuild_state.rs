//! `rebuild-state`: a lost or damaged state is learnt anew, and the next backup reads only what has changed.

use crate::cli_common::{Sandbox, run};
use crate::common::{noise, settle};
use std::fs;
use std::time::Duration;

/// A folder that was backed up once, long enough ago for clocks of file systems.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    for n in 0..30u64 {
        sandbox.write(&format!("source/{}/{n}", n % 3), noise(n, 20_000));
    }
    fs::hard_link(sandbox.path("source/0/3"), sandbox.path("source/1/link")).unwrap();
    std::os::unix::fs::symlink("3", sandbox.path("source/0/symlink")).unwrap();
    std::thread::sleep(Duration::from_millis(2_200));
    sandbox.ok(&["backup", "source", "--host", "here"]);
    sandbox
}

fn lose_state(sandbox: &Sandbox) {
    fs::remove_dir_all(sandbox.path("state")).unwrap();
}

#[test]
fn the_next_backup_reads_only_what_has_changed() {
    let sandbox = sandbox();
    let first = sandbox.json(&["snapshots"])["snapshots"][0].clone();
    // Changed in every way that the size does not tell.
    settle();
    let path = sandbox.path("source/0/0");
    let time = path.metadata().unwrap().modified().unwrap();
    sandbox.write("source/0/0", noise(500, 20_000));
    fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    // Another file of the same size and time in the place of one.
    fs::copy(sandbox.path("source/1/1"), sandbox.path("source/1/new")).unwrap();
    let time = sandbox.path("source/1/4").metadata().unwrap().modified().unwrap();
    sandbox.write("source/1/new", noise(501, 20_000));
    fs::File::options().write(true).open(sandbox.path("source/1/new")).unwrap().set_modified(time).unwrap();
    fs::rename(sandbox.path("source/1/new"), sandbox.path("source/1/4")).unwrap();
    // Two folders change places: what is in them is old, but elsewhere.
    fs::rename(sandbox.path("source/1"), sandbox.path("source/away")).unwrap();
    fs::rename(sandbox.path("source/2"), sandbox.path("source/1")).unwrap();
    fs::rename(sandbox.path("source/away"), sandbox.path("source/2")).unwrap();
    lose_state(&sandbox);
    let done = sandbox.json(&["rebuild-state", "--host", "here"]);
    assert_eq!(done["parents"][0], first["id"]);
    // All of folder 0 but one; the others are at other places.
    assert_eq!(
        (done["warmed"]["files"].as_u64(), done["warmed"]["doubtful_files"].as_u64()),
        (Some(9), Some(22)),
        "{done}"
    );
    assert!(done["blobs"].as_u64().unwrap() > 20 && done["index_objects"] == 1 && done["snapshots"] == 1, "{done}");
    let made = sandbox.json(&["backup", "source", "--host", "here"]);
    assert_eq!(made["parent"], first["id"]);
    let read = made["summary"]["read_bytes"].as_u64().unwrap();
    assert!((400_000..=480_000).contains(&read), "{made}");
    // What was made so is what a backup that reads everything makes.
    let forced = sandbox.json(&["backup", "source", "--host", "here", "--force", "--skip-if-unchanged"]);
    assert!(forced["snapshot"].is_null(), "{forced}");
    assert_eq!(sandbox.run(&["check", "--read-data"]).code, 0);
}

#[test]
fn an_unchanged_source_is_not_read() {
    let sandbox = sandbox();
    lose_state(&sandbox);
    sandbox.ok(&["rebuild-state", "--host", "here"]);
    let made = sandbox.json(&["backup", "source", "--host", "here", "--skip-if-unchanged"]);
    assert_eq!(
        (made["summary"].get("read_bytes").and_then(|b| b.as_u64()).unwrap_or(0), &made["snapshot"]),
        (0, &serde_json::Value::Null),
        "{made}"
    );
    // Without a look at the files they are read, and nothing of them is stored.
    lose_state(&sandbox);
    sandbox.ok(&["rebuild-state", "--host", "here", "--cold"]);
    let made = sandbox.json(&["backup", "source", "--host", "here", "--skip-if-unchanged"]);
    assert_eq!(made["summary"]["read_bytes"], 600_000, "{made}");
    assert_eq!(made["uploaded_bytes"], 0, "{made}");
    // A state that is damaged is replaced; manifests that were seen are still missed when they vanish.
    let done = sandbox.json(&["rebuild-state", "--host", "here"]);
    let id = done["parents"][0].as_str().unwrap().to_owned();
    fs::remove_file(sandbox.path(&format!("repo/writers/here/snapshots/{id}"))).unwrap();
    sandbox.ok(&["rebuild-state", "--host", "here"]);
    let check = sandbox.run(&["check"]);
    assert!(check.code == 4 && check.err.contains(&id), "{}", check.err);
}

#[test]
fn a_writer_learns_what_it_may() {
    let sandbox = sandbox();
    sandbox.write("writer", "a passphrase of a writer\n");
    sandbox.ok(&[
        "key",
        "add",
        "--role",
        "writer",
        "--writer",
        "there",
        "--label",
        "w",
        "--new-password-file",
        "writer",
    ]);
    let as_writer =
        |arguments: &[&str]| run(sandbox.bare().args(arguments).args(["--password-file", "writer", "--json"]));
    let made = as_writer(&["backup", "source", "--host", "there"]);
    assert_eq!(made.code, 0, "{}", made.err);
    lose_state(&sandbox);
    let done = as_writer(&["rebuild-state"]);
    assert_eq!(done.code, 0, "{}", done.err);
    let made = as_writer(&["backup", "source", "--host", "there"]);
    let made = crate::cli_common::document(&made.out);
    assert!(made["uploaded_bytes"].as_u64().unwrap() < 20_000, "{made}");
}
