//! Signed objects: certificates, signatures and boxes (spec 4.3 to 4.5).

use super::{aead_open, aead_seal, hpke_open, hpke_seal, random32};
use crate::error::FormatError;
use crate::format::cert::{CertBody, Signed, SignerRole};
use crate::format::config::Config;
use crate::format::header::{Header, Kind};
use crate::format::keyfile::{Epoch, Secret};
use crate::format::time::Time;
use crate::id::{RepoId, WriterName};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use rand_core::CryptoRng;

const OBJECT: &[u8] = b"panther v1 object\0";
const CERTIFICATE: &[u8] = b"panther v1 certificate\0";
const CONFIG: &[u8] = b"panther v1 config\0";
const KEY: &[u8] = b"panther v1 key\0";
const RECORD: &[u8] = b"panther v1 record\0";
const MANIFEST_INFO: &[u8] = b"panther v1 manifest";

fn sign(seed: &[u8; 32], context: &[u8], message: &[u8]) -> [u8; 64] {
    SigningKey::from_bytes(seed).sign(&[context, message].concat()).to_bytes()
}

fn verify(
    key: &[u8; 32],
    context: &[u8],
    message: &[u8],
    signature: &[u8; 64],
    what: &'static str,
) -> Result<(), FormatError> {
    let bad = |_| FormatError::Signature(what);
    let key = VerifyingKey::from_bytes(key).map_err(bad)?;
    key.verify_strict(&[context, message].concat(), &Signature::from_bytes(signature)).map_err(bad)
}

/// The public key of an Ed25519 seed.
pub(crate) fn public_of(seed: &[u8; 32]) -> [u8; 32] {
    SigningKey::from_bytes(seed).verifying_key().to_bytes()
}

/// The bytes of `panther.cbor`, signed by the root key.
pub(crate) fn sign_config(config: &Config, root_seed: &Secret) -> Vec<u8> {
    let body = config.encode_body();
    let signature = sign(&root_seed.0, CONFIG, &body);
    Config::wrap(&body, &signature)
}

/// Signs the body of a key file.
pub(crate) fn sign_key(body: &[u8], root_seed: &Secret) -> [u8; 64] {
    sign(&root_seed.0, KEY, body)
}

/// Verifies the signature of a key file's body.
///
/// # Errors
/// [`FormatError::Signature`].
pub(crate) fn verify_key(body: &[u8], signature: &[u8; 64], root_key: &[u8; 32]) -> Result<(), FormatError> {
    verify(root_key, KEY, body, signature, "of the key")
}

/// Decodes `panther.cbor` and verifies its signature.
///
/// # Errors
/// [`FormatError`].
pub(crate) fn open_config(object: &[u8]) -> Result<Config, FormatError> {
    let (config, body, signature) = Config::decode(object)?;
    verify(&config.root_key, CONFIG, body, &signature, "of the configuration")?;
    Ok(config)
}

/// A writer's identity, ready to sign and seal.
pub struct Signer {
    writer: WriterName,
    repo: RepoId,
    seed: Secret,
    certificate: Vec<u8>,
}

impl Signer {
    /// The identity with this seed and the certificate for it.
    ///
    /// # Errors
    /// When the certificate is not for this key.
    pub fn new(seed: Secret, certificate: Vec<u8>) -> Result<Self, FormatError> {
        let (cert, _, _) = CertBody::decode(&certificate)?;
        if public_of(&seed.0) != cert.key {
            return Err(FormatError::Signature("the certificate is for another key"));
        }
        Ok(Self { writer: cert.writer, repo: cert.repo, seed, certificate })
    }

    /// An identity certified by the root key.
    pub fn certify(
        repo: RepoId,
        writer: WriterName,
        role: SignerRole,
        issued: Time,
        seed: Secret,
        root_seed: &Secret,
    ) -> Self {
        let body = CertBody { repo, writer: writer.clone(), key: public_of(&seed.0), role, issued }.encode();
        let certificate = CertBody::wrap(&body, &sign(&root_seed.0, CERTIFICATE, &body));
        Self { writer, repo, seed, certificate }
    }

    /// The writer's name.
    pub fn writer(&self) -> &WriterName {
        &self.writer
    }

    /// The certificate's bytes.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The Ed25519 seed.
    pub fn seed(&self) -> &Secret {
        &self.seed
    }

    /// An index or gc object with this plaintext.
    pub fn seal(&self, kind: Kind, epoch: &Epoch, plaintext: Vec<u8>, random: &mut impl CryptoRng) -> Vec<u8> {
        let header = Header { kind, epoch: epoch.number, repo: self.repo };
        let salt = random32(random);
        let sealed = self.seal_box(&header, epoch, &salt, plaintext);
        self.finish(Signed::encode(&header, &self.certificate, &salt, &sealed, None))
    }

