//! `panther restore` without arguments, in a pseudo-terminal: from a bucket's name and a recovery sheet on an empty home folder.

use crate::b2_kit::{BUCKET, fake};
use crate::cli_common::{PASSWORD, Sandbox, run};
use crate::common::noise;
use crate::fake_b2::{FakeB2, KeySpec};
use crate::generations::manifest::Manifest;
use crate::terminal::Terminal;
use std::fs;
use std::process::Command;

/// A repository in the fake with a snapshot of two machines each, and what the sheet and the account say.
struct Disaster {
    sandbox: Sandbox,
    fake: FakeB2,
    key_id: String,
    key: String,
    sheet: String,
    manifest: Manifest,
}

impl Disaster {
    fn new() -> Option<Self> {
        if !Terminal::is_there() {
            return None;
        }
        let fake = fake();
        let (key_id, key) = fake.key(&KeySpec::everything(BUCKET));
        let sandbox = Sandbox::empty();
        sandbox.write("key", format!("{key_id}\n{key}\n"));
        for n in 0..8 {
            sandbox.write(&format!("source/folder/file{n}"), noise(n, 400_000));
        }
        let at_b2 = |arguments: &[&str]| {
            let mut command = sandbox.command(arguments);
            command
                .env("PANTHER_REPOSITORY", format!("b2://{BUCKET}/home"))
                .env("PANTHER_B2_ENDPOINT", fake.endpoint());
            let done = run(command.env("PANTHER_B2_KEY_FILE", sandbox.path("key")));
            assert_eq!(done.code, 0, "{}", done.err);
            done.out
        };
        at_b2(&["init"]);
        at_b2(&["backup", "source", "--host", "yoga", "--tag", "weekly"]);
        let manifest = Manifest::of(&sandbox.path("source").canonicalize().unwrap());
        sandbox.write("source/folder/file0", "newer");
        at_b2(&["backup", "source", "--host", "yoga"]);
        at_b2(&["backup", "source", "--host", "zephyrus"]);
        let page = at_b2(&["key", "paper"]);
        let groups: Vec<&str> = page.lines().filter(|line| line.starts_with("  ")).take(3).collect();
        let sheet = groups.join(" ");
        Some(Self { sandbox, fake, key_id, key, sheet, manifest })
    }

