//! `drill`: a restore for practice.

mod record;
mod store;

pub use record::{DrillRecord, Started};
pub use store::{keep, records, signer_of};
