//! Index objects, manifests, and the chains of these.

use super::catalogue::Catalogue;
use super::report::{FindingKind as Kind, Findings, describe, twice};
use super::survey::Survey;
use crate::error::{FormatError, Result};
use crate::format::cert::{CertBody, SignerRole};
use crate::format::index::Index;
use crate::format::keyfile::Role;
use crate::format::name::Name;
use crate::format::snapshot::{Cover, Manifest, Root};
use crate::id::ObjectId;
use crate::ops::Progress;
use crate::repo::Repository;
use crate::repo::statements::Statements;
use crate::state::State;
use std::collections::{HashMap, HashSet};

/// A snapshot that is sound in itself.
pub(in crate::ops) struct Snapshot {
    pub name: Name,
    pub id: ObjectId,
    pub cover: Cover,
    /// Nothing for a writer's key, which cannot read it.
    pub roots: Vec<Root>,
}

/// Whether an object signed with `cert` counts; says so if it does not.
fn counts(cert: &CertBody, name: &Name, statements: &Statements, findings: &Findings<'_>) -> bool {
    if cert.role == SignerRole::Admin && statements.revoked.contains_key(&cert.key) {
        findings.note(Kind::Key, name, "a gc object revokes the key of the admin who signed it; that is ignored");
    }
    let refused = name.id().is_some_and(|id| statements.refuses(cert, &id));
    if refused {
        findings.note(Kind::Key, name, "it is signed by a revoked key and counts as not there");
    }
    !refused
}

/// Reads and checks all index objects.
pub(in crate::ops) fn indexes(
    repo: &Repository,
    survey: &Survey,
    statements: &Statements,
    findings: &Findings<'_>,
    progress: &dyn Progress,
) -> Result<Catalogue> {
    let (mut catalogue, mut bad) = (Catalogue::default(), Vec::new());
    for name in &survey.index {
        findings.go_on()?;
        match twice(findings, || read_index(repo, name, statements, findings)) {
            Ok(Some(index)) => take(&mut catalogue, name, index, findings),
            Ok(None) => {}
            Err(error) => bad.push((name, error)),
        }
        progress.advance(1, 0);
    }
    for (name, error) in bad {
        if catalogue.superseded.contains(name) {
            let (object, kind, what) = describe(&error);
            findings.note(kind, object, format!("{what}; a repair has replaced it"));
        } else {
            findings.fault(&error);
        }
    }
    catalogue.condemn(&statements.condemned);
    catalogue.finish();
    Ok(catalogue)
}

fn read_index(
    repo: &Repository,
    name: &Name,
    statements: &Statements,
    findings: &Findings<'_>,
) -> Result<Option<Index>> {
    let Name::Index(writer, _) = name else { return Ok(None) };
    repo.signed(name, |opened| {
        if !counts(&opened.cert, name, statements, findings) {
            return Ok(None);
        }
        let index = Index::decode(&opened.plaintext)?;
        if opened.cert.role != SignerRole::Admin && index.packs.iter().any(|p| p.writer != *writer) {
            return Err(FormatError::Invalid("it names packs of another writer"));
        }
        Ok(Some(index))
    })
}

fn take(catalogue: &mut Catalogue, name: &Name, index: Index, findings: &Findings<'_>) {
    let Name::Index(writer, _) = name else { return };
    let number = u32::try_from(catalogue.indexes.len()).unwrap_or(u32::MAX);
    catalogue.indexes.push(name.clone());
    for record in &index.packs {
        if !catalogue.add(record, number) {
            let pack = Name::Pack(record.writer.clone(), record.id);
            findings.error(Kind::Index, name, format!("it says something else of {pack} than another index object"));
        }
    }
    catalogue.superseded.extend(index.superseded.into_iter().map(|id| Name::Index(writer.clone(), id)));
}

