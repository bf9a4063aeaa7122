//! `doctor`: whether everything that a backup or a restore needs is as it should be.

use super::Outcome;
use crate::b2;
use crate::context::Context;
use crate::open::{self, Place};
use panther::backend::Backend;
use panther::backend::b2::B2Backend;
use panther::ops::doctor::{Patient, doctor};
use panther::repo::Repository;
use panther::report::doctor::text;
use panther::{Error, Result};
use std::sync::Arc;

/// A doctor does not wait as long as a nightly run.
const ATTEMPTS: u32 = 4;

/// Options of `doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther -r REPO doctor
  panther -r b2://bucket/path --b2-key-file key doctor --json

Changes nothing, except that with an admin's key a small object is stored below doctor/ and removed.

Exit code 0: all is well; 3: there are warnings; 1: there are errors.")]
pub struct Options {}

/// Looks at everything.
pub fn run(_: &Options, context: &Context) -> Result<Outcome> {
    let place = open::place(context)?;
    let (store, b2) = stores(context, &place)?;
    let patient = Patient {
        store,
        b2,
        with_lock: context.globals.b2.object_lock_days.is_some(),
        state_folder: open::state_folder(context).ok(),
    };
    let opened = |backend: &Arc<dyn Backend>| {
        let repo = Repository::open(Arc::clone(backend), &crate::secrets::opener(&context.globals)?)?;
        let writer = open::writer(context, &repo, &open::host());
        let writer = writer.or_else(|| repo.keys().signer(None).ok().map(|signer| signer.writer().clone()));
        Ok((repo, writer))
    };
    let found = doctor(&patient, &opened, &context.ui);
    context.report(&found, || text(&found))?;
    Ok(Outcome::Found(found.exit_code()))
}

type Stores = (Result<Arc<dyn Backend>>, Option<Arc<B2Backend>>);

/// The store that `-r` names, with less patience.
fn stores(context: &Context, place: &Place) -> Result<Stores> {
    let Place::B2(location) = place else { return Ok((open::backend(context), None)) };
    let mut options = b2::options(context, location.clone())?;
    options.patience.attempts = options.patience.attempts.min(ATTEMPTS);
    let b2 = match B2Backend::open(&options) {
        Ok(b2) => Arc::new(b2),
        Err(error) => return Ok((Err(Error::store("use", location, error)), None)),
    };
    let store: Arc<dyn Backend> = b2.clone();
    Ok((Ok(open::counted(context, store)), Some(b2)))
}
