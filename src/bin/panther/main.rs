//! The command line of panther: options in, reports out. What it does is in the library.

mod accounts;
mod b2;
mod browse;
mod budget;
mod cli;
mod commands;
mod confirm;
mod context;
mod facts;
mod guide;
mod harden;
mod moments;
mod money;
mod open;
mod profile;
mod reading;
mod roles;
mod rules;
mod scratch;
mod second;
mod secrets;
mod signals;
mod sinks;
mod telemetry;
mod ui;

use clap::{CommandFactory, FromArgMatches};
use context::Context;
use panther::ops::Progress as _;
use panther::report::json::{Document, ErrorBody, Failure};
use panther::report::text;
use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    harden::process();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let matches = cli::Cli::command().try_get_matches_from(&arguments);
    let (mut cli, matches) = match matches.and_then(|m| cli::Cli::from_arg_matches(&m).map(|cli| (cli, m))) {
        Ok(parsed) => parsed,
        Err(error) => return usage(&error, &arguments),
    };
    let (name, json) = (cli.command.name(), cli.globals.json);
    let profile = match profile::overlay(&mut cli, &matches) {
        Ok(profile) => profile,
        Err(error) => return failed(&error, name, json),
    };
    let context = match Context::new(cli.globals, profile, &cli.command) {
        Ok(context) => context,
        Err(error) => return failed(&error, name, json),
    };
    let result = commands::run(&cli.command, &context);
    context.ui.finish();
    if let Err(error) = context.accounts.close() {
        // What was done is done all the same.
        context.ui.warn(&format!(
            "what this run asked of the store is missing from the ledger: {}",
            open::with_causes(&error)
        ));
    }
    telemetry::finish(&context, &result);
    match result {
        Ok(outcome) => ExitCode::from(outcome.exit_code()),
        Err(error) => failed(&error, name, json),
    }
}

/// Says what went wrong, to people and, where it was asked for, to programs.
fn failed(error: &panther::Error, command: &str, json: bool) -> ExitCode {
    if is_broken_pipe(error) {
        // Whoever read the output has seen enough.
        return ExitCode::from(141);
    }
    let failure = Failure::new(error);
    tell(&failure, command, json);
    ExitCode::from(failure.exit_code)
}

fn tell(failure: &Failure, command: &str, json: bool) {
    // Nowhere is left to complain to if this fails.
    let _ = std::io::stderr().write_all(failure.text().as_bytes());
    if json && let Ok(document) = serde_json::to_string(&Document::new(command, ErrorBody { error: failure })) {
        let _ = writeln!(std::io::stdout(), "{document}");
    }
}

fn is_broken_pipe(error: &panther::Error) -> bool {
    matches!(error, panther::Error::Io { path, source, .. }
        if path.as_os_str() == context::STDOUT && source.kind() == ErrorKind::BrokenPipe)
}

/// `--help`, `--version`, or a command line that makes no sense.
fn usage(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    if !error.use_stderr() {
        return if error.print().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let _ = error.print();
    if arguments.iter().any(|argument| argument == "--json") {
        let message = error.to_string();
        let first = message.lines().next().unwrap_or_default();
        let failure = Failure {
            message: text::message(first.strip_prefix("error: ").unwrap_or(first)),
            causes: Vec::new(),
            hint: Some("see `panther --help`".into()),
            exit_code: 2,
        };
        if let Ok(document) = serde_json::to_string(&Document::new("panther", ErrorBody { error: &failure })) {
            let _ = writeln!(std::io::stdout(), "{document}");
        }
    }
    ExitCode::from(2)
}
