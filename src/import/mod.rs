//! Repositories of other programs, read and never written.

pub mod restic;
