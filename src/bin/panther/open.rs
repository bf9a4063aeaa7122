//! From the command line to an open repository.

use crate::context::Context;
use crate::{b2, secrets};
use panther::backend::b2::Location;
use panther::backend::local::LocalBackend;
use panther::backend::{Backend, OddityKind};
use panther::format::name::Name;
use panther::id::{RepoId, WriterName};
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
use std::path::PathBuf;
use std::sync::Arc;

/// Stores that others know and this program does not.
const OTHER_STORES: [&str; 9] = ["sftp:", "rest:", "s3:", "swift:", "azure:", "gs:", "rclone:", "http:", "https:"];

/// What `-r` names.
pub enum Place {
    /// A folder.
    Folder(PathBuf),
    /// A bucket, and a prefix in it.
    B2(Location),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(f),
            Self::B2(location) => location.fmt(f),
        }
    }
}

/// What `-r` names.
///
/// # Errors
/// [`Error::Usage`] when there is none, or it makes no sense.
pub fn place(context: &Context) -> Result<Place> {
    let given = context.globals.repo.as_deref().filter(|repo| !repo.is_empty());
    let given = given.ok_or_else(|| Error::Usage(context.overlaid.no_repository()))?;
    named_place(given)
}

/// Whether this names a store that is no folder, as others write it.
pub fn is_other_store(name: &str) -> bool {
    name.starts_with("b2:") || OTHER_STORES.iter().any(|store| name.starts_with(store))
}

/// What the name of a repository means.
///
/// # Errors
/// [`Error::Usage`] when it makes no sense.
pub fn named_place(given: &OsStr) -> Result<Place> {
    let bytes = given.as_bytes();
    if let Some(path) = bytes.strip_prefix(b"file:") {
        return Ok(Place::Folder(PathBuf::from(OsStr::from_bytes(path))));
    }
    if bytes.starts_with(b"b2:") {
        let text = given.to_str().ok_or_else(|| Error::Usage("the repository's name is not UTF-8".into()))?;
        return Location::parse(text).map(Place::B2).map_err(Error::Usage);
    }
    match OTHER_STORES.iter().find(|store| bytes.starts_with(store.as_bytes())) {
        Some(store) => Err(Error::Usage(format!(
            "this version of panther does not know repositories of the kind {store}; if a folder is meant, write file:PATH"
        ))),
        None => Ok(Place::Folder(PathBuf::from(given))),
    }
}

/// What the ledger calls the repository that `-r` names; nothing if none is named.
///
/// # Errors
/// [`Error::Usage`] when it makes no sense.
pub fn location(context: &Context) -> Result<Option<String>> {
    match context.globals.repo.as_deref().filter(|repo| !repo.is_empty()) {
        Some(_) => place(context).map(|place| Some(place.to_string())),
        None => Ok(None),
    }
}

/// The store of a repository that exists.
///
/// # Errors
/// [`Error::NoRepository`]; whatever the store says.
pub fn backend(context: &Context) -> Result<Arc<dyn Backend>> {
    match place(context)? {
        Place::B2(location) => {
            let store = Arc::new(b2::open(context, location)?);
            // A command has one store.
            let _ = context.b2.set(Arc::clone(&store));
            Ok(counted(context, store))
        }
        Place::Folder(folder) => self::folder(context, &folder),
    }
}

/// The store in a folder.
///
/// # Errors
/// [`Error::NoRepository`]; whatever the store says.
pub fn folder(context: &Context, folder: &std::path::Path) -> Result<Arc<dyn Backend>> {
    match LocalBackend::open(folder) {
        Ok(backend) => Ok(counted(context, Arc::new(backend))),
        Err(StoreError::NotFound) => Err(Error::NoRepository(folder.display().to_string())),
        Err(error) => Err(Error::store("open", folder.display(), error)),
    }
}

/// The store, with what is asked of it noted in the ledger.
pub fn counted(context: &Context, backend: Arc<dyn Backend>) -> Arc<dyn Backend> {
    context.note(|record| record.location = backend.location());
    context.accounts.open(&backend, state_folder(context).ok());
    backend
}

/// The open repository and what opened it.
///
/// # Errors
/// [`Error::NoRepository`], [`Error::WrongKey`]; whatever is wrong.
pub fn repository(context: &Context) -> Result<(Repository, Opener)> {
    let opener = || secrets::opener(&context.globals);
    repository_on(context, backend(context)?, opener)
}

/// The open repository in a store, and what opened it; `opener` is asked for that last.
///
/// # Errors
/// As [`repository`].
pub fn repository_on(
    context: &Context,
    backend: Arc<dyn Backend>,
    opener: impl FnOnce() -> Result<Opener>,
) -> Result<(Repository, Opener)> {
    // Before anybody is asked for a passphrase, or gives one to a false repository.
    let found = read_config(&*backend)?;
    let (repo_id, config_hash) = (found.0.repo, found.1);
    if !context.globals.accept_repository {
        known(context, &*backend, |known, place| known.recognise(place, &repo_id, &config_hash))?;
    }
    let opener = opener()?;
    // Over a network, what opened last time is tried first, which saves a listing and other keys.
    let hint = backend.is_remote().then(|| key_hint(context, &found.0.repo)).flatten();
    let likely = hint.as_ref().and_then(|path| std::fs::read_to_string(path).ok());
    let likely = likely.as_deref().and_then(|text| Name::parse(text.trim())).and_then(|name| name.id());
    let repo = Repository::open_with(backend, &opener, found, likely)?;
    if let Some(path) = hint.filter(|_| likely != Some(repo.key_id())) {
        // It only saves time.
        let _ = std::fs::write(path, Name::Key(repo.key_id()).to_string());
    }
    known(context, &**repo.backend(), |known, place| known.accept(place, &repo_id, &config_hash))?;
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
    let Ok(folder) = state_folder(context) else { return Ok(()) };
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
    let state = State::open(&state_folder(context)?, &repo.config().repo)?;
    context.ui.verbose(|| format!("the local state is {}", state.path().display()));
    Ok(state)
}

/// Where it is written down which key file has opened a repository: it is no secret.
fn key_hint(context: &Context, repo: &RepoId) -> Option<PathBuf> {
    let folder = state_folder(context).ok()?;
    Some(folder.join(format!("{repo}.key")))
}

/// Says what the store's listings have shown of somebody's doing: hidden and shadowed objects.
pub fn warn_of_oddities(context: &Context, repo: &Repository) {
    const SAID: usize = 10;
    let mut odd = repo.backend().oddities();
    odd.retain(|oddity| oddity.kind != OddityKind::Surplus);
    odd.iter().take(SAID).for_each(|oddity| context.ui.warn(&oddity.to_string()));
    if let Some(more) = odd.len().checked_sub(SAID).filter(|more| *more > 0) {
        context.ui.warn(&format!("{more} more objects are hidden or have newer versions with other bytes"));
    }
}

/// Where the states of all repositories are, and what they share.
///
/// # Errors
/// [`Error::Usage`] when nobody knows.
pub fn state_folder(context: &Context) -> Result<PathBuf> {
    let given = context.globals.state_dir.as_deref();
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
