//! Storing lost blobs anew from wherever they still are.

use super::Problem;
use super::files::Files;
use super::losses::Losses;
use crate::error::{Error, Result};
use crate::format::header::BlobKind;
use crate::ops::Progress;
use crate::ops::backup::resend::resend;
use crate::ops::check::blobs::TreeBlobs;
use crate::repo::Repository;
use crate::repo::reader::BlobReader;
use crate::repo::writer::BlobWriter;
use crate::state::blobs::{BlobKey, key_of};
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where lost blobs are looked for.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// Second copies of this repository, with the same keys.
    pub repositories: &'a [BlobReader<'a>],
    /// Folders below which the paths of snapshots are looked for.
    pub folders: &'a [PathBuf],
    /// Whether the paths of the snapshots themselves are looked at, and local Btrfs snapshots of them.
    pub live: bool,
    /// Patterns of what backups of the folders left out.
    pub excludes: &'a [String],
}

impl std::fmt::Debug for Sources<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources").field("folders", &self.folders).field("live", &self.live).finish_non_exhaustive()
    }
}

/// What was stored.
#[derive(Default)]
pub(super) struct Done {
    pub salvaged: u64,
    pub from_others: u64,
    pub from_files: u64,
    pub reread: u64,
    pub problems: Vec<Problem>,
    /// Under which something was written down that describes no source.
    pub regions: HashSet<u64>,
}

/// Stores lost blobs anew.
pub(super) struct Resend<'a> {
    repo: &'a Repository,
    blobs: &'a TreeBlobs<'a>,
    sources: &'a Sources<'a>,
    progress: &'a dyn Progress,
    /// Blobs that bad packs cannot give.
    gone: HashMap<BlobKey, BlobKind>,
    done: Done,
}

impl<'a> Resend<'a> {
    pub fn new(
        repo: &'a Repository,
        blobs: &'a TreeBlobs<'a>,
        sources: &'a Sources<'a>,
        progress: &'a dyn Progress,
    ) -> Self {
        Self { repo, blobs, sources, progress, gone: HashMap::new(), done: Done::default() }
    }

    pub fn has_gone(&self) -> bool {
        !self.gone.is_empty()
    }

    pub fn done(self) -> Done {
        self.done
    }

    fn go_on(&self) -> Result<()> {
        if self.progress.cancelled() { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// Stores what is good in a bad pack and nowhere else; notes what is not.
    pub fn salvage(&mut self, number: u32, out: &mut BlobWriter<'_>) -> Result<()> {
        let Some(pack) = self.blobs.catalogue.packs.get(number as usize) else { return Ok(()) };
        let kind = pack.info.kind;
        for spot in self.blobs.catalogue.blobs_of(number) {
            self.go_on()?;
            let is_good = pack.is_good(spot.segment) && !self.blobs.catalogue.is_bad(&spot);
            let found = if is_good { self.blobs.bytes_at(&spot) } else { None };
            let right = found.map(|bytes| (self.repo.keys().blob_id(kind, &bytes), bytes));
            match right.filter(|(id, _)| key_of(id) == spot.key) {
                Some((id, bytes)) => self.done.salvaged += u64::from(out.add(kind, id, &bytes)?),
                None => drop(self.gone.insert(spot.key, kind)),
            }
        }
        Ok(())
    }

    /// Stores what second copies of the repository have.
    pub fn in_others(&mut self, losses: &Losses, out: &mut BlobWriter<'_>) -> Result<()> {
        if self.sources.repositories.is_empty() {
            return Ok(());
        }
        let mut wanted = self.gone.clone();
        wanted.extend(losses.data.keys().map(|id| (key_of(id), BlobKind::Data)));
        wanted.extend(losses.trees.iter().map(|id| (key_of(id), BlobKind::Tree)));
        for (key, kind) in wanted {
            self.go_on()?;
            for other in self.sources.repositories {
                match other.by_key(kind, &key) {
                    Ok(Some((id, blob))) => {
                        self.done.from_others += u64::from(out.add(kind, id, &blob)?);
                        break;
                    }
                    Ok(None) => {}
                    Err(error) => {
                        let problem = Problem::new(other.repo().backend().location(), &error);
                        if !self.done.problems.contains(&problem) {
                            self.done.problems.push(problem);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Stores lost data that files still have, at the place at which the snapshots say that it is.
    pub fn in_files(&mut self, losses: &Losses, out: &mut BlobWriter<'_>) -> Result<()> {
        let mut files = Files::new(self.sources.folders, self.sources.live);
        for (id, lost) in &losses.data {
            self.go_on()?;
            if out.knows(id)? {
                continue;
            }
            let found = lost
                .places
                .iter()
                .find_map(|(path, offset)| files.blob(self.repo.keys(), id, lost.len_bytes, path, *offset));
            if let Some(bytes) = found {
                self.done.from_files += u64::from(out.add(BlobKind::Data, *id, &bytes)?);
            }
        }
        Ok(())
    }

    /// Reads files and folders of which parts of the trees are lost again, as a backup would: trees of what has not changed come out as they were.
    pub fn read_again(&mut self, losses: &Losses, out: &mut BlobWriter<'_>) -> Result<()> {
        let mut files = Files::new(self.sources.folders, self.sources.live);
        let mut done: Vec<&[u8]> = Vec::new();
        for path in losses.folders.iter().chain(&losses.files) {
            let is_below = |above: &&[u8]| path.strip_prefix(*above).is_some_and(|rest| rest.starts_with(b"/"));
            if done.iter().any(is_below) {
                continue;
            }
            done.push(path);
            for at in files.candidates(path) {
                self.go_on()?;
                let mut is_missing = false;
                for id in &losses.trees {
                    is_missing |= !out.knows(id)?;
                }
                if !is_missing {
                    return Ok(());
                }
                if at.symlink_metadata().is_err() {
                    continue;
                }
                let before = out.stats();
                let shown = Path::new(OsStr::from_bytes(path));
                let region = self.region(&at);
                match resend(self.repo, out, shown, &at, region, self.sources.excludes, self.progress) {
                    Ok(()) => {}
                    Err(error @ Error::Io { .. }) => self.done.problems.push(Problem::new(at.display(), &error)),
                    Err(error) => return Err(error),
                }
                let now = out.stats();
                self.done.reread += now.data_blobs + now.tree_blobs - before.data_blobs - before.tree_blobs;
            }
        }
        Ok(())
    }

    /// A region of its own for each place that is read: inode numbers of one say nothing of another.
    fn region(&mut self, at: &Path) -> u64 {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"repair").update(&self.repo.keys().repo().0).update(at.as_os_str().as_bytes());
        let region = hasher.finalize().as_bytes().first_chunk::<8>().map_or(0, |b| u64::from_le_bytes(*b));
        self.done.regions.insert(region);
        region
    }
}
