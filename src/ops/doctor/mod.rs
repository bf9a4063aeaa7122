//! `doctor`: whether everything that a backup or a restore needs is as it should be. One file a check.
//!
//! - [`report`]: what is found
//! - `reach`: the store can be reached, the application keys are good
//! - `clock`: this machine's clock and the store's
//! - `bucket`: the bucket's settings: private, lifecycle rules, Object Lock
//! - `capabilities`: what the application keys may do, by what the service says
//! - `powers`: the same, tried out without doing any harm
//! - `listing`: what is stored is listed, and can be read
//! - `writer`: this machine's folder and its chain of snapshots
//! - `state`: the local state
//! - `space`: room for state and spool
//! - `parents`: the Btrfs snapshots with which the next backups compare
//!
//! A check says nothing where it does not apply, or where something before it keeps it from knowing anything.

mod bucket;
mod capabilities;
mod clock;
mod listing;
mod parents;
mod powers;
mod reach;
pub mod report;
mod space;
mod state;
mod writer;

pub use bucket::refuse_harm;
pub use report::{DoctorReport, Grade, Line};

use crate::backend::Backend;
use crate::backend::b2::B2Backend;
use crate::backend::b2::roles::Purpose;
use crate::error::{Error, Result};
use crate::format::keyfile::Role;
use crate::id::WriterName;
use crate::ops::{Progress, Totals};
use crate::repo::{Repository, read_config};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// What is to be looked at.
pub struct Patient {
    /// The store; why there is none.
    pub store: Result<Arc<dyn Backend>>,
    /// The same, if it is one of Backblaze B2.
    pub b2: Option<Arc<B2Backend>>,
    /// Whether new objects are to be locked.
    pub with_lock: bool,
    /// Below which the states of all repositories are; nothing if nobody knows where.
    pub state_folder: Option<PathBuf>,
}

/// The repository, opened once the store can be reached, and the name under which this machine writes.
pub type Opener<'a> = &'a dyn Fn(&Arc<dyn Backend>) -> Result<(Repository, Option<WriterName>)>;

/// Looks at everything. What is wrong is in the report.
pub fn doctor(patient: &Patient, open: Opener<'_>, progress: &dyn Progress) -> DoctorReport {
    let begun = Instant::now();
    let mut lines = Vec::new();
    progress.stage("the store", Totals::default());
    let repo = store(patient, open, progress, &mut lines);
    progress.stage("this machine", Totals::default());
    lines.extend(state::lines(patient, repo.as_ref()));
    lines.extend(space::lines(patient));
    lines.extend(parents::lines(patient, repo.as_ref()));
    DoctorReport::new(lines, begun.elapsed().as_secs_f64())
}

/// Looks at the store; the repository in it, if it could be opened.
fn store(patient: &Patient, open: Opener<'_>, progress: &dyn Progress, lines: &mut Vec<Line>) -> Option<Repository> {
    let store = match &patient.store {
        Ok(store) => store,
        Err(error) => {
            lines.push(Line::failed("store", error));
            return None;
        }
    };
    lines.extend(reach::lines(&**store, patient.b2.as_deref()));
    if lines.iter().any(|line| line.grade == Grade::Error) {
        return None;
    }
    if let Some(b2) = patient.b2.as_deref() {
        lines.extend(clock::lines(b2));
    }
    let config = read_config(&**store);
    if let Err(error) = &config {
        lines.push(Line::failed("repository", error));
    }
    let opened = config.and_then(|_| open(store));
    // What the keys should be able to do depends on what this machine is.
    let (role, writer) = match &opened {
        Ok((repo, writer)) => (Some(repo.keys().role()), writer.clone()),
        Err(_) => (None, None),
    };
    if let Some(b2) = patient.b2.as_deref() {
        let machine = Machine { role, writer: writer.clone(), with_lock: patient.with_lock };
        let bucket = bucket::look(b2);
        lines.extend(bucket::lines(b2, &bucket, role, patient.with_lock));
        lines.extend(capabilities::lines(b2, &machine));
        lines.extend(powers::lines(b2, &machine));
    }
    progress.stage("the repository", Totals::default());
    match opened {
        Ok((repo, _)) => {
            lines.push(repository(&repo));
            lines.extend(listing::lines(patient, &repo));
            lines.extend(writer::lines(&repo, writer.as_ref()));
            Some(repo)
        }
        // Said above.
        Err(Error::NoRepository(_)) => None,
        Err(error) => {
            if !lines.iter().any(|line| line.check == "repository") {
                lines.push(Line::failed("repository", &error));
            }
            None
        }
    }
}

fn repository(repo: &Repository) -> Line {
    let (label, _) = repo.keys().label();
    let role = repo.keys().role().as_str();
    Line::ok("repository", format!("{} opens with the {role} key {label:?}", repo.config().repo.short()))
}

/// What this machine does.
struct Machine {
    /// Nothing if no key has been opened.
    role: Option<Role>,
    writer: Option<WriterName>,
    with_lock: bool,
}

impl Machine {
    /// What its own application key is for.
    fn purpose(&self) -> Option<Purpose> {
        self.role.map(|role| match role {
            Role::Writer => Purpose::Writing,
            Role::Reader => Purpose::Reading,
            Role::Admin => Purpose::Admin,
        })
    }
}
