//! Bytes to records and back: the structures of `format-spec/`, one file each. No I/O, no cryptography, no panic on any input.

pub mod cbor;
pub mod cert;
pub mod config;
pub mod content;
pub mod entry;
pub mod gc;
pub mod header;
pub mod index;
pub mod keyfile;
pub mod limits;
pub mod name;
pub mod pack;
pub mod snapshot;
pub mod time;
