//! All integration tests in one program: linking is the slow part.
#![allow(clippy::unwrap_used)]

mod floors;
