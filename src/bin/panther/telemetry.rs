//! What a run came to: into the history of this machine, and to whoever is to be told.

use crate::commands::Outcome;
use crate::context::Context;
use crate::facts::Known;
use crate::{open, sinks};
use panther::config::types::Metrics;
use panther::ops::Progress;
use panther::report::metrics::dogstatsd::{self, Status};
use panther::report::metrics::event::{self, Event, Level};
use panther::report::metrics::{Facts, Sample, counters, gauges, prometheus};
use panther::report::text;
use panther::state::runs::{RunRecord, Runs};
use std::sync::PoisonError;

/// Commands that are worth remembering.
const NOTED: [&str; 11] = [
    "backup",
    "restore",
    "check",
    "forget",
    "prune",
    "repair packs",
    "repair snapshots",
    "copy",
    "drill",
    "snapshot create",
    "snapshot prune",
];
/// Those with a service check of their own.
const CHECKED: [(&str, &str); 3] =
    [("backup", "panther.backup"), ("check", "panther.check"), ("drill", "panther.drill")];

/// Notes how the command has ended, and tells whom the profile names. What goes wrong with that is said, and changes nothing.
pub fn finish(context: &Context, result: &panther::Result<Outcome>) {
    let mut record = context.record.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if !NOTED.contains(&record.command.as_str()) || record.is_dry {
        return;
    }
    complete(&mut record, context, result);
    if let Ok(folder) = open::state_folder(context)
        && let Err(error) = Runs::at(&folder).add(&record)
    {
        context.ui.warn(&format!("this run is missing from the history: {}", open::with_causes(&error)));
    }
    if context.metrics().is_some() {
        tell(context, &Known::gather(context), Some(&record));
    }
}

fn complete(record: &mut RunRecord, context: &Context, result: &panther::Result<Outcome>) {
    record.elapsed_secs = context.began.elapsed().as_secs_f64();
    record.retry_calls = context.accounts.usage().retry_calls;
    match result {
        Ok(outcome) => record.exit_code = outcome.exit_code(),
        Err(error) => {
            record.exit_code = error.exit_code();
            record.error = Some(text::message(&open::with_causes(error)));
        }
    }
}

/// Sends figures, and what a run came to if there was one, to everything that the profile names. How many of them failed, each of which is said.
pub fn tell(context: &Context, known: &Known, run: Option<&RunRecord>) -> usize {
    let Some(metrics) = context.metrics() else { return 0 };
    let facts = known.facts();
    let mut failed = 0;
    let mut said = |what: &str, result: Result<(), String>| {
        if let Err(why) = result {
            failed += 1;
            context.ui.warn(&format!("{what}: {why}"));
        }
    };
    if let Some(address) = &metrics.dogstatsd {
        let datagrams = datagrams(metrics, &facts, run);
        said("figures did not reach the agent", sinks::dogstatsd(&address.to_string(), &datagrams));
    }
    if let Some(file) = &metrics.prometheus_file {
        let written = sinks::file(file.get(), &prometheus::file(&facts));
        said("the file for Prometheus cannot be written", written.map_err(|e| e.to_string()));
    }
    let Some(run) = run else { return failed };
    let event = event::of(run, &known.host);
    let document = event::Document { schema: 1, command: "event", host: &known.host, event: &event, run };
    let Ok(body) = serde_json::to_string(&document) else { return failed };
    match sinks::webhook_address(metrics) {
        Ok(Some(address)) => said("the webhook", sinks::webhook(&address, body.clone())),
        Ok(None) => {}
        Err(error) => said("the webhook's file", Err(open::with_causes(&error))),
    }
    if let Some(command) = &metrics.command {
        let done = sinks::command(&command.0, &body, &context.ui);
        said("telling of this run", done.map_err(|error| open::with_causes(&error)));
    }
    failed
}

/// Everything for an agent: gauges, and of a run its counters, an event and a service check.
fn datagrams(metrics: &Metrics, facts: &Facts<'_>, run: Option<&RunRecord>) -> Vec<String> {
    let own = facts.common_tags().into_iter().map(|(name, value)| dogstatsd::tag(name, &value));
    let tags: Vec<String> = own.chain(metrics.dogstatsd_tags.iter().map(|tag| dogstatsd::tag_of(tag))).collect();
    let samples: Vec<Sample> = run.map(counters).into_iter().flatten().chain(gauges(facts)).collect();
    let mut found: Vec<String> = samples.iter().map(|sample| dogstatsd::metric(sample, &tags)).collect();
    if let Some(run) = run {
        let event: Event = event::of(run, facts.host);
        found.push(dogstatsd::event(&event, facts.host, &tags));
        if let Some((_, service)) = CHECKED.iter().find(|(command, _)| *command == run.command) {
            let status = match event.level {
                Level::Info => Status::Ok,
                Level::Warning => Status::Warning,
                Level::Error => Status::Critical,
            };
            let check = dogstatsd::service_check(service, status, &event.title, event.at_secs, facts.host, &tags);
            found.push(check);
        }
    }
    found
}
