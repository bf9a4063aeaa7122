//! Alerts as other programs take them.

use crate::cli_common::Sandbox;
use crate::metrics::promtool;
use panther::config::types::HostClass;
use panther::report::alerts::{ALERTS, Grade};
use panther::report::metrics::by_name;
use serde_json::Value;
use std::collections::BTreeSet;

const RUNBOOK: &str = include_str!("../../docs/runbook.md");
const MONITORING: &str = include_str!("../../docs/monitoring.md");

/// What the vendor's page "Create a monitor" (API version 1) says of the fields that are used.
const SHAPE: &str = r#"{
  "type": "object",
  "required": ["name", "type", "query", "message", "options"],
  "additionalProperties": false,
  "properties": {
    "name": { "type": "string", "minLength": 1 },
    "type": { "enum": ["composite", "event alert", "log alert", "metric alert", "process alert", "query alert", "service check"] },
    "query": { "type": "string", "pattern": "^(sum|min|max|avg)\\(last_[0-9]+[mhdw]\\):(sum|min|max|avg):[a-zA-Z][a-zA-Z0-9_.]*\\{[^}]*\\}( by \\{[a-z_,]+\\})?(\\.as_count\\(\\))? (>|<|>=|<=) -?[0-9.]+$" },
    "message": { "type": "string", "minLength": 1 },
    "tags": { "type": "array", "items": { "type": "string" } },
    "priority": { "type": ["integer", "null"], "minimum": 1, "maximum": 5 },
    "options": {
      "type": "object",
      "additionalProperties": false,
      "required": ["thresholds"],
      "properties": {
        "thresholds": {
          "type": "object", "required": ["critical"], "additionalProperties": false,
          "properties": { "critical": { "type": "number" }, "warning": { "type": "number" } }
        },
        "include_tags": { "type": "boolean" },
        "notify_audit": { "type": "boolean" },
        "notify_no_data": { "type": "boolean" },
        "no_data_timeframe": { "type": "integer", "minimum": 2 },
        "renotify_interval": { "type": ["integer", "null"] },
        "require_full_window": { "type": "boolean" }
      }
    }
  }
}"#;

#[test]
fn datadogs_monitors_have_its_shape() {
    let out =
        Sandbox::empty().ok(&["alerts", "--datadog", "--notify", "@slack-ops", "--runbook", "https://example.org/r"]);
    let monitors: Vec<Value> = serde_json::from_str(&out).unwrap();
    assert_eq!(monitors.len(), ALERTS.len() * 2);
    let shape = jsonschema::validator_for(&serde_json::from_str(SHAPE).unwrap()).unwrap();
    let mut names = BTreeSet::new();
    for monitor in &monitors {
        let errors: Vec<String> = shape.iter_errors(monitor).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{errors:?} in {monitor}");
        assert!(names.insert(monitor["name"].as_str().unwrap()));
        // The query's own limit is the critical one, and warning comes before it.
        let (query, thresholds) = (monitor["query"].as_str().unwrap(), &monitor["options"]["thresholds"]);
        let critical = thresholds["critical"].as_f64().unwrap();
        assert_eq!(query.rsplit(' ').next().unwrap().parse::<f64>().unwrap(), critical, "{query}");
        if let Some(warning) = thresholds["warning"].as_f64() {
            assert!(if query.contains(" > ") { warning < critical } else { warning > critical }, "{query}");
        }
        // Twice the window at least.
        if monitor["options"]["notify_no_data"] == true {
            assert!(monitor["options"]["no_data_timeframe"].as_u64().unwrap() >= 240);
        }
        let message = monitor["message"].as_str().unwrap();
        assert!(message.contains("https://example.org/r#") && message.ends_with("@slack-ops"), "{message}");
    }
    assert!(monitors.iter().any(|m| m["options"]["no_data_timeframe"] == 1_440));
}

