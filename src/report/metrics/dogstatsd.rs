//! Datagrams as DogStatsD takes them (Datadog's page "Datagram Format and Shell Usage", protocol 1.0), within its limits.

use super::event::{Event, Level};
use super::{Kind, Sample};
use std::fmt::Write;

/// Tags are cut after so many characters ("Getting Started with Tags").
pub const TAG_CHARS: usize = 200;
/// Metrics' names have no more ("Metric naming").
pub const NAME_CHARS: usize = 200;
/// An event's title ("Events API").
pub const TITLE_CHARS: usize = 100;
/// An event's text: 4,000 characters.
pub const TEXT_CHARS: usize = 4_000;
/// No datagram over UDP is longer: the Agent's own clients stay below an Ethernet frame.
pub const UDP_BYTES: usize = 1_432;
/// No datagram at all: the Agent's buffer (`dogstatsd_buffer_size`).
pub const MOST_BYTES: usize = 8_192;

/// How a service does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// Well.
    Ok = 0,
    /// Look at it.
    Warning = 1,
    /// Badly.
    Critical = 2,
}

/// A tag: lower case, letters, digits and `_-:./`, beginning with a letter; the rest becomes underscores.
pub fn tag(name: &str, value: &str) -> String {
    let raw = if value.is_empty() { name.to_owned() } else { format!("{name}:{value}") };
    let clean = |c: char| match c {
        c if c.is_alphanumeric() => c.to_lowercase().next().unwrap_or('_'),
        '_' | '-' | ':' | '.' | '/' => c,
        _ => '_',
    };
    let text: String = raw.chars().map(clean).skip_while(|c| !c.is_alphabetic()).take(TAG_CHARS).collect();
    text.trim_end_matches(['_', ':']).to_owned()
}

/// A tag as a configuration has it: `env:home`.
pub fn tag_of(text: &str) -> String {
    match text.split_once(':') {
        Some((name, value)) => tag(name, value),
        None => tag(text, ""),
    }
}

fn tags(list: &[String]) -> String {
    let list: Vec<&str> = list.iter().filter(|tag| !tag.is_empty()).map(String::as_str).collect();
    if list.is_empty() { String::new() } else { format!("|#{}", list.join(",")) }
}

/// Letters, digits, underscores and dots.
fn name(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == '.' { c } else { '_' })
        .take(NAME_CHARS)
        .collect()
}

/// A value without an exponent.
fn number(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 { format!("{value:.0}") } else { format!("{value:.6}") }
}

/// A metric's datagram. `common` are tags that all have.
pub fn metric(sample: &Sample, common: &[String]) -> String {
    let kind = match sample.metric.kind {
        Kind::Gauge => "g",
        Kind::Counter => "c",
    };
    let own = sample.tags.iter().map(|(name, value)| tag(name, value));
    let all: Vec<String> = own.chain(common.iter().cloned()).collect();
    // Datadog counts by itself: the ending is Prometheus'.
    let text = sample.metric.name.strip_suffix("_total").unwrap_or(sample.metric.name);
    format!("{}:{}|{kind}{}", name(text), number(sample.value), tags(&all))
}

