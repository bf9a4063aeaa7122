//! Laws of the encodings: round trips, no prefix, one encoding of each value, no panic; seals open and nothing else does.
#![allow(clippy::unwrap_used)]

mod records;
mod seals;

use crate::fuzz_bodies::BODIES;
use crate::fuzz_bodies::decoders::{
    Again, certificate, config, cover, encode_node, entry, file_node, framed_key, gc, index, keyfile, law, manifest,
    stream, toc,
};
use panther::format::cbor::Dec;
use panther::format::cert::CertBody;
use panther::format::config::Config;
use panther::format::content::{ListOf, Record, decode_node};
use panther::format::entry::{Entry, decode_stream};
use panther::format::gc::Gc;
use panther::format::header::{Header, Kind};
use panther::format::index::Index;
use panther::format::keyfile::KeyFile;
use panther::format::name::Name;
use panther::format::pack::{Segment, TRAILER_BYTES, Trailer, decode_toc, encode_toc};
use panther::format::snapshot::{Cover, Manifest};
use panther::id::RepoId;
use proptest::prelude::*;
use proptest::sample::Index as At;

/// What holds of every encoding that is framed by CBOR.
fn laws(bytes: &[u8], again: Again, at: &At, change: u8) -> Result<(), TestCaseError> {
    prop_assert_eq!(again(bytes), Ok(bytes.to_vec()), "it is encoded as it was");
    let short = &bytes[..at.index(bytes.len())];
    prop_assert!(again(short).is_err(), "a prefix of {} bytes is taken", short.len());
    prop_assert!(again(&[bytes, &[0]].concat()).is_err(), "a byte may follow");
    changed(bytes, again, at, change)
}

/// A changed byte is refused, or gives another value with this one encoding; but unknown keys are not kept.
fn changed(bytes: &[u8], again: Again, at: &At, change: u8) -> Result<(), TestCaseError> {
    let mut other = bytes.to_vec();
    other[at.index(bytes.len())] ^= change;
    law(&other, again).map_err(TestCaseError::fail)
}

/// A test of the laws for values of one strategy.
macro_rules! laws_of {
    ($($name:ident: $strategy:expr, $encode:expr, $again:expr;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
            $(#[test]
            fn $name(value in $strategy, at: At, change in 1u8..) {
                let bytes: Vec<u8> = ($encode)(&value);
                laws(&bytes, $again, &at, change)?;
            })*
        }
    };
}

