//! `history`: the versions of one object.

use super::Outcome;
use super::find::show;
use crate::cli::Filter;
use crate::context::Context;
use crate::reading::Reading;
use panther::ops::find::history;
use panther::ops::list::absolute;
use panther::ops::view::series::series;
use panther::{Error, Result};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Options of `history`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther -r REPO history /etc/fstab
  panther -r REPO history report.odt --host yoga --json

A line is a version: since which snapshot it is there, until which, and in what it differs from the one
before. `panther dump SNAPSHOT:PATH` writes one of them; `panther restore` brings it back.")]
pub struct Options {
    /// The file or folder; one that is not absolute is meant from the working folder
    #[arg(value_name = "PATH")]
    object: PathBuf,
    #[command(flatten)]
    filter: Filter,
}

/// Shows them.
pub fn run(options: &Options, context: &Context) -> Result<Outcome> {
    let path = std::path::absolute(&options.object).map_err(|e| Error::io("find", &options.object, e))?;
    let path = absolute(path.as_os_str().as_bytes());
    let filter = options.filter.make()?;
    let reading = Reading::open(context, "look into snapshots")?;
    let all = series(&reading.snapshots, &filter);
    let reader = reading.reader()?;
    let mut versions = Vec::new();
    for snapshots in &all {
        versions.extend(history(&reader, snapshots, &path)?);
    }
    if versions.is_empty() {
        return Err(Error::Usage(format!("no snapshot has {}", String::from_utf8_lossy(&path))));
    }
    show(context, &versions, all.iter().map(|snapshots| snapshots.len() as u64).sum(), false)?;
    Ok(Outcome::Complete)
}
