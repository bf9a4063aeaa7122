//! Key files in age's format (spec 3.1): wrapping, unwrapping, identities.

use crate::error::{Error, FormatError, Result};
use crate::format::keyfile::KeyFile;
use crate::format::limits;
use crate::keys::SignedKey;
use age::secrecy::{ExposeSecret, SecretString};
use std::io::Read;
use std::str::FromStr;
use zeroize::Zeroizing;

/// log2 of scrypt's cost for new wrappings: 64 MiB, about 0.15 s.
pub const WORK_FACTOR: u8 = 16;
/// The highest cost that is accepted (spec 3.1).
pub const MAX_WORK_FACTOR: u8 = 20;

/// What opens a key file.
#[derive(Clone)]
pub enum Opener {
    /// A passphrase.
    Passphrase(SecretString),
    /// age X25519 identities.
    Identities(Vec<age::x25519::Identity>),
}

/// To whom a new key file is wrapped.
pub enum Recipient {
    /// Whoever knows the passphrase.
    Passphrase(SecretString),
    /// Holders of these age identities.
    Recipients(Vec<age::x25519::Recipient>),
}

impl Opener {
    /// Identities from the text of an age identity file: `AGE-SECRET-KEY-1…` lines, comments and blank lines.
    ///
    /// # Errors
    /// [`Error::Usage`] when a line is something else or there is none.
    pub fn identities(text: &str) -> Result<Self> {
        let mut identities = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            // The line itself is a secret: it must not be in the message.
            let identity = age::x25519::Identity::from_str(line).map_err(|why| {
                Error::Usage(format!("line {} of the identity file is no age identity: {why}", number + 1))
            })?;
            identities.push(identity);
        }
        if identities.is_empty() {
            return Err(Error::Usage("the identity file has no line AGE-SECRET-KEY-1…".into()));
        }
        Ok(Self::Identities(identities))
    }

    /// What this is, for messages.
    pub fn what(&self) -> &'static str {
        match self {
            Self::Passphrase(_) => "passphrase",
            Self::Identities(_) => "identity",
        }
    }

    /// Opens a key file; nothing if it is for somebody else.
    ///
    /// # Errors
    /// [`FormatError`] when it is not an age file, or opens and holds no key.
    pub fn open(&self, object: &[u8]) -> Result<Option<SignedKey>, FormatError> {
        if object.len() as u64 > limits::SMALL_OBJECT_BYTES {
            return Err(FormatError::Limit {
                what: "key file",
                actual: object.len() as u64,
                limit: limits::SMALL_OBJECT_BYTES,
            });
        }
        let decryptor =
            age::Decryptor::new_buffered(object).map_err(|_| FormatError::Invalid("it is not an age file"))?;
        let opened = match (self, decryptor.is_scrypt()) {
            (Self::Passphrase(passphrase), true) => {
                let mut identity = age::scrypt::Identity::new(passphrase.clone());
                identity.set_max_work_factor(MAX_WORK_FACTOR);
                decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity))
            }
            (Self::Identities(identities), false) => {
                decryptor.decrypt(identities.iter().map(|i| i as &dyn age::Identity))
            }
            _ => return Ok(None),
        };
        let reader = match opened {
            Ok(reader) => reader,
            // age says of a wrong passphrase that decryption failed; damage of the header is another error, and that of the
            // payload shows when it is read.
            Err(
                age::DecryptError::NoMatchingKeys
                | age::DecryptError::KeyDecryptionFailed
                | age::DecryptError::DecryptionFailed,
            ) => return Ok(None),
            Err(age::DecryptError::ExcessiveWork { .. }) => {
                return Err(FormatError::Invalid("its passphrase costs more work than is allowed"));
            }
            Err(_) => return Err(FormatError::Seal("the age file")),
        };
        let mut plaintext = Zeroizing::new(Vec::with_capacity(64 << 10));
        reader
            .take(limits::SMALL_OBJECT_BYTES)
            .read_to_end(&mut plaintext)
            .map_err(|_| FormatError::Seal("the age file"))?;
        let (body, signature) = KeyFile::unwrap(&plaintext)?;
        Ok(Some(SignedKey { body: Zeroizing::new(body.to_vec()), signature }))
    }
}

impl Recipient {
    /// A recipient from its text (`age1…`).
    ///
    /// # Errors
    /// [`Error::Usage`] when it is none.
    pub fn parse(text: &str) -> Result<age::x25519::Recipient> {
        age::x25519::Recipient::from_str(text.trim())
            .map_err(|why| Error::Usage(format!("{text:?} is no age recipient (age1…): {why}")))
    }

    /// Wraps `key`: the bytes of a key object.
    ///
    /// # Errors
    /// [`FormatError`] when age refuses the recipients.
    pub fn wrap(&self, key: &SignedKey, work_factor: u8) -> Result<Vec<u8>, FormatError> {
        let refused = |_| FormatError::Invalid("age refuses these recipients");
        let scrypt;
        let recipients: Vec<&dyn age::Recipient> = match self {
            Self::Passphrase(passphrase) => {
                let mut recipient = age::scrypt::Recipient::new(passphrase.clone());
                recipient.set_work_factor(work_factor);
                scrypt = recipient;
                vec![&scrypt]
            }
            Self::Recipients(list) => list.iter().map(|r| r as &dyn age::Recipient).collect(),
        };
        let encryptor = age::Encryptor::with_recipients(recipients.into_iter()).map_err(refused)?;
        let mut object = Vec::new();
        let sealing = |_| FormatError::Invalid("age cannot seal the key");
        let mut writer = encryptor.wrap_output(&mut object).map_err(sealing)?;
        std::io::Write::write_all(&mut writer, &KeyFile::wrap(&key.body, &key.signature)).map_err(sealing)?;
        writer.finish().map_err(sealing)?;
        Ok(object)
    }
}

/// A new identity for a paper key: the secret line and the recipient for it.
pub fn new_identity() -> (Zeroizing<String>, age::x25519::Recipient) {
    let identity = age::x25519::Identity::generate();
    (Zeroizing::new(identity.to_string().expose_secret().to_owned()), identity.to_public())
}
