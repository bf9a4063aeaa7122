//! The plaintext of a key file (spec 3.1).

use super::cbor::{Dec, Enc, need};
use super::limits;
use super::time::Time;
use crate::error::FormatError;
use crate::id::{ObjectId, RepoId};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// What the holder of a key file can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Back up; read nothing.
    Writer,
    /// Read everything; write nothing.
    Reader,
    /// Everything.
    Admin,
}

impl Role {
    /// The role as people name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Writer => "writer",
            Self::Reader => "reader",
            Self::Admin => "admin",
        }
    }
}

/// 32 secret bytes, wiped when dropped and never shown.
#[derive(Clone, Zeroize, ZeroizeOnDrop, PartialEq, Eq)]
pub struct Secret(pub [u8; 32]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The keys of one epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// Its number, from 1.
    pub number: u32,
    /// X25519 public key to which packs and manifests are sealed.
    pub public: [u8; 32],
    /// Key of index boxes.
    pub index_key: Secret,
    /// X25519 private key; readers and admins have it.
    pub private: Option<Secret>,
}

/// A writer's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriterIdentity {
    /// Ed25519 seed.
    pub seed: Secret,
    /// Certificate for its public key.
    pub certificate: Vec<u8>,
}

/// A decoded key file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    /// The repository that it opens.
    pub repo: RepoId,
    /// BLAKE3 of `panther.cbor`.
    pub config_hash: ObjectId,
    /// What its holder can do.
    pub role: Role,
    /// Text for people.
    pub label: String,
    /// When it was made.
    pub created: Time,
    /// From which blob-id and chunking keys are derived.
    pub repo_secret: Secret,
    /// At least one, ascending by number.
    pub epochs: Vec<Epoch>,
    /// For writers.
    pub identity: Option<WriterIdentity>,
    /// For admins: Ed25519 seed of the root key.
    pub root_seed: Option<Secret>,
}

impl KeyFile {
    /// The body that the root key signs.
    pub fn encode_body(&self) -> Zeroizing<Vec<u8>> {
        // Roomy from the start: a growing vector would leave copies of secrets behind.
        let mut e = Enc::onto(Vec::with_capacity(64 << 10));
        e.map(7 + usize::from(self.identity.is_some()) + usize::from(self.root_seed.is_some()));
        e.pair_bytes(0, &self.repo.0);
        e.pair_bytes(1, &self.config_hash.0);
        e.pair_uint(
            2,
            match self.role {
                Role::Writer => 1,
                Role::Reader => 2,
                Role::Admin => 3,
            },
        );
        e.pair_text(3, &self.label);
        e.uint(4);
        self.created.encode(&mut e);
        e.pair_bytes(5, &self.repo_secret.0);
        e.uint(6);
        e.array(self.epochs.len());
        for epoch in &self.epochs {
            e.map(3 + usize::from(epoch.private.is_some()));
            e.pair_uint(0, epoch.number.into());
            e.pair_bytes(1, &epoch.public);
            e.pair_bytes(2, &epoch.index_key.0);
            if let Some(private) = &epoch.private {
                e.pair_bytes(3, &private.0);
            }
        }
        if let Some(identity) = &self.identity {
            e.uint(7);
            e.map(2);
            e.pair_bytes(0, &identity.seed.0);
            e.pair_bytes(1, &identity.certificate);
        }
        if let Some(seed) = &self.root_seed {
            e.pair_bytes(8, &seed.0);
        }
        Zeroizing::new(e.done())
    }

    /// The plaintext to be wrapped by age, from the body and its signature.
    pub fn wrap(body: &[u8], signature: &[u8; 64]) -> Zeroizing<Vec<u8>> {
        let mut e = Enc::onto(Vec::with_capacity(body.len() + 128));
        e.array(4);
        e.text("panther key");
        e.uint(1);
        e.bytes(body);
        e.bytes(signature);
        Zeroizing::new(e.done())
    }

