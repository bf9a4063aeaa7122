//! The real binary, run in a folder of its own with an environment of its own.

use serde_json::Value;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

/// The passphrase of test repositories.
pub const PASSWORD: &str = "correct horse battery staple";

/// A folder with a password file, to run panther in.
pub struct Sandbox {
    pub temp: TempDir,
}

/// What a run gave.
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Sandbox {
    /// A folder without a repository.
    pub fn empty() -> Self {
        let temp = tempfile::tempdir().unwrap();
        std::fs::write(temp.path().join("password"), format!("{PASSWORD}\n")).unwrap();
        Self { temp }
    }

    /// A folder with a repository.
    pub fn new() -> Self {
        let sandbox = Self::empty();
        sandbox.ok(&["init"]);
        sandbox
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// The command without any secret: arguments follow.
    pub fn bare(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_panther"));
        command.env_clear().current_dir(self.temp.path()).stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("PANTHER_REPOSITORY", self.path("repo")).env("PANTHER_STATE_DIR", self.path("state"));
        command.env("PANTHER_TEST_WORK_FACTOR", "2").env("TZ", "UTC").env("TMPDIR", self.temp.path());
        command
    }

    /// The command with the repository's password file.
    pub fn command<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        let mut command = self.bare();
        command.env("PANTHER_PASSWORD_FILE", self.path("password")).args(arguments);
        command
    }

    pub fn run<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Run {
        run(&mut self.command(arguments))
    }

    /// Runs what must succeed; what it wrote to the standard output.
    pub fn ok<A: AsRef<OsStr> + std::fmt::Debug>(&self, arguments: &[A]) -> String {
        let run = self.run(arguments);
        assert_eq!(run.code, 0, "{arguments:?}: {}", run.err);
        run.out
    }

    /// Runs what must succeed with --json; its document, which follows the schema.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let out = self.ok(&[arguments, &["--json"]].concat());
        document(&out)
    }
}

pub fn run(command: &mut Command) -> Run {
    let Output { status, stdout, stderr } = command.output().unwrap();
    Run {
        code: status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&stdout).into_owned(),
        err: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

/// The one document that `text` is, which follows the schema.
pub fn document(text: &str) -> Value {
    let value: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
    assert_valid(&value);
    value
}

/// Fails unless the document follows docs/json-schema.json, where that of its own command.
pub fn assert_valid(value: &Value) {
    static SCHEMA: OnceLock<jsonschema::Validator> = OnceLock::new();
    let validator = SCHEMA.get_or_init(|| {
        let text = include_str!("../../docs/json-schema.json");
        jsonschema::validator_for(&serde_json::from_str(text).unwrap()).unwrap()
    });
    let errors: Vec<String> = validator.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:?} in {value}");
}
