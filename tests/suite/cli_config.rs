//! The configuration file: found, laid under options and environment, checked, shown, described.

use crate::cli_common::{PASSWORD, Run, Sandbox, document, run};
use panther::config;
use serde_json::Value;

const SCHEMA: &str = include_str!("../../docs/config.schema.json");
const DOCUMENTATION: &str = include_str!("../../docs/config.md");

/// The blocks of TOML of the documentation.
fn examples() -> Vec<String> {
    let blocks = DOCUMENTATION.split("```toml\n").skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

fn validator() -> jsonschema::Validator {
    jsonschema::validator_for(&serde_json::from_str(SCHEMA).unwrap()).unwrap()
}

/// A sandbox with a configuration and a repository that its profile names; runs know of it by the file only.
struct Configured(Sandbox);

impl Configured {
    fn new(more: &str) -> Self {
        let sandbox = Sandbox::new();
        let here = sandbox.temp.path().display();
        let text = format!(
            "[profiles.main]\nrepository = \"{here}/repo\"\npassword-file = \"{here}/password\"\nstate-dir = \"{here}/state\"\n{more}"
        );
        sandbox.write("panther.toml", text);
        Self(sandbox)
    }

    fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Run {
        let mut command = self.0.bare();
        command.env_remove("PANTHER_REPOSITORY").env_remove("PANTHER_STATE_DIR");
        command.env("PANTHER_CONFIG", self.0.path("panther.toml")).envs(variables.iter().copied());
        run(command.args(arguments))
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let run = self.run(arguments, &[]);
        assert_eq!(run.code, 0, "{arguments:?}: {}", run.err);
        run.out
    }
}

#[test]
fn the_schema_in_the_documentation_is_that_of_the_program() {
    let sandbox = Sandbox::empty();
    let printed = sandbox.ok(&["config", "schema"]);
    assert_eq!(printed, SCHEMA, "run `panther config schema > docs/config.schema.json`");
    assert!(jsonschema::meta::is_valid(&serde_json::from_str(SCHEMA).unwrap()));
}

#[test]
fn the_examples_of_the_documentation_are_right() {
    let examples = examples();
    assert_eq!(examples.len(), 2);
    let sandbox = Sandbox::empty();
    let mut known = std::collections::BTreeSet::new();
    for text in &examples {
        let config = config::parse(text).unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
        let value: Value = toml::from_str(text).unwrap();
        let errors: Vec<String> = validator().iter_errors(&value).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
        for profile in config.profiles.values() {
            let Value::Object(keys) = serde_json::to_value(profile).unwrap() else { panic!() };
            known.extend(keys.into_iter().map(|(key, _)| key));
        }
        sandbox.write("example.toml", text);
        let checked = sandbox.json(&["config", "check", "example.toml"]);
        assert_eq!(checked["problems"].as_array().unwrap().len(), 0);
    }
    // Together they show every table of a profile.
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let all = schema.pointer("/$defs/Profile/properties").unwrap().as_object().unwrap();
    let missing: Vec<_> = all.keys().filter(|key| !known.contains(*key)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_schema_refuses_what_the_program_refuses() {
    for text in [
        "[profiles.a]\nrepositry = \"/x\"",
        "[profiles.a]\nrepository = 5",
        "[profiles.a.retention]\ndaily = -1",
        "[profiles.a.retention]\npreset = \"desktop\"",
        "[profiles.a]\npassword-command = []",
        "[profiles.a.budget]\nstop-month-dollars = -1",
        "[[profiles.a.databases]]\nkind = \"redis\"",
        "profile = 1",
    ] {
        assert!(config::parse(text).is_err(), "{text}");
        let value: Value = toml::from_str(text).unwrap();
        assert!(!validator().is_valid(&value), "{text}");
    }
}

#[test]
fn a_backup_needs_no_words() {
    let configured = Configured::new(
        "[profiles.main.backup]\nexclude = [\"*.tmp\"]\ntags = [\"nightly\"]\nhost = \"tester\"\ncompression = \"better\"\nskip-if-unchanged = true\n",
    );
    let sandbox = &configured.0;
    sandbox.write("source/file", "1");
    sandbox.write("source/no.tmp", "2");
    sandbox.write("source/no.bak", "3");
    let none = configured.run(&["backup"], &[]);
    assert_eq!(none.code, 2);
    assert!(none.err.contains("has no sources"), "{}", none.err);

    let mut text = std::fs::read_to_string(sandbox.path("panther.toml")).unwrap();
    text += &format!("[[profiles.main.sources]]\npath = \"{}\"\n", sandbox.path("source").display());
    sandbox.write("panther.toml", text);
    let made = document(&configured.ok(&["backup", "--exclude", "*.bak", "--tag", "by-hand", "--json"]));
    assert_eq!((made["summary"]["files"].as_u64(), made["writer"].as_str()), (Some(1), Some("tester")));
    let listed = document(&configured.ok(&["snapshots", "--json"]));
    assert_eq!(listed["snapshots"][0]["tags"], serde_json::json!(["by-hand", "nightly"]));
    assert_eq!(listed["snapshots"][0]["excludes"], serde_json::json!(["*.tmp", "*.bak"]));
    assert_eq!(listed["snapshots"][0]["host"], "tester");
    let again = document(&configured.ok(&["backup", "--exclude", "*.bak", "--tag", "by-hand", "--json"]));
    assert!(again["snapshot"].is_null(), "{again}");
    // Paths that are given stand for those of the profile.
    let other = document(&configured.ok(&["backup", "source/no.tmp", "--host", "other", "--json"]));
    assert_eq!(other["writer"], "other");
}

#[test]
fn options_come_before_environment_before_profile() {
    let configured = Configured::new("writer = \"by-profile\"\n");
    let sandbox = &configured.0;
    sandbox.write("source/file", "1");
    let writer = |arguments: &[&str]| {
        let made = configured.ok(&[&["backup", "source", "--json"], arguments].concat());
        document(&made)["writer"].as_str().unwrap().to_owned()
    };
    assert_eq!(writer(&[]), "by-profile");
    assert_eq!(writer(&["--writer", "by-option"]), "by-option");

    // The password: a wrong one shows which was taken.
    sandbox.write("wrong", "wrong");
    let wrong = sandbox.path("wrong");
    let wrong = wrong.to_str().unwrap();
    assert_eq!(configured.run(&["snapshots"], &[("PANTHER_PASSWORD_FILE", wrong)]).code, 12);
    assert_eq!(configured.run(&["snapshots"], &[("PANTHER_PASSWORD", "wrong")]).code, 12);
    assert_eq!(configured.run(&["snapshots", "--password-file", wrong], &[("PANTHER_PASSWORD", PASSWORD)]).code, 12);
    assert_eq!(configured.run(&["snapshots", "--password-file", "password"], &[("PANTHER_PASSWORD", "wrong")]).code, 0);
    // The repository: a folder that is none, by a variable and by an option.
    let empty = sandbox.path("empty");
    std::fs::create_dir(&empty).unwrap();
    let empty = empty.to_str().unwrap();
    let named = |arguments: &[&str], repo| {
        configured.run(&[&["-p", "main"], arguments].concat(), &[("PANTHER_REPOSITORY", repo)])
    };
    assert_eq!(named(&["snapshots"], empty).code, 10);
    assert_eq!(named(&["snapshots", "-r", "repo"], empty).code, 0);
    assert_eq!(named(&["snapshots"], "").code, 0);
    // A profile that nobody asked for is not mixed with another repository.
    let run = configured.run(&["snapshots", "-r", "empty"], &[]);
    assert_eq!(run.code, 10, "{}", run.err);
    let run = configured.run(&["snapshots", "-r", "repo"], &[]);
    assert_eq!(run.code, 2, "{}", run.err);
    assert!(run.err.contains("no passphrase is given"), "{}", run.err);
}

#[test]
fn which_file_and_which_profile() {
    let sandbox = Sandbox::new();
    sandbox.write("home/.config/panther/config.toml", "[profiles.home]\nwriter = \"x\"\n");
    sandbox.write("xdg/panther/config.toml", "[profiles.xdg]\n[profiles.more]\n");
    sandbox.write("given.toml", "default-profile = \"b\"\n[profiles.a]\n[profiles.b]\n");
    let shown = |arguments: &[&str], variables: &[(&str, std::path::PathBuf)]| {
        let mut command = sandbox.bare();
        command.envs(variables.iter().cloned()).args(["config", "show", "--json"]).args(arguments);
        run(&mut command)
    };
    let profile = |run: Run| document(&run.out)["profile"].clone();
    let home = ("HOME", sandbox.path("home"));
    assert_eq!(profile(shown(&[], std::slice::from_ref(&home))), "home");
    let xdg = [home, ("XDG_CONFIG_HOME", sandbox.path("xdg"))];
    assert!(shown(&[], &xdg).err.contains("several profiles"));
    assert_eq!(profile(shown(&["-p", "more"], &xdg)), "more");
    assert_eq!(profile(shown(&["--config", "given.toml"], &xdg)), "b");
    let variables = [("PANTHER_CONFIG", sandbox.path("given.toml")), ("PANTHER_PROFILE", "a".into())];
    assert_eq!(profile(shown(&[], &variables)), "a");
    assert_eq!(profile(shown(&["-p", "b"], &variables)), "b");
    let wrong = shown(&["-p", "c"], &variables);
    assert_eq!(wrong.code, 2);
    assert!(wrong.err.contains("did you mean"), "{}", wrong.err);
    let absent = sandbox.run(&["snapshots", "--config", "absent.toml"]);
    assert_eq!(absent.code, 1, "{}", absent.err);
    let absent = sandbox.run(&["snapshots", "-p", "x"]);
    assert_eq!(absent.code, 2, "{}", absent.err);
    assert!(absent.err.contains("no configuration file"), "{}", absent.err);
}

#[test]
fn a_wrong_file_stops_commands_and_is_explained() {
    let configured = Configured::new("retenton = 1\nwriterr = 2\n");
    let run = configured.run(&["snapshots"], &[]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("line 5: profiles.main.retenton: unknown key; did you mean retention?"), "{}", run.err);
    assert!(run.err.contains("1 more"), "{}", run.err);
    let run = configured.run(&["config", "check"], &[]);
    assert_eq!(run.code, 2);
    assert!(run.out.contains("did you mean retention?") && run.out.contains("did you mean writer?"), "{}", run.out);
    assert!(run.out.ends_with("2 problems\n"), "{}", run.out);
    let json = document(&configured.run(&["config", "check", "--json"], &[]).out);
    assert_eq!((json["problems"][0]["line"].as_u64(), json["problems"][1]["line"].as_u64()), (Some(5), Some(6)));
    // What has nothing to do with it still runs.
    configured.0.write("little", "x");
    assert_eq!(configured.run(&["try", "little"], &[]).code, 0);
}

#[test]
fn settings_say_where_they_come_from() {
    let configured = Configured::new("writer = \"w\"\n[profiles.main.backup]\ntags = [\"t\"]\n");
    let origin = |arguments: &[&str], variables: &[(&str, &str)]| {
        let run = configured.run(&[&["config", "show", "--json"], arguments].concat(), variables);
        assert_eq!(run.code, 0, "{}", run.err);
        document(&run.out)
    };
    let of = |json: &Value, key: &str| {
        let found = json["settings"].as_array().unwrap().iter().find(|s| s["key"] == key);
        found.map(|s| (s["value"].clone(), s["origin"].as_str().unwrap().to_owned()))
    };
    let json = origin(&[], &[]);
    assert_eq!(of(&json, "writer"), Some(("w".into(), "profile".into())));
    assert_eq!(of(&json, "backup.compression"), Some(("auto".into(), "default".into())));
    assert_eq!(of(&json, "backup.tags").unwrap().1, "profile");
    assert_eq!(of(&json, "password-file").unwrap().1, "profile");
    let json = origin(&["-r", "/flag"], &[("PANTHER_STATE_DIR", "/env"), ("PANTHER_PASSWORD", "hunter2")]);
    assert_eq!(of(&json, "repository"), Some(("/flag".into(), "flag".into())));
    assert_eq!(of(&json, "state-dir"), Some(("/env".into(), "environment".into())));
    assert_eq!(of(&json, "password").unwrap().1, "environment");
    assert_eq!(of(&json, "password-file"), None);
    assert!(!json.to_string().contains("hunter2"));
    // A flag wins over the variable, before and after the command's name.
    let json = origin(&["--identity-file", "i"], &[("PANTHER_PASSWORD", "x")]);
    assert_eq!((of(&json, "identity-file").unwrap().1, of(&json, "password")), ("flag".into(), None));
    let run = configured.run(&["--writer", "f", "config", "show", "--origin"], &[]);
    assert!(run.out.contains("writer = \"f\"  # flag\n"), "{}", run.out);
}
