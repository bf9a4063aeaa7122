//! `panther.cbor` (spec 2).

use super::cbor::{Dec, Enc, need};
use super::limits;
use super::time::Time;
use crate::error::FormatError;
use crate::id::{ObjectId, RepoId};

/// The repository's public configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// The repository's id.
    pub repo: RepoId,
    /// When it was made.
    pub created: Time,
    /// Ed25519 public key by which certificates are signed.
    pub root_key: [u8; 32],
    /// What decides cut points.
    pub params: Params,
}

/// Parameters of chunking (spec 5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Params {
    /// Smallest data blob.
    pub min_bytes: u32,
    /// Normal data blob.
    pub avg_bytes: u32,
    /// Largest data blob.
    pub max_bytes: u32,
    /// Mask below the normal size.
    pub mask_s: u64,
    /// Mask from the normal size on.
    pub mask_l: u64,
    /// Largest file kept in its entry.
    pub inline_max_bytes: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            min_bytes: 16 << 10,
            avg_bytes: 64 << 10,
            max_bytes: 256 << 10,
            mask_s: 0x0000_d907_0753_7000,
            mask_l: 0x0000_d903_1353_0000,
            inline_max_bytes: 512,
        }
    }
}

impl Params {
    fn check(&self) -> Result<(), FormatError> {
        let even = |n: u32| n.is_multiple_of(2);
        let good = (64..=1 << 20).contains(&self.min_bytes)
            && (self.min_bytes..=4 << 20).contains(&self.avg_bytes)
            && (self.avg_bytes..=16 << 20).contains(&self.max_bytes)
            && even(self.min_bytes)
            && even(self.avg_bytes)
            && even(self.max_bytes)
            && self.mask_s >> 63 == 0
            && self.mask_l >> 63 == 0
            && u64::from(self.inline_max_bytes) <= limits::INLINE_BYTES;
        if good { Ok(()) } else { Err(FormatError::Invalid("the chunking parameters are out of bounds")) }
    }
}

impl Config {
    /// The body that is signed.
    pub fn encode_body(&self) -> Vec<u8> {
        let mut e = Enc::default();
        e.map(4);
        e.pair_bytes(0, &self.repo.0);
        e.uint(1);
        self.created.encode(&mut e);
        e.pair_bytes(2, &self.root_key);
        e.uint(3);
        e.map(6);
        let p = &self.params;
        e.pair_uint(0, p.min_bytes.into());
        e.pair_uint(1, p.avg_bytes.into());
        e.pair_uint(2, p.max_bytes.into());
        e.pair_uint(3, p.mask_s);
        e.pair_uint(4, p.mask_l);
        e.pair_uint(5, p.inline_max_bytes.into());
        e.done()
    }

    /// The object's bytes from the body and its signature.
    pub fn wrap(body: &[u8], signature: &[u8; 64]) -> Vec<u8> {
        let mut e = Enc::default();
        e.array(4);
        e.text("panther");
        e.uint(1);
        e.bytes(body);
        e.bytes(signature);
        e.done()
    }

    /// The configuration, the signed body and the signature, which is not checked here.
    ///
    /// # Errors
    /// [`FormatError`]; an unknown version is refused before anything else is looked at.
    pub fn decode(object: &[u8]) -> Result<(Self, &[u8], [u8; 64]), FormatError> {
        let mut d = Dec::new(object);
        let (body, signature) =
            d.versioned("panther", 4, |d| Ok((d.bytes("body", limits::SMALL_OBJECT_BYTES)?, d.fixed("signature")?)))?;
        d.finish()?;
        Ok((Self::decode_body(body)?, body, signature))
    }

    fn decode_body(body: &[u8]) -> Result<Self, FormatError> {
        let (mut repo, mut created, mut root_key, mut params) = (None, None, None, None);
        let mut d = Dec::new(body);
        d.map(|d, key| {
            match key {
                0 => repo = Some(RepoId(d.fixed("repository id")?)),
                1 => created = Some(Time::decode(d)?),
                2 => root_key = Some(d.fixed("root key")?),
                3 => params = Some(decode_params(d)?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        d.finish()?;
        Ok(Self { repo: need(repo)?, created: need(created)?, root_key: need(root_key)?, params: need(params)? })
    }

    /// The configuration hash: BLAKE3 of the object's bytes.
    pub fn hash(object: &[u8]) -> ObjectId {
        ObjectId::of(object)
    }
}

fn decode_params(d: &mut Dec<'_>) -> Result<Params, FormatError> {
    let mut p = [None; 6];
    d.map(|d, key| {
        let Some(slot) = usize::try_from(key).ok().and_then(|i| p.get_mut(i)) else { return Ok(false) };
        *slot = Some(d.uint()?);
        Ok(true)
    })?;
    let small = |value: Option<u64>| {
        u32::try_from(need(value)?).map_err(|_| FormatError::Invalid("the chunking parameters are out of bounds"))
    };
    let params = Params {
        min_bytes: small(p[0])?,
        avg_bytes: small(p[1])?,
        max_bytes: small(p[2])?,
        mask_s: need(p[3])?,
        mask_l: need(p[4])?,
        inline_max_bytes: small(p[5])?,
    };
    params.check()?;
    Ok(params)
}
