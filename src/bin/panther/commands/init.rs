//! `init`: a new repository.

use super::Outcome;
use crate::context::Context;
use crate::{open, secrets};
use panther::backend::Backend;
use panther::backend::local::LocalBackend;
use panther::format::name::Name;
use panther::id::{ObjectId, RepoId};
use panther::repo::Repository;
use panther::report::text;
use panther::{Error, Result};
use serde::Serialize;
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

/// Makes the folder if need be, and the repository in it.
pub fn run(options: &Options, context: &Context) -> Result<Outcome> {
    let folder = open::folder(context)?;
    // Before anybody is asked for a passphrase.
    if folder.join(Name::Config.to_string()).exists() {
        return Err(Error::RepositoryExists(folder.display().to_string()));
    }
    let opener = secrets::new_opener(&context.globals)?;
    let backend = LocalBackend::create(&folder).map_err(|e| Error::store("make", folder.display(), e))?;
    let location = backend.location();
    let recipient = secrets::recipient(&opener);
    let repo = Repository::init(Arc::new(backend), &recipient, &options.label, secrets::work_factor())?;
    open::remember_new(context, &repo)?;
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
