//! A second repository on the command line: another copy to take from, another place to copy to.

use crate::context::Context;
use crate::open::{self, Place};
use crate::{b2, secrets};
use panther::Result;
use panther::keys::wrap::Opener;
use panther::repo::Repository;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::Arc;

/// What opens a second repository.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options for the other repository")]
pub struct SecondSecrets {
    /// Read the other repository's passphrase from this file [default: what opens the first one]
    #[arg(long, value_name = "FILE")]
    other_password_file: Option<PathBuf>,
    /// Run this command, without a shell, and take the first line of its output
    #[arg(long, value_name = "COMMAND")]
    other_password_command: Option<OsString>,
    /// Open the other repository with the age identities of this file
    #[arg(long, value_name = "FILE")]
    other_identity_file: Option<PathBuf>,
    /// The application key for the other repository, if it is in B2 [default: that of the first one]
    #[arg(long, value_name = "FILE")]
    other_b2_key_file: Option<PathBuf>,
}

impl SecondSecrets {
    /// Opens the repository that `name` names; `first` has opened the first one.
    ///
    /// # Errors
    /// As [`open::repository`].
    pub fn open(&self, name: &OsStr, first: &Opener, context: &Context) -> Result<Repository> {
        let backend = match open::named_place(name)? {
            Place::Folder(folder) => open::folder(context, &folder)?,
            Place::B2(location) => {
                let store = b2::open_second(context, location, self.other_b2_key_file.as_deref())?;
                open::counted(context, Arc::new(store))
            }
        };
        let own = secrets::of_second(
            self.other_password_file.as_deref(),
            self.other_password_command.as_deref(),
            self.other_identity_file.as_deref(),
        )?;
        open::repository_on(context, backend, || Ok(own.unwrap_or_else(|| first.clone()))).map(|(repo, _)| repo)
    }
}
