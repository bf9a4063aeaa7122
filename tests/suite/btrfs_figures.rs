//! What a delta costs, beside `btrfs send --no-data` and a walk. Measures and prints; run by hand:
//! `cargo test --release --test suite btrfs_figures -- --ignored --nocapture --test-threads 1`

use crate::btrfs_kit::{BtrfsLab, open_dir, record, run};
use crate::btrfs_walk::ino_of;
use crate::common::noise;
use crate::words;
use panther::source::btrfs::{ChangedRanges, Delta};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

const FILES: u64 = 300_000;
const LARGE_BYTES: u64 = 4 << 30;
const PAGE: u64 = 16 << 10;

fn measured<T>(what: &str, action: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = action();
    println!("{what}: {:.4} s", start.elapsed().as_secs_f64());
    result
}

fn walk_ways(lab: &BtrfsLab, parent: &Path, new: &Path) {
    for (state, cold) in [("cold", true), ("warm", false)] {
        let cool = || {
            if cold {
                lab.cool();
            }
        };
        cool();
        let (old, later, remembered) = (open_dir(parent), open_dir(new), record(parent));
        let delta = measured(&format!("delta, {state}"), || Delta::open(old, later, &remembered).unwrap().unwrap());
        println!("  {} changed of {FILES}", delta.changed_count());
        measured(&format!("ranges of all of them, {state}"), || {
            delta.changed().iter().for_each(|ino| drop(delta.changed_ranges(*ino).unwrap()));
        });
        drop(delta);
        cool();
        let stream = Path::new("/dev/null");
        measured(&format!("send --no-data -p, {state}"), || {
            run("btrfs", words!["send", "-q", "--no-data", "-f", stream, "-p", parent, new]);
        });
        cool();
        measured(&format!("find -newermt (a stat each, one thread), {state}"), || {
            run("find", words![new, "-newermt", "2100-01-01"]);
        });
    }
}

#[test]
#[ignore = "measures"]
fn many_small_files() {
    let Some(lab) = BtrfsLab::with(8 << 30, &[], "noatime") else { return };
    let source = lab.subvolume("source");
    for n in 0..FILES {
        let folder = source.join(format!("d{:03}/e{:02}", n / 1000, n / 100 % 10));
        if n % 100 == 0 {
            fs::create_dir_all(&folder).unwrap();
        }
        fs::write(folder.join(format!("file-{n}")), noise(n, 1024 + (n * 7919 % 3072) as usize)).unwrap();
    }
    lab.snapshot(&source, "before", true);
    let parent = lab.snapshot(&source, "parent", true);
    let same = lab.snapshot(&source, "same", true);
    println!("unchanged");
    walk_ways(&lab, &parent, &same);
    for n in 0..FILES / 1000 {
        let n = n * 1000 + n * 37 % 1000;
        let path = source.join(format!("d{:03}/e{:02}/file-{n}", n / 1000, n / 100 % 10));
        fs::write(path, noise(n + FILES, 2_000)).unwrap();
    }
    let new = lab.snapshot(&source, "new", true);
    println!("0.1 % changed");
    walk_ways(&lab, &parent, &new);
    lab.balance();
    println!("0.1 % changed, after a balance of everything");
    walk_ways(&lab, &parent, &new);
}

#[test]
#[ignore = "measures"]
fn few_pages_of_a_large_file() {
    let Some(lab) = BtrfsLab::with(12 << 30, &[], "noatime") else { return };
    let source = lab.subvolume("source");
    let path = source.join("large");
    let file = File::create(&path).unwrap();
    for at in (0..LARGE_BYTES).step_by(1 << 20) {
        file.write_all_at(&noise(at, 1 << 20), at).unwrap();
    }
    lab.snapshot(&source, "before", true);
    let parent = lab.snapshot(&source, "parent", true);
    for n in 0..64_u64 {
        let at = (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (LARGE_BYTES / PAGE)) * PAGE;
        file.write_all_at(&noise(at + 1, PAGE as usize), at).unwrap();
    }
    let new = lab.snapshot(&source, "new", true);
    drop(file);
    for cold in [true, false] {
        if cold {
            lab.cool();
        }
        let (old, later, remembered) = (open_dir(&parent), open_dir(&new), record(&parent));
        let what = if cold { "cold" } else { "warm" };
        let delta = measured(&format!("delta, {what}"), || Delta::open(old, later, &remembered).unwrap().unwrap());
        let ino = ino_of(&path);
        let ranges = measured(&format!("ranges, {what}"), || delta.changed_ranges(ino).unwrap());
        let ChangedRanges::Ranges(ranges) = ranges else { panic!("{ranges:?}") };
        println!("  {} ranges, {} bytes", ranges.len(), ranges.iter().map(|r| r.end - r.start).sum::<u64>());
        measured(&format!("both ways, {what}"), || {
            assert!(delta.changed_ranges_both_ways(ino).unwrap().1.is_some());
        });
    }
}
