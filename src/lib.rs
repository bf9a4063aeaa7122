//! panther: content-addressed, deduplicating, encrypted backup.
//!
//! The format of a repository is written down in `format-spec/`; "spec 6" in a comment is its chapter 6.
//!
//! # Floors
//! A module imports only from floors below its own; `tests/suite/floors.rs` enforces it.
//!
//! 1. [`id`], [`error`], [`buffers`]: words and tools that everybody uses
//! 2. `format`: bytes to records and back, no I/O
//! 3. [`chunk`], [`cost`], [`egress`], [`prune`], [`retention`], [`seal`]: pure functions on records, bytes and figures
//! 4. [`keys`]: keys at work; pure
//! 5. [`backend`]: where objects are kept
//! 6. [`state`]: what this machine remembers
//! 7. [`source`], [`import`]: the file system read; repositories of other programs, read
//! 8. [`target`], [`repo`], [`config`]: the file system written; a repository: opening, packing, finding blobs; the configuration file
//! 9. [`ops`]: one use case a file
//! 10. `report`: results as text and JSON, no I/O
//!
//! The binary (`src/bin/panther/`) stands on all of them.

pub mod backend;
pub mod buffers;
pub mod chunk;
pub mod config;
pub mod cost;
pub mod egress;
pub mod error;
pub mod format;
pub mod id;
pub mod import;
pub mod keys;
pub mod ops;
pub mod prune;
pub mod repo;
pub mod report;
pub mod retention;
pub mod seal;
pub mod source;
pub mod state;
pub mod target;

pub use error::{Error, Result};
