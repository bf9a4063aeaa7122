//! `restore` and `check` with the real binary.

use crate::cli_common::{Sandbox, document};
use std::fs;

fn backed_up() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("source/a/one", "1");
    sandbox.write("source/a/two", vec![7; 300_000]);
    sandbox.write("source/b/three", "3");
    sandbox.ok(&["backup", "source", "--host", "tester", "--tag", "t"]);
    sandbox
}

#[test]
fn whole_and_in_part() {
    let sandbox = backed_up();
    let done = sandbox.json(&["restore", "latest", "--target", "whole"]);
    assert_eq!((done["files"].as_u64(), done["incomplete"].as_bool()), (Some(3), Some(false)));
    let source = sandbox.path("source").canonicalize().unwrap();
    let below = sandbox.path("whole").join(source.strip_prefix("/").unwrap());
    assert_eq!(fs::read(below.join("a/two")).unwrap(), vec![7; 300_000]);

    let folder = format!("latest:{}/a", source.display());
    let text = sandbox.ok(&["restore", &folder, "--target", "part"]);
    assert!(text.starts_with("restored from snapshot "), "{text}");
    assert_eq!(fs::read(sandbox.path("part/one")).unwrap(), b"1");
    let file = format!("latest:{}/b/three", source.display());
    assert_eq!(sandbox.ok(&["restore", &file, "--target", "file", "-q"]), "");
    assert_eq!(fs::read(sandbox.path("file/three")).unwrap(), b"3");
}

#[test]
fn options_reach_the_restore() {
    let sandbox = backed_up();
    let id = format!("latest:{}", sandbox.path("source").canonicalize().unwrap().display());
    let dry = sandbox.json(&["restore", &id, "--target", "t", "--dry-run"]);
    assert_eq!((dry["dry_run"].as_bool(), sandbox.path("t").exists()), (Some(true), false));
    sandbox.ok(&["restore", &id, "--target", "t", "--exclude", "two", "--numeric-ids", "--no-xattrs", "--sparse"]);
    assert!(sandbox.path("t/a/one").exists() && !sandbox.path("t/a/two").exists());
    sandbox.ok(&["restore", &id, "--target", "i", "--include", "three"]);
    assert!(sandbox.path("i/b/three").exists() && !sandbox.path("i/a/one").exists());

    sandbox.write("t/a/one", "changed");
    sandbox.write("t/extra", "more");
    assert_eq!(sandbox.run(&["restore", &id, "--target", "t"]).code, 2, "the target is not empty");
    let over = sandbox.json(&["restore", &id, "--target", "t", "--overwrite", "--verify"]);
    assert_eq!(over["files_unchanged"], 1);
    assert!(over["verified_files"].is_u64());
    assert_eq!(fs::read(sandbox.path("t/a/one")).unwrap(), b"1");
    assert!(sandbox.path("t/extra").exists());
    let deleted = sandbox.json(&["restore", &id, "--target", "t", "--delete"]);
    assert_eq!((deleted["removed"].as_u64(), sandbox.path("t/extra").exists()), (Some(1), false));
}

#[test]
fn which_snapshot() {
    let sandbox = backed_up();
    for (arguments, code) in [
        (&["latest", "--host", "tester", "--tag", "t"][..], 0),
        (&["latest", "--host", "nobody"], 2),
        (&["00000000"], 2),
        (&["latest:/no/such"], 2),
        (&["latest", "--map-user", "nonsense"], 2),
    ] {
        let run = sandbox.run(&[&["restore", "--target", "x", "--dry-run"], arguments].concat());
        assert_eq!(run.code, code, "{arguments:?}: {}", run.err);
    }
}

#[test]
fn checks() {
    let sandbox = backed_up();
    let sound = sandbox.json(&["check", "--read-data"]);
    assert_eq!((sound["snapshots"].as_u64(), sound["errors"].as_array().unwrap().len()), (Some(1), 0));
    assert!(sandbox.ok(&["check", "--read-data-subset", "50%"]).ends_with("no errors were found\n"));

    let packs = sandbox.path("repo/writers/tester/packs");
    let mut pack = fs::read_dir(packs).unwrap().flatten().flat_map(|hh| fs::read_dir(hh.path()).unwrap().flatten());
    fs::remove_file(pack.next().unwrap().path()).unwrap();
    let run = sandbox.run(&["check", "--json"]);
    assert_eq!(run.code, 4, "{}", run.err);
    let found = document(&run.out);
    assert!(!found["errors"].as_array().unwrap().is_empty());
    assert!(run.err.contains("warning: "), "{}", run.err);
    assert_eq!(sandbox.run(&["check"]).code, 4);
}
