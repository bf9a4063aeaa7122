//! Keys from passwords (scrypt, RFC 7914), and what is sealed by AES-256-CTR and Poly1305-AES (D. J. Bernstein, 2005), opened.

use crate::error::FormatError;
use aes::cipher::generic_array::GenericArray;
use aes::cipher::{BlockEncrypt, KeyInit, KeyIvInit, StreamCipher};
use serde::Deserialize;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Before what is sealed.
const IV_BYTES: usize = 16;
/// After it.
const MAC_BYTES: usize = 16;
/// What sealing adds.
pub(super) const SEAL_BYTES: usize = IV_BYTES + MAC_BYTES;
/// scrypt may take so much memory, …
const SCRYPT_BYTES: u64 = 1 << 30;
/// … and so many rounds of its mixing: a hundred times what restic chooses.
const SCRYPT_WORK: u64 = 1 << 28;

/// An encryption key and the two halves of a Poly1305-AES key.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Key {
    encrypt: [u8; 32],
    mac_k: [u8; 16],
    mac_r: [u8; 16],
}

/// How costly it is to get from a password to a key.
#[derive(Deserialize, Clone, Copy, Debug)]
pub(super) struct Cost {
    #[serde(rename = "N")]
    pub n: u64,
    pub r: u32,
    pub p: u32,
}

impl Key {
    /// The key that a password stands for. This takes as long as whoever made the key wanted it to, usually about half a second.
    ///
    /// # Errors
    /// [`FormatError`] where the cost makes no sense, or is far beyond what restic asks.
    pub fn derive(password: &[u8], salt: &[u8], cost: Cost) -> Result<Self, FormatError> {
        let (n, r, p) = (cost.n, u64::from(cost.r), u64::from(cost.p));
        if !n.is_power_of_two() || n < 2 || r == 0 || p == 0 {
            return Err(FormatError::Invalid("its cost of scrypt makes no sense"));
        }
        for (what, factors, limit) in
            [("memory of scrypt", [128, n, r, 1], SCRYPT_BYTES), ("work of scrypt", [1, n, r, p], SCRYPT_WORK)]
        {
            let actual = factors.into_iter().try_fold(1u64, u64::checked_mul).unwrap_or(u64::MAX);
            if actual > limit {
                return Err(FormatError::Limit { what, actual, limit });
            }
        }
        let log_n = n.trailing_zeros() as u8;
        let mut out = Zeroizing::new([0; 64]);
        let params = scrypt::Params::new(log_n, cost.r, cost.p, out.len())
            .map_err(|_| FormatError::Invalid("its cost of scrypt makes no sense"))?;
        scrypt::scrypt(password, salt, &params, &mut out[..])
            .map_err(|_| FormatError::Invalid("its cost of scrypt makes no sense"))?;
        Self::new(&out[..32], &out[32..48], &out[48..])
    }

    /// A key of its parts.
    ///
    /// # Errors
    /// [`FormatError::Invalid`] if one has another length.
    pub fn new(encrypt: &[u8], mac_k: &[u8], mac_r: &[u8]) -> Result<Self, FormatError> {
        let odd = |_| FormatError::Invalid("a part of the key has the wrong length");
        Ok(Self {
            encrypt: encrypt.try_into().map_err(odd)?,
            mac_k: mac_k.try_into().map_err(odd)?,
            mac_r: mac_r.try_into().map_err(odd)?,
        })
    }

