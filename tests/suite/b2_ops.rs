//! `copy`, `repair` and `rewrite` over B2, by the program, in bad weather: each is run until it succeeds, and what comes back is right.

use crate::b2_kit::BUCKET;
use crate::b2_lab::STORE_CODES;
use crate::b2_place::{HOME, Place};
use crate::cli_common::{document, run};
use crate::common::noise;
use crate::fake_b2::Weather;
use crate::repair::files;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const SEEDS: std::ops::Range<u64> = 0..3;

/// A place with two snapshots of small and large files.
fn place() -> Place {
    let place = Place::new();
    place.ok(&["init", "-q"]);
    fill(&place);
    place.ok(&["backup", "source", "--host", "one", "-q"]);
    place.sandbox.write("source/large/0", noise(100, 250_000));
    place.sandbox.write("source/only-second", noise(101, 90_000));
    place.ok(&["backup", "source", "--host", "one", "-q"]);
    place
}

fn fill(place: &Place) {
    for n in 0..20 {
        place.sandbox.write(&format!("source/small/{n}"), format!("number {n} {}", "and more of it ".repeat(n * 30)));
    }
    for n in 0..4u64 {
        place.sandbox.write(&format!("source/large/{n}"), noise(n, 300_000));
    }
}

fn storm(place: &Place, seed: u64) {
    place.fake.reset_counts();
    let weather = Weather::new(seed).share(0.25).at_most(60);
    place.fake.weather(if seed % 2 == 1 { weather.with_caps() } else { weather });
}

/// Runs a command until it ends otherwise than with a trouble of the store: what it wrote.
fn until(command: impl Fn() -> Command, codes: &[i32]) -> Value {
    for _ in 0..30 {
        let run = run(&mut command());
        println!("{}: {}{}", run.code, run.out, run.err);
        if codes.contains(&run.code) {
            return document(&run.out);
        }
        assert!(STORE_CODES.iter().any(|code| i32::from(*code) == run.code), "{}: {}{}", run.code, run.out, run.err);
        assert!(run.err.is_empty() || run.err.contains("error:"), "{}", run.err);
    }
    panic!("it never succeeds");
}

/// As [`until`], over B2.
fn until_done(place: &Place, arguments: &[&str], codes: &[i32]) -> Value {
    let arguments = [arguments, &["--json", "-q"]].concat();
    until(|| place.command(&arguments), codes)
}

/// The weather clears up; it must have been bad.
fn clear(place: &Place) {
    let faults = place.fake.log().iter().filter(|call| call.fault.is_some()).count();
    assert!(faults > 0, "no fault was met");
    place.fake.fair_weather();
    assert_eq!(place.fake.violations(), Vec::<String>::new());
}

/// The files of each snapshot, oldest first; `command` is for the repository that is meant.
fn snapshots(place: &Place, command: impl Fn(&[&str]) -> Command) -> Vec<(String, BTreeMap<PathBuf, Vec<u8>>)> {
    let listing = run(&mut command(&["snapshots", "--json"]));
    assert_eq!(listing.code, 0, "{}", listing.err);
    let rows = document(&listing.out)["snapshots"].as_array().unwrap().clone();
    let ids = rows.iter().map(|row| row["id"].as_str().unwrap().to_owned());
    ids.map(|id| {
        let target = place.sandbox.path("restored");
        let _ = fs::remove_dir_all(&target);
        let restored = run(&mut command(&["restore", &id, "--target", "restored", "-q"]));
        assert_eq!(restored.code, 0, "{}", restored.err);
        (id, files(&target))
    })
    .collect()
}

fn contents(all: Vec<(String, BTreeMap<PathBuf, Vec<u8>>)>) -> Vec<BTreeMap<PathBuf, Vec<u8>>> {
    all.into_iter().map(|(_, files)| files).collect()
}

fn assert_sound(place: &Place) {
    place.ok(&["check", "--read-data", "-q"]);
}

