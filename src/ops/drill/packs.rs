//! Packs picked at random and read.

use super::confidence::most_bad_share;
use super::record::DrillRecord;
use super::sample::Dice;
use crate::error::{Error, Result};
use crate::format::limits;
use crate::format::name::Name;
use crate::id::ObjectId;
use crate::ops::{Progress, Totals};
use crate::repo::Repository;

/// Reads packs that are picked evenly from all of the repository, whole: their names are the hashes of their bytes. `left_bytes` is what may be read, and
/// afterwards what is left of it.
///
/// # Errors
/// [`Error::Store`]; [`Error::Interrupted`].
pub(super) fn read_some(
    repo: &Repository,
    mut all: Vec<(Name, u64)>,
    (most, left_bytes): (usize, &mut u64),
    dice: &mut Dice,
    record: &mut DrillRecord,
    named: &mut Vec<String>,
    progress: &dyn Progress,
) -> Result<()> {
    all.retain(|(name, _)| matches!(name, Name::Pack(..)));
    record.packs = all.len() as u64;
    let picked = dice.pick(all, most);
    progress.stage("read packs", Totals { files: Some(picked.len() as u64), bytes: None });
    for (name, size_bytes) in picked {
        if progress.cancelled() {
            return Err(Error::Interrupted);
        }
        // A pack that is left out for its size would make the sample less even; so it ends here.
        if size_bytes > *left_bytes {
            progress.warn("the egress budget of the month leaves no room for more packs");
            break;
        }
        *left_bytes -= size_bytes;
        record.read_packs += 1;
        if !is_sound(repo, &name)? {
            record.bad_packs += 1;
            named.push(format!("{name} is damaged or missing"));
        }
        progress.advance(1, size_bytes);
    }
    record.bad_share = most_bad_share(record.packs, record.read_packs, record.bad_packs);
    if record.bad_packs > 0 {
        record.problems.push(format!("{} of {} packs are damaged or missing", record.bad_packs, record.read_packs));
    }
    Ok(())
}

/// Whether a pack's bytes are those of its name, by some way of reading.
fn is_sound(repo: &Repository, name: &Name) -> Result<bool> {
    let (backend, text) = (repo.backend(), name.to_string());
    let is_right = |bytes: &[u8]| Some(ObjectId::of(bytes)) == name.id();
    match backend.get(&text, limits::PACK_BYTES) {
        Ok(bytes) if is_right(&bytes) => return Ok(true),
        Err(error) if error.ends_the_run() => return Err(Error::store("read", name, error)),
        _ => {}
    }
    for attempt in 0..3 {
        match backend.get_again(&text, limits::PACK_BYTES, attempt) {
            Ok(Some(bytes)) if is_right(&bytes) => return Ok(true),
            Ok(None) => break,
            Err(error) if error.ends_the_run() => return Err(Error::store("read", name, error)),
            _ => {}
        }
    }
    Ok(false)
}