    /// Takes a plaintext apart: the signed body and the signature, which is not checked here.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn unwrap(plaintext: &[u8]) -> Result<(&[u8], [u8; 64]), FormatError> {
        let mut d = Dec::new(plaintext);
        let parts = d.versioned("panther key", 4, |d| {
            Ok((d.bytes("body", limits::SMALL_OBJECT_BYTES)?, d.fixed("signature")?))
        })?;
        d.finish()?;
        Ok(parts)
    }

    /// Decodes a body. Whether the keys fit each other is checked by [`crate::keys`].
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn decode(body: &[u8]) -> Result<Self, FormatError> {
        let mut d = Dec::new(body);
        let key = Self::decode_body(&mut d)?;
        d.finish()?;
        Ok(key)
    }

    fn decode_body(d: &mut Dec<'_>) -> Result<Self, FormatError> {
        let (mut repo, mut config_hash, mut role, mut label, mut created, mut repo_secret) =
            (None, None, None, None, None, None);
        let (mut epochs, mut identity, mut root_seed) = (Vec::new(), None, None);
        d.map(|d, key| {
            match key {
                0 => repo = Some(RepoId(d.fixed("repository id")?)),
                1 => config_hash = Some(ObjectId(d.fixed("configuration hash")?)),
                2 => {
                    role = Some(match d.uint()? {
                        1 => Role::Writer,
                        2 => Role::Reader,
                        3 => Role::Admin,
                        other => {
                            return Err(FormatError::Feature {
                                what: "role",
                                number: i64::try_from(other).unwrap_or(i64::MAX),
                            });
                        }
                    });
                }
                3 => label = Some(d.text("label", limits::TEXT_BYTES)?.to_owned()),
                4 => created = Some(Time::decode(d)?),
                5 => repo_secret = Some(Secret(d.fixed("repository secret")?)),
                6 => epochs = d.list("epochs", limits::EPOCHS, decode_epoch)?,
                7 => identity = Some(decode_identity(d)?),
                8 => root_seed = Some(Secret(d.fixed("root seed")?)),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let key = Self {
            repo: need(repo)?,
            config_hash: need(config_hash)?,
            role: need(role)?,
            label: need(label)?,
            created: need(created)?,
            repo_secret: need(repo_secret)?,
            epochs,
            identity,
            root_seed,
        };
        key.check()?;
        Ok(key)
    }

    fn check(&self) -> Result<(), FormatError> {
        let ascending = self.epochs.windows(2).all(|pair| pair[0].number < pair[1].number);
        if self.epochs.first().is_none_or(|first| first.number == 0) || !ascending {
            return Err(FormatError::Invalid("the epochs of a key are missing or out of order"));
        }
        let reads = self.role != Role::Writer;
        let fits = self.epochs.iter().all(|e| e.private.is_some() == reads)
            && self.identity.is_some() == (self.role == Role::Writer)
            && self.root_seed.is_some() == (self.role == Role::Admin);
        if fits {
            Ok(())
        } else {
            Err(FormatError::Invalid("a key holds what its role does not have, or lacks what it has"))
        }
    }
}

fn decode_epoch(d: &mut Dec<'_>) -> Result<Epoch, FormatError> {
    let (mut number, mut public, mut index_key, mut private) = (None, None, None, None);
    d.map(|d, key| {
        match key {
            0 => number = Some(d.uint32("epoch")?),
            1 => public = Some(d.fixed("public key")?),
            2 => index_key = Some(Secret(d.fixed("index key")?)),
            3 => private = Some(Secret(d.fixed("private key")?)),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(Epoch { number: need(number)?, public: need(public)?, index_key: need(index_key)?, private })
}

fn decode_identity(d: &mut Dec<'_>) -> Result<WriterIdentity, FormatError> {
    let (mut seed, mut certificate) = (None, None);
    d.map(|d, key| {
        match key {
            0 => seed = Some(Secret(d.fixed("seed")?)),
            1 => certificate = Some(d.bytes("certificate", limits::CERTIFICATE_BYTES)?.to_vec()),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(WriterIdentity { seed: need(seed)?, certificate: need(certificate)? })
}
