//! Which blob is needed by which snapshot: more pairs than memory is for, sorted through files.

use crate::error::{Error, Result};
use crate::state::blobs::BlobKey;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Pairs in memory: 24 bytes each.
const PAIRS: usize = 1 << 20;
const PAIR_BYTES: usize = 20;

/// A blob and the number of a snapshot that needs it.
type Pair = (BlobKey, u32);

/// Takes pairs in any order and gives them back in order, each once.
pub(super) struct Sorter {
    folder: PathBuf,
    pairs: Vec<Pair>,
    most: usize,
    runs: Vec<File>,
}

impl Sorter {
    /// Files go into `folder`; they have no names for longer than it takes to open them.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), pairs: Vec::new(), most: PAIRS, runs: Vec::new() }
    }

    /// Takes a pair.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn add(&mut self, blob: BlobKey, snapshot: u32) -> Result<()> {
        self.pairs.push((blob, snapshot));
        if self.pairs.len() >= self.most { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> Result<()> {
        self.pairs.sort_unstable();
        self.pairs.dedup();
        let name = format!("stats-{}-{}", std::process::id(), self.runs.len());
        let path = self.folder.join(name);
        let io = |e| Error::io("write", &path, e);
        std::fs::create_dir_all(&self.folder).map_err(io)?;
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&path);
        let file = file.map_err(io)?;
        std::fs::remove_file(&path).map_err(io)?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        for (blob, snapshot) in self.pairs.drain(..) {
            out.write_all(&blob).and_then(|()| out.write_all(&snapshot.to_be_bytes())).map_err(io)?;
        }
        let mut file = out.into_inner().map_err(|e| io(e.into_error()))?;
        file.seek(SeekFrom::Start(0)).map_err(io)?;
        self.runs.push(file);
        Ok(())
    }

    /// Visits all blobs in order, each with the snapshots that need it, ascending.
    ///
    /// # Errors
    /// [`Error::Io`], or what `visit` says.
    pub fn finish(mut self, mut visit: impl FnMut(BlobKey, &[u32]) -> Result<()>) -> Result<()> {
        self.pairs.sort_unstable();
        self.pairs.dedup();
        let mut last = std::mem::take(&mut self.pairs).into_iter();
        let mut runs: Vec<BufReader<File>> =
            self.runs.drain(..).map(|run| BufReader::with_capacity(256 << 10, run)).collect();
        let own = runs.len();
        let folder = self.folder;
        let mut next = |run: usize| -> Result<Option<Pair>> {
            let Some(reader) = runs.get_mut(run) else { return Ok(last.next()) };
            let mut bytes = [0; PAIR_BYTES];
            match reader.read_exact(&mut bytes) {
                Ok(()) => {}
                Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(None),
                Err(e) => return Err(Error::io("read a file in", &folder, e)),
            }
            let (mut blob, mut snapshot) = ([0; 16], [0; 4]);
            blob.copy_from_slice(&bytes[..16]);
            snapshot.copy_from_slice(&bytes[16..]);
            Ok(Some((blob, u32::from_be_bytes(snapshot))))
        };
        let mut heap = BinaryHeap::new();
        for run in 0..=own {
            heap.extend(next(run)?.map(|pair| Reverse((pair, run))));
        }
        let mut group: Option<(BlobKey, Vec<u32>)> = None;
        while let Some(Reverse(((blob, snapshot), run))) = heap.pop() {
            heap.extend(next(run)?.map(|pair| Reverse((pair, run))));
            match &mut group {
                Some((same, snapshots)) if *same == blob => {
                    if snapshots.last() != Some(&snapshot) {
                        snapshots.push(snapshot);
                    }
                }
                _ => {
                    if let Some((blob, snapshots)) = group.replace((blob, vec![snapshot])) {
                        visit(blob, &snapshots)?;
                    }
                }
            }
        }
        group.map_or(Ok(()), |(blob, snapshots)| visit(blob, &snapshots))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn pairs_come_back_in_order_and_once(pairs in proptest::collection::vec((0u8..20, 0u32..5), 0..300), most in 1usize..80) {
            let folder = tempfile::tempdir().unwrap();
            let mut sorter = Sorter { most, ..Sorter::new(folder.path()) };
            let mut want: BTreeMap<BlobKey, BTreeSet<u32>> = BTreeMap::new();
            for (blob, snapshot) in pairs {
                sorter.add([blob; 16], snapshot).unwrap();
                want.entry([blob; 16]).or_default().insert(snapshot);
            }
            let mut found = Vec::new();
            sorter.finish(|blob, snapshots| {
                found.push((blob, snapshots.to_vec()));
                Ok(())
            }).unwrap();
            let want: Vec<_> = want.into_iter().map(|(blob, set)| (blob, set.into_iter().collect::<Vec<_>>())).collect();
            prop_assert_eq!(found, want);
            prop_assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }
}