laws_of! {
    laws_of_config: (records::config(), any::<[u8; 64]>()), |v: &(Config, [u8; 64])| Config::wrap(&v.0.encode_body(), &v.1), config;
    laws_of_certificate: (records::certificate(), any::<[u8; 64]>()), |v: &(CertBody, [u8; 64])| CertBody::wrap(&v.0.encode(), &v.1), certificate;
    laws_of_key_file: records::keyfile(), |v: &KeyFile| v.encode_body().to_vec(), keyfile;
    laws_of_framed_key_file: (any::<Vec<u8>>(), any::<[u8; 64]>()), |v: &(Vec<u8>, [u8; 64])| KeyFile::wrap(&v.0, &v.1).to_vec(), framed_key;
    laws_of_table_of_contents: records::segments(), |v: &Vec<Segment>| encode_toc(v), toc;
    laws_of_index: records::index(), |v: &Index| v.encode(), index;
    laws_of_entry: records::entry(), |v: &Entry| v.encode_onto(Vec::new()), entry;
    laws_of_cover: records::cover(), |v: &Cover| v.encode(), cover;
    laws_of_manifest: records::manifest(), |v: &Manifest| v.encode(), manifest;
    laws_of_gc: records::gc(), |v: &Gc| v.encode(), gc;
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// That the values are equal, not only their encodings.
    #[test]
    fn values_come_back(
        config in records::config(), cert in records::certificate(), key in records::keyfile(), segments in records::segments(),
        index in records::index(), entry in records::entry(), cover in records::cover(), manifest in records::manifest(), gc in records::gc(),
    ) {
        prop_assert_eq!(&Config::decode(&Config::wrap(&config.encode_body(), &[7; 64])).unwrap().0, &config);
        prop_assert_eq!(&CertBody::decode(&CertBody::wrap(&cert.encode(), &[7; 64])).unwrap().0, &cert);
        prop_assert_eq!(&KeyFile::decode(&key.encode_body()).unwrap(), &key);
        prop_assert_eq!(&decode_toc(&encode_toc(&segments)).unwrap(), &segments);
        prop_assert_eq!(&Index::decode(&index.encode()).unwrap(), &index);
        prop_assert_eq!(&Entry::decode(&mut Dec::new(&entry.encode_onto(Vec::new())), false).unwrap(), &entry);
        prop_assert_eq!(&Cover::decode(&cover.encode()).unwrap(), &cover);
        prop_assert_eq!(&Manifest::decode(&manifest.encode()).unwrap(), &manifest);
        prop_assert_eq!(&Gc::decode(&gc.encode()).unwrap(), &gc);
    }

    #[test]
    fn laws_of_directory_streams(entries in records::directory(), at: At, change in 1u8..) {
        let (mut bytes, mut ends) = (Vec::new(), vec![]);
        for entry in &entries {
            bytes = entry.encode_onto(bytes);
            ends.push(bytes.len());
        }
        let mut read = Vec::new();
        prop_assert_eq!(decode_stream(&bytes, &mut Vec::new(), |entry| read.push(entry)), Ok(()));
        prop_assert_eq!(&read, &entries);
        let short = at.index(bytes.len());
        prop_assert_eq!(stream(&bytes[..short]).is_ok(), ends.contains(&short), "whole entries and nothing else");
        changed(&bytes, stream, &at, change)?;
    }

    /// Spec 13.1: what a newer program wrote concerns that entry alone.
    #[test]
    fn newer_entries_are_left_out(entries in records::directory(), at: At, negative: bool) {
        let newer = at.index(entries.len());
        let mut bytes = Vec::new();
        for (number, entry) in entries.iter().enumerate() {
            let start = bytes.len();
            bytes = entry.encode_onto(bytes);
            if number == newer {
                if negative {
                    // One more pair in the map: key -1 with 0.
                    bytes[start] += 1;
                    bytes.extend([0x20, 0]);
                } else {
                    let head = if entry.name.len() < 24 { 1 } else { 2 };
                    bytes[start + 1 + 1 + head + entry.name.len() + 1] = 9;
                }
            }
        }
        let mut read = Vec::new();
        let result = decode_stream(&bytes, &mut Vec::new(), |entry| read.push(entry));
        prop_assert!(result.is_err_and(|error| error.is_newer()));
        let kept: Vec<_> = entries.into_iter().enumerate().filter(|(number, _)| *number != newer).map(|(_, entry)| entry).collect();
        prop_assert_eq!(read, kept);
    }

    #[test]
    fn laws_of_nodes(records in records::list(100), of in prop_oneof![Just(ListOf::File), Just(ListOf::Directory)], at: At, change in 1u8..) {
        let bytes = encode_node(&records);
        let holes = records.iter().any(Record::is_hole);
        if of == ListOf::File || !holes {
            let (read, total) = decode_node(&bytes, 0, of).unwrap();
            prop_assert_eq!(&read, &records);
            prop_assert_eq!(total, records.iter().map(|r| r.len_bytes).sum::<u64>());
        } else {
            prop_assert!(decode_node(&bytes, 0, of).is_err());
        }
        let short = at.index(bytes.len());
        prop_assert!(short % 40 == 0 && short > 0 || file_node(&bytes[..short]).is_err());
        changed(&bytes, file_node, &at, change)?;
    }

    #[test]
    fn laws_of_headers(kind in 0usize..5, epoch in 1u32.., repo: [u8; 32], at: At, change in 1u8..) {
        let all = [Kind::DataPack, Kind::TreePack, Kind::Index, Kind::Snapshot, Kind::Gc];
        let header = Header { kind: all[kind], epoch, repo: RepoId(repo) };
        let bytes = header.encode();
        prop_assert_eq!(Header::decode(&bytes, &all, &header.repo), Ok(header));
        prop_assert!(Header::decode(&bytes[..at.index(48)], &all, &header.repo).is_err());
        let mut other = bytes;
        other[at.index(48)] ^= change;
        if let Ok(read) = Header::decode(&other, &all, &header.repo) {
            prop_assert_eq!(read.encode(), other);
        }
    }

    #[test]
    fn laws_of_trailers(toc_bytes in 0u32..=32 << 20, segments: u32, at: At, change in 1u8..) {
        let trailer = Trailer { toc_bytes, segments };
        let bytes = trailer.encode();
        prop_assert_eq!(Trailer::decode(&bytes, 256 << 20), Ok(trailer));
        let mut other = bytes;
        other[at.index(TRAILER_BYTES)] ^= change;
        if let Ok(read) = Trailer::decode(&other, 256 << 20) {
            prop_assert_eq!(read.encode(), other);
        }
    }

    #[test]
    fn names_have_one_form(text in "(panther.cbor|(keys|gc|writers/[a-z._-]{1,3}/(packs/[0-9a-f]{2}|index|snapshots))/[0-9a-f]{63,65}(.age)?|.{0,80})") {
        if let Some(name) = Name::parse(&text) {
            prop_assert_eq!(name.to_string(), text);
        }
    }

    #[test]
    fn no_bytes_are_wrong(bytes: Vec<u8>, deep in proptest::collection::vec(prop_oneof![Just(0xa1u8), Just(0x81), Just(0), Just(0x18), Just(0x58), Just(0x9b), any::<u8>()], 0..60)) {
        for bytes in [bytes, deep] {
            for (_, body) in BODIES {
                body(&bytes);
            }
        }
    }
}
