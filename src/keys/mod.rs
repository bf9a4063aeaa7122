//! Keys at work: what a key file becomes once it is open (spec 3).

pub mod wrap;

use crate::chunk::Chunker;
use crate::error::{Error, FormatError, Result};
use crate::format::cert::SignerRole;
use crate::format::config::{Config, Params};
use crate::format::header::BlobKind;
use crate::format::keyfile::{Epoch, KeyFile, Role, Secret, WriterIdentity};
use crate::format::time::Time;
use crate::id::{BlobId, ObjectId, RepoId, WriterName};
use crate::seal::{self, Signer, Verifier};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

fn derive(context: &str, material: &[u8]) -> [u8; 32] {
    blake3::derive_key(context, material)
}

/// The body of a key file with its signature: what age wraps.
#[derive(Clone)]
pub struct SignedKey {
    /// The encoded [`KeyFile`].
    pub body: Zeroizing<Vec<u8>>,
    /// By the root key.
    pub signature: [u8; 64],
}

impl SignedKey {
    /// Signs `file`.
    pub fn new(file: &KeyFile, root_seed: &Secret) -> Self {
        let body = file.encode_body();
        let signature = seal::sign_key(&body, root_seed);
        Self { body, signature }
    }
}

/// The open keys of a repository.
pub struct Keyring {
    file: KeyFile,
    signed: SignedKey,
    verifier: Verifier,
    data_key: Secret,
    tree_key: Secret,
    directory_cut_key: Secret,
    chunker: Chunker,
}

impl Keyring {
    /// The keys of `signed`, verified and checked against the configuration and against each other.
    ///
    /// # Errors
    /// [`FormatError`] when they do not fit.
    pub fn new(signed: SignedKey, config: &Config, config_hash: ObjectId) -> Result<Self, FormatError> {
        seal::verify_key(&signed.body, &signed.signature, &config.root_key)?;
        let file = KeyFile::decode(&signed.body)?;
        if file.repo != config.repo {
            return Err(FormatError::Invalid("the key is for another repository"));
        }
        if file.config_hash != config_hash {
            return Err(FormatError::Invalid("panther.cbor is not the one that the key was made for"));
        }
        let pairs = file.epochs.iter().all(|e| e.private.as_ref().is_none_or(|p| seal::keys_match(&p.0, &e.public)));
        let root = file.root_seed.as_ref().is_none_or(|seed| seal::public_of_seed(seed) == config.root_key);
        if !pairs || !root {
            return Err(FormatError::Invalid("the parts of the key do not belong together"));
        }
        let verifier = Verifier { repo: config.repo, root_key: config.root_key };
        if let Some(identity) = &file.identity {
            let cert = verifier.certificate(&identity.certificate)?;
            if cert.role != SignerRole::Writer || cert.key != seal::public_of_seed(&identity.seed) {
                return Err(FormatError::Signature("the writer's certificate is not for this key"));
            }
        }
        let secret = &file.repo_secret.0;
        Ok(Self {
            data_key: Secret(derive("panther v1 data blob id", secret)),
            tree_key: Secret(derive("panther v1 tree blob id", secret)),
            directory_cut_key: Secret(derive("panther v1 directory cut", secret)),
            chunker: Chunker::new(&derive("panther v1 chunker", secret), &config.params),
            verifier,
            file,
            signed,
        })
    }

    /// What the holder can do.
    pub fn role(&self) -> Role {
        self.file.role
    }

    /// The repository's id.
    pub fn repo(&self) -> RepoId {
        self.file.repo
    }

    /// The id of a blob (spec 4.1).
    pub fn blob_id(&self, kind: BlobKind, plaintext: &[u8]) -> BlobId {
        let key = match kind {
            BlobKind::Data => &self.data_key,
            BlobKind::Tree => &self.tree_key,
        };
        BlobId(*blake3::keyed_hash(&key.0, plaintext).as_bytes())
    }

    /// Cuts file data.
    pub fn chunker(&self) -> &Chunker {
        &self.chunker
    }

    /// The key by which directory streams are cut.
    pub fn directory_cut_key(&self) -> &[u8; 32] {
        &self.directory_cut_key.0
    }

    /// Verifies what others signed.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// All epochs.
    pub fn epochs(&self) -> &[Epoch] {
        &self.file.epochs
    }

    /// The epoch for new objects: the last one.
    pub fn current_epoch(&self) -> &Epoch {
        // A decoded key file has at least one epoch.
        &self.file.epochs[self.file.epochs.len() - 1]
    }

    /// The private key of an epoch.
    ///
    /// # Errors
    /// [`FormatError::Seal`] when this key file lacks it.
    pub fn private(&self, epoch: u32) -> Result<&[u8; 32], FormatError> {
        let found = self.file.epochs.iter().find(|e| e.number == epoch);
        found
            .and_then(|e| e.private.as_ref())
            .map(|p| &p.0)
            .ok_or(FormatError::Seal("this key file lacks the private key of its epoch"))
    }

