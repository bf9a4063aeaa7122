//! `copy` between repositories: the same content, under other keys.

use crate::cli_common::{Sandbox, document, run};
use crate::common::noise;
use crate::repair::{files, objects, packs, sandbox};
use serde_json::Value;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

/// A second repository beside the first, with a passphrase of its own.
fn target(sandbox: &Sandbox) {
    sandbox.write("other-password", "another passphrase altogether\n");
    let made = run(sandbox.bare().args(["init", "-r", "other", "--password-file", "other-password"]));
    assert_eq!(made.code, 0, "{}", made.err);
}

const COPY: [&str; 5] = ["copy", "--to", "other", "--other-password-file", "other-password"];

fn on_target(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    let done = run(sandbox.bare().args(arguments).args(["-r", "other", "--password-file", "other-password", "--json"]));
    assert_eq!(done.code, 0, "{}", done.err);
    document(&done.out)
}

fn other_bytes(sandbox: &Sandbox) -> u64 {
    files(&sandbox.path("other/writers")).values().map(|bytes| bytes.len() as u64).sum()
}

#[test]
fn copies_are_what_they_were_made_from() {
    let sandbox = sandbox();
    let sparse = fs::File::create(sandbox.path("source/sparse")).unwrap();
    sparse.set_len(5_000_000).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, &noise(7, 700_000), 2_000_000).unwrap();
    sandbox.write("source/empty", "");
    sandbox.write("source/long", noise(8, 9_000_000));
    sandbox.ok(&["backup", "source", "--host", "one"]);
    target(&sandbox);
    let before = sandbox.json(&["snapshots"])["snapshots"].as_array().unwrap().clone();
    assert_eq!(sandbox.json(&[&COPY[..], &["--dry-run"]].concat())["copied"].as_array().unwrap().len(), 3);
    assert_eq!(other_bytes(&sandbox), 0);
    let done = sandbox.json(&COPY);
    assert_eq!(done["copied"].as_array().unwrap().len(), 3, "{done}");
    // What a later snapshot shares with an earlier one is not read again.
    let read: Vec<u64> = done["copied"].as_array().unwrap().iter().map(|c| c["read_bytes"].as_u64().unwrap()).collect();
    assert!(read[0] > 1_200_000 && (340_000..400_000).contains(&read[1]), "{read:?}");
    let after = on_target(&sandbox, &["snapshots"])["snapshots"].as_array().unwrap().clone();
    assert_eq!(after.len(), 3);
    for (old, new) in before.iter().zip(&after) {
        for field in ["started", "finished", "host", "user", "tags", "paths", "writer", "summary", "excludes"] {
            assert_eq!(old[field], new[field], "{field}");
        }
        assert_eq!(new["origin"]["snapshot"], old["id"]);
        for (name, id, repo) in [("a", &old["id"], "repo"), ("b", &new["id"], "other")] {
            let password = if repo == "repo" { "password" } else { "other-password" };
            let _ = fs::remove_dir_all(sandbox.path(name));
            let arguments =
                ["restore", id.as_str().unwrap(), "-r", repo, "--target", name, "--password-file", password];
            let restored = run(sandbox.bare().args(arguments));
            assert_eq!(restored.code, 0, "{}", restored.err);
        }
        assert_eq!(files(&sandbox.path("a")), files(&sandbox.path("b")));
    }
    assert_eq!(after[2]["parent"], after[1]["id"], "the parent's copy is the copy's parent");
    let checked =
        run(sandbox.bare().args(["check", "-r", "other", "--read-data", "--password-file", "other-password"]));
    assert_eq!(checked.code, 0, "{}", checked.err);

    // What is there is left out, also by a machine that remembers nothing.
    let size = other_bytes(&sandbox);
    fs::remove_dir_all(sandbox.path("state")).unwrap();
    let again = sandbox.json(&COPY);
    assert_eq!((again["copied"].as_array().unwrap().len(), again["skipped"].as_array().unwrap().len()), (0, 3));
    assert_eq!(other_bytes(&sandbox), size);
    // A backup into the target meets what was copied: its own cuts, its own names.
    let made = on_target(&sandbox, &["backup", "source", "--host", "one"]);
    assert_eq!(
        (&made["summary"]["data_blobs"], &made["summary"]["tree_blobs"]),
        (&Value::from(0), &Value::from(0)),
        "{made}"
    );
    // Copied back it is not there twice.
    let back = run(sandbox
        .bare()
        .args(["copy", "-r", "other", "--to", "repo", "--password-file", "other-password"])
        .args(["--other-password-file", "password", "--json"]));
    assert_eq!(back.code, 0, "{}", back.err);
    let back = document(&back.out);
    assert_eq!((back["copied"].as_array().unwrap().len(), back["skipped"].as_array().unwrap().len()), (1, 3), "{back}");
}

#[test]
fn what_is_lost_is_not_copied_and_the_rest_is() {
    let sandbox = sandbox();
    target(&sandbox);
    // The pack that only the second snapshot needs.
    let mut both = packs(&sandbox, 1);
    both.sort_by_key(|path| path.metadata().unwrap().len());
    let mut bytes = fs::read(&both[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&both[0], bytes).unwrap();
    let done = sandbox.run(&[&COPY[..], &["--json"]].concat());
    let report = document(&done.out);
    assert_eq!(done.code, 3, "{}", done.err);
    assert_eq!(
        (report["copied"].as_array().unwrap().len(), report["failed"].as_array().unwrap().len()),
        (1, 1),
        "{report}"
    );
    assert_eq!(on_target(&sandbox, &["snapshots"])["snapshots"].as_array().unwrap().len(), 1);
    // The same repository twice makes no sense, nor does a key that cannot read.
    assert_eq!(sandbox.run(&["copy", "--to", "repo"]).code, 2);
    assert_eq!(sandbox.run(&["copy", "--to", "nowhere"]).code, 10);
}

#[test]
fn a_copy_that_was_killed_goes_on() {
    let sandbox = Sandbox::new();
    for n in 0..4u64 {
        sandbox.write(&format!("source/{n}"), noise(n, 20_000_000));
    }
    sandbox.ok(&["backup", "source"]);
    target(&sandbox);
    let mut child = sandbox.command(&COPY).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    for _ in 0..3_000 {
        if !objects_of(&sandbox).is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let stored = objects_of(&sandbox);
    let done = sandbox.json(&COPY);
    if let Some(copied) = done["copied"].as_array().unwrap().first() {
        assert!(!stored.is_empty());
        // What was stored then is taken up: only the rest is read.
        let read = copied["read_bytes"].as_u64().unwrap();
        assert!(read <= 40_000_000, "{read}");
        assert!(stored.iter().all(|name| sandbox.path("other").join(name).exists()));
        assert!(other_bytes(&sandbox) < 82_000_000, "{}", other_bytes(&sandbox));
    }
    let checked =
        run(sandbox.bare().args(["check", "-r", "other", "--read-data", "--password-file", "other-password"]));
    assert_eq!(checked.code, 0, "{}", checked.err);
    assert!(objects(&sandbox, "/packs/").len() > 1);
}

/// The packs of the target.
fn objects_of(sandbox: &Sandbox) -> Vec<std::path::PathBuf> {
    files(&sandbox.path("other")).into_keys().filter(|name| name.to_str().unwrap().contains("/packs/")).collect()
}
