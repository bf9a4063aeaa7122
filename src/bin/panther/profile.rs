//! The configuration file found, its profile chosen, and laid under options and environment.

use crate::cli::Cli;
use clap::ArgMatches;
use clap::parser::ValueSource;
use panther::backend::b2::limit::Schedule;
use panther::config::{self, Config, Problem, Profile};
use panther::report::settings::Origin;
use panther::{Error, Result};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// No configuration is longer.
const LIMIT_BYTES: u64 = 4 << 20;

/// What a profile says of secrets.
#[derive(Clone, Debug, Default)]
pub struct FromProfile {
    /// A file with the passphrase.
    pub password_file: Option<PathBuf>,
    /// A command that prints it.
    pub password_command: Option<OsString>,
    /// A file of identities.
    pub identity_file: Option<PathBuf>,
    /// The file of B2's application key.
    pub b2_key_file: Option<PathBuf>,
    /// The file of the second, read-only one.
    pub b2_read_key_file: Option<PathBuf>,
}

/// A profile in use.
#[derive(Clone, Debug)]
pub struct InUse {
    /// The file that it is from.
    pub file: PathBuf,
    /// Its name.
    pub name: String,
    /// What it says.
    pub profile: Profile,
}

/// What was laid under the options.
#[derive(Clone, Debug, Default)]
pub struct Overlaid {
    /// The profile in use.
    pub in_use: Option<InUse>,
    /// Why there is none, where there is a file.
    unused: Option<String>,
}

impl Overlaid {
    /// What to say when no repository is named.
    pub fn no_repository(&self) -> String {
        let ways = "Name it with -r/--repo, in PANTHER_REPOSITORY or in a profile of the configuration file";
        match (&self.in_use, &self.unused) {
            (Some(in_use), _) => format!("which repository? The profile {:?} names none. {ways}", in_use.name),
            (None, Some(why)) => format!("which repository? {ways}; {why}"),
            (None, None) => format!("which repository? {ways}"),
        }
    }
}

/// Which of the ways a global option was given.
pub fn origin(matches: &ArgMatches, id: &str) -> Option<Origin> {
    let below = matches.subcommand().and_then(|(_, matches)| origin(matches, id));
    let here = match matches.try_contains_id(id) {
        Ok(true) => match matches.value_source(id) {
            Some(ValueSource::CommandLine) => Some(Origin::Flag),
            Some(ValueSource::EnvVariable) => Some(Origin::Environment),
            _ => None,
        },
        _ => None,
    };
    if [below, here].contains(&Some(Origin::Flag)) { Some(Origin::Flag) } else { below.or(here) }
}

/// The configuration file: what was given, or the first that is there.
pub fn file(given: Option<&Path>) -> Option<PathBuf> {
    if let Some(given) = given.filter(|path| !path.as_os_str().is_empty()) {
        return Some(given.to_owned());
    }
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = variable("XDG_CONFIG_HOME").or_else(|| variable("HOME").map(|home| home.join(".config")));
    let places = [home.map(|folder| folder.join("panther/config.toml")), Some("/etc/panther/config.toml".into())];
    places.into_iter().flatten().find(|path| path.exists())
}

/// The text of a configuration.
///
/// # Errors
/// [`Error::Io`]; [`Error::Usage`] when it is no text, or far too long.
pub fn read(path: &Path) -> Result<String> {
    let size_bytes = std::fs::metadata(path).map_err(|e| Error::io("read", path, e))?.len();
    if size_bytes > LIMIT_BYTES {
        return Err(Error::Usage(format!("{} is far too long for a configuration", path.display())));
    }
    let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
    String::from_utf8(bytes).map_err(|_| Error::Usage(format!("{} is not UTF-8", path.display())))
}

/// A configuration and all that is wrong with it as one error.
///
/// # Errors
/// As [`read`]; [`Error::Usage`].
pub fn load(path: &Path) -> Result<Config> {
    let text = read(path)?;
    config::parse(&text).map_err(|problems| Error::Usage(in_words(path, &problems)))
}

