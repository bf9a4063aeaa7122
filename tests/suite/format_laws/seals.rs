//! What is sealed opens to what it was; with any bit changed it does not open.

use ed25519_dalek::{Signer as _, SigningKey};
use panther::error::FormatError;
use panther::format::cert::{Signed, SignerRole};
use panther::format::header::{Header, Kind};
use panther::format::keyfile::{Epoch, Secret};
use panther::format::pack::PREAMBLE_BYTES;
use panther::format::time::Time;
use panther::id::{RepoId, WriterName};
use panther::seal::{PackSeal, Signer, Verifier, new_key_pair, public_of_seed};
use proptest::prelude::*;
use proptest::sample::Index as At;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

const REPO: RepoId = RepoId([5; 32]);

struct Keys {
    epoch: Epoch,
    signer: Signer,
    verifier: Verifier,
    random: ChaCha20Rng,
}

fn keys(seed: u64) -> Keys {
    let mut random = ChaCha20Rng::seed_from_u64(seed);
    let (private, public) = new_key_pair(&mut random);
    let root = Secret([8; 32]);
    let writer = WriterName::new("w").unwrap();
    Keys {
        epoch: Epoch { number: 3, public, index_key: Secret([6; 32]), private: Some(Secret(*private)) },
        signer: Signer::certify(REPO, writer, SignerRole::Writer, Time::default(), Secret([9; 32]), &root),
        verifier: Verifier { repo: REPO, root_key: public_of_seed(&root) },
        random,
    }
}

fn flip(bytes: &[u8], at: &At) -> Vec<u8> {
    let bit = at.index(bytes.len() * 8);
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

fn signed_anew(signed: &[u8], seed: &Secret) -> Vec<u8> {
    let message = [b"panther v1 object\0", signed].concat();
    [signed, &SigningKey::from_bytes(&seed.0).sign(&message).to_bytes()].concat()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn index_objects(seed: u64, plaintext: Vec<u8>, at: At) {
        let mut k = keys(seed);
        let object = k.signer.seal(Kind::Index, &k.epoch, plaintext.clone(), &mut k.random);
        let open = |object: &[u8]| {
            k.verifier.open(object, Kind::Index, Some(k.signer.writer()), std::slice::from_ref(&k.epoch)).map(|o| o.plaintext)
        };
        prop_assert_eq!(open(&object), Ok(plaintext));
        prop_assert!(open(&flip(&object, &at)).is_err());
        prop_assert!(open(&object[..at.index(object.len())]).is_err());
    }

    #[test]
    fn manifests(seed: u64, cover: Vec<u8>, manifest: Vec<u8>, at: At) {
        let mut k = keys(seed);
        let object = k.signer.seal_manifest(&k.epoch, cover.clone(), &manifest, &mut k.random).unwrap();
        let private = k.epoch.private.clone().unwrap();
        let open = |object: &[u8]| -> Result<_, FormatError> {
            let opened = k.verifier.open(object, Kind::Snapshot, Some(k.signer.writer()), std::slice::from_ref(&k.epoch))?;
            Ok((opened.open_manifest(&private.0)?, opened.plaintext))
        };
        prop_assert_eq!(open(&object), Ok((manifest, cover)));
        prop_assert!(open(&flip(&object, &at)).is_err());
    }

    /// The boxes protect themselves, also from one who can sign.
    #[test]
    fn manifests_signed_anew(seed: u64, cover: Vec<u8>, manifest: Vec<u8>, at: At, part in 0usize..4) {
        let mut k = keys(seed);
        let object = k.signer.seal_manifest(&k.epoch, cover, &manifest, &mut k.random).unwrap();
        let mut parts = Signed::decode(&object, Kind::Snapshot, &REPO).unwrap();
        let (mut enc, sealed) = parts.manifest.unwrap();
        let (salt, boxed, sealed) = (flip(&parts.salt, &at), flip(parts.sealed, &at), flip(sealed, &at));
        match part {
            0 => parts.salt = salt.try_into().unwrap(),
            1 => parts.sealed = &boxed,
            2 => enc = flip(&enc, &at).try_into().unwrap(),
            _ => {}
        }
        let ciphertext = if part == 3 { &sealed[..] } else { parts.manifest.unwrap().1 };
        let signed = Signed::encode(&parts.header, parts.certificate, &parts.salt, parts.sealed, Some((&enc, ciphertext)));
        let object = signed_anew(&signed, k.signer.seed());
        let opened = k.verifier.open(&object, Kind::Snapshot, Some(k.signer.writer()), std::slice::from_ref(&k.epoch));
        let private = k.epoch.private.clone().unwrap();
        prop_assert!(opened.and_then(|opened| opened.open_manifest(&private.0)).is_err());
    }

    #[test]
    fn packs(seed: u64, ordinal: u32, plaintext: Vec<u8>, at: At) {
        let mut k = keys(seed);
        let header = Header { kind: Kind::DataPack, epoch: 3, repo: REPO };
        let seal = PackSeal::create(&header, &k.epoch, &mut k.random).unwrap();
        let private = k.epoch.private.clone().unwrap();
        let (mut segment, mut toc) = (plaintext.clone(), plaintext.clone());
        seal.seal_segment(ordinal, &mut segment);
        seal.seal_toc(&mut toc);
        let open = |preamble: &[u8; PREAMBLE_BYTES]| PackSeal::open(preamble, &private.0);
        let again = open(seal.preamble()).unwrap();
        let segment_of = |ordinal: u32, mut bytes: Vec<u8>| again.open_segment(ordinal, &mut bytes).map(|()| bytes);
        let toc_of = |mut bytes: Vec<u8>| again.open_toc(&mut bytes).map(|()| bytes);
        prop_assert_eq!(segment_of(ordinal, segment.clone()), Ok(plaintext.clone()));
        prop_assert_eq!(toc_of(toc.clone()), Ok(plaintext));
        prop_assert!(segment_of(ordinal, flip(&segment, &at)).is_err());
        prop_assert!(segment_of(ordinal ^ 1, segment.clone()).is_err());
        prop_assert!(segment_of(0, toc.clone()).is_err() && toc_of(segment).is_err());
        prop_assert!(toc_of(flip(&toc, &at)).is_err());
        prop_assert!(open(&flip(seal.preamble(), &at).try_into().unwrap()).is_err());
    }

    #[test]
    fn certificates(seed: u64, at: At) {
        let k = keys(seed);
        prop_assert!(k.verifier.certificate(k.signer.certificate()).is_ok());
        prop_assert!(k.verifier.certificate(&flip(k.signer.certificate(), &at)).is_err());
        let elsewhere = Verifier { repo: RepoId([4; 32]), ..k.verifier.clone() };
        prop_assert!(elsewhere.certificate(k.signer.certificate()).is_err());
    }
}
