//! The pages of the book: links lead somewhere, chapters are complete, and what is marked `<!-- run -->` does what it says.
//! (That all other commands are understood is tested beside the command line, in `src/bin/panther/docs_tests.rs`.)

use crate::common::noise;
use crate::import_kit;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages_in(folder: &str, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(top().join(folder)).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "md") {
            found.insert(path.strip_prefix(top()).unwrap().to_owned());
        }
    }
}

/// All pages, named from the repository on.
fn pages() -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for folder in ["", "docs", "docs/nixos", "format-spec", "benches"] {
        pages_in(folder, &mut found);
    }
    found
}

/// The text without blocks and spans of code: links in those are none.
fn prose(text: &str) -> String {
    let mut out = String::new();
    let mut in_block = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            let parts = line.split('`').enumerate().map(|(n, part)| if n % 2 == 0 { part } else { "x" });
            out.extend(parts);
            out.push('\n');
        }
    }
    out
}

fn links(text: &str) -> Vec<String> {
    let ends = |rest: &str| rest.find(')').map(|end| rest[..end].to_owned());
    prose(text).split("](").skip(1).filter_map(ends).collect()
}

/// The anchors that GitHub and mdBook give to headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut in_block = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        in_block ^= line.trim_start().starts_with("```");
        if let Some(heading) = line.strip_prefix('#').filter(|_| !in_block) {
            let heading = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            found.insert(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
        }
    }
    found
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(out.pop()),
            Component::CurDir => {}
            part => out.push(part),
        }
    }
    out
}

#[test]
fn links_lead_somewhere() {
    let (mut dead, mut count) = (Vec::new(), 0);
    let summary = PathBuf::from("book/SUMMARY.md");
    for page in pages().into_iter().chain([summary.clone()]) {
        let text = fs::read_to_string(top().join(&page)).unwrap();
        for link in links(&text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            count += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            // The summary is at the top of what the book is made from.
            let folder = if page == summary { Path::new("") } else { page.parent().unwrap() };
            let to = if path.is_empty() { page.clone() } else { plain(&folder.join(path)) };
            let there = top().join(&to);
            let is_good = there.exists()
                && (anchor.is_empty() || anchors(&fs::read_to_string(&there).unwrap_or_default()).contains(anchor));
            if !is_good {
                dead.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(count > 150, "only {count} links were found");
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}

#[test]
fn every_page_is_a_chapter() {
    let chapters: Vec<PathBuf> =
        links(&fs::read_to_string(top().join("book/SUMMARY.md")).unwrap()).iter().map(PathBuf::from).collect();
    let all: BTreeSet<PathBuf> = chapters.iter().cloned().collect();
    assert_eq!(all.len(), chapters.len(), "a page is there twice");
    let missing: Vec<_> = pages().into_iter().filter(|page| !all.contains(page)).collect();
    assert!(missing.is_empty(), "not in book/SUMMARY.md: {missing:?}");
}

/// The blocks of a page after the line `<!-- run -->`, one after the other.
fn marked(text: &str) -> String {
    let mut out = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "<!-- run -->" {
            assert_eq!(lines.next(), Some("```sh"), "after <!-- run -->");
            for line in lines.by_ref().take_while(|line| *line != "```") {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out
}

/// Runs what a page says in a home of its own; `/mnt/disk` is a folder of it.
fn run_page(page: &str) {
    let text = fs::read_to_string(top().join(page)).unwrap();
    // It has a restic repository, for those who come from there.
    let sandbox = import_kit::sandbox(2);
    let (home, disk) = (sandbox.path("home"), sandbox.path("disk"));
    for (name, bytes) in [("letter.txt", noise(1, 5_000)), ("pictures/one", noise(2, 300_000))] {
        sandbox.write(&format!("home/Documents/{name}"), bytes);
    }
    import_kit::restic(&sandbox, "home", &["backup", "Documents"]);
    fs::create_dir(&disk).unwrap();
    fs::rename(sandbox.path("restic"), disk.join("restic")).unwrap();
    sandbox.write("home/restic.pass", format!("{}\n", import_kit::RESTIC_PASSWORD));
    sandbox.write("home/panther.pass", "a passphrase\n");
    let script = marked(&text).replace("/mnt/disk", disk.to_str().unwrap());
    assert!(script.lines().count() > 1, "{page} has nothing to run");
    let program = Path::new(env!("CARGO_BIN_EXE_panther")).parent().unwrap();
    let path = std::env::join_paths([program, Path::new("/usr/bin"), Path::new("/bin")]).unwrap();
    let mut command = Command::new("sh");
    command.args(["-eu", "-c", &script]).current_dir(&home).env_clear().env("HOME", &home).env("PATH", path);
    let done = crate::cli_common::run(command.env("PANTHER_TEST_WORK_FACTOR", "2").env("TMPDIR", sandbox.temp.path()));
    assert_eq!(done.code, 0, "{page}: {script}\n{}\n{}", done.out, done.err);
}

#[test]
fn the_quick_start_works() {
    run_page("docs/quick-start.md");
}

#[test]
fn moving_in_works() {
    run_page("docs/moving.md");
}
