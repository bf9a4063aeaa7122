//! The listing, and the small objects: configuration, key files, gc objects.

use super::report::{FindingKind as Kind, Findings, describe, twice};
use crate::error::{Error, Result};
use crate::format::gc::Gc;
use crate::format::limits;
use crate::format::name::Name;
use crate::repo::statements::Statements;
use crate::repo::{self, Repository};
use std::collections::HashMap;

/// What is in the store, by one listing.
#[derive(Default)]
pub(super) struct Survey {
    pub config: bool,
    pub keys: Vec<Name>,
    pub gc: Vec<Name>,
    pub index: Vec<Name>,
    pub snapshots: Vec<Name>,
    /// Sizes in bytes.
    pub packs: HashMap<Name, u64>,
}

impl Survey {
    /// Lists all objects; what is none is noted.
    pub fn list(repo: &Repository, findings: &Findings<'_>) -> Result<Self> {
        let mut survey = Self::default();
        let mut visit = |listed: crate::backend::Listed| match Name::parse(&listed.name) {
            Some(Name::Config) => survey.config = true,
            Some(name @ Name::Key(_)) => survey.keys.push(name),
            Some(name @ Name::Gc(_)) => survey.gc.push(name),
            Some(name @ Name::Index(..)) => survey.index.push(name),
            Some(name @ Name::Snapshot(..)) => survey.snapshots.push(name),
            Some(name @ Name::Pack(..)) => {
                survey.packs.insert(name, listed.size_bytes);
            }
            // Unfinished uploads of stores that keep them there (spec 1.4).
            None if listed.name.starts_with("tmp/") => {}
            None => findings.note(
                Kind::Foreign,
                listed.name.escape_debug(),
                "its name is none of the format; it is ignored",
            ),
        };
        repo.backend().list("", &mut visit).map_err(|e| Error::store("list", "the repository", e))?;
        for names in [&mut survey.keys, &mut survey.gc, &mut survey.index, &mut survey.snapshots] {
            names.sort();
        }
        Ok(survey)
    }
}

/// Checks `panther.cbor` as it is in the store now.
pub(super) fn config(repo: &Repository, findings: &Findings<'_>) {
    match twice(|| repo::read_config(&**repo.backend())) {
        Ok((config, _)) if config == *repo.config() => {}
        Ok(_) => {
            findings.error(Kind::Key, Name::Config, "it is another than the one with which the repository was opened")
        }
        Err(Error::NoRepository(_)) => findings.error(Kind::Missing, Name::Config, "it is missing"),
        Err(error) => findings.fault(&error),
    }
}

/// Checks that every key file hashes to its name, and that the one that was opened is still there.
pub(super) fn keys(repo: &Repository, survey: &Survey, findings: &Findings<'_>) {
    for name in &survey.keys {
        if let Err(error) = twice(|| repo::get(&**repo.backend(), name, limits::SMALL_OBJECT_BYTES)) {
            let (object, kind, what) = describe(&error);
            let kind = if kind == Kind::Unreadable { kind } else { Kind::Key };
            findings.error(kind, object, what);
        }
    }
    let opened = Name::Key(repo.key_id());
    if !survey.keys.contains(&opened) {
        findings.error(Kind::Key, opened, "the key file with which the repository was opened is missing");
    }
}

/// Checks the gc objects: what those say that can be read.
pub(super) fn statements(repo: &Repository, survey: &Survey, findings: &Findings<'_>) -> Statements {
    let mut all = Statements::default();
    for name in &survey.gc {
        match twice(|| repo.signed(name, |opened| Gc::decode(&opened.plaintext))) {
            Ok(gc) => all.add(gc),
            Err(error) => findings.fault(&error),
        }
    }
    all
}
