//! From the command line to an open repository.

use crate::context::Context;
use crate::secrets;
use panther::backend::Backend;
use panther::backend::local::LocalBackend;
use panther::id::WriterName;
use panther::keys::wrap::Opener;
use panther::ops::Progress;
use panther::ops::list::SnapshotFilter;
use panther::repo::snapshots::{Snapshot, pick};
use panther::repo::statements::Statements;
use panther::repo::{Repository, read_config};
use panther::state::State;
use panther::state::known::Known;
use panther::{Error, Result, error::StoreError};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Stores that others know and this program does not.
const OTHER_STORES: [&str; 10] =
    ["sftp:", "rest:", "s3:", "b2:", "swift:", "azure:", "gs:", "rclone:", "http:", "https:"];

/// The folder that `-r` names.
///
/// # Errors
/// [`Error::Usage`] when there is none, or it is something else.
pub fn folder(context: &Context) -> Result<PathBuf> {
    let given = context.globals.repo.as_deref().filter(|repo| !repo.is_empty());
    let given = given.ok_or_else(|| Error::Usage(context.overlaid.no_repository()))?;
    let bytes = given.as_bytes();
    if let Some(path) = bytes.strip_prefix(b"file:") {
        return Ok(PathBuf::from(OsStr::from_bytes(path)));
    }
    match OTHER_STORES.iter().find(|store| bytes.starts_with(store.as_bytes())) {
        Some(store) => Err(Error::Usage(format!(
            "this version of panther does not know repositories of the kind {store}; if a folder is meant, write file:PATH"
        ))),
        None => Ok(PathBuf::from(given)),
    }
}

/// The store of a repository that exists.
///
/// # Errors
/// [`Error::NoRepository`]; whatever the store says.
pub fn backend(context: &Context) -> Result<Arc<dyn Backend>> {
    let folder = folder(context)?;
    match LocalBackend::open(&folder) {
        Ok(backend) => Ok(Arc::new(backend)),
        Err(StoreError::NotFound) => Err(Error::NoRepository(folder.display().to_string())),
        Err(error) => Err(Error::store("open", folder.display(), error)),
    }
}

/// The open repository and what opened it.
///
/// # Errors
/// [`Error::NoRepository`], [`Error::WrongKey`]; whatever is wrong.
pub fn repository(context: &Context) -> Result<(Repository, Opener)> {
    let backend = backend(context)?;
    // Before anybody is asked for a passphrase, or gives one to a false repository.
    let (config, config_hash) = read_config(&*backend)?;
    if !context.globals.accept_repository {
        known(context, &*backend, |known, place| known.recognise(place, &config.repo, &config_hash))?;
    }
    let opener = secrets::opener(&context.globals)?;
    let repo = Repository::open(backend, &opener)?;
    known(context, &**repo.backend(), |known, place| known.accept(place, &config.repo, &config_hash))?;
    let role = repo.keys().role().as_str();
    context
        .ui
        .verbose(|| format!("opened {} with the {role} key {}", repo.backend().location(), repo.key_id().short()));
    Ok((repo, opener))
}

/// Remembers a repository that was just made, in place of any other.
///
/// # Errors
/// Whatever is wrong with its configuration.
pub fn remember_new(context: &Context, repo: &Repository) -> Result<()> {
    let (config, config_hash) = read_config(&**repo.backend())?;
    known(context, &**repo.backend(), |known, place| known.replace(place, &config.repo, &config_hash))
}

