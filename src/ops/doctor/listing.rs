//! Whether what is stored is listed and can be read. Who may delete stores a small object and removes it; who may not looks for what it has stored last.

use super::Patient;
use super::report::Line;
use crate::backend::b2::Which;
use crate::backend::{Backend, Body};
use crate::error::{Error, Result, StoreError};
use crate::format::keyfile::Role;
use crate::repo::Repository;

/// Below this nothing else is ever stored. What a run that is killed leaves here, `check` names as foreign.
const FOLDER: &str = "doctor/";

pub(super) fn lines(patient: &Patient, repo: &Repository) -> Vec<Line> {
    // A writer's own objects are looked for with its chain; a reader stores nothing.
    if repo.keys().role() != Role::Admin {
        return Vec::new();
    }
    if let Some(line) = is_locked(patient) {
        return vec![line];
    }
    let line = match try_it(&**repo.backend()) {
        Ok(what) => Line::ok("store and list", what),
        Err(error) => Line::failed("store and list", &error),
    };
    vec![line]
}

/// What is stored in a bucket that locks everything could not be removed.
fn is_locked(patient: &Patient) -> Option<Line> {
    let b2 = patient.b2.as_deref()?;
    let default = b2.bucket(Which::Own).ok().and_then(|bucket| bucket.default_retention());
    let why = match (default, patient.with_lock) {
        (Some((_, days)), _) => format!("the bucket locks what is stored for {days} days"),
        (None, true) => "--object-lock-days locks what is stored".to_owned(),
        (None, false) => return None,
    };
    Some(Line::warning(
        "store and list",
        format!("not tried: {why}, so a test object could not be removed"),
        "a backup shows the same; `check` reads what it has stored",
    ))
}

/// Stores an object, lists it, reads it, removes it, and lists again.
fn try_it(store: &dyn Backend) -> Result<String> {
    let random = crate::seal::random32(&mut crate::seal::system_random());
    let name = format!("{FOLDER}{}", data_encoding::HEXLOWER.encode(&random[..8]));
    let tried = |op| {
        let name = name.clone();
        move |error| Error::store(op, name, error)
    };
    store.put(&name, Body::Bytes(&random)).map_err(tried("store"))?;
    let seen = look(store, &name, &random);
    // Whatever was seen, it must not stay.
    let removed = store.delete(&name).map_err(tried("remove"));
    seen?;
    removed?;
    if is_listed(store, &name)? {
        return Err(Error::store("remove", &name, odd("it is listed after it was removed: listings lag behind")));
    }
    Ok("a test object was stored, listed, read and removed".to_owned())
}

fn look(store: &dyn Backend, name: &str, bytes: &[u8]) -> Result<()> {
    if !is_listed(store, name)? {
        return Err(Error::store("list", name, odd("it is not listed after it was stored: listings lag behind")));
    }
    let read = store.get(name, bytes.len() as u64).map_err(|e| Error::store("read", name, e))?;
    if read != bytes { Err(Error::store("read", name, odd("other bytes came back than were stored"))) } else { Ok(()) }
}

fn is_listed(store: &dyn Backend, name: &str) -> Result<bool> {
    let mut found = false;
    store.list(FOLDER, &mut |listed| found |= listed.name == name).map_err(|e| Error::store("list", FOLDER, e))?;
    Ok(found)
}

fn odd(what: &str) -> StoreError {
    StoreError::Io(std::io::Error::other(what.to_owned()))
}
