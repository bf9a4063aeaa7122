//! Where secrets come from, and that they go nowhere.

use crate::cli_common::{PASSWORD, Run, Sandbox, run};

fn code(sandbox: &Sandbox, variables: &[(&str, &str)], arguments: &[&str]) -> Run {
    let mut command = sandbox.bare();
    for (name, value) in variables {
        command.env(name, value);
    }
    run(command.arg("snapshots").args(arguments))
}

#[test]
fn every_source_opens() {
    let sandbox = Sandbox::new();
    sandbox.write("credentials/panther-password", PASSWORD);
    let credentials = sandbox.path("credentials");
    let credentials = credentials.to_str().unwrap();
    let command = format!("echo '{PASSWORD}'");
    for (variables, arguments) in [
        (&[][..], &["--password-file", "password"][..]),
        (&[], &["--password-command", "cat password"]),
        (&[("PANTHER_PASSWORD_FILE", "password")], &[]),
        (&[("PANTHER_PASSWORD_COMMAND", &command)], &[]),
        (&[("PANTHER_PASSWORD", PASSWORD)], &[]),
        (&[("CREDENTIALS_DIRECTORY", credentials)], &[]),
        // An option outdoes the environment, and that the credential.
        (&[("PANTHER_PASSWORD", "wrong")], &["--password-file", "password"]),
        (&[("PANTHER_PASSWORD", PASSWORD), ("CREDENTIALS_DIRECTORY", "/nowhere")], &[]),
        (&[("PANTHER_PASSWORD", PASSWORD), ("PANTHER_PASSWORD_FILE", "")], &[]),
    ] {
        let run = code(&sandbox, variables, arguments);
        assert_eq!(run.code, 0, "{variables:?} {arguments:?}: {}", run.err);
    }
}

#[test]
fn a_wrong_passphrase_exits_with_12() {
    let sandbox = Sandbox::new();
    let run = code(&sandbox, &[("PANTHER_PASSWORD", "quite wrong")], &["--json"]);
    assert_eq!(run.code, 12, "{}", run.err);
    assert!(run.err.contains("passphrase") && !run.err.contains("quite wrong") && !run.out.contains("quite wrong"));
}

#[test]
fn what_is_no_secret_exits_with_2() {
    let sandbox = Sandbox::new();
    sandbox.write("empty", "\n");
    sandbox.write("identity", "AGE-SECRET-KEY-1SECRETBUTWRONG\n");
    sandbox.write("latin", b"\xff\xfe");
    for (variables, arguments) in [
        (&[][..], &[][..]),
        (&[], &["--password-file", "empty"]),
        (&[], &["--password-file", "latin"]),
        (&[], &["--password-command", "true"]),
        (&[], &["--password-command", "sh -c 'exit 3'"]),
        (&[], &["--password-command", "'"]),
        (&[], &["--identity-file", "identity"]),
        (&[], &["--password-file", "password", "--password-command", "cat password"]),
        (&[("PANTHER_PASSWORD", "a"), ("PANTHER_PASSWORD_FILE", "password")], &[]),
    ] {
        let run = code(&sandbox, variables, arguments);
        assert_eq!(run.code, 2, "{variables:?} {arguments:?}: {}", run.err);
        assert!(!run.err.contains("SECRETBUTWRONG"));
    }
    assert_eq!(code(&sandbox, &[], &["--password-file", "no-such-file"]).code, 1);
}

#[test]
fn secrets_are_nowhere_to_be_seen() {
    let sandbox = Sandbox::new();
    sandbox.write("source/a", "1");
    // The command looks at the process that has started it, and at its own environment.
    sandbox.write(
        "spy",
        "tr '\\0' '\\n' < /proc/$PPID/cmdline > seen; env >> seen\n\
         grep -E 'Max core file size' /proc/$PPID/limits >> limits\n\
         (cat /proc/$PPID/environ > /dev/null && echo readable) 2>/dev/null > environ\n\
         cat password\n",
    );
    let mut output = String::new();
    for arguments in [&["snapshots"][..], &["backup", "source", "-v"], &["ls", "latest", "--json"], &["key", "list"]] {
        let mut command = sandbox.bare();
        command.args(arguments).args(["--password-command", "sh spy"]);
        let run = run(&mut command);
        assert_eq!(run.code, 0, "{}", run.err);
        output += &run.out;
        output += &run.err;
    }
    output += &std::fs::read_to_string(sandbox.path("seen")).unwrap();
    assert!(output.contains("--password-command"), "the spy has seen nothing");
    assert!(!output.contains(PASSWORD));
    let limits = std::fs::read_to_string(sandbox.path("limits")).unwrap();
    assert!(limits.lines().all(|line| line.split_whitespace().nth(4) == Some("0")), "{limits}");
    if !rustix::process::geteuid().is_root() {
        assert_eq!(std::fs::read_to_string(sandbox.path("environ")).unwrap(), "", "the process can be looked into");
    }
    for file in walk(sandbox.temp.path()) {
        if file.file_name().is_some_and(|name| name != "password") {
            let content = std::fs::read(&file).unwrap();
            assert!(!content.windows(PASSWORD.len()).any(|part| part == PASSWORD.as_bytes()), "{}", file.display());
        }
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else {
            files.push(path);
        }
    }
    files
}
