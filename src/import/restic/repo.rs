//! The folder: its configuration, its keys, and files that are sealed and named by their hash.

use super::crypto::{Cost, Key};
use super::{Id, bad, bad_json};
use crate::error::{Error, FormatError, Result};
use data_encoding::BASE64;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A key file, or the configuration.
const SMALL_BYTES: u64 = 64 << 10;
/// A snapshot's or an index's file; and what it may hold when it is decompressed.
const FILE_BYTES: u64 = 256 << 20;
const PLAIN_BYTES: u64 = 1 << 30;
/// The first byte of a compressed file, in version 2.
const COMPRESSED: u8 = 2;

/// An open repository of restic's.
pub struct Restic {
    folder: PathBuf,
    id: Id,
    key: Key,
}

#[derive(Deserialize)]
struct Config {
    version: u64,
    id: Id,
}

#[derive(Deserialize)]
struct KeyFile {
    kdf: String,
    #[serde(flatten)]
    cost: Cost,
    data: String,
    salt: String,
}

/// The master key, as JSON has it. Its texts are wiped.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
struct Master {
    mac: MasterMac,
    encrypt: String,
}

#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
struct MasterMac {
    k: String,
    r: String,
}

impl Restic {
    /// Opens the repository in `folder`.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is none; [`Error::WrongKey`]; [`Error::Newer`]; [`Error::Foreign`], [`Error::Io`].
    pub fn open(folder: &Path, password: &[u8]) -> Result<Self> {
        // Before anything is done with a password.
        if !folder.join("config").is_file() || !folder.join("keys").is_dir() {
            let at = folder.display();
            return Err(Error::Usage(format!("there is no restic repository in the folder {at}")));
        }
        let mut restic = Self { folder: folder.to_owned(), id: Id::default(), key: open_key(folder, password)? };
        let sealed = read(&folder.join("config"), SMALL_BYTES)?;
        let plain = restic.key.open(sealed).and_then(expand).map_err(|e| bad("config", e))?;
        let config: Config = bad_json("config", serde_json::from_slice(&plain))?;
        if !(1..=2).contains(&config.version) {
            let source = FormatError::Feature {
                what: "version of restic's format",
                number: i64::try_from(config.version).unwrap_or(i64::MAX),
            };
            return Err(Error::Newer { object: format!("the restic repository {}", folder.display()), source });
        }
        restic.id = config.id;
        Ok(restic)
    }

    /// The random number by which the repository is known.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether somebody has locked it, or had when it was interrupted.
    pub fn is_locked(&self) -> bool {
        std::fs::read_dir(self.folder.join("locks")).is_ok_and(|mut locks| locks.next().is_some())
    }

    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// The files of a kind (`index`, `snapshots`), in the order of their names. Files with other names are none of restic's.
    pub(super) fn list(&self, kind: &str) -> Result<Vec<Id>> {
        let mut found = ids_in(&self.folder.join(kind))?;
        found.sort();
        Ok(found)
    }

    /// The packs that are there.
    pub(super) fn packs(&self) -> Result<Vec<Id>> {
        let data = self.folder.join("data");
        // Very old repositories have them without folders between.
        let mut found = ids_in(&data)?;
        for entry in entries(&data)? {
            if entry.file_name().len() == 2 && entry.path().is_dir() {
                found.extend(ids_in(&entry.path())?);
            }
        }
        found.sort();
        Ok(found)
    }

    /// Where a pack is.
    pub(super) fn pack_path(&self, id: &Id) -> PathBuf {
        let hex = id.to_hex();
        let path = self.folder.join("data").join(&hex[..2]).join(&hex);
        if path.exists() {
            path
        } else {
            Some(self.folder.join("data").join(&hex)).filter(|p| p.exists()).unwrap_or(path)
        }
    }

    /// The content of a file that is sealed and named by its hash: JSON.
    pub(super) fn file(&self, kind: &str, id: &Id) -> Result<Vec<u8>> {
        let object = format!("{kind}/{}", id.to_hex());
        let sealed = match read(&self.folder.join(&object), FILE_BYTES) {
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                return Err(bad(object, MISSING));
            }
            other => other?,
        };
        if Sha256::digest(&sealed)[..] != id.0 {
            return Err(bad(object, FormatError::Hash));
        }
        self.key.open(sealed).and_then(expand).map_err(|e| bad(object, e))
    }
}

/// Why something cannot be used that is not there.
pub(super) const MISSING: FormatError = FormatError::Invalid("it is missing");

