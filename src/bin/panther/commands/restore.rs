//! `restore`: a snapshot or a part of one, back into the file system.

use super::Outcome;
use crate::cli::Filter;
use crate::context::Context;
use crate::guide::ask;
use crate::guide::restore_guided;
use crate::open;
use panther::ops::Progress as _;
use panther::ops::list::absolute;
use panther::ops::restore::{RestoreOptions, restore};
use panther::report::restore::{Body, text};
use panther::source::ExcludeOptions;
use panther::target::OwnerMap;
use panther::{Error, Result};
use std::ffi::OsString;
use std::path::PathBuf;

/// Options of `restore`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther restore                  (on a terminal: asks for all that it needs, shows what it will do, asks once more)
  panther -r REPO restore latest --target restored
  panther -r REPO restore 1a2b3c4d:/home/me/Documents --target Documents
  panther -r REPO restore latest --host web --target / --include /etc/nginx --dry-run

SNAPSHOT alone restores everything below the target with its full path; SNAPSHOT:PATH restores what is in
that folder, or that one file, into the target itself. On a Btrfs, subvolumes, inode flags and compression
properties come back, and equal content shares its room; elsewhere it is said what could not be kept. A restore
that was stopped goes on with --overwrite: what is there is compared with the snapshot by its content, and only what differs is
fetched. Exit code 3: something could not be restored.")]
pub struct Options {
    /// The snapshot (its id, a beginning of it, or latest), and maybe a path in it
    #[arg(value_name = "SNAPSHOT[:PATH]", requires = "target")]
    snapshot: Option<OsString>,
    /// Where to; made if need be
    #[arg(short, long, value_name = "DIR", requires = "snapshot")]
    target: Option<PathBuf>,
    #[command(flatten)]
    filter: Filter,
    /// Restore only what matches this pattern
    #[arg(short, long, value_name = "PATTERN")]
    include: Vec<String>,
    /// Leave out what matches this pattern
    #[arg(short, long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Write over what is in the target; what is as in the snapshot already is not touched
    #[arg(long)]
    overwrite: bool,
    /// As --overwrite, and remove what the snapshot does not have
    #[arg(long)]
    delete: bool,
    /// Write nothing, only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Read what was restored again and compare
    #[arg(long)]
    verify: bool,
    /// Of files that are there already, believe those with the right size and time instead of comparing their content
    #[arg(long, conflicts_with = "verify")]
    believe_times: bool,
    /// Owners by number, even if this machine has their names
    #[arg(long)]
    numeric_ids: bool,
    /// Give what belonged to user A to user B; names or numbers
    #[arg(long, value_name = "A:B")]
    map_user: Vec<String>,
    /// Give what belonged to group A to group B; names or numbers
    #[arg(long, value_name = "A:B")]
    map_group: Vec<String>,
    /// Leave extended attributes and ACLs out
    #[arg(long)]
    no_xattrs: bool,
    /// Make holes of long runs of zeros, too
    #[arg(long)]
    sparse: bool,
    /// On a Btrfs, write content that occurs several times several times instead of sharing its room
    #[arg(long)]
    no_reflink: bool,
}

/// Restores.
pub fn run(options: &Options, context: &Context) -> Result<Outcome> {
    let (Some(wanted), Some(target)) = (&options.snapshot, &options.target) else {
        if !context.globals.json && ask::is_possible() {
            return restore_guided(&how(options, None, PathBuf::new())?, context);
        }
        let what = "restore what, and where to? Give SNAPSHOT[:PATH] and --target DIR; on a terminal, without either, you are asked";
        return Err(Error::Usage(what.into()));
    };
    let (wanted, path) = open::snapshot_and_path(wanted)?;
    let filter = options.filter.make()?;
    let restore_options = how(options, path.as_deref().map(absolute), target.clone())?;
    let (repo, _) = open::repository(context)?;
    repo.keys().need_reader("restore")?;
    let statements = repo.statements_for_reading(|error| context.ui.warn(&open::with_causes(error)))?;
    let snapshot = open::snapshot(context, &repo, &statements, &wanted, &filter)?;
    let state = open::synced_state(context, &repo, &statements)?;
    let done = restore(&repo, &state, &snapshot, &restore_options, &context.ui)?;
    open::warn_of_oddities(context, &repo);
    let id = snapshot.head.id;
    context.report(Body { snapshot: id, report: &done }, || text(id, &done))?;
    Ok(if done.incomplete { Outcome::Incomplete } else { Outcome::Complete })
}

fn how(options: &Options, path: Option<Vec<u8>>, target: PathBuf) -> Result<RestoreOptions> {
    Ok(RestoreOptions {
        excludes: ExcludeOptions { patterns: options.exclude.clone(), ..ExcludeOptions::default() },
        includes: options.include.clone(),
        delete: options.delete,
        dry_run: options.dry_run,
        verify: options.verify,
        believe_times: options.believe_times,
        overwrite: options.overwrite,
        owners: owners(options)?,
        no_xattrs: options.no_xattrs,
        sparse: options.sparse,
        reflink: !options.no_reflink,
        ..RestoreOptions::new(path, target)
    })
}

fn owners(options: &Options) -> Result<OwnerMap> {
    let mut owners = if options.numeric_ids { OwnerMap::numeric() } else { OwnerMap::by_name() };
    options.map_user.iter().try_for_each(|map| owners.map_user(map))?;
    options.map_group.iter().try_for_each(|map| owners.map_group(map))?;
    Ok(owners)
}
