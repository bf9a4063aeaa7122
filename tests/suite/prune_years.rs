//! Years of nights of five hosts, with the code of every day: what is stored follows what is live, and nothing piles up.
//!
//! `PANTHER_PRUNE_YEARS=N` simulates that many, `PANTHER_PRUNE_EACH=N` one night in so many. Every host has a source of its own that changes; each night it is backed up, forgotten are
//! all but 7 daily, 4 weekly and 12 monthly snapshots, and once a week an admin prunes. Times of manifests are those of the simulated nights.

use crate::common::{Lab, noise, write};
use crate::generations::number;
use crate::prune::{DAY_SECS, assert_sound};
use panther::backend::memory::MemoryBackend;
use panther::format::time::Time;
use panther::id::WriterName;
use panther::ops::Silent;
use panther::ops::backup::{BackupOptions, backup};
use panther::ops::forget::{ForgetOptions, GroupBy, forget};
use panther::ops::prune::{PruneOptions, prune};
use panther::state::State;
use std::sync::Arc;

const HOSTS: [&str; 5] = ["zephyrus", "yoga", "hetzner", "contabo", "ovh"];
/// Files of a host, and how many bytes each has.
const FILES: u64 = 12;
const FILE_BYTES: usize = 6_000;

/// What there is at the end of a stretch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Figures {
    packs: usize,
    pack_bytes: u64,
    index_objects: usize,
    gc_objects: usize,
    gc_bytes: u64,
    snapshots: usize,
}

fn figures(lab: &Lab) -> Figures {
    let mut found = Figures::default();
    let mut visit = |listed: panther::backend::Listed| match listed
        .name
        .split('/')
        .nth(if listed.name.starts_with("gc/") { 0 } else { 2 })
    {
        Some("packs") => {
            found.packs += 1;
            found.pack_bytes += listed.size_bytes;
        }
        Some("index") => found.index_objects += 1,
        Some("snapshots") => found.snapshots += 1,
        Some("gc") => {
            found.gc_objects += 1;
            found.gc_bytes += listed.size_bytes;
        }
        _ => {}
    };
    lab.repo.backend().list("", &mut visit).unwrap();
    found
}

#[test]
fn nothing_piles_up_over_the_years() {
    let years = number("PANTHER_PRUNE_YEARS", 0);
    let each = number("PANTHER_PRUNE_EACH", if years == 0 { 6 } else { 1 });
    // By default a season, every sixth night of it, and no more than a month is kept.
    let nights = if years == 0 { 96 } else { 365 * i64::try_from(years).unwrap() };
    let each = usize::try_from(each).unwrap();
    let lab = Lab::on(tempfile::tempdir().unwrap(), Arc::new(MemoryBackend::new()));
    let states: Vec<State> = HOSTS
        .iter()
        .map(|host| State::open(&lab.folder.path().join(format!("state-{host}")), &lab.repo.keys().repo()).unwrap())
        .collect();
    let start = Time::now().secs;
    let (mut seed, mut history) = (0, Vec::new());
    let mut days_of = Vec::new();
    for night in (0..nights).step_by(each) {
        for (host, state) in HOSTS.iter().zip(&states) {
            let source = lab.folder.path().join(format!("source-{host}"));
            for n in 0..FILES {
                // A file changes every twelfth night; one stays as it is.
                if night == 0 || (n > 0 && (n.cast_signed() + night / each as i64) % 12 == 0) {
                    seed += 1;
                    write(&source.join(format!("folder{}/file{n}", n % 3)), &noise(seed, FILE_BYTES));
                }
            }
            let options = BackupOptions { paths: vec![source], host: (*host).to_owned(), ..lab.options() };
            let made = backup(&lab.repo, state, &options, &Silent).unwrap();
            assert!(made.vanished.is_empty(), "night {night}: {:?}", made.vanished);
            days_of.push((made.snapshot.unwrap(), night, *host));
        }
        thin_out(&lab, &mut days_of, night, if years == 0 { 30 } else { 365 });
        if night % 7 < each as i64 {
            let now = Time { secs: start + night * DAY_SECS, nanos: 0 };
            let options =
                PruneOptions { now: Some(now), threads: 1, ..PruneOptions::new(WriterName::new("admin").unwrap()) };
            prune(&lab.repo, &lab.state, &options, &Silent).unwrap();
        }
        if night % (nights / 8) < each as i64 {
            history.push((night, figures(&lab)));
        }
    }
    history.push((nights, figures(&lab)));
    for (night, figures) in &history {
        println!("night {night}: {figures:?}");
    }
    assert_sound(&lab);
    // What is live by the end: each host's newest content and that of its kept snapshots, twice at most.
    let (middle, last) = (history[history.len() / 2].1, history[history.len() - 1].1);
    assert!(last.packs <= middle.packs + middle.packs / 2 + 20, "{history:?}");
    assert!(last.pack_bytes <= middle.pack_bytes * 3 / 2, "{history:?}");
    assert!(last.index_objects <= 5 * 60 && last.gc_objects <= 40, "{last:?}");
}

/// Keeps 7 daily, 4 weekly and 12 monthly snapshots of each host, by the nights as they are simulated.
fn thin_out(lab: &Lab, made: &mut Vec<(panther::id::ObjectId, i64, &'static str)>, night: i64, longest: i64) {
    let is_kept = |at: i64| {
        let age = night - at;
        age < 7 || (age < 28 && at / 7 != (at - 7) / 7 && at % 7 < 6) || (age < longest && at % 30 < 10)
    };
    let (kept, gone): (Vec<_>, Vec<_>) = made.drain(..).partition(|(_, at, _)| is_kept(*at));
    *made = kept;
    if gone.is_empty() {
        return;
    }
    let options = ForgetOptions {
        filter: Default::default(),
        ids: gone.iter().map(|(id, _, _)| id.to_hex()).collect(),
        policy: Default::default(),
        group_by: GroupBy::default(),
        zone: jiff::tz::TimeZone::UTC,
        dry_run: false,
        remove_all: true,
        writer: WriterName::new("admin").unwrap(),
    };
    forget(&lab.repo, &lab.state, &options, &Silent).unwrap();
}
