//! Folders as tar: ustar headers with pax records (POSIX.1-2001, pax Interchange Format) for what does not fit into them.
//! Extended attributes are `SCHILY.xattr.NAME`, as GNU tar and bsdtar have them.

use super::{DumpReport, Out, content};
use crate::error::Result;
use crate::format::entry::{Entry, Node};
use crate::ops::Progress;
use crate::ops::view::regions::LinkKey;
use crate::repo::reader::BlobReader;
use std::collections::HashMap;
use std::io;
use tar::{EntryType, Header};

/// What an octal field of eleven digits can say.
const SIZE_LIMIT_BYTES: u64 = 1 << 33;
/// What one of seven digits can say.
const ID_LIMIT: u32 = 1 << 21;
/// Bytes of a name or link target in a header.
const NAME_BYTES: usize = 100;

pub(super) struct Tar<'t, 'o, 'r> {
    reader: &'t BlobReader<'r>,
    out: &'t mut Out<'o>,
    progress: &'t dyn Progress,
    /// The first name of each file that has several.
    firsts: HashMap<LinkKey, Vec<u8>>,
}

impl<'t, 'o, 'r> Tar<'t, 'o, 'r> {
    pub fn new(reader: &'t BlobReader<'r>, out: &'t mut Out<'o>, progress: &'t dyn Progress) -> Self {
        Self { reader, out, progress, firsts: HashMap::new() }
    }

    /// Adds an object. `name` is empty for the folder itself.
    pub fn add(&mut self, name: &[u8], entry: &Entry, key: Option<LinkKey>, report: &mut DumpReport) -> Result<()> {
        let name = match (name, &entry.node) {
            (b"", Node::Dir(_)) => b"./".to_vec(),
            (_, Node::Dir(_)) => [name, b"/"].concat(),
            _ => name.to_vec(),
        };
        let first = key.and_then(|key| self.firsts.get(&key).cloned());
        let (kind, target) = match (&entry.node, first) {
            (Node::Dir(_), _) => (EntryType::Directory, Vec::new()),
            (_, Some(first)) => (EntryType::Link, first),
            (Node::Inline(_) | Node::File(_), None) => (EntryType::Regular, Vec::new()),
            (Node::Symlink(target), None) => (EntryType::Symlink, target.clone()),
            (Node::Fifo, None) => (EntryType::Fifo, Vec::new()),
            (Node::Char(..), None) => (EntryType::Char, Vec::new()),
            (Node::Block(..), None) => (EntryType::Block, Vec::new()),
            (Node::Socket, None) => {
                report.problem(&name, "tar has no sockets");
                return Ok(());
            }
        };
        let size_bytes = if kind == EntryType::Regular { entry.size_bytes() } else { 0 };
        let written = self.header(&name, entry, kind, &target, size_bytes);
        written.map_err(|e| self.out.failed(e))?;
        if kind == EntryType::Regular {
            content(self.reader, entry, self.out, self.progress)?;
            report.bytes += size_bytes;
            // Blocks of 512 bytes.
            let rest = (512 - (size_bytes % 512) as usize) % 512;
            self.out.to.write_all(&[0; 512][..rest]).map_err(|e| self.out.failed(e))?;
        } else {
            self.progress.advance(1, 0);
        }
        if let Some(key) = key {
            self.firsts.entry(key).or_insert(name);
        }
        Ok(())
    }

