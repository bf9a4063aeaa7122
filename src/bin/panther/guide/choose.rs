//! Which snapshot, what of it, and where to.

use super::ask::Asker;
use crate::context::Context;
use crate::open;
use panther::ops::Progress as _;
use panther::ops::list::{absolute, list};
use panther::repo::Repository;
use panther::repo::reader::BlobReader;
use panther::repo::snapshots::Snapshot;
use panther::repo::statements::Statements;
use panther::report::ls::line;
use panther::report::{text, time};
use panther::state::State;
use panther::{Error, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How many snapshots are shown at first, and entries of a folder.
const SHOWN: usize = 12;
const ENTRIES: usize = 200;

/// All that can be restored, the newest first.
///
/// # Errors
/// [`Error::Usage`] if there are none; whatever the store says.
pub fn snapshots(repo: &Repository, statements: &Statements, context: &Context) -> Result<Vec<Snapshot>> {
    let listing = repo.snapshots(statements)?;
    listing.bad.iter().for_each(|error| context.ui.warn(&open::with_causes(error)));
    let mut all = listing.snapshots;
    all.reverse();
    if all.is_empty() { Err(Error::Usage("there are no snapshots in this repository".into())) } else { Ok(all) }
}

/// A snapshot in a line.
pub fn described(snapshot: &Snapshot, context: &Context) -> String {
    let cover = &snapshot.head.cover;
    let roots: Vec<_> = snapshot.manifest.roots.iter().map(|root| text::name(&root.path)).collect();
    let tags = match snapshot.manifest.tags.join(",") {
        none if none.is_empty() => none,
        tags => format!("  ({})", text::message(&tags)),
    };
    let host = text::message(&cover.host);
    format!(
        "{}  {}  {host}  {}{tags}",
        snapshot.head.id.short(),
        time::local(cover.started, &context.zone),
        roots.join(" ")
    )
}

/// The one that is wanted.
///
/// # Errors
/// As [`Asker::line`].
pub fn snapshot<'s>(asker: &Asker<'_>, all: &'s [Snapshot], context: &Context) -> Result<&'s Snapshot> {
    let mut hosts: BTreeMap<&str, usize> = BTreeMap::new();
    for snapshot in all {
        *hosts.entry(&snapshot.head.cover.host).or_default() += 1;
    }
    let names: Vec<&str> = hosts.keys().copied().collect();
    let host = if let [only] = names[..] {
        only
    } else {
        asker.say("\nWhich machine?");
        for (number, name) in names.iter().enumerate() {
            let count = hosts.get(name).copied().unwrap_or_default();
            asker.say(&format!("{:3}  {}  ({count} snapshots)", number + 1, text::message(name)));
        }
        let own = open::host();
        let default = names.iter().position(|name| *name == own).map(|at| (at + 1).to_string()).unwrap_or_default();
        let chosen = asker
            .choice("Number or name", &default, names.len(), |answer| names.iter().position(|name| *name == answer))?;
        names.get(chosen).copied().unwrap_or_default()
    };
    let of_host: Vec<&Snapshot> = all.iter().filter(|snapshot| snapshot.head.cover.host == host).collect();
    let mut shown = SHOWN.min(of_host.len());
    loop {
        asker.say(&format!("\nSnapshots of {}, the newest first:", text::message(host)));
        for (number, snapshot) in of_host.iter().take(shown).enumerate() {
            asker.say(&format!("{:3}  {}", number + 1, described(snapshot, context)));
        }
        let older = of_host.len() - shown;
        let question = match older {
            0 => "Which one? A number or an id".to_owned(),
            _ => format!("Which one? A number, an id, or m for the {older} older ones"),
        };
        let by_name = |answer: &str| {
            let is_it = |snapshot: &&Snapshot| snapshot.head.id.to_hex().starts_with(&answer.to_ascii_lowercase());
            match answer {
                "m" if older > 0 => Some(usize::MAX),
                _ if answer.len() < 4 => None,
                _ => of_host.iter().position(is_it),
            }
        };
        match of_host.get(asker.choice(&question, "1", shown, by_name)?) {
            Some(snapshot) => return Ok(snapshot),
            None => shown = of_host.len(),
        }
    }
}

/// What of it is wanted: everything (`Some(None)`), or a path; nothing if another snapshot is.
///
/// # Errors
/// As [`Asker::line`]; whatever the store says.
pub fn path(
    asker: &Asker<'_>,
    context: &Context,
    repo: &Repository,
    state: &State,
    snapshot: &Snapshot,
) -> Result<Option<Option<Vec<u8>>>> {
    asker.say("\nWhat of it? Return for everything, or an absolute path. \"? /some/folder\" shows what is in a folder, b goes back.");
    loop {
        let answer = asker.line("What", "everything")?;
        match answer.as_str() {
            "everything" => return Ok(Some(None)),
            "b" => return Ok(None),
            _ => {}
        }
        let Some(folder) = answer.strip_prefix('?') else {
            if answer.starts_with('/') {
                return Ok(Some(Some(answer.into_bytes())));
            }
            asker.say("A path begins with /.");
            continue;
        };
        let folder = Some(folder.trim()).filter(|folder| !folder.is_empty()).map(|folder| absolute(folder.as_bytes()));
        let mut shown = 0;
        let reader = BlobReader::new(repo, state)?;
        let listed = list(&reader, &snapshot.manifest, folder.as_deref(), false, &mut |path, entry| {
            shown += 1;
            match shown {
                _ if context.ui.cancelled() => return Err(Error::Interrupted),
                ..=ENTRIES => asker.say(&line(path, entry, true, &context.zone)),
                _ if shown == ENTRIES + 1 => asker.say("and more: `panther ls` shows all"),
                _ => {}
            }
            Ok(())
        });
        match listed {
            Err(error @ Error::Usage(_)) => asker.say(&error.to_string()),
            other => other?,
        }
    }
}

/// Where to.
///
/// # Errors
/// As [`Asker::line`].
pub fn target(asker: &Asker<'_>, snapshot: &Snapshot) -> Result<PathBuf> {
    let default = format!("./restored-{}", snapshot.head.id.short());
    loop {
        let answer = asker.line("\nInto which folder? (it is made if need be)", &default)?;
        let target = match (answer.strip_prefix("~/"), std::env::var_os("HOME")) {
            (Some(below), Some(home)) => PathBuf::from(home).join(below),
            _ => PathBuf::from(answer),
        };
        if !target.exists() || target.is_dir() {
            return Ok(target);
        }
        asker.say("That is no folder.");
    }
}

/// Whether there is nothing in it.
pub fn is_free(target: &Path) -> bool {
    std::fs::read_dir(target).map_or(true, |mut entries| entries.next().is_none())
}
