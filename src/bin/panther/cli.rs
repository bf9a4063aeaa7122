//! The command line's grammar.

use crate::b2::B2Args;
use crate::commands::{
    alerts, audit, backup, browse, cat, check, completions, config, copy, cost, diff, doctor, drill, dump, find,
    forget, history, init, key, ls, metrics, mount, pin, prune, rebuild_state, repair, report, restore, rewrite,
    snapshot, snapshots, stats, status, try_it, undelete, usage,
};
use crate::profile::FromProfile;
use clap::{Args, Parser, Subcommand};
use panther::id::WriterName;
use std::ffi::OsString;
use std::path::PathBuf;

const AFTER_HELP: &str = "\
Examples:
  panther -r /mnt/disk/backup init
  panther -r /mnt/disk/backup backup /home /etc --exclude-caches --tag daily
  panther -r /mnt/disk/backup snapshots
  panther -r /mnt/disk/backup restore latest:/home/me/Documents --target restored
  panther -r /mnt/disk/backup check --read-data-subset 5%
  panther -r /mnt/disk/backup forget --policy laptop --dry-run --explain
  panther -r /mnt/disk/backup prune --dry-run
  panther -r b2://my-bucket/home --b2-key-file key backup /home --limit-upload 08:00-22:00=1M,0
  panther try ~/Documents

Passphrase or identity, the first that is there: the options above; PANTHER_PASSWORD_FILE,
PANTHER_PASSWORD_COMMAND, PANTHER_PASSWORD, PANTHER_IDENTITY_FILE; the profile of the configuration
file; the systemd credentials panther-password and panther-identity; a question on the terminal.

Application key of a repository in B2, the first that is there: --b2-key-file; PANTHER_B2_KEY_FILE;
B2_APPLICATION_KEY_ID with B2_APPLICATION_KEY; the profile; the systemd credential panther-b2-key. The
second, read-only key: --b2-read-key-file; PANTHER_B2_READ_KEY_FILE; the profile; panther-b2-read-key.

Exit codes:
  0    done
  1    something of this machine failed: a file, the local state
  2    the command line or what it asks for makes no sense
  3    done, but incomplete: something could not be read or written
  4    the repository is damaged, or something is missing from it
  5    the repository's store failed: full, not allowed, wrong credentials
  6    a cap of the store's account is reached: storage, transactions, download
  7    the store cannot be reached or is too busy: try again later
  10   there is no repository
  11   the repository is another than the one that this machine remembers there
  12   no key opens with this passphrase or identity
  13   the key at hand may not do this
  14   the repository needs a newer version of panther
  15   the budget of the month stops this backup
  130  interrupted
  141  whoever read the output has stopped";

