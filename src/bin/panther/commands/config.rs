//! `config`: check, show, schema.

use super::Outcome;
use crate::cli::Cli;
use crate::context::{Context, write_failed};
use crate::profile;
use clap::CommandFactory;
use panther::config::{self, Problem, schema};
use panther::report::settings::{self, Origin, Setting};
use panther::{Error, Result};
use serde::Serialize;
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;

/// What to do with the configuration.
#[derive(Debug, clap::Subcommand)]
pub enum Config {
    /// Check the configuration file and name everything that is wrong with it
    Check(Check),
    /// Show the settings in force
    Show(Show),
    /// Print the JSON Schema of the configuration file
    Schema,
}

/// Options of `config check`.
#[derive(Debug, clap::Args)]
pub struct Check {
    /// The file [default: the one that would be used]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Options of `config show`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The first that says something holds: options, environment, profile, default. Patterns, tags and
other lists of options are added to those of the profile when a command runs."
)]
pub struct Show {
    /// Say where each setting comes from
    #[arg(long)]
    origin: bool,
}

impl Config {
    /// What its JSON documents call it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Check(_) => "config check",
            Self::Show(_) => "config show",
            Self::Schema => "config schema",
        }
    }
}

/// Does what was asked with the configuration.
pub fn run(config: &Config, context: &Context) -> Result<Outcome> {
    match config {
        Config::Check(options) => check(options, context),
        Config::Show(options) => show(options, context),
        Config::Schema => {
            let mut out = context.out();
            out.write_all(schema::text().as_bytes()).and_then(|()| out.flush()).map_err(write_failed)?;
            Ok(Outcome::Complete)
        }
    }
}

#[derive(Serialize)]
struct Checked<'a> {
    file: String,
    profiles: Vec<&'a str>,
    problems: &'a [Problem],
}

fn check(options: &Check, context: &Context) -> Result<Outcome> {
    let given = options.file.as_deref().or(context.globals.config.as_deref());
    let file = profile::file(given).ok_or_else(|| Error::Usage("there is no configuration file: name one".into()))?;
    let parsed = config::parse(&profile::read(&file)?);
    let (profiles, problems) = match &parsed {
        Ok(config) => (config.profiles.keys().map(String::as_str).collect(), &[][..]),
        Err(problems) => (Vec::new(), &problems[..]),
    };
    let body = Checked { file: file.display().to_string(), profiles, problems };
    context.emit(&body, || settings::checked(&body.file, &body.profiles, problems))?;
    Ok(if problems.is_empty() { Outcome::Complete } else { Outcome::Found(2) })
}

#[derive(Serialize)]
struct Shown<'a> {
    file: Option<String>,
    profile: Option<&'a str>,
    settings: &'a [Setting],
}

fn show(options: &Show, context: &Context) -> Result<Outcome> {
    let globals = &context.globals;
    let file = profile::file(globals.config.as_deref());
    let config = file.as_deref().map(profile::load).transpose()?.unwrap_or_default();
    let wanted = globals.profile.as_deref().filter(|name| !name.is_empty());
    let picked = match config.pick(wanted) {
        Ok(picked) => Some(picked),
        // Without a file there are still options and variables to be shown.
        Err(_) if wanted.is_none() && config.profiles.is_empty() => None,
        Err(why) => return Err(Error::Usage(why)),
    };
    let mut all = Vec::new();
    if let Some((_, profile)) = picked {
        let value = serde_json::to_value(profile).map_err(|e| Error::Usage(e.to_string()))?;
        settings::flatten("", &value, &mut all);
    }
    // The arguments were understood once already.
    let matches = Cli::command().get_matches_from(std::env::args_os());
    let text = |value: &std::ffi::OsStr| Value::from(value.to_string_lossy().into_owned());
    let options_of = [
        ("repository", "repo", globals.repo.as_deref().map(text)),
        ("state-dir", "state_dir", globals.state_dir.as_ref().map(|path| text(path.as_os_str()))),
        ("writer", "writer", globals.writer.as_ref().map(|writer| Value::from(writer.as_str()))),
        ("password-file", "password_file", globals.password_file.as_ref().map(|path| text(path.as_os_str()))),
        ("password-command", "password_command", globals.password_command.as_deref().map(text)),
        ("identity-file", "identity_file", globals.identity_file.as_ref().map(|path| text(path.as_os_str()))),
    ];
    for (key, id, value) in options_of {
        if let (Some(value), Some(origin)) = (value, profile::origin(&matches, id)) {
            settings::set(&mut all, key, value, origin);
        }
    }
    let secrets = ["password-file", "password-command", "identity-file"];
    let is_flag = |s: &Setting| secrets.contains(&s.key.as_str()) && s.origin == Origin::Flag;
    if all.iter().any(is_flag) {
        all.retain(|s| !secrets.contains(&s.key.as_str()) || is_flag(s));
    } else {
        let variables = [
            ("PANTHER_PASSWORD_FILE", "password-file"),
            ("PANTHER_PASSWORD_COMMAND", "password-command"),
            ("PANTHER_IDENTITY_FILE", "identity-file"),
        ];
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        for (variable, key) in variables {
            if let Some(value) = set(variable) {
                all.retain(|s| !secrets.contains(&s.key.as_str()) || s.origin == Origin::Environment);
                settings::set(&mut all, key, text(&value), Origin::Environment);
            }
        }
        if set("PANTHER_PASSWORD").is_some() {
            all.retain(|s| !secrets.contains(&s.key.as_str()));
            settings::set(&mut all, "password", Value::from("(not shown)"), Origin::Environment);
        }
    }
    settings::add_defaults(&mut all);
    let body = Shown {
        file: file.as_ref().map(|file| file.display().to_string()),
        profile: picked.map(|(name, _)| name),
        settings: &all,
    };
    context.emit(&body, || settings::text(body.file.as_deref(), body.profile, &all, options.origin))?;
    Ok(Outcome::Complete)
}
