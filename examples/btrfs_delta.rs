//! What changed from one Btrfs snapshot to a later one, with the time that each step took: for `benches/btrfs`.
//!
//! `cargo run --release --example btrfs_delta -- PARENT NEW`

use panther::source::btrfs::{ChangedRanges, Delta, ParentRecord};
use std::error::Error;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let folders: Vec<_> = std::env::args_os().skip(1).collect();
    let [parent, new] = &folders[..] else { return Err("give two snapshots, the earlier one first".into()) };
    let (parent, new) = (OwnedFd::from(File::open(parent)?), OwnedFd::from(File::open(new)?));
    let record = ParentRecord::of(parent.as_fd())?;
    let began = Instant::now();
    let delta = Delta::open(parent, new, &record)?.map_err(|refused| refused.to_string())?;
    let delta_secs = began.elapsed().as_secs_f64();
    let began = Instant::now();
    let mut changed_bytes = 0;
    for ino in delta.changed() {
        if let ChangedRanges::Ranges(ranges) = delta.changed_ranges(*ino)? {
            changed_bytes += ranges.iter().map(|range| range.end - range.start).sum::<u64>();
        }
    }
    let ranges_secs = began.elapsed().as_secs_f64();
    let changed = delta.changed_count();
    println!(
        "{{\"changed\":{changed},\"changed_bytes\":{changed_bytes},\"delta_secs\":{delta_secs},\"ranges_secs\":{ranges_secs}}}"
    );
    Ok(())
}
