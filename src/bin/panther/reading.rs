//! What commands that look into snapshots begin with.

use crate::context::Context;
use crate::open;
use panther::Result;
use panther::ops::Progress as _;
use panther::ops::list::SnapshotFilter;
use panther::repo::Repository;
use panther::repo::reader::BlobReader;
use panther::repo::snapshots::{Snapshot, pick};
use panther::repo::statements::Statements;
use panther::state::State;

/// An open repository, to be read.
pub struct Reading {
    /// The repository.
    pub repo: Repository,
    /// What its admins and writers have stated.
    pub statements: Statements,
    /// What this machine remembers of it; it knows all that the index knows.
    pub state: State,
    /// All snapshots, oldest first.
    pub snapshots: Vec<Snapshot>,
}

impl Reading {
    /// Opens the repository that the options name; `what` is what for.
    ///
    /// # Errors
    /// Whatever is wrong; [`panther::Error::Role`] for a writer's key.
    pub fn open(context: &Context, what: &'static str) -> Result<Self> {
        let (repo, _) = open::repository(context)?;
        repo.keys().need_reader(what)?;
        let statements = repo.statements_for_reading(|error| context.ui.warn(&open::with_causes(error)))?;
        let listing = repo.snapshots(&statements)?;
        listing.bad.iter().for_each(|error| context.ui.warn(&open::with_causes(error)));
        let state = open::synced_state(context, &repo, &statements)?;
        Ok(Self { repo, statements, state, snapshots: listing.snapshots })
    }

    /// The snapshot that `wanted` names; `filter` says which `latest` is meant.
    ///
    /// # Errors
    /// [`panther::Error::Usage`] when there is no such snapshot, or more than one.
    pub fn snapshot(&self, wanted: &str, filter: &SnapshotFilter) -> Result<&Snapshot> {
        pick(&self.snapshots, wanted, |snapshot| filter.matches(snapshot))
    }

    /// Reads blobs.
    ///
    /// # Errors
    /// [`panther::Error::State`].
    pub fn reader(&self) -> Result<BlobReader<'_>> {
        BlobReader::new(&self.repo, &self.state)
    }
}
