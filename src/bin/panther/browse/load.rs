//! What the browser shows, from the repository.

use super::model::Row;
use panther::format::entry::{Entry, FileKind};
use panther::ops::list::list;
use panther::repo::Repository;
use panther::repo::reader::BlobReader;
use panther::repo::snapshots::Snapshot;
use panther::report::{text, time, units};
use panther::state::State;
use panther::{Error, Result};

/// The rows of a folder, folders first; of the roots if `path` is empty.
///
/// # Errors
/// What is wrong with the trees; whatever the store says.
pub fn folder(
    repo: &Repository,
    state: &State,
    snapshot: &Snapshot,
    path: &[u8],
    zone: &jiff::tz::TimeZone,
) -> Result<Vec<Row>> {
    if path.is_empty() {
        let roots = &snapshot.manifest.roots;
        return Ok(roots.iter().map(|root| row(&root.path, text::name(&root.path), &root.entry, zone)).collect());
    }
    let reader = BlobReader::new(repo, state)?;
    let mut rows = Vec::new();
    list(&reader, &snapshot.manifest, Some(path), false, &mut |own, entry| {
        // A folder itself comes, too, or the file that is named.
        if own != path {
            let name = own.rsplit(|byte| *byte == b'/').next().unwrap_or(own);
            rows.push(row(own, text::name(name), entry, zone));
        }
        Ok(())
    })?;
    rows.sort_by_key(|row| !row.is_dir);
    Ok(rows)
}

fn row(path: &[u8], name: String, entry: &Entry, zone: &jiff::tz::TimeZone) -> Row {
    let kind = entry.kind();
    let size = if kind == FileKind::File { units::size(entry.size_bytes()) } else { String::new() };
    let end = match kind {
        FileKind::Dir => "/",
        FileKind::Symlink => "@",
        _ => "",
    };
    let text = format!("{size:>11}  {}  {name}{end}", time::local(entry.mtime, zone));
    Row { text, path: path.to_vec(), is_dir: kind == FileKind::Dir }
}

/// The versions of a file, the newest first: of each, the oldest snapshot that has it. Snapshots are the newest first, too.
///
/// # Errors
/// As [`folder`].
pub fn versions(
    repo: &Repository,
    state: &State,
    all: &[Snapshot],
    host: &str,
    path: &[u8],
    zone: &jiff::tz::TimeZone,
) -> Result<Vec<(usize, Row)>> {
    let reader = BlobReader::new(repo, state)?;
    let mut rows: Vec<(usize, Row)> = Vec::new();
    let mut last: Option<Entry> = None;
    for (number, snapshot) in all.iter().enumerate().filter(|(_, snapshot)| snapshot.head.cover.host == host) {
        let mut found = None;
        match list(&reader, &snapshot.manifest, Some(path), false, &mut |own, entry| {
            if own == path {
                found = Some(entry.clone());
            }
            Ok(())
        }) {
            // It is not in this one.
            Err(Error::Usage(_)) => {}
            other => other?,
        }
        let Some(entry) = found else {
            last = None;
            continue;
        };
        let is_same = last.as_ref() == Some(&entry);
        let text = row(
            path,
            format!("since {} {}", snapshot.head.id.short(), time::local(snapshot.head.cover.started, zone)),
            &entry,
            zone,
        );
        match rows.last_mut().filter(|_| is_same) {
            Some(row) => *row = (number, text),
            None => rows.push((number, text)),
        }
        last = Some(entry);
    }
    Ok(rows)
}
