//! `alerts`: what to be woken for, as other programs take it.

use super::Outcome;
use crate::context::{Context, write_failed};
use panther::report::alerts::{RUNBOOK, datadog, prometheus};
use panther::{Error, Result};
use std::io::Write;

/// Options of `alerts`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther alerts --prometheus > /etc/prometheus/rules/panther.yml
  panther alerts --datadog --notify @slack-ops --runbook https://example.org/runbook > monitors.json

Both are made from one table (docs/monitoring.md). Datadog's is a list: each of its elements is the body of
a POST to /api/v1/monitor.")]
pub struct Options {
    /// Datadog monitors, as a JSON list
    #[arg(long, required_unless_present = "prometheus", conflicts_with = "prometheus")]
    datadog: bool,
    /// Prometheus rules
    #[arg(long)]
    prometheus: bool,
    /// The runbook's address; each alert links to its place there
    #[arg(long, value_name = "URL", default_value = RUNBOOK)]
    runbook: String,
    /// Whom Datadog tells, such as @slack-ops or @me@example.org
    #[arg(long, value_name = "WHOM", conflicts_with = "prometheus")]
    notify: Option<String>,
}

/// Writes them.
pub fn run(options: &Options, context: &Context) -> Result<Outcome> {
    let made = if options.prometheus {
        prometheus::rules(&options.runbook)
    } else {
        datadog::monitors(&options.runbook, options.notify.as_deref()).into()
    };
    let text = serde_json::to_string_pretty(&made).map_err(|e| Error::Usage(e.to_string()))?;
    let mut out = context.out();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(write_failed)?;
    Ok(Outcome::Complete)
}
