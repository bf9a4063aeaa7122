//! Backblaze B2, by its native API, version 4.
//!
//! # How it is used
//! [`B2Options`] name the place ([`Location`]), the keys ([`Credential`]) and the limits; [`B2Backend::open`] makes a store of it without any call.
//! Everything else is the trait [`Backend`](super::Backend). What is beyond it, for `doctor` and roles: [`B2Backend::account`],
//! [`B2Backend::bucket`], [`B2Backend::versions`], [`B2Backend::hide`], [`B2Backend::delete_version`] and others beside them.
//!
//! # What it keeps to
//! - An object is one file, uploaded whole, with its length and SHA-1. It is read by file id: hiding it or uploading another version takes nothing
//!   from a reader. Of several versions the oldest counts: names are hashes of the bytes, so nobody can have been earlier with others.
//! - Listings are of versions, so that each shows what is hidden or shadowed; what they show is remembered, so that no object needs a call to be found.
//! - Errors are decided by HTTP status first, then by code. 400 and 403 are never repeated. Every wait is bounded and ends when the user asks to stop.
//! - A second, read-only key may be given for what the first cannot reach: a writer's key is restricted to `writers/NAME/`.

mod admin;
mod client;
mod credentials;
mod failure;
mod http;
pub mod limit;
mod listing;
mod location;
mod locks;
mod retry;
pub mod roles;
mod session;
mod stop;
mod store;
mod upload;
mod versions;
mod wire;

pub use admin::Which;
pub use credentials::Credential;
pub use location::{ENDPOINT, Location, check_address};
pub use session::Account;
pub use store::B2Backend;
pub use upload::Lock;
pub use wire::{
    Action, Allowed, AllowedBucket, Bucket, DefaultRetention, FileLock, LifecycleRule, Page, Period, Readable,
    Retention, RetentionMode, Version,
};

use limit::Schedule;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// How to reach a repository in B2.
#[derive(Clone, Debug)]
pub struct B2Options {
    /// Bucket and prefix.
    pub location: Location,
    /// The address of b2_authorize_account.
    pub endpoint: String,
    /// The key for everything that it reaches.
    pub credential: Credential,
    /// A key for reading what the first does not reach.
    pub read_credential: Option<Credential>,
    /// Limit of uploads.
    pub upload_limit: Schedule,
    /// Limit of downloads.
    pub download_limit: Schedule,
    /// The most uploads at the same time.
    pub most_uploads: usize,
    /// How new objects are protected, in a bucket with Object Lock; nothing: as the bucket's default has it.
    pub lock: Option<Lock>,
    /// How long to wait for what.
    pub patience: Patience,
    /// Set when the user or the system asks to stop.
    pub cancel: Arc<AtomicBool>,
}

impl B2Options {
    /// The defaults for a place and a key.
    pub fn new(location: Location, credential: Credential) -> Self {
        Self {
            location,
            endpoint: ENDPOINT.to_owned(),
            credential,
            read_credential: None,
            upload_limit: Schedule::default(),
            download_limit: Schedule::default(),
            most_uploads: 8,
            lock: None,
            patience: Patience::default(),
            cancel: Arc::default(),
        }
    }
}

/// How long to wait for what, and how often to try.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// While no byte moves, or for an answer's first byte.
    pub idle: Duration,
    /// A transfer as a whole may take four times `idle`, and besides as long as it takes at this rate.
    pub least_bytes_per_sec: u64,
    /// How often a call is tried.
    pub attempts: u32,
    /// The first back-off; it doubles from there, …
    pub first_wait: Duration,
    /// … up to this.
    pub longest_wait: Duration,
    /// The most that the service may ask for with Retry-After.
    pub longest_retry_after: Duration,
    /// After the wish to stop, what is under way may still go on for this long.
    pub grace: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(20),
            idle: Duration::from_secs(60),
            least_bytes_per_sec: 16 << 10,
            attempts: 10,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(64),
            longest_retry_after: Duration::from_secs(120),
            grace: Duration::from_secs(2),
        }
    }
}

impl Patience {
    /// All times by this share: for tests, which have less of it.
    pub fn scaled(mut self, share: f64) -> Self {
        for time in [
            &mut self.connect,
            &mut self.idle,
            &mut self.first_wait,
            &mut self.longest_wait,
            &mut self.longest_retry_after,
            &mut self.grace,
        ] {
            *time = time.mul_f64(share.clamp(0.0, 1.0));
        }
        self
    }
}
