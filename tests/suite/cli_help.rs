//! The help of every command as it was last looked at: tests/help has a file for each. PANTHER_WRITE_HELP=1 writes them anew.

use crate::cli_common::Sandbox;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help")
}

/// The commands that a help names.
fn commands(help: &str) -> Vec<String> {
    let mut lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let mut found = Vec::new();
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        let is_name = line.starts_with("  ") && !line.starts_with("   ");
        found.extend(line.split_whitespace().next().filter(|_| is_name).map(str::to_owned));
    }
    found.retain(|name| name != "help");
    found
}

/// The long help of each command, by its words.
fn all(sandbox: &Sandbox) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut left = vec![Vec::<String>::new()];
    while let Some(words) = left.pop() {
        let help = sandbox.ok(&[&words[..], &["--help".to_owned()]].concat());
        for name in commands(&help) {
            left.push([&words[..], &[name]].concat());
        }
        let name = [&["panther".to_owned()], &words[..]].concat().join("-");
        found.insert(name, help);
    }
    found
}

#[test]
fn help_is_as_it_was() {
    let sandbox = Sandbox::empty();
    let helps = all(&sandbox);
    assert!(helps.len() > 40, "{:?}", helps.keys());
    if std::env::var_os("PANTHER_WRITE_HELP").is_some() {
        fs::create_dir_all(folder()).unwrap();
        for entry in fs::read_dir(folder()).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        for (name, help) in &helps {
            fs::write(folder().join(format!("{name}.txt")), help).unwrap();
        }
    }
    let kept: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap().trim_end_matches(".txt").to_owned())
        .collect();
    let now: BTreeSet<String> = helps.keys().cloned().collect();
    assert_eq!(kept, now, "run it with PANTHER_WRITE_HELP=1 and look at the difference");
    for (name, help) in &helps {
        let kept = fs::read_to_string(folder().join(format!("{name}.txt"))).unwrap();
        assert!(
            kept == *help,
            "the help of {name} is another: run this with PANTHER_WRITE_HELP=1 and look at it\n{help}"
        );
    }
}

/// Each command that does something by itself shows how.
#[test]
fn commands_have_examples() {
    let sandbox = Sandbox::empty();
    let without: Vec<String> = all(&sandbox)
        .into_iter()
        .filter(|(_, help)| commands(help).is_empty() && !help.contains("Example"))
        .map(|(name, _)| name)
        .collect();
    // Those of a command with several parts are in its own help.
    let parts = ["cat", "key", "config", "repair", "snapshot"];
    let bad: Vec<&String> =
        without.iter().filter(|name| !parts.iter().any(|part| name.starts_with(&format!("panther-{part}-")))).collect();
    assert!(bad.is_empty(), "{bad:?}");
}

#[test]
fn completions_and_manual_pages() {
    let sandbox = Sandbox::empty();
    let shells = [("bash", "complete -F _panther"), ("zsh", "#compdef panther"), ("fish", "complete -c panther")];
    for (shell, what) in shells {
        let script = sandbox.ok(&["completions", shell]);
        assert!(script.contains(what) && script.contains("history"), "{shell}");
        sandbox.write(shell, &script);
        // Only where there is such a shell.
        if let Ok(output) = Command::new(shell).arg("-n").arg(sandbox.path(shell)).output() {
            assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
    assert_eq!(sandbox.run(&["completions", "cmd"]).code, 2);
    assert_eq!(sandbox.run(&["completions", "bash", "--json"]).code, 2);
    sandbox.ok(&["man", "pages"]);
    for page in ["panther.1", "panther-backup.1", "panther-key-add.1"] {
        let text = fs::read_to_string(sandbox.path("pages").join(page)).unwrap();
        assert!(text.contains(".SH OPTIONS"), "{page}");
    }
    sandbox.write("file", "");
    assert_eq!(sandbox.run(&["man", "file"]).code, 1);
}

#[test]
fn no_colour_where_it_is_not_wanted() {
    let sandbox = Sandbox::empty();
    // In a terminal of its own, as only there anything has colours.
    let mut script = Command::new("script");
    let panther = env!("CARGO_BIN_EXE_panther");
    script.args(["-qec", &format!("{panther} frobnicate"), "/dev/null"]).env("TERM", "xterm-256color");
    script.current_dir(sandbox.temp.path()).env_remove("NO_COLOR");
    let Ok(with) = script.output() else { return println!("skipped: there is no script(1)") };
    let without = script.env("NO_COLOR", "1").output().unwrap();
    let has_colour = |bytes: &[u8]| bytes.windows(2).any(|pair| pair == b"\x1b[");
    assert!(has_colour(&with.stdout) && !has_colour(&without.stdout));
}
