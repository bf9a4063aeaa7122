//! Results as text for people and as JSON for programs. Pure functions: no I/O, no clock; the time zone is handed in.

pub mod alerts;
pub mod backup;
pub mod check;
pub mod copy;
pub mod cost;
pub mod doctor;
pub mod forget;
pub mod json;
pub mod keys;
pub mod local_snapshots;
pub mod ls;
pub mod metrics;
pub mod progress;
pub mod prune;
pub mod rebuild_state;
pub mod repair;
pub mod restore;
pub mod rewrite;
pub mod settings;
pub mod snapshots;
pub mod stats;
pub mod text;
pub mod time;
pub mod try_it;
pub mod units;
pub mod usage;
