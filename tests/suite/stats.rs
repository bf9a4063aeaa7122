//! `stats` against a count of its own; and `rewrite`, which drops paths.

use crate::cli_common::Sandbox;
use crate::common::noise;
use crate::repair::{files, objects};
use serde_json::Value;
use std::fs;

const MIB: f64 = 1_048_576.0;

/// Three snapshots by two hosts: files of noise, some in all, some in one only.
fn sandbox() -> (Sandbox, Vec<String>) {
    let sandbox = Sandbox::new();
    let mut ids = Vec::new();
    for (run, host) in [(0u64, "one"), (1, "one"), (2, "two")] {
        sandbox.write("source/always", noise(1, 1 << 20));
        sandbox.write("source/folder/changes", noise(10 + run, 512 << 10));
        if run < 2 {
            sandbox.write("source/first-two/both", noise(2, 256 << 10));
        } else {
            fs::remove_dir_all(sandbox.path("source/first-two")).unwrap();
        }
        let made = sandbox.json(&["backup", "source", "--host", host]);
        ids.push(made["snapshot"].as_str().unwrap().to_owned());
    }
    (sandbox, ids)
}

/// Bytes in MiB, to two places.
fn mib(value: &Value) -> f64 {
    (value.as_u64().unwrap() as f64 / MIB * 100.0).round() / 100.0
}

#[test]
fn what_each_snapshot_alone_costs() {
    let (sandbox, ids) = sandbox();
    let stats = sandbox.json(&["stats"]);
    assert_eq!(stats["all_snapshots"], 3);
    for (row, id) in stats["snapshots"].as_array().unwrap().iter().zip(&ids) {
        assert_eq!(row["id"], id[..]);
        // Noise does not compress: what is stored is what it is. Only what changes is a snapshot's alone.
        assert_eq!((mib(&row["alone"]["plain_bytes"]), mib(&row["alone"]["stored_bytes"])), (0.5, 0.5), "{row}");
    }
    let restored: Vec<f64> = stats["snapshots"].as_array().unwrap().iter().map(|r| mib(&r["restore_bytes"])).collect();
    assert_eq!(restored, [1.75, 1.75, 1.5]);
    let host = |n: usize| &stats["hosts"][n];
    assert_eq!((mib(&host(0)["needed"]["stored_bytes"]), mib(&host(0)["alone"]["stored_bytes"])), (2.25, 1.25));
    assert_eq!((mib(&host(1)["needed"]["stored_bytes"]), mib(&host(1)["alone"]["stored_bytes"])), (1.5, 0.5));
    assert_eq!(mib(&stats["needed"]["plain_bytes"]), 2.75);
    let packs: u64 = objects(&sandbox, "/packs/").iter().map(|pack| pack.metadata().unwrap().len()).sum();
    assert_eq!(stats["pack_bytes"], packs);
    assert!(stats["other_bytes"].as_u64().unwrap() < 20_000, "{stats}");
    let dedup = stats["dedup_ratio"].as_f64().unwrap();
    assert!((1.8..1.83).contains(&dedup), "{dedup}");
    // What a snapshot alone costs is what is left over when it is gone.
    sandbox.ok(&["forget", &ids[1]]);
    let after = sandbox.json(&["stats"]);
    let freed = after["other_bytes"].as_u64().unwrap() - stats["other_bytes"].as_u64().unwrap();
    // Parts of bytes are rounded.
    assert!(freed.abs_diff(stats["snapshots"][1]["alone"]["stored_bytes"].as_u64().unwrap()) <= 2, "{freed}");
    assert_eq!(sandbox.json(&["stats", "latest"])["snapshots"].as_array().unwrap().len(), 1);
    assert!(sandbox.ok(&["stats"]).contains("needed by no snapshot"));
}

