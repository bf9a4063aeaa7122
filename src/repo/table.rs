//! A pack by itself: its header, trailer and table of contents, without any index object; and whether every blob in it is what the table says.

use super::reader::decompress;
use super::{Repository, until_right};
use crate::error::{Error, FormatError, Result, StoreError};
use crate::format::header::BlobKind;
use crate::format::index::PackRecord;
use crate::format::limits;
use crate::format::name::Name;
use crate::format::pack::{PREAMBLE_BYTES, TRAILER_BYTES, Trailer, decode_toc};
use crate::seal::PackSeal;

/// So much of a pack's end is read at first: of most packs that is the whole table.
const TAIL_BYTES: u64 = 64 << 10;

/// A pack as it describes itself.
pub struct PackTable {
    /// What an index object can say of it. Nobody has looked at its blobs.
    pub record: PackRecord,
    /// Bytes that were read.
    pub read_bytes: u64,
    seal: PackSeal,
}

impl Repository {
    /// Reads what a pack of `size_bytes` says of itself: its two ends, not what is between them.
    ///
    /// # Errors
    /// [`Error::Role`] for a writer's key; [`Error::Missing`], [`Error::Damaged`], [`Error::Newer`], [`Error::Store`].
    pub fn read_table(&self, name: &Name, size_bytes: u64) -> Result<PackTable> {
        self.keys().need_reader("open packs")?;
        let Name::Pack(writer, id) = name else {
            return Err(Error::format(name, FormatError::Invalid("it is no pack")));
        };
        let bad = |e| Error::format(name, e);
        if size_bytes > limits::PACK_BYTES {
            let limit = FormatError::Limit { what: "pack", actual: size_bytes, limit: limits::PACK_BYTES };
            return Err(bad(limit));
        }
        if size_bytes < (PREAMBLE_BYTES + TRAILER_BYTES) as u64 {
            return Err(bad(FormatError::Truncated));
        }
        let (kind, seal) = self.checked_range(name, 0, PREAMBLE_BYTES as u64, |preamble| {
            let header = self.pack_header(&preamble, name)?;
            let preamble = preamble.first_chunk::<PREAMBLE_BYTES>().ok_or_else(|| bad(FormatError::Truncated))?;
            let kind = BlobKind::from_number(preamble[8].into()).map_err(bad)?;
            Ok((kind, PackSeal::open(preamble, self.keys().private(header.epoch).map_err(bad)?).map_err(bad)?))
        })?;
        let tail_bytes = TAIL_BYTES.min(size_bytes - PREAMBLE_BYTES as u64);
        let mut read_bytes = PREAMBLE_BYTES as u64 + tail_bytes;
        let open = |tail: &[u8], trailer: &Trailer| {
            let from = (tail.len() - TRAILER_BYTES).checked_sub(trailer.toc_bytes as usize);
            let mut buffer = from.map(|from| tail[from..tail.len() - TRAILER_BYTES].to_vec()).unwrap_or_default();
            seal.open_toc(&mut buffer).map_err(bad)?;
            let segments = decode_toc(&buffer).map_err(bad)?;
            trailer.check(&segments, size_bytes).map_err(bad)?;
            Ok(segments)
        };
        let trailer_of = |tail: &[u8]| {
            let last = tail.last_chunk::<TRAILER_BYTES>().ok_or_else(|| bad(FormatError::Truncated))?;
            Trailer::decode(last, size_bytes).map_err(bad)
        };
        let found = self.checked_range(name, size_bytes - tail_bytes, tail_bytes, |tail| {
            let trailer = trailer_of(&tail)?;
            let needed_bytes = u64::from(trailer.toc_bytes) + TRAILER_BYTES as u64;
            if needed_bytes > tail_bytes { Ok(Err(needed_bytes)) } else { open(&tail, &trailer).map(Ok) }
        })?;
        let segments = match found {
            Ok(segments) => segments,
            Err(needed_bytes) => {
                read_bytes += needed_bytes;
                let from = size_bytes - needed_bytes;
                self.checked_range(name, from, needed_bytes, |tail| open(&tail, &trailer_of(&tail)?))?
            }
        };
        let (checked, repeated, later) = (false, false, Vec::new());
        let record =
            PackRecord { id: *id, kind, size_bytes, segments, writer: writer.clone(), checked, repeated, later };
        Ok(PackTable { record, read_bytes, seal })
    }

    /// Reads a whole pack and checks every blob against its id; then the record says so. Returns the bytes read.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Damaged`], [`Error::Newer`], [`Error::Store`].
    pub fn check_blobs(&self, name: &Name, table: &mut PackTable) -> Result<u64> {
        let mut offset = PREAMBLE_BYTES as u64;
        for (ordinal, segment) in (0u32..).zip(&table.record.segments) {
            let bad = |e| Error::format(format!("segment {ordinal} of {name}"), e);
            self.checked_range(name, offset, segment.stored_bytes.into(), |mut buffer| {
                table.seal.open_segment(ordinal, &mut buffer).map_err(bad)?;
                let plain = decompress(buffer, segment.codec, segment.plain_bytes).map_err(bad)?;
                let mut rest = &plain[..];
                for (id, len_bytes) in &segment.blobs {
                    let (blob, after) =
                        rest.split_at_checked(*len_bytes as usize).ok_or_else(|| bad(FormatError::Truncated))?;
                    if self.keys().blob_id(table.record.kind, blob) != *id {
                        return Err(bad(FormatError::Hash));
                    }
                    rest = after;
                }
                Ok(())
            })?;
            offset += u64::from(segment.stored_bytes);
        }
        table.record.checked = true;
        Ok(offset - PREAMBLE_BYTES as u64)
    }

    /// Reads a range and opens it with `open`; again, in every way that the store has, if what came is wrong.
    fn checked_range<T>(
        &self,
        name: &Name,
        offset: u64,
        len_bytes: u64,
        open: impl Fn(Vec<u8>) -> Result<T>,
    ) -> Result<T> {
        let (text, backend) = (name.to_string(), self.backend());
        // No pack is larger than 256 MiB.
        let len_bytes = usize::try_from(len_bytes).unwrap_or(usize::MAX);
        let check = |done: Result<Vec<u8>, StoreError>| match done {
            Ok(bytes) => open(bytes),
            Err(StoreError::NotFound) => Err(Error::Missing(text.clone())),
            Err(StoreError::Length { .. }) => Err(Error::format(name, FormatError::Truncated)),
            Err(other) => Err(Error::store("read", name, other)),
        };
        let first = check(backend.get_range(&text, offset, len_bytes));
        until_right(first, |attempt| backend.get_range_again(&text, offset, len_bytes, attempt), check)
    }
}
