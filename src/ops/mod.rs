//! One use case a file. Each takes an open repository, the state, its options and somebody to report progress to, and returns a report.

pub mod audit;
pub mod backup;
mod carried;
pub mod cat;
pub mod check;
pub mod compare;
pub mod copy;
pub mod cost;
mod cutting;
pub mod database;
pub mod diff;
pub mod doctor;
pub mod drill;
pub mod dump;
pub mod find;
pub mod forget;
pub mod import;
pub mod keys;
mod last_look;
pub mod list;
pub mod local_snapshots;
pub mod mount;
pub mod pins;
pub mod progress;
pub mod prune;
pub mod rebuild_state;
pub mod repair;
pub mod restore;
pub mod rewrite;
pub mod stats;
pub mod status;
mod storing;
pub mod stream;
pub mod try_it;
pub mod undelete;
pub mod view;

pub use progress::{Progress, Silent, Totals};

/// An error and its causes on one line.
fn in_words(error: &crate::Error) -> String {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
