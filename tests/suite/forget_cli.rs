//! `forget`, `pin` and `unpin` as people and scripts see them.

use crate::cli_common::{Sandbox, document};
use serde_json::Value;

/// Four snapshots of one folder; the ids, oldest first.
fn four() -> (Sandbox, Vec<String>) {
    let sandbox = Sandbox::new();
    let ids = (0..4).map(|n| {
        sandbox.write("source/file", format!("{n}"));
        let tag = format!("run-{n}");
        sandbox.json(&["backup", "source", "--host", "h", "--tag", &tag])["snapshot"].as_str().unwrap().to_owned()
    });
    let ids = ids.collect();
    (sandbox, ids)
}

fn ids_of(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect()
}

#[test]
fn a_policy_explains_itself() {
    let (sandbox, ids) = four();
    let text = sandbox.ok(&["forget", "--keep-last", "2", "--keep-tag", "run-0", "--dry-run"]);
    for part in [
        "policy: 2 last, tag run-0\n",
        "last 1",
        "last 2",
        "tag run-0",
        "no rule keeps it",
        "dry run: nothing was removed\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains("3 kept, 1 snapshot would be removed\n"), "{text}");
    let json = sandbox.json(&["forget", "--keep-last", "2", "--dry-run"]);
    assert_eq!(ids_of(&json["removed"]), [&ids[0], &ids[1]]);
    assert_eq!(json["groups"][0]["snapshots"][3]["reasons"], serde_json::json!(["last 1"]));
    assert_eq!(json["groups"][0]["host"], "h");
    let json = sandbox.json(&["forget", "--keep-last", "2"]);
    assert_eq!(
        (ids_of(&json["removed"]).len(), json["kept"].as_u64(), json["dry_run"].as_bool()),
        (2, Some(2), Some(false))
    );
    assert_eq!(sandbox.json(&["snapshots"])["snapshots"].as_array().unwrap().len(), 2);
    sandbox.ok(&["check"]);
    let said = sandbox.ok(&["forget", "--keep-daily", "1", "--explain"]);
    assert!(said.contains("daily 1 (last of ") && said.contains("1 kept, 1 snapshot removed"), "{said}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let (sandbox, ids) = four();
    for arguments in [
        &["forget"][..],
        &["forget", "--keep-last", "0"],
        &["forget", "--keep-last", "-2"],
        &["forget", "--keep-last", "many"],
        &["forget", "--keep-within", "1w"],
        &["forget", "--policy", "desktop"],
        &["forget", "--keep-tag", "a,,b"],
        &["forget", "--keep-tag", "absent"],
        &["forget", "--keep-last", "1", &ids[0]],
        &["forget", "--simulate", &ids[0]],
        &["forget", "--group-by", "writer", "--keep-last", "1"],
        &["forget", "12345678"],
        &["forget", &ids[0], &ids[1], &ids[2], &ids[3]],
        &["pin"],
        &["pin", "12345678"],
    ] {
        let run = sandbox.run(arguments);
        assert_eq!(run.code, 2, "{arguments:?}: {}", run.err);
    }
    assert_eq!(sandbox.json(&["snapshots"])["snapshots"].as_array().unwrap().len(), 4);
    let json = sandbox.json(&["forget", "--remove-all", &ids[0], &ids[1], &ids[2], &ids[3]]);
    assert_eq!(ids_of(&json["removed"]).len(), 4);
    assert!(json["policy"].is_null());
    assert_eq!(sandbox.ok(&["snapshots"]), "no snapshots\n");
}

#[test]
fn pins_are_shown_and_hold() {
    let (sandbox, ids) = four();
    let done = sandbox.json(&["pin", &ids[0][..8]]);
    assert_eq!((done["command"].as_str(), done["snapshots"][0]["changed"].as_bool()), (Some("pin"), Some(true)));
    assert!(sandbox.ok(&["pin", &ids[0]]).contains("was pinned already"));
    let listed = sandbox.json(&["snapshots"]);
    let pinned: Vec<bool> =
        listed["snapshots"].as_array().unwrap().iter().map(|s| s["pinned"].as_bool().unwrap()).collect();
    assert_eq!(pinned, [true, false, false, false]);
    assert!(sandbox.ok(&["snapshots"]).contains("pinned\n"));
    let run = sandbox.run(&["forget", &ids[0]]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("unpin"), "{}", run.err);
    sandbox.ok(&["forget", "--keep-last", "1"]);
    assert_eq!(sandbox.json(&["snapshots"])["snapshots"].as_array().unwrap().len(), 2);
    assert!(sandbox.ok(&["unpin", &ids[0]]).contains("no longer pinned"));
    assert!(sandbox.ok(&["unpin", &ids[0]]).contains("was not pinned"));
    sandbox.ok(&["forget", "--keep-last", "1", "-q"]);
    assert_eq!(sandbox.json(&["snapshots"])["snapshots"].as_array().unwrap().len(), 1);
}

#[test]
fn a_profile_has_a_policy() {
    let (sandbox, ids) = four();
    let here = sandbox.temp.path().display();
    let profile = format!(
        "[profiles.p]\nrepository = \"{here}/repo\"\n[profiles.p.retention]\nlast = 3\ngroup-by = []\n[profiles.p.schedule]\nbackup = \"hourly\"\n"
    );
    sandbox.write("panther.toml", profile);
    let named = |arguments: &[&str]| sandbox.json(&[&["--config", "panther.toml", "-p", "p"], arguments].concat());
    let json = named(&["forget", "--dry-run"]);
    assert_eq!(ids_of(&json["removed"]), [&ids[0]]);
    assert_eq!((json["policy"].as_str(), json["groups"][0].get("host")), (Some("3 last"), None));
    // Rules on the command line replace those of the profile.
    let json = named(&["forget", "--keep-last", "1", "--dry-run"]);
    assert_eq!(ids_of(&json["removed"]).len(), 3);
    assert_eq!(named(&["forget", "--simulate"])["schedule"], "hourly");
}

#[test]
fn a_year_is_simulated() {
    let (sandbox, ids) = four();
    let before = sandbox.ok(&["snapshots"]);
    let json = document(&sandbox.ok(&["forget", "--policy", "server", "--simulate", "--json"]));
    let group = &json["simulated"][0];
    assert_eq!((json["schedule"].as_str(), group["group"]["host"].as_str()), (Some("daily"), Some("h")));
    let samples = group["samples"].as_array().unwrap();
    assert!((13..=14).contains(&samples.len()), "{samples:?}");
    let taken: u64 = samples.iter().map(|s| s["taken"].as_u64().unwrap()).sum();
    assert!((365..=366).contains(&taken), "{taken}");
    let left = group["left"].as_array().unwrap();
    assert!((46..=54).contains(&left.len()), "{}", left.len());
    // Of what is there now, at most the newest is left: as the end of its month.
    assert!(
        left.iter().all(|l| l.get("id").is_none_or(|id| id == ids[3].as_str() || id == ids[0].as_str())),
        "{left:?}"
    );
    let text = sandbox.ok(&["forget", "--keep-last", "5", "--simulate=*:0/30", "--explain"]);
    assert!(text.contains("a backup: *:0/30\n") && text.contains("at most 5 snapshots at a time\n"), "{text}");
    assert_eq!(sandbox.ok(&["snapshots"]), before);
    // Also where nothing is yet.
    let empty = Sandbox::new();
    let text = empty.ok(&["forget", "--policy", "laptop", "--simulate"]);
    assert!(text.contains("a new machine\n"), "{text}");
}