#[test]
fn paths_are_dropped_from_old_snapshots() {
    let (sandbox, ids) = sandbox();
    let before: Vec<Value> = sandbox.json(&["snapshots"])["snapshots"].as_array().unwrap().clone();
    // Without a terminal and without --yes nothing changes.
    let plan = sandbox.json(&["rewrite", "--exclude", "first-two"]);
    assert_eq!(
        (plan["dry_run"].as_bool(), sandbox.json(&["snapshots"])["snapshots"].as_array().unwrap().len()),
        (Some(true), 3)
    );
    let packs = objects(&sandbox, "/packs/").len();
    let done = sandbox.json(&["rewrite", "--exclude", "first-two", "--yes", "--forget"]);
    let changed: Vec<bool> =
        done["snapshots"].as_array().unwrap().iter().map(|s| s["changes"].as_bool().unwrap()).collect();
    assert_eq!(changed, [true, true, false]);
    assert_eq!(done["snapshots"][0]["dropped"]["files"], 1);
    // Nothing of the data is stored anew.
    let fresh: u64 = objects(&sandbox, "/packs/").len() as u64 - packs as u64;
    assert!((1..=2).contains(&fresh), "{fresh}");
    let after: Vec<Value> = sandbox.json(&["snapshots"])["snapshots"].as_array().unwrap().clone();
    assert_eq!(after.len(), 3);
    for (n, id) in ids.iter().enumerate().take(2) {
        let new = after.iter().find(|s| s["origin"]["snapshot"] == **id).unwrap();
        for field in ["started", "finished", "host", "tags", "user", "paths", "writer"] {
            assert_eq!(new[field], before[n][field], "{field}");
        }
        assert_eq!((new["summary"]["files"].as_u64(), mib(&new["summary"]["source_bytes"])), (Some(2), 1.5), "{new}");
        assert_eq!(new["excludes"], serde_json::json!(["first-two"]));
        let target = sandbox.path(&format!("restored-{n}"));
        sandbox.ok(&["restore", new["id"].as_str().unwrap(), "--target", target.to_str().unwrap()]);
        let names: Vec<String> =
            files(&target).keys().map(|p| p.file_name().unwrap().to_str().unwrap().to_owned()).collect();
        assert_eq!(names, ["always", "changes"]);
    }
    assert_eq!(sandbox.run(&["check", "--read-data"]).code, 0);
    // Again there is nothing to do; and a snapshot of which nothing would be left stays.
    assert_eq!(sandbox.json(&["rewrite", "--exclude", "first-two", "--yes"])["dry_run"], false);
    let source = sandbox.path("source");
    let done = sandbox.json(&["rewrite", "--exclude", source.to_str().unwrap(), "--yes", "--forget"]);
    assert!(
        done["snapshots"].as_array().unwrap().iter().all(|s| s["nothing_left"] == true && s["new"].is_null()),
        "{done}"
    );
    assert_eq!(sandbox.json(&["snapshots"])["snapshots"].as_array().unwrap().len(), 3);
    assert_eq!(sandbox.run(&["rewrite", "--exclude", "", "--yes"]).code, 2);
}

#[test]
fn a_pinned_snapshot_is_not_forgotten_by_rewriting() {
    let (sandbox, ids) = sandbox();
    sandbox.ok(&["pin", &ids[0]]);
    let done = sandbox.json(&["rewrite", "--exclude", "first-two", "--yes", "--forget", &ids[0]]);
    assert_eq!(
        (done["snapshots"][0]["forgotten"].as_bool(), done["snapshots"][0]["new"].is_string()),
        (Some(false), true)
    );
    assert_eq!(sandbox.json(&["snapshots"])["snapshots"].as_array().unwrap().len(), 4);
    // A second run finds what the first has written.
    let again = sandbox.json(&["rewrite", "--exclude", "first-two", "--yes", &ids[0]]);
    assert_eq!(again["snapshots"][0]["new"], done["snapshots"][0]["new"]);
    assert_eq!(sandbox.json(&["snapshots"])["snapshots"].as_array().unwrap().len(), 4);
}
