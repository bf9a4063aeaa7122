//! `key`: list, add, remove, passwd, export, paper.

use super::Outcome;
use crate::context::{Context, write_failed};
use crate::secrets::NewSecret;
use crate::{open, roles, secrets};
use panther::backend::b2::roles::Recipe;
use panther::format::keyfile::Role;
use panther::format::time::Time;
use panther::id::ObjectId;
use panther::keys::wrap::{Recipient, WORK_FACTOR};
use panther::ops::{Progress, keys};
use panther::repo::{Repository, keyring, read_config};
use panther::report::keys::{Body, InUse, PaperFacts, paper_page};
use panther::{Error, Result};
use serde::Serialize;
use std::io::{IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What to do with keys.
#[derive(Debug, clap::Subcommand)]
pub enum Key {
    /// List key files; needs no passphrase
    List,
    /// Add a key
    Add(Add),
    /// Remove a key file; whoever has a copy of it can still use it
    Remove(Remove),
    /// Change the passphrase of the key in use
    Passwd(Passwd),
    /// Copy a key file, wrapped as it is, to a safe place
    Export(Export),
    /// Print a new key on a page of text
    Paper(Paper),
}

/// Options of `key add`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther -r REPO key add --label laptop
  panther -r REPO key add --role writer --writer webserver --new-password-file web.password
  panther -r REPO key add --role reader --recipient age1…

An admin can do everything; a reader can read everything and write nothing; a writer can back up under
its one name and read nothing back. Only an admin can add keys.")]
pub struct Add {
    /// What its holder can do
    #[arg(long, value_enum, default_value = "admin")]
    role: RoleName,
    /// What it is called in lists
    #[arg(long, value_name = "TEXT", default_value = "")]
    label: String,
    /// Wrap it to this age recipient instead of a passphrase; may be given several times
    #[arg(long, value_name = "age1…", conflicts_with_all = ["new_password_file", "new_password_command"])]
    recipient: Vec<String>,
    #[command(flatten)]
    secret: NewSecret,
}

/// The roles.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum RoleName {
    Admin,
    Reader,
    Writer,
}

#[derive(Serialize)]
struct Added {
    key: ObjectId,
    /// How to make the application keys that its holder needs, in B2.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    application_keys: Vec<Recipe>,
}

/// Options of `key remove`.
#[derive(Debug, clap::Args)]
pub struct Remove {
    /// The key's id, or the beginning of it
    #[arg(value_name = "ID")]
    id: String,
    /// Even if it is the key in use
    #[arg(long)]
    force: bool,
}

/// Options of `key passwd`.
#[derive(Debug, clap::Args)]
pub struct Passwd {
    #[command(flatten)]
    secret: NewSecret,
}

/// Options of `key export`.
#[derive(Debug, clap::Args)]
pub struct Export {
    /// The key's id, or the beginning of it [default: the only key, or the one that opens]
    #[arg(value_name = "ID")]
    id: Option<String>,
    /// To this file, which must not exist
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Options of `key paper`.
#[derive(Debug, clap::Args)]
pub struct Paper {
    /// What it is called in lists and on the page
    #[arg(long, value_name = "TEXT", default_value = "paper key")]
    label: String,
    /// To this file, which must not exist, instead of the standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Key {
    /// What its JSON documents call it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::List => "key list",
            Self::Add(_) => "key add",
            Self::Remove(_) => "key remove",
            Self::Passwd(_) => "key passwd",
            Self::Export(_) => "key export",
            Self::Paper(_) => "key paper",
        }
    }
}

