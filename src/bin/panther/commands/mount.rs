//! `mount`: snapshots as a read-only file system.

use super::Outcome;
use crate::cli::Filter;
use crate::context::{Context, write_failed};
use crate::reading::Reading;
use crate::ui::Ui;
use panther::ops::Progress;
use panther::ops::mount::{MountOptions, mount};
use panther::repo::reader::BlobReader;
use panther::report::mount::Mounted;
use panther::{Error, Result};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

/// Options of `mount`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mkdir /tmp/backup && panther -r REPO mount /tmp/backup
  cp -a /tmp/backup/hosts/yoga/latest/home/me/Documents ~/restored
  panther -r REPO mount /mnt --host yoga --tag daily --allow-other

The snapshots are below ids/; snapshots/, hosts/NAME/ and tags/TAG/ have links to them by time, and latest.
It shows those that there were at the start. It ends with Ctrl-C, SIGTERM, or `umount`. Should the program
be killed so that it cannot unmount, nothing hangs: the folder answers with errors until `umount -l` (or
`fusermount3 -uz`) or the next mount there. As another user than root it needs fusermount3.")]
pub struct Options {
    /// An empty folder
    #[arg(value_name = "FOLDER")]
    target: PathBuf,
    /// Let other users look, too, as far as the permissions of the files allow it; needs root or user_allow_other in /etc/fuse.conf
    #[arg(long)]
    allow_other: bool,
    #[command(flatten)]
    filter: Filter,
}

/// Mounts, and answers until that ends.
pub fn run(options: &Options, context: &Context) -> Result<Outcome> {
    let filter = options.filter.make()?;
    let reading = Reading::open(context, "mount snapshots")?;
    let Reading { repo, state, mut snapshots, .. } = reading;
    snapshots.retain(|snapshot| filter.matches(snapshot));
    if snapshots.is_empty() {
        return Err(Error::Usage("the repository has no snapshot that fits".into()));
    }
    let count = snapshots.len() as u64;
    // The threads that answer the kernel may outlive this function, so what they read from lasts as long as the process.
    let repo = Box::leak(Box::new(repo));
    let state = Box::leak(Box::new(state.set_apart()?));
    let reader = BlobReader::new(repo, state)?;
    let (quiet, verbose) = (context.globals.quiet, context.globals.verbose);
    let ui: Arc<dyn Progress + Send> = Arc::new(Ui::new(quiet, verbose, Arc::clone(&context.cancelled)));
    let mount_options = MountOptions { target: options.target.clone(), allow_other: options.allow_other };
    let say = |kind: &'static str, target: &std::path::Path| {
        let mut out = context.out();
        let line = Mounted::new(kind, target, count);
        if context.globals.json {
            context.line(&mut out, &line)?;
        } else if !context.globals.quiet {
            write!(out, "{}", line.text()).map_err(write_failed)?;
        }
        out.flush().map_err(write_failed)
    };
    mount(reader, snapshots, &context.zone, &mount_options, &ui, |target| say("mounted", target))?;
    say("unmounted", &options.target)?;
    Ok(Outcome::Complete)
}
