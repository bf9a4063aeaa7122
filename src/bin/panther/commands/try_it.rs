//! `try`: a backup and a restore of a folder, with figures, leaving nothing behind.

use super::Outcome;
use crate::context::Context;
use panther::{Error, Result};
use std::path::PathBuf;

/// Options of `try`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// A file or folder
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Keep the repository in this folder, which must not exist or be empty
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// Tries.
pub fn run(_options: &Options, _context: &Context) -> Result<Outcome> {
    Err(Error::Aborted)
}
