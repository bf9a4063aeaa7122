//! Usage, init, backup, snapshots, ls, and the exit codes of errors.

use crate::cli_common::{Sandbox, assert_valid, document, run};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

#[test]
fn usage_errors_exit_with_2() {
    let sandbox = Sandbox::empty();
    for arguments in
        [&[][..], &["frobnicate"], &["backup"], &["ls"], &["snapshots", "--frobnicate"], &["-q", "-v", "snapshots"]]
    {
        let run = sandbox.run(arguments);
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{arguments:?}");
    }
    let run = sandbox.run(&["frobnicate", "--json"]);
    let json = document(&run.out);
    assert_eq!((run.code, json["error"]["exit_code"].as_u64()), (2, Some(2)));
    let help = sandbox.ok(&["--help"]);
    assert!(help.contains("Exit codes:") && help.contains("Examples:"), "{help}");
    assert!(sandbox.ok(&["--version"]).starts_with("panther "));
}

#[test]
fn which_repository() {
    let sandbox = Sandbox::empty();
    let none = run(sandbox.command(&["snapshots"]).env_remove("PANTHER_REPOSITORY"));
    assert_eq!(none.code, 2);
    assert!(none.err.contains("PANTHER_REPOSITORY"), "{}", none.err);
    for kind in ["b2:bucket", "sftp:host:/x", "s3:x"] {
        assert_eq!(sandbox.run(&["-r", kind, "snapshots"]).code, 2, "{kind}");
    }
    assert_eq!(sandbox.run(&["snapshots"]).code, 10);
    std::fs::create_dir(sandbox.path("repo")).unwrap();
    let run = sandbox.run(&["snapshots", "--json"]);
    let json = document(&run.out);
    assert_eq!(
        (run.code, json["command"].as_str(), json["error"]["exit_code"].as_u64()),
        (10, Some("snapshots"), Some(10))
    );
    assert!(run.err.starts_with("error: there is no panther repository at "), "{}", run.err);
    assert!(run.err.contains("\nhint: "), "{}", run.err);
}

#[test]
fn init_only_once() {
    let sandbox = Sandbox::empty();
    let made = sandbox.json(&["init"]);
    assert_eq!(made["repository"].as_str().unwrap().len(), 64);
    let again = sandbox.run(&["init"]);
    assert_eq!(again.code, 2);
    assert!(again.err.contains("already"), "{}", again.err);
    // It still opens.
    sandbox.ok(&["snapshots"]);
    let folder = format!("file:{}", sandbox.path("other").display());
    assert!(sandbox.ok(&["init", "-r", &folder]).contains("made the repository"));
    assert!(sandbox.path("other/panther.cbor").is_file());
    assert_eq!(sandbox.ok(&["init", "-q", "-r", "third"]), "");
}

#[test]
fn backup_and_listings() {
    let sandbox = Sandbox::new();
    sandbox.write("source/a/one", "1");
    sandbox.write("source/a/two", vec![7; 100_000]);
    std::os::unix::fs::symlink("one", sandbox.path("source/a/link")).unwrap();
    let odd = sandbox.path("source").join(std::ffi::OsStr::from_bytes(b"odd\x1b\xff"));
    std::fs::write(odd, "x").unwrap();

    let dry = sandbox.json(&["backup", "source", "--dry-run"]);
    assert_eq!((dry["snapshot"].is_null(), dry["dry_run"].as_bool()), (true, Some(true)));
    assert_eq!(sandbox.ok(&["snapshots"]), "no snapshots\n");
    let made = sandbox.json(&["backup", "source", "--tag", "b,a", "--tag", "c", "--host", "tester"]);
    assert_eq!((made["summary"]["files"].as_u64(), made["writer"].as_str()), (Some(3), Some("tester")));
    let id = made["snapshot"].as_str().unwrap();
    let text = sandbox.ok(&["backup", "source/a", "--host", "other"]);
    assert!(text.starts_with("snapshot ") && text.contains("\n  files   "), "{text}");
    let same = sandbox.json(&["backup", "source/a", "--host", "other", "--skip-if-unchanged"]);
    assert!(same["snapshot"].is_null());

    let all = sandbox.json(&["snapshots"]);
    let list = all["snapshots"].as_array().unwrap();
    assert_eq!((list.len(), list[0]["id"].as_str()), (2, Some(id)));
    assert_eq!(list[0]["tags"], serde_json::json!(["a", "b", "c"]));
    for (filter, want) in [
        (&["--host", "tester"][..], 1),
        (&["--host", "nobody"], 0),
        (&["--tag", "a,b"], 1),
        (&["--tag", "a,x"], 0),
        (&["--tag", "a,x", "--tag", "c"], 1),
        (&["--path", "source/a"], 1),
        (&["--path", "source/a", "--path", "source"], 0),
        (&["latest"], 1),
        (&[&id[..6]], 1),
    ] {
        let found = sandbox.json(&[&["snapshots"], filter].concat());
        assert_eq!(found["snapshots"].as_array().unwrap().len(), want, "{filter:?}");
    }
    assert_eq!(sandbox.run(&["snapshots", "00000000"]).code, 2);
    let table = sandbox.ok(&["snapshots"]);
    assert!(table.contains("a,b,c") && table.ends_with("2 snapshots\n"), "{table}");
    listings(&sandbox, id);
}

