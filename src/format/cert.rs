//! Certificates (spec 4.5) and the frame of signed objects (spec 4.4).

use super::cbor::{Dec, Enc, need};
use super::header::{HEADER_BYTES, Header, Kind};
use super::limits;
use super::time::Time;
use crate::error::FormatError;
use crate::id::{RepoId, WriterName};

/// What a certificate's key may sign.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SignerRole {
    /// Index objects and manifests of one writer.
    Writer,
    /// Those of any writer, and gc objects.
    Admin,
}

/// The signed statement of a certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertBody {
    /// For which repository it holds.
    pub repo: RepoId,
    /// The writer's name.
    pub writer: WriterName,
    /// The writer's Ed25519 public key.
    pub key: [u8; 32],
    /// What it may sign.
    pub role: SignerRole,
    /// When it was made.
    pub issued: Time,
}

impl CertBody {
    /// The bytes that the root key signs.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Enc::default();
        e.map(5);
        e.pair_bytes(0, &self.repo.0);
        e.pair_text(1, self.writer.as_str());
        e.pair_bytes(2, &self.key);
        e.pair_uint(
            3,
            match self.role {
                SignerRole::Writer => 1,
                SignerRole::Admin => 3,
            },
        );
        e.uint(4);
        self.issued.encode(&mut e);
        e.done()
    }

    /// The certificate from the body and its signature.
    pub fn wrap(body: &[u8], signature: &[u8; 64]) -> Vec<u8> {
        let mut e = Enc::default();
        e.array(2);
        e.bytes(body);
        e.bytes(signature);
        e.done()
    }

    /// The statement, the signed bytes and the signature, which is not checked here.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn decode(certificate: &[u8]) -> Result<(Self, &[u8], [u8; 64]), FormatError> {
        let mut d = Dec::new(certificate);
        let (body, signature) =
            d.tuple(2, |d| Ok((d.bytes("body of a certificate", limits::CERTIFICATE_BYTES)?, d.fixed("signature")?)))?;
        d.finish()?;
        let (mut repo, mut writer, mut key, mut role, mut issued) = (None, None, None, None, None);
        let mut d = Dec::new(body);
        d.map(|d, k| {
            match k {
                0 => repo = Some(RepoId(d.fixed("repository id")?)),
                1 => writer = Some(decode_writer(d)?),
                2 => key = Some(d.fixed("public key")?),
                3 => {
                    role = Some(match d.uint()? {
                        1 => SignerRole::Writer,
                        3 => SignerRole::Admin,
                        other => {
                            return Err(FormatError::Feature {
                                what: "role",
                                number: i64::try_from(other).unwrap_or(i64::MAX),
                            });
                        }
                    });
                }
                4 => issued = Some(Time::decode(d)?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        d.finish()?;
        let cert = Self {
            repo: need(repo)?,
            writer: need(writer)?,
            key: need(key)?,
            role: need(role)?,
            issued: need(issued)?,
        };
        Ok((cert, body, signature))
    }
}

/// A writer name in CBOR text.
pub(crate) fn decode_writer(d: &mut Dec<'_>) -> Result<WriterName, FormatError> {
    WriterName::new(d.text("writer name", 64)?).map_err(|_| FormatError::Invalid("a writer name breaks the rule"))
}

/// A signed object taken apart; nothing is verified yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signed<'a> {
    /// The header, decoded.
    pub header: Header,
    /// The header's bytes.
    pub header_bytes: &'a [u8],
    /// The certificate's bytes.
    pub certificate: &'a [u8],
    /// The salt of the index box.
    pub salt: [u8; 32],
    /// The index box.
    pub sealed: &'a [u8],
    /// Of a manifest: the encapsulated key and the ciphertext.
    pub manifest: Option<([u8; 32], &'a [u8])>,
    /// What is signed: header and body.
    pub signed_bytes: &'a [u8],
    /// The signature.
    pub signature: [u8; 64],
}

impl<'a> Signed<'a> {
    /// Takes an object of `kind` apart.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn decode(object: &'a [u8], kind: Kind, repo: &RepoId) -> Result<Self, FormatError> {
        let header = Header::decode(object, &[kind], repo)?;
        let (signed_bytes, signature) = object.split_last_chunk::<64>().ok_or(FormatError::Truncated)?;
        let body = signed_bytes.get(HEADER_BYTES..).ok_or(FormatError::Truncated)?;
        let manifest = kind == Kind::Snapshot;
        let mut d = Dec::new(body);
        let signed = d.tuple(if manifest { 5 } else { 3 }, |d| {
            Ok(Self {
                header,
                header_bytes: &object[..HEADER_BYTES],
                certificate: d.bytes("certificate", limits::CERTIFICATE_BYTES)?,
                salt: d.fixed("salt")?,
                sealed: d.bytes("box", limits::INDEX_BYTES)?,
                manifest: if manifest {
                    Some((d.fixed("encapsulated key")?, d.bytes("manifest", limits::MANIFEST_BYTES)?))
                } else {
                    None
                },
                signed_bytes,
                signature: *signature,
            })
        })?;
        d.finish()?;
        Ok(signed)
    }

    /// Header and body, to be signed.
    pub fn encode(
        header: &Header,
        certificate: &[u8],
        salt: &[u8; 32],
        sealed: &[u8],
        manifest: Option<(&[u8; 32], &[u8])>,
    ) -> Vec<u8> {
        let mut e = Enc::onto(header.encode().to_vec());
        e.array(if manifest.is_some() { 5 } else { 3 });
        e.bytes(certificate);
        e.bytes(salt);
        e.bytes(sealed);
        if let Some((enc, ciphertext)) = manifest {
            e.bytes(enc);
            e.bytes(ciphertext);
        }
        e.done()
    }
}
