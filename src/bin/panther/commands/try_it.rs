//! `try`: a backup and a restore of a folder, with figures, leaving nothing behind.

use super::Outcome;
use crate::context::Context;
use crate::scratch::Scratch;
use crate::{open, secrets};
use panther::backend::local::LocalBackend;
use panther::cost::Day;
use panther::keys::wrap::{Opener, Recipient, WORK_FACTOR};
use panther::ops::try_it::{TryOptions, try_it};
use panther::repo::Repository;
use panther::repo::writer::DEFAULT_LEVEL;
use panther::report::try_it::text;
use panther::state::State;
use panther::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Options of `try`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther try ~/Documents
  TMPDIR=/mnt/big panther try /srv/data
  panther try ~/Documents --keep /mnt/disk/backup --password-file password

The repository and the restored copy are made in TMPDIR, else /var/tmp, and removed in the end; there must be
room for both. Exit code 3: what was restored differs.")]
pub struct Options {
    /// A file or folder
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Keep the repository in this folder, which must be empty or missing; it gets the passphrase that is given
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// Tries.
pub fn run(options: &Options, context: &Context) -> Result<Outcome> {
    std::fs::symlink_metadata(&options.path).map_err(|e| Error::io("find", &options.path, e))?;
    let recipient = match &options.keep {
        Some(folder) => {
            refuse_unless_empty(folder)?;
            recipient_to_keep(context)?
        }
        None => throw_away_recipient()?,
    };
    // From here on everything goes away again, whatever happens.
    let scratch = Scratch::new(&context.ui)?;
    let folder = options.keep.clone().unwrap_or_else(|| scratch.path().join("repository"));
    let backend = LocalBackend::create(&folder).map_err(|e| Error::store("make", folder.display(), e))?;
    let folder = folder.canonicalize().map_err(|e| Error::io("find", &folder, e))?;
    // Nobody but this process ever knows the other passphrase, and only a strong one would need a high cost.
    let work_factor = if options.keep.is_some() { WORK_FACTOR } else { 1 };
    let repo = Repository::init(Arc::new(backend), &recipient, "made by panther try", work_factor)?;
    let state = State::open(&scratch.path().join("state"), &repo.config().repo)?;
    let try_options = TryOptions {
        path: options.path.clone(),
        restored: scratch.path().join("restored"),
        skip: vec![scratch.path().to_owned(), folder.clone()],
        host: open::host(),
        level: DEFAULT_LEVEL,
        prices: crate::money::prices(context).at(Day::today()).clone(),
    };
    let mut report = try_it(&repo, &state, &try_options, &context.ui)?;
    report.kept = options.keep.as_ref().map(|_| folder.display().to_string());
    drop((repo, state));
    context.ui.verbose(|| "clearing away".into());
    drop(scratch);
    context.emit(&report, || text(&report))?;
    Ok(if report.comparison.different == 0 { Outcome::Complete } else { Outcome::Incomplete })
}

fn refuse_unless_empty(folder: &Path) -> Result<()> {
    match std::fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::Usage(format!("{} is not empty", folder.display()))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Error::io("look into", folder, e)),
    }
}

fn recipient_to_keep(context: &Context) -> Result<Recipient> {
    let opener: Opener = secrets::new_opener(&context.globals)?;
    Ok(secrets::recipient(&opener))
}

/// 256 random bits that exist nowhere but in this process.
fn throw_away_recipient() -> Result<Recipient> {
    let random = Zeroizing::new(panther::seal::random32(&mut panther::seal::system_random()));
    let text = Zeroizing::new(data_encoding::HEXLOWER.encode(&random[..]));
    Ok(Recipient::Passphrase(text.as_str().into()))
}
