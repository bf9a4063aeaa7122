//! `browse` in a pseudo-terminal.

use crate::cli_common::Sandbox;
use crate::terminal::Terminal;
use std::fs;

/// The escape sequences of keys (xterm).
const DOWN: &str = "\u{1b}[B";

#[test]
fn an_older_version_of_a_file_is_found_and_restored() {
    if !Terminal::is_there() {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.write("source/folder/letter", "first");
    sandbox.write("source/other", "other");
    sandbox.ok(&["backup", "source", "--host", "yoga"]);
    sandbox.write("source/folder/letter", "second one");
    sandbox.ok(&["backup", "source", "--host", "yoga"]);
    sandbox.write("source/other", "changed");
    sandbox.ok(&["backup", "source", "--host", "yoga"]);

    let mut terminal = Terminal::new(&sandbox.command(&["browse"]));
    terminal.see_on_screen("q leaves");
    terminal.type_in("\r");
    terminal.see_on_screen("/source/");
    terminal.type_in("\r");
    terminal.see_on_screen("other");
    // Folders come first.
    terminal.type_in("\r");
    terminal.see_on_screen("letter");
    terminal.type_in("v");
    terminal.see_on_screen("5 B");
    terminal.type_in(DOWN);
    terminal.type_in("r");
    terminal.see_on_screen("Into which new folder?");
    terminal.type_in("2\r");
    terminal.see("restored from snapshot");
    terminal.see("Return goes back");
    terminal.type_in("\r");
    terminal.see_on_screen("q leaves");
    terminal.type_in("q");
    let (code, all) = terminal.end();
    assert_eq!(code, 0, "{all}");
    let letter = format!("restored2{}/source/folder/letter", sandbox.temp.path().canonicalize().unwrap().display());
    assert_eq!(fs::read_to_string(sandbox.path(&letter)).unwrap(), "first");
}

#[test]
fn it_takes_a_terminal_and_a_reader() {
    let sandbox = Sandbox::new();
    let done = sandbox.run(&["browse"]);
    assert_eq!(done.code, 2);
    assert!(done.err.contains("panther ls"), "{}", done.err);
    assert_eq!(sandbox.run(&["browse", "--json"]).code, 2);
    if Terminal::is_there() {
        // Ctrl-C leaves, and the terminal is as it was.
        sandbox.write("source/a", "1");
        sandbox.ok(&["backup", "source"]);
        let mut terminal = Terminal::new(&sandbox.command(&["browse"]));
        terminal.see_on_screen("q leaves");
        terminal.type_in("\u{3}");
        let (code, all) = terminal.end();
        assert_eq!(code, 130, "{all}");
        assert!(all.contains("\u{1b}[?1049l"), "the other screen stays: {all:?}");
    }
}
