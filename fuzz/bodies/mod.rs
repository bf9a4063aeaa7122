//! What is done with any bytes: the same for the fuzzer and for the tests of properties. Each returns, or panics because something is wrong.

pub mod canonical;
pub mod decoders;

use panther::backend::b2::{Allowed, Bucket, Page};
use panther::config;
use panther::format::cbor::Dec;
use panther::format::cert::Signed;
use panther::format::content::{ListOf, decode_node};
use panther::format::entry::Entry;
use panther::format::header::{Header, Kind};
use panther::format::name::Name;
use panther::format::pack::{TRAILER_BYTES, Trailer};
use panther::id::RepoId;
use panther::source::{ExcludeOptions, Excludes};
use std::path::Path;

/// A body.
pub type Body = fn(&[u8]);

/// All of them, by name.
pub const BODIES: [(&str, Body); 17] = [
    ("config-object", |bytes| law(bytes, decoders::config)),
    ("certificate", |bytes| law(bytes, decoders::certificate)),
    ("keyfile", |bytes| law(bytes, decoders::keyfile)),
    ("framed-key", |bytes| law(bytes, decoders::framed_key)),
    ("toc", |bytes| law(bytes, decoders::toc)),
    ("index", |bytes| law(bytes, decoders::index)),
    ("entry", |bytes| law(bytes, decoders::entry)),
    ("cover", |bytes| law(bytes, decoders::cover)),
    ("manifest", |bytes| law(bytes, decoders::manifest)),
    ("gc", |bytes| law(bytes, decoders::gc)),
    ("stream", |bytes| law(bytes, decoders::stream)),
    ("node", node),
    ("frame", frame),
    ("name", name),
    ("configuration", configuration),
    ("patterns", patterns),
    ("answer", answer),
];

fn law(bytes: &[u8], again: decoders::Again) {
    if let Err(what) = decoders::law(bytes, again) {
        panic!("{what}");
    }
}

fn node(bytes: &[u8]) {
    law(bytes, decoders::file_node);
    let _ = decode_node(bytes, 1, ListOf::Directory);
    let _ = Entry::decode(&mut Dec::new(bytes), true);
}

/// What is around objects.
fn frame(bytes: &[u8]) {
    let repo = RepoId([0; 32]);
    let all = [Kind::DataPack, Kind::TreePack, Kind::Index, Kind::Snapshot, Kind::Gc];
    if let Ok(header) = Header::decode(bytes, &all, &repo) {
        assert_eq!(Some(&header.encode()[..]), bytes.get(..header.encode().len()));
    }
    let headed = [&Header { kind: Kind::Snapshot, epoch: 1, repo }.encode()[..], bytes].concat();
    let _ = Signed::decode(bytes, Kind::Index, &repo);
    let _ = Signed::decode(&headed, Kind::Snapshot, &repo);
    if let Some(Ok(trailer)) = bytes.first_chunk::<TRAILER_BYTES>().map(|bytes| Trailer::decode(bytes, 256 << 20)) {
        assert_eq!(trailer.encode()[..], bytes[..TRAILER_BYTES]);
    }
}

fn name(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(name) = Name::parse(&text) {
        assert_eq!(name.to_string(), text);
    }
}

/// The configuration file.
fn configuration(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Err(problems) = config::parse(&text) {
        assert!(!problems.is_empty(), "refused without a reason");
        let lines = text.lines().count() + 1;
        for problem in problems {
            assert!(problem.line.is_none_or(|line| (1..=lines).contains(&line)), "{problem} of {lines} lines");
        }
    }
}

/// Patterns, one a line, and a path in the last.
fn patterns(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let path = format!("/{}", lines.pop().unwrap_or_default());
    let half = lines.split_off(lines.len() / 2);
    let options = ExcludeOptions { patterns: lines, case_insensitive_patterns: half, ..ExcludeOptions::default() };
    if let Ok(excludes) = Excludes::new(&options) {
        for is_dir in [false, true] {
            let _ = excludes.matches(Path::new(&path), is_dir);
        }
    }
}

/// What the store answers.
fn answer(bytes: &[u8]) {
    if let Ok(page) = serde_json::from_slice::<Page>(bytes) {
        assert!(page.files.len() <= bytes.len());
    }
    let _ = serde_json::from_slice::<Bucket>(bytes);
    if let Ok(allowed) = serde_json::from_slice::<Allowed>(bytes) {
        assert_eq!(allowed.can("writeFiles"), allowed.capabilities.iter().any(|have| have == "writeFiles"));
    }
}