    /// The pax records, then the header.
    fn header(
        &mut self,
        name: &[u8],
        entry: &Entry,
        kind: EntryType,
        target: &[u8],
        size_bytes: u64,
    ) -> io::Result<()> {
        let mut header = Header::new_ustar();
        let mut records: Vec<(String, Vec<u8>)> = Vec::new();
        let mut record = |key: &str, value: Vec<u8>| records.push((key.to_owned(), value));
        {
            let old = header.as_old_mut();
            let mut field = |key: &str, value: &[u8], field: &mut [u8]| {
                let fits = value.len().min(field.len());
                field[..fits].copy_from_slice(&value[..fits]);
                if value.len() > field.len() {
                    record(key, value.to_vec());
                }
            };
            field("path", name, &mut old.name[..NAME_BYTES]);
            field("linkpath", target, &mut old.linkname[..NAME_BYTES]);
        }
        header.set_entry_type(kind);
        header.set_mode(entry.mode);
        header.set_size(if size_bytes < SIZE_LIMIT_BYTES { size_bytes } else { 0 });
        if size_bytes >= SIZE_LIMIT_BYTES {
            record("size", size_bytes.to_string().into_bytes());
        }
        for (key, id) in [("uid", entry.uid), ("gid", entry.gid)] {
            if id >= ID_LIMIT {
                record(key, id.to_string().into_bytes());
            }
        }
        header.set_uid(u64::from(entry.uid.min(ID_LIMIT - 1)));
        header.set_gid(u64::from(entry.gid.min(ID_LIMIT - 1)));
        let named = [("uname", &entry.user), ("gname", &entry.group)];
        for (key, name) in named {
            let Some(name) = name else { continue };
            let set = if key == "uname" { header.set_username(name) } else { header.set_groupname(name) };
            if set.is_err() {
                record(key, name.as_bytes().to_vec());
            }
        }
        let secs = entry.mtime.secs;
        header.set_mtime(u64::try_from(secs).unwrap_or(0).min(SIZE_LIMIT_BYTES - 1));
        if entry.mtime.nanos != 0 || !(0..SIZE_LIMIT_BYTES.cast_signed()).contains(&secs) {
            record("mtime", decimal(secs, entry.mtime.nanos).into_bytes());
        }
        if let Node::Char(major, minor) | Node::Block(major, minor) = entry.node
            && kind != EntryType::Link
        {
            header.set_device_major(major)?;
            header.set_device_minor(minor)?;
        }
        if kind != EntryType::Link {
            for (name, value) in &entry.xattrs {
                record(&format!("SCHILY.xattr.{}", String::from_utf8_lossy(name)), value.clone());
            }
        }
        header.set_cksum();
        self.out.to.write_all(&pax(&records))?;
        self.out.to.write_all(header.as_bytes())?;
        Ok(())
    }

    /// Ends the archive.
    pub fn finish(self) -> Result<()> {
        let ended = self.out.to.write_all(&[0; 1_024]).and_then(|()| self.out.to.flush());
        ended.map_err(|e| self.out.failed(e))
    }
}

/// The header with these records, for the next one; nothing if there are none.
fn pax(records: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut data = Vec::new();
    for (key, value) in records {
        // The length counts its own digits.
        let rest = key.len() + value.len() + 3;
        let mut len = rest + 1;
        while rest + len.to_string().len() != len {
            len = rest + len.to_string().len();
        }
        data.extend_from_slice(format!("{len} {key}=").as_bytes());
        data.extend_from_slice(value);
        data.push(b'\n');
    }
    if data.is_empty() {
        return data;
    }
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::XHeader);
    header.set_size(data.len() as u64);
    header.set_cksum();
    data.resize(data.len().next_multiple_of(512), 0);
    [&header.as_bytes()[..], &data].concat()
}

/// A time as pax has it: seconds with a fraction; before 1970 with a sign.
fn decimal(secs: i64, nanos: u32) -> String {
    if secs < 0 && nanos > 0 {
        let whole = (secs + 1).unsigned_abs();
        return format!("-{whole}.{:09}", 1_000_000_000 - nanos);
    }
    format!("{secs}.{nanos:09}")
}

#[cfg(test)]
mod tests {
    use super::{decimal, pax};

    #[test]
    fn records_count_themselves() {
        for value_bytes in 0..1_100 {
            let record = pax(&[("k".to_owned(), vec![b'v'; value_bytes])]);
            let text = String::from_utf8_lossy(&record[512..]).into_owned();
            let len: usize = text.split(' ').next().and_then(|len| len.parse().ok()).unwrap_or(0);
            assert_eq!(text.find('\n').map(|at| at + 1), Some(len), "{value_bytes}");
        }
        assert!(pax(&[]).is_empty());
    }

    #[test]
    fn times() {
        for (secs, nanos, want) in [
            (5, 6, "5.000000006"),
            (-1, 500_000_000, "-0.500000000"),
            (-2, 250_000_000, "-1.750000000"),
            (-3, 0, "-3.000000000"),
        ] {
            assert_eq!(decimal(secs, nanos), want);
        }
    }
}
