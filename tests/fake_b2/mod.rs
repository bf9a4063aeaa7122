//! A fake Backblaze B2: the native API (v4) with its state, over real sockets, with faults on demand.
//!
//! Written after the vendor's documentation (the pages of the native API, "Uploading", "Lifecycle Rules", "Object Lock", "Application Key
//! Capabilities", "Pricing Organized by API Calls"). `tests/b2_oracle.py` compares it with the simulator in the vendor's own Python library.
//! One thread a connection and bytes written by hand: what goes over the wire, and where it breaks off, is the point.
//!
//! Where the vendor leaves a choice, the fake takes the harder one: an upload URL dies with the first failure, pages may be shorter than asked
//! for, and everything a client does against the rules is written down in [`FakeB2::violations`].
// Two programs share this: the suite and `examples/fake_b2.rs`. Neither uses all of it.
#![allow(dead_code, unused_imports, clippy::unwrap_used)]

mod auth;
mod buckets;
mod connection;
mod count;
mod dispatch;
mod download;
mod error;
pub mod fault;
mod files;
mod handle;
mod http;
mod keys;
mod large;
mod lifecycle;
mod listing;
mod lock;
mod names;
mod route;
mod server;
mod state;
mod upload;
mod wire;

pub use count::{Class, Counts, Logged};
pub use fault::{Call, Fault, Weather};
pub use handle::{FakeB2, KeySpec, Options};
pub use route::Kind;
pub use state::{ALL_CAPABILITIES, Caps, FileVersion, Mode, Retention};

/// What a machine that backs up may do, and no more: it cannot delete.
pub const WRITER_CAPABILITIES: [&str; 4] = ["listBuckets", "listFiles", "readFiles", "writeFiles"];
