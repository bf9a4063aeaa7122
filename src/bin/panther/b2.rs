//! Repositories in Backblaze B2 from the command line: where the keys come from, and the limits.

use crate::context::Context;
use crate::profile::FromProfile;
use crate::secrets;
use panther::backend::b2::limit::Schedule;
use panther::backend::b2::{B2Backend, B2Options, Credential, ENDPOINT, Location, Lock, Patience, RetentionMode};
use panther::{Error, Result};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Options for stores over a network.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options for b2://BUCKET/PREFIX")]
pub struct B2Args {
    /// The application key: its id and the key itself on two lines, or ID:KEY on one [env: PANTHER_B2_KEY_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub b2_key_file: Option<PathBuf>,
    /// A second, read-only key for what the first cannot reach [env: PANTHER_B2_READ_KEY_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub b2_read_key_file: Option<PathBuf>,
    /// The service's address; plain http only to this machine [default: https://api.backblazeb2.com]
    #[arg(long, global = true, value_name = "URL", env = "PANTHER_B2_ENDPOINT", hide_env_values = true)]
    pub b2_endpoint: Option<String>,
    /// Upload at most so many bytes a second: 2M, or by the time of day, 08:00-22:00=1M,0
    #[arg(long, global = true, value_name = "RATE", env = "PANTHER_LIMIT_UPLOAD", hide_env_values = true, value_parser = Schedule::parse)]
    pub limit_upload: Option<Schedule>,
    /// Download at most so many bytes a second
    #[arg(long, global = true, value_name = "RATE", env = "PANTHER_LIMIT_DOWNLOAD", hide_env_values = true, value_parser = Schedule::parse)]
    pub limit_download: Option<Schedule>,
    /// At most so many uploads at the same time; it begins with two and finds out what helps
    #[arg(long, global = true, value_name = "NUMBER", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=32))]
    pub b2_uploads: u16,
    /// Lock new objects for so many days, in a bucket with Object Lock
    #[arg(long, global = true, value_name = "DAYS", env = "PANTHER_OBJECT_LOCK_DAYS", hide_env_values = true, value_parser = clap::value_parser!(u32).range(1..=3000))]
    pub object_lock_days: Option<u32>,
    /// governance: a key that may bypass it can still remove them; compliance: nobody can
    #[arg(long, global = true, value_name = "MODE", default_value = "governance", value_parser = lock_mode)]
    pub object_lock_mode: RetentionMode,
}

fn lock_mode(text: &str) -> Result<RetentionMode, String> {
    match text {
        "governance" => Ok(RetentionMode::Governance),
        "compliance" => Ok(RetentionMode::Compliance),
        _ => Err("it is neither governance nor compliance".into()),
    }
}

/// The store at `location`. No call is made.
///
/// # Errors
/// [`Error::Usage`] when there is no key, or something else makes no sense; [`Error::Io`].
pub fn open(context: &Context, location: Location) -> Result<B2Backend> {
    let options = options(context, location)?;
    B2Backend::open(&options).map_err(|e| Error::store("use", &options.location, e))
}

/// As [`open`], with this key.
///
/// # Errors
/// As [`open`].
pub fn open_by(context: &Context, location: Location, key: Credential) -> Result<B2Backend> {
    let options = with_keys(context, location, key, None)?;
    B2Backend::open(&options).map_err(|e| Error::store("use", &options.location, e))
}

/// Whether a key is given anywhere, though it may be no good.
pub fn has_key(context: &Context) -> bool {
    let (args, profile) = (&context.globals.b2, &context.globals.from_profile);
    args.b2_key_file.is_some()
        || ["PANTHER_B2_KEY_FILE", "B2_APPLICATION_KEY_ID", "B2_APPLICATION_KEY"]
            .iter()
            .any(|name| variable(name).is_some())
        || profile.b2_key_file.is_some()
        || credential_file("panther-b2-key").is_some()
}

/// As [`open`], of a second repository: with the application key of this file, if one is given.
///
/// # Errors
/// As [`open`].
pub fn open_second(context: &Context, location: Location, key_file: Option<&Path>) -> Result<B2Backend> {
    let options = match key_file {
        Some(file) => with_keys(context, location, from_file(file)?, None)?,
        None => options(context, location)?,
    };
    B2Backend::open(&options).map_err(|e| Error::store("use", &options.location, e))
}

