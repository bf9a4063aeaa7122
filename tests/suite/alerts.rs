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

/// What Datadog publishes of a monitor: its fields, those of its options and thresholds, and their types (the OpenAPI description in its public client
/// libraries, datadog-api-client, API version 1: Monitor, MonitorOptions, MonitorThresholds, without what only the service writes).
const SHAPE: &str = r#"{
  "type": "object",
  "required": ["type", "query"],
  "additionalProperties": false,
  "properties": {
    "name": { "type": "string", "minLength": 1 },
    "type": { "enum": ["query alert", "service check"] },
    "query": { "type": "string" },
    "message": { "type": "string", "minLength": 1 },
    "tags": { "type": "array", "items": { "type": "string" } },
    "priority": { "type": ["integer", "null"], "minimum": 1, "maximum": 5 },
    "restricted_roles": { "type": ["array", "null"], "items": { "type": "string" } },
    "options": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "aggregation": { "type": "object" },
        "enable_logs_sample": { "type": "boolean" },
        "escalation_message": { "type": "string" },
        "evaluation_delay": { "type": ["integer", "null"], "minimum": 0 },
        "groupby_simple_monitor": { "type": "boolean" },
        "include_tags": { "type": "boolean" },
        "locked": { "type": "boolean" },
        "min_failure_duration": { "type": ["integer", "null"], "minimum": 0, "maximum": 7200 },
        "min_location_failed": { "type": ["integer", "null"], "minimum": 1 },
        "new_group_delay": { "type": ["integer", "null"], "minimum": 0 },
        "new_host_delay": { "type": ["integer", "null"], "minimum": 0 },
        "no_data_timeframe": { "type": ["integer", "null"] },
        "notify_audit": { "type": "boolean" },
        "notify_no_data": { "type": "boolean" },
        "renotify_interval": { "type": ["integer", "null"] },
        "renotify_occurrences": { "type": ["integer", "null"] },
        "renotify_statuses": { "type": ["array", "null"], "items": { "enum": ["alert", "warn", "no data"] } },
        "require_full_window": { "type": "boolean" },
        "silenced": { "type": "object" },
        "synthetics_check_id": { "type": ["string", "null"] },
        "threshold_windows": { "type": "object" },
        "thresholds": {
          "type": "object",
          "additionalProperties": false,
          "properties": {
            "critical": { "type": "number" },
            "critical_recovery": { "type": ["number", "null"] },
            "ok": { "type": ["number", "null"] },
            "unknown": { "type": ["number", "null"] },
            "warning": { "type": ["number", "null"] },
            "warning_recovery": { "type": ["number", "null"] }
          }
        },
        "timeout_h": { "type": ["integer", "null"], "minimum": 0, "maximum": 24 },
        "variables": { "type": "array" }
      }
    }
  }
}"#;

/// What is wrong with a metric query by the grammar that the same source gives: `time_aggr(time_window):space_aggr:metric{tags} [by {key}] operator #`.
fn query_error(query: &str) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{what}: {query}"));
    let Some((time_aggregation, rest)) = query.split_once('(') else { return wrong("no time aggregation") };
    if !["avg", "sum", "max", "min", "change", "pct_change"].contains(&time_aggregation) {
        return wrong("time aggregation");
    }
    let Some((window, rest)) = rest.split_once("):") else { return wrong("no window") };
    let is_window = match window.strip_prefix("last_").and_then(|w| Some((w.get(..w.len() - 1)?, w.chars().last()?))) {
        Some((number, unit)) => match (number.parse::<u32>(), unit) {
            (Ok(minutes), 'm') => (1..=10_080).contains(&minutes),
            (Ok(hours), 'h') => (1..=168).contains(&hours),
            (Ok(1), 'd' | 'w') => true,
            _ => false,
        },
        None => false,
    };
    if !is_window {
        return wrong("window");
    }
    let Some((space_aggregation, rest)) = rest.split_once(':') else { return wrong("no space aggregation") };
    if !["avg", "sum", "min", "max"].contains(&space_aggregation) {
        return wrong("space aggregation");
    }
    let Some((metric, rest)) = rest.split_once('{') else { return wrong("no scope") };
    // Names of metrics: ASCII letters, digits, underscores, points; a letter first ("Metrics Submission").
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    if !metric.starts_with(|c: char| c.is_ascii_alphabetic()) || !metric.chars().all(is_name) || metric.len() > 200 {
        return wrong("metric");
    }
    let Some((scope, rest)) = rest.split_once('}') else { return wrong("the scope does not end") };
    let is_tag = |tag: &str| tag == "*" || (tag.contains(':') && !tag.contains(char::is_whitespace));
    if !scope.split(',').all(is_tag) {
        return wrong("scope");
    }
    let rest = match rest.strip_prefix(" by {") {
        Some(by) => match by.split_once('}') {
            Some((keys, rest)) if keys.split(',').all(|key| !key.is_empty() && key.chars().all(is_name)) => rest,
            _ => return wrong("keys"),
        },
        None => rest,
    };
    let rest = rest.strip_prefix(".as_count()").unwrap_or(rest);
    match rest.strip_prefix(' ').and_then(|rest| rest.split_once(' ')) {
        Some((operator, number))
            if ["<", "<=", ">", ">=", "==", "!="].contains(&operator) && number.parse::<f64>().is_ok() =>
        {
            Ok(())
        }
        _ => wrong("operator and number"),
    }
}

#[test]
fn queries_are_checked() {
    assert_eq!(query_error("avg(last_5m):avg:system.load.1{env:pay,role:x} by {host} > 4.5"), Ok(()));
    for wrong in [
        "avg(last_5m):avg:system.load.1{env:pay} by {host}",
        "mean(last_5m):avg:a{*} > 1",
        "avg(last_2d):avg:a{*} > 1",
        "avg(last_169h):avg:a{*} > 1",
        "avg(last_5m):median:a{*} > 1",
        "avg(last_5m):avg:1a{*} > 1",
        "avg(last_5m):avg:a{} > 1",
        "avg(last_5m):avg:a{*} by {} > 1",
        "avg(last_5m):avg:a{*} => 1",
        "avg(last_5m):avg:a{*} > many",
    ] {
        assert!(query_error(wrong).is_err(), "{wrong}");
    }
}

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
        assert_eq!(query_error(monitor["query"].as_str().unwrap()), Ok(()));
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
    for metric in panther::report::metrics::ALL.iter().chain(panther::report::metrics::OF_UNITS) {
        assert!(MONITORING.contains(&format!("| `{}` | {} |", metric.name, metric.help)), "{}", metric.name);
    }
}
