//! Records signed, kept, and read again: a file each on the machine that has drilled, and in the repository, where every holder of a key finds them.

use super::record::DrillRecord;
use crate::error::{Error, Result, StoreError};
use crate::format::cert::CertBody;
use crate::format::gc::Gc;
use crate::format::keyfile::Role;
use crate::format::limits;
use crate::format::name::Name;
use crate::format::time::Time;
use crate::id::{ObjectId, WriterName};
use crate::ops::Progress;
use crate::ops::forget::write_gc;
use crate::repo::Repository;
use crate::repo::statements::Statements;
use crate::seal::Signer;
use crate::state::drills::{Drills, SignedRecord};
use data_encoding::HEXLOWER;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Older records leave the repository.
const KEPT_SECS: i64 = 400 * 86_400;
/// So many of the newest are in one object: every machine reads it.
const MOST: usize = 200;
/// No listing is so stale that it lacks an object of this age (spec 11.1).
const SETTLED_SECS: i64 = 86_400;

/// Keeps a record, signed as `writer` where the key at hand signs; an admin's in the repository, too. Returns its file.
///
/// # Errors
/// [`Error::Io`]. What goes wrong with the repository is a warning: the file is there.
pub fn keep(
    repo: &Repository,
    folder: &Path,
    writer: Option<&WriterName>,
    record: &DrillRecord,
    progress: &dyn Progress,
) -> Result<PathBuf> {
    // A record of texts and numbers has a text.
    let text = serde_json::to_string(record).unwrap_or_default();
    let signer = repo.keys().signer(writer).ok();
    let signed = SignedRecord {
        certificate: signer.as_ref().map(|signer| HEXLOWER.encode(signer.certificate())),
        signature: signer.as_ref().map(|signer| HEXLOWER.encode(&signer.sign_record(text.as_bytes()))),
        record: text.clone(),
    };
    let file = Drills::at(folder, &repo.keys().repo()).add(record.at_secs, &signed)?;
    if let Some(signer) = signer.filter(|_| repo.keys().role() == Role::Admin)
        && let Err(error) = publish(repo, &signer, text.into_bytes())
    {
        progress.warn(&format!("the record is on this machine only, not in the repository: {error}"));
    }
    Ok(file)
}

/// Who has signed a record; nothing if nobody has, or not this, or somebody of another repository.
pub fn signer_of(repo: &Repository, signed: &SignedRecord) -> Option<CertBody> {
    let bytes = |hex: &Option<String>| HEXLOWER.decode(hex.as_deref()?.as_bytes()).ok();
    let signature = <[u8; 64]>::try_from(&bytes(&signed.signature)?[..]).ok()?;
    repo.keys().verifier().record(&bytes(&signed.certificate)?, signed.record.as_bytes(), &signature).ok()
}

/// All records of the repository, those in it and those on this machine, oldest first; and the files here that are not what was signed.
///
/// # Errors
/// [`Error::Io`].
pub fn records(repo: &Repository, folder: &Path, statements: &Statements) -> Result<(Vec<DrillRecord>, Vec<PathBuf>)> {
    let (mut texts, mut bad) = (BTreeSet::new(), Vec::new());
    for (path, signed) in Drills::at(folder, &repo.keys().repo()).all()? {
        let is_right = signed.signature.is_none() || signer_of(repo, &signed).is_some();
        match is_right && parse(signed.record.as_bytes()).is_some() {
            true => drop(texts.insert(signed.record.into_bytes())),
            false => bad.push(path),
        }
    }
    // gc objects are signed by an admin.
    texts.extend(statements.records.iter().cloned());
    let mut good: Vec<DrillRecord> = texts.iter().filter_map(|text| parse(text)).collect();
    good.sort_by(|a, b| (a.at_secs, &a.writer).cmp(&(b.at_secs, &b.writer)));
    Ok((good, bad))
}

fn parse(text: &[u8]) -> Option<DrillRecord> {
    serde_json::from_slice(text).ok()
}

