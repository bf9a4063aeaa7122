//! `doctor`, and what `init` says of roles: set-ups that are right, and each that is broken in one way.

use crate::b2_kit::{BUCKET, fake};
use crate::cli_common::{Run, Sandbox, document, run};
use crate::fake_b2::{ALL_CAPABILITIES, FakeB2, KeySpec, Kind, Mode};
use serde_json::{Value, json};
use std::process::Command;

const WRITING: [&str; 5] = ["listBuckets", "listFiles", "readBucketRetentions", "readFiles", "writeFiles"];
const READING: [&str; 4] = ["listBuckets", "listFiles", "readBucketRetentions", "readFiles"];
const ADMIN: [&str; 6] = ["deleteFiles", "listBuckets", "listFiles", "readBucketRetentions", "readFiles", "writeFiles"];

/// A repository in the fake, with a snapshot by the admin and a writer's key named `web`.
struct Clinic {
    sandbox: Sandbox,
    fake: FakeB2,
}

impl Clinic {
    fn new() -> Self {
        Self::with(fake())
    }

    fn with(fake: FakeB2) -> Self {
        let clinic = Self { sandbox: Sandbox::empty(), fake };
        clinic.key("admin", &KeySpec::new(BUCKET, &ADMIN).within("home/"));
        clinic.sandbox.write("web.password", "another password\n");
        clinic.sandbox.write("source/file", "hello");
        for arguments in [
            &["init"][..],
            &["backup", "source"],
            &["key", "add", "--role", "writer", "--writer", "web", "--new-password-file", "web.password"],
        ] {
            let run = clinic.admin(arguments);
            assert_eq!(run.code, 0, "{arguments:?}: {}", run.err);
        }
        clinic
    }

    /// Makes an application key in a file of this name.
    fn key(&self, name: &str, spec: &KeySpec) {
        let (id, secret) = self.fake.key(spec);
        self.sandbox.write(name, format!("{id}:{secret}"));
    }

    fn command(&self, key: &str, password: &str, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.bare();
        command
            .env("PANTHER_REPOSITORY", format!("b2://{BUCKET}/home"))
            .env("PANTHER_B2_ENDPOINT", self.fake.endpoint());
        command.env("PANTHER_TEST_B2_PATIENCE", "5").env("PANTHER_PASSWORD_FILE", self.sandbox.path(password));
        command.env("PANTHER_B2_KEY_FILE", self.sandbox.path(key)).args(arguments);
        command
    }

    fn admin(&self, arguments: &[&str]) -> Run {
        run(&mut self.command("admin", "password", arguments))
    }

    /// The findings of a doctor that uses this application key, and his exit code.
    fn doctor(&self, key: &str, password: &str, more: &[&str]) -> (Value, i32) {
        let arguments = [&["doctor", "--json"], more].concat();
        let run = run(&mut self.command(key, password, &arguments));
        assert!(!run.err.contains("panicked"), "{}", run.err);
        let found = document(&run.out);
        let grade = found["grade"].as_str().unwrap();
        assert_eq!(run.code, if grade == "ok" { 0 } else { if grade == "warning" { 3 } else { 1 } }, "{found}");
        (found, run.code)
    }

    fn as_admin(&self) -> (Value, i32) {
        self.doctor("admin", "password", &[])
    }

    fn as_writer(&self, more: &[&str]) -> (Value, i32) {
        self.doctor("own", "web.password", more)
    }

    /// The two keys of a writer, made as `init` says.
    fn writer_keys(&self) {
        self.key("own", &KeySpec::new(BUCKET, &WRITING).within("home/writers/web/"));
        self.key("reading", &KeySpec::new(BUCKET, &READING).within("home/"));
    }
}

/// Grade, words and hint of a check's worst line; nothing if there is none.
fn worst(found: &Value, check: &str) -> Option<(String, String)> {
    let lines = found["lines"].as_array().unwrap().iter().filter(|line| line["check"] == check);
    let rank = |line: &&Value| ["ok", "warning", "error"].iter().position(|grade| line["grade"] == *grade);
    lines.max_by_key(rank).map(|line| {
        assert_eq!(line["hint"].is_null(), line["grade"] == "ok", "{line}");
        let text = format!("{} {}", line["what"].as_str().unwrap(), line["hint"].as_str().unwrap_or_default());
        (line["grade"].as_str().unwrap().to_owned(), text)
    })
}

