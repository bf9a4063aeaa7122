//! Which blob lies where: as many as there are, in a sorted file without a name, so that memory does not grow with the repository.
//!
//! Only half of each id is kept: what is read is checked against the whole.

use super::{BlobType, Id};
use crate::error::{Error, Result};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Rows in memory while they are collected: 40 bytes each.
const ROWS: usize = 1 << 19;
/// A row in a file: type, id, pack, offset, length, plaintext's length (all ones if it is not compressed).
const ROW_BYTES: usize = 17 + 4 + 8 + 4 + 4;
/// Of each so many rows the first id is kept in memory.
const BLOCK_ROWS: usize = 128;

/// Where a blob lies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Place {
    /// The number of its pack.
    pub pack: u32,
    pub offset: u64,
    /// Sealed.
    pub len_bytes: u32,
    /// Decompressed, if it is compressed.
    pub plain_bytes: Option<u32>,
}

type Key = [u8; 17];
type Row = (Key, Place);

fn key(kind: BlobType, id: &Id) -> Key {
    let mut key = [0; 17];
    key[0] = u8::from(kind == BlobType::Tree);
    key[1..].copy_from_slice(&id.0[..16]);
    key
}

fn encode(row: &Row) -> [u8; ROW_BYTES] {
    let (key, place) = row;
    let mut out = [0; ROW_BYTES];
    out[..17].copy_from_slice(key);
    out[17..21].copy_from_slice(&place.pack.to_be_bytes());
    out[21..29].copy_from_slice(&place.offset.to_be_bytes());
    out[29..33].copy_from_slice(&place.len_bytes.to_be_bytes());
    out[33..].copy_from_slice(&place.plain_bytes.unwrap_or(u32::MAX).to_be_bytes());
    out
}

fn decode(bytes: &[u8; ROW_BYTES]) -> Row {
    let word = |at: usize| bytes[at..at + 4].try_into().map_or(0, u32::from_be_bytes);
    let mut key = [0; 17];
    key.copy_from_slice(&bytes[..17]);
    let offset = bytes[21..29].try_into().map_or(0, u64::from_be_bytes);
    let plain_bytes = Some(word(33)).filter(|bytes| *bytes != u32::MAX);
    (key, Place { pack: word(17), offset, len_bytes: word(29), plain_bytes })
}

/// Collects rows in any order.
pub(super) struct Builder {
    folder: PathBuf,
    rows: Vec<Row>,
    most: usize,
    runs: Vec<File>,
}

impl Builder {
    /// Files go into `folder`; they have no names for longer than it takes to open them.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), rows: Vec::new(), most: ROWS, runs: Vec::new() }
    }

    /// Takes a row.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn add(&mut self, kind: BlobType, id: &Id, place: Place) -> Result<()> {
        self.rows.push((key(kind, id), place));
        if self.rows.len() >= self.most { self.spill() } else { Ok(()) }
    }

    fn file(&self) -> Result<(File, PathBuf)> {
        std::fs::create_dir_all(&self.folder).map_err(|e| Error::io("make", &self.folder, e))?;
        let mut salt = [0; 8];
        getrandom::fill(&mut salt).map_err(|e| Error::io("make a file in", &self.folder, std::io::Error::other(e)))?;
        let path = self.folder.join(format!("import-{}", data_encoding::HEXLOWER.encode(&salt)));
        let io = |e| Error::io("make", &path, e);
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path).map_err(io)?;
        std::fs::remove_file(&path).map_err(io)?;
        Ok((file, path))
    }

    fn spill(&mut self) -> Result<()> {
        let (file, path) = self.file()?;
        let io = |e| Error::io("write", &path, e);
        self.rows.sort_unstable();
        let mut out = BufWriter::with_capacity(1 << 20, file);
        for row in self.rows.drain(..) {
            out.write_all(&encode(&row)).map_err(io)?;
        }
        let mut file = out.into_inner().map_err(|e| io(e.into_error()))?;
        file.seek(SeekFrom::Start(0)).map_err(io)?;
        self.runs.push(file);
        Ok(())
    }

    /// The table of all rows, each once.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(mut self) -> Result<Table> {
        self.spill()?;
        let (file, path) = self.file()?;
        let io = |e| Error::io("write", &path, e);
        let mut runs: Vec<_> = self.runs.drain(..).map(|run| BufReader::with_capacity(256 << 10, run)).collect();
        let count = runs.len();
        let mut next = |run: usize| {
            let mut bytes = [0; ROW_BYTES];
            match runs[run].read_exact(&mut bytes) {
                Ok(()) => Ok(Some(Reverse((decode(&bytes), run)))),
                Err(e) if e.kind() == ErrorKind::UnexpectedEof => Ok(None),
                Err(e) => Err(Error::io("read", &path, e)),
            }
        };
        let mut heap = BinaryHeap::new();
        for run in 0..count {
            heap.extend(next(run)?);
        }
        let mut out = BufWriter::with_capacity(1 << 20, file);
        let (mut firsts, mut rows, mut last) = (Vec::new(), 0usize, None);
        while let Some(Reverse((row, run))) = heap.pop() {
            heap.extend(next(run)?);
            if last == Some(row) {
                continue;
            }
            if rows.is_multiple_of(BLOCK_ROWS) {
                firsts.push(row.0);
            }
            out.write_all(&encode(&row)).map_err(io)?;
            rows += 1;
            last = Some(row);
        }
        let file = out.into_inner().map_err(|e| io(e.into_error()))?;
        Ok(Table { file, path, firsts, rows })
    }
}

