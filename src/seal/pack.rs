//! The seals of a pack (spec 4.2).

use super::{aead_open, aead_seal, hpke_open, hpke_seal, random32};
use crate::error::FormatError;
use crate::format::header::{HEADER_BYTES, Header};
use crate::format::keyfile::Epoch;
use crate::format::pack::PREAMBLE_BYTES;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

const INFO: &[u8] = b"panther v1 pack key";

/// The random key of one pack.
pub type PackKey = Zeroizing<[u8; 32]>;

/// What seals and opens the segments and the table of contents of one pack.
pub struct PackSeal {
    key: PackKey,
    preamble: [u8; PREAMBLE_BYTES],
}

impl PackSeal {
    /// A fresh pack key, sealed to the epoch's public key.
    ///
    /// # Errors
    /// [`FormatError::Seal`] when the public key cannot be used.
    pub fn create(header: &Header, epoch: &Epoch, random: &mut impl CryptoRng) -> Result<Self, FormatError> {
        let header = header.encode();
        let key = Zeroizing::new(random32(random));
        let (enc, wrapped) = hpke_seal(&epoch.public, INFO, &header, &*key, random)?;
        let mut preamble = [0; PREAMBLE_BYTES];
        preamble[..HEADER_BYTES].copy_from_slice(&header);
        preamble[HEADER_BYTES..HEADER_BYTES + 32].copy_from_slice(&enc);
        preamble[HEADER_BYTES + 32..].copy_from_slice(&wrapped);
        Ok(Self { key, preamble })
    }

    /// Opens the key of a pack by its preamble and the epoch's private key.
    ///
    /// # Errors
    /// [`FormatError::Seal`] when it does not open.
    pub fn open(preamble: &[u8; PREAMBLE_BYTES], private: &[u8; 32]) -> Result<Self, FormatError> {
        let (header, rest) = preamble.split_at(HEADER_BYTES);
        let (enc, wrapped) = rest.split_first_chunk::<32>().ok_or(FormatError::Truncated)?;
        let plain = hpke_open(private, enc, INFO, header, wrapped, "the pack's key")?;
        let key = Zeroizing::new(plain[..].try_into().map_err(|_| FormatError::Seal("the pack's key"))?);
        Ok(Self { key, preamble: *preamble })
    }

    /// The 128 bytes with which the pack begins.
    pub fn preamble(&self) -> &[u8; PREAMBLE_BYTES] {
        &self.preamble
    }

    /// Seals segment `ordinal` in place.
    pub fn seal_segment(&self, ordinal: u32, buffer: &mut Vec<u8>) {
        aead_seal(&self.key, &segment_nonce(ordinal), &self.preamble, buffer);
    }

    /// Opens segment `ordinal` in place.
    ///
    /// # Errors
    /// [`FormatError::Seal`] when it does not open.
    pub fn open_segment(&self, ordinal: u32, buffer: &mut Vec<u8>) -> Result<(), FormatError> {
        aead_open(&self.key, &segment_nonce(ordinal), &self.preamble, buffer, "a segment")
    }

    /// Seals the table of contents in place.
    pub fn seal_toc(&self, buffer: &mut Vec<u8>) {
        aead_seal(&self.key, &TOC_NONCE, &self.preamble, buffer);
    }

    /// Opens the table of contents in place.
    ///
    /// # Errors
    /// [`FormatError::Seal`] when it does not open.
    pub fn open_toc(&self, buffer: &mut Vec<u8>) -> Result<(), FormatError> {
        aead_open(&self.key, &TOC_NONCE, &self.preamble, buffer, "the table of contents")
    }
}

const TOC_NONCE: [u8; 12] = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn segment_nonce(ordinal: u32) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..8].copy_from_slice(&ordinal.to_le_bytes());
    nonce
}
