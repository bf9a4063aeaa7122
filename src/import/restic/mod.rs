//! A restic repository in a local folder, format version 1 or 2, as restic's design document ("References: Repository Format") describes it. rustic
//! writes the same format.
//!
//! - `crypto`: keys from passwords; what is sealed, opened
//! - `repo`: the folder, its keys, files that are named by their hash
//! - `pack`: the headers of packs
//! - `table`: which blob lies where, sorted through a file
//! - `contents`: blobs found, read and checked
//! - `snapshot`, `tree`, `names`: their JSON
//!
//! Nothing is locked and nothing is written there: whoever runs `restic prune` at the same time takes away what is being read.

mod contents;
mod crypto;
mod names;
mod pack;
mod repo;
mod snapshot;
mod table;
mod tree;

pub use contents::Contents;
pub use names::as_go_text;
pub use repo::Restic;
pub use snapshot::Snapshot;
pub use tree::{Kind, Node};

use crate::error::{Error, FormatError};
use data_encoding::HEXLOWER_PERMISSIVE;
use serde::Deserialize;

/// The SHA-256 by which restic names a blob or a file; also the random number by which a repository is known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Id(pub [u8; 32]);

impl Id {
    /// The id as 64 lower-case hexadecimal digits.
    pub fn to_hex(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.0)
    }

    /// What `text` names; nothing if it is no id.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("an id has not 64 hexadecimal digits"))
    }
}

/// What a blob is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BlobType {
    /// Content of files.
    Data,
    /// A directory.
    Tree,
}

impl BlobType {
    /// What restic calls it.
    fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Tree => "tree",
        }
    }
}

/// What is wrong with something of the repository.
fn bad(object: impl ToString, source: FormatError) -> Error {
    Error::Foreign { object: object.to_string(), source }
}

/// As [`bad`], of JSON.
fn bad_json<T>(object: impl ToString, parsed: serde_json::Result<T>) -> Result<T, Error> {
    parsed.map_err(|_| bad(object, FormatError::Invalid("its JSON is not what it should be")))
}
