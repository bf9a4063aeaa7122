//! What the repository holds: blobs, found by its indexes, read, opened and checked against their ids.

use super::crypto::SEAL_BYTES;
use super::repo::{MISSING, Restic};
use super::table::{Builder, Place, Table};
use super::tree::{Node, parse};
use super::{BlobType, Id, bad, bad_json, pack};
use crate::error::{Error, FormatError, Result};
use rayon::prelude::*;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// More than any blob of content has: restic's have 8 MiB at most, rustic's what its configuration says.
const DATA_BYTES: u64 = 128 << 20;
/// A directory is one blob.
const TREE_BYTES: u64 = 1 << 30;
/// So many packs are kept open.
const OPEN_PACKS: usize = 16;

/// An index file. That it replaces others need not be known: what those say is true or gone.
#[derive(Deserialize)]
struct IndexFile {
    #[serde(default)]
    packs: Vec<IndexPack>,
}

#[derive(Deserialize)]
struct IndexPack {
    id: Id,
    #[serde(default)]
    blobs: Vec<IndexBlob>,
}

#[derive(Deserialize)]
struct IndexBlob {
    id: Id,
    #[serde(rename = "type")]
    kind: IndexType,
    offset: u64,
    length: u32,
    #[serde(default)]
    uncompressed_length: Option<u32>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum IndexType {
    Data,
    Tree,
}

/// Blobs by their ids.
pub struct Contents<'a> {
    repo: &'a Restic,
    table: Table,
    packs: Vec<Id>,
    open: Mutex<Vec<(u32, Arc<File>)>>,
    odd: Vec<Error>,
}

impl<'a> Contents<'a> {
    /// Reads the indexes, and of packs that none of them names their own headers; what it needs to sort them goes into files in `spool`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn new(repo: &'a Restic, spool: &Path) -> Result<Self> {
        let mut builder = Builder::new(spool);
        let (mut packs, mut numbers, mut odd) = (Vec::new(), HashMap::new(), Vec::new());
        let mut number = |id: Id| -> u32 {
            *numbers.entry(id).or_insert_with(|| {
                packs.push(id);
                (packs.len() - 1) as u32
            })
        };
        let mut indexed = std::collections::HashSet::new();
        for id in repo.list("index")? {
            let file = match index(repo, &id) {
                Ok(file) => file,
                // The headers of its packs say the same.
                Err(error @ Error::Foreign { .. }) => {
                    odd.push(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            for pack in file.packs {
                indexed.insert(pack.id);
                let pack_number = number(pack.id);
                for blob in pack.blobs {
                    let place = Place {
                        pack: pack_number,
                        offset: blob.offset,
                        len_bytes: blob.length,
                        plain_bytes: blob.uncompressed_length.filter(|bytes| *bytes > 0),
                    };
                    let kind = if matches!(blob.kind, IndexType::Tree) { BlobType::Tree } else { BlobType::Data };
                    builder.add(kind, &blob.id, place)?;
                }
            }
        }
        for id in repo.packs()?.into_iter().filter(|id| !indexed.contains(id)) {
            match pack::header(repo, &id, number(id)) {
                Ok(rows) => rows.into_iter().try_for_each(|(id, kind, place)| builder.add(kind, &id, place))?,
                // A backup that was killed leaves such packs.
                Err(error @ Error::Foreign { .. }) => odd.push(error),
                Err(error) => return Err(error),
            }
        }
        let table = builder.finish()?;
        Ok(Self { repo, table, packs, open: Mutex::default(), odd })
    }

    /// What of the indexes, and of packs that none names, could not be used. Nothing may be missing for all that.
    pub fn odd(&self) -> &[Error] {
        &self.odd
    }

    /// The repository.
    pub fn repo(&self) -> &Restic {
        self.repo
    }

    /// How long the content of a blob of a file is, in bytes.
    ///
    /// # Errors
    /// [`Error::Foreign`] if it is nowhere.
    pub fn data_bytes(&self, id: &Id) -> Result<u64> {
        let place = self.places(BlobType::Data, id)?[0];
        Ok(place.plain_bytes.map_or_else(|| u64::from(place.len_bytes).saturating_sub(SEAL_BYTES as u64), u64::from))
    }

    /// Blobs of files, in the order of `ids`, read at once on all cores.
    ///
    /// # Errors
    /// [`Error::Foreign`] naming the pack, [`Error::Io`].
    pub fn data(&self, ids: &[Id]) -> Result<Vec<Vec<u8>>> {
        ids.par_iter().map(|id| self.blob(BlobType::Data, id)).collect()
    }

    /// The nodes of a directory, by name; each name once.
    ///
    /// # Errors
    /// [`Error::Foreign`] naming the pack or the tree, [`Error::Io`].
    pub fn tree(&self, id: &Id) -> Result<Vec<Node>> {
        let object = || format!("tree {}", id.to_hex());
        let json = self.blob(BlobType::Tree, id)?;
        parse(&json).map_err(|e| bad(object(), e))
    }

    /// At least one place.
    fn places(&self, kind: BlobType, id: &Id) -> Result<Vec<Place>> {
        let places = self.table.find(kind, id)?;
        if places.is_empty() {
            Err(bad(format!("{} blob {}", kind.as_str(), id.to_hex()), MISSING))
        } else {
            Ok(places)
        }
    }

    fn blob(&self, kind: BlobType, id: &Id) -> Result<Vec<u8>> {
        let mut first = None;
        for place in self.places(kind, id)? {
            match self.blob_at(kind, id, &place) {
                // Perhaps it is whole elsewhere.
                Err(error @ Error::Foreign { .. }) => drop(first.get_or_insert(error)),
                done => return done,
            }
        }
        Err(first.unwrap_or(Error::Aborted))
    }

    fn blob_at(&self, kind: BlobType, id: &Id, place: &Place) -> Result<Vec<u8>> {
        let pack = self.packs.get(place.pack as usize).copied().unwrap_or_default();
        let wrong = |source| bad(format!("{} ({} blob {})", pack::name(&pack), kind.as_str(), id.to_hex()), source);
        let limit = if kind == BlobType::Tree { TREE_BYTES } else { DATA_BYTES };
        let actual = u64::from(place.plain_bytes.unwrap_or(0).max(place.len_bytes));
        if actual > limit {
            return Err(wrong(FormatError::Limit { what: "blob", actual, limit }));
        }
        let file = self.file(place.pack, &pack)?;
        let sealed = pack::part(&file, &pack, place.offset, place.len_bytes as usize)?;
        let mut plain = self.repo.key().open(sealed).map_err(wrong)?;
        if let Some(plain_bytes) = place.plain_bytes {
            plain = zstd::bulk::decompress(&plain, plain_bytes as usize)
                .map_err(|_| wrong(FormatError::Invalid("its zstd frame cannot be decompressed")))?;
        }
        if Sha256::digest(&plain)[..] == id.0 { Ok(plain) } else { Err(wrong(FormatError::Hash)) }
    }

    fn file(&self, number: u32, id: &Id) -> Result<Arc<File>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = open.iter().position(|(have, _)| *have == number) {
            let found = open.remove(at);
            open.push(found.clone());
            return Ok(found.1);
        }
        let file = Arc::new(pack::open(self.repo, id)?);
        if open.len() >= OPEN_PACKS {
            open.remove(0);
        }
        open.push((number, Arc::clone(&file)));
        Ok(file)
    }
}

fn index(repo: &Restic, id: &Id) -> Result<IndexFile> {
    let json = repo.file("index", id)?;
    bad_json(format!("index/{}", id.to_hex()), serde_json::from_slice(&json))
}
