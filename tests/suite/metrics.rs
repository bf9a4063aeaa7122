//! Figures and events arrive at real sockets and follow the documented grammars; nobody who does not listen can hold a run up.

use crate::cli_common::{Run, Sandbox, run};
use panther::report::metrics::{ALL, by_name};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

struct Place {
    sandbox: Sandbox,
}

impl Place {
    fn new(metrics: &str) -> Self {
        let place = Self { sandbox: Sandbox::new() };
        place.sandbox.write("source/a", "content of a file");
        place.configure(metrics);
        place
    }

    fn configure(&self, metrics: &str) {
        let here = self.sandbox.temp.path().display();
        let text = format!(
            "[profiles.main]\nrepository = \"{here}/repo\"\npassword-file = \"{here}/password\"\nstate-dir = \"{here}/state\"\nwriter = \"yoga\"\nsources = [{{ path = \"{here}/source\" }}]\nobjective = {{ class = \"laptop\", recovery-point = \"2d\" }}\n[profiles.main.metrics]\n{metrics}\n"
        );
        self.sandbox.write("panther.toml", text);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.bare();
        command.env_remove("PANTHER_REPOSITORY").env_remove("PANTHER_STATE_DIR");
        command.env("PANTHER_CONFIG", self.sandbox.path("panther.toml")).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Run {
        run(&mut self.command(arguments))
    }
}

/// A datagram by the grammar of Datadog's page: what it is, its name or title, its value, its tags.
#[derive(Debug)]
struct Parsed {
    kind: String,
    name: String,
    value: String,
    tags: BTreeSet<String>,
}

/// Reads one line; panics over what an agent would not take.
fn parse(line: &str) -> Parsed {
    let is_name = |text: &str| {
        !text.is_empty()
            && text.len() <= 200
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.')
    };
    let tags_of = |text: &str| -> BTreeSet<String> {
        let tags: BTreeSet<String> = text.split(',').map(str::to_owned).collect();
        for tag in &tags {
            assert!(!tag.is_empty() && tag.chars().count() <= 200 && tag.starts_with(char::is_alphabetic), "{line}");
            assert!(tag.chars().all(|c| c.is_alphanumeric() || "_-:./".contains(c)), "{line}");
        }
        tags
    };
    if let Some(rest) = line.strip_prefix("_e{") {
        let (lengths, rest) = rest.split_once("}:").unwrap();
        let (title, text) = lengths.split_once(',').unwrap();
        let (title, text): (usize, usize) = (title.parse().unwrap(), text.parse().unwrap());
        assert!(title > 0 && rest.as_bytes()[title] == b'|', "{line}");
        let (name, value) = (&rest[..title], &rest[title + 1..title + 1 + text]);
        let mut tags = BTreeSet::new();
        for field in rest[title + 1 + text..].split('|').skip(1) {
            match field.split_at(1) {
                ("#", list) => tags = tags_of(list),
                ("d", rest) => assert!(rest[1..].parse::<u64>().is_ok(), "{line}"),
                ("p", rest) => assert!([":normal", ":low"].contains(&rest), "{line}"),
                ("t", rest) => assert!([":error", ":warning", ":info", ":success"].contains(&rest), "{line}"),
                ("h" | "k", rest) => assert!(rest.len() > 1, "{line}"),
                _ => panic!("{line}"),
            }
        }
        return Parsed { kind: "event".into(), name: name.into(), value: value.into(), tags };
    }
    let mut fields = line.split('|');
    let first = fields.next().unwrap();
    if first == "_sc" {
        let (name, status) = (fields.next().unwrap(), fields.next().unwrap());
        assert!(is_name(name) && ["0", "1", "2", "3"].contains(&status), "{line}");
        let rest: Vec<&str> = fields.collect();
        // The message is last.
        assert!(rest.last().unwrap().starts_with("m:"), "{line}");
        let tags = rest.iter().find_map(|field| field.strip_prefix('#')).map(tags_of).unwrap_or_default();
        return Parsed { kind: "check".into(), name: name.into(), value: status.into(), tags };
    }
    let (name, value) = first.split_once(':').unwrap();
    let kind = fields.next().unwrap();
    assert!(is_name(name) && value.parse::<f64>().is_ok() && ["g", "c"].contains(&kind), "{line}");
    let tags = fields.next().map(|field| tags_of(field.strip_prefix('#').unwrap())).unwrap_or_default();
    assert_eq!(fields.next(), None, "{line}");
    Parsed { kind: kind.into(), name: name.into(), value: value.into(), tags }
}

fn parse_all(packets: &[Vec<u8>]) -> BTreeMap<String, Parsed> {
    let lines = packets.iter().flat_map(|packet| std::str::from_utf8(packet).unwrap().lines().map(parse));
    lines.map(|parsed| (format!("{} {}", parsed.kind, parsed.name), parsed)).collect()
}

fn pack_of(place: &Place) -> std::path::PathBuf {
    let mut folders = vec![place.sandbox.path("repo/writers/yoga/packs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                return path;
            }
            folders.push(path);
        }
    }
    panic!("there is no pack");
}