    /// Opens what is sealed: IV, ciphertext, MAC.
    ///
    /// # Errors
    /// [`FormatError::Truncated`], [`FormatError::Seal`].
    pub fn open(&self, mut sealed: Vec<u8>) -> Result<Vec<u8>, FormatError> {
        let len = sealed.len().checked_sub(SEAL_BYTES).ok_or(FormatError::Truncated)?;
        let (iv, rest) = sealed.split_first_chunk::<IV_BYTES>().ok_or(FormatError::Truncated)?;
        let (text, mac) = rest.split_last_chunk::<MAC_BYTES>().ok_or(FormatError::Truncated)?;
        let want = self.mac(iv, text);
        // Without saying by its time where they differ.
        if want.iter().zip(mac).fold(0, |differ, (a, b)| differ | (a ^ b)) != 0 {
            return Err(FormatError::Seal("it was changed, or another key sealed it"));
        }
        let mut stream = ctr::Ctr128BE::<aes::Aes256>::new(&self.encrypt.into(), &(*iv).into());
        sealed.copy_within(IV_BYTES..IV_BYTES + len, 0);
        sealed.truncate(len);
        stream.apply_keystream(&mut sealed);
        Ok(sealed)
    }

    /// Poly1305-AES: Poly1305 under r, with the nonce encrypted by AES-128 under k as what is added at the end.
    fn mac(&self, nonce: &[u8; IV_BYTES], message: &[u8]) -> [u8; MAC_BYTES] {
        let mut block = GenericArray::from(*nonce);
        aes::Aes128::new(&self.mac_k.into()).encrypt_block(&mut block);
        let mut key = Zeroizing::new([0; 32]);
        key[..16].copy_from_slice(&self.mac_r);
        key[16..].copy_from_slice(&block);
        use poly1305::universal_hash::KeyInit as _;
        poly1305::Poly1305::new((&*key).into()).compute_unpadded(message).into()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        data_encoding::HEXLOWER.decode(text.replace(' ', "").as_bytes()).unwrap()
    }

    /// Appendix B of "The Poly1305-AES message-authentication code".
    #[test]
    fn the_mac_is_that_of_the_paper() {
        for (message, r, k, nonce, mac) in [
            (
                "f3f6",
                "851fc40c3467ac0be05cc20404f3f700",
                "ec074c835580741701425b623235add6",
                "fb447350c4e868c52ac3275cf9d4327e",
                "f4c633c3044fc145f84f335cb81953de",
            ),
            (
                "",
                "a0f3080000f46400d0c7e9076c834403",
                "75deaa25c09f208e1dc4ce6b5cad3fbf",
                "61ee09218d29b0aaed7e154a2c5509cc",
                "dd3fab2251f11ac759f0887129cc2ee7",
            ),
        ] {
            let key = Key::new(&[0; 32], &hex(k), &hex(r)).unwrap();
            let nonce: [u8; 16] = hex(nonce).try_into().unwrap();
            assert_eq!(key.mac(&nonce, &hex(message)).to_vec(), hex(mac));
        }
    }

    #[test]
    fn what_was_sealed_opens_and_what_was_changed_does_not() {
        let key = Key::new(&[1; 32], &[2; 16], &[3; 16]).unwrap();
        let (iv, text) = ([9; 16], b"some text that is longer than a block".to_vec());
        let mut sealed = text.clone();
        ctr::Ctr128BE::<aes::Aes256>::new(&[1; 32].into(), &iv.into()).apply_keystream(&mut sealed);
        let mac = key.mac(&iv, &sealed);
        let sealed = [&iv[..], &sealed, &mac].concat();
        assert_eq!(key.open(sealed.clone()).unwrap(), text);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 0x10;
            assert!(matches!(key.open(changed), Err(FormatError::Seal(_))), "{at}");
        }
        assert_eq!(key.open(sealed[..31].to_vec()), Err(FormatError::Truncated));
        assert_eq!(
            key.open(sealed[..32].to_vec()).unwrap_err(),
            FormatError::Seal("it was changed, or another key sealed it")
        );
    }

    #[test]
    fn senseless_costs_are_refused() {
        for (n, r, p) in
            [(0, 8, 1), (3, 8, 1), (1, 8, 1), (1 << 15, 0, 1), (1 << 15, 8, 0), (1 << 30, 8, 1), (1 << 20, 8, 999)]
        {
            assert!(Key::derive(b"x", b"salt", Cost { n, r, p }).is_err(), "{n} {r} {p}");
        }
        assert!(Key::derive(b"x", b"salt", Cost { n: 16, r: 8, p: 1 }).is_ok());
    }
}
