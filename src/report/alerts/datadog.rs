//! Datadog monitors, as its API creates them (version 1, "Create a monitor", and the OpenAPI description of its public client libraries, datadog-api-client).

use super::{ALERTS, Alert, Bad};
use crate::config::types::HostClass;
use crate::report::metrics::{Kind, by_name};
use serde_json::{Map, Value, json};

/// One monitor for each alert and sort of machine. `runbook` is the address of the runbook, `notify` who is told (`@slack-…`), if anybody.
pub fn monitors(runbook: &str, notify: Option<&str>) -> Vec<Value> {
    let of = |alert: &'static Alert| HostClass::ALL.map(|class| monitor(alert, class, runbook, notify));
    ALERTS.iter().flat_map(of).collect()
}

fn monitor(alert: &Alert, class: HostClass, runbook: &str, notify: Option<&str>) -> Value {
    let threshold = alert.threshold(class);
    let is_counter = by_name(alert.metric).is_some_and(|metric| metric.kind == Kind::Counter);
    let metric = alert.metric.strip_suffix("_total").unwrap_or(alert.metric);
    let sign = match alert.bad {
        Bad::Above => ">",
        Bad::Below => "<",
    };
    let scope = format!("class:{}", class.as_str());
    let query = if is_counter {
        format!("sum(last_1d):sum:{metric}{{{scope}}} by {{host}}.as_count() {sign} {}", threshold.critical)
    } else {
        // The last value counts, also when it comes once an hour.
        let over = if alert.bad == Bad::Above { "min(last_2h):max" } else { "max(last_2h):min" };
        format!("{over}:{metric}{{{scope}}} by {{{}}} {sign} {}", alert.by.join(","), threshold.critical)
    };
    let mut thresholds = Map::new();
    thresholds.insert("critical".into(), json!(threshold.critical));
    if let Some(warning) = threshold.warning {
        thresholds.insert("warning".into(), json!(warning));
    }
    let mut message = format!("{} Host: {{{{host.name}}}}.\n\nWhat to do: {runbook}#{}", alert.message, alert.name);
    if let Some(notify) = notify {
        message.push_str(&format!("\n\n{notify}"));
    }
    let mut options = json!({
        "thresholds": thresholds,
        "include_tags": true,
        "notify_audit": false,
        "require_full_window": false,
        "renotify_interval": 1440,
        "notify_no_data": false,
    });
    // At least twice the window that is looked at.
    if let Some(minutes) = alert.no_data_minutes(class) {
        options["notify_no_data"] = true.into();
        options["no_data_timeframe"] = minutes.max(240).into();
    }
    json!({
        "name": format!("panther: {} ({})", alert.title, class.as_str()),
        "type": "query alert",
        "query": query,
        "message": message,
        "tags": ["managed-by:panther", format!("alert:{}", alert.name), scope],
        "priority": if threshold.warning.is_some() { 3 } else { 2 },
        "options": options,
    })
}
