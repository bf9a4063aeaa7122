//! Packs: blobs one after the other, then a sealed header that says what they are, then its length.

use super::crypto::SEAL_BYTES;
use super::repo::{MISSING, Restic};
use super::table::Place;
use super::{BlobType, Id, bad};
use crate::error::{Error, FormatError, Result};
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;

/// More blobs than any pack of restic's has.
const HEADER_BYTES: u64 = 64 << 20;
/// An entry of a header: type, length, id; between them the plaintext's length, if the blob is compressed.
const ENTRY_BYTES: usize = 1 + 4 + 32;
const COMPRESSED_BYTES: usize = ENTRY_BYTES + 4;

/// How a pack is called in messages.
pub(super) fn name(id: &Id) -> String {
    let hex = id.to_hex();
    format!("pack data/{}/{hex}", &hex[..2])
}

/// Opens a pack.
pub(super) fn open(repo: &Restic, id: &Id) -> Result<File> {
    let path = repo.pack_path(id);
    File::open(&path).map_err(|e| match e.kind() {
        ErrorKind::NotFound => bad(name(id), MISSING),
        _ => Error::io("open", path, e),
    })
}

/// Reads a part of a pack.
pub(super) fn part(file: &File, id: &Id, offset: u64, len_bytes: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; len_bytes];
    match file.read_exact_at(&mut bytes, offset) {
        Ok(()) => Ok(bytes),
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => Err(bad(name(id), FormatError::Truncated)),
        Err(e) => Err(Error::io("read", name(id), e)),
    }
}

/// What a pack's own header says that is in it; `number` is that of the pack in what is returned.
pub(super) fn header(repo: &Restic, id: &Id, number: u32) -> Result<Vec<(Id, BlobType, Place)>> {
    let file = open(repo, id)?;
    let size_bytes = file.metadata().map_err(|e| Error::io("look at", repo.pack_path(id), e))?.len();
    let truncated = || bad(name(id), FormatError::Truncated);
    let at = size_bytes.checked_sub(4).ok_or_else(truncated)?;
    let len = part(&file, id, at, 4)?.try_into().map_or(0, u32::from_le_bytes);
    if u64::from(len) > HEADER_BYTES {
        let source = FormatError::Limit { what: "header", actual: len.into(), limit: HEADER_BYTES };
        return Err(bad(name(id), source));
    }
    let start = at.checked_sub(len.into()).ok_or_else(truncated)?;
    let plain = repo.key().open(part(&file, id, start, len as usize)?).map_err(|e| bad(name(id), e))?;
    entries(&plain, start, number).map_err(|e| bad(name(id), e))
}

fn entries(mut plain: &[u8], blobs_bytes: u64, number: u32) -> Result<Vec<(Id, BlobType, Place)>, FormatError> {
    let (mut found, mut offset) = (Vec::new(), 0u64);
    while let Some(kind) = plain.first() {
        let is_compressed = match kind {
            0 | 1 => false,
            2 | 3 => true,
            other => return Err(FormatError::Feature { what: "type of blob", number: (*other).into() }),
        };
        let bytes = if is_compressed { COMPRESSED_BYTES } else { ENTRY_BYTES };
        let (entry, rest) = plain.split_at_checked(bytes).ok_or(FormatError::Truncated)?;
        let word = |at: usize| entry[at..at + 4].try_into().map_or(0, u32::from_le_bytes);
        let len_bytes = word(1);
        if (len_bytes as usize) < SEAL_BYTES {
            return Err(FormatError::Invalid("a blob is shorter than its seal"));
        }
        let mut id = Id::default();
        id.0.copy_from_slice(&entry[bytes - 32..]);
        let kind = if kind % 2 == 0 { BlobType::Data } else { BlobType::Tree };
        let plain_bytes = is_compressed.then(|| word(5));
        found.push((id, kind, Place { pack: number, offset, len_bytes, plain_bytes }));
        offset += u64::from(len_bytes);
        plain = rest;
    }
    if offset != blobs_bytes {
        return Err(FormatError::Invalid("its header does not fit its length"));
    }
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn entry(kind: u8, len: u32, plain: Option<u32>, id: u8) -> Vec<u8> {
        let plain = plain.map(u32::to_le_bytes);
        [&[kind][..], &len.to_le_bytes(), plain.as_ref().map_or(&[][..], |p| &p[..]), &[id; 32]].concat()
    }

    #[test]
    fn headers_say_what_lies_where() {
        let header = [entry(0, 100, None, 1), entry(3, 50, Some(400), 2), entry(1, 32, None, 3)].concat();
        let found = entries(&header, 182, 7).unwrap();
        let place = |offset, len_bytes, plain_bytes| Place { pack: 7, offset, len_bytes, plain_bytes };
        assert_eq!(
            found,
            [
                (Id([1; 32]), BlobType::Data, place(0, 100, None)),
                (Id([2; 32]), BlobType::Tree, place(100, 50, Some(400))),
                (Id([3; 32]), BlobType::Tree, place(150, 32, None)),
            ]
        );
        assert!(entries(&header, 181, 7).is_err());
        assert!(entries(&header[..header.len() - 1], 182, 7).is_err());
        assert!(entries(&entry(0, 31, None, 1), 31, 7).is_err());
        assert!(matches!(entries(&entry(9, 40, None, 1), 40, 7), Err(FormatError::Feature { number: 9, .. })));
    }
}