#[track_caller]
fn expect(found: &Value, check: &str, grade: &str, says: &str) {
    let (is, text) = worst(found, check).unwrap_or_else(|| panic!("no {check} in {found}"));
    assert_eq!(is, grade, "{check}: {text}");
    assert!(text.contains(says), "{check}: {text}");
}

/// All checks that are not `ok`.
fn complaints(found: &Value) -> Vec<&str> {
    let lines = found["lines"].as_array().unwrap().iter();
    let mut checks: Vec<&str> =
        lines.filter(|line| line["grade"] != "ok").map(|line| line["check"].as_str().unwrap()).collect();
    checks.dedup();
    // How much room there is does not depend on us.
    checks.retain(|check| *check != "space");
    checks
}

#[test]
fn a_sound_admin() {
    let clinic = Clinic::new();
    let before = clinic.fake.names(BUCKET);
    let (found, _) = clinic.as_admin();
    assert_eq!(complaints(&found), Vec::<&str>::new(), "{found}");
    for (check, says) in [
        ("store", "answers"),
        ("credentials", "is good"),
        ("clock", "s "),
        ("bucket", "private"),
        ("lifecycle", "no lifecycle rule"),
        ("object lock", "has none"),
        ("capabilities", "no more"),
        ("list", "can be listed"),
        ("write", "upload"),
        ("delete", "can delete"),
        ("repository", "admin"),
        ("store and list", "stored, listed, read and removed"),
        ("writer", "1 snapshot"),
        ("state", "1 file"),
    ] {
        expect(&found, check, "ok", says);
    }
    assert_eq!(clinic.fake.names(BUCKET), before);
    assert!(clinic.fake.versions(BUCKET).len() == before.len(), "versions were left behind");
    assert!(found["calls"]["class_c_calls"].as_u64().unwrap() > 0);
    assert_eq!(clinic.fake.violations(), Vec::<String>::new());
    let said = clinic.admin(&["doctor"]);
    assert!(said.out.contains("ok       clock"), "{}", said.out);
}

#[test]
fn a_sound_writer_stores_and_deletes_nothing() {
    let clinic = Clinic::new();
    clinic.writer_keys();
    let reading = clinic.sandbox.path("reading");
    let more = ["--b2-read-key-file", reading.to_str().unwrap()];
    // Nothing has been backed up under its name.
    let (found, code) = clinic.as_writer(&more);
    assert_eq!((complaints(&found), code), (vec!["writer"], 3), "{found}");
    expect(&found, "writer", "warning", "no snapshot yet");
    let backup = [&["backup", "source"][..], &more].concat();
    assert_eq!(run(&mut clinic.command("own", "web.password", &backup)).code, 0);
    clinic.fake.reset_counts();
    let before = clinic.fake.versions(BUCKET).len();
    let (found, _) = clinic.as_writer(&more);
    assert_eq!(complaints(&found), Vec::<&str>::new(), "{found}");
    expect(&found, "delete", "ok", "was refused");
    expect(&found, "writer", "ok", "web has 1 snapshot");
    assert_eq!(worst(&found, "store and list"), None);
    assert_eq!(clinic.fake.versions(BUCKET).len(), before);
    let counts = clinic.fake.counts();
    assert_eq!((counts.of(Kind::UploadFile), counts.of(Kind::HideFile)), (0, 0));
    assert!(counts.of(Kind::DeleteFileVersion) == 1 && counts.good_of(Kind::DeleteFileVersion) == 0);
}

#[test]
fn a_writers_key_that_could_destroy_is_found() {
    let clinic = Clinic::new();
    let with = |more: &[&str]| KeySpec::new(BUCKET, &[&WRITING[..], more].concat()).within("home/");
    clinic.key("own", &with(&["deleteFiles"]));
    let (found, code) = clinic.as_writer(&[]);
    assert_eq!(code, 1);
    expect(&found, "capabilities", "error", "deleteFiles");
    expect(
        &found,
        "capabilities",
        "error",
        "b2 key create --bucket panther-tests --name-prefix home/writers/web/ panther-web",
    );
    expect(&found, "delete", "error", "can delete");
    let backup = run(&mut clinic.command("own", "web.password", &["backup", "source"]));
    assert!(backup.code == 0 && backup.err.contains("has deleteFiles"), "{}", backup.err);
    // Without that it still reaches what others stored.
    clinic.key("own", &with(&[]));
    let (found, code) = clinic.as_writer(&[]);
    assert_eq!(code, 3);
    expect(&found, "capabilities", "warning", "hide what other machines stored");
    expect(&found, "delete", "ok", "refused");
    for grave in ["writeKeys", "writeBuckets", "bypassGovernance"] {
        clinic.key("own", &with(&[grave]));
        expect(&clinic.as_writer(&[]).0, "capabilities", "error", grave);
    }
    // One key that reaches only its folder is too little.
    clinic.writer_keys();
    let (found, code) = clinic.as_writer(&[]);
    assert_eq!(code, 1, "{found}");
    assert!(complaints(&found).contains(&"list"), "{found}");
}

