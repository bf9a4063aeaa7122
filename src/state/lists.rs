//! Content lists of long files, node by node, so that a change in a file of a terabyte rewrites a few kilobytes.
//!
//! A writer cannot read the nodes back from the repository: they are sealed to the readers. A node is under the key region ‖ inode ‖ the first 16 bytes of
//! its id, and is what its id says wherever it is found; so a node that is missing or left over costs time or room, nothing else.

use super::State;
use super::dirs::DirKey;
use crate::error::Result;
use crate::id::BlobId;
use redb::{TableDefinition, WriteTransaction};

pub(super) const NODES: TableDefinition<&[u8], &[u8]> = TableDefinition::new("content nodes");

/// The key of node `id` in the list of a file; `file.ino` is the file's inode number.
pub fn node_key(file: DirKey, id: &BlobId) -> Vec<u8> {
    [&file.region.to_be_bytes()[..], &file.ino.to_be_bytes(), &id.0[..16]].concat()
}

pub(super) fn create_tables(state: &State, write: &WriteTransaction) -> Result<()> {
    write.open_table(NODES).map_err(|e| state.failed(e))?;
    Ok(())
}

pub(super) fn clear(state: &State, write: &WriteTransaction) -> Result<()> {
    write.delete_table(NODES).map_err(|e| state.failed(e))?;
    create_tables(state, write)
}

/// Removes the nodes of files for which `keep` says no.
pub(super) fn sweep(state: &State, write: &WriteTransaction, keep: &impl Fn(DirKey) -> bool) -> Result<()> {
    let mut nodes = write.open_table(NODES).map_err(|e| state.failed(e))?;
    nodes.retain(|key, _| DirKey::of_key(key).is_some_and(keep)).map_err(|e| state.failed(e))
}
