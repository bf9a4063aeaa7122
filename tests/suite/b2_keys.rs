//! Keys of B2: two of them, their limits, Object Lock; what is never shown.

use crate::b2_kit::{BUCKET, credential, fake, open, options, options_with};
use crate::fake_b2::{FakeB2, KeySpec, WRITER_CAPABILITIES};
use panther::backend::b2::{Lock, RetentionMode, Which};
use panther::backend::{Backend, Body};
use panther::error::StoreError;
use serde_json::json;

const READER: [&str; 3] = ["listBuckets", "listFiles", "readFiles"];

#[test]
fn a_writer_with_two_keys_reads_all_and_writes_its_own() {
    let fake = fake();
    let admin = open(&options(&fake, "p"));
    admin.put("panther.cbor", Body::Bytes(b"config")).unwrap();
    admin.put("gc/1", Body::Bytes(b"gc")).unwrap();
    admin.put("writers/b/index/1", Body::Bytes(b"index")).unwrap();
    let writer = KeySpec::new(BUCKET, &WRITER_CAPABILITIES).within("p/writers/a/");
    let mut both = options_with(&fake, "p", &writer);
    // Alone it reaches only its own folder.
    let alone = open(&both);
    assert!(matches!(alone.get("panther.cbor", 99), Err(StoreError::Forbidden(_))));
    assert!(matches!(alone.list("gc/", &mut |_| ()), Err(StoreError::Forbidden(_))));
    alone.put("writers/a/index/0", Body::Bytes(b"own")).unwrap();
    both.read_credential = Some(credential(&fake, &KeySpec::new(BUCKET, &READER)));
    let store = open(&both);
    assert_eq!(store.get("panther.cbor", 99).unwrap(), b"config");
    let mut names = Vec::new();
    store.list_without("packs", &mut |object| names.push(object.name)).unwrap();
    names.sort();
    assert_eq!(names, ["gc/1", "panther.cbor", "writers/a/index/0", "writers/b/index/1"]);
    assert_eq!(store.list_folders("writers/").unwrap(), ["a", "b"]);
    store.put("writers/a/index/1", Body::Bytes(b"mine")).unwrap();
    assert_eq!(store.get("writers/a/index/1", 99).unwrap(), b"mine");
    assert!(matches!(store.put("gc/2", Body::Bytes(b"no")), Err(StoreError::Forbidden(_))));
    assert!(matches!(store.put("writers/b/index/2", Body::Bytes(b"no")), Err(StoreError::Forbidden(_))));
    assert!(matches!(store.delete("writers/a/index/1"), Err(StoreError::Forbidden(_))));
    // The calls of both are counted.
    let usage = store.usage();
    assert!(usage.class_c_calls >= 4 && usage.upload_calls >= 1 && usage.download_calls >= 2, "{usage:?}");
    assert!(store.account(Which::Own).unwrap().allowed.name_prefix.is_some());
    assert!(!store.account(Which::Reading).unwrap().allowed.can("writeFiles"));
}

#[test]
fn bad_keys_and_buckets_are_told_apart() {
    let fake = fake();
    let mut wrong = options(&fake, "");
    wrong.credential = panther::backend::b2::Credential::parse("000:nonsense").unwrap();
    assert!(matches!(open(&wrong).size("gc/1"), Err(StoreError::Credentials(_))));
    // One attempt: a wrong key does not become right.
    assert_eq!(fake.counts().all(), 1);
    let mut elsewhere = options(&fake, "");
    elsewhere.location.bucket = "another-bucket".into();
    assert!(matches!(open(&elsewhere).size("gc/1"), Err(StoreError::Forbidden(_))));
    let (id, key) = fake.master_key();
    elsewhere.credential = panther::backend::b2::Credential::parse(&format!("{id}:{key}")).unwrap();
    assert!(matches!(open(&elsewhere).size("gc/1"), Err(StoreError::NoBucket(_))));
    let mut plain = options(&fake, "");
    plain.endpoint = "http://example.org".into();
    assert!(panther::backend::b2::B2Backend::open(&plain).is_err());
}

#[test]
fn no_secret_is_in_what_is_shown() {
    let fake = fake();
    let (id, key) = fake.key(&KeySpec::everything(BUCKET));
    let mut options = options(&fake, "p");
    options.credential = panther::backend::b2::Credential::parse(&format!("{id}:{key}")).unwrap();
    let store = open(&options);
    let account = store.account(Which::Own).unwrap();
    fake.plan(|_| Some(crate::fake_b2::Fault::status(500)));
    let error = store.put("gc/1", Body::Bytes(b"x")).unwrap_err();
    let shown = format!("{options:?} {account:?} {error:?} {error} {}", store.location());
    assert!(!shown.contains(&key) && !shown.contains("oken"), "{shown}");
    assert_eq!(store.location(), format!("b2://{BUCKET}/p"));
}

