//! One runner for all integration tests.

mod format_laws;
mod vectors;
