//! `dump`: a file, or a folder as an archive, to the standard output or a file.

use super::Outcome;
use crate::cli::Filter;
use crate::context::{Context, STDOUT};
use crate::open;
use crate::reading::Reading;
use panther::ops::Progress as _;
use panther::ops::dump::{Archive, DumpReport, Out, file, folder, is_folder};
use panther::report::dump::{Body, text};
use panther::{Error, Result};
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// Options of `dump`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther -r REPO dump latest:/etc/fstab
  panther -r REPO dump latest:/home/me/Documents | tar -x -C /tmp
  panther -r REPO dump 1a2b3c4d:/var/log --archive zip --output log.zip

tar has everything but sockets: owners, times in nanoseconds, hard links, extended attributes (extract
them with tar --xattrs --xattrs-include='*'). zip has names, contents, permissions and times. Holes are
written as zeros. Exit code 3: the archive cannot hold everything.")]
pub struct Options {
    /// The snapshot (its id, a beginning of it, or latest), and maybe a path in it
    #[arg(value_name = "SNAPSHOT[:PATH]")]
    snapshot: OsString,
    #[command(flatten)]
    filter: Filter,
    /// What a folder becomes
    #[arg(short, long, value_name = "KIND", default_value = "tar", value_enum)]
    archive: Kind,
    /// Write to this file, which must not be there, instead of the standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Kind {
    /// tar, with pax records
    Tar,
    /// zip
    Zip,
}

/// Writes it.
pub fn run(options: &Options, context: &Context) -> Result<Outcome> {
    if context.globals.json && options.output.is_none() {
        return Err(Error::Usage(
            "with --json, name a file with --output: the standard output has the document".into(),
        ));
    }
    let (wanted, path) = open::snapshot_and_path(&options.snapshot)?;
    let filter = options.filter.make()?;
    let reading = Reading::open(context, "dump what is in a snapshot")?;
    let snapshot = reading.snapshot(&wanted, &filter)?;
    let reader = reading.reader()?;
    let is_folder = is_folder(&reader, &snapshot.manifest, path.as_deref())?;
    if is_folder && options.output.is_none() && std::io::stdout().is_terminal() {
        return Err(Error::Usage("an archive is nothing for a terminal: send it to a program or use --output".into()));
    }
    let dump = |to: &mut (dyn Write + Send), name: &Path| {
        let out = &mut Out { to, name };
        if is_folder {
            let archive = match options.archive {
                Kind::Tar => Archive::Tar,
                Kind::Zip => Archive::Zip,
            };
            folder(&reader, &snapshot.manifest, path.as_deref(), (archive, &context.zone), out, &context.ui)
        } else {
            let path = path.as_deref().unwrap_or_default();
            file(&reader, &snapshot.manifest, path, out, &context.ui)
        }
    };
    let done: DumpReport = match &options.output {
        Some(path) => {
            let made = OpenOptions::new().write(true).create_new(true).open(path);
            let made = made.map_err(|e| Error::io("make", path, e))?;
            // Half of it is of no use to anybody.
            dump(&mut BufWriter::with_capacity(256 << 10, &made), path)
                .inspect_err(|_| drop(std::fs::remove_file(path)))?
        }
        None => dump(&mut BufWriter::with_capacity(256 << 10, std::io::stdout()), Path::new(STDOUT))?,
    };
    done.problems.iter().for_each(|problem| context.ui.warn(problem));
    let id = snapshot.head.id;
    if options.output.is_some() {
        context.report(Body { snapshot: id, report: &done }, || text(id, &done))?;
    }
    Ok(if done.problem_count == 0 { Outcome::Complete } else { Outcome::Incomplete })
}
