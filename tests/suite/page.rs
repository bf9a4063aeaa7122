//! The status page, from a repository with a year behind it.

use crate::b2_kit::{BUCKET, fake, open as open_b2, options};
use crate::cli_common::{PASSWORD, Sandbox, document, run};
use crate::common::noise;
use crate::fake_b2::{FakeB2, KeySpec};
use panther::backend::{Backend, Body};
use panther::format::entry::{Entry, Node};
use panther::format::name::Name;
use panther::format::snapshot::{Cover, Manifest, Root, Summary};
use panther::format::time::Time;
use panther::id::{ObjectId, WriterName};
use panther::keys::wrap::Opener;
use panther::ops::Silent;
use panther::ops::drill::{DrillRecord, keep};
use panther::repo::Repository;
use panther::retention::{Item, Preset, decide};
use panther::seal::system_random;
use panther::state::runs::{RunRecord, Runs};
use std::process::Command;
use std::sync::Arc;

const DAY: i64 = 86_400;
/// What somebody could put into a message.
const ODD: &str = "<script>alert(1)</script> & \"quotes\"";

/// A host of the history: name, size in kB, what a night adds, how many nights ago the last one was, at which hour.
const HOSTS: [(&str, u64, u64, i64, i64); 5] = [
    ("hetzner", 900, 9, 0, 2),
    ("contabo", 400, 3, 0, 3),
    ("ovh", 150, 1, 0, 4),
    ("yoga", 250, 2, 9, 12),
    ("zephyrus", 700, 6, 1, 13),
];

struct Year {
    sandbox: Sandbox,
    fake: FakeB2,
}

