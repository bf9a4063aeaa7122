//! Databases among what is backed up: each is made ready for its snapshot. What they have in common with hooks is that programs are run.

pub mod command;
pub mod control;
pub mod postgres;
pub mod redis;
pub mod spec;

pub use command::CommandLine;
pub use control::{ControlFile, Lsn};
pub use spec::{Database, DatabaseKind};