/// All that is given for the store at `location`.
///
/// # Errors
/// As [`open`].
pub fn options(context: &Context, location: Location) -> Result<B2Options> {
    let (args, profile) = (&context.globals.b2, &context.globals.from_profile);
    with_keys(context, location, own_key(args, profile)?, read_key(args, profile)?)
}

fn with_keys(context: &Context, location: Location, own: Credential, read: Option<Credential>) -> Result<B2Options> {
    let args = &context.globals.b2;
    let mut options = B2Options::new(location, own);
    options.read_credential = read;
    options.endpoint = args.b2_endpoint.clone().filter(|url| !url.is_empty()).unwrap_or_else(|| ENDPOINT.to_owned());
    panther::backend::b2::check_address(&options.endpoint).map_err(Error::Usage)?;
    options.upload_limit = args.limit_upload.clone().unwrap_or_default();
    options.download_limit = args.limit_download.clone().unwrap_or_default();
    options.most_uploads = args.b2_uploads.into();
    options.lock = args.object_lock_days.map(|days| Lock { mode: args.object_lock_mode, days });
    options.cancel = context.cancelled.clone();
    options.patience = patience();
    Ok(options)
}

/// `PANTHER_TEST_B2_PATIENCE` shortens all waits to so many thousandths, for tests only.
fn patience() -> Patience {
    let share = std::env::var("PANTHER_TEST_B2_PATIENCE").ok().and_then(|text| text.parse::<f64>().ok());
    match share {
        Some(share) => Patience::default().scaled(share / 1_000.0),
        None => Patience::default(),
    }
}

fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// A file that systemd has laid down (`LoadCredential=`).
fn credential_file(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(variable("CREDENTIALS_DIRECTORY")?).join(name);
    path.exists().then_some(path)
}

fn own_key(args: &B2Args, profile: &FromProfile) -> Result<Credential> {
    let file = args.b2_key_file.clone().or_else(|| variable("PANTHER_B2_KEY_FILE").map(PathBuf::from));
    if let Some(file) = file {
        return from_file(&file);
    }
    match (variable("B2_APPLICATION_KEY_ID"), variable("B2_APPLICATION_KEY")) {
        (Some(id), Some(key)) => from_environment(id, key),
        (None, None) => match profile.b2_key_file.clone().or_else(|| credential_file("panther-b2-key")) {
            Some(file) => from_file(&file),
            None => Err(Error::Usage(
                "which application key? Name its file with --b2-key-file or in PANTHER_B2_KEY_FILE, or set B2_APPLICATION_KEY_ID and B2_APPLICATION_KEY"
                    .into(),
            )),
        },
        _ => Err(Error::Usage("set both B2_APPLICATION_KEY_ID and B2_APPLICATION_KEY".into())),
    }
}

fn read_key(args: &B2Args, profile: &FromProfile) -> Result<Option<Credential>> {
    let file = args.b2_read_key_file.clone().or_else(|| variable("PANTHER_B2_READ_KEY_FILE").map(PathBuf::from));
    file.or_else(|| profile.b2_read_key_file.clone())
        .or_else(|| credential_file("panther-b2-read-key"))
        .map(|file| from_file(&file))
        .transpose()
}

fn from_file(path: &Path) -> Result<Credential> {
    let bytes = secrets::read_file(path)?;
    let odd = |why: String| Error::Usage(format!("{}: {why}", path.display()));
    let text = std::str::from_utf8(&bytes).map_err(|_| odd("an application key is text".into()))?;
    Credential::parse(text).map_err(odd)
}

fn from_environment(id: OsString, key: OsString) -> Result<Credential> {
    let odd = |why: String| Error::Usage(format!("B2_APPLICATION_KEY_ID and B2_APPLICATION_KEY: {why}"));
    let key = String::from_utf8(key.into_encoded_bytes()).map(Zeroizing::new).map_err(|e| {
        drop(Zeroizing::new(e.into_bytes()));
        odd("an application key is text".into())
    })?;
    Credential::new(&id.to_string_lossy(), key).map_err(odd)
}
