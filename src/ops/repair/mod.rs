//! `repair`: what damage has taken is put back, as far as it is anywhere; what is lost is named.
//!
//! - [`index`]: index objects are made anew from the packs' own tables of contents
//! - [`packs`]: the blobs of bad packs are stored anew, from what is good in them, from another repository, from the files
//! - [`snapshots`]: snapshots are written anew without what is lost
//!
//! Nothing is removed: an index object is superseded, a pack is condemned (spec 10) and removed by a later prune when nothing needs it any more, a
//! snapshot stays unless somebody says that it is to be forgotten.

mod files;
pub mod index;
mod losses;
pub mod packs;
mod resend;
pub mod snapshots;

pub use resend::Sources;

use crate::error::{Error, Result};
use crate::format::keyfile::Role;
use crate::repo::Repository;

/// Fails unless the holder may repair.
fn need_admin(repo: &Repository) -> Result<()> {
    match repo.keys().role() {
        Role::Admin => Ok(()),
        role => Err(Error::Role { have: role.as_str(), what: "repair a repository" }),
    }
}

/// Something that could not be mended or read, in words.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Problem {
    /// The object.
    pub object: String,
    /// What is wrong with it.
    pub what: String,
}

impl Problem {
    fn new(object: impl ToString, error: &Error) -> Self {
        Self { object: object.to_string(), what: crate::ops::in_words(error) }
    }
}
