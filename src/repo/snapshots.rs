//! Snapshots: listing, finding, reading and writing manifests.

use super::Repository;
use super::statements::Statements;
use crate::error::{Error, FormatError, Result};
use crate::format::cert::SignerRole;
use crate::format::header::Kind;
use crate::format::name::Name;
use crate::format::snapshot::{Cover, Manifest};
use crate::format::time::Time;
use crate::id::{ObjectId, WriterName};
use crate::seal::{self, Opened, Signer};
use crate::state::State;
use std::collections::HashSet;

/// A snapshot as writers can see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SnapshotHead {
    /// Its id.
    pub id: ObjectId,
    /// Who wrote it.
    pub writer: WriterName,
    /// Its place in the chain and its times.
    pub cover: Cover,
}

/// A snapshot with its content.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// What writers see.
    pub head: SnapshotHead,
    /// What readers see.
    pub manifest: Manifest,
    /// Whether an admin's key has signed it.
    pub by_admin: bool,
    /// When the store received it, where the store tells.
    pub uploaded: Option<Time>,
}

impl Snapshot {
    /// Its name in the store.
    pub fn name(&self) -> Name {
        Name::Snapshot(self.head.writer.clone(), self.head.id)
    }

    /// The time that retention goes by, so that a forged clock gains nothing: of a writer's snapshot the time at which the store received it; of an admin's,
    /// who may upload or copy what is older, the time that it claims, but not a later one than the store's. Where the store tells nothing, the time that it claims.
    pub fn judged_time(&self) -> Time {
        let claimed = self.head.cover.started;
        match self.uploaded {
            None => claimed,
            Some(uploaded) if self.by_admin => claimed.min(uploaded),
            Some(uploaded) => uploaded,
        }
    }
}

/// Snapshots and what is wrong with those that could not be read.
#[derive(Debug)]
pub struct Listing<T> {
    /// Oldest first.
    pub snapshots: Vec<T>,
    /// What could not be read.
    pub bad: Vec<Error>,
    /// All that the store lists, good or bad.
    pub names: Vec<Name>,
}

