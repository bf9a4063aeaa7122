//! Wrapped key files. age has its own randomness, so that their bytes are made once and kept.

use crate::keys::key_body;
use crate::out::Out;
use crate::record::hex;
use crate::world::{World, flipped, sign};
use age::secrecy::SecretString;
use panther::keys::SignedKey;
use panther::keys::wrap::{Recipient, new_identity};
use serde_json::{Value, json};
use zeroize::Zeroizing;

const TOPIC: &str = "age";
const PASSPHRASE: &str = "correct horse: Größe";
/// log2 of scrypt's cost; small, so that tests are fast.
const WORK_FACTOR: u8 = 10;

/// All of them.
pub fn all(out: &mut Out) {
    let world = World::main();
    let body = key_body(&world, 2).cbor();
    let signature = sign(&world.root_seed, "panther v1 key", &body);
    let expect = json!({ "body": hex(&body), "signature": hex(signature) });
    let key = SignedKey { body: Zeroizing::new(body), signature };

    let passphrase = |text: &str| Recipient::Passphrase(SecretString::from(text.to_owned()));
    let file = kept(out, "passphrase", || passphrase(PASSPHRASE).wrap(&key, WORK_FACTOR).unwrap());
    let input = |file: &[u8], word: &str| json!({ "file": hex(file), "passphrase": word });
    out.good(TOPIC, "passphrase", "wrapped to a passphrase", input(&file, PASSPHRASE), expect.clone());
    out.good(
        TOPIC,
        "passphrase-wrong",
        "another passphrase does not open it, which is no damage",
        input(&file, "other"),
        json!({ "opens": false }),
    );

    let identity = match out.kept(TOPIC, "identity", "identity").and_then(|v| v.as_str().map(str::to_owned)) {
        Some(kept) => kept,
        None => new_identity().0.to_string(),
    };
    let recipient = identity.parse::<age::x25519::Identity>().unwrap().to_public();
    let other = match out.kept(TOPIC, "identity-wrong", "identity").and_then(|v| v.as_str().map(str::to_owned)) {
        Some(kept) => kept,
        None => new_identity().0.to_string(),
    };
    let second = other.parse::<age::x25519::Identity>().unwrap().to_public();
    let sealed = kept(out, "identity", || Recipient::Recipients(vec![recipient.clone()]).wrap(&key, 0).unwrap());
    let with = |file: &[u8], identity: &str| json!({ "file": hex(file), "identity": identity });
    out.good(TOPIC, "identity", "wrapped to a recipient", with(&sealed, &identity), expect.clone());
    out.good(
        TOPIC,
        "identity-wrong",
        "another identity does not open it",
        with(&sealed, &other),
        json!({ "opens": false }),
    );
    out.good(
        TOPIC,
        "identity-for-passphrase",
        "an identity does not open what is wrapped to a passphrase",
        with(&file, &identity),
        json!({ "opens": false }),
    );
    let both = kept(out, "two-recipients", || Recipient::Recipients(vec![recipient, second]).wrap(&key, 0).unwrap());
    out.good(TOPIC, "two-recipients", "wrapped to two recipients, opened by the second", with(&both, &other), expect);

    let text = String::from_utf8_lossy(&file[..200]).into_owned();
    let factor = text.find(" 10\n").unwrap() + 1;
    let mut costly = file.clone();
    costly[factor..factor + 2].copy_from_slice(b"21");
    out.bad(
        TOPIC,
        "work-factor-21",
        "a work factor above 20 is refused before any work is done",
        input(&costly, PASSPHRASE),
        "invalid",
    );
    out.bad(TOPIC, "no-age-file", "it is no age file", input(b"age-encryption.org/v0\n", PASSPHRASE), "invalid");
    out.bad(
        TOPIC,
        "flipped-payload",
        "one bit of the payload changed",
        input(&flipped(&file, file.len() - 20), PASSPHRASE),
        "seal",
    );
    out.bad(TOPIC, "truncated-payload", "the last byte is missing", input(&file[..file.len() - 1], PASSPHRASE), "seal");
    let large = [&file[..], &vec![0; 65_537 - file.len()]].concat();
    out.bad(TOPIC, "large", "more than 64 KiB", input(&large, PASSPHRASE), "limit");
}

fn kept(out: &Out, scenario: &str, make: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    match out.kept(TOPIC, scenario, "file").as_ref().and_then(Value::as_str) {
        Some(text) => data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap(),
        None => make(),
    }
}
