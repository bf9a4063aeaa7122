//! Each decoder of the format: what it takes, it encodes again.

use super::canonical::is_without_unknown_keys;
use panther::error::FormatError;
use panther::format::cbor::Dec;
use panther::format::cert::CertBody;
use panther::format::config::Config;
use panther::format::content::{ListOf, Record, decode_node};
use panther::format::entry::{Entry, decode_stream};
use panther::format::gc::Gc;
use panther::format::index::Index;
use panther::format::keyfile::KeyFile;
use panther::format::pack::{decode_toc, encode_toc};
use panther::format::snapshot::{Cover, Manifest};

pub type Res<T> = Result<T, FormatError>;

/// Decodes and encodes again.
pub type Again = fn(&[u8]) -> Res<Vec<u8>>;

pub fn config(bytes: &[u8]) -> Res<Vec<u8>> {
    Config::decode(bytes).map(|(config, _, signature)| Config::wrap(&config.encode_body(), &signature))
}

pub fn certificate(bytes: &[u8]) -> Res<Vec<u8>> {
    CertBody::decode(bytes).map(|(cert, _, signature)| CertBody::wrap(&cert.encode(), &signature))
}

pub fn keyfile(bytes: &[u8]) -> Res<Vec<u8>> {
    KeyFile::decode(bytes).map(|key| key.encode_body().to_vec())
}

pub fn framed_key(bytes: &[u8]) -> Res<Vec<u8>> {
    KeyFile::unwrap(bytes).map(|(body, signature)| KeyFile::wrap(body, &signature).to_vec())
}

pub fn toc(bytes: &[u8]) -> Res<Vec<u8>> {
    decode_toc(bytes).map(|segments| encode_toc(&segments))
}

pub fn index(bytes: &[u8]) -> Res<Vec<u8>> {
    Index::decode(bytes).map(|index| index.encode())
}

pub fn entry(bytes: &[u8]) -> Res<Vec<u8>> {
    let mut d = Dec::new(bytes);
    let entry = Entry::decode(&mut d, false)?;
    d.finish()?;
    Ok(entry.encode_onto(Vec::new()))
}

pub fn cover(bytes: &[u8]) -> Res<Vec<u8>> {
    Cover::decode(bytes).map(|cover| cover.encode())
}

pub fn manifest(bytes: &[u8]) -> Res<Vec<u8>> {
    Manifest::decode(bytes).map(|manifest| manifest.encode())
}

pub fn gc(bytes: &[u8]) -> Res<Vec<u8>> {
    let gc = Gc::decode(bytes)?;
    // Without the keys that only newer programs know, such a one would say nothing.
    if gc.is_empty() { Err(FormatError::Invalid("it says nothing")) } else { Ok(gc.encode()) }
}

pub fn stream(bytes: &[u8]) -> Res<Vec<u8>> {
    let mut out = Vec::new();
    decode_stream(bytes, &mut Vec::new(), |entry| out = entry.encode_onto(std::mem::take(&mut out)))?;
    Ok(out)
}

pub fn node_of(bytes: &[u8], of: ListOf) -> Res<Vec<u8>> {
    let (records, _) = decode_node(bytes, 0, of)?;
    Ok(encode_node(&records))
}

pub fn file_node(bytes: &[u8]) -> Res<Vec<u8>> {
    node_of(bytes, ListOf::File)
}

pub fn encode_node(records: &[Record]) -> Vec<u8> {
    let mut out = Vec::new();
    records.iter().for_each(|record| record.encode(&mut out));
    out
}

/// What holds of any bytes: they are refused, or are the one encoding of a value, but for keys that only newer programs know.
///
/// # Errors
/// What was taken and encoded otherwise.
pub fn law(bytes: &[u8], again: Again) -> Result<(), String> {
    let Ok(encoded) = again(bytes) else { return Ok(()) };
    if encoded != bytes && !is_without_unknown_keys(&encoded, bytes) {
        return Err(format!("{bytes:02x?} is taken for {encoded:02x?}"));
    }
    match again(&encoded) {
        Ok(same) if same == encoded => Ok(()),
        other => Err(format!("{encoded:02x?} becomes {other:02x?}")),
    }
}