    /// A manifest with these plaintexts of cover and manifest.
    ///
    /// # Errors
    /// [`FormatError::Seal`] when the epoch's public key cannot be used.
    pub fn seal_manifest(
        &self,
        epoch: &Epoch,
        cover: Vec<u8>,
        manifest: &[u8],
        random: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, FormatError> {
        let header = Header { kind: Kind::Snapshot, epoch: epoch.number, repo: self.repo };
        let salt = random32(random);
        let cover = self.seal_box(&header, epoch, &salt, cover);
        let (enc, sealed) = hpke_seal(&epoch.public, MANIFEST_INFO, &self.aad(&header.encode()), manifest, random)?;
        Ok(self.finish(Signed::encode(&header, &self.certificate, &salt, &cover, Some((&enc, &sealed)))))
    }

    /// Signs what is kept outside the repository: a record of a drill.
    pub fn sign_record(&self, record: &[u8]) -> [u8; 64] {
        sign(&self.seed.0, RECORD, record)
    }

    fn aad(&self, header: &[u8]) -> Vec<u8> {
        [header, &self.certificate].concat()
    }

    fn seal_box(&self, header: &Header, epoch: &Epoch, salt: &[u8; 32], mut plaintext: Vec<u8>) -> Vec<u8> {
        let key = blake3::keyed_hash(&epoch.index_key.0, salt);
        aead_seal(key.as_bytes(), &[0; 12], &self.aad(&header.encode()), &mut plaintext);
        plaintext
    }

    fn finish(&self, mut signed: Vec<u8>) -> Vec<u8> {
        let signature = sign(&self.seed.0, OBJECT, &signed);
        signed.extend_from_slice(&signature);
        signed
    }
}

/// A verified signed object, its index box opened.
pub struct Opened<'a> {
    /// Who signed it.
    pub cert: CertBody,
    /// The plaintext of the index box (for a manifest: the cover).
    pub plaintext: Vec<u8>,
    signed: Signed<'a>,
}

impl Opened<'_> {
    /// The epoch under which it is sealed.
    pub fn epoch(&self) -> u32 {
        self.signed.header.epoch
    }

    /// The manifest's plaintext, for holders of the epoch's private key.
    ///
    /// # Errors
    /// [`FormatError::Seal`] when it does not open.
    pub fn open_manifest(&self, private: &[u8; 32]) -> Result<Vec<u8>, FormatError> {
        let (enc, sealed) = self.signed.manifest.ok_or(FormatError::Invalid("it is not a manifest"))?;
        let aad = [self.signed.header_bytes, self.signed.certificate].concat();
        let plain = hpke_open(private, &enc, MANIFEST_INFO, &aad, sealed, "the manifest")?;
        Ok(plain.to_vec())
    }
}

/// What verifies signed objects: the root key of one repository.
#[derive(Clone, Debug)]
pub struct Verifier {
    /// The repository.
    pub repo: RepoId,
    /// Its root key.
    pub root_key: [u8; 32],
}

impl Verifier {
    /// Verifies a certificate under the root key.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn certificate(&self, certificate: &[u8]) -> Result<CertBody, FormatError> {
        let (cert, body, signature) = CertBody::decode(certificate)?;
        verify(&self.root_key, CERTIFICATE, body, &signature, "of the certificate")?;
        if cert.repo != self.repo {
            return Err(FormatError::Signature("the certificate is for another repository"));
        }
        Ok(cert)
    }

    /// Verifies a record of a drill; who has signed it.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn record(&self, certificate: &[u8], record: &[u8], signature: &[u8; 64]) -> Result<CertBody, FormatError> {
        let cert = self.certificate(certificate)?;
        verify(&cert.key, RECORD, record, signature, "of the record")?;
        Ok(cert)
    }

    /// Verifies a signed object of `kind` that lies in the folder of `writer` (of nobody: a gc object, for admins only) and opens its index box
    /// with the key of its epoch.
    ///
    /// # Errors
    /// [`FormatError`], in the order of spec 4.5.
    pub fn open<'a>(
        &self,
        object: &'a [u8],
        kind: Kind,
        writer: Option<&WriterName>,
        epochs: &[Epoch],
    ) -> Result<Opened<'a>, FormatError> {
        let signed = Signed::decode(object, kind, &self.repo)?;
        let cert = self.certificate(signed.certificate)?;
        let right = match writer {
            Some(writer) => cert.writer == *writer,
            None => cert.role == SignerRole::Admin,
        };
        if !right {
            return Err(FormatError::Signature("this writer may not put an object here"));
        }
        verify(&cert.key, OBJECT, signed.signed_bytes, &signed.signature, "of the object")?;
        let epoch = epochs
            .iter()
            .find(|e| e.number == signed.header.epoch)
            .ok_or(FormatError::Seal("this key file lacks its epoch"))?;
        let key = blake3::keyed_hash(&epoch.index_key.0, &signed.salt);
        let mut plaintext = signed.sealed.to_vec();
        let aad = [signed.header_bytes, signed.certificate].concat();
        aead_open(key.as_bytes(), &[0; 12], &aad, &mut plaintext, "the index box")?;
        Ok(Opened { cert, plaintext, signed })
    }
}
