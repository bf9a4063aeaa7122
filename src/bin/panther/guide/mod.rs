//! `panther restore` without arguments, on a terminal: what is to be restored is asked for, step by step.
//!
//! For somebody whose disk has died: a mistyped answer is asked for again, nothing is written before the last question, and the command that would do
//! the same is shown.

pub mod ask;
pub mod choose;
mod enter;

use crate::commands::Outcome;
use crate::context::Context;
use crate::open;
use ask::Asker;
use panther::ops::Progress as _;
use panther::ops::list::absolute;
use panther::ops::restore::{RestoreOptions, RestoreReport, restore};
use panther::repo::Repository;
use panther::repo::snapshots::Snapshot;
use panther::report::{restore as report, units};
use panther::state::State;
use panther::{Error, Result};
use rustix::fs::statvfs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Asks, and restores.
///
/// # Errors
/// [`Error::Interrupted`]; whatever stops the restore and is not tried again.
pub fn restore_guided(defaults: &RestoreOptions, context: &Context) -> Result<Outcome> {
    let asker = Asker { cancelled: &context.cancelled };
    asker.say(
        "A few questions; nothing is written before the last. Return takes what is in [brackets], Ctrl-C leaves.\n",
    );
    let (repo, location) = enter::repository(&asker, context)?;
    repo.keys().need_reader("restore")?;
    let statements = repo.statements_for_reading(|error| context.ui.warn(&open::with_causes(error)))?;
    let snapshots = choose::snapshots(&repo, &statements, context)?;
    let state = open::synced_state(context, &repo, &statements)?;
    loop {
        let snapshot = choose::snapshot(&asker, &snapshots, context)?;
        let Some((options, plan)) = what_and_where(&asker, context, &repo, &state, snapshot, defaults)? else {
            continue;
        };
        say_plan(&asker, context, snapshot, &options, &plan, &location);
        if !asker.yes("\nRestore this?")? {
            if asker.yes("Begin again with another snapshot?")? {
                continue;
            }
            asker.say("Nothing was written.");
            return Ok(Outcome::Complete);
        }
        return carry_out(&asker, context, &repo, &state, snapshot, options);
    }
}

/// What of the snapshot, and where to, with what that comes to; nothing if another snapshot is wanted.
fn what_and_where(
    asker: &Asker<'_>,
    context: &Context,
    repo: &Repository,
    state: &State,
    snapshot: &Snapshot,
    defaults: &RestoreOptions,
) -> Result<Option<(RestoreOptions, RestoreReport)>> {
    loop {
        let Some(path) = choose::path(asker, context, repo, state, snapshot)? else { return Ok(None) };
        let target = choose::target(asker, snapshot)?;
        let overwrite = !choose::is_free(&target);
        if overwrite {
            asker.say("There is something in it already: files of the same name are compared and, where they differ, written over; nothing is removed.");
        }
        let path = path.map(|path| absolute(&path));
        let options = RestoreOptions { path, target, overwrite, dry_run: true, ..defaults.clone() };
        match restore(repo, state, snapshot, &options, &context.ui) {
            Ok(plan) => {
                context.ui.finish();
                return Ok(Some((RestoreOptions { dry_run: false, ..options }, plan)));
            }
            Err(error @ (Error::Usage(_) | Error::Io { .. })) => {
                context.ui.finish();
                asker.say(&format!("That cannot be done: {}.\n", open::with_causes(&error)));
            }
            Err(error) => return Err(error),
        }
    }
}

fn say_plan(
    asker: &Asker<'_>,
    context: &Context,
    snapshot: &Snapshot,
    options: &RestoreOptions,
    plan: &RestoreReport,
    location: &str,
) {
    let bytes = plan.bytes + plan.bytes_skipped;
    let what = match &options.path {
        Some(path) => panther::report::text::name(path),
        None => "everything".to_owned(),
    };
    asker.say(&format!(
        "\n{what} of {}: {}, {}, {}\ninto {}",
        choose::described(snapshot, context),
        units::things(plan.files, "file", "files"),
        units::things(plan.dirs, "folder", "folders"),
        units::size(bytes),
        options.target.display()
    ));
    if let Some(free_bytes) = free_bytes(&options.target) {
        asker.say(&format!("{} are free there", units::size(free_bytes)));
        if free_bytes < plan.bytes {
            asker.say("WARNING: that is less than is to be restored");
        }
    }
    if !rustix::process::geteuid().is_root() {
        asker.say("You are not root: everything will belong to you, and what only root can make is left out");
    }
    asker.say(&format!("\nThe same without questions:\n  {}", command(snapshot, options, location)));
}

/// The command line that does this.
fn command(snapshot: &Snapshot, options: &RestoreOptions, location: &str) -> String {
    let id = snapshot.head.id.to_hex();
    let mut what = id.get(..16).unwrap_or(&id).as_bytes().to_vec();
    if let Some(path) = &options.path {
        what.push(b':');
        what.extend(path);
    }
    let target = options.target.as_os_str().as_bytes();
    let words = [b"panther", &b"-r"[..], location.as_bytes(), b"restore", &what, b"--target", target];
    let quoted = words.map(|word| shell_words::quote(&String::from_utf8_lossy(word)).into_owned());
    quoted.join(" ") + if options.overwrite { " --overwrite" } else { "" }
}

/// What is free where the target is or will be.
fn free_bytes(target: &Path) -> Option<u64> {
    let target = std::path::absolute(target).ok()?;
    let there = target.ancestors().find(|path| path.is_dir())?;
    statvfs(there).ok().map(|about| about.f_bavail.saturating_mul(about.f_frsize))
}

/// Restores; what stops it can be put right and tried again.
fn carry_out(
    asker: &Asker<'_>,
    context: &Context,
    repo: &Repository,
    state: &State,
    snapshot: &Snapshot,
    mut options: RestoreOptions,
) -> Result<Outcome> {
    loop {
        let done = restore(repo, state, snapshot, &options, &context.ui);
        context.ui.finish();
        let error = match done {
            Ok(done) => {
                open::warn_of_oddities(context, repo);
                asker.say("");
                context.report(report::Body { snapshot: snapshot.head.id, report: &done }, || {
                    report::text(snapshot.head.id, &done)
                })?;
                asker.say("Each piece of content was held against its id as it was read.");
                return Ok(if done.incomplete { Outcome::Incomplete } else { Outcome::Complete });
            }
            Err(error @ Error::Interrupted) => {
                asker.say("Stopped. The command above goes on from here, with --overwrite.");
                return Err(error);
            }
            Err(error) => error,
        };
        asker.say(&format!("It stopped: {}.", open::with_causes(&error)));
        // What is there by now is this restore's own.
        options.overwrite = true;
        if !asker.yes("When that is put right: go on from here?")? {
            return Err(error);
        }
    }
}
