//! The B2 store: the contract, in fair weather and under faults; versions; tokens; answers that are lost.

use crate::b2_kit::{BUCKET, fake, open, options};
use crate::common::noise;
use crate::fake_b2::{Call, FakeB2, Fault, Kind, Weather};
use panther::backend::b2::{B2Backend, Which};
use panther::backend::{Backend, Body, OddityKind, conformance};
use panther::error::{Cap, StoreError};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

fn check_contract(fake: &FakeB2) -> Result<(), String> {
    let number = AtomicU32::new(0);
    conformance::check(&|| {
        let prefix = format!("c{}", number.fetch_add(1, Ordering::Relaxed));
        Box::new(open(&options(fake, &prefix)))
    })
}

#[test]
fn it_keeps_the_contract() {
    let fake = fake();
    check_contract(&fake).unwrap();
    assert_eq!(fake.violations(), Vec::<String>::new());
}

#[test]
fn it_keeps_the_contract_in_bad_weather() {
    for seed in 0..4 {
        let fake = fake();
        let mut weather = Weather::new(seed).at_most(u64::MAX);
        fake.plan(move |call: &Call| {
            // A part of an object is checked by its reader, and stale listings are allowed for there too.
            weather.meet(call).filter(|fault| !matches!(fault, Fault::Corrupt | Fault::StaleListing(..)))
        });
        check_contract(&fake).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        assert_eq!(fake.violations(), Vec::<String>::new());
    }
}

#[test]
fn what_is_hidden_or_shadowed_is_noticed_and_read() {
    let fake = fake();
    let store = open(&options(&fake, "p"));
    for name in ["gc/hidden", "gc/shadowed", "gc/twice", "gc/plain"] {
        store.put(name, Body::Bytes(name.as_bytes())).unwrap();
    }
    fake.hide(BUCKET, "p/gc/hidden");
    fake.shadow(BUCKET, "p/gc/shadowed", b"something else that is longer");
    fake.shadow(BUCKET, "p/gc/twice", b"gc/twice");
    // Without what the first one remembers.
    let other = open(&options(&fake, "p"));
    let mut listed = Vec::new();
    other.list("gc/", &mut |object| listed.push((object.name, object.size_bytes))).unwrap();
    listed.sort();
    let want = ["gc/hidden", "gc/plain", "gc/shadowed", "gc/twice"].map(|name| (name.to_owned(), name.len() as u64));
    assert_eq!(listed, want);
    let odd: Vec<_> = other.oddities().into_iter().map(|o| (o.name, o.kind, o.extra_versions)).collect();
    let kinds = [
        ("gc/hidden".to_owned(), OddityKind::Hidden, 1),
        ("gc/shadowed".to_owned(), OddityKind::Shadowed, 1),
        ("gc/twice".to_owned(), OddityKind::Surplus, 1),
    ];
    assert_eq!(odd, kinds);
    for name in ["gc/hidden", "gc/shadowed", "gc/twice"] {
        assert_eq!(other.get(name, 100).unwrap(), name.as_bytes());
        // Also without a listing: what is hidden is looked up; what is shadowed comes wrong, and right with another attempt.
        let third = open(&options(&fake, "p"));
        let first = third.get(name, 100).unwrap();
        if first != name.as_bytes() {
            assert_eq!(name, "gc/shadowed");
            assert_eq!(third.get_again(name, 100, 0).unwrap().unwrap(), first);
            assert_eq!(third.get_again(name, 100, 1).unwrap().unwrap(), name.as_bytes());
            assert!(third.get_again(name, 100, 2).unwrap().is_some());
            assert_eq!(third.get_again(name, 100, 3).unwrap(), None);
        }
    }
    let tidied = other.tidy_versions("", false).unwrap();
    assert_eq!((tidied.removed_versions, tidied.removed_bytes), (2, 8));
    let tidied = other.tidy_versions("gc/", true).unwrap();
    assert_eq!((tidied.removed_versions, tidied.locked_versions), (1, 0));
    assert_eq!(fake.versions(BUCKET).len(), 4);
    assert_eq!(fake.names(BUCKET).len(), 4);
    other.list("", &mut |_| ()).unwrap();
    assert_eq!(other.oddities(), []);
}

#[test]
fn removing_removes_all_versions() {
    let fake = fake();
    let store = open(&options(&fake, ""));
    store.put("gc/a", Body::Bytes(b"a")).unwrap();
    fake.shadow(BUCKET, "gc/a", b"b");
    fake.hide(BUCKET, "gc/a");
    store.delete("gc/a").unwrap();
    assert!(fake.versions(BUCKET).is_empty());
    assert!(matches!(store.delete("gc/a"), Err(StoreError::NotFound)));
}

