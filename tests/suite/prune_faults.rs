//! `prune` that is stopped at every call that changes the store, and with every answer lost: the next run finishes it, and nothing is ever missing.

use crate::common::{Lab, noise, write};
use crate::prune::{assert_sound, forget_ids, id_of, in_days, options};
use panther::backend::fault::{Fault, FaultBackend, Op, connection_reset};
use panther::backend::memory::MemoryBackend;
use panther::ops::Silent;
use panther::ops::prune::{PruneReport, prune};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// What is to go wrong: at which change of the store, and how.
#[derive(Default)]
struct Switch {
    at: AtomicU64,
    changes: AtomicU64,
    answers: AtomicU64,
}

/// A repository of which a prune has something to repack, to condemn and to sweep.
fn lab(switch: &Arc<Switch>) -> Lab {
    let plan = Arc::clone(switch);
    let backend = FaultBackend::new(MemoryBackend::new(), move |call| {
        if !matches!(call.op, Op::Put | Op::Delete) {
            let at = plan.at.load(SeqCst);
            let is_over = at > 0 && plan.changes.load(SeqCst) >= at && plan.answers.load(SeqCst) == 0;
            return is_over.then_some(Fault::Error(connection_reset));
        }
        let number = plan.changes.fetch_add(1, SeqCst) + 1;
        match plan.at.load(SeqCst) {
            0 => None,
            at if number < at => None,
            // The change itself is made; nothing that comes after it is.
            at if number == at => Some(Fault::LostAnswer),
            _ if plan.answers.load(SeqCst) == 0 => Some(Fault::Error(connection_reset)),
            _ => None,
        }
    });
    let lab = Lab::on(tempfile::tempdir().unwrap(), Arc::new(backend));
    let mut ids = Vec::new();
    for n in 0..3u64 {
        write(&lab.source().join(format!("stays-{n}")), &noise(n, 60_000));
        write(&lab.source().join("changes"), &noise(10 + n, 100_000));
        ids.push(id_of(&lab.backup()));
    }
    forget_ids(&lab, &ids[..1]);
    prune(&lab.repo, &lab.state, &options(in_days(30)), &Silent).unwrap();
    forget_ids(&lab, &ids[1..2]);
    lab
}

fn run(lab: &Lab, days: i64) -> panther::Result<PruneReport> {
    prune(&lab.repo, &lab.state, &options(in_days(days)), &Silent)
}

/// Both phases in one run, stopped at change number `at`, then once more in peace.
fn stopped(at: u64, only_answers: bool) -> bool {
    let switch = Arc::new(Switch::default());
    let lab = lab(&switch);
    switch.changes.store(0, SeqCst);
    switch.answers.store(u64::from(only_answers), SeqCst);
    switch.at.store(at, SeqCst);
    let first = run(&lab, 38);
    let has_struck = switch.changes.load(SeqCst) >= at;
    switch.at.store(0, SeqCst);
    assert_eq!(first.is_err(), has_struck, "{at}: {first:?}");
    let again = run(&lab, 38).unwrap();
    assert!(again.problems.is_empty());
    assert_sound(&lab);
    // Everything that was condemned goes in the end, and so do the gc objects that say so.
    for days in [46, 54, 56] {
        run(&lab, days).unwrap();
    }
    let left = run(&lab, 58).unwrap();
    assert_sound(&lab);
    assert_eq!((left.waiting_packs, left.condemned_packs, left.young_packs), (0, 0, 0), "{at}: {left:?}");
    assert!(lab.repo.statements().unwrap().condemned.is_empty(), "{at}");
    assert!(left.pack_bytes < 300_000 && left.unused_bytes < 30_000, "{at}: {left:?}");
    has_struck
}

#[test]
fn stopped_after_any_change() {
    let struck = (1..60).take_while(|at| stopped(*at, false)).count();
    assert!(struck >= 10, "only {struck} changes were made");
}

#[test]
fn any_answer_may_be_lost() {
    let struck = (1..60).step_by(3).take_while(|at| stopped(*at, true)).count();
    assert!(struck >= 4, "only {struck} changes were made");
}