fn heard(receive: impl Fn(&mut [u8]) -> std::io::Result<usize>) -> Vec<Vec<u8>> {
    let mut buffer = vec![0; 65_536];
    let mut packets = Vec::new();
    while let Ok(len) = receive(&mut buffer) {
        packets.push(buffer[..len].to_vec());
    }
    packets
}

#[test]
fn everything_arrives_over_udp_and_unix_sockets() {
    let agent = UdpSocket::bind("127.0.0.1:0").unwrap();
    agent.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let address = agent.local_addr().unwrap();
    let place = Place::new(&format!("dogstatsd = \"{address}\"\ndogstatsd-tags = [\"env:Home, sweet\"]"));
    let done = place.run(&["backup"]);
    assert_eq!(done.code, 0, "{}", done.err);
    let packets = heard(|buffer| agent.recv(buffer));
    assert!(packets.iter().all(|packet| packet.len() <= 1_432));
    let found = parse_all(&packets);
    for name in ["age_seconds", "last_success_timestamp_seconds", "duration_seconds", "new_bytes", "stored_bytes"] {
        let gauge = &found[&format!("g panther.backup.{name}")];
        assert!(gauge.tags.contains("host:yoga") && gauge.tags.contains("class:laptop"), "{gauge:?}");
        assert!(gauge.tags.contains("env:home__sweet"), "{gauge:?}");
    }
    assert_eq!(found["g panther.backup.source_bytes"].value, "17");
    assert_eq!(found["g panther.recovery_point.met"].value, "1");
    assert_eq!(found["g panther.recovery_point.objective_seconds"].value, "172800");
    assert!(found["c panther.runs"].tags.is_superset(&["command:backup".into(), "result:success".into()].into()));
    assert_eq!(found["check panther.backup"].value, "0");
    assert!(found.contains_key("event panther: backup on yoga succeeded"), "{:?}", found.keys());
    assert!(found.contains_key("g panther.disk.free_bytes"));
    // What is sent is in the table.
    for parsed in found.values().filter(|parsed| parsed.kind == "g") {
        assert!(by_name(&parsed.name).is_some(), "{}", parsed.name);
    }

    // A failure, over a Unix socket, where packets may be longer.
    let path = place.sandbox.path("dsd.socket");
    let agent = UnixDatagram::bind(&path).unwrap();
    agent.set_nonblocking(true).unwrap();
    place.configure(&format!("dogstatsd = \"unix:{}\"", path.display()));
    std::fs::remove_file(pack_of(&place)).unwrap();
    assert_eq!(place.run(&["check"]).code, 4);
    let found = parse_all(&heard(|buffer| agent.recv(buffer)));
    assert_eq!(found["check panther.check"].value, "2");
    assert_ne!(found["g panther.check.errors"].value, "0");
    assert!(found.contains_key("event panther: check on yoga found damage"));
    assert!(found["c panther.runs"].tags.contains("result:failure"));
    // The timer's way: gauges only.
    assert_eq!(place.run(&["metrics", "--send"]).code, 0);
    let found = parse_all(&heard(|buffer| agent.recv(buffer)));
    assert!(found.keys().all(|key| key.starts_with("g ")) && found.contains_key("g panther.backup.age_seconds"));
}

#[test]
fn nobody_who_does_not_listen_fails_or_delays_a_run() {
    let place = Place::new("dogstatsd = \"127.0.0.1:9\"");
    assert_eq!(place.run(&["backup"]).code, 0);
    // A socket that is full: its agent reads nothing.
    let path = place.sandbox.path("full.socket");
    let agent = UnixDatagram::bind(&path).unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    sender.set_nonblocking(true).unwrap();
    while sender.send_to(&[b'x'; 8_000], &path).is_ok() {}
    let began = Instant::now();
    place.configure(&format!("dogstatsd = \"unix:{}\"", path.display()));
    let full = place.run(&["backup"]);
    assert_eq!(full.code, 0, "{}", full.err);
    drop(agent);
    // Gone, never there, and a name that nobody knows.
    for address in [&format!("unix:{}", path.display()), "unix:/nowhere/socket", "agent.invalid:8125"] {
        place.configure(&format!("dogstatsd = \"{address}\""));
        let run = place.run(&["backup"]);
        assert_eq!(run.code, 0, "{}", run.err);
        assert!(run.err.contains("figures did not reach the agent"), "{}", run.err);
    }
    // A web page that takes the connection and says nothing would be waited for ten seconds; one that refuses is not.
    let refused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    place.configure(&format!(
        "webhook = \"http://{refused}/secret-part\"\ncommand = [\"false\", \"secret-argument\"]\nprometheus-file = \"/nowhere/a.prom\""
    ));
    let run = place.run(&["backup"]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(run.err.matches("warning: ").count(), 3, "{}", run.err);
    assert!(!run.err.contains("secret-"), "{}", run.err);
    assert!(began.elapsed() < Duration::from_secs(60));
    // A huge tag is cut, and the rest goes on.
    let agent = UdpSocket::bind("127.0.0.1:0").unwrap();
    agent.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let tag = "x".repeat(5_000);
    place.configure(&format!("dogstatsd = \"{}\"\ndogstatsd-tags = [\"{tag}\"]", agent.local_addr().unwrap()));
    assert_eq!(place.run(&["metrics", "--send"]).code, 0);
    let found = parse_all(&heard(|buffer| agent.recv(buffer)));
    assert!(found["g panther.backup.age_seconds"].tags.contains(&"x".repeat(200)));
}

#[test]
fn webhooks_and_commands_get_the_run() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let place = Place::new("");
    place.sandbox.write("hook", format!("http://{address}/hook?token=1234\n"));
    let (here, out) = (place.sandbox.path("hook"), place.sandbox.path("told"));
    place.configure(&format!(
        "webhook-file = \"{}\"\ncommand = [\"sh\", \"-c\", \"cat > {}; test -z $PANTHER_PASSWORD\"]",
        here.display(),
        out.display()
    ));
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut text, mut buffer) = (String::new(), [0; 4_096]);
        while !text.ends_with("}}") {
            let read = stream.read(&mut buffer).unwrap();
            text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        text
    });
    let done = place.run(&["backup"]);
    assert!(done.code == 0 && !done.err.contains("warning"), "{}", done.err);
    let request = server.join().unwrap();
    assert!(request.starts_with("POST /hook?token=1234 HTTP/1.1\r\n"), "{request}");
    let body = request.split("\r\n\r\n").nth(1).unwrap();
    assert_eq!(std::fs::read_to_string(out).unwrap(), body);
    let document: serde_json::Value = serde_json::from_str(body).unwrap();
    crate::cli_common::assert_valid(&document);
    assert_eq!((&document["command"], &document["event"]["level"]), (&"event".into(), &"info".into()));
    assert_eq!(document["run"]["is_read_back"], true);
}