/// The master key, by whichever key file the password opens.
fn open_key(folder: &Path, password: &[u8]) -> Result<Key> {
    let mut names = ids_in(&folder.join("keys"))?;
    names.sort();
    let mut damaged = None;
    for id in &names {
        let object = format!("keys/{}", id.to_hex());
        let file = read(&folder.join(&object), SMALL_BYTES)?;
        match one_key(&object, &file, password) {
            Ok(Some(key)) => return Ok(key),
            Ok(None) => {}
            Err(error) => damaged = Some(error),
        }
    }
    Err(damaged.unwrap_or(Error::WrongKey("restic password")))
}

/// The master key; nothing if the password is another.
fn one_key(object: &str, file: &[u8], password: &[u8]) -> Result<Option<Key>> {
    let bad = |e| bad(object, e);
    let file: KeyFile = bad_json(object, serde_json::from_slice(file))?;
    if file.kdf != "scrypt" {
        return Err(bad(FormatError::Invalid("its way from a password to a key is not scrypt")));
    }
    let decode = |text: &str| {
        BASE64.decode(text.as_bytes()).map_err(|_| bad(FormatError::Invalid("its base64 is not what it should be")))
    };
    let user = Key::derive(password, &decode(&file.salt)?, file.cost).map_err(bad)?;
    let plain = match user.open(decode(&file.data)?) {
        Ok(plain) => zeroize::Zeroizing::new(plain),
        Err(FormatError::Seal(_)) => return Ok(None),
        Err(error) => return Err(bad(error)),
    };
    let master: Master = bad_json(object, serde_json::from_slice(&plain))?;
    let secret = |text: &str| decode(text).map(zeroize::Zeroizing::new);
    let (encrypt, k, r) = (secret(&master.encrypt)?, secret(&master.mac.k)?, secret(&master.mac.r)?);
    Key::new(&encrypt, &k, &r).map(Some).map_err(bad)
}

/// JSON as it is, or decompressed.
fn expand(plain: Vec<u8>) -> Result<Vec<u8>, FormatError> {
    match plain.split_first() {
        Some((b'{' | b'[', _)) => Ok(plain),
        Some((&COMPRESSED, frame)) => {
            let odd = |_| FormatError::Invalid("its zstd frame cannot be decompressed");
            let mut out = Vec::new();
            let decoder = zstd::stream::read::Decoder::new(frame).map_err(odd)?;
            decoder.take(PLAIN_BYTES + 1).read_to_end(&mut out).map_err(odd)?;
            let actual = out.len() as u64;
            if actual > PLAIN_BYTES {
                return Err(FormatError::Limit { what: "decompressed file", actual, limit: PLAIN_BYTES });
            }
            Ok(out)
        }
        Some((other, _)) => Err(FormatError::Feature { what: "encoding of restic's files", number: (*other).into() }),
        None => Err(FormatError::Truncated),
    }
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let io = |e| Error::io("read", path, e);
    let mut bytes = Vec::new();
    File::open(path).map_err(io)?.take(limit + 1).read_to_end(&mut bytes).map_err(io)?;
    let actual = bytes.len() as u64;
    if actual > limit {
        return Err(bad(path.display(), FormatError::Limit { what: "file", actual, limit }));
    }
    Ok(bytes)
}

fn entries(folder: &Path) -> Result<Vec<std::fs::DirEntry>> {
    let io = |e| Error::io("list", folder, e);
    std::fs::read_dir(folder).map_err(io)?.collect::<Result<_, _>>().map_err(io)
}

fn ids_in(folder: &Path) -> Result<Vec<Id>> {
    Ok(entries(folder)?.iter().filter_map(|entry| Id::parse(entry.file_name().to_str()?)).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn files_are_json_or_compressed_json() {
        assert_eq!(expand(b"{}".to_vec()).unwrap(), b"{}");
        assert_eq!(expand(b"[1]".to_vec()).unwrap(), b"[1]");
        let frame = zstd::stream::encode_all(&b"{\"a\":1}"[..], 3).unwrap();
        assert_eq!(expand([&[2][..], &frame].concat()).unwrap(), b"{\"a\":1}");
        assert!(expand([&[2][..], &frame[..frame.len() - 2]].concat()).is_err());
        assert_eq!(expand(Vec::new()), Err(FormatError::Truncated));
        assert!(matches!(expand(vec![3]), Err(FormatError::Feature { number: 3, .. })));
    }
}
