//! `key`: every subcommand with the real binary.

use crate::cli_common::{PASSWORD, Run, Sandbox, document, run};
use std::os::unix::fs::PermissionsExt;

fn with(sandbox: &Sandbox, secret: (&str, &str), arguments: &[&str]) -> Run {
    run(sandbox.bare().env(secret.0, secret.1).args(arguments))
}

#[test]
fn list_needs_no_passphrase() {
    let sandbox = Sandbox::new();
    let bare = run(sandbox.bare().args(["key", "list", "--json"]));
    let json = document(&bare.out);
    assert_eq!((bare.code, json["in_use"].is_null()), (0, true));
    assert_eq!(
        (json["keys"][0]["opened_by"].as_str(), json["keys"][0]["in_use"].as_bool()),
        (Some("passphrase"), Some(false))
    );
    let json = sandbox.json(&["key", "list"]);
    assert_eq!((json["keys"][0]["in_use"].as_bool(), json["in_use"]["role"].as_str()), (Some(true), Some("admin")));
    assert!(sandbox.ok(&["key", "list"]).contains("in use: admin \"first admin key\""));
}

#[test]
fn add_use_and_remove() {
    let sandbox = Sandbox::new();
    sandbox.write("source/a", "1");
    sandbox.write("reader", "reader secret");
    let made = sandbox.json(&["key", "add", "--role", "reader", "--label", "r", "--new-password-file", "reader"]);
    let reader = made["key"].as_str().unwrap().to_owned();
    sandbox.ok(&[
        "key",
        "add",
        "--role",
        "writer",
        "--writer",
        "web",
        "--new-password-command",
        "echo 'writer secret'",
    ]);
    assert_eq!(sandbox.run(&["key", "add", "--role", "writer", "--new-password-file", "reader"]).code, 2);
    assert_eq!(sandbox.json(&["key", "list"])["keys"].as_array().unwrap().len(), 3);

    let writer = ("PANTHER_PASSWORD", "writer secret");
    let backup = with(&sandbox, writer, &["backup", "source", "--json"]);
    assert_eq!(document(&backup.out)["writer"], "web");
    assert_eq!(with(&sandbox, writer, &["backup", "source", "--writer", "other"]).code, 2);
    assert_eq!(with(&sandbox, writer, &["ls", "latest"]).code, 13);
    assert_eq!(with(&sandbox, writer, &["snapshots", "--tag", "x"]).code, 13);
    let covers = document(&with(&sandbox, writer, &["snapshots", "--json"]).out);
    assert_eq!((covers["covers_only"].as_bool(), covers["snapshots"][0]["sequence"].as_u64()), (Some(true), Some(1)));
    assert!(with(&sandbox, writer, &["snapshots"]).out.contains("a writer's key sees no more"));

    let as_reader = ("PANTHER_PASSWORD", "reader secret");
    assert_eq!(with(&sandbox, as_reader, &["ls", "latest"]).code, 0);
    assert_eq!(with(&sandbox, as_reader, &["backup", "source"]).code, 13);
    assert_eq!(with(&sandbox, as_reader, &["key", "add", "--new-password-file", "reader"]).code, 13);
    sandbox.ok(&["key", "remove", &reader[..8]]);
    assert_eq!(sandbox.run(&["key", "remove", &reader[..8]]).code, 2);
    assert_eq!(with(&sandbox, as_reader, &["snapshots"]).code, 12);
}

#[test]
fn the_last_admins_key_stays() {
    let sandbox = Sandbox::new();
    let own = sandbox.json(&["key", "list"])["in_use"]["id"].as_str().unwrap().to_owned();
    assert_eq!(sandbox.run(&["key", "remove", &own]).code, 2);
    assert_eq!(sandbox.run(&["key", "remove", &own, "--force"]).code, 2);
    sandbox.ok(&["snapshots"]);
}

#[test]
fn a_new_passphrase() {
    let sandbox = Sandbox::new();
    sandbox.write("new", "new secret\n");
    let made = sandbox.json(&["key", "passwd", "--new-password-file", "new"]);
    assert_ne!(made["key"], made["replaces"]);
    assert_eq!(sandbox.json(&["key", "list", "--password-file", "new"])["keys"].as_array().unwrap().len(), 1);
    assert_eq!(sandbox.run(&["snapshots"]).code, 12);
    sandbox.ok(&["snapshots", "--password-file", "new"]);
}

#[test]
fn a_copy_of_a_key_file() {
    let sandbox = Sandbox::new();
    let made = sandbox.json(&["key", "export", "--output", "copy.age"]);
    let id = made["key"].as_str().unwrap();
    let copy = std::fs::read(sandbox.path("copy.age")).unwrap();
    assert_eq!(copy, std::fs::read(sandbox.path(&format!("repo/keys/{id}.age"))).unwrap());
    assert_eq!(std::fs::metadata(sandbox.path("copy.age")).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(sandbox.run(&["key", "export", "--output", "copy.age"]).code, 1, "nothing is overwritten");
    let output = sandbox.command(&["key", "export", &id[..8]]).output().unwrap();
    assert_eq!(output.stdout, copy);
    assert_eq!(sandbox.run(&["key", "export", "--json"]).code, 2);
}

#[test]
fn a_key_on_paper() {
    let sandbox = Sandbox::new();
    sandbox.write("source/a", "1");
    sandbox.ok(&["backup", "source"]);
    let page = sandbox.ok(&["key", "paper", "--label", "safe"]);
    let line = page.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1")).unwrap();
    sandbox.write("paper.key", line);
    let listed = run(sandbox.bare().args(["ls", "latest", "--identity-file", "paper.key"]));
    assert_eq!(listed.code, 0, "{}", listed.err);
    // The identity can be typed from the groups, too.
    let typed: String =
        page.lines().filter(|line| line.starts_with("  ")).take(3).flat_map(str::split_whitespace).collect();
    assert_eq!(typed, line);

    let made = sandbox.json(&["key", "paper", "-o", "page.txt"]);
    assert_eq!(made["file"], "page.txt");
    assert!(!made.to_string().contains("SECRET"));
    let keys = || sandbox.json(&["key", "list"])["keys"].as_array().unwrap().len();
    assert_eq!(keys(), 3);
    assert_eq!(sandbox.run(&["key", "paper", "-o", "page.txt"]).code, 1, "nothing is overwritten");
    assert_eq!(keys(), 3, "a page that was not written leaves no key");
    assert_eq!(sandbox.run(&["key", "paper", "--json"]).code, 2);
}

#[test]
fn keys_for_identities() {
    let sandbox = Sandbox::new();
    let page = sandbox.ok(&["key", "paper"]);
    let line = page.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1")).unwrap();
    sandbox.write("identity", format!("# comment\n\n{line}\n"));
    // A repository that only an identity opens.
    let mut init = sandbox.bare();
    init.args(["init", "-r", "other", "--identity-file", "identity"]);
    assert_eq!(run(&mut init).code, 0);
    let listed = document(&run(sandbox.bare().args(["key", "list", "-r", "other", "--json"])).out);
    assert_eq!(listed["keys"][0]["opened_by"], "identity");
    assert_eq!(run(sandbox.bare().env("PANTHER_IDENTITY_FILE", "identity").args(["snapshots", "-r", "other"])).code, 0);
    assert_eq!(run(sandbox.bare().env("PANTHER_PASSWORD", PASSWORD).args(["snapshots", "-r", "other"])).code, 12);
    assert_eq!(sandbox.run(&["key", "add", "--recipient", "age1nonsense"]).code, 2);
}
