//! `init`: a new repository.

use super::Outcome;
use crate::context::Context;
use crate::open::{self, Place};
use crate::{b2, roles, secrets};
use panther::backend::Backend;
use panther::backend::b2::roles::{Purpose, Recipe};
use panther::backend::b2::{B2Backend, Which};
use panther::backend::local::LocalBackend;
use panther::error::StoreError;
use panther::format::name::Name;
use panther::id::{ObjectId, RepoId};
use panther::ops::Progress as _;
use panther::ops::doctor::refuse_harm;
use panther::repo::Repository;
use panther::report::text;
use panther::{Error, Result};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Options of `init`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther -r /mnt/disk/backup init
  panther -r b2://my-bucket/home --b2-key-file key init --password-file passphrase

Then print a key for the day on which everything else is lost: panther key paper --output key.txt")]
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
    /// How to make the application keys of all roles, in B2.
    #[serde(skip_serializing_if = "<[Recipe]>::is_empty")]
    application_keys: &'a [Recipe],
}

/// Makes the folder if need be, and the repository in it; a bucket must be there.
pub fn run(options: &Options, context: &Context) -> Result<Outcome> {
    let place = open::place(context)?;
    let backend = new_backend(&place, context)?;
    // Before anybody is asked for a passphrase.
    let opener = secrets::new_opener(&context.globals)?;
    let backend = backend.map_or_else(|place| make_folder(&place), Ok)?;
    let location = backend.location();
    let recipient = secrets::recipient(&opener);
    let repo = Repository::init(backend, &recipient, &options.label, secrets::work_factor())?;
    open::remember_new(context, &repo)?;
    let recipes = roles::recipes(&place, context, &[Purpose::Writing, Purpose::Reading, Purpose::Admin]);
    let body =
        Body { repository: repo.config().repo, location: &location, key: repo.key_id(), application_keys: &recipes };
    context.report(body, || {
        format!(
            "made the repository {} at {}\n\
             Without its passphrase or identity nobody can restore anything from it.\n\
             `panther key paper` prints a key to keep in a safe place.\n",
            repo.config().repo.short(),
            text::message(&location)
        ) + &roles::text(&recipes)
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
            let backend = Arc::new(b2::open(context, location.clone())?);
            open::counted(context, backend.clone());
            look_at_bucket(&backend, context)?;
            match backend.size(&Name::Config.to_string()) {
                Ok(_) => Err(Error::RepositoryExists(place.to_string())),
                Err(StoreError::NotFound) => Ok(Ok(backend)),
                Err(error) => Err(Error::store("look into", place, error)),
            }
        }
    }
}

fn make_folder(folder: &Path) -> Result<Arc<dyn Backend>> {
    let backend = LocalBackend::create(folder).map_err(|e| Error::store("make", folder.display(), e))?;
    Ok(Arc::new(backend))
}

/// Refuses a bucket whose lifecycle rules would take the repository apart; warns of what makes it less safe than it could be.
fn look_at_bucket(backend: &B2Backend, context: &Context) -> Result<()> {
    let say = |what: &str| context.ui.warn(what);
    match backend.bucket(Which::Own) {
        Ok(bucket) => refuse_harm(&bucket, &backend.place().prefix)?.iter().for_each(|line| say(&line.what)),
        Err(StoreError::Forbidden(_)) => {
            say("the application key may not see the bucket's settings: no lifecycle rule may concern the repository")
        }
        Err(error) => return Err(Error::store("look at", backend.location(), error)),
    }
    let account = backend.account(Which::Own).map_err(|e| Error::store("reach", backend.location(), e))?;
    let lacks = Purpose::Admin.lacks(&account.allowed, context.globals.b2.object_lock_days.is_some());
    if !lacks.is_empty() {
        say(&format!(
            "the application key lacks {}: an admin's key needs that, at the latest to prune",
            lacks.join(", ")
        ));
    }
    Ok(())
}
