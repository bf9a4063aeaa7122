//! `init`: a new repository.

use super::Outcome;
use crate::context::Context;
use crate::open::{self, Place};
use crate::{b2, secrets};
use panther::backend::Backend;
use panther::backend::local::LocalBackend;
use panther::error::StoreError;
use panther::format::name::Name;
use panther::id::{ObjectId, RepoId};
use panther::repo::Repository;
use panther::report::text;
use panther::{Error, Result};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Options of `init`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// What the first key is called in lists
    #[arg(long, value_name = "TEXT", default_value = "first admin key")]
    label: String,
}

#[derive(Serialize)]
struct Body<'a> {
    repository: RepoId,
    location: &'a str,
    key: ObjectId,
}

/// Makes the folder if need be, and the repository in it; a bucket must be there.
pub fn run(options: &Options, context: &Context) -> Result<Outcome> {
    let backend = new_backend(&open::place(context)?, context)?;
    // Before anybody is asked for a passphrase.
    let opener = secrets::new_opener(&context.globals)?;
    let backend = backend.map_or_else(|place| make_folder(&place), Ok)?;
    let location = backend.location();
    let recipient = secrets::recipient(&opener);
    let repo = Repository::init(backend, &recipient, &options.label, secrets::work_factor())?;
    let body = Body { repository: repo.config().repo, location: &location, key: repo.key_id() };
    context.report(body, || {
        format!(
            "made the repository {} at {}\n\
             Without its passphrase or identity nobody can restore anything from it.\n\
             `panther key paper` prints a key to keep in a safe place.\n",
            repo.config().repo.short(),
            text::message(&location)
        )
    })?;
    Ok(Outcome::Complete)
}

/// The store, in which there is no repository; or the folder that is still to be made.
fn new_backend(place: &Place, context: &Context) -> Result<Result<Arc<dyn Backend>, PathBuf>> {
    match place {
        Place::Folder(folder) if folder.join(Name::Config.to_string()).exists() => {
            Err(Error::RepositoryExists(place.to_string()))
        }
        Place::Folder(folder) => Ok(Err(folder.clone())),
        Place::B2(location) => {
            let backend = b2::open(context, location.clone())?;
            match backend.size(&Name::Config.to_string()) {
                Ok(_) => Err(Error::RepositoryExists(place.to_string())),
                Err(StoreError::NotFound) => Ok(Ok(Arc::new(backend))),
                Err(error) => Err(Error::store("look into", place, error)),
            }
        }
    }
}

fn make_folder(folder: &Path) -> Result<Arc<dyn Backend>> {
    let backend = LocalBackend::create(folder).map_err(|e| Error::store("make", folder.display(), e))?;
    Ok(Arc::new(backend))
}