/// Deduplicating, encrypted backup.
#[derive(Debug, Parser)]
#[command(name = "panther", version, max_term_width = 100, after_long_help = AFTER_HELP, after_help = "Examples and exit codes: panther --help")]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub globals: Globals,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// The configuration file [default: $XDG_CONFIG_HOME/panther/config.toml, else /etc/panther/config.toml]
    #[arg(long, global = true, value_name = "FILE", env = "PANTHER_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
    /// The profile of the configuration file to use
    #[arg(short, long, global = true, value_name = "NAME", env = "PANTHER_PROFILE", hide_env_values = true)]
    pub profile: Option<String>,
    /// The repository: a folder, as PATH or file:PATH, or b2://BUCKET/PREFIX
    #[arg(short, long, global = true, value_name = "REPO", env = "PANTHER_REPOSITORY", hide_env_values = true)]
    pub repo: Option<OsString>,
    /// Read the passphrase from this file; a line feed at its end does not count [env: PANTHER_PASSWORD_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Run this command, without a shell, and take the first line of its output [env: PANTHER_PASSWORD_COMMAND]
    #[arg(long, global = true, value_name = "COMMAND")]
    pub password_command: Option<OsString>,
    /// Open with the age identities (AGE-SECRET-KEY-1…) of this file [env: PANTHER_IDENTITY_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub identity_file: Option<PathBuf>,
    /// Where to remember what is in the repository [default: $XDG_CACHE_HOME/panther or ~/.cache/panther]
    #[arg(long, global = true, value_name = "DIR", env = "PANTHER_STATE_DIR", hide_env_values = true)]
    pub state_dir: Option<PathBuf>,
    /// Under which name to write, with an admin's key [default: the host's name]
    #[arg(long, global = true, value_name = "NAME")]
    pub writer: Option<WriterName>,
    /// Trust the repository although this machine remembers another one at its place
    #[arg(long, global = true)]
    pub accept_repository: bool,
    /// Write one JSON document (docs/json.md)
    #[arg(long, global = true)]
    pub json: bool,
    /// No progress and no closing report; warnings stay
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// What the profile says of secrets: looked at after options and environment.
    #[arg(skip)]
    pub from_profile: FromProfile,
    /// Stores over a network.
    #[command(flatten)]
    pub b2: B2Args,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a repository
    Init(init::Options),
    /// Back up files and folders
    Backup(backup::Options),
    /// Restore a snapshot or a part of one
    Restore(restore::Options),
    /// List snapshots
    Snapshots(snapshots::Options),
    /// Make, list and thin out local snapshots of Btrfs subvolumes; needs no repository
    #[command(subcommand)]
    Snapshot(snapshot::Snapshot),
    /// List what is in a snapshot
    Ls(ls::Options),
    /// Mount snapshots as a read-only file system
    Mount(mount::Options),
    /// Find files in snapshots, and since when and until when each version was there
    Find(find::Options),
    /// Show the versions of a file or folder
    History(history::Options),
    /// Show what differs between two snapshots, or a snapshot and the files as they are now
    Diff(diff::Options),
    /// Write a file, or a folder as tar or zip, to the standard output
    Dump(dump::Options),
    /// Show single objects of the repository: manifests, folders, blobs, packs, index
    #[command(subcommand)]
    Cat(cat::Cat),
    /// Look through snapshots on the whole terminal, and restore from there
    Browse(browse::Options),
    /// Show what is stored, by snapshot and by host, and what each snapshot alone costs
    Stats(stats::Options),
    /// Check that everything in the repository is there and whole
    Check(check::Options),
    /// Remove snapshots by policy or by name
    Forget(Box<forget::Options>),
    /// Free the space of what no snapshot needs
    Prune(Box<prune::Options>),
    /// Bring back forgotten snapshots, and packs that were condemned
    Undelete(undelete::Options),
    /// Keep snapshots whatever the policy says
    Pin(pin::Options),
    /// Take pins back
    Unpin(pin::Options),
    /// Put back what damage has taken, as far as it is anywhere, and name what is lost
    #[command(subcommand)]
    Repair(repair::Repair),
    /// Learn anew what this machine remembers of the repository, which is only a cache
    RebuildState(Box<rebuild_state::Options>),
    /// Copy snapshots into another repository
    Copy(Box<copy::Options>),
    /// Drop paths from snapshots that are there
    Rewrite(Box<rewrite::Options>),
    /// Look whether everything that a backup or a restore needs is as it should be
    Doctor(doctor::Options),
    /// Show what the repository costs, will cost and would cost
    Cost(Box<cost::Options>),
    /// Show or send this machine's figures for monitoring
    Metrics(metrics::Options),
    /// Write monitors for Datadog or rules for Prometheus
    Alerts(alerts::Options),
    /// Show how the backups of all hosts are
    Status(status::Options),
    /// Write a page that shows how the backups of all hosts are
    Report(report::Options),
    /// Restore a sample for practice, compare it, and keep a signed record
    Drill(Box<drill::Options>),
    /// Show what on this machine is backed up, how old that is, and what is not
    Audit(audit::Options),
    /// Show what was asked of B2: calls by class, and bytes, by day or month
    Usage(usage::Options),
    /// List, add, change, remove, copy and print keys
    #[command(subcommand)]
    Key(key::Key),
    /// Check and show the configuration file, and its schema
    #[command(subcommand)]
    Config(config::Config),
    /// Write the script by which a shell completes commands and options
    Completions(completions::Completions),
    /// Write manual pages
    Man(completions::Man),
    /// Back up a folder to a throw-away repository, restore it, compare, and show figures
    Try(try_it::Options),
}

