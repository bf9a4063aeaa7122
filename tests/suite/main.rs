//! All integration tests in one program: linking is the slow part.
#![allow(clippy::unwrap_used, missing_docs)]

mod restore;
mod restore_faults;
mod restore_in_place;
mod restore_kit;