#[test]
fn copies_go_there_and_back() {
    for seed in SEEDS {
        let place = Place::new();
        // Two folders beside it, and B2 in between.
        let local = |folder: &'static str| {
            let place = &place;
            move |arguments: &[&str]| {
                let mut command = place.sandbox.command(arguments);
                command.env("PANTHER_REPOSITORY", place.sandbox.path(folder));
                command.env("PANTHER_B2_ENDPOINT", place.fake.endpoint()).env("PANTHER_TEST_B2_PATIENCE", "5");
                command
            }
        };
        let ok = |command: &mut Command| assert_eq!(run(command).code, 0);
        fill(&place);
        for (folder, backs_up) in [("first", true), ("third", false)] {
            ok(&mut local(folder)(&["init", "-q"]));
            if backs_up {
                ok(&mut local(folder)(&["backup", "source", "--host", "one", "-q"]));
                place.sandbox.write("source/large/0", noise(100, 250_000));
                ok(&mut local(folder)(&["backup", "source", "--host", "one", "-q"]));
            }
        }
        place.ok(&["init", "-q"]);
        let before = contents(snapshots(&place, local("first")));
        assert!(before.len() == 2 && before[0] != before[1]);
        storm(&place, seed);
        let (to, there) = (format!("b2://{BUCKET}/{HOME}"), place.sandbox.path("third"));
        let second = ["--other-password-file", "password", "--other-b2-key-file", "key", "--json", "-q"];
        let done = until(|| local("first")(&[&["copy", "--to", &to][..], &second].concat()), &[0]);
        assert_eq!(done["copied"].as_array().unwrap().len() + done["skipped"].as_array().unwrap().len(), 2, "{done}");
        clear(&place);
        assert_sound(&place);
        assert_eq!(contents(snapshots(&place, |arguments| place.command(arguments))), before, "seed {seed}");
        storm(&place, seed + 100);
        let back = ["copy", "--to", there.to_str().unwrap(), "--other-password-file", "password"];
        until_done(&place, &back, &[0]);
        clear(&place);
        assert_eq!(contents(snapshots(&place, local("third"))), before, "seed {seed}");
        ok(&mut local("third")(&["check", "--read-data", "-q"]));
    }
}

#[test]
fn a_lost_index_is_made_anew() {
    for seed in SEEDS {
        let place = place();
        let before = snapshots(&place, |arguments| place.command(arguments));
        place.objects("/index/").iter().for_each(|name| place.fake.destroy(BUCKET, name));
        fs::remove_dir_all(place.sandbox.path("state")).unwrap();
        assert_eq!(place.run(&["check", "-q"]).code, 4);
        storm(&place, seed);
        until_done(&place, &["repair", "index", "--yes", "--read-data"], &[0]);
        clear(&place);
        assert_sound(&place);
        assert_eq!(snapshots(&place, |arguments| place.command(arguments)), before, "seed {seed}");
    }
}

/// Whether a pack in the bucket is one of data.
fn is_data(place: &Place, name: &str) -> bool {
    place.fake.versions(BUCKET).iter().any(|version| version.name == name && version.data[8] == 1)
}

#[test]
fn bad_packs_come_back_from_the_files() {
    for seed in SEEDS {
        let place = place();
        let latest = snapshots(&place, |arguments| place.command(arguments)).pop().unwrap();
        for name in place.objects("/packs/") {
            // Data is wrong for good, trees are gone.
            match is_data(&place, &name) {
                true => place.fake.corrupt(BUCKET, &name),
                false => place.fake.destroy(BUCKET, &name),
            }
        }
        assert_eq!(place.run(&["check", "--read-data", "-q"]).code, 4);
        storm(&place, seed);
        // What has changed since the first snapshot is lost.
        until_done(&place, &["repair", "packs", "--yes"], &[0, 4]);
        until_done(&place, &["repair", "snapshots", "--yes", "--forget"], &[0, 3]);
        clear(&place);
        assert_sound(&place);
        let after = snapshots(&place, |arguments| place.command(arguments));
        assert_eq!(after.last(), Some(&latest), "seed {seed}");
    }
}

#[test]
fn what_is_lost_is_left_out() {
    for seed in SEEDS {
        let place = place();
        let before = contents(snapshots(&place, |arguments| place.command(arguments)));
        fs::remove_dir_all(place.sandbox.path("source")).unwrap();
        let lost = place.objects("/packs/").into_iter().find(|name| is_data(&place, name)).unwrap();
        place.fake.destroy(BUCKET, &lost);
        assert_eq!(place.run(&["check", "-q"]).code, 4);
        storm(&place, seed);
        until_done(&place, &["repair", "packs", "--yes"], &[4]);
        until_done(&place, &["repair", "snapshots", "--yes", "--forget"], &[0, 3]);
        clear(&place);
        assert_sound(&place);
        let after = contents(snapshots(&place, |arguments| place.command(arguments)));
        assert_eq!(after.len(), 2);
        // Nothing else than before, and something less.
        assert!(after.iter().zip(&before).all(|(a, b)| a.iter().all(|(path, bytes)| b.get(path) == Some(bytes))));
        assert!(after.iter().zip(&before).any(|(a, b)| a.len() < b.len()), "seed {seed}");
    }
}

#[test]
fn snapshots_are_written_anew() {
    for seed in SEEDS {
        let place = place();
        let mut wanted = contents(snapshots(&place, |arguments| place.command(arguments)));
        wanted.iter_mut().for_each(|files| files.retain(|path, _| !path.to_str().unwrap().contains("/small/1")));
        storm(&place, seed);
        until_done(&place, &["rewrite", "--exclude", "small/1*", "--forget", "--yes"], &[0]);
        clear(&place);
        assert_sound(&place);
        assert_eq!(contents(snapshots(&place, |arguments| place.command(arguments))), wanted, "seed {seed}");
    }
}
