//! `cost` and the budget, with the real binary and a fake B2.

use crate::b2_kit::{BUCKET, fake};
use crate::cli_common::{Run, Sandbox, document, run};
use crate::common::noise;
use crate::fake_b2::{FakeB2, KeySpec, Kind};
use std::process::Command;

struct Place {
    sandbox: Sandbox,
    fake: FakeB2,
}

impl Place {
    fn new(budget: &str) -> Self {
        let place = Self { sandbox: Sandbox::empty(), fake: fake() };
        let (id, secret) = place.fake.key(&KeySpec::everything(BUCKET));
        place.sandbox.write("key", format!("{id}:{secret}"));
        place.sandbox.write("source/file", noise(7, 3_000_000));
        place.configure(budget);
        assert_eq!(place.run(&["init"]).code, 0);
        place
    }

    fn configure(&self, more: &str) {
        let here = self.sandbox.temp.path().display();
        let text = format!(
            "[profiles.main]\nrepository = \"b2://{BUCKET}/home\"\npassword-file = \"{here}/password\"\nstate-dir = \"{here}/state\"\nwriter = \"web\"\nsources = [{{ path = \"{here}/source\" }}]\n{more}"
        );
        self.sandbox.write("panther.toml", text);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.bare();
        command.env_remove("PANTHER_REPOSITORY").env_remove("PANTHER_STATE_DIR");
        command.env("PANTHER_CONFIG", self.sandbox.path("panther.toml"));
        command.env("PANTHER_B2_ENDPOINT", self.fake.endpoint()).env("PANTHER_TEST_B2_PATIENCE", "5");
        command.env("PANTHER_B2_KEY_FILE", self.sandbox.path("key")).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Run {
        run(&mut self.command(arguments))
    }

    fn uploads(&self) -> u64 {
        self.fake.counts().of(Kind::UploadFile)
    }
}

/// A megabyte costs 69.5 cents for 30 days, and nothing is free.
const DEAR: &str = "prices = [{ from = \"2026-01-01\", storage-tb-dollars = 695000.0, free-stored-gb = 0 }]\n";

#[test]
fn the_report_of_a_repository() {
    let place = Place::new(DEAR);
    assert_eq!(place.run(&["backup"]).code, 0);
    let said = place.run(&["cost", "--json", "--add-host", "web", "--price", "1390000"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let found = document(&said.out);
    let stored = place.fake.stored_bytes();
    assert_eq!(found["stored_bytes"], stored);
    assert_eq!((&found["hosts"][0]["writer"], found["ahead"].as_array().unwrap().len()), (&"web".into(), 13));
    // Twice as dear, and twice as much.
    let (plain, other) = (&found["twelve_months_dollars"], &found["what_if"]["twelve_months_dollars"]);
    let factor = other.as_f64().unwrap() / plain.as_f64().unwrap();
    assert!((3.9..=4.0).contains(&factor), "{factor}");
    let year = stored as f64 / 1e12 * 695_000.0 * 365.0 / 30.0;
    assert!((plain.as_f64().unwrap() - year).abs() < year * 0.01, "{plain} {year}");
    let text = place.run(&["cost", "--snapshots"]).out;
    for part in ["695,000.00 a TB for 30 days since 2026-01-01", "so far", "the next 12", "  /", "Would free"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("What if"));
    assert_eq!(place.run(&["cost", "--add-host", "nobody"]).code, 2);
    // A folder costs nothing, and says nothing of times; the figures are there all the same.
    let sandbox = Sandbox::new();
    sandbox.write("source/a", noise(1, 10_000));
    sandbox.ok(&["backup", "source"]);
    let found = sandbox.json(&["cost"]);
    assert_eq!((&found["is_dated"], &found["budget"]), (&false.into(), &"none".into()));
    assert_eq!(found["snapshots"].as_array().unwrap().len(), 1);
}

#[test]
fn a_budget_warns_stops_and_is_overridden() {
    let with = |warn: &str, stop: &str| {
        format!("{DEAR}budget = {{ warn-month-dollars = {warn}, stop-month-dollars = {stop} }}\n")
    };
    // The first backup is all new: three megabytes and more, within a month that has at least a day left.
    let place = Place::new(&with("0", "0.0000001"));
    let (before, names) = (place.uploads(), place.fake.names(BUCKET));
    let refused = place.run(&["backup", "--json"]);
    assert_eq!((refused.code, place.uploads()), (15, before), "{}", refused.err);
    assert_eq!(place.fake.names(BUCKET), names);
    assert!(
        refused.err.contains("over the limit of $0.00") && refused.err.contains("--override-budget"),
        "{}",
        refused.err
    );
    assert_eq!(document(&refused.out)["error"]["exit_code"], 15);
    // What is only counted costs nothing.
    assert_eq!(place.run(&["backup", "--dry-run"]).code, 0);
    let forced = place.run(&["backup", "--override-budget"]);
    assert_eq!(forced.code, 0, "{}", forced.err);
    assert!(forced.err.contains("the budget is overridden"), "{}", forced.err);

    place.configure(&with("0", "100000"));
    let warned = place.run(&["backup"]);
    assert_eq!(warned.code, 0);
    assert!(warned.err.contains("warning: ") && warned.err.contains("budget"), "{}", warned.err);
    place.configure(&with("100000", "100000"));
    let quiet = place.run(&["backup"]);
    assert!(quiet.code == 0 && !quiet.err.contains("warning"), "{}", quiet.err);

    // What is there fits; a hundred times as much would not, and that is seen before any of it is read.
    let month = document(&place.run(&["cost", "--json"]).out)["ahead"][0]["total_dollars"].as_f64().unwrap();
    let limit = (month * 10.0).to_string();
    place.configure(&with(&limit, &limit));
    std::fs::File::create(place.sandbox.path("source/more")).unwrap().set_len(300_000_000).unwrap();
    let before = place.uploads();
    let refused = place.run(&["backup"]);
    assert_eq!((refused.code, place.uploads()), (15, before), "{}", refused.err);
    // Excluded, it does not count.
    let fits = place.run(&["backup", "--exclude", "more"]);
    assert_eq!(fits.code, 0, "{}", fits.err);
    let found = document(&place.run(&["cost", "--json"]).out);
    assert_eq!(found["budget"], "within", "{found}");
}