#[test]
fn prometheus_takes_the_rules() {
    let sandbox = Sandbox::empty();
    let out = sandbox.ok(&["alerts", "--prometheus"]);
    let rules: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(rules["groups"].as_array().unwrap().len(), 2);
    sandbox.write("rules.yml", &out);
    promtool_rules(&sandbox, "check", "rules.yml");
    // The rules at work: an old backup, one whose figures stopped, a month that costs too much.
    sandbox.write(
        "test.yml",
        r#"
rule_files: [rules.yml]
evaluation_interval: 5m
tests:
  - interval: 5m
    input_series:
      - { series: 'panther_backup_age_seconds{class="server",host="web"}', values: '200000x120' }
      - { series: 'panther_backup_age_seconds{class="server",host="gone"}', values: '100x6 _x120' }
      - { series: 'panther_cost_budget_used_ratio{class="laptop",host="yoga"}', values: '1.1x60' }
    alert_rule_test:
      - eval_time: 1h
        alertname: PantherBackupTooOld
        exp_alerts:
          - { exp_labels: { severity: critical, class: server, host: web }, exp_annotations: { summary: 'The newest backup is too old on web', description: 'No backup whose manifest was read back has been made for too long.', runbook_url: 'docs/runbook.md#backup-too-old' } }
          - { exp_labels: { severity: warning, class: server, host: web }, exp_annotations: { summary: 'The newest backup is too old on web', description: 'No backup whose manifest was read back has been made for too long.', runbook_url: 'docs/runbook.md#backup-too-old' } }
      - eval_time: 8h
        alertname: PantherBackupTooOld
        exp_alerts:
          - { exp_labels: { severity: critical, class: server, host: gone }, exp_annotations: { summary: 'The newest backup is too old on gone', description: 'No backup whose manifest was read back has been made for too long.', runbook_url: 'docs/runbook.md#backup-too-old' } }
          - { exp_labels: { severity: critical, class: server, host: web }, exp_annotations: { summary: 'The newest backup is too old on web', description: 'No backup whose manifest was read back has been made for too long.', runbook_url: 'docs/runbook.md#backup-too-old' } }
          - { exp_labels: { severity: warning, class: server, host: web }, exp_annotations: { summary: 'The newest backup is too old on web', description: 'No backup whose manifest was read back has been made for too long.', runbook_url: 'docs/runbook.md#backup-too-old' } }
      - eval_time: 1h
        alertname: PantherBudget
        exp_alerts:
          - { exp_labels: { severity: warning, class: laptop, host: yoga }, exp_annotations: { summary: 'The month costs more than planned on yoga', description: "The forecast of the month's bill is over the budget's warning.", runbook_url: 'docs/runbook.md#budget' } }
"#,
    );
    promtool_rules(&sandbox, "test", "test.yml");
}

fn promtool_rules(sandbox: &Sandbox, what: &str, file: &str) {
    let done =
        std::process::Command::new("promtool").args([what, "rules", file]).current_dir(sandbox.temp.path()).output();
    match done {
        Ok(done) => assert!(done.status.success(), "{}", String::from_utf8_lossy(&[done.stdout, done.stderr].concat())),
        // It says that it is not there.
        Err(_) => promtool(&[], ""),
    }
}

#[test]
fn every_alert_is_in_the_table_the_runbook_and_the_documentation() {
    for alert in ALERTS {
        assert!(by_name(alert.metric).is_some(), "{}", alert.metric);
        assert!(RUNBOOK.contains(&format!("\n## {}\n", alert.name)), "{} is not in docs/runbook.md", alert.name);
        let row = format!("| [{}](runbook.md#{}) | `{}` |", alert.name, alert.name, alert.metric);
        assert!(MONITORING.contains(&row), "{row}");
        for class in HostClass::ALL {
            let threshold = alert.threshold(class);
            assert_eq!(alert.judge(class, threshold.critical), threshold.warning.map_or(Grade::Ok, |_| Grade::Warning));
        }
    }
    for metric in panther::report::metrics::ALL {
        assert!(MONITORING.contains(&format!("| `{}` | {} |", metric.name, metric.help)), "{}", metric.name);
    }
}
