//! Rules for Prometheus (its page "Alerting rules").

use super::{ALERTS, Alert, Bad};
use crate::config::types::HostClass;
use crate::report::metrics::prometheus::name;
use crate::report::metrics::{Kind, by_name};
use serde_json::{Value, json};

/// A file of rules. YAML, of which JSON is a part, so nothing need be quoted by hand.
pub fn rules(runbook: &str) -> Value {
    let groups = HostClass::ALL.map(|class| {
        let rules: Vec<Value> = ALERTS.iter().flat_map(|alert| rules_of(alert, class, runbook)).collect();
        json!({ "name": format!("panther-{}", class.as_str()), "rules": rules })
    });
    json!({ "groups": groups })
}

/// `backup-too-old` as `PantherBackupTooOld`.
fn camel(text: &str) -> String {
    let capital =
        |word: &str| word.chars().next().map(|c| c.to_ascii_uppercase().to_string() + &word[1..]).unwrap_or_default();
    format!("Panther{}", text.split('-').map(capital).collect::<String>())
}

fn rules_of(alert: &Alert, class: HostClass, runbook: &str) -> Vec<Value> {
    let threshold = alert.threshold(class);
    let selector = format!("{}{{class=\"{}\"}}", name(alert.metric), class.as_str());
    let is_counter = by_name(alert.metric).is_some_and(|metric| metric.kind == Kind::Counter);
    let value = if is_counter { format!("increase({selector}[1d])") } else { selector.clone() };
    let sign = match alert.bad {
        Bad::Above => ">",
        Bad::Below => "<",
    };
    let rule = |limit: f64, severity: &str, expression: String| {
        json!({
            "alert": camel(alert.name),
            "expr": if expression.is_empty() { format!("{value} {sign} {limit}") } else { expression },
            "for": "10m",
            "labels": { "severity": severity, "class": class.as_str() },
            "annotations": {
                "summary": format!("{} on {{{{ $labels.host }}}}", alert.title),
                "description": alert.message,
                "runbook_url": format!("{runbook}#{}", alert.name),
            },
        })
    };
    let mut rules = vec![rule(threshold.critical, "critical", String::new())];
    rules.extend(threshold.warning.map(|warning| rule(warning, "warning", String::new())));
    if let Some(minutes) = alert.no_data_minutes(class) {
        // A host that had the metric within two weeks and has it no more.
        let gone = format!("last_over_time({selector}[14d]) unless last_over_time({selector}[{minutes}m])");
        rules.push(rule(0.0, "critical", gone));
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(camel("backup-too-old"), "PantherBackupTooOld");
        assert_eq!(rules("r")["groups"][1]["rules"][0]["annotations"]["runbook_url"], "r#backup-too-old");
    }
}