#[test]
fn lifecycle_rules_that_delete_are_found() {
    let clinic = Clinic::new();
    clinic.writer_keys();
    let reading = clinic.sandbox.path("reading");
    let more = ["--b2-read-key-file", reading.to_str().unwrap()];
    let rules = |hide: Value, prefix: &str| json!({ "lifecycleRules": [{ "fileNamePrefix": prefix, "daysFromHidingToDeleting": 1, "daysFromUploadingToHiding": hide }] });
    clinic.fake.update_bucket(BUCKET, rules(Value::Null, "home/writers/"));
    let (found, code) = clinic.as_writer(&more);
    assert_eq!(code, 1);
    expect(&found, "lifecycle", "error", "hiding needs no more than writing");
    let (found, code) = clinic.as_admin();
    assert_eq!((complaints(&found), code), (vec!["lifecycle"], 3));
    clinic.fake.update_bucket(BUCKET, rules(json!(30), ""));
    let (found, code) = clinic.as_admin();
    assert_eq!(code, 1);
    expect(&found, "lifecycle", "error", "hides objects 30 days after");
    let (found, code) = clinic.doctor("admin", "password", &["--object-lock-days", "7"]);
    assert_eq!(code, 1);
    expect(&found, "object lock", "error", "no Object Lock");
    // It concerns others only.
    clinic.fake.update_bucket(BUCKET, rules(json!(30), "else/"));
    expect(&clinic.as_admin().0, "lifecycle", "ok", "");
    clinic.fake.update_bucket(BUCKET, json!({ "bucketType": "allPublic" }));
    expect(&clinic.as_admin().0, "bucket", "warning", "public");
}

#[test]
fn a_clock_that_is_off_is_found() {
    let clinic = Clinic::new();
    for (minutes, grade, says) in
        [(20, "error", "20 min behind"), (7, "warning", "7 min behind"), (-21, "error", "ahead of")]
    {
        clinic.fake.skew(minutes * 60_000);
        expect(&clinic.as_admin().0, "clock", grade, says);
        clinic.fake.skew(-minutes * 60_000);
    }
    expect(&clinic.as_admin().0, "clock", "ok", "");
}

#[test]
fn wrong_buckets_and_keys_are_found() {
    let clinic = Clinic::new();
    let missing = |name: &str, capabilities: &[&str]| {
        let less: Vec<&str> = capabilities.iter().filter(|c| **c != name).copied().collect();
        KeySpec::new(BUCKET, &less).within("home/")
    };
    clinic.key("own", &missing("listFiles", &ADMIN));
    let (found, code) = clinic.doctor("own", "password", &[]);
    assert_eq!(code, 1);
    expect(&found, "list", "error", "listFiles");

    clinic.key("own", &missing("writeFiles", &ADMIN));
    let (found, _) = clinic.doctor("own", "password", &[]);
    expect(&found, "capabilities", "error", "lacks writeFiles");
    expect(&found, "write", "error", "writeFiles");

    clinic.key("own", &missing("deleteFiles", &ADMIN));
    let (found, _) = clinic.doctor("own", "password", &[]);
    expect(&found, "capabilities", "error", "lacks deleteFiles");
    expect(&found, "delete", "error", "cannot delete");

    clinic.key("own", &missing("listBuckets", &ADMIN));
    expect(&clinic.doctor("own", "password", &[]).0, "bucket", "warning", "settings cannot be seen");

    // A key of another bucket; then a bucket that nobody has.
    clinic.fake.bucket("another-bucket", json!({}));
    clinic.key("own", &KeySpec::new("another-bucket", &ADMIN));
    let (found, code) = clinic.doctor("own", "password", &[]);
    assert_eq!(code, 1);
    expect(&found, "bucket", "error", "another bucket than panther-tests");
    clinic.key("own", &KeySpec { buckets: None, ..KeySpec::new(BUCKET, &ALL_CAPABILITIES) });
    let (found, code) = clinic.doctor("own", "password", &["-r", "b2://no-such-bucket/home"]);
    assert_eq!(code, 1);
    expect(&found, "bucket", "error", "check the name");
    // The right bucket, with a key for everything.
    expect(&clinic.doctor("own", "password", &[]).0, "capabilities", "warning", "all buckets");
    // No repository there; another passphrase.
    let (found, code) = clinic.doctor("own", "password", &["-r", &format!("b2://{BUCKET}/elsewhere")]);
    assert_eq!(code, 1);
    expect(&found, "repository", "error", "no panther repository");
    clinic.sandbox.write("wrong", "not this one");
    expect(&clinic.doctor("admin", "wrong", &[]).0, "repository", "error", "no key of the repository opens");

    clinic.sandbox.write("own", "000000:nonsense");
    let (found, code) = clinic.doctor("own", "password", &[]);
    assert_eq!(code, 1);
    expect(&found, "credentials", "error", "refused");
    clinic.fake.refuse(true);
    let (found, code) = clinic.as_admin();
    assert_eq!(code, 1);
    expect(&found, "store", "error", "reach");
    clinic.fake.refuse(false);
}

