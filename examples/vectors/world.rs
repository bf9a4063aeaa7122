//! The fixed keys of the vectors' repositories, and what is signed with them.

use crate::record::{R, V, b, hex, t, time};
use ed25519_dalek::{Signer as _, SigningKey};
use panther::format::cert::{Signed, SignerRole};
use panther::format::header::Header;
use panther::format::keyfile::{Epoch, Secret};
use panther::format::time::Time;
use panther::id::{RepoId, WriterName};
use panther::seal::{self, Signer};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::{Value, json};

/// 32 bytes that are always the same for a label.
pub fn fixed(label: &str) -> [u8; 32] {
    *blake3::hash(format!("panther vectors: {label}").as_bytes()).as_bytes()
}

/// A generator that always gives the same for a label, so that a new vector does not change the others.
pub fn random(label: &str) -> ChaCha20Rng {
    ChaCha20Rng::from_seed(fixed(label))
}

/// One repository.
pub struct World {
    /// The id.
    pub repo: RepoId,
    /// Ed25519 seed of the root key.
    pub root_seed: Secret,
    /// The repository secret.
    pub secret: [u8; 32],
    /// Epochs 1 and 2.
    pub epochs: Vec<Epoch>,
    label: &'static str,
}

/// When everything was made.
pub const CREATED: Time = Time { secs: 1_750_000_000, nanos: 5 };

impl World {
    /// The repository of this label.
    pub fn new(label: &'static str) -> Self {
        let of = |what: &str| fixed(&format!("{label} {what}"));
        let epoch = |number: u32| {
            let (private, public) = seal::new_key_pair(&mut random(&format!("{label} epoch {number}")));
            Epoch {
                number,
                public,
                index_key: Secret(of(&format!("index key {number}"))),
                private: Some(Secret(*private)),
            }
        };
        Self {
            repo: RepoId(of("id")),
            root_seed: Secret(of("root")),
            secret: of("secret"),
            epochs: vec![epoch(1), epoch(2)],
            label,
        }
    }

    /// The repository of most vectors.
    pub fn main() -> Self {
        Self::new("main")
    }

    /// Another one.
    pub fn other() -> Self {
        Self::new("other")
    }

    /// The root key.
    pub fn root_key(&self) -> [u8; 32] {
        seal::public_of_seed(&self.root_seed)
    }

    /// The identity of a writer of this name.
    pub fn writer(&self, name: &str) -> Signer {
        self.signer(name, SignerRole::Writer)
    }

    /// An admin's identity under this name, not derived as 3.2 has it, which no reader can tell.
    pub fn admin(&self, name: &str) -> Signer {
        self.signer(name, SignerRole::Admin)
    }

    fn signer(&self, name: &str, role: SignerRole) -> Signer {
        let seed = Secret(fixed(&format!("{} {role:?} {name}", self.label)));
        Signer::certify(self.repo, WriterName::new(name).unwrap(), role, CREATED, seed, &self.root_seed)
    }

    /// The body of its configuration.
    pub fn config_body(&self) -> R {
        let params = R::default()
            .with(0, "min", V::U(16_384))
            .with(1, "avg", V::U(65_536))
            .with(2, "max", V::U(262_144))
            .with(3, "mask_s", V::U(0x0000_d907_0753_7000))
            .with(4, "mask_l", V::U(0x0000_d903_1353_0000))
            .with(5, "inline_max", V::U(512));
        R::default()
            .with(0, "repository", b(self.repo.0))
            .with(1, "created", time(CREATED.secs, CREATED.nanos.into()))
            .with(2, "root_key", b(self.root_key()))
            .with(3, "params", V::M(params))
    }

    /// `panther.cbor` with this body.
    pub fn config(&self, body: &R) -> Vec<u8> {
        self.framed("panther", "panther v1 config", &body.cbor())
    }

    /// `[magic, 1, body, signature]`, signed by the root key.
    pub fn framed(&self, magic: &str, context: &str, body: &[u8]) -> Vec<u8> {
        V::A(vec![t(magic), V::U(1), b(body), b(sign(&self.root_seed, context, body))]).cbor()
    }

    /// What a vector needs to verify and open objects: epochs, repository and root key.
    pub fn input(&self) -> Value {
        let epochs: Vec<Value> = self
            .epochs
            .iter()
            .map(|e| {
                json!({
                    "number": e.number, "public_key": hex(e.public), "index_key": hex(e.index_key.0),
                    "private_key": e.private.as_ref().map(|p| hex(p.0)),
                })
            })
            .collect();
        json!({ "repository": hex(self.repo.0), "root_key": hex(self.root_key()), "epochs": epochs })
    }

    /// Such an input with an object in it, found in the folder of `writer`.
    pub fn object(&self, writer: Option<&str>, object: &[u8]) -> Value {
        let mut input = self.input();
        input["object"] = json!(hex(object));
        if let Some(writer) = writer {
            input["writer"] = json!(writer);
        }
        input
    }
}

/// An Ed25519 signature of `context ‖ 00 ‖ message`.
pub fn sign(seed: &Secret, context: &str, message: &[u8]) -> [u8; 64] {
    SigningKey::from_bytes(&seed.0).sign(&[context.as_bytes(), &[0], message].concat()).to_bytes()
}

/// A signed object with these parts, signed anew: what a writer who cheats can make.
pub fn resign(parts: &Signed<'_>, header: &Header, certificate: &[u8], seed: &Secret) -> Vec<u8> {
    let manifest = parts.manifest.as_ref().map(|(enc, sealed)| (enc, *sealed));
    let signed = Signed::encode(header, certificate, &parts.salt, parts.sealed, manifest);
    finish(signed, seed)
}

/// Header and body with their signature.
pub fn finish(mut signed: Vec<u8>, seed: &Secret) -> Vec<u8> {
    let signature = sign(seed, "panther v1 object", &signed);
    signed.extend(signature);
    signed
}

/// The bytes with one bit changed.
pub fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes
}