#[derive(Serialize)]
struct Made {
    key: ObjectId,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaces: Option<ObjectId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

/// Does what was asked with keys.
pub fn run(key: &Key, context: &Context) -> Result<Outcome> {
    match key {
        Key::List => list(context),
        Key::Add(options) => add(options, context),
        Key::Remove(options) => remove(options, context),
        Key::Passwd(options) => passwd(options, context),
        Key::Export(options) => export(options, context),
        Key::Paper(options) => paper(options, context),
    }?;
    Ok(Outcome::Complete)
}

fn list(context: &Context) -> Result<()> {
    let backend = open::backend(context)?;
    read_config(&*backend)?;
    let keys = keyring::listing(&*backend)?;
    // A secret that is at hand shows which key it opens; nobody is asked for one.
    let repo = match secrets::available(&context.globals)? {
        None => None,
        Some(opener) => match Repository::open(backend, &opener) {
            Ok(repo) => Some(repo),
            Err(error) => {
                context.ui.warn(&open::with_causes(&error));
                None
            }
        },
    };
    let in_use = repo.map(|repo| {
        let (label, created) = repo.keys().label();
        InUse { id: repo.key_id(), role: repo.keys().role().as_str(), label: label.to_owned(), created }
    });
    let body = Body::new(&keys, in_use);
    context.emit(&body, || body.table(&context.zone))
}

fn add(options: &Add, context: &Context) -> Result<()> {
    let recipients = options.recipient.iter().map(|text| Recipient::parse(text)).collect::<Result<Vec<_>>>()?;
    let (repo, _) = open::repository(context)?;
    let role = match options.role {
        RoleName::Admin => Role::Admin,
        RoleName::Reader => Role::Reader,
        RoleName::Writer => Role::Writer,
    };
    let recipient = match recipients.is_empty() {
        true => options.secret.recipient()?,
        false => Recipient::Recipients(recipients),
    };
    let writer = context.globals.writer.as_ref();
    let id = keys::add(&repo, role, &options.label, writer, &recipient, secrets::work_factor())?;
    let application_keys = roles::recipes(&open::place(context)?, context, roles::purposes(role));
    let said = format!("added the {} key {id}\n", role.as_str()) + &roles::text(&application_keys);
    context.emit(Added { key: id, application_keys }, || said)
}

fn remove(options: &Remove, context: &Context) -> Result<()> {
    let (repo, opener) = open::repository(context)?;
    let id = keys::pick(&keyring::listing(&**repo.backend())?, &options.id)?;
    keys::remove(&repo, &opener, id, options.force)?;
    context.emit(Made { key: id, replaces: None, file: None }, || format!("removed the key {id}\n"))
}

fn passwd(options: &Passwd, context: &Context) -> Result<()> {
    let (repo, _) = open::repository(context)?;
    let recipient = options.secret.recipient()?;
    let old = repo.key_id();
    let id = keys::rewrap(&repo, &recipient, WORK_FACTOR)?;
    context.emit(Made { key: id, replaces: Some(old), file: None }, || {
        format!("the key is now {id}; the old wrapping {} was removed\n", old.short())
    })
}

fn export(options: &Export, context: &Context) -> Result<()> {
    if options.output.is_none() && (context.globals.json || std::io::stdout().is_terminal()) {
        return Err(Error::Usage("a key file is binary: name a file for it with --output".into()));
    }
    let backend = open::backend(context)?;
    read_config(&*backend)?;
    let listing = keyring::listing(&*backend)?;
    let id = match (&options.id, &listing[..]) {
        (Some(wanted), _) => keys::pick(&listing, wanted)?,
        (None, [only]) => only.id,
        (None, _) => open::repository(context)?.0.key_id(),
    };
    let object = keys::export(&*backend, id)?;
    deliver(&object, options.output.as_deref())?;
    let Some(output) = &options.output else { return Ok(()) };
    let file = Some(output.display().to_string());
    context.report(Made { key: id, replaces: None, file }, || {
        format!("wrote the key {} to {}\n", id.short(), output.display())
    })
}

fn paper(options: &Paper, context: &Context) -> Result<()> {
    if options.output.is_none() && context.globals.json {
        return Err(Error::Usage("the page is for people: with --json, name a file for it with --output".into()));
    }
    let (repo, _) = open::repository(context)?;
    let paper = keys::paper(&repo, &options.label)?;
    let location = repo.backend().location();
    let delivered = read_config(&**repo.backend()).and_then(|(config, config_hash)| {
        let facts =
            PaperFacts { location: &location, repo: config.repo, config_hash, label: &options.label, now: Time::now() };
        deliver(paper_page(&paper, &facts, &context.zone).as_bytes(), options.output.as_deref())
    });
    if let Err(error) = delivered {
        // Nobody will ever have the other half of this key.
        if let Err(left) = keys::withdraw(&repo, &paper) {
            context.ui.warn(&format!("the useless key {} is left: {}", paper.id.short(), open::with_causes(&left)));
        }
        return Err(error);
    }
    let Some(output) = &options.output else { return Ok(()) };
    let file = Some(output.display().to_string());
    context.report(Made { key: paper.id, replaces: None, file }, || {
        format!("wrote the page to {}; print it, then remove the file\n", output.display())
    })
}

/// To a new file that only its owner can read, or to the standard output.
fn deliver(bytes: &[u8], output: Option<&Path>) -> Result<()> {
    let Some(path) = output else {
        let mut out = std::io::stdout();
        return out.write_all(bytes).and_then(|()| out.flush()).map_err(write_failed);
    };
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        if written.is_err() {
            // Half a key is of no use to anybody.
            let _ = std::fs::remove_file(path);
        }
        written
    };
    write().map_err(|e| Error::io("write", path, e))
}