/// Runs `promtool`, if there is one.
pub fn promtool(arguments: &[&str], input: &str) {
    let child = Command::new("promtool").args(arguments).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        println!("skipped: there is no promtool (Debian's package prometheus)");
        return;
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success() && said.is_empty(), "{said}\n{input}");
}

#[test]
fn the_file_for_prometheus_is_what_promtool_wants() {
    let place = Place::new("");
    let file = place.sandbox.path("panther.prom");
    place.configure(&format!("prometheus-file = \"{}\"", file.display()));
    assert_eq!(place.run(&["backup"]).code, 0);
    assert_eq!(place.run(&["check"]).code, 0);
    assert_eq!(place.run(&["forget", "--keep-daily", "7"]).code, 0);
    let text = std::fs::read_to_string(&file).unwrap();
    promtool(&["check", "metrics"], &text);
    for part in [
        "# TYPE panther_runs_total counter\n",
        "command=\"check\",result=\"success\"} 1\n",
        "# HELP panther_backup_age_seconds ",
        "panther_check_errors{host=\"yoga\",class=\"laptop\"",
        "panther_retention_violations{",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o644);
    // Shown, and as JSON.
    assert!(place.run(&["metrics"]).out.contains("panther_backup_source_bytes{"));
    let shown = crate::cli_common::document(&place.run(&["metrics", "--json"]).out);
    assert!(shown["metrics"].as_array().unwrap().len() > 10);
    // Nothing is left of the temporary file.
    let left = std::fs::read_dir(place.sandbox.temp.path())
        .unwrap()
        .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().ends_with(".tmp"));
    assert_eq!(left.count(), 0);
}

/// A backup whose manifest cannot be read back is no success.
#[test]
fn a_success_is_told_only_of_what_was_read_back() {
    use panther::config::types::HostClass;
    use panther::report::metrics::{Facts, counters, gauges};
    use panther::state::runs::RunRecord;
    let backup = |started_secs, is_read_back| RunRecord {
        command: "backup".into(),
        started_secs,
        is_read_back,
        source_bytes: 100,
        new_bytes: 25,
        ..RunRecord::default()
    };
    let runs = [backup(1_000, true), backup(5_000, false)];
    let facts = Facts {
        now_secs: 9_000,
        host: "h",
        repository: "r",
        class: HostClass::Server,
        recovery_point_secs: 6_000,
        recovery_time_secs: 1,
        budget_dollars: None,
        runs: &runs,
        disks: &[],
        local: &[],
    };
    let value = |name: &str| gauges(&facts).into_iter().find(|s| s.metric.name == name).map(|s| s.value);
    assert_eq!(value("panther.backup.age_seconds"), Some(8_000.0));
    assert_eq!((value("panther.recovery_point.met"), value("panther.backup.dedup_ratio")), (Some(0.0), Some(0.75)));
    let results: Vec<String> = runs.iter().flat_map(counters).map(|s| s.tags[1].1.clone()).collect();
    assert_eq!(results, ["success", "unconfirmed"]);
    // Names are good for both: with dots, unique, and beginning with the program's.
    let names: BTreeSet<&str> = ALL.iter().map(|metric| metric.name).collect();
    assert_eq!(names.len(), ALL.len());
    assert!(names.iter().all(|name| name.starts_with("panther.") && !name.contains('-')));
}
