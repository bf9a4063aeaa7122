//! Coverage and age of what is on a machine.

use crate::cli_common::{Sandbox, document, run};
use serde_json::Value;

fn line<'a>(found: &'a Value, path: &str) -> &'a Value {
    found["lines"]
        .as_array()
        .unwrap()
        .iter()
        .find(|line| line["path"] == path)
        .unwrap_or_else(|| panic!("{path}: {found}"))
}

#[test]
fn gaps_are_named() {
    let sandbox = Sandbox::new();
    let here = sandbox.temp.path().display().to_string();
    for name in ["one", "two", "three"] {
        sandbox.write(&format!("{name}/file"), "some");
    }
    let configure = |more: &str| {
        sandbox.write("panther.toml", format!(
            "[profiles.main]\nrepository = \"{here}/repo\"\npassword-file = \"{here}/password\"\nstate-dir = \"{here}/state\"\nsources = [{{ path = \"{here}/one\" }}, {{ path = \"{here}/two\", recovery-point = \"0s\" }}, {{ path = \"{here}/three\" }}{more}]\n"
        ));
    };
    configure("");
    let audit = |json: &[&str]| {
        let mut command = sandbox.bare();
        command.env_remove("PANTHER_REPOSITORY").env_remove("PANTHER_STATE_DIR");
        run(command.env("PANTHER_CONFIG", sandbox.path("panther.toml")).arg("audit").args(json))
    };
    sandbox.ok(&["backup", "one"]);
    sandbox.ok(&["backup", "two"]);
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let said = audit(&["--json"]);
    assert_eq!(said.code, 3, "{}", said.err);
    let found = document(&said.out);
    let coverage = |name: &str| line(&found, &format!("{here}/{name}"))["coverage"].as_str().unwrap().to_owned();
    assert_eq!(
        (coverage("one"), coverage("two"), coverage("three")),
        ("covered".into(), "too-old".into(), "never-backed-up".into())
    );
    assert!(line(&found, &format!("{here}/two"))["age_secs"].as_u64().unwrap() >= 1);
    // What the machine has besides is there, too: a home that nobody backs up.
    if std::path::Path::new("/root").is_dir() {
        assert_eq!(line(&found, "/root")["coverage"], "not-covered");
    }
    let text = audit(&[]).out;
    assert!(text.starts_with("Coverage") && text.contains("NEVER BACKED UP") && text.contains(" gaps\n"), "{text}");
    // Without sources nobody knows what should be.
    assert_eq!(sandbox.run(&["audit"]).code, 2);
    // A writer cannot read snapshots: it goes by what this machine remembers of its runs.
    sandbox.write("web", "another one");
    sandbox.ok(&["key", "add", "--role", "writer", "--writer", "web", "--new-password-file", "web"]);
    let by_writer = || {
        let mut command = sandbox.bare();
        command.env_remove("PANTHER_REPOSITORY").env_remove("PANTHER_STATE_DIR");
        command.env("PANTHER_CONFIG", sandbox.path("panther.toml")).env("PANTHER_PASSWORD_FILE", sandbox.path("web"));
        run(command.args(["audit", "--json"]))
    };
    let said = by_writer();
    assert_eq!(said.code, 3, "{}", said.err);
    let by_history = document(&said.out);
    for name in ["one", "two", "three"] {
        let path = format!("{here}/{name}");
        assert_eq!(line(&by_history, &path)["coverage"], line(&found, &path)["coverage"], "{name}");
    }
    sandbox.ok(&["backup", "three"]);
    assert_eq!(line(&document(&by_writer().out), &format!("{here}/three"))["coverage"], "covered");
}
