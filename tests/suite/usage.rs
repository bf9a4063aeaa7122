//! The ledger: what runs have asked of B2 is all there, also of runs that failed, ran side by side, or were interrupted.

use crate::b2_kit::{BUCKET, fake};
use crate::cli_common::{Run, Sandbox, document, run};
use crate::fake_b2::{Class, FakeB2, Fault, KeySpec, Kind};
use serde_json::Value;
use std::process::Command;

struct Place {
    sandbox: Sandbox,
    fake: FakeB2,
}

impl Place {
    fn new() -> Self {
        let place = Self { sandbox: Sandbox::empty(), fake: fake() };
        let (id, secret) = place.fake.key(&KeySpec::everything(BUCKET));
        place.sandbox.write("key", format!("{id}:{secret}"));
        place.sandbox.write("source/file", crate::common::noise(7, 300_000));
        place
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.command(arguments);
        command
            .env("PANTHER_REPOSITORY", format!("b2://{BUCKET}/home"))
            .env("PANTHER_B2_ENDPOINT", self.fake.endpoint());
        command.env("PANTHER_TEST_B2_PATIENCE", "5").env("PANTHER_B2_KEY_FILE", self.sandbox.path("key"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Run {
        run(&mut self.command(arguments))
    }

    /// The ledger's months, summed up.
    fn ledger(&self) -> Value {
        let run = self.run(&["usage", "--json"]);
        assert_eq!(run.code, 0, "{}", run.err);
        let found = document(&run.out);
        let names = ["class_a_calls", "class_b_calls", "class_c_calls", "up_bytes", "down_bytes", "request_calls"];
        let sum = |name: &str, rows: &str| -> u64 {
            found[rows].as_array().unwrap().iter().map(|row| row["calls"][name].as_u64().unwrap()).sum()
        };
        for name in names {
            assert_eq!(sum(name, "months"), sum(name, "days"), "{name}");
        }
        names
            .iter()
            .map(|name| ((*name).to_owned(), Value::from(sum(name, "months"))))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    /// Fails unless the ledger has what the service has counted.
    #[track_caller]
    fn compare(&self) {
        let (ledger, counts) = (self.ledger(), self.fake.counts());
        assert_eq!(ledger["class_a_calls"], counts.class(Class::A), "A");
        assert_eq!(ledger["class_b_calls"], counts.class(Class::B), "B");
        assert_eq!(ledger["class_c_calls"], counts.class(Class::C), "C");
        assert_eq!(ledger["request_calls"], counts.all(), "all");
        assert_eq!(ledger["up_bytes"], counts.uploaded_bytes, "up");
        assert_eq!(ledger["down_bytes"], counts.downloaded_bytes, "down");
    }
}

#[test]
fn every_call_of_every_run_is_in_the_ledger() {
    let place = Place::new();
    assert!(place.run(&["usage"]).out.contains("nothing was counted"));
    for arguments in [
        &["init"][..],
        &["backup", "source"],
        &["snapshots"],
        &["restore", "latest", "--target", "restored"],
        &["check", "--read-data"],
        &["doctor"],
        &["key", "list"],
    ] {
        let run = place.run(arguments);
        assert!([0, 3].contains(&run.code), "{arguments:?}: {}", run.err);
        place.compare();
    }
    // Runs that fail: no such snapshot, no such key, nothing there.
    assert_eq!(place.run(&["ls", "0123abcd"]).code, 2);
    place.sandbox.write("wrong", "wrong");
    assert_eq!(run(place.command(&["snapshots"]).env("PANTHER_PASSWORD_FILE", place.sandbox.path("wrong"))).code, 12);
    place.compare();
    let before = place.ledger();
    assert_eq!(place.run(&["snapshots", "-r", &format!("b2://{BUCKET}/nothing")]).code, 10);
    // That was another repository's.
    assert_eq!(place.ledger(), before);
    let all = document(&place.run(&["usage", "--all", "--by", "day", "--json"]).out);
    assert_eq!(all["months"].as_array().unwrap().len(), 2, "{all}");
    let said = place.run(&["usage", "--by", "day", "--all"]).out;
    assert!(said.starts_with("Day") && said.contains("b2://panther-tests/home") && said.contains("/nothing"), "{said}");
}

#[test]
fn runs_side_by_side_add_up() {
    let place = Place::new();
    assert_eq!(place.run(&["init"]).code, 0);
    for n in 0..4u64 {
        place.sandbox.write(&format!("source-{n}/file"), crate::common::noise(n, 100_000));
    }
    let start = |n| {
        let source = format!("source-{n}");
        let mut command = place.command(&["backup", &source]);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap()
    };
    let children: Vec<_> = (0..4).map(start).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    place.compare();
}

#[test]
fn reports_have_the_calls_of_the_run() {
    let place = Place::new();
    assert_eq!(place.run(&["init"]).code, 0);
    for arguments in [
        &["backup", "source", "--json"][..],
        &["restore", "latest", "--target", "restored", "--json"],
        &["check", "--json"],
    ] {
        place.fake.reset_counts();
        let run = place.run(arguments);
        assert_eq!(run.code, 0, "{}", run.err);
        let (calls, counts) = (&document(&run.out)["calls"], place.fake.counts());
        assert_eq!(calls["class_a_calls"], counts.class(Class::A), "{arguments:?}");
        assert_eq!(calls["class_b_calls"], counts.class(Class::B), "{arguments:?}");
        assert_eq!(calls["class_c_calls"], counts.class(Class::C), "{arguments:?}");
        assert_eq!(calls["up_bytes"], counts.uploaded_bytes);
    }
    let said = place.run(&["check"]).out;
    assert!(said.lines().last().unwrap().starts_with("calls: 0 A, "), "{said}");
    assert!(!place.run(&["check", "--quiet"]).out.contains("calls"));
}

#[test]
fn an_interrupted_run_is_counted() {
    let place = Place::new();
    assert_eq!(place.run(&["init"]).code, 0);
    let before = place.ledger();
    // It waits for the first upload's answer until it is told to stop.
    let (met, met_in) = std::sync::mpsc::channel();
    place.fake.plan(move |call| {
        let stalls = call.kind == Kind::UploadFile;
        if stalls {
            let _ = met.send(());
        }
        stalls.then_some(Fault::StallAnswer)
    });
    // The waits of a test are too short for that.
    let mut child = place.command(&["backup", "source"]).env_remove("PANTHER_TEST_B2_PATIENCE").spawn().unwrap();
    met_in.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let (before, after) =
        (before["class_a_calls"].as_u64().unwrap(), place.ledger()["class_a_calls"].as_u64().unwrap());
    // An address to upload to, and the upload.
    assert!(after >= before + 2, "{before} {after}");
    // The service bills what it has answered; here it is what was sent.
    assert!(after >= place.fake.counts().class(Class::A));
}

#[test]
fn check_stays_within_what_is_free() {
    let place = Place::new();
    for arguments in [&["init"][..], &["backup", "source"]] {
        assert_eq!(place.run(arguments).code, 0);
    }
    // However small the repository is.
    let report = document(&place.run(&["check", "--json"]).out);
    assert_eq!(
        (report["egress"]["limit_bytes"].as_u64(), report["incomplete"].as_bool()),
        (Some(1_000_000_000), Some(false))
    );
    let stored = place.fake.stored_bytes();
    let budget = (3 * stored).to_string();
    let mut ended = None;
    for n in 1..20 {
        let run = place.run(&["check", "--read-data", "--egress-budget", &budget, "--json"]);
        let report = document(&run.out);
        let egress = &report["egress"];
        assert_eq!(egress["limit_bytes"], 3 * stored, "{egress}");
        let used = egress["used_bytes"].as_u64().unwrap() + egress["read_bytes"].as_u64().unwrap();
        assert!(used <= 3 * stored + stored / 10, "{egress}");
        if run.code == 3 {
            assert_eq!((report["incomplete"].as_bool(), egress["reached"].as_bool()), (Some(true), Some(true)));
            assert_eq!(report["errors"].as_array().unwrap().len(), 0);
            ended = Some(n);
            break;
        }
        assert_eq!(run.code, 0, "{}", run.err);
    }
    // All can be read nearly three times over.
    assert!(matches!(ended, Some(3 | 4)), "{ended:?}");
    assert_eq!(place.run(&["check", "--read-data", "--egress-budget", "none"]).code, 0);
}

#[test]
fn a_bad_vault_is_no_damage() {
    let place = Place::new();
    for arguments in [&["init"][..], &["backup", "source"]] {
        assert_eq!(place.run(arguments).code, 0);
    }
    // Every pack comes with a wrong byte over the connection that it is first read by.
    let mut met = std::collections::BTreeSet::new();
    place.fake.plan(move |call| {
        let name = call.name.clone().unwrap_or_default();
        (call.kind.downloads() && name.contains("/packs/") && met.insert(name)).then_some(Fault::Corrupt)
    });
    let run = place.run(&["check", "--read-data", "--egress-budget", "none", "--json"]);
    let report = document(&run.out);
    assert_eq!((run.code, report["errors"].as_array().unwrap().len()), (0, 0), "{report}");
    assert!(report["verification"]["transient_reads"].as_u64().unwrap() > 0, "{report}");
    // What is wrong in the vault itself is damage.
    place.fake.fair_weather();
    let pack = place.fake.names(BUCKET).into_iter().find(|name| name.contains("/packs/")).unwrap();
    place.fake.corrupt(BUCKET, &pack);
    assert_eq!(place.run(&["check", "--read-data", "--egress-budget", "none"]).code, 4);
}