    /// Fails unless the holder may read.
    ///
    /// # Errors
    /// [`Error::Role`].
    pub fn need_reader(&self, what: &'static str) -> Result<()> {
        match self.role() {
            Role::Writer => Err(Error::Role { have: "writer", what }),
            Role::Reader | Role::Admin => Ok(()),
        }
    }

    /// The identity to write with: a writer's own, or for an admin that of `wanted`.
    ///
    /// # Errors
    /// [`Error::Role`] for a reader; [`Error::Usage`] for a writer of another name.
    pub fn signer(&self, wanted: Option<&WriterName>) -> Result<Signer> {
        if let Some(root_seed) = &self.file.root_seed {
            let writer = wanted.ok_or_else(|| Error::Usage("an admin's key needs a writer name (--writer)".into()))?;
            return Ok(self.certify_derived(root_seed, writer));
        }
        let Some(identity) = &self.file.identity else {
            return Err(Error::Role { have: self.role().as_str(), what: "back up" });
        };
        let signer = Signer::new(identity.seed.clone(), identity.certificate.clone())
            .map_err(|e| Error::format("the writer's key", e))?;
        match wanted {
            Some(wanted) if wanted != signer.writer() => {
                Err(Error::Usage(format!("this key is for the writer {}, not {wanted}", signer.writer())))
            }
            _ => Ok(signer),
        }
    }

    /// An admin's own identity as `writer` (spec 3.2).
    fn certify_derived(&self, root_seed: &Secret, writer: &WriterName) -> Signer {
        let material = Zeroizing::new([&root_seed.0[..], writer.as_str().as_bytes()].concat());
        let seed = Secret(derive("panther v1 writer identity", &material));
        Signer::certify(self.repo(), writer.clone(), SignerRole::Admin, self.file.created, seed, root_seed)
    }

    /// This key, to be wrapped anew: for a new passphrase, or another recipient.
    pub fn own(&self) -> &SignedKey {
        &self.signed
    }

    /// When and under which label this key was made.
    pub fn label(&self) -> (&str, Time) {
        (&self.file.label, self.file.created)
    }

    /// A new key of `role`; for a writer, with a new identity named `writer`.
    ///
    /// # Errors
    /// [`Error::Role`] unless the holder is an admin: nobody else can sign it.
    pub fn derive_key(
        &self,
        role: Role,
        label: &str,
        writer: Option<&WriterName>,
        random: &mut impl CryptoRng,
    ) -> Result<SignedKey> {
        let signing = self.file.root_seed.clone();
        let root_seed = signing.ok_or(Error::Role { have: self.role().as_str(), what: "make a new key" })?;
        let mut file = self.file.clone();
        file.label = label.to_owned();
        file.created = Time::now();
        file.role = role;
        match role {
            Role::Admin => {}
            Role::Reader => file.root_seed = None,
            Role::Writer => {
                file.root_seed = None;
                let writer =
                    writer.ok_or_else(|| Error::Usage("a writer's key needs a name: add --writer NAME".into()))?;
                let seed = Secret(seal::random32(random));
                let signer =
                    Signer::certify(self.repo(), writer.clone(), SignerRole::Writer, file.created, seed, &root_seed);
                file.identity =
                    Some(WriterIdentity { seed: signer.seed().clone(), certificate: signer.certificate().to_vec() });
                file.epochs.iter_mut().for_each(|e| e.private = None);
            }
        }
        Ok(SignedKey::new(&file, &root_seed))
    }
}

/// Makes the configuration and the first (admin's) key of a new repository: the bytes of `panther.cbor` and the key.
pub fn create(params: Params, label: &str, random: &mut impl CryptoRng) -> (Vec<u8>, Config, SignedKey) {
    let repo = RepoId(seal::random32(random));
    let root_seed = Secret(seal::random32(random));
    let created = Time::now();
    let config = Config { repo, created, root_key: seal::public_of_seed(&root_seed), params };
    let object = seal::sign_config(&config, &root_seed);
    let (private, public) = seal::new_key_pair(random);
    let epoch = Epoch { number: 1, public, index_key: Secret(seal::random32(random)), private: Some(Secret(*private)) };
    let file = KeyFile {
        repo,
        config_hash: Config::hash(&object),
        role: Role::Admin,
        label: label.to_owned(),
        created,
        repo_secret: Secret(seal::random32(random)),
        epochs: vec![epoch],
        identity: None,
        root_seed: Some(root_seed.clone()),
    };
    (object, config, SignedKey::new(&file, &root_seed))
}
