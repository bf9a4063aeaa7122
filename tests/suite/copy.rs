//! `copy` between repositories: the same content, under other keys.

use crate::cli_common::{Sandbox, document, run};
use crate::common::{Lab, noise, write};
use crate::damage_check::ALL;
use crate::repair::{files, packs, sandbox};
use panther::ops::check::check;
use panther::ops::copy::{Side, copy};
use panther::ops::{Progress, Silent, Totals};
use serde_json::Value;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

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

/// Stops after so many files.
struct Stopper {
    files: AtomicU64,
    most: u64,
}

impl Progress for Stopper {
    fn stage(&self, _: &'static str, _: Totals) {}
    fn advance(&self, files: u64, _: u64) {
        self.files.fetch_add(files, Relaxed);
    }
    fn warn(&self, _: &str) {}
    fn cancelled(&self) -> bool {
        self.files.load(Relaxed) >= self.most
    }
}

#[test]
fn a_copy_that_was_stopped_goes_on() {
    let (from, to) = (Lab::new(), Lab::new());
    for n in 0..40u64 {
        write(&from.source().join(format!("{}/{n}", n % 8)), &noise(n, 30_000));
    }
    from.backup();
    let all = from.repo.snapshots(&from.repo.statements().unwrap()).unwrap().snapshots;
    let chosen: Vec<_> = all.iter().collect();
    let sides = (Side { repo: &from.repo, state: &from.state }, Side { repo: &to.repo, state: &to.state });
    let stopper = Stopper { files: AtomicU64::new(0), most: 22 };
    let stopped = copy(sides.0, sides.1, &chosen, false, &stopper);
    assert!(matches!(stopped, Err(panther::Error::Interrupted)), "{stopped:?}");
    assert!(to.objects("writers/lab/snapshots/").is_empty());
    let stored = to.objects("writers/lab/packs/");
    assert!(!stored.is_empty());
    // Whole folders were copied, and are not read again.
    let done = copy(sides.0, sides.1, &chosen, false, &Silent).unwrap();
    assert!((400_000..=800_000).contains(&done.copied[0].read_bytes), "{done:?}");
    assert!(stored.iter().all(|name| to.objects("writers/lab/packs/").contains(name)));
    let report = check(&to.repo, &to.state, &ALL, &Silent).unwrap();
    // Some files are cut in two, by a secret that is another each time; twice as many would be each of them twice.
    assert!(report.errors.is_empty() && (40..=60).contains(&report.data_blobs), "{report:?}");
}
