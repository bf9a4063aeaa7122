//! Every command line of the documentation is one that this program understands. (`tests/suite/book.rs` runs those that need nothing but a folder.)

use crate::cli::Cli;
use clap::Parser;
use clap::error::ErrorKind;
use std::path::{Path, PathBuf};

fn pages() -> Vec<PathBuf> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found: Vec<PathBuf> = ["", "docs", "docs/nixos"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(top.join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "md") && !path.ends_with("CHANGELOG.md"))
        .collect();
    found.sort();
    found
}

/// The lines of shell blocks, with their numbers; those that go on after a backslash are one.
fn shell_lines(text: &str) -> Vec<(usize, String)> {
    let (mut found, mut is_shell, mut open): (Vec<(usize, String)>, _, _) = (Vec::new(), false, false);
    for (n, line) in text.lines().enumerate() {
        if let Some(kind) = line.trim_start().strip_prefix("```") {
            is_shell = !is_shell && matches!(kind, "sh" | "console" | "text");
            open = false;
            continue;
        }
        if !is_shell {
            continue;
        }
        let line = line.trim().trim_start_matches("$ ");
        let (line, goes_on) = line.strip_suffix('\\').map_or((line, false), |line| (line, true));
        match found.last_mut() {
            Some((_, before)) if open => before.push_str(line),
            _ => found.push((n + 1, line.to_owned())),
        }
        open = goes_on;
    }
    found
}

/// The commands of a line of shell: words, without what redirects them, without what is set before them.
fn commands(line: &str) -> Vec<Vec<String>> {
    let (mut parts, mut quote) = (vec![String::new()], None);
    let mut before = ' ';
    for c in line.chars() {
        match quote {
            Some(q) if c == q => quote = None,
            None if c == '\'' || c == '"' => quote = Some(c),
            None if c == '#' && before.is_whitespace() => break,
            None if matches!(c, '|' | ';' | '&' | '(' | ')') => {
                parts.push(String::new());
                before = c;
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
        before = c;
    }
    let words = |part: &String| {
        let mut words = shell_words::split(part).unwrap_or_default();
        if let Some(at) = words.iter().position(|word| word.starts_with(['<', '>']) || word.starts_with("2>")) {
            words.truncate(at);
        }
        let is_before =
            |word: &String| word == "sudo" || word.split_once('=').is_some_and(|(name, _)| !name.starts_with('-'));
        let from = words.iter().position(|word| !is_before(word)).unwrap_or(words.len());
        let mut words = words.split_off(from);
        if words.starts_with(&["nix".into(), "run".into(), ".#panther".into(), "--".into()]) {
            words.splice(..4, ["panther".into()]);
        }
        words
    };
    parts.iter().map(words).filter(|words| words.first().is_some_and(|word| word == "panther")).collect()
}

#[test]
fn shell_blocks_are_understood() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for (line, shell) in shell_lines(&text) {
            for words in commands(&shell) {
                count += 1;
                if let Err(error) = Cli::try_parse_from(&words)
                    && error.use_stderr()
                {
                    wrong.push(format!("{}:{line}: {}: {error}", page.display(), words.join(" ")));
                }
            }
        }
    }
    assert!(count > 70, "only {count} commands were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// In a sentence a command may be without its arguments, but not one that is not there.
#[test]
fn commands_in_sentences_are_there() {
    const NO_COMMANDS: [&str; 2] = ["panther v1 ", "panther COMMAND "];
    const INCOMPLETE: [ErrorKind; 3] = [
        ErrorKind::MissingRequiredArgument,
        ErrorKind::MissingSubcommand,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
    ];
    let (mut wrong, mut count) = (Vec::new(), 0);
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for (at, span) in text.lines().flat_map(|line| line.split('`').enumerate()) {
            if at % 2 == 0
                || !span.starts_with("panther ")
                || span.contains(['…', '*', '{'])
                || NO_COMMANDS.iter().any(|no| span.starts_with(no))
            {
                continue;
            }
            for words in commands(span) {
                count += 1;
                if let Err(error) = Cli::try_parse_from(&words)
                    && error.use_stderr()
                    && !INCOMPLETE.contains(&error.kind())
                    && !error.to_string().contains("none was supplied")
                {
                    wrong.push(format!("{}: {}: {error}", page.display(), words.join(" ")));
                }
            }
        }
    }
    assert!(count > 100, "only {count} commands were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_wrong_command_is_noticed() {
    let text = "```sh\n$ sudo A=1 panther -r x backup 'a # b' \\\n  --tag c >out # panther nothing\npanther snapshots | head; panther nonsense\n```\nno `panther x`\n```toml\npanther y\n```\n";
    let found: Vec<_> =
        shell_lines(text).iter().flat_map(|(_, line)| commands(line)).map(|words| words.join(" ")).collect();
    assert_eq!(found, ["panther -r x backup a # b --tag c", "panther snapshots", "panther nonsense"]);
    assert!(Cli::try_parse_from(["panther", "nonsense"]).is_err());
}
