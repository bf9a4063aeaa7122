//! What this machine knows about how its backups are, without asking the store.

use crate::context::Context;
use crate::{money, open};
use panther::config::types::{HostClass, Objective};
use panther::format::time::Time;
use panther::id::WriterName;
use panther::report::metrics::{Disk, Facts, LocalNewest};
use panther::state::runs::{RunRecord, Runs};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What is needed for [`Facts`], owned.
pub struct Known {
    /// The name that this machine writes under.
    pub host: String,
    /// The repository.
    pub repository: String,
    /// What the machine is to keep to.
    pub objective: Objective,
    /// Its runs on this repository, oldest first.
    pub runs: Vec<RunRecord>,
    disks: Vec<Disk>,
    local: Vec<LocalNewest>,
    budget_dollars: Option<f64>,
    now_secs: i64,
}

impl Known {
    /// Looks at everything. What cannot be read is missing.
    pub fn gather(context: &Context) -> Self {
        let location = context.record.lock().map(|record| record.location.clone()).unwrap_or_default();
        let given = || open::location(context).ok().flatten().unwrap_or_default();
        let repository = if location.is_empty() { given() } else { location };
        let mut runs =
            open::state_folder(context).ok().and_then(|folder| Runs::at(&folder).all().ok()).unwrap_or_default();
        // Local snapshots are of no repository.
        runs.retain(|run| run.location == repository || run.location.is_empty());
        let host = open::host();
        let host = context.globals.writer.clone().unwrap_or_else(|| WriterName::from_host(&host)).to_string();
        let limits = money::limits(context);
        Self {
            host,
            repository,
            objective: context.profile().and_then(|p| p.objective.clone()).unwrap_or_default(),
            runs,
            disks: disks(context),
            local: local(context),
            budget_dollars: limits.warn.or(limits.stop).map(panther::cost::NanoDollars::as_f64),
            now_secs: Time::now().secs,
        }
    }

    /// As reports take it.
    pub fn facts(&self) -> Facts<'_> {
        Facts {
            now_secs: self.now_secs,
            host: &self.host,
            repository: &self.repository,
            class: self.class(),
            recovery_point_secs: self.objective.recovery_point_secs(),
            recovery_time_secs: self.objective.recovery_time_secs(),
            budget_dollars: self.budget_dollars,
            runs: &self.runs,
            disks: &self.disks,
            local: &self.local,
        }
    }

    fn class(&self) -> HostClass {
        self.objective.class()
    }
}

/// The subvolumes and paths of the profile's sources.
pub fn source_paths(context: &Context) -> Vec<PathBuf> {
    let sources = context.profile().map(|profile| &profile.sources[..]).unwrap_or_default();
    sources
        .iter()
        .filter_map(|source| source.path.as_ref().or(source.subvolume.as_ref()))
        .map(|p| p.get().clone())
        .collect()
}

fn disks(context: &Context) -> Vec<Disk> {
    let state = open::state_folder(context).ok();
    let (mut seen, mut found) = (Vec::new(), Vec::new());
    for path in source_paths(context).into_iter().chain(state) {
        let there = path.ancestors().find(|above| above.exists()).unwrap_or(Path::new("/")).to_owned();
        let Ok(device) = std::fs::metadata(&there).map(|meta| meta.dev()) else { continue };
        let Ok(room) = rustix::fs::statvfs(&there) else { continue };
        if seen.contains(&device) {
            continue;
        }
        seen.push(device);
        found.push(Disk {
            path: there.display().to_string(),
            free_bytes: room.f_bavail.saturating_mul(room.f_frsize),
            total_bytes: room.f_blocks.saturating_mul(room.f_frsize),
        });
    }
    found
}

fn local(context: &Context) -> Vec<LocalNewest> {
    let Some(profile) = context.profile() else { return Vec::new() };
    let named = profile.snapshots.as_ref().map(|s| s.subvolumes.clone()).unwrap_or_default();
    let of_sources = profile.sources.iter().filter_map(|source| source.subvolume.clone());
    let all: Vec<PathBuf> =
        if named.is_empty() { of_sources.collect() } else { named }.iter().map(|p| p.get().clone()).collect();
    let one = |path: &PathBuf| {
        let listed = panther::ops::local_snapshots::list(std::slice::from_ref(path)).ok()?;
        let snapshots = &listed.first()?.snapshots;
        let newest = snapshots.iter().map(|snapshot| snapshot.time).max()?;
        Some(LocalNewest {
            subvolume: path.display().to_string(),
            taken_secs: newest.secs,
            count: snapshots.len() as u64,
        })
    };
    all.iter().filter_map(one).collect()
}