impl Command {
    /// What its JSON documents call it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Init(_) => "init",
            Self::Backup(_) => "backup",
            Self::Restore(_) => "restore",
            Self::Snapshots(_) => "snapshots",
            Self::Snapshot(snapshot) => snapshot.name(),
            Self::Browse(_) => "browse",
            Self::Ls(_) => "ls",
            Self::Diff(_) => "diff",
            Self::Find(_) => "find",
            Self::History(_) => "history",
            Self::Cat(_) => "cat",
            Self::Mount(_) => "mount",
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
            Self::Dump(_) => "dump",
            Self::Check(_) => "check",
            Self::Forget(_) => "forget",
            Self::Prune(_) => "prune",
            Self::Undelete(_) => "undelete",
            Self::Pin(_) => "pin",
            Self::Unpin(_) => "unpin",
            Self::Repair(repair) => repair.name(),
            Self::RebuildState(_) => "rebuild-state",
            Self::Stats(_) => "stats",
            Self::Copy(_) => "copy",
            Self::Rewrite(_) => "rewrite",
            Self::Doctor(_) => "doctor",
            Self::Cost(_) => "cost",
            Self::Metrics(_) => "metrics",
            Self::Alerts(_) => "alerts",
            Self::Status(_) => "status",
            Self::Report(_) => "report",
            Self::Drill(_) => "drill",
            Self::Audit(_) => "audit",
            Self::Usage(_) => "usage",
            Self::Key(key) => key.name(),
            Self::Config(config) => config.name(),
            Self::Try(_) => "try",
        }
    }

    /// Whether it has something to clear away that no second signal may keep it from.
    pub fn clears_away(&self) -> bool {
        matches!(self, Self::Try(_) | Self::Drill(_))
    }

    /// Whether a profile matters to it.
    pub fn uses_profile(&self) -> bool {
        !matches!(self, Self::Try(_) | Self::Config(_) | Self::Alerts(_) | Self::Completions(_) | Self::Man(_))
    }
}

/// Which snapshots are meant.
#[derive(Debug, Args)]
pub struct Filter {
    /// Only snapshots of this host; more than one: of any of them
    #[arg(long, value_name = "HOST")]
    pub host: Vec<String>,
    /// Only snapshots with these tags, separated by commas; more than one: with any of these lists
    #[arg(long, value_name = "TAG[,TAG…]")]
    pub tag: Vec<String>,
    /// Only snapshots of this path; more than one: of all of them
    #[arg(long, value_name = "PATH")]
    pub path: Vec<PathBuf>,
}

impl Filter {
    /// The filter that this stands for.
    ///
    /// # Errors
    /// [`panther::Error::Io`] when a relative path is given and the working folder is not known.
    pub fn make(&self) -> panther::Result<panther::ops::list::SnapshotFilter> {
        use std::os::unix::ffi::OsStrExt;
        let absolute = |path: &PathBuf| match std::path::absolute(path) {
            Ok(path) => Ok(panther::ops::list::absolute(path.as_os_str().as_bytes())),
            Err(error) => Err(panther::Error::io("find", path, error)),
        };
        Ok(panther::ops::list::SnapshotFilter {
            hosts: self.host.clone(),
            tags: self.tag.iter().map(|list| list.split(',').map(str::to_owned).collect()).collect(),
            paths: self.path.iter().map(absolute).collect::<panther::Result<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }
}
