//! What every command gets: the global options, somebody to report to, the way out.

use crate::accounts::Accounts;
use crate::cli::{Command, Globals};
use crate::profile::Overlaid;
use crate::signals;
use crate::ui::Ui;
use jiff::tz::TimeZone;
use panther::backend::b2::B2Backend;
use panther::config::Profile;
use panther::config::types::Metrics;
use panther::report::json::Document;
use panther::report::usage::line;
use panther::state::runs::RunRecord;
use panther::{Error, Result};
use serde::Serialize;
use std::io::{self, BufWriter, StdoutLock, Write};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

/// What errors call the standard output.
pub const STDOUT: &str = "the standard output";

/// Everything a command needs beside its own options.
pub struct Context {
    /// The global options.
    pub globals: Globals,
    /// The profile in use, and where settings come from.
    pub overlaid: Overlaid,
    /// Progress and warnings.
    pub ui: Ui,
    /// The zone in which times are shown.
    pub zone: TimeZone,
    /// The stores that count what is asked of them.
    pub accounts: Accounts,
    /// The store in use, if it is one of Backblaze B2.
    pub b2: OnceLock<Arc<B2Backend>>,
    /// Set by the first signal.
    pub cancelled: Arc<AtomicBool>,
    /// What this run comes to, for the history and for metrics.
    pub record: Mutex<RunRecord>,
    /// When it began.
    pub began: Instant,
    name: &'static str,
}

impl Context {
    /// The context of `command`.
    ///
    /// # Errors
    /// [`Error::Io`] when no signal handler can be installed.
    pub fn new(globals: Globals, overlaid: Overlaid, command: &Command) -> Result<Self> {
        let cancelled = signals::flag(command.clears_away())?;
        let ui = Ui::new(globals.quiet, globals.verbose, Arc::clone(&cancelled));
        if let Some(in_use) = &overlaid.in_use {
            ui.verbose(|| format!("using the profile {} of {}", in_use.name, in_use.file.display()));
        }
        let (zone, accounts) = (TimeZone::system(), Accounts::default());
        let name = command.name();
        let started_secs = panther::format::time::Time::now().secs;
        let record = Mutex::new(RunRecord { command: name.to_owned(), started_secs, ..RunRecord::default() });
        Ok(Self {
            globals,
            overlaid,
            ui,
            zone,
            accounts,
            b2: OnceLock::new(),
            cancelled,
            record,
            began: Instant::now(),
            name,
        })
    }

    /// Notes something of this run, for the history and for metrics.
    pub fn note(&self, change: impl FnOnce(&mut RunRecord)) {
        change(&mut self.record.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The profile in use.
    pub fn profile(&self) -> Option<&Profile> {
        self.overlaid.in_use.as_ref().map(|in_use| &in_use.profile)
    }

    /// Where metrics go, if anywhere.
    pub fn metrics(&self) -> Option<&Metrics> {
        self.profile().and_then(|profile| profile.metrics.as_ref())
    }

    /// Writes a result: a JSON document if that was asked for, else the text.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn emit(&self, body: impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
        self.ui.finish();
        let mut out = self.out();
        if self.globals.json {
            let document = Document::new(self.name, body).with_calls(self.accounts.usage());
            write_document(&mut out, &document)?;
        } else {
            out.write_all(text().as_bytes()).map_err(write_failed)?;
        }
        out.flush().map_err(write_failed)
    }

    /// As [`Context::emit`], for what people need not see with `--quiet`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn report(&self, body: impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
        let quiet = self.globals.quiet;
        let calls = || line(&self.accounts.usage()).unwrap_or_default();
        self.emit(body, || if quiet { String::new() } else { text() + &calls() })
    }

    /// Writes one JSON document on one line.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn line(&self, out: &mut impl Write, body: impl Serialize) -> Result<()> {
        write_document(out, &Document::new(self.name, body))
    }

    /// The standard output, buffered.
    pub fn out(&self) -> BufWriter<StdoutLock<'static>> {
        BufWriter::with_capacity(64 << 10, io::stdout().lock())
    }
}

fn write_document(out: &mut impl Write, document: &impl Serialize) -> Result<()> {
    serde_json::to_writer(&mut *out, document).map_err(|e| write_failed(e.into()))?;
    out.write_all(b"\n").map_err(write_failed)
}

/// The error of a failed write to the standard output.
pub fn write_failed(error: io::Error) -> Error {
    Error::io("write to", STDOUT, error)
}
