//! The floors of `src/lib.rs` and a few rules of the house, enforced on the sources.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// From the lowest up. A module imports only from floors below its own.
const FLOORS: &[&[&str]] = &[
    &["id", "error", "buffers"],
    &["format"],
    &["chunk", "cost", "egress", "prune", "retention", "seal"],
    &["keys"],
    &["backend"],
    &["state"],
    &["source", "import"],
    &["target", "repo", "config"],
    &["ops"],
    &["report"],
];
/// Modules that touch neither files, nor network, nor processes.
const PURE: &[&str] =
    &["id", "error", "format", "chunk", "cost", "egress", "prune", "retention", "seal", "keys", "config", "report"];
/// Files that may hold unsafe code.
const UNSAFE: &[&str] = &["source/btrfs/sys.rs"];
const MAX_LINES: usize = 450;

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

/// The source without comments, strings and characters: these are blanked, line ends stay.
fn code_only(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    let blank = |from: usize, to: usize, out: &mut String| {
        out.extend(chars[from..to.min(chars.len())].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
    };
    while at < chars.len() {
        let rest = &chars[at..];
        let end = match rest {
            ['/', '/', ..] => rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
            ['/', '*', ..] => rest.windows(2).position(|w| w == ['*', '/']).map_or(rest.len(), |n| n + 2),
            ['r', '"', ..] | ['r', '#', ..] if raw_string(rest).is_some() => raw_string(rest).unwrap_or(1),
            ['"', ..] => string(rest),
            ['\'', '\\', ..] => 3 + rest[3..].iter().position(|c| *c == '\'').map_or(0, |n| n + 1),
            ['\'', _, '\'', ..] => 3,
            _ => 0,
        };
        if end == 0 {
            out.push(chars[at]);
            at += 1;
        } else {
            blank(at, at + end, &mut out);
            at += end;
        }
    }
    out
}

fn string(rest: &[char]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn raw_string(rest: &[char]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
    if rest.get(1 + hashes) != Some(&'"') {
        return None;
    }
    let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let body = &rest[2 + hashes..];
    Some(body.windows(close.len()).position(|w| w == close).map_or(rest.len(), |n| 2 + hashes + n + close.len()))
}

/// The code without what is only compiled for tests: from `#[cfg(test)]` on a `mod` with a body, to the end.
fn without_tests(code: &str) -> &str {
    let mut from = 0;
    while let Some(found) = code[from..].find("#[cfg(test)]") {
        let start = from + found;
        let rest = &code[start..];
        let head = &rest[..rest.find(['{', ';']).unwrap_or(rest.len())];
        if head.contains("mod ") && rest[head.len()..].starts_with('{') {
            return &code[..start];
        }
        from = start + 1;
    }
    code
}

/// The words that follow each `prefix` (which ends in `::`), groups in braces taken apart.
fn after(code: &str, prefix: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices(prefix) {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = code[at + prefix.len()..].trim_start();
        let Some(group) = rest.strip_prefix('{') else {
            found.insert(word(rest));
            continue;
        };
        let (mut depth, mut start) = (0, true);
        for (n, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' => start = depth == 0,
                c if start && depth == 0 && !c.is_whitespace() => {
                    found.insert(word(&group[n..]));
                    start = false;
                }
                _ => {}
            }
        }
    }
    found
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// What breaks the rules in one file; `path` is below `src/`.
fn complaints(path: &str, source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut say = |what: String| found.push(format!("src/{path}: {what}"));
    let lines = source.lines().count();
    if lines > MAX_LINES {
        say(format!("{lines} lines, more than {MAX_LINES}"));
    }
    let code = code_only(source);
    let words = code.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    if words.clone().any(|w| w == "unsafe") && !UNSAFE.contains(&path) {
        say("unsafe code".into());
    }
    let module = path.split('/').next().unwrap_or(path).trim_end_matches(".rs");
    let is_test = path.ends_with("tests.rs");
    if matches!(module, "lib" | "bin") || is_test {
        return found;
    }
    let code = without_tests(&code);
    let Some(own) = floor(module) else {
        say(format!("the module {module} stands on no floor"));
        return found;
    };
    for used in after(code, "crate::") {
        match floor(&used) {
            Some(other) if used != module && other >= own => {
                say(format!("{module} uses {used}, which is not below it"))
            }
            _ => {}
        }
    }
    if PURE.contains(&module) {
        for used in after(code, "std::") {
            if ["fs", "net", "process"].contains(&&used[..]) {
                say(format!("{module} uses std::{used}, but is to be pure"));
            }
        }
        if !after(code, "rustix::").is_empty() {
            say(format!("{module} uses system calls, but is to be pure"));
        }
    }
    found
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

#[test]
fn sources_keep_to_the_floors() {
    let mut files = Vec::new();
    sources(&src(), &mut files);
    assert!(files.len() > 40, "only {} sources found", files.len());
    let mut found = Vec::new();
    for file in files {
        let path = file.strip_prefix(src()).unwrap().to_str().unwrap().to_owned();
        found.extend(complaints(&path, &fs::read_to_string(&file).unwrap()));
    }
    found.sort();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_list_here_is_that_of_the_library() {
    let lib = fs::read_to_string(src().join("lib.rs")).unwrap();
    let documented: Vec<String> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("//! ")?.split_once(". "))
        .filter(|(number, _)| number.parse::<u8>().is_ok())
        .flat_map(|(_, text)| {
            let names = text.split(':').next().unwrap_or(text);
            names.split(", ").map(|n| n.trim_matches(['[', ']', '`', ' ']).to_owned()).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(documented, FLOORS.concat(), "src/lib.rs lists other floors");
    for module in lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')) {
        assert!(floor(module).is_some(), "{module} stands on no floor");
    }
}

#[test]
fn breaking_a_rule_is_noticed() {
    let bad = |path: &str, source: &str| complaints(path, source).join("\n");
    assert_eq!(bad("repo/mod.rs", "use crate::state::State;\nuse crate::{Error, id::BlobId};\n"), "");
    assert_eq!(bad("format/x.rs", "// use crate::ops::check;\nconst A: &str = \"crate::ops::x unsafe\";\n"), "");
    assert_eq!(bad("format/x.rs", "#[cfg(test)]\nmod tests {\n use crate::ops::check; use std::fs;\n}\n"), "");
    assert!(bad("format/x.rs", "use crate::seal::Signer;").contains("format uses seal"));
    assert!(bad("state/x.rs", "fn a() { crate::source::walk() }").contains("state uses source"));
    assert!(
        bad("repo/x.rs", "use crate::{\n    error::{Error, Result},\n    ops::{a, b},\n};").contains("repo uses ops")
    );
    assert!(bad("id.rs", "use crate::error::Error;").contains("id uses error"));
    assert!(bad("new/x.rs", "").contains("stands on no floor"));
    assert!(bad("seal/x.rs", "use std::{io, fs::File};").contains("std::fs"));
    assert!(bad("keys/x.rs", "fn a() { std::process::exit(1) }").contains("std::process"));
    assert!(bad("report/x.rs", "use std::net::TcpStream;").contains("std::net"));
    assert!(bad("chunk.rs", "use rustix::fs::stat;").contains("system calls"));
    assert_eq!(bad("backend/x.rs", "use std::fs::File;"), "");
    assert!(bad("ops/x.rs", "fn a() { unsafe { b() } }").contains("unsafe"));
    assert_eq!(
        bad("ops/x.rs", "#![deny(unsafe_code)] // unsafe\nconst C: char = '\"'; const D: &str = r#\"unsafe \"x\"#;\n"),
        ""
    );
    assert!(bad("ops/x.rs", &"\n".repeat(MAX_LINES + 1)).contains("lines"));
}
