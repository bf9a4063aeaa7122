//! `repair`: what damage has taken is put back, as far as it is anywhere.

use super::Outcome;
use super::check::{budget, parse_amount, parse_limit};
use crate::confirm::confirm;
use crate::context::Context;
use crate::open;
use crate::scratch::Scratch;
use crate::second::SecondSecrets;
use panther::egress::Limit;
use panther::ops::Progress as _;
use panther::ops::check::Amount;
use panther::ops::repair::Sources;
use panther::ops::repair::index::{IndexOptions, repair_index};
use panther::ops::repair::packs::{PacksOptions, repair_packs};
use panther::ops::repair::snapshots::{SnapshotsOptions, repair_snapshots};
use panther::repo::reader::BlobReader;
use panther::report::repair as report;
use panther::state::State;
use panther::{Error, Result};
use std::ffi::OsString;
use std::path::PathBuf;

/// What is repaired.
#[derive(Debug, clap::Subcommand)]
pub enum Repair {
    /// Name packs that no sound index object names; little is read
    Index(Index),
    /// Store anew what damaged or missing packs held, from wherever it still is
    Packs(Packs),
    /// Write snapshots anew without what is lost, and name that
    Snapshots(Snapshots),
}

impl Repair {
    /// What its JSON documents call it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Index(_) => "repair index",
            Self::Packs(_) => "repair packs",
            Self::Snapshots(_) => "repair snapshots",
        }
    }
}

/// Whether something is changed.
#[derive(Debug, clap::Args)]
struct Consent {
    /// Change nothing, only say what would be done
    #[arg(short = 'n', long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do not ask; without this, nothing is changed where there is no terminal to ask on
    #[arg(short = 'y', long)]
    yes: bool,
}

impl Consent {
    fn ask(&self, context: &Context, plan: &str, question: &str) -> Result<bool> {
        if self.dry_run { Ok(false) } else { confirm(context, self.yes, plan, question, None) }
    }
}

/// How damage is found.
#[derive(Debug, clap::Args)]
struct Look {
    /// Read all packs; without this, only those that the last `check --read-data` found to be bad
    #[arg(long, conflicts_with = "read_data_subset")]
    read_data: bool,
    /// Read a part of the packs: a share such as 5% or 1/7, or a size such as 500M
    #[arg(long, value_name = "SHARE|SIZE", value_parser = parse_amount)]
    read_data_subset: Option<Amount>,
    /// Read at most so much in a calendar month, as for `check`
    #[arg(long, value_name = "SIZE", value_parser = parse_limit)]
    egress_budget: Option<Limit>,
}

impl Look {
    fn amount(&self) -> Amount {
        if self.read_data { Amount::All } else { self.read_data_subset.unwrap_or(Amount::Doubtful) }
    }
}

/// Options of `repair index`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther -r REPO repair index --dry-run
  panther -r REPO repair index --yes

Of each pack that no sound index object names its two ends are read, no more. So nobody has looked at
its blobs: they can be restored, but backups store them anew rather than rely on them. With
--read-data the packs are read whole, and backups rely on what is right. docs/repair.md has more.")]
pub struct Index {
    /// Read the packs whole and check every blob
    #[arg(long)]
    read_data: bool,
    #[command(flatten)]
    consent: Consent,
}

/// Options of `repair packs`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther -r REPO check --read-data; panther -r REPO repair packs
  panther -r REPO repair packs --from /mnt/disk/copy-of-repo --yes
  panther -r REPO repair packs --source /mnt/old-disk --yes

What a bad pack still gives is stored anew. What it does not give is looked for in second copies of the
repository (--from), in the files at the snapshots' own paths and in panther's local Btrfs snapshots of
them, and below each --source; every blob is checked. Then the bad packs are condemned: nothing new
rests on them, and a prune removes them once nothing needs them. What is still lost is named; the next
backup of the machine that has it stores it again by itself. docs/repair.md has more.

Exit code 4: something is still lost, or nothing was changed.")]
pub struct Packs {
    #[command(flatten)]
    look: Look,
    /// A second copy of this repository, copied object by object; more than one: each in turn
    #[arg(long, value_name = "REPO")]
    from: Vec<OsString>,
    /// Look for the files of snapshots below this folder, too: an old disk, a restored copy
    #[arg(long, value_name = "DIR")]
    source: Vec<PathBuf>,
    /// Do not look at the files at the snapshots' own paths, nor at local snapshots
    #[arg(long)]
    no_live: bool,
    /// What backups of these files left out, where folders must be read again
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    secrets: SecondSecrets,
}

