//! The listing, and the small objects: configuration, key files, gc objects.

use super::report::{FindingKind as Kind, Findings, describe, twice};
use crate::backend::OddityKind;
use crate::error::{Error, Result};
use crate::format::gc::Gc;
use crate::format::limits;
use crate::format::name::Name;
use crate::repo::statements::Statements;
use crate::repo::{self, Repository};
use std::collections::HashMap;

/// What is in the store, by one listing.
#[derive(Default)]
pub(in crate::ops) struct Survey {
    pub config: bool,
    pub keys: Vec<Name>,
    pub gc: Vec<Name>,
    pub index: Vec<Name>,
    pub snapshots: Vec<Name>,
    /// Sizes in bytes.
    pub packs: HashMap<Name, u64>,
    /// Bytes of all objects that are no packs.
    pub small_bytes: u64,
}

impl Survey {
    /// Lists all objects; what is none is noted.
    pub fn list(repo: &Repository, findings: &Findings<'_>) -> Result<Self> {
        let mut survey = Self::default();
        let mut visit = |listed: crate::backend::Listed| match Name::parse(&listed.name) {
            Some(name) => survey.take(name, listed.size_bytes),
            // Unfinished uploads of stores that keep them there (spec 1.4).
            None if listed.name.starts_with("tmp/") => {}
            None => findings.note(
                Kind::Foreign,
                listed.name.escape_debug(),
                "its name is none of the format; it is ignored",
            ),
        };
        repo.backend().list("", &mut visit).map_err(|e| Error::store("list", "the repository", e))?;
        for oddity in repo.backend().oddities() {
            let what = oddity.to_string();
            match oddity.kind {
                // Nothing is lost yet, but nobody who means well does this.
                OddityKind::Hidden | OddityKind::Shadowed => findings.error(Kind::Version, &oddity.name, what),
                OddityKind::Surplus => findings.note(Kind::Version, &oddity.name, what),
            }
        }
        for names in [&mut survey.keys, &mut survey.gc, &mut survey.index, &mut survey.snapshots] {
            names.sort();
        }
        Ok(survey)
    }

    fn take(&mut self, name: Name, size_bytes: u64) {
        if !matches!(name, Name::Pack(..)) {
            self.small_bytes = self.small_bytes.saturating_add(size_bytes);
        }
        match name {
            Name::Config => self.config = true,
            Name::Key(_) => self.keys.push(name),
            Name::Gc(_) => self.gc.push(name),
            Name::Index(..) => self.index.push(name),
            Name::Snapshot(..) => self.snapshots.push(name),
            Name::Pack(..) => {
                self.packs.insert(name, size_bytes);
            }
        }
    }
}

/// Checks `panther.cbor` as it is in the store now.
pub(in crate::ops) fn config(repo: &Repository, findings: &Findings<'_>) {
    match twice(findings, || repo::read_config(&**repo.backend())) {
        Ok((config, _)) if config == *repo.config() => {}
        Ok(_) => {
            findings.error(Kind::Key, Name::Config, "it is another than the one with which the repository was opened")
        }
        Err(Error::NoRepository(_)) => findings.error(Kind::Missing, Name::Config, "it is missing"),
        Err(error) => findings.fault(&error),
    }
}

/// Checks that every key file hashes to its name, and that the one that was opened is still there.
pub(in crate::ops) fn keys(repo: &Repository, survey: &Survey, findings: &Findings<'_>) {
    for name in &survey.keys {
        if let Err(error) = twice(findings, || repo::get(&**repo.backend(), name, limits::SMALL_OBJECT_BYTES)) {
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
pub(in crate::ops) fn statements(repo: &Repository, survey: &Survey, findings: &Findings<'_>) -> Statements {
    let mut all = Statements::default();
    for name in &survey.gc {
        match twice(findings, || repo.signed(name, |opened| Gc::decode(&opened.plaintext))) {
            Ok(gc) => all.add(gc),
            Err(error) => findings.fault(&error),
        }
    }
    all
}
