//! All integration tests: linking is the slow part, so there is one program.
#![allow(clippy::unwrap_used)]

mod cli_basics;
mod cli_common;
mod cli_keys;
mod cli_secrets;
