//! `drill`: a restore for practice. A sample of files is restored and compared, packs are read at random, a database is started; what came of it is a signed record.

mod choose;
mod compare;
mod confidence;
mod database;
mod packs;
mod record;
mod run;
mod sample;
mod store;
mod survey;

pub use confidence::{most_bad, most_bad_share};
pub use record::{DrillRecord, Tried};
pub use run::{DrillOptions, Extent, drill};
pub use store::{keep, records, signer_of};
