//! Snapshots as they are looked at: folders, ranges of files, and what differs between two trees. `mount`, `dump`, `find`, `history` and `diff` stand on it.

pub mod content;
pub mod cursor;
pub mod folders;
pub mod pairs;
pub mod regions;
pub mod series;
pub mod tree;
