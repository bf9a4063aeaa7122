//! `drill`: a restore for practice. A sample of files is restored and compared, packs are read at random, a database is started; what came of it is a signed record.

mod compare;
mod confidence;
mod database;
mod record;
mod run;
mod sample;
mod store;

pub use confidence::{most_bad, most_bad_share};
pub use record::{DrillRecord, Started};
pub use run::{DrillOptions, drill};
pub use store::{keep, records, signer_of};
