//! The text format of Prometheus (its page "Exposition formats", version 0.0.4), for the textfile collector of the node exporter.

use super::{Facts, Kind, Sample, counters, gauges};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The metric's name: dots become underscores.
pub fn name(metric: &str) -> String {
    metric.replace('.', "_")
}

/// A label's value, with what must be escaped.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn labels(tags: &[(&'static str, String)]) -> String {
    let tags: Vec<String> = tags.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    format!("{{{}}}", tags.join(","))
}

/// Everything as one file. Counters are sums over the history that is kept.
pub fn file(facts: &Facts<'_>) -> String {
    let mut sums: BTreeMap<String, Sample> = BTreeMap::new();
    for sample in facts.runs.iter().flat_map(counters) {
        let key = format!("{}{}", sample.metric.name, labels(&sample.tags));
        sums.entry(key).and_modify(|sum| sum.value += sample.value).or_insert(sample);
    }
    let all: Vec<Sample> = sums.into_values().chain(gauges(facts)).collect();
    let (mut out, common) = (String::new(), facts.common_tags());
    for metric in super::ALL {
        let samples = all.iter().filter(|sample| sample.metric.name == metric.name);
        let mut samples = samples.peekable();
        if samples.peek().is_none() {
            continue;
        }
        let name = name(metric.name);
        let kind = match metric.kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        // Writing to a string does not fail.
        let _ = writeln!(out, "# HELP {name} {}\n# TYPE {name} {kind}", metric.help);
        for sample in samples {
            let tags: Vec<_> = common.iter().chain(&sample.tags).cloned().collect();
            let _ = writeln!(out, "{name}{} {}", labels(&tags), sample.value);
        }
    }
    out
}