#[test]
fn a_lost_answer_costs_no_second_upload() {
    let fake = fake();
    let store = open(&options(&fake, ""));
    fake.plan(|call| (call.kind == Kind::UploadFile && call.nth == 1).then_some(Fault::LostAnswer));
    let bytes = noise(1, 300_000);
    store.put("gc/a", Body::Bytes(&bytes)).unwrap();
    let counts = fake.counts();
    assert_eq!((counts.of(Kind::UploadFile), counts.lists()), (1, 1));
    assert_eq!(fake.versions(BUCKET).len(), 1);
    assert_eq!(store.get("gc/a", u64::MAX).unwrap(), bytes);
    // With a listing that does not show it yet there are two: they are noticed and can be removed.
    let (mut uploads, mut lists) = (0, 0);
    fake.plan(move |call| {
        uploads += u32::from(call.kind == Kind::UploadFile);
        lists += u32::from(call.kind == Kind::ListFileVersions);
        match call.kind {
            Kind::UploadFile if uploads == 1 => Some(Fault::LostAnswer),
            Kind::ListFileVersions if lists == 1 => Some(Fault::StaleListing(1, 1)),
            _ => None,
        }
    });
    store.put("gc/b", Body::Bytes(&bytes)).unwrap();
    fake.fair_weather();
    assert_eq!(fake.versions(BUCKET).len(), 3);
    store.list("", &mut |_| ()).unwrap();
    assert_eq!(
        store.oddities().iter().map(|o| (o.kind, o.extra_bytes)).collect::<Vec<_>>(),
        [(OddityKind::Surplus, 300_000)]
    );
    assert_eq!(store.tidy_versions("", false).unwrap().removed_versions, 1);
    assert_eq!(fake.versions(BUCKET).len(), 2);
}

#[test]
fn many_threads_get_one_new_token() {
    let fake = fake();
    let store = open(&options(&fake, ""));
    store.put("gc/a", Body::Bytes(b"a")).unwrap();
    for _ in 0..3 {
        fake.expire_tokens();
        fake.reset_counts();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let store = &store;
                scope.spawn(move || {
                    store.put(&format!("gc/{thread}"), Body::Bytes(&[thread])).unwrap();
                    assert_eq!(store.get("gc/a", 9).unwrap(), b"a");
                });
            }
        });
        assert_eq!(fake.counts().of(Kind::Authorize), 1);
    }
}

#[test]
fn a_token_that_is_never_good_is_no_loop() {
    let fake = fake();
    let store = open(&options(&fake, ""));
    fake.plan(|call| (call.kind != Kind::Authorize).then_some(Fault::BadToken));
    assert!(matches!(store.size("gc/a"), Err(StoreError::Credentials(_))));
    assert!(fake.counts().all() <= 20, "{:?}", fake.counts());
}

#[test]
fn caps_and_refusals_are_not_tried_again() {
    let fake = fake();
    let store = open(&options(&fake, ""));
    store.put("gc/a", Body::Bytes(b"a")).unwrap();
    for (code, cap) in [
        ("storage_cap_exceeded", Cap::Storage),
        ("transaction_cap_exceeded", Cap::Transactions),
        ("download_cap_exceeded", Cap::Download),
        ("cap_exceeded", Cap::Unnamed),
    ] {
        fake.reset_counts();
        fake.plan(move |_| Some(Fault::Cap(code)));
        let calls: [Result<(), StoreError>; 3] =
            [store.put("gc/b", Body::Bytes(b"b")), store.get("gc/a", 9).map(drop), store.list("", &mut |_| ())];
        for done in calls {
            match done {
                Err(StoreError::Cap { cap: found, .. }) => assert_eq!(found, cap),
                other => panic!("{code}: {other:?}"),
            }
        }
        assert_eq!(fake.counts().all(), 3);
    }
    fake.reset_counts();
    fake.plan(|_| Some(Fault::Status(403, "access_denied", None)));
    assert!(matches!(store.get("gc/a", 9), Err(StoreError::Forbidden(_))));
    fake.plan(|_| Some(Fault::Status(400, "bad_request", None)));
    assert!(matches!(store.get("gc/a", 9), Err(StoreError::Io(_))));
    assert_eq!(fake.counts().all(), 2);
}

#[test]
fn a_service_that_is_away_is_given_up() {
    let fake = fake();
    let store = open(&options(&fake, ""));
    store.put("gc/a", Body::Bytes(b"a")).unwrap();
    fake.reset_counts();
    fake.plan(|_| Some(Fault::status(503)));
    let done = store.get("gc/a", 9);
    assert!(matches!(&done, Err(error @ StoreError::Unreachable(_)) if error.is_transient()), "{done:?}");
    assert_eq!(fake.counts().all(), 10);
    fake.fair_weather();
    fake.refuse(true);
    assert!(matches!(store.put("gc/b", Body::Bytes(b"b")), Err(StoreError::Unreachable(_))));
    fake.refuse(false);
    store.put("gc/b", Body::Bytes(b"b")).unwrap();
}

