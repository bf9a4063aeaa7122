//! The protocol of removal under a deterministic simulator: writers and admins whose steps are interleaved at random, with crashes between any two, clocks that are
//! hours off, stale listings, lost answers and requests, sleep of days. What decides are the rules of `panther::prune`, as in the program.
//!
//! A history is a seed. `PANTHER_PRUNE_SEEDS=N` runs that many, `PANTHER_PRUNE_SEED=N` tells one of them; `docs/prune.md` says what is checked and why no second model is needed.

mod admin;
mod world;
mod writer;

use admin::Admin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;
use world::{Broken, DAY, HOUR, World};
use writer::Writer;

/// Optimised code runs a thousand histories a second or more; that of a quick build a twentieth of that.
const DEFAULT: u64 = if cfg!(debug_assertions) { 300 } else { 4_000 };

/// What came of a history.
struct History {
    loss: Option<String>,
    /// What should have gone in the end and has not.
    left: Option<String>,
    condemned: u64,
    removed: u64,
    rescues: u64,
    snapshots: u64,
    events: u64,
}

fn history(seed: u64, broken: Broken) -> History {
    let mut world = World::new(seed, broken);
    world.tells_all = std::env::var("PANTHER_PRUNE_SEED").is_ok_and(|text| text == seed.to_string());
    let mut writers: Vec<Writer> = (0..3).map(|id| Writer::new(id, &mut world)).collect();
    let skews = [world.chance.upto(6 * HOUR) - 3 * HOUR, world.chance.upto(6 * HOUR) - 3 * HOUR];
    let mut admins: Vec<Admin> = skews.into_iter().map(|skew| Admin::new(&mut world, skew)).collect();
    let end = world.now + 6 * DAY;
    let mut events = 0;
    while world.loss.is_none() {
        let writer = (0..writers.len()).min_by_key(|n| writers[*n].next).unwrap_or(0);
        let admin = (0..admins.len()).min_by_key(|n| admins[*n].next).unwrap_or(0);
        let next = writers[writer].next.min(admins[admin].next);
        if next > end {
            break;
        }
        world.now = next;
        events += 1;
        match writers[writer].next == next {
            true => writers[writer].step(&mut world),
            false => admins[admin].step(&mut world),
        }
    }
    let left = if world.loss.is_none() { drain(&mut world, &mut admins[0]) } else { None };
    let removed = (0..world.packs.len()).filter(|n| world.ever_condemned >> n & 1 == 1);
    History {
        removed: removed.filter(|n| !world.packs[*n].life.is_there()).count() as u64,
        condemned: u64::from(world.ever_condemned.count_ones()),
        rescues: world.rescues,
        snapshots: world.manifests.len() as u64,
        loss: world.loss,
        left,
        events,
    }
}

/// When nothing else happens any more, everything that is condemned goes, and what says so.
fn drain(world: &mut World, admin: &mut Admin) -> Option<String> {
    admin.skew = 0;
    // What is repacked on the way is condemned in its turn: a few weeks.
    for round in 0..24 {
        world.now += 3 * DAY;
        admin.run(world);
        let condemned = (0..world.packs.len()).filter(|n| world.ever_condemned >> n & 1 == 1);
        let is_done = condemned.into_iter().all(|n| !world.packs[n].life.is_there())
            && world.gc.iter().all(|gc| !gc.life.is_there());
        if is_done && round > 3 {
            break;
        }
    }
    let readable = world.readable();
    if world.manifests.iter().any(|m| m.life.is_there() && m.blobs & !readable != 0) {
        return Some("a snapshot cannot be read in the end".into());
    }
    let is_there = |n: &usize| world.packs[*n].life.is_there();
    let condemned = (0..world.packs.len()).filter(|n| world.ever_condemned >> n & 1 == 1).filter(is_there);
    // One that was condemned and taken back there is none of.
    let packs: Vec<usize> = condemned.collect();
    if !packs.is_empty() {
        return Some(format!("condemned packs {packs:?} are still there"));
    }
    let gc = world.gc.iter().filter(|gc| gc.life.is_there()).count();
    (gc > 0).then(|| format!("{gc} gc objects are still there"))
}

/// Runs histories on all cores. The first seed that went wrong, and sums.
fn run(seeds: std::ops::Range<u64>, broken: Broken) -> (Option<(u64, String)>, [u64; 5]) {
    let next = AtomicU64::new(seeds.start);
    let sums: [AtomicU64; 5] = Default::default();
    let found = std::sync::Mutex::new(None::<(u64, String)>);
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Relaxed);
                    if seed >= seeds.end || found.lock().unwrap().is_some() {
                        return;
                    }
                    let h = history(seed, broken);
                    for (sum, more) in sums.iter().zip([h.condemned, h.removed, h.rescues, h.snapshots, h.events]) {
                        sum.fetch_add(more, Relaxed);
                    }
                    if let Some(what) = h.loss.or(h.left) {
                        found.lock().unwrap().get_or_insert((seed, what));
                        return;
                    }
                }
            });
        }
    });
    (found.into_inner().unwrap(), sums.map(AtomicU64::into_inner))
}

#[test]
fn no_history_loses_a_blob() {
    let seeds = std::env::var("PANTHER_PRUNE_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(DEFAULT);
    let begun = Instant::now();
    let (found, [condemned, removed, rescues, snapshots, events]) = run(0..seeds, Broken::Nothing);
    let secs = begun.elapsed().as_secs_f64();
    println!(
        "{seeds} histories in {secs:.1} s, {:.0} a second: {events} events, {snapshots} snapshots, {condemned} packs condemned, \
         {removed} removed, {rescues} times one was left alone",
        seeds as f64 / secs
    );
    assert_eq!(found, None, "the history of this seed");
    // They are about something.
    assert!(condemned > 2 * seeds && removed == condemned && rescues > seeds / 10 && snapshots > 3 * seeds);
}

/// The one of `PANTHER_PRUNE_SEED`.
#[test]
fn one_history() {
    let seed = crate::generations::number("PANTHER_PRUNE_SEED", 7);
    let found = history(seed, Broken::Nothing);
    assert_eq!((found.loss, found.left), (None, None), "seed {seed}");
}

/// What is broken on purpose is found.
#[test]
fn broken_protocols_are_caught() {
    let all = [Broken::Grace, Broken::Rescue, Broken::Relist, Broken::LastLook];
    for (broken, first) in all.into_iter().map(|broken| (broken, 0)).chain([(Broken::Listing, 15_000)]) {
        let (found, sums) = run(first..first + 20_000, broken);
        println!("{broken:?}: {found:?} {sums:?}");
        assert!(found.is_some_and(|(_, what)| what.contains("lost")), "{broken:?} is not noticed");
    }
}
