//! Records signed, kept, and read again.

use super::record::DrillRecord;
use crate::error::Result;
use crate::format::cert::CertBody;
use crate::id::WriterName;
use crate::repo::Repository;
use crate::state::drills::{Drills, SignedRecord};
use data_encoding::HEXLOWER;
use std::path::{Path, PathBuf};

/// Keeps a record, signed as `writer` where the key at hand signs. Returns its file.
///
/// # Errors
/// [`crate::Error::Io`].
pub fn keep(repo: &Repository, folder: &Path, writer: Option<&WriterName>, record: &DrillRecord) -> Result<PathBuf> {
    // A record of texts and numbers has a text.
    let text = serde_json::to_string(record).unwrap_or_default();
    let signer = repo.keys().signer(writer).ok();
    let signed = SignedRecord {
        certificate: signer.as_ref().map(|signer| HEXLOWER.encode(signer.certificate())),
        signature: signer.as_ref().map(|signer| HEXLOWER.encode(&signer.sign_record(text.as_bytes()))),
        record: text,
    };
    Drills::at(folder, &repo.keys().repo()).add(record.at_secs, &signed)
}

/// Who has signed a record; nothing if nobody has, or not this, or somebody of another repository.
pub fn signer_of(repo: &Repository, signed: &SignedRecord) -> Option<CertBody> {
    let bytes = |hex: &Option<String>| HEXLOWER.decode(hex.as_deref()?.as_bytes()).ok();
    let signature = <[u8; 64]>::try_from(&bytes(&signed.signature)?[..]).ok()?;
    repo.keys().verifier().record(&bytes(&signed.certificate)?, signed.record.as_bytes(), &signature).ok()
}

/// All records of the repository on this machine, oldest first, and those that are not what was signed.
///
/// # Errors
/// [`crate::Error::Io`].
pub fn records(repo: &Repository, folder: &Path) -> Result<(Vec<DrillRecord>, Vec<PathBuf>)> {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (path, signed) in Drills::at(folder, &repo.keys().repo()).all()? {
        let is_right = signed.signature.is_none() || signer_of(repo, &signed).is_some();
        match serde_json::from_str(&signed.record) {
            Ok(record) if is_right => good.push(record),
            _ => bad.push(path),
        }
    }
    Ok((good, bad))
}
