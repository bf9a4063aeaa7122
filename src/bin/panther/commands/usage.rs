//! `usage`: what was asked of stores that count.

use super::Outcome;
use crate::context::Context;
use crate::open;
use panther::Result;
use panther::report::usage::{Body, text};
use panther::state::ledger::Ledger;

/// Options of `usage`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther usage
  panther -r b2://bucket/path usage --by day

Calls by class and bytes both ways, as this machine has counted them: every run of every command writes
them down, also one that fails. With a repository only what was asked of it, else of all. Needs neither
a passphrase nor the network.")]
pub struct Options {
    /// A line for each month or for each day (UTC); days are kept for 400 days
    #[arg(long, value_enum, default_value_t = By::Month)]
    by: By,
    /// Of all repositories, although one is named
    #[arg(long)]
    all: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum By {
    Month,
    Day,
}

/// Shows the ledger.
pub fn run(options: &Options, context: &Context) -> Result<Outcome> {
    let mut days = Ledger::at(&open::state_folder(context)?).days()?;
    if !options.all
        && let Some(location) = open::location(context)?
    {
        days.retain(|day| day.location == location);
    }
    let body = Body::new(&days);
    context.emit(&body, || text(&body, options.by == By::Month))?;
    Ok(Outcome::Complete)
}
