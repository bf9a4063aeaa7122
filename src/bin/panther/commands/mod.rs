//! The commands, one a file: each has its options and a function that runs it.

pub mod alerts;
pub mod audit;
pub mod backup;
pub mod browse;
pub mod cat;
pub mod check;
pub mod completions;
pub mod config;
pub mod copy;
pub mod cost;
pub mod diff;
pub mod doctor;
pub mod drill;
pub mod dump;
pub mod find;
pub mod forget;
pub mod history;
pub mod init;
pub mod key;
pub mod ls;
pub mod metrics;
pub mod mount;
pub mod pin;
pub mod prune;
pub mod rebuild_state;
pub mod repair;
pub mod report;
pub mod restore;
pub mod rewrite;
pub mod snapshot;
pub mod snapshots;
pub mod stats;
pub mod status;
pub mod stream;
pub mod try_it;
pub mod undelete;
pub mod usage;

use crate::cli::Command;
use crate::context::Context;
use panther::Result;

/// How a command that did not fail has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Everything is done.
    Complete,
    /// Something is missing from what was made.
    Incomplete,
    /// The repository is damaged.
    Damaged,
    /// A check came to this exit code.
    Found(u8),
}

impl Outcome {
    /// The program's exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Complete => 0,
            Self::Incomplete => 3,
            Self::Damaged => 4,
            Self::Found(code) => code,
        }
    }
}

/// Runs a command.
///
/// # Errors
/// Why it could not do what was asked.
pub fn run(command: &Command, context: &Context) -> Result<Outcome> {
    match command {
        Command::Init(options) => init::run(options, context),
        Command::Backup(options) => backup::run(options, context),
        Command::Restore(options) => restore::run(options, context),
        Command::Snapshots(options) => snapshots::run(options, context),
        Command::Snapshot(snapshot) => snapshot::run(snapshot, context),
        Command::Browse(options) => browse::run(options, context),
        Command::Ls(options) => ls::run(options, context),
        Command::Diff(options) => diff::run(options, context),
        Command::Find(options) => find::run(options, context),
        Command::History(options) => history::run(options, context),
        Command::Cat(what) => cat::run(what, context),
        Command::Mount(options) => mount::run(options, context),
        Command::Completions(options) => completions::completions(options, context),
        Command::Man(options) => completions::man(options, context),
        Command::Dump(options) => dump::run(options, context),
        Command::Check(options) => check::run(options, context),
        Command::Forget(options) => forget::run(options, context),
        Command::Prune(options) => prune::run(options, context),
        Command::Undelete(options) => undelete::run(options, context),
        Command::Pin(options) => pin::run(options, true, context),
        Command::Unpin(options) => pin::run(options, false, context),
        Command::Copy(options) => copy::run(options, context),
        Command::Stats(options) => stats::run(options, context),
        Command::RebuildState(options) => rebuild_state::run(options, context),
        Command::Repair(repair) => repair::run(repair, context),
        Command::Rewrite(options) => rewrite::run(options, context),
        Command::Doctor(options) => doctor::run(options, context),
        Command::Cost(options) => cost::run(options, context),
        Command::Metrics(options) => metrics::run(options, context),
        Command::Alerts(options) => alerts::run(options, context),
        Command::Status(options) => status::run(options, context),
        Command::Report(options) => report::run(options, context),
        Command::Drill(options) => drill::run(options, context),
        Command::Audit(options) => audit::run(options, context),
        Command::Usage(options) => usage::run(options, context),
        Command::Key(key) => key::run(key, context),
        Command::Config(config) => config::run(config, context),
        Command::Try(options) => try_it::run(options, context),
    }
}
