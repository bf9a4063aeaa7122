//! `completions` and `man`: what shells and manuals know of the command line, made from the grammar itself.

use super::Outcome;
use crate::cli::Cli;
use crate::context::{Context, write_failed};
use clap::CommandFactory;
use clap_complete::Shell;
use panther::{Error, Result};
use std::io::Write;
use std::path::PathBuf;

/// Options of `completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther completions bash > /etc/bash_completion.d/panther
  panther completions zsh > \"${fpath[1]}/_panther\"
  panther completions fish > ~/.config/fish/completions/panther.fish")]
pub struct Completions {
    /// For which shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

/// Options of `man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther man /usr/local/share/man/man1
  panther man . && man ./panther-backup.1")]
pub struct Man {
    /// The folder to write the pages into; made if need be
    #[arg(value_name = "FOLDER")]
    target: PathBuf,
}

/// Writes the script to the standard output.
pub fn completions(options: &Completions, context: &Context) -> Result<Outcome> {
    if context.globals.json {
        return Err(Error::Usage("completions are a script for a shell: there is no JSON of them".into()));
    }
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "panther", &mut script);
    let mut out = context.out();
    out.write_all(&script).and_then(|()| out.flush()).map_err(write_failed)?;
    Ok(Outcome::Complete)
}

/// Writes a page for each command.
pub fn man(options: &Man, context: &Context) -> Result<Outcome> {
    if context.globals.json {
        return Err(Error::Usage("manual pages are files: there is no JSON of them".into()));
    }
    std::fs::create_dir_all(&options.target).map_err(|e| Error::io("make", &options.target, e))?;
    let written = clap_mangen::generate_to(Cli::command(), &options.target);
    written.map_err(|e| Error::io("write pages to", &options.target, e))?;
    Ok(Outcome::Complete)
}