/// Notes index objects that this machine has read before and that are gone, though none that is there replaces them.
pub(in crate::ops) fn gone_indexes(state: &State, survey: &Survey, catalogue: &Catalogue, findings: &Findings<'_>) {
    // The state is a cache: if it cannot be read, there is nothing to compare with.
    let Ok(known) = state.index_objects() else { return };
    let ids = |names: &mut dyn Iterator<Item = &Name>| names.filter_map(Name::id).collect::<HashSet<ObjectId>>();
    let (listed, replaced) = (ids(&mut survey.index.iter()), ids(&mut catalogue.superseded.iter()));
    for id in known.difference(&listed).filter(|id| !replaced.contains(id)) {
        let what = "this machine has read it before and it is gone; a prune since then may have replaced it";
        findings.note(Kind::Index, format!("index object {id}"), what);
    }
}

/// Reads and checks all manifests.
pub(in crate::ops) fn snapshots(
    repo: &Repository,
    survey: &Survey,
    statements: &Statements,
    findings: &Findings<'_>,
    progress: &dyn Progress,
) -> Result<Vec<Snapshot>> {
    let mut found = Vec::new();
    for name in &survey.snapshots {
        findings.go_on()?;
        match twice(findings, || read_snapshot(repo, name, statements, findings)) {
            Ok(Some(snapshot)) => {
                if statements.forgotten.contains(&snapshot.id) {
                    findings.note(Kind::Orphan, name, "it is forgotten and still there; the next forget removes it");
                }
                found.push(snapshot);
            }
            Ok(None) => {}
            Err(error) => findings.fault(&error),
        }
        progress.advance(1, 0);
    }
    found.sort_by_key(|s| (s.cover.started, s.cover.sequence, s.id));
    Ok(found)
}

fn read_snapshot(
    repo: &Repository,
    name: &Name,
    statements: &Statements,
    findings: &Findings<'_>,
) -> Result<Option<Snapshot>> {
    let Name::Snapshot(_, id) = name else { return Ok(None) };
    repo.signed(name, |opened| {
        if !counts(&opened.cert, name, statements, findings) {
            return Ok(None);
        }
        let cover = Cover::decode(&opened.plaintext)?;
        let roots = match repo.keys().role() {
            Role::Writer => Vec::new(),
            Role::Reader | Role::Admin => {
                Manifest::decode(&opened.open_manifest(repo.keys().private(opened.epoch())?)?)?.roots
            }
        };
        Ok(Some(Snapshot { name: name.clone(), id: *id, cover, roots }))
    })
}

/// Checks the chain of each writer (spec 9.1).
pub(in crate::ops) fn chains(
    survey: &Survey,
    snapshots: &[Snapshot],
    statements: &Statements,
    findings: &Findings<'_>,
) {
    let listed: HashMap<ObjectId, &Name> = survey.snapshots.iter().filter_map(|n| Some((n.id()?, n))).collect();
    let sequences: HashMap<ObjectId, u64> = snapshots.iter().map(|s| (s.id, s.cover.sequence)).collect();
    for snapshot in snapshots {
        let Name::Snapshot(writer, _) = &snapshot.name else { continue };
        let (mut greatest, mut all_known) = (0, true);
        for id in &snapshot.cover.predecessors {
            let before = Name::Snapshot(writer.clone(), *id);
            match listed.get(id) {
                Some(name) if **name != before => {
                    let what = format!("it names {name} as its predecessor, which is another writer's");
                    findings.error(Kind::Chain, &snapshot.name, what);
                }
                None if !statements.forgotten.contains(id) => {
                    let short = snapshot.id.short();
                    let what = format!(
                        "snapshot {short} followed it, nobody forgot it, and it is gone: it was removed by somebody who had no right to"
                    );
                    findings.error(Kind::Chain, before, what);
                }
                _ => {}
            }
            match sequences.get(id) {
                Some(sequence) => greatest = greatest.max(*sequence),
                None => all_known = false,
            }
        }
        let sequence = snapshot.cover.sequence;
        let follows = if all_known { greatest.checked_add(1) == Some(sequence) } else { sequence > greatest };
        if !follows {
            let what = format!("its number in the chain is {sequence}, which does not follow from its predecessors'");
            findings.error(Kind::Chain, &snapshot.name, what);
        }
    }
}
