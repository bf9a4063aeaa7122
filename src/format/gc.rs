//! gc objects (spec 10).

use super::cbor::{Dec, Enc, need};
use super::cert::decode_writer;
use super::index::join;
use super::limits;
use super::time::Time;
use crate::error::FormatError;
use crate::id::{ObjectId, WriterName};

/// Packs to be removed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Condemned {
    /// No pack is removed before this time.
    pub not_before: Time,
    /// By writer, ascending.
    pub packs: Vec<(WriterName, Vec<ObjectId>)>,
}

/// A writer's key that is no longer trusted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Revoked {
    /// Its Ed25519 public key.
    pub key: [u8; 32],
    /// Its manifests and index objects that stay valid.
    pub accepted: Vec<ObjectId>,
}

/// The content of a gc object.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Gc {
    /// When it was made.
    pub created: Time,
    /// Packs to be removed.
    pub condemned: Option<Condemned>,
    /// Snapshots whose absence is no alarm.
    pub forgotten: Vec<ObjectId>,
    /// Keys that are no longer trusted.
    pub revoked: Vec<Revoked>,
    /// Snapshots that are kept whatever the rules say.
    pub pinned: Vec<ObjectId>,
    /// Manifests of forgotten snapshots, whole objects with their writers' names, so that these can be brought back.
    pub manifests: Vec<(WriterName, Vec<u8>)>,
    /// What restores for practice came to: JSON, each.
    pub records: Vec<Vec<u8>>,
}

impl Gc {
    /// Whether it says nothing that this program knows: a newer one may have written it for the sake of something else.
    pub fn is_empty(&self) -> bool {
        self.condemned.is_none()
            && self.forgotten.is_empty()
            && self.revoked.is_empty()
            && self.pinned.is_empty()
            && self.manifests.is_empty()
            && self.records.is_empty()
    }

    /// The plaintext of the box. It must say something: a decoder refuses it otherwise.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Enc::default();
        e.map(
            1 + 2 * usize::from(self.condemned.is_some())
                + usize::from(!self.forgotten.is_empty())
                + usize::from(!self.revoked.is_empty())
                + usize::from(!self.pinned.is_empty())
                + usize::from(!self.manifests.is_empty())
                + usize::from(!self.records.is_empty()),
        );
        e.uint(0);
        self.created.encode(&mut e);
        if let Some(condemned) = &self.condemned {
            e.uint(1);
            condemned.not_before.encode(&mut e);
            e.uint(2);
            e.array(condemned.packs.len());
            for (writer, packs) in &condemned.packs {
                e.array(2);
                e.text(writer.as_str());
                e.bytes(&join(packs));
            }
        }
        if !self.forgotten.is_empty() {
            e.pair_bytes(3, &join(&self.forgotten));
        }
        if !self.revoked.is_empty() {
            e.uint(4);
            e.array(self.revoked.len());
            for revoked in &self.revoked {
                e.map(2);
                e.pair_bytes(0, &revoked.key);
                e.pair_bytes(1, &join(&revoked.accepted));
            }
        }
        if !self.pinned.is_empty() {
            e.pair_bytes(5, &join(&self.pinned));
        }
        if !self.manifests.is_empty() {
            e.uint(6);
            e.array(self.manifests.len());
            for (writer, manifest) in &self.manifests {
                e.array(2);
                e.text(writer.as_str());
                e.bytes(manifest);
            }
        }
        if !self.records.is_empty() {
            e.uint(8);
            e.array(self.records.len());
            self.records.iter().for_each(|record| e.bytes(record));
        }
        e.done()
    }

    /// Decodes the plaintext of the box.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn decode(plaintext: &[u8]) -> Result<Self, FormatError> {
        let most = limits::INDEX_BYTES / 32;
        let (mut created, mut not_before, mut packs, mut forgotten, mut revoked) = (None, None, None, None, None);
        let (mut pinned, mut manifests, mut records) = (None, None, None);
        let mut is_later = false;
        let mut d = Dec::new(plaintext);
        d.map(|d, key| {
            match key {
                0 => created = Some(Time::decode(d)?),
                1 => not_before = Some(Time::decode(d)?),
                2 => {
                    packs = Some(d.list("writers", most, |d| {
                        d.tuple(2, |d| Ok((decode_writer(d)?, d.ids("condemned packs", most, ObjectId)?)))
                    })?)
                }
                3 => forgotten = Some(d.ids("forgotten snapshots", most, ObjectId)?),
                4 => revoked = Some(d.list("revoked writers", most, decode_revoked)?),
                5 => pinned = Some(d.ids("pinned snapshots", most, ObjectId)?),
                6 => manifests = Some(d.list("manifests", most, decode_manifest)?),
                8 => {
                    records =
                        Some(d.list("records", most, |d| Ok(d.bytes("a record", limits::RECORD_BYTES)?.to_vec()))?);
                }
                _ => {
                    is_later = true;
                    return Ok(false);
                }
            }
            Ok(true)
        })?;
        d.finish()?;
        let created = need(created)?;
        if not_before.is_some_and(|not_before| not_before < created) {
            return Err(FormatError::Invalid("a gc object condemns packs to be removed before it was made"));
        }
        let condemned = match (not_before, packs) {
            (None, None) => None,
            (Some(not_before), Some(packs)) => Some(Condemned { not_before, packs }),
            _ => return Err(FormatError::Invalid("condemned packs and their time do not go together")),
        };
        let ordered = condemned.as_ref().is_none_or(|c| {
            !c.packs.is_empty()
                && c.packs.iter().all(|p| !p.1.is_empty())
                && c.packs.windows(2).all(|pair| pair[0].0 < pair[1].0)
        });
        let empty = |list: &Option<Vec<ObjectId>>| list.as_ref().is_some_and(Vec::is_empty);
        let empty = empty(&forgotten)
            || empty(&pinned)
            || revoked.as_ref().is_some_and(Vec::is_empty)
            || manifests.as_ref().is_some_and(Vec::is_empty)
            || records.as_ref().is_some_and(Vec::is_empty);
        let gc = Self {
            created,
            condemned,
            forgotten: forgotten.unwrap_or_default(),
            revoked: revoked.unwrap_or_default(),
            pinned: pinned.unwrap_or_default(),
            manifests: manifests.unwrap_or_default(),
            records: records.unwrap_or_default(),
        };
        if !ordered || empty || (gc.is_empty() && !is_later) {
            return Err(FormatError::Invalid("a gc object says nothing, or not in order"));
        }
        Ok(gc)
    }
}

fn decode_manifest(d: &mut Dec<'_>) -> Result<(WriterName, Vec<u8>), FormatError> {
    d.tuple(2, |d| Ok((decode_writer(d)?, d.bytes("a manifest", limits::MANIFEST_BYTES)?.to_vec())))
}

fn decode_revoked(d: &mut Dec<'_>) -> Result<Revoked, FormatError> {
    let (mut key, mut accepted) = (None, None);
    d.map(|d, k| {
        match k {
            0 => key = Some(d.fixed("public key")?),
            1 => accepted = Some(d.ids("accepted objects", limits::INDEX_BYTES / 32, ObjectId)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(Revoked { key: need(key)?, accepted: need(accepted)? })
}