impl Year {
    fn new() -> Self {
        let year = Self { sandbox: Sandbox::empty(), fake: fake() };
        let (id, secret) = year.fake.key(&KeySpec::everything(BUCKET));
        year.sandbox.write("key", format!("{id}:{secret}"));
        let here = year.sandbox.temp.path().display();
        // A byte stands for a hundred thousand.
        year.sandbox.write("panther.toml", format!(
            "[profiles.main]\nrepository = \"b2://{BUCKET}/home\"\npassword-file = \"{here}/password\"\nstate-dir = \"{here}/state\"\nwriter = \"admin\"\nretention = {{ preset = \"server\" }}\nbudget = {{ warn-month-dollars = 4, stop-month-dollars = 6 }}\nprices = [{{ from = \"2020-01-01\", storage-tb-dollars = 695000.0, free-stored-gb = 0 }}]\n[profiles.main.hosts]\nyoga = {{ class = \"laptop\" }}\nzephyrus = {{ class = \"laptop\", recovery-time = \"30min\" }}\nhetzner = {{ recovery-time = \"4h\" }}\ncontabo = {{}}\novh = {{}}\n"
        ));
        assert_eq!(year.run(&["init"]).code, 0);
        year.fill();
        year
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.bare();
        command.env_remove("PANTHER_REPOSITORY").env_remove("PANTHER_STATE_DIR");
        command.env("PANTHER_CONFIG", self.sandbox.path("panther.toml"));
        command.env("PANTHER_B2_ENDPOINT", self.fake.endpoint()).env("PANTHER_TEST_B2_PATIENCE", "5");
        command.env("PANTHER_B2_KEY_FILE", self.sandbox.path("key")).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> crate::cli_common::Run {
        run(&mut self.command(arguments))
    }

    /// A year of nights, each at its time by the service's clock; what the policy would have removed is not made.
    fn fill(&self) {
        let backend: Arc<dyn Backend> = Arc::new(open_b2(&options(&self.fake, "home")));
        let secret = Opener::Passphrase(age::secrecy::SecretString::from(PASSWORD.to_owned()));
        let repo = Repository::open(Arc::clone(&backend), &secret).unwrap();
        let now = Time::now().secs;
        let mut plan = Vec::new();
        for (at, (host, kilobytes, a_night, ago, hour)) in HOSTS.into_iter().enumerate() {
            let items: Vec<Item<i64, ()>> = (ago..350)
                .map(|night| {
                    let jitter = (night * 7_919 + at as i64 * 131) % 2_400;
                    let secs = (now / DAY - night) * DAY + hour * 3_600 + jitter;
                    Item {
                        id: night,
                        time: Time { secs: secs.min(now - 60), nanos: 0 },
                        tags: Vec::new(),
                        pinned: false,
                        group: (),
                    }
                })
                .collect();
            let policy = Preset::Server.policy();
            let decisions = decide(&policy, &items, Time { secs: now, nanos: 0 }, &jiff::tz::TimeZone::UTC).unwrap();
            for (item, decision) in items.iter().zip(decisions) {
                // Forgotten last week ago: the last days go next time.
                if decision.keeps() || (31..36).contains(&item.id) {
                    plan.push((item.time.secs, host, kilobytes, a_night, item.id));
                }
            }
        }
        plan.sort_unstable();
        let mut seen = std::collections::BTreeSet::new();
        for (secs, host, kilobytes, a_night, night) in plan {
            self.fake.skew((secs - now) * 1_000 - (self.fake.now_millis() - Time::now().secs * 1_000));
            let is_first = seen.insert(host);
            let added =
                1_000 * if is_first { kilobytes } else { a_night + (night as u64 * 13 + a_night) % (a_night + 1) };
            let writer = WriterName::new(host).unwrap();
            let pack = noise(secs as u64, added as usize);
            backend.put(&Name::Pack(writer.clone(), ObjectId::of(&pack)).to_string(), Body::Bytes(&pack)).unwrap();
            self.manifest(
                &repo,
                &writer,
                secs,
                (kilobytes + (350 - night as u64) * a_night / 6) * 2_000,
                added,
                is_first,
            );
        }
        self.fake.skew(-(self.fake.now_millis() - Time::now().secs * 1_000));
        self.remember(&repo, now);
    }

    fn manifest(
        &self,
        repo: &Repository,
        writer: &WriterName,
        secs: i64,
        source_bytes: u64,
        stored_bytes: u64,
        is_first: bool,
    ) {
        let signer = repo.keys().signer(Some(writer)).unwrap();
        let entry = Entry {
            name: Vec::new(),
            node: Node::Fifo,
            mode: 0,
            uid: 0,
            gid: 0,
            user: None,
            group: None,
            mtime: Time::default(),
            btime: None,
            xattrs: Default::default(),
            link: None,
            flags: 0,
            boundary: None,
        };
        let took = 40 + (secs / 7) % 160 + if is_first { 1_500 } else { 0 };
        let cover = Cover {
            sequence: 1,
            predecessors: Vec::new(),
            started: Time { secs, nanos: 0 },
            finished: Time { secs: secs + took, nanos: 0 },
            host: writer.to_string(),
        };
        let manifest = Manifest {
            user: "root".into(),
            program: "panther".into(),
            tags: Vec::new(),
            roots: vec![Root { path: b"/home".to_vec(), entry }],
            summary: Summary { source_bytes, stored_bytes, data_bytes: stored_bytes * 2, ..Summary::default() },
            excludes: Vec::new(),
            parent: (!is_first).then_some(ObjectId([1; 32])),
            origin: None,
        };
        let epoch = repo.keys().current_epoch();
        let object = signer.seal_manifest(epoch, cover.encode(), &manifest.encode(), &mut system_random()).unwrap();
        repo.put(&Name::Snapshot(writer.clone(), ObjectId::of(&object)), &object).unwrap();
    }

    /// Drills and errors.
    fn remember(&self, repo: &Repository, now: i64) {
        let state = self.sandbox.path("state");
        let admin = WriterName::new("admin").unwrap();
        for (host, days, success, recovery_secs) in [
            ("hetzner", 96, true, 9_800.0),
            ("hetzner", 66, true, 10_200.0),
            ("contabo", 40, false, 0.0),
            ("hetzner", 12, true, 10_900.0),
            ("contabo", 11, true, 5_100.0),
            ("ovh", 10, true, 1_500.0),
            ("zephyrus", 20, true, 2_900.0),
        ] {
            let record = DrillRecord {
                writer: host.into(),
                by: "admin".into(),
                at_secs: now - days * DAY,
                elapsed_secs: 210.0,
                success,
                files: 200,
                bytes: 1_800_000_000,
                packs: 900,
                read_packs: 59,
                bad_share: 0.0495,
                recovery_secs,
                problems: if success { Vec::new() } else { vec!["1 pack could not be read".into()] },
                ..DrillRecord::default()
            };
            keep(repo, &state, Some(&admin), &record, &Silent).unwrap();
        }
        // Pictures are made without it.
        let odd = if std::env::var_os("PANTHER_PAGE").is_some() { "2 problems" } else { ODD };
        for (command, days, exit_code, error) in [
            ("backup", 3, 7, "cannot store writers/admin/packs: the store cannot be reached, or is too busy"),
            ("check", 8, 4, odd),
        ] {
            let run = RunRecord {
                command: command.into(),
                location: format!("b2://{BUCKET}/home"),
                started_secs: now - days * DAY,
                exit_code,
                error: Some(error.into()),
                ..RunRecord::default()
            };
            Runs::at(&state).add(&run).unwrap();
        }
    }
}

/// With `PANTHER_PAGE` the page is left in that folder, for `tests/page/check.mjs`.
#[test]
fn a_page_of_a_year() {
    let year = Year::new();
    let folder = year.sandbox.path("page");
    let written = year.run(&["report", "--html", "page", "--json"]);
    assert_eq!(written.code, 0, "{}", written.err);
    assert_eq!(document(&written.out)["files"].as_array().unwrap().len(), 2);
    let page = std::fs::read_to_string(folder.join("index.html")).unwrap();
    // Each night is in a table, each calendar has something.
    let nights =
        document(&std::fs::read_to_string(folder.join("status.json")).unwrap())["nights"].as_array().unwrap().len();
    let tables = &page[page.find("snapshots as tables").unwrap()..page.find("id=\"drills\"").unwrap()];
    assert_eq!(tables.matches("<tr><th scope=row>").count(), nights);
    assert_eq!(page.matches("<path class=\"kept\" d=\"M").count(), HOSTS.len() + 1);
    // Nothing from elsewhere, nothing that runs, nothing of others' texts as markup.
    assert!(!page.contains("<script") && !page.contains("http://") && !page.contains("https://"));
    let escaped = "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;quotes&quot;";
    assert!(page.contains(escaped) || std::env::var_os("PANTHER_PAGE").is_some());
    for part in [
        "<html lang=\"en\">",
        "hetzner",
        "Calendar of yoga",
        "id=\"money-t\"",
        "id=\"stored-t\"",
        "id=\"new-t\"",
        "id=\"took-t\"",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for (from, to) in [
        ("<section", "</section>"),
        ("<table", "</table>"),
        ("<svg", "</svg>"),
        ("<ul", "</ul>"),
        ("<details", "</details>"),
    ] {
        assert_eq!(page.matches(from).count(), page.matches(to).count(), "{from}");
    }
    let data = document(&std::fs::read_to_string(folder.join("status.json")).unwrap());
    let state = |name: &str| {
        let hosts = data["hosts"].as_array().unwrap();
        let host = hosts.iter().find(|host| host["host"] == name).unwrap();
        (host["state"].as_str().unwrap().to_owned(), host["recovery_time_met"].clone())
    };
    assert_eq!(state("hetzner"), ("ok".into(), true.into()));
    assert_eq!(state("contabo"), ("ok".into(), true.into()));
    // Nine days without a backup, three allowed; and a restore of 48 minutes where 30 are allowed.
    assert_eq!(state("yoga").0, "critical");
    assert_eq!(state("zephyrus"), ("warning".into(), false.into()));
    assert_eq!((&data["state"], &data["sees_all"]), (&"critical".into(), &true.into()));
    assert!(data["stored"].as_array().unwrap().len() > 300 && data["drills"].as_array().unwrap().len() == 7);
    let going = data["nights"].as_array().unwrap().iter().filter(|night| night["is_kept"] == false).count();
    assert!(going > 0, "nothing goes");
    assert_eq!(data["money"]["ahead"].as_array().unwrap().len(), 13);
    if let Some(out) = std::env::var_os("PANTHER_PAGE") {
        std::fs::create_dir_all(&out).unwrap();
        for name in ["index.html", "status.json"] {
            std::fs::copy(folder.join(name), std::path::Path::new(&out).join(name)).unwrap();
        }
    }
    // A few tens of kB.
    println!("the page has {} bytes", page.len());
    assert!(page.len() < 50_000, "{} bytes", page.len());
    // In a terminal; the exit code says that somebody has to act.
    let said = year.run(&["status"]);
    assert_eq!(said.code, 1, "{}", said.err);
    for part in ["yoga", "more than twice as old", "this month: $", "the store cannot be reached"] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
}

#[test]
fn a_folder_and_a_writer_have_a_status_too() {
    let sandbox = Sandbox::new();
    sandbox.write("source/a", "some");
    sandbox.ok(&["backup", "source", "--writer", "web"]);
    let said = sandbox.run(&["status", "--json"]);
    // Nobody has practised a restore.
    assert_eq!(said.code, 3, "{}", said.err);
    let data = document(&said.out);
    assert_eq!((&data["hosts"][0]["host"], &data["money"]), (&"web".into(), &serde_json::Value::Null));
    assert_eq!(sandbox.run(&["report"]).code, 2);
    sandbox.ok(&["report", "--html", "out/page"]);
    assert!(sandbox.path("out/page/index.html").is_file());
    // A writer's key: its own backups only.
    sandbox.write("web-password", "another one");
    sandbox.ok(&["key", "add", "--role", "writer", "--writer", "web", "--new-password-file", "web-password"]);
    let mut command = sandbox.command(&["status", "--json"]);
    let own = run(command.env("PANTHER_PASSWORD_FILE", sandbox.path("web-password")));
    assert_eq!(own.code, 3, "{}", own.err);
    let data = document(&own.out);
    assert_eq!((&data["sees_all"], data["nights"].as_array().unwrap().len()), (&false.into(), 1));
}
