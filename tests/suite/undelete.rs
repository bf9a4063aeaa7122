//! `undelete`: what was forgotten comes back until it is swept.

use crate::cli_common::{Sandbox, document};
use crate::common::{Lab, noise, write};
use crate::prune::{assert_sound, forget_ids, id_of, in_days, lab_writer, prune_in};
use panther::error::Error;
use panther::id::ObjectId;
use panther::ops::Silent;
use panther::ops::undelete::{UndeleteOptions, UndeleteReport, candidates, undelete};

pub fn bring_back(lab: &Lab, ids: &[ObjectId], packs: bool, days: i64) -> panther::Result<UndeleteReport> {
    let ids = ids.iter().map(|id| id.to_hex()).collect();
    let options = UndeleteOptions { ids, packs, writer: lab_writer(), now: Some(in_days(days)) };
    undelete(&lab.repo, &lab.state, &options, &Silent)
}

/// Two snapshots; the first is forgotten.
fn two() -> (Lab, ObjectId) {
    let lab = Lab::new();
    write(&lab.source().join("folder/gone"), &noise(1, 2 << 20));
    write(&lab.source().join("stays"), &noise(2, 1 << 20));
    let first = id_of(&lab.backup());
    std::fs::remove_dir_all(lab.source().join("folder")).unwrap();
    lab.backup();
    forget_ids(&lab, &[first]);
    (lab, first)
}

fn snapshots(lab: &Lab) -> Vec<ObjectId> {
    let statements = lab.repo.statements().unwrap();
    lab.repo.snapshots(&statements).unwrap().snapshots.iter().map(|s| s.head.id).collect()
}

#[test]
fn a_forgotten_snapshot_comes_back_with_its_packs() {
    let (lab, first) = two();
    assert_eq!(snapshots(&lab).len(), 1);
    assert_eq!(candidates(&lab.repo).unwrap()[0].head.id, first);
    let marked = prune_in(&lab, 30);
    assert!(marked.condemned_packs > 0);
    let back = bring_back(&lab, &[first], false, 31).unwrap();
    assert_eq!((back.snapshots[0].id, back.snapshots[0].was_removed), (first, true));
    assert_eq!((back.taken_back_packs, back.needed_packs), (marked.condemned_packs, 0), "{back:?}");
    assert!(snapshots(&lab).contains(&first) && lab.repo.statements().unwrap().forgotten.is_empty());
    assert!(candidates(&lab.repo).unwrap().is_empty());
    assert_sound(&lab);
    // What the prune has stored anew is double now, and goes in its turn; the snapshot stays.
    let later = prune_in(&lab, 60);
    assert_eq!(later.needed_packs, 0);
    prune_in(&lab, 70);
    assert_sound(&lab);
    assert!(snapshots(&lab).contains(&first));
}

#[test]
fn near_the_sweep_packs_stay_condemned_and_are_rescued() {
    let (lab, first) = two();
    let marked = prune_in(&lab, 30);
    // An hour before their time.
    let ids = vec![first.to_hex()];
    let mut now = in_days(37);
    now.secs -= 3_600;
    let options = UndeleteOptions { ids, packs: true, writer: lab_writer(), now: Some(now) };
    let back = undelete(&lab.repo, &lab.state, &options, &Silent).unwrap();
    assert_eq!((back.taken_back_packs, back.snapshots.len()), (0, 1));
    assert!(back.needed_packs > 0 && back.needed_packs <= marked.condemned_packs, "{back:?}");
    let swept = prune_in(&lab, 38);
    assert!(swept.needed_packs > 0 && swept.repacked_packs >= swept.needed_packs, "{swept:?}");
    assert_sound(&lab);
    // What was left alone is stored elsewhere now, and goes.
    let last = prune_in(&lab, 39);
    assert_eq!((last.needed_packs, last.removed_packs), (0, swept.needed_packs), "{last:?}");
    assert_sound(&lab);
    assert!(snapshots(&lab).contains(&first));
}

#[test]
fn what_was_swept_does_not_come_back() {
    let (lab, first) = two();
    prune_in(&lab, 30);
    prune_in(&lab, 38);
    let before = lab.objects("");
    let error = bring_back(&lab, &[first], true, 38).unwrap_err();
    assert!(matches!(&error, Error::Usage(what) if what.contains("removed since")), "{error}");
    assert_eq!(lab.objects(""), before);
    assert_sound(&lab);
}

#[test]
fn condemned_packs_are_taken_back() {
    let (lab, _) = two();
    let marked = prune_in(&lab, 30);
    let back = bring_back(&lab, &[], true, 31).unwrap();
    assert_eq!((back.taken_back_packs, back.snapshots.len()), (marked.condemned_packs, 0));
    assert!(lab.repo.statements().unwrap().condemned.is_empty());
    let swept = prune_in(&lab, 40);
    assert_eq!(swept.removed_packs, 0);
    assert!(swept.condemned_packs > 0, "the next prune condemns them again: {swept:?}");
}

#[test]
fn the_commands() {
    let sandbox = Sandbox::new();
    sandbox.write("source/file", noise(1, 300_000));
    let first = sandbox.json(&["backup", "source"])["snapshot"].as_str().unwrap().to_owned();
    sandbox.write("source/file", noise(2, 300_000));
    sandbox.json(&["backup", "source"]);
    sandbox.ok(&["forget", &first]);
    let listed = sandbox.json(&["undelete"]);
    assert_eq!(listed["candidates"][0]["id"], first);
    assert!(sandbox.ok(&["undelete"]).contains(&first[..8]));
    let planned = sandbox.json(&["prune", "--dry-run"]);
    assert_eq!((planned["dry_run"].as_bool(), planned["condemned_packs"].as_u64()), (Some(true), Some(0)));
    assert!(planned["young_packs"].as_u64().unwrap() >= 1, "{planned}");
    // Without grace, as nothing else runs here.
    let run = sandbox.run(&["prune", "--grace", "0s"]);
    assert_eq!(run.code, 2, "{}", run.err);
    let now = ["prune", "--grace", "0s", "--short-grace"];
    let marked = sandbox.json(&now);
    assert!(marked["condemned_packs"].as_u64().unwrap() >= 1, "{marked}");
    let back = sandbox.json(&["undelete", &first[..10]]);
    assert_eq!(back["snapshots"][0]["was_removed"], true);
    sandbox.ok(&["check", "--read-data"]);
    sandbox.ok(&["forget", &first]);
    for _ in 0..2 {
        sandbox.ok(&now);
    }
    let text = sandbox.ok(&["prune", "--max-unused", "0%"]);
    assert!(text.contains("1 snapshot with "), "{text}");
    let run = sandbox.run(&["undelete", &first, "--json"]);
    assert_eq!(run.code, 2, "{}", run.err);
    assert!(document(&run.out)["error"]["message"].as_str().is_some_and(|m| m.contains("brought back")), "{}", run.out);
    sandbox.ok(&["check", "--read-data"]);
    assert_eq!(sandbox.run(&["undelete", "--packs"]).code, 0);
}
