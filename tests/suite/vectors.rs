//! Every vector of `format-spec/vectors/` against the code (`format-spec/14-vectors.md` says how to read them).
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod objects;
mod records;

use panther::error::FormatError;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Vectors whose demand the code does not meet yet. One that is met must be taken out of here.
const NOT_YET: &[&str] = &[];

type Outcome = Result<Value, FormatError>;
type Handler = fn(&Value) -> Outcome;

const HANDLERS: &[(&str, Handler)] = &[
    ("age", objects::age),
    ("cbor", records::cbor),
    ("certificate", objects::certificate),
    ("chunking", records::chunking),
    ("config", objects::config),
    ("content", records::content),
    ("derive", objects::derive),
    ("directory", records::directory),
    ("directory-cuts", records::directory_cuts),
    ("entry", records::entry),
    ("gc", objects::gc),
    ("header", records::header),
    ("index", objects::index),
    ("keyfile", objects::keyfile),
    ("list-cuts", records::list_cuts),
    ("name", records::name),
    ("pack", objects::pack),
    ("snapshot", objects::snapshot),
    ("versions", versions),
];

fn handle(topic: &str, input: &Value) -> Outcome {
    let handler = HANDLERS.iter().find(|(name, _)| *name == topic);
    handler.unwrap_or_else(|| panic!("the topic {topic} has no handler")).1(input)
}

fn versions(input: &Value) -> Outcome {
    handle(input["as"].as_str().unwrap(), &input["input"])
}

/// The class of an error, as 14-vectors.md names it.
fn class(error: &FormatError) -> &'static str {
    match error {
        FormatError::Truncated => "truncated",
        FormatError::Invalid(_) => "invalid",
        FormatError::Limit { .. } => "limit",
        FormatError::Version(_) => "version",
        FormatError::Feature { .. } => "feature",
        FormatError::Hash => "hash",
        FormatError::Seal(_) => "seal",
        FormatError::Signature(_) => "signature",
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("format-spec/vectors")
}

/// Bytes from hexadecimal in which `(xx*n)` stands for n times the byte xx.
fn unhex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap_or_else(|| panic!("no text: {value}"));
    let decode = |hex: &str| data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap();
    let mut out = Vec::new();
    let mut parts = text.split('(');
    out.extend(decode(parts.next().unwrap()));
    for part in parts {
        let (run, rest) = part.split_once(')').unwrap();
        let (byte, count) = run.split_once('*').unwrap();
        out.extend(decode(byte).repeat(count.parse().unwrap()));
        out.extend(decode(rest));
    }
    out
}

fn unhex32(value: &Value) -> [u8; 32] {
    unhex(value).try_into().unwrap()
}

/// The same with the runs of all hexadecimal texts written out, so that two values can be compared.
fn expand(value: &Value) -> Value {
    match value {
        Value::String(text) if text.contains("*") && text.contains('(') => {
            data_encoding::HEXLOWER.encode(&unhex(value)).into()
        }
        Value::Array(items) => items.iter().map(expand).collect(),
        Value::Object(map) => Value::Object(map.iter().map(|(key, value)| (key.clone(), expand(value))).collect()),
        other => other.clone(),
    }
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    data_encoding::HEXLOWER.encode(bytes.as_ref())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

fn listed() -> Vec<String> {
    std::fs::read_to_string(folder().join("INDEX")).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn index_lists_every_file_and_no_other() {
    let listed = listed();
    assert!(listed.is_sorted());
    let mut present = BTreeSet::new();
    for topic in std::fs::read_dir(folder()).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir()) {
        for file in std::fs::read_dir(topic.path()).unwrap().map(Result::unwrap) {
            present.insert(format!("{}/{}", topic.file_name().display(), file.file_name().display()));
        }
    }
    let listed: BTreeSet<String> = listed.into_iter().collect();
    let odd: Vec<_> = listed.symmetric_difference(&present).collect();
    assert!(odd.is_empty(), "listed or there, not both: {odd:?}");
    for (topic, _) in HANDLERS {
        assert!(listed.iter().any(|name| name.starts_with(&format!("{topic}/"))), "no vector of {topic}");
    }
}

#[test]
fn every_vector_is_met() {
    let mut failures = Vec::new();
    for name in listed() {
        let vector: Value = serde_json::from_str(&std::fs::read_to_string(folder().join(&name)).unwrap()).unwrap();
        let topic = text(&vector["topic"]);
        assert_eq!(name.split('/').next(), Some(topic), "{name} is of another topic than its folder");
        assert!(!text(&vector["description"]).is_empty(), "{name} has no description");
        assert_ne!(vector.get("expect").is_some(), vector.get("error").is_some(), "{name} expects one thing");
        let good = match handle(topic, &vector["input"]) {
            Ok(value) if vector.get("expect").is_some_and(|expect| expand(expect) == value) => None,
            Err(error) if vector["error"] == class(&error) => None,
            other => Some(format!("{name}: {:.2000}", format!("{other:?}"))),
        };
        let not_yet = NOT_YET.contains(&name.as_str());
        match good {
            None if not_yet => failures.push(format!("{name} is met now: take it out of NOT_YET")),
            Some(failure) if !not_yet => failures.push(failure),
            _ => {}
        }
    }
    assert!(failures.is_empty(), "{} vectors are not met:\n{}", failures.len(), failures.join("\n"));
}
