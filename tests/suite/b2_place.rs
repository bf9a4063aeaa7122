//! The program over the fake B2, in a folder of its own.

use crate::b2_kit::{BUCKET, fake, open, options};
use crate::cli_common::{PASSWORD, Run, Sandbox, document, run};
use crate::fake_b2::{Call, FakeB2, Fault, KeySpec};
use panther::keys::wrap::Opener;
use panther::repo::Repository;
use panther::state::State;
use serde_json::Value;
use std::process::Command;
use std::sync::Arc;

/// The prefix of its repository.
pub const HOME: &str = "home";

/// A sandbox whose repository is in the fake, with a key in a file.
pub struct Place {
    pub sandbox: Sandbox,
    pub fake: FakeB2,
    pub secret: String,
}

impl Place {
    pub fn new() -> Self {
        let fake = fake();
        let (id, secret) = fake.key(&KeySpec::everything(BUCKET));
        let sandbox = Sandbox::empty();
        sandbox.write("key", format!("{id}\n{secret}\n"));
        Self { sandbox, fake, secret }
    }

    /// The command without the application key.
    pub fn bare(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.command(arguments);
        command.env("PANTHER_REPOSITORY", format!("b2://{BUCKET}/{HOME}"));
        command.env("PANTHER_B2_ENDPOINT", self.fake.endpoint()).env("PANTHER_TEST_B2_PATIENCE", "5");
        command
    }

    /// The command with the key for everything.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.bare(arguments);
        command.env("PANTHER_B2_KEY_FILE", self.sandbox.path("key"));
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        let run = run(&mut self.command(arguments));
        assert!(!run.out.contains(&self.secret) && !run.err.contains(&self.secret), "{} {}", run.out, run.err);
        run
    }

    pub fn ok(&self, arguments: &[&str]) -> String {
        let run = self.run(arguments);
        assert_eq!(run.code, 0, "{arguments:?}: {}", run.err);
        run.out
    }

    pub fn json(&self, arguments: &[&str]) -> Value {
        document(&self.ok(&[arguments, &["--json", "-q"]].concat()))
    }

    /// The same repository within this process, with a new state.
    pub fn open(&self) -> (Repository, State, tempfile::TempDir) {
        let backend = Arc::new(open(&options(&self.fake, HOME)));
        let repo = Repository::open(backend, &Opener::Passphrase(PASSWORD.to_owned().into())).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path(), &repo.keys().repo()).unwrap();
        (repo, state, folder)
    }

    /// Names in the repository that contain `part`, with the prefix, sorted.
    pub fn objects(&self, part: &str) -> Vec<String> {
        self.fake.names(BUCKET).into_iter().filter(|name| name.contains(part)).collect()
    }

    /// Every version with a name of its own, and none of them hidden.
    pub fn assert_single(&self) {
        let mut names: Vec<String> = self.fake.versions(BUCKET).into_iter().map(|version| version.name).collect();
        assert_eq!(names.len(), self.fake.names(BUCKET).len(), "some are hidden: {names:?}");
        names.sort();
        let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
        assert!(twice.is_empty(), "there twice: {twice:?}");
    }
}

/// Of every `nth` upload the answer is lost, and the listing that then looks for it does not show it yet.
pub fn lost_answers(nth: u64) -> impl FnMut(&Call) -> Option<Fault> + Send + 'static {
    let (mut uploads, mut is_lost) = (0, false);
    move |call| {
        if call.kind.uploads() {
            uploads += 1;
            is_lost = uploads % nth == 0;
            return is_lost.then_some(Fault::LostAnswer);
        }
        (std::mem::take(&mut is_lost) && call.kind.lists()).then_some(Fault::StaleListing(1, 1))
    }
}
