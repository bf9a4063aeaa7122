//! `find`: objects in many snapshots.

use super::Outcome;
use crate::cli::Filter;
use crate::context::{Context, write_failed};
use crate::moments;
use crate::reading::Reading;
use panther::format::entry::FileKind;
use panther::ops::find::{Matcher, Version, Wanted, find};
use panther::ops::view::series::series;
use panther::report::find::{EndLine, VersionLine, table};
use panther::source::parse_size;
use panther::{Error, Result};
use std::ffi::OsString;
use std::io::Write;
use std::ops::RangeInclusive;
use std::os::unix::ffi::OsStrExt;

/// Options of `find`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther -r REPO find id_ed25519
  panther -r REPO find '*.jpg' --below /home/me --size 5M.. --host yoga
  panther -r REPO find --regex '/invoice-[0-9]+\\.pdf$' --newer 2026-01-01 --older 30d
  panther -r REPO find fstab --snapshot latest --json

Every version that an object has had is a line: since which snapshot it is there, and until which. Patterns
are those of .gitignore: without a slash they are compared with names, with one with whole paths. The first
snapshot is read as a whole, of the others only what differs, so many cost little more than one. Of
snapshots, those of one host with the same paths are compared with each other.")]
pub struct Options {
    /// Patterns for names or paths; any of them
    #[arg(value_name = "PATTERN")]
    patterns: Vec<String>,
    /// A regular expression that is found in the whole path
    #[arg(long, value_name = "REGEX")]
    regex: Option<String>,
    /// The case of letters does not matter
    #[arg(short, long)]
    ignore_case: bool,
    /// Only what is of this type; more than one: of any of them
    #[arg(long = "type", value_name = "TYPE", value_enum)]
    kinds: Vec<Kind>,
    /// Only files of this size: FROM..TO, either of which may be left out, such as 1M..2G
    #[arg(long, value_name = "SIZE", value_parser = sizes)]
    size: Option<RangeInclusive<u64>>,
    /// Only what was modified at this time or later: a date, or how long ago, such as 30d
    #[arg(long, value_name = "TIME")]
    newer: Option<String>,
    /// Only what was modified before this time
    #[arg(long, value_name = "TIME")]
    older: Option<String>,
    /// Only this folder and what is below it
    #[arg(long, value_name = "FOLDER")]
    below: Option<OsString>,
    /// Only in this snapshot; may be given several times
    #[arg(long, value_name = "SNAPSHOT")]
    snapshot: Vec<String>,
    #[command(flatten)]
    filter: Filter,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Kind {
    File,
    Dir,
    Symlink,
    Fifo,
    Socket,
    Char,
    Block,
}

impl From<Kind> for FileKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::File => Self::File,
            Kind::Dir => Self::Dir,
            Kind::Symlink => Self::Symlink,
            Kind::Fifo => Self::Fifo,
            Kind::Socket => Self::Socket,
            Kind::Char => Self::Char,
            Kind::Block => Self::Block,
        }
    }
}

fn sizes(text: &str) -> std::result::Result<RangeInclusive<u64>, String> {
    let size = |text: &str| parse_size(text).map_err(|e| e.to_string());
    let Some((from, to)) = text.split_once("..") else { return size(text).map(|size| size..=size) };
    let from = if from.is_empty() { 0 } else { size(from)? };
    let to = if to.is_empty() { u64::MAX } else { size(to)? };
    if from > to { Err("the first size is larger than the second".to_owned()) } else { Ok(from..=to) }
}

/// Finds.
pub fn run(options: &Options, context: &Context) -> Result<Outcome> {
    let moment = |text: &Option<String>| text.as_deref().map(|text| moments::parse(text, &context.zone)).transpose();
    let wanted = Wanted {
        patterns: options.patterns.clone(),
        ignore_case: options.ignore_case,
        regex: options.regex.clone(),
        kinds: options.kinds.iter().map(|kind| FileKind::from(*kind)).collect(),
        sizes: options.size.clone(),
        newer: moment(&options.newer)?,
        older: moment(&options.older)?,
    };
    let matcher = Matcher::new(&wanted)?;
    let filter = options.filter.make()?;
    let mut reading = Reading::open(context, "look into snapshots")?;
    if !options.snapshot.is_empty() {
        let named = options.snapshot.iter().map(|wanted| Ok(reading.snapshot(wanted, &filter)?.head.id));
        let ids = named.collect::<Result<Vec<_>>>()?;
        reading.snapshots.retain(|snapshot| ids.contains(&snapshot.head.id));
    }
    let all = series(&reading.snapshots, &filter);
    if all.is_empty() {
        return Err(Error::Usage("the repository has no snapshot that fits".into()));
    }
    let reader = reading.reader()?;
    let top = options.below.as_deref().map_or(&b"/"[..], OsStrExt::as_bytes);
    let mut versions: Vec<Version> = Vec::new();
    for snapshots in &all {
        versions.extend(find(&reader, snapshots, top, &matcher, &context.ui)?);
    }
    show(context, &versions, all.iter().map(|snapshots| snapshots.len() as u64).sum(), true)?;
    Ok(Outcome::Complete)
}

/// Writes versions.
pub fn show(context: &Context, versions: &[Version], snapshots: u64, with_paths: bool) -> Result<()> {
    context.ui.finish();
    let mut out = context.out();
    if context.globals.json {
        versions.iter().try_for_each(|version| context.line(&mut out, VersionLine::new(version)))?;
        context.line(&mut out, EndLine::new(versions.len() as u64, snapshots))?;
    } else {
        write!(out, "{}", table(versions, with_paths, &context.zone)).map_err(write_failed)?;
    }
    out.flush().map_err(write_failed)
}

#[cfg(test)]
mod tests {
    use super::sizes;

    #[test]
    fn ranges_of_sizes() {
        assert_eq!(sizes("1K..2K"), Ok(1024..=2048));
        assert_eq!(sizes("5.."), Ok(5..=u64::MAX));
        assert_eq!(sizes("..5"), Ok(0..=5));
        assert_eq!(sizes("5"), Ok(5..=5));
        for bad in ["", "2..1", "x..", "1...2"] {
            assert!(sizes(bad).is_err(), "{bad}");
        }
    }
}