#[test]
fn snapshots_that_are_gone_are_found() {
    let clinic = Clinic::new();
    clinic.sandbox.write("source/file", "more");
    let first = clinic.fake.names(BUCKET).into_iter().find(|name| name.contains("/snapshots/")).unwrap();
    assert_eq!(clinic.admin(&["backup", "source"]).code, 0);
    clinic.fake.destroy(BUCKET, &first);
    let (found, code) = clinic.as_admin();
    assert_eq!(code, 1);
    expect(&found, "writer", "error", "nobody forgot");
}

#[test]
fn a_locked_bucket_is_reported_and_nothing_is_stored_in_it() {
    let fake = FakeB2::start();
    fake.bucket(BUCKET, json!({ "fileLockEnabled": true }));
    let retention = json!({ "mode": Mode::Compliance.name(), "period": { "duration": 30, "unit": "days" } });
    fake.update_bucket(BUCKET, json!({ "defaultRetention": retention }));
    let clinic = Clinic::with(fake);
    let before = clinic.fake.versions(BUCKET).len();
    let (found, code) = clinic.as_admin();
    assert_eq!(code, 3);
    expect(&found, "object lock", "ok", "30 days, in compliance mode");
    expect(&found, "store and list", "warning", "not tried");
    assert_eq!(clinic.fake.versions(BUCKET).len(), before);
}