impl Repository {
    /// The names of all manifests, by the store's listing; of one writer if `writer` is given.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn snapshot_names(&self, writer: Option<&WriterName>) -> Result<Vec<Name>> {
        let writers = match writer {
            Some(writer) => vec![writer.clone()],
            None if self.backend().is_remote() => return Ok(self.survey()?.snapshots),
            None => self.writers()?,
        };
        let mut names = Vec::new();
        for writer in writers {
            names.extend(self.list(&format!("writers/{writer}/snapshots/"))?.into_iter().map(|(name, _)| name));
        }
        Ok(names)
    }

    /// The names of all manifests, in order, and when the store received each, where it tells.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn uploaded_snapshots(&self) -> Result<Vec<(Name, Option<Time>)>> {
        let mut names = Vec::new();
        for writer in self.writers()? {
            let folder = format!("writers/{writer}/snapshots/");
            let mut visit = |listed: crate::backend::Listed| {
                names.extend(Name::parse(&listed.name).map(|name| (name, listed.uploaded)));
            };
            self.backend().list(&folder, &mut visit).map_err(|e| Error::store("list", &folder, e))?;
        }
        names.sort();
        Ok(names)
    }

    /// Reads the cover of a manifest; nothing if its key is revoked.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read_head(&self, name: &Name, statements: &Statements) -> Result<Option<SnapshotHead>> {
        let Name::Snapshot(writer, id) = name else { return Ok(None) };
        self.signed(name, |opened| {
            if statements.refuses(&opened.cert, id) {
                return Ok(None);
            }
            let cover = Cover::decode(&opened.plaintext)?;
            Ok(Some(SnapshotHead { id: *id, writer: writer.clone(), cover }))
        })
    }

    /// Reads a whole manifest; nothing if its key is revoked.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read_snapshot(&self, name: &Name, statements: &Statements) -> Result<Option<Snapshot>> {
        let Name::Snapshot(writer, id) = name else { return Ok(None) };
        self.signed(name, |opened| self.opened_snapshot(writer, id, &opened, statements))
    }

    /// As [`Repository::read_snapshot`], of an object that is not in the store but at hand.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn snapshot_of(&self, writer: &WriterName, object: &[u8], statements: &Statements) -> Result<Option<Snapshot>> {
        let id = ObjectId::of(object);
        self.keys()
            .verifier()
            .open(object, Kind::Snapshot, Some(writer), self.keys().epochs())
            .and_then(|opened| self.opened_snapshot(writer, &id, &opened, statements))
            .map_err(|e| Error::format(format!("the kept manifest of the snapshot {}", id.short()), e))
    }

    fn opened_snapshot(
        &self,
        writer: &WriterName,
        id: &ObjectId,
        opened: &Opened<'_>,
        statements: &Statements,
    ) -> Result<Option<Snapshot>, FormatError> {
        if statements.refuses(&opened.cert, id) {
            return Ok(None);
        }
        let cover = Cover::decode(&opened.plaintext)?;
        let manifest = Manifest::decode(&opened.open_manifest(self.keys().private(opened.epoch())?)?)?;
        let head = SnapshotHead { id: *id, writer: writer.clone(), cover };
        Ok(Some(Snapshot { head, manifest, by_admin: opened.cert.role == SignerRole::Admin, uploaded: None }))
    }

    /// All snapshots, oldest first.
    ///
    /// # Errors
    /// [`Error::Role`] for a writer; [`Error::Store`].
    pub fn snapshots(&self, statements: &Statements) -> Result<Listing<Snapshot>> {
        self.keys().need_reader("read snapshots")?;
        let mut listing = Listing { snapshots: Vec::new(), bad: Vec::new(), names: Vec::new() };
        for (name, uploaded) in self.uploaded_snapshots()? {
            listing.names.push(name.clone());
            match self.read_snapshot(&name, statements) {
                Ok(found) => listing.snapshots.extend(found.map(|snapshot| Snapshot { uploaded, ..snapshot })),
                // Somebody forgets it at this moment: what says so was written before it went.
                Err(Error::Missing(_)) if self.is_forgotten_now(&name)? => drop(listing.names.pop()),
                Err(error @ Error::Store { .. }) => return Err(error),
                Err(error) => listing.bad.push(error),
            }
        }
        listing.snapshots.sort_by_key(|s| (s.head.cover.started, s.head.cover.sequence, s.head.id));
        Ok(listing)
    }

    fn is_forgotten_now(&self, name: &Name) -> Result<bool> {
        let statements = self.statements()?;
        Ok(name.id().is_some_and(|id| statements.forgotten.contains(&id)))
    }

    /// The covers of one writer's snapshots, oldest first. Those seen before come from `state`: only new ones are read from the store.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::State`].
    pub fn heads(&self, writer: &WriterName, state: &State, statements: &Statements) -> Result<Listing<SnapshotHead>> {
        self.heads_of(&self.snapshot_names(Some(writer))?, writer, state, statements)
    }

    /// As [`Repository::heads`], of manifests that were listed.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::State`].
    pub fn heads_of(
        &self,
        names: &[Name],
        writer: &WriterName,
        state: &State,
        statements: &Statements,
    ) -> Result<Listing<SnapshotHead>> {
        let mut listing = Listing { snapshots: Vec::new(), bad: Vec::new(), names: names.to_vec() };
        let mut fresh = Vec::new();
        for name in names {
            let Some(id) = name.id() else { continue };
            let known = state.note(&cover_note(&id, statements))?;
            if let Some(cover) = known.and_then(|bytes| Cover::decode(&bytes).ok()) {
                listing.snapshots.push(SnapshotHead { id, writer: writer.clone(), cover });
                continue;
            }
            match self.read_head(name, statements) {
                Ok(found) => {
                    fresh.extend(found.iter().map(|head| (cover_note(&id, statements), head.cover.encode())));
                    listing.snapshots.extend(found);
                }
                Err(error @ Error::Store { .. }) => return Err(error),
                Err(error) => listing.bad.push(error),
            }
        }
        if !fresh.is_empty() {
            state.set_notes(&fresh)?;
        }
        listing.snapshots.sort_by_key(|s| (s.cover.started, s.cover.sequence, s.id));
        Ok(listing)
    }

    /// Keeps in the state the cover of a manifest that this machine has just written: the next run need not read it.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn remember_head(&self, state: &State, head: &SnapshotHead, statements: &Statements) -> Result<()> {
        state.set_notes_soon(&[(cover_note(&head.id, statements), head.cover.encode())])
    }

    /// Writes a manifest that follows the heads of the writer's chain. Returns its id and cover.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn write_snapshot(
        &self,
        signer: &Signer,
        chain: &[SnapshotHead],
        started: Time,
        host: &str,
        manifest: &Manifest,
    ) -> Result<SnapshotHead> {
        self.write_snapshot_of(signer, chain, (started, Time::now()), host, manifest)
    }

    /// As [`Repository::write_snapshot`], with the times at which the backup was started and finished: for one that is copied or written anew.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn write_snapshot_of(
        &self,
        signer: &Signer,
        chain: &[SnapshotHead],
        (started, finished): (Time, Time),
        host: &str,
        manifest: &Manifest,
    ) -> Result<SnapshotHead> {
        let heads = chain_heads(chain);
        let cover = Cover {
            sequence: heads.iter().map(|h| h.cover.sequence).max().unwrap_or(0) + 1,
            predecessors: heads.iter().map(|h| h.id).collect(),
            started,
            finished,
            host: host.to_owned(),
        };
        let epoch = self.keys().current_epoch();
        let random = &mut seal::system_random();
        let object = signer
            .seal_manifest(epoch, cover.encode(), &manifest.encode(), random)
            .map_err(|e| Error::format("the new manifest", e))?;
        let id = ObjectId::of(&object);
        self.put(&Name::Snapshot(signer.writer().clone(), id), &object)?;
        Ok(SnapshotHead { id, writer: signer.writer().clone(), cover })
    }
}

