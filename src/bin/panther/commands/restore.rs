//! `restore`: a snapshot or a part of one, back into the file system.

use super::Outcome;
use crate::cli::Filter;
use crate::context::Context;
use panther::{Error, Result};
use std::ffi::OsString;
use std::path::PathBuf;

/// Options of `restore`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther -r REPO restore latest --target restored
  panther -r REPO restore 1a2b3c4d:/home/me/Documents --target Documents
  panther -r REPO restore latest --host web --target / --include /etc/nginx --dry-run

SNAPSHOT alone restores everything below the target with its full path; SNAPSHOT:PATH restores what is in
that folder, or that one file, into the target itself. Exit code 3: something could not be restored.")]
pub struct Options {
    /// The snapshot (its id, a beginning of it, or latest), and maybe a path in it
    #[arg(value_name = "SNAPSHOT[:PATH]")]
    snapshot: OsString,
    /// Where to; made if need be
    #[arg(short, long, value_name = "DIR")]
    target: PathBuf,
    #[command(flatten)]
    filter: Filter,
    /// Restore only what matches this pattern
    #[arg(short, long, value_name = "PATTERN")]
    include: Vec<String>,
    /// Leave out what matches this pattern
    #[arg(short, long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Remove what is in the target and not in the snapshot
    #[arg(long)]
    delete: bool,
    /// Write nothing, only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Read what was restored again and compare
    #[arg(long)]
    verify: bool,
    /// Owners by number, even if this machine has their names
    #[arg(long)]
    numeric_ids: bool,
    /// Give what belonged to user A to user B; names or numbers
    #[arg(long, value_name = "A:B")]
    map_user: Vec<String>,
    /// Give what belonged to group A to group B; names or numbers
    #[arg(long, value_name = "A:B")]
    map_group: Vec<String>,
    /// Leave extended attributes and ACLs out
    #[arg(long)]
    no_xattrs: bool,
}

/// Restores.
pub fn run(_options: &Options, _context: &Context) -> Result<Outcome> {
    Err(Error::Aborted)
}
