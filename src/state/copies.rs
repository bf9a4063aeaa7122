//! Further copies of blobs: the table of blobs has one place each, here are the others.
//!
//! A pack may be damaged or condemned while another one has the same blob: any good copy serves (spec 6).

use super::State;
use super::blobs::{BLOB_KEY_BYTES, BlobKey, PLACE_BYTES};
use crate::error::Result;
use redb::{ReadOnlyTable, TableDefinition, WriteTransaction};

/// The blob's key and its place.
pub(super) type Copy = [u8; BLOB_KEY_BYTES + PLACE_BYTES];

pub(super) const COPIES: TableDefinition<Copy, ()> = TableDefinition::new("further copies");

/// A record of the table.
pub(super) fn record(key: &BlobKey, place: &[u8; PLACE_BYTES]) -> Copy {
    let mut out = [0; BLOB_KEY_BYTES + PLACE_BYTES];
    out[..BLOB_KEY_BYTES].copy_from_slice(key);
    out[BLOB_KEY_BYTES..].copy_from_slice(place);
    out
}

/// The places of a blob beside the one in the table of blobs.
pub(super) fn places(
    table: &ReadOnlyTable<Copy, ()>,
    key: &BlobKey,
) -> Result<Vec<[u8; PLACE_BYTES]>, redb::StorageError> {
    let (first, last) = (record(key, &[0; PLACE_BYTES]), record(key, &[0xff; PLACE_BYTES]));
    let mut found = Vec::new();
    for item in table.range(first..=last)? {
        let (copy, ()) = item.map(|(copy, _)| (copy.value(), ()))?;
        let mut place = [0; PLACE_BYTES];
        place.copy_from_slice(&copy[BLOB_KEY_BYTES..]);
        found.push(place);
    }
    Ok(found)
}

/// Adds further copies.
pub(super) fn insert(state: &State, write: &WriteTransaction, copies: &[Copy]) -> Result<()> {
    if copies.is_empty() {
        return Ok(());
    }
    let mut table = write.open_table(COPIES).map_err(|e| state.failed(e))?;
    for copy in copies {
        table.insert(copy, ()).map_err(|e| state.failed(e))?;
    }
    Ok(())
}

pub(super) fn create_tables(state: &State, write: &WriteTransaction) -> Result<()> {
    write.open_table(COPIES).map_err(|e| state.failed(e))?;
    Ok(())
}

pub(super) fn clear(state: &State, write: &WriteTransaction) -> Result<()> {
    write.delete_table(COPIES).map_err(|e| state.failed(e))?;
    create_tables(state, write)
}
