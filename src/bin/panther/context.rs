//! What every command gets: the global options, somebody to report to, the way out.

use crate::cli::{Command, Globals};
use crate::profile::Overlaid;
use crate::signals;
use crate::ui::Ui;
use jiff::tz::TimeZone;
use panther::config::Profile;
use panther::report::json::Document;
use panther::{Error, Result};
use serde::Serialize;
use std::io::{self, BufWriter, StdoutLock, Write};

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
    name: &'static str,
}

impl Context {
    /// The context of `command`.
    ///
    /// # Errors
    /// [`Error::Io`] when no signal handler can be installed.
    pub fn new(globals: Globals, overlaid: Overlaid, command: &Command) -> Result<Self> {
        let cancelled = signals::flag(command.clears_away())?;
        let ui = Ui::new(globals.quiet, globals.verbose, cancelled);
        if let Some(in_use) = &overlaid.in_use {
            ui.verbose(|| format!("using the profile {} of {}", in_use.name, in_use.file.display()));
        }
        Ok(Self { globals, overlaid, ui, zone: TimeZone::system(), name: command.name() })
    }

    /// The profile in use.
    pub fn profile(&self) -> Option<&Profile> {
        self.overlaid.in_use.as_ref().map(|in_use| &in_use.profile)
    }

    /// Writes a result: a JSON document if that was asked for, else the text.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn emit(&self, body: impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
        self.ui.finish();
        let mut out = self.out();
        if self.globals.json {
            self.line(&mut out, body)?;
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
        self.emit(body, || if quiet { String::new() } else { text() })
    }

    /// Writes one JSON document on one line.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn line(&self, out: &mut impl Write, body: impl Serialize) -> Result<()> {
        serde_json::to_writer(&mut *out, &Document::new(self.name, body)).map_err(|e| write_failed(e.into()))?;
        out.write_all(b"\n").map_err(write_failed)
    }

    /// The standard output, buffered.
    pub fn out(&self) -> BufWriter<StdoutLock<'static>> {
        BufWriter::with_capacity(64 << 10, io::stdout().lock())
    }
}

/// The error of a failed write to the standard output.
pub fn write_failed(error: io::Error) -> Error {
    Error::io("write to", STDOUT, error)
}
