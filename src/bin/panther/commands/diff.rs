//! `diff`: what differs between two snapshots, or between one and the files as they are now.

use super::Outcome;
use crate::cli::Filter;
use crate::context::{Context, write_failed};
use crate::open;
use crate::reading::Reading;
use panther::ops::Progress as _;
use panther::ops::diff::live::{LiveOptions, live};
use panther::ops::diff::snapshots;
use panther::report::diff::{ChangeLine, EndLine, StartLine, line, totals};
use panther::{Error, Result};
use std::ffi::OsString;
use std::io::Write;

/// Options of `diff`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther -r REPO diff 1a2b3c4d latest
  panther -r REPO diff 1a2b3c4d:/etc 5e6f7a8b:/etc
  panther -r REPO diff latest:/home/me --live

Lines begin with + (only on the right), - (only on the left), M (content, type, link target, device),
U (only permissions, owner, time, attributes or flags, which are named) or R (moved). Folders with equal content
are not read. Of the live files, those with the size and time that they had are taken to be unchanged
unless there is --read-data; what the snapshot's --exclude left out is not new.")]
pub struct Options {
    /// The snapshot on the left (its id, a beginning of it, or latest), and maybe a path in it
    #[arg(value_name = "SNAPSHOT[:PATH]")]
    old: OsString,
    /// The snapshot on the right
    #[arg(value_name = "SNAPSHOT[:PATH]", required_unless_present = "live", conflicts_with = "live")]
    new: Option<OsString>,
    /// Compare with the files of this machine as they are now
    #[arg(long)]
    live: bool,
    /// Read live files whose size and time are as they were, too
    #[arg(long)]
    read_data: bool,
    #[command(flatten)]
    filter: Filter,
}

/// Compares.
pub fn run(options: &Options, context: &Context) -> Result<Outcome> {
    if options.read_data && !options.live {
        return Err(Error::Usage("--read-data is for --live: snapshots are compared without reading data".into()));
    }
    let (old_wanted, old_path) = open::snapshot_and_path(&options.old)?;
    let new = options.new.as_deref().map(open::snapshot_and_path).transpose()?;
    let filter = options.filter.make()?;
    let reading = Reading::open(context, "compare snapshots")?;
    let old = reading.snapshot(&old_wanted, &filter)?;
    let new = match &new {
        Some((wanted, path)) => Some((reading.snapshot(wanted, &filter)?, path)),
        None => None,
    };
    let reader = reading.reader()?;
    let at = old_path.as_deref().unwrap_or(b"/");
    let (found, problems) = match new {
        Some((snapshot, path)) => {
            let to = path.as_deref().unwrap_or(b"/");
            if old_path.is_some() != path.is_some() {
                return Err(Error::Usage("give a path on both sides, or on neither".into()));
            }
            (snapshots(&reader, (&old.manifest, at), (&snapshot.manifest, to), &context.ui)?, Vec::new())
        }
        None => {
            let done = live(&reader, &old.manifest, at, LiveOptions { reads_content: options.read_data }, &context.ui)?;
            (done.differences, done.problems)
        }
    };
    problems.iter().for_each(|problem| context.ui.warn(problem));
    context.ui.finish();
    let mut out = context.out();
    if context.globals.json {
        context.line(&mut out, StartLine::new(old.head.id, new.map(|(snapshot, _)| snapshot.head.id)))?;
        found.changes.iter().try_for_each(|change| context.line(&mut out, ChangeLine::new(change)))?;
        context.line(&mut out, EndLine::new(found.counts, &problems))?;
    } else {
        found.changes.iter().try_for_each(|change| writeln!(out, "{}", line(change))).map_err(write_failed)?;
        if !context.globals.quiet {
            write!(out, "{}", totals(&found.counts)).map_err(write_failed)?;
        }
    }
    out.flush().map_err(write_failed)?;
    Ok(if problems.is_empty() { Outcome::Complete } else { Outcome::Incomplete })
}
