//! `cat`: single objects of the repository, for the curious.

use super::Outcome;
use crate::cli::Filter;
use crate::context::{Context, write_failed};
use crate::open;
use crate::reading::Reading;
use panther::format::entry::Entry;
use panther::id::BlobId;
use panther::ops::cat;
use panther::ops::view::tree::Item;
use panther::report::cat as report;
use panther::{Error, Result};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::io::Write;

/// What to show.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "Examples:
  panther -r REPO cat config
  panther -r REPO cat snapshot latest
  panther -r REPO cat tree latest:/etc
  panther -r REPO cat blob 3f2a…(64 digits) --raw | head -c 100
  panther -r REPO cat pack 90ab12cd

What the fields mean is in format-spec/.")]
pub enum Cat {
    /// The public configuration
    Config,
    /// A snapshot's manifest
    Snapshot(Named),
    /// What is in a folder of a snapshot, with the ids of its content
    Tree(Place),
    /// Where a blob is, or the blob itself
    Blob(Blob),
    /// What a pack says is in it
    Pack(Id),
    /// An index object
    Index(Id),
}

/// A snapshot.
#[derive(Debug, clap::Args)]
pub struct Named {
    /// The snapshot: its id, a beginning of it, or latest
    #[arg(value_name = "SNAPSHOT")]
    snapshot: String,
    #[command(flatten)]
    filter: Filter,
}

/// A folder.
#[derive(Debug, clap::Args)]
pub struct Place {
    /// The snapshot (its id, a beginning of it, or latest), and the path in it
    #[arg(value_name = "SNAPSHOT[:PATH]")]
    snapshot: OsString,
    #[command(flatten)]
    filter: Filter,
}

/// A blob.
#[derive(Debug, clap::Args)]
pub struct Blob {
    /// Its id: 64 digits
    #[arg(value_name = "ID")]
    id: String,
    /// Write its bytes
    #[arg(long, conflicts_with = "json")]
    raw: bool,
}

/// An object.
#[derive(Debug, clap::Args)]
pub struct Id {
    /// Its id, or a beginning of it
    #[arg(value_name = "ID")]
    id: String,
}

/// Shows it.
pub fn run(what: &Cat, context: &Context) -> Result<Outcome> {
    let reading = Reading::open(context, "look into the repository")?;
    let body = match what {
        Cat::Config => report::config(reading.repo.config()),
        Cat::Snapshot(named) => report::snapshot(reading.snapshot(&named.snapshot, &named.filter.make()?)?),
        Cat::Tree(place) => tree(place, &reading)?,
        Cat::Blob(blob) => {
            let id: BlobId = blob.id.parse().map_err(|_| Error::Usage("a blob's id has 64 digits".into()))?;
            let (facts, bytes) = cat::blob(&reading.reader()?, &id)?;
            if blob.raw {
                let mut out = context.out();
                out.write_all(&bytes).and_then(|()| out.flush()).map_err(write_failed)?;
                return Ok(Outcome::Complete);
            }
            report::blob(&id, &facts)
        }
        Cat::Pack(id) => report::pack(&cat::pack(&reading.repo, &id.id)?),
        Cat::Index(id) => {
            let (id, index) = cat::index(&reading.repo, &id.id)?;
            json!({ "id": id, "index": report::index(&index) })
        }
    };
    let what = match what {
        Cat::Config => "config",
        Cat::Snapshot(_) => "snapshot",
        Cat::Tree(_) => "tree",
        Cat::Blob(_) => "blob",
        Cat::Pack(_) => "pack",
        Cat::Index(_) => "index",
    };
    context.emit(json!({ "object": what, "body": &body }), || {
        // A value is always text.
        serde_json::to_string_pretty(&body).unwrap_or_default() + "\n"
    })?;
    Ok(Outcome::Complete)
}

fn tree(place: &Place, reading: &Reading) -> Result<Value> {
    let (wanted, path) = open::snapshot_and_path(&place.snapshot)?;
    let snapshot = reading.snapshot(&wanted, &place.filter.make()?)?;
    let reader = reading.reader()?;
    let found = Item::at(&reader, &snapshot.manifest, path.as_deref().unwrap_or(b"/"))?;
    let mut entries: Vec<Entry> = Vec::new();
    match found.content() {
        Some(root) => reader.each_entry(root, &mut |entry| {
            entries.push(entry);
            Ok(())
        })?,
        None => {
            let why = "only folders of the snapshot have a tree; `panther cat snapshot` shows what is above them";
            return Err(Error::Usage(why.into()));
        }
    }
    Ok(report::tree(&entries))
}
