//! `cat`: single objects of the repository.

use crate::error::{Error, FormatError, Result};
use crate::format::header::BlobKind;
use crate::format::index::{Index, PackRecord};
use crate::format::name::Name;
use crate::id::{BlobId, ObjectId, WriterName};
use crate::repo::Repository;
use crate::repo::reader::{Blob, BlobReader};

/// Where a blob is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BlobFacts {
    /// Data or tree.
    pub kind: BlobKind,
    /// Its length.
    pub len_bytes: u32,
    /// The pack that it is read from.
    pub pack: ObjectId,
    /// In whose folder that is.
    pub writer: WriterName,
    /// The segment's ordinal there.
    pub segment: u16,
    /// Where it begins in the segment's plaintext.
    pub offset: u32,
    /// How many more places there are.
    pub copies: usize,
}

/// Where a blob is, and the blob, checked.
///
/// # Errors
/// [`Error::Usage`] when no index names it; what is wrong with it.
pub fn blob(reader: &BlobReader<'_>, id: &BlobId) -> Result<(BlobFacts, Blob)> {
    let unknown = || Error::Usage(format!("the repository has no blob {id}"));
    let place = reader.view().place(id)?.ok_or_else(unknown)?;
    let info = reader.pack_info(place.pack)?;
    let blob = reader.any_blob(info.kind, id)?;
    let facts = BlobFacts {
        kind: info.kind,
        len_bytes: place.len_bytes,
        pack: info.id,
        writer: info.writer.clone(),
        segment: place.segment,
        offset: place.offset,
        copies: reader.view().copies(id)?.len(),
    };
    Ok((facts, blob))
}

/// A pack's own table of contents.
///
/// # Errors
/// [`Error::Usage`] when there is no such pack, or more than one; what is wrong with it.
pub fn pack(repo: &Repository, wanted: &str) -> Result<PackRecord> {
    let (name, size_bytes) = named(repo, "pack", wanted, |writer| format!("writers/{writer}/packs/"))?;
    Ok(repo.read_table(&name, size_bytes)?.record)
}

/// An index object.
///
/// # Errors
/// As [`pack`].
pub fn index(repo: &Repository, wanted: &str) -> Result<(ObjectId, Index)> {
    let (name, _) = named(repo, "index object", wanted, |writer| format!("writers/{writer}/index/"))?;
    let id = name.id().ok_or_else(|| Error::format(&name, FormatError::Invalid("it has no id")))?;
    Ok((id, repo.signed(&name, |opened| Index::decode(&opened.plaintext))?))
}

/// The one object whose id begins so.
fn named(repo: &Repository, what: &str, wanted: &str, folder: impl Fn(&WriterName) -> String) -> Result<(Name, u64)> {
    let wanted = wanted.to_ascii_lowercase();
    if wanted.len() < 4 {
        return Err(Error::Usage(format!("{wanted:?} is too short for an id: give 4 digits or more")));
    }
    let mut found = Vec::new();
    for writer in repo.writers()? {
        found.extend(repo.list(&folder(&writer))?);
    }
    found.retain(|(name, _)| name.id().is_some_and(|id| id.to_hex().starts_with(&wanted)));
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(Error::Usage(format!("there is no {what} {wanted}"))),
        _ => Err(Error::Usage(format!("several begin with {wanted}: give more digits"))),
    }
}
