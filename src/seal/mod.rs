//! Cryptography of spec 4: sealing, signing. Pure: randomness is passed in.

mod pack;
mod signed;

pub use pack::{PackKey, PackSeal};
pub use signed::{Opened, Signer, Verifier};
pub(crate) use signed::{open_config, sign_config, sign_key, verify_key};

use crate::error::FormatError;
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use hpke::aead::ChaCha20Poly1305 as HpkeAead;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// The kernel's generator, for everything but tests. It can only fail where there is no kernel randomness at all.
pub fn system_random() -> impl CryptoRng {
    rand_core::UnwrapErr(getrandom::SysRng)
}

/// 32 random bytes.
pub fn random32(random: &mut impl CryptoRng) -> [u8; 32] {
    let mut bytes = [0; 32];
    random.fill_bytes(&mut bytes);
    bytes
}

/// Encrypts `buffer` in place and appends the 16 bytes of tag (RFC 8439).
pub(crate) fn aead_seal(key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], buffer: &mut Vec<u8>) {
    // Fails only beyond 2^38 bytes; all limits are far below.
    let done = ChaCha20Poly1305::new(key.into()).encrypt_in_place(nonce.into(), aad, buffer);
    debug_assert!(done.is_ok());
}

/// Decrypts `buffer` in place and cuts the tag off.
pub(crate) fn aead_open(
    key: &[u8; 32],
    nonce: &[u8; 12],
    aad: &[u8],
    buffer: &mut Vec<u8>,
    what: &'static str,
) -> Result<(), FormatError> {
    ChaCha20Poly1305::new(key.into()).decrypt_in_place(nonce.into(), aad, buffer).map_err(|_| FormatError::Seal(what))
}

/// A new X25519 key pair: private, public.
pub fn new_key_pair(random: &mut impl CryptoRng) -> (Zeroizing<[u8; 32]>, [u8; 32]) {
    let seed = Zeroizing::new(random32(random));
    let (private, public) = X25519HkdfSha256::derive_keypair(&*seed);
    (Zeroizing::new(private.to_bytes().into()), public.to_bytes().into())
}

/// The Ed25519 public key of a seed.
pub fn public_of_seed(seed: &crate::format::keyfile::Secret) -> [u8; 32] {
    signed::public_of(&seed.0)
}

/// Whether `private` belongs to `public`.
pub(crate) fn keys_match(private: &[u8; 32], public: &[u8; 32]) -> bool {
    <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(private)
        .is_ok_and(|key| X25519HkdfSha256::sk_to_pk(&key).to_bytes()[..] == public[..])
}

/// HPKE single shot seal, base mode (RFC 9180, spec 4.2): encapsulated key and ciphertext.
///
/// # Errors
/// When `public` is not a point that can be sealed to.
pub(crate) fn hpke_seal(
    public: &[u8; 32],
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
    random: &mut impl CryptoRng,
) -> Result<([u8; 32], Vec<u8>), FormatError> {
    let bad = |_| FormatError::Seal("the repository's public key cannot be used");
    let key = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(public).map_err(bad)?;
    let (enc, sealed) = hpke::single_shot_seal_with_rng::<HpkeAead, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Base,
        &key,
        info,
        plaintext,
        aad,
        random,
    )
    .map_err(bad)?;
    Ok((enc.to_bytes().into(), sealed))
}

/// HPKE single shot open.
///
/// # Errors
/// When it does not open.
pub(crate) fn hpke_open(
    private: &[u8; 32],
    enc: &[u8; 32],
    info: &[u8],
    aad: &[u8],
    sealed: &[u8],
    what: &'static str,
) -> Result<Zeroizing<Vec<u8>>, FormatError> {
    let bad = |_| FormatError::Seal(what);
    let key = <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(private).map_err(bad)?;
    let enc = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(enc).map_err(bad)?;
    hpke::single_shot_open::<HpkeAead, HkdfSha256, X25519HkdfSha256>(&OpModeR::Base, &key, &enc, info, sealed, aad)
        .map(Zeroizing::new)
        .map_err(bad)
}
