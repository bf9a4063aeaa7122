//! `dump`: a file, or a folder as an archive, to a stream.

mod tar;
mod zip;

use crate::error::{Error, Result};
use crate::format::entry::{Entry, Node};
use crate::format::snapshot::{Manifest, is_below};
use crate::ops::list::{absolute, list};
use crate::ops::view::content::{Run, read_all};
use crate::ops::view::regions::Regions;
use crate::ops::{Progress, Totals};
use crate::repo::reader::BlobReader;
use crate::repo::tree::Found;
use jiff::tz::TimeZone;
use std::io::{self, Write};
use std::path::Path;

/// What a folder is written as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Archive {
    /// tar with pax records (POSIX.1-2001): names of any length, times in nanoseconds, extended attributes, hard links.
    Tar,
    /// zip: names, contents, permissions and times to two seconds.
    Zip,
}

/// What was written.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct DumpReport {
    /// Objects.
    pub objects: u64,
    /// Bytes of content, holes included.
    pub bytes: u64,
    /// What the archive cannot hold, or not wholly: a sentence each, the first hundred.
    pub problems: Vec<String>,
    /// How many there were.
    pub problem_count: u64,
}

impl DumpReport {
    fn problem(&mut self, path: &[u8], what: &str) {
        self.problem_count += 1;
        if self.problems.len() < 100 {
            self.problems.push(format!("{}: {what}", String::from_utf8_lossy(path)));
        }
    }
}

/// Where bytes go, and what to call it in errors.
pub struct Out<'o> {
    /// Where.
    pub to: &'o mut (dyn Write + Send),
    /// Its name.
    pub name: &'o Path,
}

impl Out<'_> {
    fn failed(&self, error: io::Error) -> Error {
        Error::io("write to", self.name, error)
    }
}

/// Whether `path` of a snapshot is a folder, and so will be an archive.
///
/// # Errors
/// [`Error::Usage`] when there is no such path; what is wrong with the trees.
pub fn is_folder(reader: &BlobReader<'_>, manifest: &Manifest, path: Option<&[u8]>) -> Result<bool> {
    match reader.find(manifest, &absolute(path.unwrap_or(b"/")))? {
        Found::Above => Ok(true),
        Found::Entry(entry) => match entry.node {
            Node::Dir(_) => Ok(true),
            Node::Inline(_) | Node::File(_) => Ok(false),
            _ => Err(Error::Usage("only regular files and folders can be dumped".into())),
        },
    }
}

/// Writes the content of the file at `path`.
///
/// # Errors
/// What is wrong with it; [`Error::Io`] from `out`; [`Error::Interrupted`].
pub fn file(
    reader: &BlobReader<'_>,
    manifest: &Manifest,
    path: &[u8],
    out: &mut Out<'_>,
    progress: &dyn Progress,
) -> Result<DumpReport> {
    let Found::Entry(entry) = reader.find(manifest, &absolute(path))? else { return Ok(DumpReport::default()) };
    progress.stage("dump", Totals { files: Some(1), bytes: Some(entry.size_bytes()) });
    content(reader, &entry, out, progress)?;
    out.to.flush().map_err(|e| out.failed(e))?;
    Ok(DumpReport { objects: 1, bytes: entry.size_bytes(), ..DumpReport::default() })
}

/// Writes the folder at `path`, or everything, as an archive. Names in it begin at that folder.
///
/// # Errors
/// As [`file()`].
pub fn folder(
    reader: &BlobReader<'_>,
    manifest: &Manifest,
    path: Option<&[u8]>,
    (archive, zone): (Archive, &TimeZone),
    out: &mut Out<'_>,
    progress: &dyn Progress,
) -> Result<DumpReport> {
    progress.stage("dump", Totals::default());
    let top = absolute(path.unwrap_or(b"/"));
    let mut report = DumpReport::default();
    let mut regions = Regions::default();
    let name = |path: &[u8]| match &top[..] {
        _ if path == top => Vec::new(),
        b"/" => path[1..].to_vec(),
        _ if is_below(path, &top) => path[top.len() + 1..].to_vec(),
        _ => path.to_vec(),
    };
    match archive {
        Archive::Tar => {
            let mut tar = tar::Tar::new(reader, out, progress);
            list(reader, manifest, Some(&top), true, &mut |path, entry| {
                let key = regions.enter(path, entry);
                report.objects += 1;
                tar.add(&name(path), entry, key, &mut report)
            })?;
            tar.finish()?;
        }
        Archive::Zip => {
            let mut zip = zip::Zip::new(reader, out, progress, zone);
            list(reader, manifest, Some(&top), true, &mut |path, entry| {
                report.objects += 1;
                zip.add(&name(path), entry, &mut report)
            })?;
            zip.finish()?;
        }
    }
    Ok(report)
}

/// Writes the content of a regular file, holes as zeros.
fn content(reader: &BlobReader<'_>, entry: &Entry, out: &mut Out<'_>, progress: &dyn Progress) -> Result<()> {
    read_all(reader, entry, &mut |run| {
        if progress.cancelled() {
            return Err(Error::Interrupted);
        }
        let done = match run {
            Run::Data(bytes) => out.to.write_all(bytes).map(|()| bytes.len() as u64),
            Run::Hole(len_bytes) => io::copy(&mut io::Read::take(io::repeat(0), len_bytes), &mut out.to),
        };
        progress.advance(0, done.map_err(|e| out.failed(e))?);
        Ok(())
    })?;
    progress.advance(1, 0);
    Ok(())
}
