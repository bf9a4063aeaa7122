//! Folders as zip (PKWARE's APPNOTE), written in one pass: lengths follow each file.

use super::{DumpReport, Out, content};
use crate::error::{Error, Result};
use crate::format::entry::{Entry, Node};
use crate::format::time::Time;
use crate::ops::Progress;
use crate::repo::reader::BlobReader;
use jiff::tz::TimeZone;
use std::io::{self, Write};
use std::path::Path;
use zip::result::ZipError;
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, ZipWriter};

/// Larger files get the lengths of ZIP64.
const LARGE_BYTES: u64 = u32::MAX as u64;

pub(super) struct Zip<'t, 'o, 'r> {
    reader: &'t BlobReader<'r>,
    zip: ZipWriter<StreamWriter<&'t mut (dyn Write + Send + 'o)>>,
    name: &'t Path,
    progress: &'t dyn Progress,
    zone: &'t TimeZone,
}

impl<'t, 'o, 'r> Zip<'t, 'o, 'r> {
    pub fn new(
        reader: &'t BlobReader<'r>,
        out: &'t mut Out<'o>,
        progress: &'t dyn Progress,
        zone: &'t TimeZone,
    ) -> Self {
        Self { reader, zip: ZipWriter::new_stream(&mut *out.to), name: out.name, progress, zone }
    }

    /// Adds an object. `name` is empty for the folder itself, which a zip does not have.
    pub fn add(&mut self, name: &[u8], entry: &Entry, report: &mut DumpReport) -> Result<()> {
        if name.is_empty() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(name);
        if std::str::from_utf8(name).is_err() {
            report.problem(name, "the name is no UTF-8 and was changed");
        }
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .unix_permissions(entry.mode)
            .large_file(entry.size_bytes() >= LARGE_BYTES)
            .last_modified_time(self.time(entry.mtime));
        match &entry.node {
            Node::Dir(_) => self.zip.add_directory(text, options).map_err(|e| failed(self.name, e))?,
            Node::Symlink(target) => {
                let target = String::from_utf8_lossy(target);
                self.zip.add_symlink(text, target, options).map_err(|e| failed(self.name, e))?;
            }
            Node::Inline(_) | Node::File(_) => {
                self.zip.start_file(text, options).map_err(|e| failed(self.name, e))?;
                content(self.reader, entry, &mut Out { to: &mut self.zip, name: self.name }, self.progress)?;
                report.bytes += entry.size_bytes();
                return Ok(());
            }
            _ => report.problem(name, "zip has no devices, pipes and sockets"),
        }
        self.progress.advance(1, 0);
        Ok(())
    }

    /// Ends the archive.
    pub fn finish(self) -> Result<()> {
        let done = self.zip.finish().map_err(|e| failed(self.name, e))?;
        done.into_inner().flush().map_err(|e| Error::io("write to", self.name, e))
    }

    /// Local time to two seconds, from 1980 to 2107.
    fn time(&self, time: Time) -> DateTime {
        let local = jiff::Timestamp::new(time.secs, 0).map(|stamp| self.zone.to_datetime(stamp));
        let made = local.ok().and_then(|at| {
            let unsigned = |value: i8| u8::try_from(value).unwrap_or(0);
            let (month, day) = (unsigned(at.month()), unsigned(at.day()));
            let (hour, minute, second) = (unsigned(at.hour()), unsigned(at.minute()), unsigned(at.second()));
            DateTime::from_date_and_time(u16::try_from(at.year()).ok()?, month, day, hour, minute, second).ok()
        });
        made.unwrap_or_default()
    }
}

fn failed(name: &Path, error: ZipError) -> Error {
    let source = match error {
        ZipError::Io(source) => source,
        other => io::Error::other(other),
    };
    Error::io("write to", name, source)
}
