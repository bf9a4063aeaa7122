//! What a run came to: into the history of this machine, and to whoever is to be told.

use crate::commands::Outcome;
use crate::context::Context;
use crate::open;
use panther::report::text;
use panther::state::runs::{RunRecord, Runs};
use std::sync::PoisonError;

/// Commands that are worth remembering.
const NOTED: [&str; 10] =
    ["backup", "restore", "check", "forget", "prune", "repair", "copy", "drill", "snapshot create", "snapshot prune"];

/// Notes how the command has ended, and tells whom the profile names. What goes wrong with that is said, and changes nothing.
pub fn finish(context: &Context, result: &panther::Result<Outcome>) {
    let mut record = context.record.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if !NOTED.contains(&record.command.as_str()) || record.is_dry {
        return;
    }
    // What makes no sense has not run.
    if matches!(result, Err(panther::Error::Usage(_))) {
        return;
    }
    complete(&mut record, context, result);
    let Ok(folder) = open::state_folder(context) else { return };
    if let Err(error) = Runs::at(&folder).add(&record) {
        panther::ops::Progress::warn(
            &context.ui,
            &format!("this run is missing from the history: {}", open::with_causes(&error)),
        );
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
