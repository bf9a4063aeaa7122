//! The second stage: what the target has already is compared, and the blobs that it needs are read and checked.

use super::inplace;
use super::run::Run;
use super::window::{Ready, Source, Task, Want, Window};
use crate::error::{Error, Result};
use crate::format::header::BlobKind;
use crate::repo::reader::Blob;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

type Fetched = Result<Blob, Arc<str>>;

/// Fetches what a window needs.
pub(super) fn fetch(run: &Run<'_>, mut window: Window) -> Ready {
    let mut blobs: Vec<Option<Fetched>> = Vec::new();
    blobs.resize_with(window.wants.len(), || None);
    if run.is_stopped() {
        return Ready { window, blobs };
    }
    let mut needed = vec![true; window.wants.len()];
    if window.tasks.iter().any(|task| matches!(task, Task::File(task) if task.file.existing.is_some())) {
        let wants = &window.wants;
        run.pool.install(|| {
            window.tasks.par_iter_mut().for_each(|task| {
                if let Task::File(task) = task {
                    inplace::compare(run, task, wants);
                }
            });
        });
        needed = needed_blobs(&window);
    }
    // In the order of the store, so that packs are read from front to back.
    let mut segments: BTreeMap<(u32, u16), Vec<usize>> = BTreeMap::new();
    for (number, want) in window.wants.iter().enumerate().filter(|(number, _)| needed[*number]) {
        match &want.place {
            Ok(place) => segments.entry((place.pack, place.segment)).or_default().push(number),
            Err(why) => blobs[number] = Some(Err(Arc::clone(why))),
        }
    }
    run.reader.announce(&segments.keys().copied().collect::<Vec<_>>());
    let segments: Vec<_> = segments.into_iter().collect();
    let fetched: Vec<Vec<(usize, Fetched)>> = run.pool.install(|| {
        let one = |((pack, ordinal), numbers): &((u32, u16), Vec<usize>)| {
            segment(run, *pack, *ordinal, numbers, &window.wants)
        };
        segments.par_iter().with_max_len(1).map(one).collect()
    });
    for (number, blob) in fetched.into_iter().flatten() {
        blobs[number] = Some(blob);
    }
    // What could not be had from one pack may be in another.
    for (want, blob) in window.wants.iter().zip(&mut blobs) {
        if matches!(blob, Some(Err(_)))
            && !run.is_stopped()
            && let Ok(copy) =
                run.reader.further(BlobKind::Data, &want.id, Some(want.len_bytes), Error::Missing(String::new()))
        {
            *blob = Some(Ok(copy));
        }
    }
    Ready { window, blobs }
}

/// The blobs that are wanted of one segment.
fn segment(run: &Run<'_>, pack: u32, ordinal: u16, numbers: &[usize], wants: &[Want]) -> Vec<(usize, Fetched)> {
    if run.is_stopped() {
        return Vec::new();
    }
    let read = match run.missing_pack(pack) {
        Some(why) => Err(why),
        None => run.reader.segment(pack, ordinal).map_err(|error| run.segment_problem(pack, &error)),
    };
    let plain = match read {
        Ok(plain) => plain,
        Err(why) => {
            return numbers.iter().map(|number| (*number, Err(Arc::clone(&why)))).collect();
        }
    };
    run.read_well();
    let take = |want: &Want| {
        let place = want.place.as_ref().map_err(Arc::clone)?;
        let taken = run.reader.take(&plain, place, BlobKind::Data, &want.id, want.len_bytes);
        taken.map_err(|error| Arc::from(run.read_problem(&error)))
    };
    numbers.iter().map(|number| (*number, take(&wants[*number]))).collect()
}

fn needed_blobs(window: &Window) -> Vec<bool> {
    let mut needed = vec![false; window.wants.len()];
    for task in &window.tasks {
        let Task::File(task) = task else { continue };
        for piece in task.pieces.iter().filter(|piece| !piece.is_right) {
            if let Source::Blob(number) = piece.source
                && let Some(slot) = needed.get_mut(number as usize)
            {
                *slot = true;
            }
        }
    }
    needed
}
