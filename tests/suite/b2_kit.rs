//! Stores over the fake B2.

use crate::fake_b2::{FakeB2, KeySpec};
use panther::backend::b2::{B2Backend, B2Options, Credential, Location, Patience};
use serde_json::json;
use std::time::Duration;

/// The bucket of the tests.
pub const BUCKET: &str = "panther-tests";

/// A fake with the bucket.
pub fn fake() -> FakeB2 {
    let fake = FakeB2::start();
    fake.bucket(BUCKET, json!({}));
    fake
}

/// Waits that tests can bear.
pub fn patience() -> Patience {
    Patience {
        connect: Duration::from_secs(5),
        idle: Duration::from_secs(5),
        first_wait: Duration::from_millis(2),
        longest_wait: Duration::from_millis(40),
        longest_retry_after: Duration::from_millis(40),
        grace: Duration::from_millis(200),
        ..Patience::default()
    }
}

/// How to reach `prefix` of the bucket with a key.
pub fn options_with(fake: &FakeB2, prefix: &str, key: &KeySpec) -> B2Options {
    let location = Location::parse(&format!("b2://{BUCKET}/{prefix}")).unwrap();
    let mut options = B2Options::new(location, credential(fake, key));
    options.endpoint = fake.endpoint();
    options.patience = patience();
    options
}

/// A new key as the client takes it.
pub fn credential(fake: &FakeB2, key: &KeySpec) -> Credential {
    let (id, secret) = fake.key(key);
    Credential::parse(&format!("{id}\n{secret}\n")).unwrap()
}

/// The same with a key for everything.
pub fn options(fake: &FakeB2, prefix: &str) -> B2Options {
    options_with(fake, prefix, &KeySpec::everything(BUCKET))
}

pub fn open(options: &B2Options) -> B2Backend {
    B2Backend::open(options).unwrap()
}