/// Options of `repair snapshots`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther -r REPO repair snapshots --dry-run
  panther -r REPO repair snapshots --yes --forget

Run `repair index` and `repair packs` first: this gives up what they could not bring back. Each
snapshot that is hit is written anew without the files that are lost, with its old time, host and tags;
it names the one that it was made from. The old one stays unless --forget is given.

Exit code 3: snapshots were written without what is lost; 4: nothing was changed.")]
pub struct Snapshots {
    #[command(flatten)]
    look: Look,
    /// Forget the snapshots that were written anew, unless they are pinned
    #[arg(long)]
    forget: bool,
    #[command(flatten)]
    consent: Consent,
}

/// Repairs.
pub fn run(repair: &Repair, context: &Context) -> Result<Outcome> {
    match repair {
        Repair::Index(options) => index(options, context),
        Repair::Packs(options) => packs(options, context),
        Repair::Snapshots(options) => snapshots(options, context),
    }
}

fn index(options: &Index, context: &Context) -> Result<Outcome> {
    let (repo, _) = open::repository(context)?;
    let state = open::state(context, &repo)?;
    let mut agree = |plan: &_| options.consent.ask(context, &report::index_text(plan), "write new index objects?");
    let how = IndexOptions { read_data: options.read_data };
    let done = repair_index(&repo, &state, &how, &context.ui, &mut agree)?;
    context.report(&done, || report::index_text(&done))?;
    let is_bad = done.dry_run || !done.unreadable.is_empty();
    Ok(if is_bad { Outcome::Damaged } else { Outcome::Complete })
}

fn packs(options: &Packs, context: &Context) -> Result<Outcome> {
    let (repo, opener) = open::repository(context)?;
    let state = open::state(context, &repo)?;
    let mut others = Vec::new();
    for name in &options.from {
        let other = options.secrets.open(name, &opener, context)?;
        if other.keys().repo() != repo.keys().repo() {
            return Err(Error::Usage(format!(
                "{} is another repository, not a copy of this one: restore from it, and name what was restored with --source",
                name.display()
            )));
        }
        others.push(other);
    }
    // What a copy has is learnt anew each time, and put nowhere: it is another place with the same id.
    let scratch = Scratch::new(&context.ui)?;
    let mut readers = Vec::new();
    for (number, other) in others.iter().enumerate() {
        let folder = scratch.path().join(number.to_string());
        let known = State::open(&folder, &other.keys().repo())?;
        let synced = other.sync(
            &known,
            None,
            &other.statements_for_reading(|error| context.ui.warn(&open::with_causes(error)))?,
        )?;
        synced.bad.iter().for_each(|error| context.ui.warn(&open::with_causes(error)));
        readers.push((BlobReader::new(other, &known)?, known));
    }
    let (readers, _states): (Vec<BlobReader<'_>>, Vec<State>) = readers.into_iter().unzip();
    let writer = open::signing_writer(context);
    let how = PacksOptions {
        read_data: options.look.amount(),
        budget: budget(options.look.egress_budget, context, &repo)?,
        sources: Sources {
            repositories: &readers,
            folders: &options.source,
            live: !options.no_live,
            excludes: &options.exclude,
        },
        writer: &writer,
    };
    let mut agree = |plan: &_| {
        options.consent.ask(
            context,
            &report::packs_text(plan),
            "store anew what can be had, and condemn the bad packs?",
        )
    };
    let done = repair_packs(&repo, &state, &how, &context.ui, &mut agree)?;
    context.report(&done, || report::packs_text(&done))?;
    Ok(if done.dry_run || done.lost_blobs > 0 { Outcome::Damaged } else { Outcome::Complete })
}

fn snapshots(options: &Snapshots, context: &Context) -> Result<Outcome> {
    let (repo, _) = open::repository(context)?;
    let state = open::state(context, &repo)?;
    let writer = open::signing_writer(context);
    let how = SnapshotsOptions {
        read_data: options.look.amount(),
        budget: budget(options.look.egress_budget, context, &repo)?,
        forget: options.forget,
        writer: &writer,
    };
    let mut agree = |plan: &_| {
        options.consent.ask(context, &report::snapshots_text(plan), "write the snapshots anew without this?")
    };
    let done = repair_snapshots(&repo, &state, &how, &context.ui, &mut agree)?;
    context.report(&done, || report::snapshots_text(&done))?;
    Ok(match (done.lost_paths, done.dry_run) {
        (0, _) => Outcome::Complete,
        (_, true) => Outcome::Damaged,
        (_, false) => Outcome::Incomplete,
    })
}
