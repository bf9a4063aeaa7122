//! Random mixtures of faults: nothing that was committed is ever lost, no run hangs, each ends well or says clearly why not.
//!
//! Where listings are stale, what a check or a restore reads may seem to be missing; it is never damaged, and all there when the listings are.
//!
//! `PANTHER_B2_SEEDS=N` takes so many seeds, `PANTHER_B2_SEED=N` begins with that one, `PANTHER_B2_THREADS=N` takes so many at once.

use crate::b2_kit::fake;
use crate::b2_lab::{B2Lab, STORE_CODES, watched};
use crate::fake_b2::{Logged, Weather};
use crate::generations::number;
use panther::error::Error;
use panther::ops::check::FindingKind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// What happened, for whoever runs many seeds by hand.
#[derive(Default)]
struct Tally {
    calls: AtomicU64,
    faults: AtomicU64,
    runs: AtomicU64,
    refusals: AtomicU64,
}

fn weather(seed: u64) -> Weather {
    // Light and heavy weather, some without an end, some with caps, some with silence.
    let weather = Weather::new(seed).share([0.05, 0.125, 0.3, 0.5][seed as usize % 4]);
    let weather = if seed.is_multiple_of(5) { weather.at_most(u64::MAX) } else { weather };
    let weather = if seed % 7 == 3 { weather.with_caps() } else { weather };
    let weather = if is_stale(seed) { weather.with_stale_listings() } else { weather };
    if seed % 16 == 9 { weather.share(0.05).with_stalls().at_most(2) } else { weather }
}

fn is_stale(seed: u64) -> bool {
    seed % 3 == 2
}

fn run(seed: u64, tally: &Tally) {
    let what = format!("seed {seed}");
    let fake = fake();
    let mut lab = B2Lab::new(&fake);
    lab.backup().unwrap();
    fake.reset_counts();
    fake.weather(weather(seed));
    let ended = |error: Error| {
        assert!(STORE_CODES.contains(&error.exit_code()), "{what}: {error:?}");
        assert!(error.exit_code() == 5 || error.hint().is_some(), "{what}: no hint: {error:?}");
        tally.refusals.fetch_add(1, Ordering::Relaxed);
    };
    for _ in 0..3 {
        lab.change();
        tally.runs.fetch_add(3, Ordering::Relaxed);
        let _ = lab.backup().map_err(ended);
        // What a check or a restore says in bad weather is true, too.
        let id = lab.snapshots.last().unwrap().clone();
        match lab.check() {
            Ok(report) => {
                let errors = report.errors.iter();
                let is_real = |kind| !is_stale(seed) || matches!(kind, FindingKind::Damaged | FindingKind::Newer);
                let bad = errors.filter(|found| is_real(found.kind));
                let calls = fake.log();
                let last: Vec<String> = calls[calls.len().saturating_sub(60)..].iter().map(Logged::brief).collect();
                assert_eq!(bad.count(), 0, "{what}: {:?} after\n{}", report.errors, last.join("\n"));
            }
            Err(error) => ended(error),
        }
        match lab.restore(id.0, &id.1) {
            Err(Error::Missing(_) | Error::Aborted) if is_stale(seed) => {}
            done => drop(done.map_err(ended)),
        }
    }
    tally.calls.fetch_add(fake.counts().all(), Ordering::Relaxed);
    let met = fake.log().iter().filter(|call| call.fault.is_some()).count() as u64;
    tally.faults.fetch_add(met, Ordering::Relaxed);
    fake.fair_weather();
    lab.assert_all_is_well(&what);
    assert_eq!(fake.violations(), Vec::<String>::new(), "{what}");
}

#[test]
fn nothing_is_lost_in_any_weather() {
    let (first, count) = (number("PANTHER_B2_SEED", 0), number("PANTHER_B2_SEEDS", 40));
    let (tally, next, wrong) = (Arc::<Tally>::default(), AtomicU64::new(first), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..number("PANTHER_B2_THREADS", 3) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let counted = Arc::clone(&tally);
                    let work = move || watched(240, &format!("seed {seed}"), move || run(seed, &counted));
                    if let Err(panic) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
                        let text = panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "a panic".to_owned());
                        wrong.lock().unwrap().push(format!("seed {seed}: {text}"));
                    }
                }
            });
        }
    });
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (calls, faults, runs, refusals) = (of(&tally.calls), of(&tally.faults), of(&tally.runs), of(&tally.refusals));
    println!("{count} seeds: {faults} faults in {calls} calls; {refusals} of {runs} runs ended with an error");
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong[..wrong.len().min(10)].join("\n"));
    assert!(faults > 3 * count && refusals < runs / 2, "the weather is not what it should be");
}