fn listings(sandbox: &Sandbox, id: &str) {
    let root = sandbox.path("source").canonicalize().unwrap();
    let root = root.display();
    let plain = sandbox.ok(&["ls", id]);
    let want = format!("{root}\n{root}/a\n{root}/a/link\n{root}/a/one\n{root}/a/two\n{root}/odd\\x1b\\xff\n");
    assert_eq!(plain, want);
    let flat = sandbox.ok(&["ls", &format!("{id}:{root}"), "--recursive=false"]);
    assert_eq!(flat, format!("{root}\n{root}/a\n{root}/odd\\x1b\\xff\n"));
    let long = sandbox.ok(&["ls", "-l", &format!("latest:{root}/a/link")]);
    assert!(long.starts_with("lrwxrwxrwx ") && long.ends_with("/a/link -> one\n"), "{long}");
    assert_eq!(sandbox.run(&["ls", "latest:/no/such/path"]).code, 2);

    let lines = sandbox.ok(&["ls", id, "--json"]);
    let lines: Vec<Value> = lines.lines().map(document).collect();
    assert_eq!((lines[0]["kind"].as_str(), lines[0]["snapshot"]["id"].as_str()), (Some("snapshot"), Some(id)));
    assert_eq!((lines.len(), lines[7]["kind"].as_str(), lines[7]["entries"].as_u64()), (8, Some("end"), Some(6)));
    assert!(lines[6]["path_bytes"].as_str().unwrap().ends_with("6f64641bff"));
    assert_eq!((lines[3]["type"].as_str(), lines[3]["target"]["path"].as_str()), (Some("symlink"), Some("one")));
}

#[test]
fn an_incomplete_backup_exits_with_3() {
    if rustix::process::geteuid().is_root() {
        println!("skipped: root can read everything");
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.write("source/good", "1");
    sandbox.write("source/bad", "2");
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(sandbox.path("source/bad"), std::fs::Permissions::from_mode(0o000)).unwrap();
    let run = sandbox.run(&["backup", "source", "--json"]);
    assert_eq!(run.code, 3);
    assert_eq!(document(&run.out)["unreadable"].as_array().unwrap().len(), 1);
}

#[test]
fn errors_that_the_options_can_see() {
    let sandbox = Sandbox::new();
    sandbox.write("source/a", "1");
    for arguments in [
        &["backup", "source", "--compression", "20"][..],
        &["backup", "source", "--exclude-larger-than", "big"],
        &["backup", "source", "--exclude", "[a"],
        &["backup", "source", "--tag", "a,,b"],
        &["backup", "source", "--writer", "No Name"],
        &["check", "--read-data-subset", "0%"],
        &["ls", "ab"],
    ] {
        let run = sandbox.run(arguments);
        assert_eq!(run.code, 2, "{arguments:?}: {}", run.err);
    }
    let missing = sandbox.run(&["backup", "no-such-folder", "--json"]);
    assert_eq!(missing.code, 1);
    assert_valid(&serde_json::from_str(&missing.out).unwrap());
    assert!(missing.err.contains("\ncaused by: "), "{}", missing.err);
}

#[test]
fn whoever_stops_reading_is_not_told_off() {
    let sandbox = Sandbox::new();
    for number in 0..3_000 {
        sandbox.write(&format!("source/{number:0100}"), "");
    }
    sandbox.ok(&["backup", "source"]);
    let mut child = sandbox.command(&["ls", "latest"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).contains("error")), (Some(141), false));
}