fn in_words(path: &Path, problems: &[Problem]) -> String {
    let first = problems.first().map(ToString::to_string).unwrap_or_default();
    let more = match problems.len() {
        0 | 1 => String::new(),
        n => format!(" (and {} more; `panther config check` lists them)", n - 1),
    };
    format!("the configuration {}, {first}{more}", path.display())
}

/// Finds the file and the profile, and puts what that says where options and environment say nothing.
///
/// A profile that nobody has asked for by name belongs to its repository: if another one is named, it is not used.
///
/// # Errors
/// [`Error::Io`], [`Error::Usage`].
pub fn overlay(cli: &mut Cli, matches: &ArgMatches) -> Result<Overlaid> {
    if !cli.command.uses_profile() {
        return Ok(Overlaid::default());
    }
    let wanted = cli.globals.profile.clone().filter(|name| !name.is_empty());
    let Some(file) = file(cli.globals.config.as_deref()) else {
        return match wanted {
            None => Ok(Overlaid::default()),
            Some(name) => Err(Error::Usage(format!(
                "there is no configuration file, so no profile {name:?}: name a file with --config or in PANTHER_CONFIG"
            ))),
        };
    };
    let config = load(&file)?;
    let picked = config.pick(wanted.as_deref());
    let said = |why: String| format!("in the configuration {}: {why}", file.display());
    let (name, profile) = match picked {
        Ok(picked) => picked,
        Err(why) if wanted.is_some() => return Err(Error::Usage(said(why))),
        Err(why) => return Ok(Overlaid { in_use: None, unused: Some(said(why)) }),
    };
    let repository = profile.repository.as_ref().map(OsString::from);
    let elsewhere = origin(matches, "repo").is_some() && cli.globals.repo.as_ref().is_some_and(|r| !r.is_empty());
    if wanted.is_none() && elsewhere && cli.globals.repo != repository {
        let why = format!("the profile {name:?} is for another repository");
        return Ok(Overlaid { in_use: None, unused: Some(said(why)) });
    }
    let globals = &mut cli.globals;
    if !elsewhere {
        globals.repo = repository;
    }
    if globals.state_dir.as_ref().is_none_or(|dir| dir.as_os_str().is_empty()) {
        globals.state_dir = profile.state_dir.as_ref().map(|dir| dir.get().clone());
    }
    if globals.writer.is_none() {
        globals.writer = profile.writer.as_ref().map(|writer| writer.get().clone());
    }
    globals.from_profile = FromProfile {
        password_file: profile.password_file.as_ref().map(|path| path.get().clone()),
        password_command: profile.password_command.as_ref().map(|command| shell_words::join(&command.0).into()),
        identity_file: profile.identity_file.as_ref().map(|path| path.get().clone()),
        b2_key_file: profile.b2.as_ref().and_then(|b2| b2.key_file.as_ref()).map(|path| path.get().clone()),
        b2_read_key_file: profile.b2.as_ref().and_then(|b2| b2.read_key_file.as_ref()).map(|path| path.get().clone()),
    };
    let endpoint = profile.b2.as_ref().and_then(|b2| b2.endpoint.as_ref()).map(ToString::to_string);
    globals.b2.b2_endpoint = globals.b2.b2_endpoint.take().filter(|url| !url.is_empty()).or(endpoint);
    if let Some(limits) = &profile.limits {
        let schedule = |text: Option<String>| text.map(|text| Schedule::parse(&text).map_err(said)).transpose();
        let limit_of = |given: Option<Schedule>, text| match given {
            Some(given) => Ok(Some(given)),
            None => schedule(text).map_err(Error::Usage),
        };
        globals.b2.limit_upload = limit_of(globals.b2.limit_upload.take(), limits.upload_text())?;
        globals.b2.limit_download = limit_of(globals.b2.limit_download.take(), limits.download_text())?;
    }
    Ok(Overlaid {
        in_use: Some(InUse { file: file.clone(), name: name.to_owned(), profile: profile.clone() }),
        unused: None,
    })
}