#[test]
fn a_state_that_cannot_be_read_is_found() {
    let clinic = Clinic::new();
    let states: Vec<_> = std::fs::read_dir(clinic.sandbox.path("state"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    let file = states[0].join("state.redb");
    std::fs::write(states[0].join("state.distrusted"), b"").unwrap();
    expect(&clinic.as_admin().0, "state", "warning", "something wrong");
    std::fs::remove_file(states[0].join("state.distrusted")).unwrap();
    std::fs::write(&file, b"no database").unwrap();
    expect(&clinic.as_admin().0, "state", "warning", "damaged");
    // It has only looked.
    assert_eq!(std::fs::read(&file).unwrap(), b"no database");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let (found, code) = clinic.as_admin();
    assert_eq!(code, 1);
    expect(&found, "state", "error", "cannot be opened");
}

/// Runs panther with its state on a file system in memory of this size.
fn on_tmpfs(sandbox: &Sandbox, size: &str) -> Option<Run> {
    std::fs::create_dir_all(sandbox.path("small")).unwrap();
    let script = "mount -t tmpfs -o size=$1 tmpfs small || exit 99; shift; exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", size]);
    command.arg(env!("CARGO_BIN_EXE_panther")).args(["doctor", "--json", "--state-dir", "small"]);
    command.env_clear().current_dir(sandbox.temp.path()).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("PANTHER_REPOSITORY", sandbox.path("repo")).env("PANTHER_PASSWORD_FILE", sandbox.path("password"));
    let output = command.output().ok()?;
    let run = Run {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    let is_refused = run.code == 99 || run.err.contains("unshare");
    (!is_refused).then_some(run)
}

#[test]
fn a_full_disk_is_found() {
    let sandbox = Sandbox::new();
    for (size, grade, says) in
        [("512k", "error", "write to"), ("20m", "error", "MiB are free"), ("500m", "warning", "MiB are free")]
    {
        let Some(run) = on_tmpfs(&sandbox, size) else {
            eprintln!("not tested: this machine lets nobody mount a file system in a namespace");
            return;
        };
        let found = document(&run.out);
        expect(&found, "space", grade, says);
        assert_eq!(run.code, if grade == "error" { 1 } else { 3 }, "{found}");
    }
}

#[test]
fn folders_are_looked_at_too() {
    let sandbox = Sandbox::new();
    sandbox.write("source/file", "hello");
    sandbox.ok(&["backup", "source"]);
    let run = sandbox.run(&["doctor", "--json"]);
    let found = document(&run.out);
    assert_eq!(complaints(&found), Vec::<&str>::new(), "{found}");
    expect(&found, "store", "ok", "is there");
    expect(&found, "store and list", "ok", "removed");
    expect(&found, "writer", "ok", "1 snapshot");
    assert!(worst(&found, "clock").is_none() && worst(&found, "bucket").is_none());
    assert!(
        !sandbox.path("repo/doctor").exists() || std::fs::read_dir(sandbox.path("repo/doctor")).unwrap().count() == 0
    );
    // Nothing is odd about what it left.
    assert!(sandbox.json(&["check"])["notes"].as_array().unwrap().is_empty());
    let run = sandbox.run(&["doctor", "-r", "nowhere", "--json"]);
    assert_eq!(run.code, 1);
    expect(&document(&run.out), "store", "error", "no panther repository");
}

#[test]
fn init_tells_of_roles_and_refuses_a_bucket_that_forgets() {
    let fake = fake();
    let sandbox = Sandbox::empty();
    let clinic = Clinic { sandbox, fake };
    clinic.key("admin", &KeySpec::new(BUCKET, &ADMIN).within("home/"));
    let rule = |hide: Value| json!({ "lifecycleRules": [{ "fileNamePrefix": "", "daysFromHidingToDeleting": 1, "daysFromUploadingToHiding": hide }] });
    clinic.fake.update_bucket(BUCKET, rule(json!(90)));
    let run = clinic.admin(&["init"]);
    assert_eq!(run.code, 2, "{}", run.err);
    assert!(run.err.contains("lifecycle rule") && run.err.contains("90 days"), "{}", run.err);
    assert!(clinic.fake.names(BUCKET).is_empty());
    clinic.fake.update_bucket(BUCKET, rule(Value::Null));
    let run = clinic.admin(&["init", "--json", "--writer", "web"]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.err.contains("deletes what has been hidden"), "{}", run.err);
    let made = document(&run.out);
    let recipes = made["application_keys"].as_array().unwrap();
    assert_eq!(recipes.len(), 3);
    // A key that is made so is good: both keys of a writer, and the admin's.
    for recipe in recipes {
        let capabilities: Vec<&str> =
            recipe["capabilities"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
        let spec = KeySpec::new(recipe["bucket"].as_str().unwrap(), &capabilities)
            .within(recipe["name_prefix"].as_str().unwrap());
        clinic.key(recipe["purpose"].as_str().unwrap(), &spec);
    }
    clinic.fake.update_bucket(BUCKET, json!({ "lifecycleRules": [] }));
    clinic.sandbox.write("web.password", "another password\n");
    clinic.sandbox.write("source/file", "hello");
    let add = ["key", "add", "--role", "writer", "--writer", "web", "--new-password-file", "web.password"];
    let run = crate::cli_common::run(clinic.command("admin", "password", &add).arg("--json"));
    assert_eq!(document(&run.out)["application_keys"].as_array().unwrap()[..], recipes[..2], "{}", run.err);
    let reading = clinic.sandbox.path("reading");
    let backup = ["backup", "source", "--b2-read-key-file", reading.to_str().unwrap()];
    let run = crate::cli_common::run(&mut clinic.command("writing", "web.password", &backup));
    assert!(run.code == 0 && !run.err.contains("steals"), "{}", run.err);
    let (found, _) = clinic.doctor("writing", "web.password", &backup[2..]);
    assert_eq!(complaints(&found), Vec::<&str>::new(), "{found}");
    let (found, _) = clinic.doctor("admin", "password", &["--writer", "web"]);
    assert_eq!(complaints(&found), Vec::<&str>::new(), "{found}");

    let said =
        clinic.command("admin", "password", &["init", "-r", &format!("b2://{BUCKET}/home/two")]).output().unwrap();
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("b2 key create --bucket panther-tests --name-prefix home/two/writers/"), "{said}");
    assert!(said.contains("Read Only") && said.contains("calls: "), "{said}");
}