/// Under which name a cover is kept in the state. A revocation may concern what was seen before it: each set of them has its own.
fn cover_note(id: &ObjectId, statements: &Statements) -> Vec<u8> {
    let mut note = [b"cover ", &id.0[..]].concat();
    if !statements.revoked.is_empty() {
        let mut revoked: Vec<_> = statements.revoked.iter().collect();
        revoked.sort_by_key(|(key, _)| **key);
        let mut hasher = blake3::Hasher::new();
        for (key, accepted) in revoked {
            let mut accepted: Vec<&ObjectId> = accepted.iter().collect();
            accepted.sort();
            hasher.update(key).update(&accepted.len().to_le_bytes());
            for id in accepted {
                hasher.update(&id.0);
            }
        }
        note.extend_from_slice(hasher.finalize().as_bytes());
    }
    note
}

/// The manifests that no other names as its predecessor, those with the greatest sequence numbers first, 16 at most (spec 9.1).
pub fn chain_heads(chain: &[SnapshotHead]) -> Vec<&SnapshotHead> {
    let named: HashSet<&ObjectId> = chain.iter().flat_map(|s| &s.cover.predecessors).collect();
    let mut heads: Vec<&SnapshotHead> = chain.iter().filter(|s| !named.contains(&s.id)).collect();
    heads.sort_by_key(|h| (std::cmp::Reverse(h.cover.sequence), h.id));
    heads.truncate(16);
    heads
}

/// Picks a snapshot by `latest`, its whole id or an unambiguous beginning of it.
///
/// # Errors
/// [`Error::Usage`] when there is none or more than one.
pub fn pick<'a>(snapshots: &'a [Snapshot], wanted: &str, matches: impl Fn(&Snapshot) -> bool) -> Result<&'a Snapshot> {
    if wanted == "latest" {
        return snapshots
            .iter()
            .rfind(|s| matches(s))
            .ok_or_else(|| Error::Usage("the repository has no snapshot that fits".into()));
    }
    if wanted.len() < 4 {
        return Err(Error::Usage(format!(
            "{wanted:?} is too short for a snapshot's id: give 4 digits or more, or latest"
        )));
    }
    let wanted = wanted.to_ascii_lowercase();
    let mut found = snapshots.iter().filter(|s| s.head.id.to_hex().starts_with(&wanted));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(Error::Usage(format!("there is no snapshot {wanted}; `panther snapshots` lists them"))),
        (Some(_), Some(_)) => Err(Error::Usage(format!("several snapshots begin with {wanted}: give more digits"))),
    }
}
