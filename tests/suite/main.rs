//! All integration tests in one program: linking is the slow part.
#![allow(clippy::unwrap_used)]

mod backup;
mod common;
mod floors;
