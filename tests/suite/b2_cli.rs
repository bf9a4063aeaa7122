//! The binary over B2: keys from where they may come, and exit codes.

use crate::b2_kit::BUCKET;
use crate::b2_place::Place;
use crate::cli_common::{document, run};
use crate::fake_b2::Fault;
use std::process::Command;

#[test]
fn every_command_works_over_b2() {
    let place = Place::new();
    place.sandbox.write("source/file", "hello");
    place.ok(&["init"]);
    assert_eq!(place.run(&["init"]).code, 2);
    place.ok(&["backup", "source"]);
    place.ok(&["backup", "source", "--limit-upload", "00:00-23:59=50M,0", "--compression", "auto"]);
    let snapshots = document(&place.ok(&["snapshots", "--json"]));
    assert_eq!(snapshots["snapshots"].as_array().unwrap().len(), 2);
    assert!(place.ok(&["ls", "latest", "--recursive"]).contains("file"));
    place.ok(&["restore", "latest", "--target", "restored"]);
    let file = format!("restored{}/source/file", place.sandbox.temp.path().canonicalize().unwrap().display());
    assert_eq!(std::fs::read_to_string(place.sandbox.path(&file)).unwrap(), "hello");
    place.ok(&["check", "--read-data"]);
    place.ok(&["key", "list"]);
    assert_eq!(place.fake.violations(), Vec::<String>::new());
}

#[test]
fn keys_come_from_files_credentials_or_the_environment() {
    let place = Place::new();
    place.ok(&["init"]);
    let text = std::fs::read_to_string(place.sandbox.path("key")).unwrap();
    let (id, secret) = text.trim().split_once('\n').unwrap();
    place.sandbox.write("one-line", format!("{id}:{secret}"));
    place.sandbox.write("credentials/panther-b2-key", &text);
    let code = |command: &mut Command| run(command).code;
    assert_eq!(code(place.bare(&["snapshots", "--b2-key-file"]).arg(place.sandbox.path("one-line"))), 0);
    assert_eq!(code(place.bare(&["snapshots"]).env("B2_APPLICATION_KEY_ID", id).env("B2_APPLICATION_KEY", secret)), 0);
    let directory = place.sandbox.path("credentials");
    assert_eq!(code(place.bare(&["snapshots"]).env("CREDENTIALS_DIRECTORY", directory)), 0);
    assert_eq!(code(&mut place.bare(&["snapshots"])), 2);
    assert_eq!(code(place.bare(&["snapshots"]).env("B2_APPLICATION_KEY_ID", id)), 2);
    assert_eq!(code(place.bare(&["snapshots"]).env("PANTHER_B2_KEY_FILE", "nothing")), 1);
}

#[test]
fn each_trouble_has_its_exit_code() {
    let place = Place::new();
    assert_eq!(place.run(&["snapshots"]).code, 10);
    place.ok(&["init"]);
    for (code, says, fault) in [
        (6, "transaction cap", Fault::Cap("transaction_cap_exceeded")),
        (6, "download cap", Fault::Cap("download_cap_exceeded")),
        (7, "try", Fault::status(503)),
        (5, "capability", Fault::Status(403, "access_denied", None)),
        (5, "application key's id", Fault::Status(401, "bad_auth_token", None)),
    ] {
        place.fake.plan(move |_| Some(fault.clone()));
        let run = place.run(&["snapshots"]);
        assert_eq!(run.code, code, "{}", run.err);
        let says = if code == 7 { "run the same command again" } else { says };
        assert!(run.err.contains("error:") && run.err.contains("hint:") && run.err.contains(says), "{}", run.err);
    }
    place.fake.fair_weather();
    let run = place.run(&["-r", "b2://another-bucket/x", "snapshots"]);
    assert_eq!(run.code, 5, "{}", run.err);
    for bad in ["b2://", "b2://a_b/x", "b2://panther-tests/../x"] {
        assert_eq!(place.run(&["-r", bad, "snapshots"]).code, 2);
    }
    assert_eq!(place.run(&["--b2-endpoint", "http://example.org", "snapshots"]).code, 2);
    assert_eq!(place.run(&["--limit-upload", "08:00=1M", "snapshots"]).code, 2);
}

#[test]
fn what_was_hidden_is_said() {
    let place = Place::new();
    place.sandbox.write("source/file", "hello");
    place.ok(&["init"]);
    place.ok(&["backup", "source"]);
    let name = place.fake.names(BUCKET).into_iter().find(|name| name.contains("/snapshots/")).unwrap();
    place.fake.hide(BUCKET, &name);
    let run = place.run(&["backup", "source"]);
    assert_eq!(run.code, 0);
    assert!(run.err.contains("is hidden in the bucket"), "{}", run.err);
}