/// On one line, without what ends a field.
fn cut(text: &str, most_chars: usize) -> String {
    let mut out = String::new();
    for c in text.chars().take(most_chars) {
        match c {
            '\n' => out.push_str("\\n"),
            '|' => out.push('¦'),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// An event's datagram. Lengths are in bytes.
pub fn event(event: &Event, host: &str, common: &[String]) -> String {
    let (title, mut text) = (cut(&event.title, TITLE_CHARS), cut(&event.text, TEXT_CHARS));
    let kind = match event.level {
        Level::Info => "success",
        Level::Warning => "warning",
        Level::Error => "error",
    };
    let priority = if event.level == Level::Info { "low" } else { "normal" };
    let rest = format!(
        "|d:{}|h:{}|k:{}|p:{priority}|t:{kind}{}",
        event.at_secs,
        cut(host, 100),
        cut(&event.key, 100),
        tags(common)
    );
    // Characters of several bytes may make it longer than a buffer.
    while text.len() + title.len() + rest.len() + 32 > MOST_BYTES && text.pop().is_some() {}
    format!("_e{{{},{}}}:{title}|{text}{rest}", title.len(), text.len())
}

/// A service check's datagram.
pub fn service_check(
    service: &str,
    status: Status,
    message: &str,
    at_secs: i64,
    host: &str,
    common: &[String],
) -> String {
    let message = cut(message, 500).replace("m:", "m\\:");
    let (service, host) = (name(service), cut(host, 100));
    format!("_sc|{service}|{}|d:{at_secs}|h:{host}{}|m:{message}", status as u8, tags(common))
}

/// Datagrams packed into packets of at most `most_bytes`, each of whole ones with line feeds between. One that is longer goes alone; one that no
/// buffer holds is left out.
pub fn packets(datagrams: &[String], most_bytes: usize) -> Vec<String> {
    let mut packets: Vec<String> = Vec::new();
    for datagram in datagrams.iter().filter(|datagram| datagram.len() <= MOST_BYTES) {
        match packets.last_mut() {
            Some(packet) if packet.len() + 1 + datagram.len() <= most_bytes => {
                // Writing to a string does not fail.
                let _ = write!(packet, "\n{datagram}");
            }
            _ => packets.push(datagram.clone()),
        }
    }
    packets
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::report::metrics::by_name;

    #[test]
    fn metrics() {
        let sample = |name, value, tags| Sample { metric: by_name(name).unwrap(), value, tags };
        let common = [tag("host", "Yoga"), tag_of("env:home")];
        assert_eq!(
            metric(&sample("panther.disk.free_bytes", 1024.0, vec![("path", "/var/lib".into())]), &common),
            "panther.disk.free_bytes:1024|g|#path:/var/lib,host:yoga,env:home"
        );
        assert_eq!(metric(&sample("panther.runs_total", 1.0, Vec::new()), &[]), "panther.runs:1|c");
        assert_eq!(number(0.5), "0.500000");
        assert_eq!((number(1e14), number(-3.0)), ("100000000000000".into(), "-3".into()));
    }

    #[test]
    fn tags_keep_to_the_rules() {
        assert_eq!(tag("path", "/a b,c|d\n#e@f"), "path:/a_b_c_d__e_f");
        assert_eq!((tag("1x", ""), tag("a", "b_")), ("x".into(), "a:b".into()));
        assert_eq!(tag("a", &"x".repeat(10_000)).chars().count(), TAG_CHARS);
        assert_eq!(tag("A", "É"), "a:é");
    }

    #[test]
    fn events_and_packets() {
        let some = Event {
            key: "backup".into(),
            title: "backup failed|".into(),
            text: "one\ntwo é".into(),
            level: Level::Error,
            at_secs: 7,
        };
        assert_eq!(event(&some, "h", &[]), "_e{15,11}:backup failed¦|one\\ntwo é|d:7|h:h|k:backup|p:normal|t:error");
        let long = Event { text: "\u{10348}".repeat(9_000), ..some };
        assert!(event(&long, "h", &vec!["t:x".into(); 100]).len() <= MOST_BYTES);
        let check = service_check("panther.backup", Status::Warning, "so m: so\n", 5, "h", &["a:b".into()]);
        assert_eq!(check, "_sc|panther.backup|1|d:5|h:h|#a:b|m:so m\\: so\\n");
        let lines: Vec<String> = (0..100).map(|n| format!("a.b:{n}|g")).chain(["x".repeat(9_000)]).collect();
        let packed = packets(&lines, 100);
        assert!(packed.iter().all(|packet| packet.len() <= 100));
        assert_eq!(packed.join("\n"), lines[..100].join("\n"));
        assert_eq!(packets(&["y".repeat(2_000)], UDP_BYTES).len(), 1);
    }
}