    /// On a machine with nothing but the program.
    fn rescue(&self, home: &str) -> Command {
        fs::create_dir_all(self.sandbox.path(home)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_panther"));
        command.arg("restore").env("HOME", self.sandbox.path(home)).env("TZ", "UTC");
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("PANTHER_B2_ENDPOINT", self.fake.endpoint()).env("PANTHER_TEST_B2_PATIENCE", "20");
        command.current_dir(self.sandbox.path(home));
        command
    }

    /// Up to which snapshot.
    fn enter(&self, terminal: &mut Terminal) {
        terminal.answer("Where is the repository?", &format!("b2://{BUCKET}/home"));
        terminal.answer("keyID", &self.key_id);
        terminal.answer("applicationKey (not shown)", &self.key);
        terminal.answer("key of the recovery sheet (not shown)", &self.sheet);
        terminal.answer("Number or name", "yoga");
        terminal.see("(weekly)");
    }

    fn source(&self) -> String {
        self.sandbox.path("source").canonicalize().unwrap().display().to_string()
    }
}

#[test]
fn somebody_in_trouble_gets_there() {
    let Some(disaster) = Disaster::new() else { return };
    let mut terminal = Terminal::new(&disaster.rescue("home"));
    // Nearly everything is mistyped once.
    terminal.answer("Where is the repository?", "b2://no such bucket/");
    terminal.answer("That did not work", "b2://panther-tests-other/home");
    terminal.answer("keyID", &disaster.key_id);
    terminal.answer("applicationKey (not shown)", "wrong");
    terminal.answer("That did not work", &format!("b2://{BUCKET}/home"));
    terminal.answer("keyID", &disaster.key_id);
    terminal.answer("applicationKey (not shown)", &disaster.key);
    terminal.answer("key of the recovery sheet (not shown)", "no such passphrase");
    for again in ["AGE-SECRET-KEY-1 ABCD", &disaster.sheet] {
        terminal.see("Once more");
        terminal.answer("key of the recovery sheet (not shown)", again);
    }
    terminal.answer("Which machine?", "nobody");
    terminal.answer("is none of these", "yoga");
    terminal.see("(weekly)");
    terminal.answer("A number or an id", "7");
    terminal.answer("is none of these", "2");
    terminal.answer("What of it?", "relative");
    terminal.answer("begins with /", &format!("? {}/folder", disaster.source()));
    terminal.see("file7");
    terminal.answer("What", "/nothing/there");
    terminal.answer("Into which folder?", "out");
    terminal.see("That cannot be done");
    terminal.answer("What [", &disaster.source());
    terminal.answer("Into which folder?", "out");
    terminal.see("8 files");
    terminal.see("The same without questions:");
    terminal.answer("Restore this?", "y");
    terminal.see("restored from snapshot");
    let (code, all) = terminal.end();
    assert_eq!(code, 0, "{all}");
    disaster.manifest.assert_is(&disaster.sandbox.path("home/out"), "restored by answering");
    for secret in [&disaster.key, &disaster.sheet, PASSWORD] {
        assert!(!all.contains(secret), "a secret is shown");
    }
}

#[test]
fn an_interruption_and_a_full_disk_on_the_way() {
    let Some(disaster) = Disaster::new() else { return };
    let mut slow = disaster.rescue("slow");
    slow.env("PANTHER_LIMIT_DOWNLOAD", "300k");
    let mut terminal = Terminal::new(&slow);
    disaster.enter(&mut terminal);
    terminal.answer("A number or an id", "2");
    terminal.answer("What [", &disaster.source());
    terminal.answer("Into which folder?", "out");
    terminal.see("The same without questions:\r\n  ");
    terminal.answer("Restore this?", "y");
    terminal.see("restoring");
    terminal.type_in("\u{3}");
    terminal.see("goes on from here, with --overwrite");
    let (code, all) = terminal.end();
    assert_eq!(code, 130, "{all}");
    // The command that was shown goes on.
    let line = all.lines().find_map(|line| line.trim().strip_prefix("panther ")).unwrap();
    disaster.sandbox.write("sheet", disaster.sheet.split_whitespace().collect::<String>());
    let mut again = disaster.rescue("slow");
    again = {
        let mut command = Command::new(again.get_program());
        command.envs(again.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(again.get_current_dir().unwrap()).args(shell_words::split(line).unwrap());
        command.arg("--overwrite").arg("--identity-file").arg(disaster.sandbox.path("sheet"));
        command.env("PANTHER_B2_KEY_FILE", disaster.sandbox.path("key"));
        command
    };
    let done = run(&mut again);
    assert_eq!(done.code, 0, "{}", done.err);
    disaster.manifest.assert_is(&disaster.sandbox.path("slow/out"), "gone on");

    let full = disaster.sandbox.path("home/full");
    fs::create_dir_all(&full).unwrap();
    let mount = |options: &str| Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&full).output();
    if !mount("size=1m").is_ok_and(|done| done.status.success()) {
        println!("skipped: no tmpfs may be mounted here, so no disk is filled");
        return;
    }
    let mut terminal = Terminal::new(&disaster.rescue("home"));
    disaster.enter(&mut terminal);
    terminal.answer("A number or an id", "2");
    terminal.answer("What [", &disaster.source());
    terminal.answer("Into which folder?", "full");
    terminal.see("less than is to be restored");
    terminal.answer("Restore this?", "y");
    terminal.see("It stopped");
    let larger = mount("remount,size=20m");
    terminal.answer("go on from here?", "y");
    terminal.see("restored from snapshot");
    let (code, all) = terminal.end();
    let difference = disaster.manifest.difference(&Manifest::of(&full));
    let _ = Command::new("umount").arg(&full).status();
    assert!(larger.unwrap().status.success());
    assert_eq!((code, difference), (0, None), "{all}");
}

#[test]
fn without_a_terminal_nobody_is_asked() {
    let sandbox = Sandbox::new();
    for (arguments, code) in [
        (&["restore"][..], 2),
        (&["restore", "--json"], 2),
        (&["restore", "latest"], 2),
        (&["restore", "--target", "out"], 2),
    ] {
        let done = sandbox.run(arguments);
        assert_eq!(done.code, code, "{arguments:?}: {}", done.err);
    }
    assert!(sandbox.run(&["restore"]).err.contains("on a terminal"));
}