fn locked_bucket() -> FakeB2 {
    let fake = FakeB2::start();
    fake.bucket(BUCKET, json!({ "fileLockEnabled": true }));
    fake
}

/// Days from now on until which an object is locked; the modes are checked, too.
fn locked_days(fake: &FakeB2, name: &str) -> Option<i64> {
    let version = fake.versions(BUCKET).into_iter().find(|version| version.name == name).unwrap();
    let retention = version.retention?;
    assert_eq!(retention.mode.name(), "compliance");
    // A little less than what was asked for has passed since.
    Some((retention.until_millis - fake.now_millis() + 3_600_000).div_euclid(86_400_000))
}

#[test]
fn objects_are_locked_and_the_lock_extended() {
    let fake = locked_bucket();
    let mut options = options(&fake, "");
    options.lock = Some(Lock { mode: RetentionMode::Compliance, days: 7 });
    let store = open(&options);
    let name = |n: u8| format!("keys/{n}.age");
    store.put(&name(1), Body::Bytes(b"1")).unwrap();
    // A statement can be taken back.
    store.put("gc/1", Body::Bytes(b"1")).unwrap();
    assert_eq!((locked_days(&fake, &name(1)), locked_days(&fake, "gc/1")), (Some(7), None));
    store.delete("gc/1").unwrap();
    // Whether a listing has shown the lock or the service says no.
    assert!(matches!(store.delete(&name(1)), Err(StoreError::Locked(_))));
    store.list("", &mut |_| ()).unwrap();
    assert!(store.is_locked(&name(1)) && matches!(store.delete(&name(1)), Err(StoreError::Locked(_))));
    let bucket = store.bucket(Which::Own).unwrap();
    assert_eq!((bucket.has_lock(), bucket.default_retention()), (Some(true), None));
    // More than half of the time is left.
    assert_eq!(store.renew_locks(&|_| true).unwrap(), Some(0));
    options.lock = Some(Lock { mode: RetentionMode::Compliance, days: 30 });
    let store = open(&options);
    store.put(&name(2), Body::Bytes(b"2")).unwrap();
    assert_eq!(store.renew_locks(&|_| false).unwrap(), Some(0));
    assert_eq!(store.renew_locks(&|_| true).unwrap(), Some(1));
    assert_eq!((locked_days(&fake, &name(1)), locked_days(&fake, &name(2))), (Some(30), Some(30)));
    assert_eq!(store.renew_locks(&|_| true).unwrap(), Some(0));
    // Surplus versions that are locked are left, and counted.
    let again = open(&options);
    fake.reset_counts();
    fake.plan(crate::b2_place::lost_answers(1));
    again.put(&name(3), Body::Bytes(b"3")).unwrap_or_else(|error| panic!("{error}"));
    fake.fair_weather();
    let tidied = again.tidy_versions("", false).unwrap();
    assert_eq!((tidied.removed_versions, tidied.locked_versions), (0, fake.versions(BUCKET).len() as u64 - 3));
    assert!(tidied.locked_versions > 0);
}

#[test]
fn a_buckets_default_is_kept_up() {
    let fake = FakeB2::start();
    let retention = json!({ "mode": "compliance", "period": { "duration": 10, "unit": "days" } });
    fake.bucket(BUCKET, json!({ "fileLockEnabled": true, "defaultRetention": retention }));
    let store = open(&options(&fake, ""));
    let put_by_hand = |days: u32| {
        let mut short = options(&fake, "");
        short.lock = Some(Lock { mode: RetentionMode::Compliance, days });
        open(&short).put("keys/1.age", Body::Bytes(b"1")).unwrap();
    };
    put_by_hand(2);
    assert_eq!(locked_days(&fake, "keys/1.age"), Some(2));
    assert_eq!(store.renew_locks(&|_| true).unwrap(), Some(1));
    assert_eq!(locked_days(&fake, "keys/1.age"), Some(10));
}

#[test]
fn a_bucket_without_lock_says_so() {
    let fake = fake();
    let store = open(&options(&fake, ""));
    assert_eq!(store.bucket(Which::Own).unwrap().has_lock(), Some(false));
    assert_eq!(store.renew_locks(&|_| true).unwrap(), None);
}