/// Finds blobs.
pub(super) struct Table {
    file: File,
    path: PathBuf,
    /// The first key of each block.
    firsts: Vec<Key>,
    rows: usize,
}

impl Table {
    /// All places of a blob; none if it is nowhere.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn find(&self, kind: BlobType, id: &Id) -> Result<Vec<Place>> {
        let key = key(kind, id);
        // The first block that may have it: those with several places may have begun in the block before the first that begins with it.
        let mut block = self.firsts.partition_point(|first| *first < key).saturating_sub(1);
        let mut found = Vec::new();
        while block * BLOCK_ROWS < self.rows {
            let rows = BLOCK_ROWS.min(self.rows - block * BLOCK_ROWS);
            let mut bytes = vec![0; rows * ROW_BYTES];
            let at = (block * BLOCK_ROWS * ROW_BYTES) as u64;
            self.file.read_exact_at(&mut bytes, at).map_err(|e| Error::io("read", &self.path, e))?;
            for row in bytes.as_chunks::<ROW_BYTES>().0 {
                if row[..17] > key[..] {
                    return Ok(found);
                }
                if row[..17] == key[..] {
                    found.push(decode(row).1);
                }
            }
            block += 1;
        }
        Ok(found)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn what_went_in_is_found(rows in proptest::collection::vec((any::<bool>(), 0u16..300, 0u32..3), 0..900), most in 1usize..500) {
            let folder = tempfile::tempdir().unwrap();
            let id = |n: u16| Id(*blake3::hash(&n.to_le_bytes()).as_bytes());
            let kind = |is_tree| if is_tree { BlobType::Tree } else { BlobType::Data };
            let place = |n: u32| Place { pack: n, offset: u64::from(n) << 33, len_bytes: n + 32, plain_bytes: (n == 1).then_some(9) };
            let mut builder = Builder { most, ..Builder::new(folder.path()) };
            for (is_tree, n, at) in &rows {
                builder.add(kind(*is_tree), &id(*n), place(*at)).unwrap();
            }
            let table = builder.finish().unwrap();
            prop_assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
            for is_tree in [false, true] {
                for n in 0..301 {
                    let of = |row: &&(bool, u16, u32)| row.0 == is_tree && row.1 == n;
                    let want: BTreeSet<_> = rows.iter().filter(of).map(|row| place(row.2)).collect();
                    prop_assert_eq!(table.find(kind(is_tree), &id(n)).unwrap(), want.into_iter().collect::<Vec<_>>());
                }
            }
        }
    }

    #[test]
    fn many_places_of_one_blob_are_all_found() {
        let folder = tempfile::tempdir().unwrap();
        let mut builder = Builder { most: 100, ..Builder::new(folder.path()) };
        let place = |n: u32| Place { pack: n, offset: 0, len_bytes: 40, plain_bytes: None };
        for n in 0..1000 {
            builder.add(BlobType::Data, &Id([(n % 3) as u8; 32]), place(n)).unwrap();
        }
        let table = builder.finish().unwrap();
        for n in 0..3u32 {
            let want: Vec<_> = (0..1000).filter(|m| m % 3 == n).map(place).collect();
            assert_eq!(table.find(BlobType::Data, &Id([n as u8; 32])).unwrap(), want);
        }
        assert!(table.find(BlobType::Data, &Id([9; 32])).unwrap().is_empty());
        assert!(table.find(BlobType::Tree, &Id([1; 32])).unwrap().is_empty());
    }
}
