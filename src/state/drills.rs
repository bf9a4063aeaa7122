//! Records of restores for practice, as signed files beside the states of all repositories: a JSON file each, so that other programs may keep and check them.

use super::create_private;
use crate::error::{Error, Result};
use crate::id::RepoId;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};

/// No record is longer.
const LIMIT_BYTES: u64 = 1 << 20;

/// A record, and who has signed it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SignedRecord {
    /// The record: JSON, as text, so that the signature is over these bytes.
    pub record: String,
    /// The signer's certificate in hexadecimal; nothing where the key at hand does not sign (a reader's).
    pub certificate: Option<String>,
    /// The Ed25519 signature over `panther v1 record`, a zero byte, and the record's bytes, in hexadecimal.
    pub signature: Option<String>,
}

/// The records of a repository.
pub struct Drills {
    folder: PathBuf,
}

impl Drills {
    /// Those in `folder`, the one that also holds the states of all repositories.
    pub fn at(folder: &Path, repo: &RepoId) -> Self {
        Self { folder: folder.join(format!("drills-{repo}")) }
    }

    /// Adds a record, durably, and returns its file. `at_secs` is its time.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn add(&self, at_secs: i64, record: &SignedRecord) -> Result<PathBuf> {
        create_private(&self.folder)?;
        let text = serde_json::to_string_pretty(record).unwrap_or_default();
        let stamp = jiff::Timestamp::from_second(at_secs).unwrap_or_default().strftime("%Y%m%dT%H%M%SZ").to_string();
        for number in 0..1_000 {
            let path = self.folder.join(format!("{stamp}-{number:03}.json"));
            match std::fs::OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(mut file) => {
                    let done = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
                    return done.map(|()| path.clone()).map_err(|e| Error::io("write", &path, e));
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::io("write", &path, error)),
            }
        }
        Err(Error::io("write", &self.folder, std::io::Error::from(std::io::ErrorKind::AlreadyExists)))
    }

    /// All of them, oldest first, with their files. What is no record is passed over.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn all(&self) -> Result<Vec<(PathBuf, SignedRecord)>> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io("read", &self.folder, error)),
        };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        let read = |path: PathBuf| {
            let is_short = path.metadata().is_ok_and(|meta| meta.len() <= LIMIT_BYTES);
            let record = std::fs::read(&path).ok().filter(|_| is_short);
            record.and_then(|bytes| serde_json::from_slice(&bytes).ok()).map(|record| (path, record))
        };
        Ok(paths.into_iter().filter_map(read).collect())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn records_are_files() {
        let folder = tempfile::tempdir().unwrap();
        let drills = Drills::at(folder.path(), &RepoId([7; 32]));
        assert!(drills.all().unwrap().is_empty());
        let record = |text: &str| SignedRecord { record: text.into(), certificate: None, signature: None };
        let first = drills.add(1_777_636_800, &record("{}")).unwrap();
        drills.add(1_777_636_800, &record("{\"a\":1}")).unwrap();
        assert!(first.ends_with("20260501T120000Z-000.json"));
        std::fs::write(first.with_file_name("x"), "no record").unwrap();
        let all: Vec<String> = drills.all().unwrap().into_iter().map(|(_, record)| record.record).collect();
        assert_eq!(all, ["{}", "{\"a\":1}"]);
    }
}