/// Writes a gc object with all records, this one among them, and removes those that say nothing else and are no longer needed (spec 10).
fn publish(repo: &Repository, signer: &Signer, record: Vec<u8>) -> Result<()> {
    if record.len() as u64 > limits::RECORD_BYTES {
        return Err(Error::Usage("it is too long".into()));
    }
    let now = Time::now();
    let mut objects: BTreeMap<ObjectId, (Time, BTreeSet<Vec<u8>>)> = BTreeMap::new();
    for (name, _) in repo.list("gc/")? {
        let Some(id) = name.id() else { continue };
        match repo.signed(&name, |opened| Ok((Gc::decode(&opened.plaintext)?, opened.plaintext))) {
            // One that says something else as well, known or not, is left alone.
            Ok((gc, plaintext)) => {
                let is_only =
                    Gc { created: gc.created, records: gc.records.clone(), ..Gc::default() }.encode() == plaintext;
                if is_only && !gc.records.is_empty() {
                    let young = gc.records.into_iter().filter(|text| is_young(text, now));
                    objects.insert(id, (gc.created, young.collect()));
                }
            }
            Err(Error::Missing(_)) => {}
            Err(error) => return Err(error),
        }
    }
    let mut all: BTreeSet<Vec<u8>> = objects.values().flat_map(|(_, records)| records).cloned().collect();
    all.insert(record);
    let mut records: Vec<Vec<u8>> = all.into_iter().collect();
    records.sort_by_key(|text| std::cmp::Reverse(parse(text).map(|record| record.at_secs)));
    records.truncate(MOST);
    write_gc(repo, signer, &Gc { created: now, records, ..Gc::default() })?;
    for id in superfluous(&objects, now) {
        match repo.backend().delete(&Name::Gc(id).to_string()) {
            Ok(()) | Err(StoreError::NotFound) => {}
            Err(error) => return Err(Error::store("remove", Name::Gc(id), error)),
        }
    }
    Ok(())
}

fn is_young(text: &[u8], now: Time) -> bool {
    parse(text).is_some_and(|record| record.at_secs > now.secs - KEPT_SECS)
}

/// The objects whose records another one has that everybody sees. Of two with the same the later one stays.
fn superfluous(objects: &BTreeMap<ObjectId, (Time, BTreeSet<Vec<u8>>)>, now: Time) -> Vec<ObjectId> {
    let is_said_by = |(id, (created, records)): (&ObjectId, &(Time, BTreeSet<Vec<u8>>))| {
        objects.iter().any(|(other, (later, more))| {
            (later, other) > (created, id) && later.secs <= now.secs - SETTLED_SECS && records.is_subset(more)
        })
    };
    objects.iter().filter(|object| is_said_by(*object)).map(|(id, _)| *id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five hosts drilled every month for three years: nothing of the last year is lost, and the number of objects does not grow.
    #[test]
    fn objects_do_not_pile_up() {
        let mut objects: BTreeMap<ObjectId, (Time, BTreeSet<Vec<u8>>)> = BTreeMap::new();
        let mut made = Vec::new();
        for drill in 0..180i64 {
            let now = Time { secs: (drill / 5) * 30 * 86_400 + (drill % 5) * 300, nanos: 0 };
            let record =
                DrillRecord { at_secs: now.secs, writer: format!("host{}", drill % 5), ..DrillRecord::default() };
            let text = serde_json::to_vec(&record).unwrap_or_default();
            objects.values_mut().for_each(|(_, records)| records.retain(|text| is_young(text, now)));
            let mut all: BTreeSet<Vec<u8>> = objects.values().flat_map(|(_, records)| records).cloned().collect();
            all.insert(text.clone());
            made.push(text);
            let gone = superfluous(&objects, now);
            objects.insert(ObjectId::of(&drill.to_le_bytes()), (now, all));
            objects.retain(|id, _| !gone.contains(id));
            let there: BTreeSet<&Vec<u8>> = objects.values().flat_map(|(_, records)| records).collect();
            assert!(made.iter().filter(|text| is_young(text, now)).all(|text| there.contains(text)));
            assert!(objects.len() <= 11, "{}", objects.len());
        }
    }
}
