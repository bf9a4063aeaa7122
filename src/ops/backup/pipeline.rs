//! The threads of a backup: one walks, some read, one assembles; storing has its own (see [`crate::repo::writer`]).

use crate::error::{Error, Result};
use crate::ops::Progress;
use crate::source::items::{Batch, Sink};
use crate::source::read::ReadContext;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError};

/// Data that is read but not assembled yet.
const IN_FLIGHT_BYTES: usize = 16 << 20;
/// Batches that are under way.
const IN_FLIGHT_BATCHES: usize = 16;

/// So much memory for what is under way.
#[derive(Default)]
struct Budget {
    used: Mutex<Used>,
    freed: Condvar,
}

#[derive(Default)]
struct Used {
    bytes: usize,
    batches: usize,
    /// Nobody gives back any more: nobody is to wait.
    closed: bool,
}

impl Budget {
    /// Waits until there is room. What is larger than the whole budget passes alone.
    fn take(&self, bytes: usize) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |u: &Used| u.batches > 0 && (u.bytes + bytes > IN_FLIGHT_BYTES || u.batches >= IN_FLIGHT_BATCHES);
        while !used.closed && full(&used) {
            used = self.freed.wait(used).unwrap_or_else(PoisonError::into_inner);
        }
        used.bytes += bytes;
        used.batches += 1;
    }

    fn give(&self, bytes: usize) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.bytes -= bytes;
        used.batches -= 1;
        self.freed.notify_one();
    }

    fn close(&self) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.freed.notify_all();
    }
}

/// The walk's end of the pipeline.
pub(super) struct Numbered<'a> {
    work: Sender<(u64, Batch)>,
    next: u64,
    budget: &'a Budget,
    progress: &'a dyn Progress,
}

impl Sink for Numbered<'_> {
    fn put(&mut self, batch: Batch) -> Result<()> {
        if self.progress.cancelled() {
            return Err(Error::Interrupted);
        }
        self.budget.take(batch.weight_bytes);
        let number = self.next;
        self.next += 1;
        self.work.send((number, batch)).map_err(|_| Error::Aborted)
    }
}

/// Runs `walk` in a thread of its own, reads what it names in `readers` threads, and hands the batches to `assemble` in order, in this thread.
///
/// # Errors
/// What either says; that of `assemble` first.
pub(super) fn run(
    read: &ReadContext<'_>,
    readers: usize,
    progress: &dyn Progress,
    walk: impl FnOnce(Numbered<'_>) -> Result<()> + Send,
    mut assemble: impl FnMut(Batch, &[u8]) -> Result<()>,
) -> Result<()> {
    let budget = Budget::default();
    let (work, jobs) = bounded::<(u64, Batch)>(IN_FLIGHT_BATCHES);
    let (finished, done) = unbounded::<(u64, usize, Batch)>();
    std::thread::scope(|scope| {
        let budget = &budget;
        // Folders may be nested deeply, and each takes a stack frame.
        let walker = std::thread::Builder::new()
            .name("walk".into())
            .stack_size(256 << 20)
            .spawn_scoped(scope, move || walk(Numbered { work, next: 0, budget, progress }))
            .map_err(|e| Error::io("start", "the walking thread", e))?;
        for _ in 0..readers.max(1) {
            let (jobs, finished) = (jobs.clone(), finished.clone());
            scope.spawn(move || read_all(read, &jobs, &finished));
        }
        drop((jobs, finished));
        let mut waiting = BTreeMap::new();
        let mut next = 0;
        let mut result = Ok(());
        for (number, weight, batch) in done {
            waiting.insert(number, (weight, batch));
            while let Some((weight, mut batch)) = waiting.remove(&next) {
                next += 1;
                let data = std::mem::take(&mut batch.data);
                if result.is_ok() {
                    result = assemble(batch, &data);
                }
                read.buffers.give(data);
                budget.give(weight);
            }
            // The walk stops at its next batch: readers are gone, or it is told so below.
            if result.is_err() {
                break;
            }
        }
        // After a failure the walk runs into a closed queue rather than wait for room.
        budget.close();
        drop(waiting);
        let walked = walker.join().map_err(|_| Error::Aborted)?;
        result.and(walked)
    })
}

fn read_all(read: &ReadContext<'_>, jobs: &Receiver<(u64, Batch)>, finished: &Sender<(u64, usize, Batch)>) {
    for (number, mut batch) in jobs {
        let weight = batch.weight_bytes;
        read.process(&mut batch);
        if finished.send((number, weight, batch)).is_err() {
            // Nobody assembles any more.
            return;
        }
    }
}
