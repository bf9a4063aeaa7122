//! What the tests share: a repository in a temporary folder, random trees, an independent comparison of two trees.

use panther::backend::Backend;
use panther::backend::local::LocalBackend;
use panther::keys::wrap::{Opener, Recipient};
use panther::ops::Silent;
use panther::ops::backup::{BackupOptions, BackupReport, backup};
use panther::repo::Repository;
use panther::state::State;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// The lowest cost: tests are about something else.
const WORK_FACTOR: u8 = 2;

/// A repository, its state and a source folder, all gone when dropped.
pub struct Lab {
    pub folder: TempDir,
    pub repo: Repository,
    pub state: State,
}

pub fn passphrase() -> age::secrecy::SecretString {
    age::secrecy::SecretString::from("correct horse".to_owned())
}

impl Lab {
    pub fn new() -> Self {
        Self::within(TempDir::new().unwrap())
    }

    pub fn within(folder: TempDir) -> Self {
        let backend: Arc<dyn Backend> = Arc::new(LocalBackend::create(&folder.path().join("repo")).unwrap());
        Self::on(folder, backend)
    }

    /// With its repository in this store.
    pub fn on(folder: TempDir, backend: Arc<dyn Backend>) -> Self {
        let recipient = Recipient::Passphrase(passphrase());
        let repo = Repository::init(backend, &recipient, "test", WORK_FACTOR).unwrap();
        let state = State::open(&folder.path().join("state"), &repo.keys().repo()).unwrap();
        std::fs::create_dir(folder.path().join("source")).unwrap();
        Self { folder, repo, state }
    }

    /// Opens the repository again with a state of its own.
    pub fn reopen(self) -> Self {
        let backend: Arc<dyn Backend> = Arc::new(LocalBackend::open(&self.folder.path().join("repo")).unwrap());
        self.reopen_on(backend).unwrap()
    }

    /// Opens the repository again as another process would, in this store.
    pub fn reopen_on(self, backend: Arc<dyn Backend>) -> panther::Result<Self> {
        let Self { folder, repo, state } = self;
        drop((repo, state));
        let repo = Repository::open(backend, &Opener::Passphrase(passphrase()))?;
        let state = State::open(&folder.path().join("state"), &repo.keys().repo()).unwrap();
        Ok(Self { folder, repo, state })
    }

    pub fn source(&self) -> PathBuf {
        self.folder.path().join("source")
    }

    pub fn options(&self) -> BackupOptions {
        BackupOptions {
            paths: vec![self.source()],
            tags: Vec::new(),
            host: "lab".to_owned(),
            writer: None,
            excludes: Default::default(),
            level: 1,
            dry_run: false,
            force: false,
            skip_if_unchanged: false,
            threads: 2,
            snapshots: Default::default(),
            databases: Vec::new(),
            hooks: Default::default(),
            subvolumes: Default::default(),
        }
    }

    pub fn backup(&self) -> BackupReport {
        self.backup_with(&self.options())
    }

    pub fn backup_with(&self, options: &BackupOptions) -> BackupReport {
        backup(&self.repo, &self.state, options, &Silent).unwrap()
    }

    /// Objects of the repository below a prefix.
    pub fn objects(&self, prefix: &str) -> Vec<String> {
        let mut names = Vec::new();
        self.repo.backend().list(prefix, &mut |listed| names.push(listed.name)).unwrap();
        names.sort();
        names
    }
}

/// Bytes that do not compress, always the same for a seed.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    blake3::Hasher::new_keyed(&key).finalize_xof().fill(&mut out);
    out
}

/// Waits until a change made now gets another time than one made before: what is too fresh is read again.
pub fn settle() {
    std::thread::sleep(std::time::Duration::from_millis(40));
}

pub fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}
