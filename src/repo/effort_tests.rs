#![allow(clippy::unwrap_used)]

use super::*;
use crate::backend::fault::FaultBackend;
use crate::backend::memory::MemoryBackend;
use crate::id::RepoId;

const MIB: u64 = 1 << 20;
const SECOND: Duration = Duration::from_secs(1);

struct Kit {
    effort: Effort,
    state: State,
    folder: tempfile::TempDir,
}

fn store() -> Arc<dyn Backend> {
    Arc::new(FaultBackend::new(MemoryBackend::new(), |_| None))
}

fn kit(level: i32) -> Kit {
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(folder.path(), &RepoId([7; 32])).unwrap();
    Kit { effort: Effort::new(level, &store(), 2, 60 * MIB, &state).unwrap(), state, folder }
}

/// As if the store were far away.
fn auto() -> Kit {
    let kit = kit(AUTO);
    Kit { effort: Effort { fixed: None, ..kit.effort }, ..kit }
}

/// As if the last run had seen an uplink of so many MiB a second.
fn knowing(uplink: u64) -> Effort {
    let effort = auto().effort;
    *effort.measured.lock().unwrap() = Measured::typical(Some((uplink * MIB) as f64));
    effort
}

/// The level that is chosen now, with so many MiB in hand.
fn level(effort: &Effort, limit: Option<u64>, in_hand: u64) -> i32 {
    effort.sealed_bytes.store(in_hand * MIB, Ordering::Relaxed);
    LADDER[effort.choose(Instant::now(), limit, 0)].level
}

#[test]
fn without_a_network_it_is_the_default() {
    assert_eq!(kit(AUTO).effort.fixed, Some(DEFAULT_LEVEL));
    assert_eq!(kit(7).effort.fixed, Some(7));
}

#[test]
fn the_ladder_is_one() {
    assert!(LADDER.is_sorted_by(|a, b| a.level < b.level && a.cost < b.cost && a.saved < b.saved));
}

#[test]
fn an_uplink_is_measured_while_it_is_busy() {
    let effort = auto().effort;
    let mut now = Instant::now();
    assert_eq!(effort.choose(now, None, 0), 0);
    effort.sealed(1_000 * MIB);
    for second in 0..20 {
        effort.choose(now, None, second * 2 * MIB);
        now += SECOND;
    }
    let seen = effort.measured.lock().unwrap().uplink_bytes_per_sec.unwrap();
    assert!((1.9..2.1).contains(&(seen / MIB as f64)), "{seen}");
    // Nothing in hand: that nothing goes out says nothing.
    effort.choose(now, None, 1_000 * MIB);
    effort.choose(now + 9 * SECOND, None, 1_000 * MIB);
    assert_eq!(effort.measured.lock().unwrap().uplink_bytes_per_sec, Some(seen));
}

#[test]
fn the_slower_the_uplink_the_harder_it_works() {
    let levels = [200, 60, 20, 10, 4, 1].map(|uplink| level(&knowing(uplink), None, 120));
    assert!(levels.is_sorted(), "{levels:?}");
    assert_eq!((levels[0], levels[5]), (3, 18));
    assert!((6..=12).contains(&levels[2]), "{levels:?}");
}

#[test]
fn it_does_not_when_little_waits() {
    let levels = [0, 1, 5, 20, 60, 120].map(|in_hand| level(&knowing(3), None, in_hand));
    assert!(levels.is_sorted(), "{levels:?}");
    assert!(levels[0] == 3 && levels[5] >= 16, "{levels:?}");
}

#[test]
fn with_nothing_in_hand_it_does_what_the_uplink_gives_back() {
    assert_eq!(level(&knowing(100), None, 0), 3);
    let effort = auto().effort;
    *effort.measured.lock().unwrap() = Measured::typical(Some(3e5));
    assert!(level(&effort, None, 0) > 6);
}

#[test]
fn a_limit_is_an_uplink() {
    let effort = auto().effort;
    assert_eq!(level(&effort, None, 120), 3);
    assert!(level(&effort, Some(MIB), 120) >= 16);
    // The slower of both counts.
    assert!(level(&knowing(1), Some(500 * MIB), 120) >= 16);
    assert!(level(&knowing(500), Some(MIB), 120) >= 16);
}

#[test]
fn slower_data_takes_a_lower_level() {
    let effort = knowing(4);
    let before = level(&effort, None, 120);
    for _ in 0..200 {
        effort.lock().took(&LADDER[4], MIB as f64, Codec::Zstd, 4e5, 2.0);
    }
    assert!(level(&effort, None, 120) < before);
    // What cannot be compressed fills the uplink by itself, and costs nothing.
    for _ in 0..200 {
        effort.lock().took(&LADDER[4], MIB as f64, Codec::None, MIB as f64, 1e-4);
    }
    assert_eq!(level(&effort, None, 120), 18);
}

#[test]
fn packs_are_ended_early_only_while_a_slow_uplink_waits() {
    let fast = knowing(500);
    assert!(!fast.is_full(10 * MIB) && fast.is_full(60 * MIB));
    assert!(!kit(9).effort.is_full(10 * MIB));
    let slow = knowing(2);
    assert!(!slow.is_full(7 * MIB));
    assert!(slow.is_full(8 * MIB));
    slow.sealed(8 * MIB);
    assert!(!slow.is_full(15 * MIB) && slow.is_full(16 * MIB));
    slow.sealed(16 * MIB);
    assert!(!slow.is_full(40 * MIB) && slow.is_full(48 * MIB));
    // And not for ever.
    slow.sealed_bytes.store(0, Ordering::Relaxed);
    assert!(!slow.is_full(59 * MIB) && slow.is_full(60 * MIB));
}

#[test]
fn the_next_run_knows_the_uplink() {
    let Kit { effort, state, folder } = auto();
    effort.remember(&state).unwrap();
    assert_eq!(state.note(NOTE).unwrap(), None);
    // A small one says little, for most of its time nothing was on the way.
    effort.ended(MIB, SECOND);
    effort.remember(&state).unwrap();
    assert_eq!(state.note(NOTE).unwrap(), None);
    effort.ended(6 * MIB, 2 * SECOND);
    effort.remember(&state).unwrap();
    let again = Effort::new(AUTO, &store(), 2, 60 * MIB, &state).unwrap();
    assert_eq!(again.measured.lock().unwrap().uplink_bytes_per_sec, Some((3 * MIB) as f64));
    // It has become faster, and slower.
    again.ended(60 * MIB, SECOND);
    assert_eq!(again.lock().uplink_bytes_per_sec, Some((60 * MIB) as f64));
    again.ended(60 * MIB, 9 * SECOND);
    assert_eq!(again.lock().uplink_bytes_per_sec, Some((60 * MIB) as f64));
    drop((state, folder));
}

#[test]
fn a_limit_is_not_taken_for_the_uplink() {
    let mut measured = Measured::typical(None);
    measured.see(0.95e6, Some(1_000_000));
    assert!(!measured.is_seen);
    measured.see(0.5e6, Some(1_000_000));
    assert_eq!((measured.is_seen, measured.uplink_bytes_per_sec), (true, Some(0.5e6)));
}
