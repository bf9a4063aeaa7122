//! A restored PostgreSQL started, and asked something.

use crate::error::Error;
use crate::ops::Progress;
use crate::ops::database::CommandLine;
use crate::ops::database::command::{Limits, RunAs};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// Recovery of what was in the write-ahead log may take a while.
const PATIENCE: Duration = Duration::from_secs(900);

/// Runs the `postgres` of `bin` on the data folder `data`, as its owner and for one question only (its "single-user mode"): no network, no socket, nothing is
/// archived. It recovers first what was in the write-ahead log, as any start does.
///
/// # Errors
/// Why it does not run, in a sentence.
pub(super) fn postgresql(bin: &Path, data: &Path, progress: &dyn Progress) -> Result<(), String> {
    let words = |error: Error| {
        let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
        causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    };
    let meta = data.metadata().map_err(|e| format!("{}: {e}", data.display()))?;
    let is_root = rustix::process::geteuid().is_root();
    let run_as = (is_root && meta.uid() != 0).then_some(RunAs { uid: meta.uid(), gid: meta.gid() });
    let limits = Limits { timeout: PATIENCE, run_as, finishes: false, logs_output: false, progress };
    let program = bin.join("postgres").to_string_lossy().into_owned();
    let settings = ["archive_mode=off", "archive_command=", "logging_collector=off", "shared_preload_libraries="];
    let mut all = vec![program, "--single".into(), "-D".into(), data.to_string_lossy().into_owned()];
    all.extend(settings.iter().flat_map(|setting| ["-c".to_owned(), (*setting).to_owned()]));
    all.push("template1".into());
    let command = CommandLine::new(all).map_err(words)?;
    let said = command.run("the restored PostgreSQL", "select count(*) from pg_class\n", &limits).map_err(words)?;
    if said.contains("count = \"") { Ok(()) } else { Err("it ran, and gave no answer".into()) }
}
