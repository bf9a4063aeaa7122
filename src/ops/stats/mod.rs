//! `stats`: what is stored, for which host, and what each snapshot alone costs.
//!
//! - `walk`: which snapshot needs which blob
//! - `sorter`: sorts that through files
//!
//! Memory: some 60 bytes for each tree blob, of which there is about one for fifty blobs; the rest is on the disk, beside the local state, while this runs.

mod sorter;
mod walk;

use crate::cost::PriceList;
use crate::error::{Error, Result};
use crate::format::time::Time;
use crate::id::{BlobId, ObjectId};
use crate::ops::{Progress, Totals};
use crate::repo::Repository;
use crate::repo::reader::BlobReader;
use crate::repo::snapshots::Snapshot;
use crate::state::State;
use crate::state::blobs::{BlobKey, PackInfo};
use sorter::Sorter;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;
use walk::{HOSTS, Walk};

/// Stack for a walk: a few functions for each of up to 4,096 levels. Only what is used of it costs memory.
const STACK_BYTES: usize = 256 << 20;
/// Packs that are remembered while blobs are looked up.
const PACKS: usize = 4_096;
/// A blob's share of its segment is counted in so many parts of a byte.
const PARTS: u128 = 1 << 10;

/// Blobs and what they take.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Amounts {
    /// Blobs.
    pub blobs: u64,
    /// Their plaintext.
    pub plain_bytes: u64,
    /// What they take in packs: of each segment the share that a blob has of its plaintext.
    pub stored_bytes: u64,
}

/// A snapshot.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct SnapshotStats {
    /// Its id.
    pub id: ObjectId,
    /// Its host.
    pub host: String,
    /// When the backup began.
    pub started: Time,
    /// Names of regular files.
    pub files: u64,
    /// What a restore of it writes.
    pub restore_bytes: u64,
    /// What no other snapshot needs: forgetting just this one frees it, once a prune has run.
    pub alone: Amounts,
    /// What that costs in a month of 30 days where nothing of it is free; none where there is no price.
    pub alone_month_dollars: Option<f64>,
}

/// All snapshots of a host.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct HostStats {
    /// Its name.
    pub host: String,
    /// Its snapshots.
    pub snapshots: u64,
    /// What restores of all of them would write.
    pub restore_bytes: u64,
    /// What they need, each blob once.
    pub needed: Amounts,
    /// What no snapshot of another host needs.
    pub alone: Amounts,
}

/// What is stored.
#[derive(Clone, PartialEq, Debug, Default, serde::Serialize)]
pub struct StatsReport {
    /// The snapshots that were asked for, oldest first.
    pub snapshots: Vec<SnapshotStats>,
    /// All hosts, by name.
    pub hosts: Vec<HostStats>,
    /// All snapshots of the repository.
    pub all_snapshots: u64,
    /// What restores of all of them would write.
    pub restore_bytes: u64,
    /// What all of them need, each blob once.
    pub needed: Amounts,
    /// Packs that index objects name.
    pub packs: u64,
    /// Their bytes.
    pub pack_bytes: u64,
    /// What all packs cost in a month of 30 days if nothing of it is free; none where there is no price. `cost` knows the account.
    pub month_dollars: Option<f64>,
    /// Of these what no snapshot needs, and what packs have beside blobs.
    pub other_bytes: u64,
    /// Plaintext by what it takes in packs; none if there is nothing.
    pub compression_ratio: Option<f64>,
    /// What restores of all snapshots would write by the plaintext of the blobs; none if there is nothing.
    pub dedup_ratio: Option<f64>,
    /// Parts of trees that could not be read, and blobs that no index object names: what is below them does not count.
    pub unread: u64,
    /// How long it took.
    pub elapsed_secs: f64,
}

/// An amount in the making.
#[derive(Clone, Copy, Default)]
struct Sum {
    blobs: u64,
    plain_bytes: u64,
    stored_parts: u128,
}

impl Sum {
    fn add(&mut self, plain_bytes: u32, stored_parts: u128) {
        self.blobs += 1;
        self.plain_bytes += u64::from(plain_bytes);
        self.stored_parts += stored_parts;
    }

    fn amounts(&self) -> Amounts {
        let stored_bytes = u64::try_from(self.stored_parts / PARTS).unwrap_or(u64::MAX);
        Amounts { blobs: self.blobs, plain_bytes: self.plain_bytes, stored_bytes }
    }
}

