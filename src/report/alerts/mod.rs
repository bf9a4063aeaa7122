//! What somebody is to be woken for: one table, made into Datadog monitors and Prometheus rules. Pure.

pub mod datadog;
pub mod prometheus;
mod table;

pub use table::{ALERTS, Alert, Bad, Grade, Threshold};

/// Where the runbook is, unless another place is named.
pub const RUNBOOK: &str = "docs/runbook.md";