#[test]
fn stalls_and_trickles_end() {
    let fake = fake();
    let mut options = options(&fake, "");
    options.patience.idle = Duration::from_millis(150);
    options.patience.least_bytes_per_sec = 1 << 30;
    let store = open(&options);
    let bytes = noise(2, 2 << 20);
    let seen = AtomicU64::new(0);
    fake.plan(move |call| {
        if !(call.kind.uploads() || call.kind.downloads()) {
            return None;
        }
        match seen.fetch_add(1, Ordering::Relaxed) {
            0 | 5 => Some(Fault::Stall),
            1 | 6 => Some(Fault::StallMidBody),
            2 => Some(Fault::StallAnswer),
            7 => Some(Fault::Trickle(1, Duration::from_millis(20))),
            _ => None,
        }
    });
    store.put("gc/a", Body::Bytes(&bytes)).unwrap();
    assert_eq!(store.get("gc/a", u64::MAX).unwrap(), bytes);
    assert_eq!(fake.versions(BUCKET).len(), 1);
}

#[test]
fn a_wish_to_stop_ends_every_wait() {
    let fake = fake();
    let mut options = options(&fake, "");
    options.patience.first_wait = Duration::from_secs(600);
    options.patience.longest_wait = Duration::from_secs(600);
    options.patience.idle = Duration::from_secs(600);
    for fault in [Fault::status(503), Fault::Stall] {
        let store = open(&options);
        store.account(Which::Own).unwrap();
        let wanted = fault.clone();
        fake.plan(move |_| Some(wanted.clone()));
        let began = Instant::now();
        std::thread::scope(|scope| {
            let put = scope.spawn(|| store.put("gc/a", Body::Bytes(b"a")));
            std::thread::sleep(Duration::from_millis(100));
            options.cancel.store(true, Ordering::Relaxed);
            let done = put.join().unwrap();
            assert!(matches!(done, Err(StoreError::Cancelled)), "{done:?}");
        });
        assert!(began.elapsed() < Duration::from_secs(20));
        options.cancel.store(false, Ordering::Relaxed);
        fake.fair_weather();
    }
}

#[test]
fn listings_without_packs_do_not_grow_with_them() {
    let fake = fake();
    let (few, many) = (open(&options(&fake, "few")), open(&options(&fake, "many")));
    let fill = |store: &B2Backend, prefix: &str, packs: usize| {
        store.put("gc/1", Body::Bytes(b"1")).unwrap();
        for writer in ["a", "b"] {
            store.put(&format!("writers/{writer}/index/1"), Body::Bytes(b"1")).unwrap();
            store.put(&format!("writers/{writer}/snapshots/1"), Body::Bytes(b"1")).unwrap();
            for pack in 0..packs {
                fake.shadow(BUCKET, &format!("{prefix}/writers/{writer}/packs/{pack:05}"), b"1");
            }
        }
    };
    fill(&few, "few", 1);
    fill(&many, "many", 2_500);
    for (store, most) in [(few, 1), (many, 3)] {
        fake.reset_counts();
        let mut names = Vec::new();
        store.list_without("packs", &mut |object| names.push(object.name)).unwrap();
        names.sort();
        let want = ["gc/1", "writers/a/index/1", "writers/a/snapshots/1", "writers/b/index/1", "writers/b/snapshots/1"];
        assert_eq!(names, want);
        assert!(fake.counts().lists() <= most, "{:?}", fake.counts());
    }
}

#[test]
fn what_is_counted_is_what_was_asked() {
    let fake = fake();
    let store = open(&options(&fake, "p"));
    let bytes = noise(3, 200_000);
    fake.plan(|call| (call.number % 4 == 0).then_some(Fault::status(500)));
    for number in 0..10 {
        store.put(&format!("gc/{number}"), Body::Bytes(&bytes)).unwrap();
    }
    store.list("", &mut |_| ()).unwrap();
    store.list_folders("").unwrap();
    for number in 0..10 {
        store.get_range(&format!("gc/{number}"), 10, 1_000).unwrap();
        store.delete(&format!("gc/{number}")).unwrap();
    }
    let (counts, usage) = (fake.counts(), store.usage());
    use crate::fake_b2::Class as C;
    assert_eq!(
        (usage.class_a_calls, usage.class_b_calls, usage.class_c_calls),
        (counts.class(C::A), counts.class(C::B), counts.class(C::C))
    );
    assert_eq!((usage.request_calls, usage.upload_calls), (counts.all(), counts.of(Kind::UploadFile)));
    assert_eq!((usage.list_calls, usage.download_calls), (counts.lists(), counts.downloads()));
    assert!(usage.retry_calls > 5 && usage.up_bytes >= 2_000_000 && usage.down_bytes == 10_000);
}

#[test]
fn announced_ranges_are_fetched_together() {
    let fake = fake();
    let store = open(&options(&fake, ""));
    let bytes = noise(4, 3 << 20);
    store.put("writers/w/packs/00/1", Body::Bytes(&bytes)).unwrap();
    fake.reset_counts();
    let ranges: Vec<_> = (0..24).map(|n| n * 100_000..(n + 1) * 100_000).collect();
    store.will_read("writers/w/packs/00/1", &ranges);
    for range in &ranges {
        let part = store.get_range("writers/w/packs/00/1", range.start, 100_000).unwrap();
        assert!(part == bytes[range.start as usize..range.end as usize]);
    }
    assert_eq!(fake.counts().downloads(), 1);
}