/// Counts over all snapshots of `all`; `is_shown` says of which figures are wanted one by one; with `prices` also what that costs. `state` is up to date.
///
/// # Errors
/// [`Error::Role`] for a writer's key; [`Error::Store`], [`Error::State`], [`Error::Io`], [`Error::Interrupted`]. What is damaged is counted as unread.
pub fn stats(
    repo: &Repository,
    state: &State,
    all: &[Snapshot],
    is_shown: impl Fn(&Snapshot) -> bool,
    prices: Option<&PriceList>,
    progress: &dyn Progress,
) -> Result<StatsReport> {
    let begun = Instant::now();
    let mut names: Vec<&str> = all.iter().map(|snapshot| &snapshot.head.cover.host[..]).collect();
    names.sort_unstable();
    names.dedup();
    names.truncate(HOSTS);
    let host_of = |snapshot: &Snapshot| {
        let found = names.binary_search(&&snapshot.head.cover.host[..]);
        found.unwrap_or(HOSTS - 1).min(HOSTS - 1)
    };
    let reader = BlobReader::new(repo, state)?;
    let entries = |s: &Snapshot| s.manifest.summary.files + s.manifest.summary.dirs + s.manifest.summary.others;
    progress.stage("trees", Totals { files: all.iter().map(entries).max(), bytes: None });
    let folder = state.path().with_file_name("spool");
    let mut walk = Walk::new(&reader, Sorter::new(&folder), progress);
    let walk = std::thread::scope(|scope| {
        let run = || {
            for (number, snapshot) in (0..).zip(all) {
                walk.snapshot(number, host_of(snapshot), &snapshot.manifest)?;
            }
            Ok::<_, Error>(walk)
        };
        let thread = std::thread::Builder::new().name("stats".into()).stack_size(STACK_BYTES);
        let handle = thread.spawn_scoped(scope, run).map_err(|e| Error::io("start a thread for", "the trees", e))?;
        handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    let mut report = StatsReport { unread: walk.unread, all_snapshots: all.len() as u64, ..StatsReport::default() };

    progress.stage("add up", Totals::default());
    let mut places = Places { reader: &reader, packs: HashMap::new() };
    let (mut total, mut alone) = (Sum::default(), vec![Sum::default(); all.len()]);
    let (mut of_host, mut host_alone) = (vec![Sum::default(); names.len()], vec![Sum::default(); names.len()]);
    let hosts: Vec<usize> = all.iter().map(host_of).collect();
    walk.pairs.finish(|key, snapshots| {
        let Some((plain_bytes, stored_parts)) = places.find(&key)? else {
            report.unread += 1;
            return Ok(());
        };
        total.add(plain_bytes, stored_parts);
        let mut needed: Vec<usize> = snapshots.iter().filter_map(|n| hosts.get(*n as usize)).copied().collect();
        needed.sort_unstable();
        needed.dedup();
        if let [one] = snapshots {
            alone.iter_mut().skip(*one as usize).take(1).for_each(|sum| sum.add(plain_bytes, stored_parts));
        }
        if let [host] = needed[..] {
            host_alone.iter_mut().skip(host).take(1).for_each(|sum| sum.add(plain_bytes, stored_parts));
        }
        for host in needed {
            of_host.iter_mut().skip(host).take(1).for_each(|sum| sum.add(plain_bytes, stored_parts));
        }
        Ok(())
    })?;
    reader.view().each_pack(|_, info| {
        report.packs += 1;
        report.pack_bytes += info.size_bytes;
        Ok(())
    })?;
    report.needed = total.amounts();
    report.other_bytes = report.pack_bytes.saturating_sub(report.needed.stored_bytes);
    let restore_bytes = |snapshot: &Snapshot| snapshot.manifest.summary.source_bytes;
    report.restore_bytes = all.iter().map(restore_bytes).sum();
    for (number, name) in names.iter().enumerate() {
        let own = || all.iter().zip(&hosts).filter(move |(_, host)| **host == number).map(|(snapshot, _)| snapshot);
        let host = if number + 1 == HOSTS { "(others)".to_owned() } else { (*name).to_owned() };
        report.hosts.push(HostStats {
            host,
            snapshots: own().count() as u64,
            restore_bytes: own().map(restore_bytes).sum(),
            needed: of_host[number].amounts(),
            alone: host_alone[number].amounts(),
        });
    }
    for (snapshot, alone) in all.iter().zip(&alone).filter(|(snapshot, _)| is_shown(snapshot)) {
        report.snapshots.push(SnapshotStats {
            id: snapshot.head.id,
            host: snapshot.head.cover.host.clone(),
            started: snapshot.head.cover.started,
            files: snapshot.manifest.summary.files,
            restore_bytes: restore_bytes(snapshot),
            alone: alone.amounts(),
            alone_month_dollars: prices.map(|prices| prices.month(alone.amounts().stored_bytes).as_f64()),
        });
    }
    report.month_dollars = prices.map(|prices| prices.month(report.pack_bytes).as_f64());
    report.compression_ratio = ratio(report.needed.plain_bytes, report.needed.stored_bytes);
    report.dedup_ratio = ratio(report.restore_bytes, report.needed.plain_bytes);
    report.elapsed_secs = begun.elapsed().as_secs_f64();
    Ok(report)
}

#[allow(clippy::cast_precision_loss)]
fn ratio(a: u64, b: u64) -> Option<f64> {
    (b > 0).then(|| a as f64 / b as f64)
}

/// Looks up what blobs take.
struct Places<'a> {
    reader: &'a BlobReader<'a>,
    packs: HashMap<u32, Arc<PackInfo>>,
}

impl Places<'_> {
    /// Plaintext bytes of a blob and its share of its segment; nothing if no index object names it.
    fn find(&mut self, key: &BlobKey) -> Result<Option<(u32, u128)>> {
        // Places are looked up by the beginning of an id only.
        let mut id = BlobId([0; 32]);
        id.0[..key.len()].copy_from_slice(key);
        let Some(place) = self.reader.view().place(&id)? else { return Ok(None) };
        if self.packs.len() >= PACKS {
            self.packs.clear();
        }
        let info = match self.packs.get(&place.pack) {
            Some(info) => Arc::clone(info),
            None => {
                let info = self.reader.view().pack(place.pack)?;
                self.packs.insert(place.pack, Arc::clone(&info));
                info
            }
        };
        let Some(segment) = info.segments.get(usize::from(place.segment)) else { return Ok(None) };
        let whole = u128::from(segment.plain_bytes.max(1));
        let parts = u128::from(segment.stored_bytes) * u128::from(place.len_bytes) * PARTS / whole;
        Ok(Some((place.len_bytes, parts)))
    }
}
