//! Random histories: what a delta says, against two full walks.

use crate::btrfs_history::{History, KEPT};
use crate::btrfs_kit::{BtrfsLab, record, try_delta};
use crate::btrfs_walk::{Tally, check_walks, walk};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fs;
use std::path::Path;

/// How many rounds, from the environment where many are wanted.
fn rounds(usual: usize) -> usize {
    std::env::var("PANTHER_BTRFS_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

fn first_seed() -> u64 {
    std::env::var("PANTHER_BTRFS_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(1)
}

/// Snapshots of a history, each compared with the one before and sometimes with one from long before.
fn history(lab: &BtrfsLab, seed: u64, rounds: usize) -> Tally {
    let source = lab.subvolume("source");
    let mut history = History::new(seed, &source);
    fs::create_dir(source.join(KEPT)).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(!seed);
    let mut sum = Tally::default();
    let mut parent = lab.snapshot(&source, "snapshot-0", true);
    let (mut record_of_parent, mut facts) = (record(&parent), walk(&parent));
    for round in 1..=rounds {
        for _ in 0..rng.random_range(0..40) {
            history.step();
            if rng.random_range(0..300) == 0 {
                lab.balance();
            }
        }
        match rng.random_range(0..14) {
            // Numbers of inodes come back.
            0 => {
                history.release();
                lab.remount();
            }
            1 => lab.balance(),
            2 => {
                history.release();
                lab.crash();
            }
            3 if !parent.starts_with(&source) => {
                history.release();
                roll_back(lab, &mut history, &source, &parent);
            }
            _ => {}
        }
        // Many keep the snapshots of a subvolume in it: the next one then has the folder with the entry of this one.
        let within = rng.random_range(0..3) == 0;
        let new = if within { format!("source/{KEPT}/snapshot-{round}") } else { format!("snapshot-{round}") };
        let new = lab.snapshot(&source, &new, true);
        let what = format!("seed {seed}, round {round}: {:?}", history.take_log());
        let delta = try_delta(&parent, &new, &record_of_parent).unwrap_or_else(|refused| panic!("{refused}; {what}"));
        let new_facts = walk(&new);
        let tally = check_walks(&delta, &facts, &new_facts, &what);
        assert!(delta.still_valid().unwrap());
        add(&mut sum, tally);
        drop(delta);
        if rng.random_range(0..4) > 0 {
            lab.delete(&parent);
            (parent, facts, record_of_parent) = (new.clone(), new_facts, record(&new));
        } else {
            // The parent stays for a longer way.
            lab.delete(&new);
        }
    }
    drop(history);
    fs::remove_dir_all(source).ok();
    sum
}

/// Puts a writable snapshot of the last one backed up in the source's place, as somebody does who wants yesterday back.
fn roll_back(lab: &BtrfsLab, history: &mut History, source: &Path, parent: &Path) {
    // Those that are kept, too: a crash may have brought deleted ones back.
    history.remove_all(source);
    lab.snapshot(parent, "source", false);
    history.step();
}

fn add(sum: &mut Tally, tally: Tally) {
    sum.inodes += tally.inodes;
    sum.changed += tally.changed;
    sum.said_changed += tally.said_changed;
    sum.changed_bytes += tally.changed_bytes;
    sum.said_bytes += tally.said_bytes;
    sum.files_compared += tally.files_compared;
    sum.proportional += tally.proportional;
}

fn run(usual: usize, mkfs: &[&str], options: &str) {
    let Some(lab) = BtrfsLab::with(2 << 30, mkfs, options) else { return };
    let sum = history(&lab, first_seed(), rounds(usual));
    println!("{} rounds: {sum:?}", rounds(usual));
    // It must have been about something.
    assert!(sum.changed > 0 && sum.changed < sum.inodes && sum.proportional > 0, "{sum:?}");
}

#[test]
fn histories() {
    run(12, &[], "noatime");
}

#[test]
fn histories_with_small_nodes_and_compression() {
    run(5, &["-n", "4096"], "relatime,compress-force=zstd");
}

#[test]
fn histories_with_large_nodes_and_defragmentation() {
    run(5, &["-n", "65536"], "strictatime,autodefrag");
}

#[test]
fn histories_without_copy_on_write_and_with_explicit_holes() {
    run(5, &["-O", "^no-holes"], "noatime,nodatacow");
}
