//! `metrics`: figures of this machine, shown or sent.

use super::Outcome;
use crate::context::Context;
use crate::facts::Known;
use crate::telemetry;
use panther::report::metrics::{gauges, prometheus};
use panther::{Error, Result};
use serde_json::{Map, Value, json};

/// Options of `metrics`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther -p nightly metrics
  panther -p nightly metrics --send

Without --send the figures are shown in Prometheus' text format. Every run sends them by itself where the
profile has [metrics]; ages grow between runs, so a timer sends them now and then (docs/monitoring.md).
Nothing is asked of the store.")]
pub struct Options {
    /// Send them to everything that the profile's [metrics] names
    #[arg(long)]
    send: bool,
}

/// Shows or sends figures.
pub fn run(options: &Options, context: &Context) -> Result<Outcome> {
    let known = Known::gather(context);
    if options.send {
        if context.metrics().is_none() {
            return Err(Error::Usage("the profile names nobody to send figures to: it needs [metrics]".into()));
        }
        let failed = telemetry::tell(context, &known, None);
        return Ok(if failed == 0 { Outcome::Complete } else { Outcome::Incomplete });
    }
    let facts = known.facts();
    let values = gauges(&facts).into_iter().map(|sample| {
        let tags: Map<String, Value> =
            sample.tags.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        json!({ "name": sample.metric.name, "value": sample.value, "tags": tags })
    });
    let body = json!({ "host": known.host, "repository": known.repository, "metrics": values.collect::<Vec<_>>() });
    context.emit(body, || prometheus::file(&facts))?;
    Ok(Outcome::Complete)
}
