//! `ls`: what is in a snapshot.

use super::Outcome;
use crate::cli::Filter;
use crate::context::{Context, write_failed};
use crate::open;
use crate::reading::Reading;
use panther::ops::Progress;
use panther::ops::list::list;
use panther::report::ls::{EndLine, EntryLine, line};
use panther::report::snapshots::Row;
use panther::{Error, Result};
use serde::Serialize;
use std::ffi::OsString;
use std::io::{BufWriter, Write};

/// Options of `ls`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther -r REPO ls latest
  panther -r REPO ls latest:/etc --long --recursive=false
  panther -r REPO ls 1a2b3c4d --json

Control characters, bytes that are no UTF-8, and backslashes in names are escaped; --json has
every name in full.")]
pub struct Options {
    /// The snapshot (its id, a beginning of it, or latest), and maybe a path in it
    #[arg(value_name = "SNAPSHOT[:PATH]")]
    snapshot: OsString,
    #[command(flatten)]
    filter: Filter,
    /// Show type, permissions, owner, size and time, too
    #[arg(short, long)]
    long: bool,
    /// Show what is in folders below, too
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    recursive: bool,
}

#[derive(Serialize)]
struct Start {
    kind: &'static str,
    snapshot: Row,
}

/// Lists entries as they are read.
pub fn run(options: &Options, context: &Context) -> Result<Outcome> {
    let (wanted, path) = open::snapshot_and_path(&options.snapshot)?;
    let filter = options.filter.make()?;
    let reading = Reading::open(context, "list what is in a snapshot")?;
    let snapshot = reading.snapshot(&wanted, &filter)?;
    let reader = reading.reader()?;

    let json = context.globals.json;
    // Not the lock of the standard output, which may not go to another thread.
    let mut out = BufWriter::with_capacity(64 << 10, std::io::stdout());
    if json {
        context.line(&mut out, Start { kind: "snapshot", snapshot: Row::of(snapshot).marked(&reading.statements) })?;
    }
    let mut entries = 0;
    let listed = list(&reader, &snapshot.manifest, path.as_deref(), options.recursive, &mut |path, entry| {
        if context.ui.cancelled() {
            return Err(Error::Interrupted);
        }
        entries += 1;
        if json {
            context.line(&mut out, EntryLine::new(path, entry))
        } else {
            writeln!(out, "{}", line(path, entry, options.long, &context.zone)).map_err(write_failed)
        }
    });
    if listed.is_ok() && json {
        context.line(&mut out, EndLine::new(entries))?;
    }
    // What was found before an error is shown before it.
    let flushed = out.flush().map_err(write_failed);
    listed.and(flushed)?;
    Ok(Outcome::Complete)
}
