//! One use case a file. Each takes an open repository, the state, its options and somebody to report progress to, and returns a report.

pub mod backup;
pub mod check;
pub mod compare;
pub mod database;
pub mod doctor;
pub mod forget;
pub mod keys;
pub mod list;
pub mod local_snapshots;
pub mod pins;
pub mod progress;
pub mod restore;
pub mod try_it;

pub use progress::{Progress, Silent, Totals};