/// Does something with what this machine remembers of the store's place. That it cannot be read or written is only said: it is a memory, no lock.
fn known(context: &Context, backend: &dyn Backend, with: impl FnOnce(&Known, &str) -> Result<()>) -> Result<()> {
    // Without a folder for the state nothing is remembered: `state` complains where that matters.
    let Ok(folder) = state_folder(context.globals.state_dir.as_deref()) else { return Ok(()) };
    match with(&Known::new(&folder), &place_of(backend)) {
        Err(error @ Error::OtherRepository(_)) => Err(error),
        Err(error) => {
            context.ui.warn(&format!("which repository is here cannot be remembered: {}", with_causes(&error)));
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// The store's location; of a folder the same however it was named.
fn place_of(backend: &dyn Backend) -> String {
    let location = backend.location();
    match std::fs::canonicalize(&location) {
        Ok(path) => path.display().to_string(),
        Err(_) => location,
    }
}

/// The local state for `repo`.
///
/// # Errors
/// [`Error::Usage`] when nobody knows where; [`Error::Io`], [`Error::State`].
pub fn state(context: &Context, repo: &Repository) -> Result<State> {
    let folder = state_folder(context.globals.state_dir.as_deref())?;
    let state = State::open(&folder, &repo.config().repo)?;
    context.ui.verbose(|| format!("the local state is {}", state.path().display()));
    Ok(state)
}

fn state_folder(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(given) = given.filter(|path| !path.as_os_str().is_empty()) {
        return Ok(given.to_owned());
    }
    // A relative path in these variables is to be ignored, says the XDG specification.
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(cache) = variable("XDG_CACHE_HOME") {
        return Ok(cache.join("panther"));
    }
    match variable("HOME") {
        Some(home) => Ok(home.join(".cache/panther")),
        None if rustix::process::geteuid().is_root() => Ok("/var/cache/panther".into()),
        None => Err(Error::Usage("HOME is not set: name a folder for the local state with --state-dir".into())),
    }
}

/// As which writer a backup of `host` is made: `--writer`, else with an admin's key the host's name, else the key's own name.
pub fn writer(context: &Context, repo: &Repository, host: &str) -> Option<WriterName> {
    use panther::format::keyfile::Role;
    match (&context.globals.writer, repo.keys().role()) {
        (Some(writer), _) => Some(writer.clone()),
        (None, Role::Admin) => Some(WriterName::from_host(host)),
        (None, Role::Reader | Role::Writer) => None,
    }
}

/// Under which name an admin's key signs what concerns the whole repository: `--writer`, else the host's name.
pub fn signing_writer(context: &Context) -> WriterName {
    context.globals.writer.clone().unwrap_or_else(|| WriterName::from_host(&host()))
}

/// This machine's name.
pub fn host() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "localhost".into() } else { name }
}

/// The state, knowing all that the repository's index knows.
///
/// # Errors
/// [`Error::Store`], [`Error::State`].
pub fn synced_state(context: &Context, repo: &Repository, statements: &Statements) -> Result<State> {
    let state = state(context, repo)?;
    let synced = repo.sync(&state, None, statements)?;
    synced.bad.iter().for_each(|error| context.ui.warn(&with_causes(error)));
    context.ui.verbose(|| format!("{} index objects were read", synced.read_objects));
    Ok(state)
}

/// The snapshot that `wanted` names; `filter` says which `latest` is meant.
///
/// # Errors
/// [`Error::Role`] for a writer's key; [`Error::Usage`] when there is no such snapshot, or more than one.
pub fn snapshot(
    context: &Context,
    repo: &Repository,
    statements: &Statements,
    wanted: &str,
    filter: &SnapshotFilter,
) -> Result<Snapshot> {
    let listing = repo.snapshots(statements)?;
    listing.bad.iter().for_each(|error| context.ui.warn(&with_causes(error)));
    pick(&listing.snapshots, wanted, |snapshot| filter.matches(snapshot)).cloned()
}

/// An error and its causes on one line.
pub fn with_causes(error: &Error) -> String {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// `SNAPSHOT` or `SNAPSHOT:PATH`.
///
/// # Errors
/// [`Error::Usage`] when the snapshot's part is no text.
pub fn snapshot_and_path(argument: &OsStr) -> Result<(String, Option<Vec<u8>>)> {
    let bytes = argument.as_bytes();
    let (id, path) = match bytes.iter().position(|byte| *byte == b':') {
        Some(at) => (&bytes[..at], Some(bytes[at + 1..].to_vec())),
        None => (bytes, None),
    };
    let id = std::str::from_utf8(id).map_err(|_| Error::Usage("a snapshot's id is not UTF-8".into()))?;
    Ok((id.to_owned(), path.filter(|path| !path.is_empty())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_and_paths() {
        for (text, id, path) in [
            ("latest", "latest", None),
            ("latest:/a:b", "latest", Some("/a:b")),
            ("abcd:", "abcd", None),
            ("abcd:x", "abcd", Some("x")),
        ] {
            let want = (id.to_owned(), path.map(|path| path.as_bytes().to_vec()));
            assert_eq!(snapshot_and_path(OsStr::new(text)).unwrap(), want);
        }
    }
}
