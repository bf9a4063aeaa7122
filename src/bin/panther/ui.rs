//! Progress for people: a bar on a terminal, a line now and then elsewhere; always on the standard error.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use panther::ops::{Progress, Totals};
use panther::report::{progress, text, units};
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often a bar is drawn.
const BAR_INTERVAL: Duration = Duration::from_millis(100);
/// How often a line is written where there is no terminal.
const LOG_INTERVAL: Duration = Duration::from_secs(30);

/// What is going on.
struct Stage {
    what: &'static str,
    totals: Totals,
    began: Instant,
    /// On a terminal.
    bar: Option<ProgressBar>,
}

#[derive(Default)]
struct Shared {
    files: AtomicU64,
    bytes: AtomicU64,
    stage: Mutex<Option<Stage>>,
    /// Raised when the reporting thread shall end.
    ended: Mutex<bool>,
    wake: Condvar,
}

/// Reports to the standard error.
pub struct Ui {
    quiet: bool,
    verbose: bool,
    terminal: bool,
    cancelled: Arc<AtomicBool>,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded here is whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ui {
    /// `cancelled` is set by a signal.
    pub fn new(quiet: bool, verbose: bool, cancelled: Arc<AtomicBool>) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { quiet, verbose, terminal, cancelled, shared: Arc::default(), thread: Mutex::default() }
    }

    /// Says something that is asked for with `--verbose`.
    pub fn verbose(&self, message: impl FnOnce() -> String) {
        if self.verbose {
            self.say(&message());
        }
    }

    /// Takes the bar away and stops reporting. A new stage begins anew.
    pub fn finish(&self) {
        self.shared.end_stage(!self.quiet && !self.terminal);
        *lock(&self.shared.ended) = true;
        self.shared.wake.notify_all();
        if let Some(thread) = lock(&self.thread).take() {
            // A panic there has lost nothing but a line of progress.
            let _ = thread.join();
        }
        *lock(&self.shared.ended) = false;
    }

    fn say(&self, message: &str) {
        self.shared.say(&text::message(message));
    }

    fn report_regularly(&self) {
        let mut thread = lock(&self.thread);
        if thread.is_some() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let interval = if self.terminal { BAR_INTERVAL } else { LOG_INTERVAL };
        let run = move || shared.report_until_ended(interval);
        // Without a thread there is no progress to be seen, which is no reason to stop.
        *thread = std::thread::Builder::new().name("progress".into()).spawn(run).ok();
    }
}

impl Drop for Ui {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Shared {
    fn say(&self, line: &str) {
        let write = || {
            // There is nobody to tell if this fails.
            let _ = writeln!(std::io::stderr(), "{line}");
        };
        match &*lock(&self.stage) {
            Some(Stage { bar: Some(bar), .. }) => bar.suspend(write),
            _ => write(),
        }
    }

    fn done(&self, stage: &Stage) -> progress::Done {
        let (files, bytes) = (self.files.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed));
        progress::Done { files, bytes, secs: stage.began.elapsed().as_secs_f64() }
    }

    fn report_until_ended(&self, interval: Duration) {
        let mut ended = lock(&self.ended);
        loop {
            let waited = self.wake.wait_timeout_while(ended, interval, |ended| !*ended);
            ended = waited.unwrap_or_else(PoisonError::into_inner).0;
            if *ended {
                return;
            }
            self.report();
        }
    }

    fn report(&self) {
        let stage = lock(&self.stage);
        let Some(stage) = &*stage else { return };
        let done = self.done(stage);
        let line = progress::line(done, stage.totals);
        match &stage.bar {
            Some(bar) => {
                let position = if stage.totals.bytes.is_some() { done.bytes } else { done.files };
                bar.set_position(position);
                bar.set_message(line);
                bar.tick();
            }
            None => {
                let _ = writeln!(std::io::stderr(), "{}: {line}", stage.what);
            }
        }
    }

    /// With `log`, says what the stage has come to if that took a while.
    fn end_stage(&self, log: bool) {
        let Some(stage) = lock(&self.stage).take() else { return };
        let done = self.done(&stage);
        if let Some(bar) = stage.bar {
            bar.finish_and_clear();
        } else if log && done.secs >= 1.0 {
            let line = progress::line(done, Totals::default());
            let took = units::duration(done.secs);
            let _ =
                writeln!(std::io::stderr(), "{}: {line}{}{took}", stage.what, if line.is_empty() { "" } else { ", " });
        }
    }
}

fn bar(what: &'static str, totals: Totals) -> ProgressBar {
    let total = totals.bytes.or(totals.files);
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
    let template = if total.is_some() {
        "{prefix} [{bar:24}] {percent:>3} %  {wide_msg}"
    } else {
        "{spinner} {prefix}  {wide_msg}"
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
    bar.set_style(style.progress_chars("=> ").tick_chars("|/-\\ "));
    bar.set_prefix(what);
    bar
}

impl Progress for Ui {
    fn stage(&self, what: &'static str, totals: Totals) {
        if self.quiet {
            return;
        }
        self.shared.end_stage(!self.terminal);
        self.shared.files.store(0, Ordering::Relaxed);
        self.shared.bytes.store(0, Ordering::Relaxed);
        let bar = self.terminal.then(|| bar(what, totals));
        if !self.terminal {
            let of = progress::line(progress::Done::default(), totals);
            self.shared.say(&if of.is_empty() { what.to_owned() } else { format!("{what}: {of}") });
        }
        *lock(&self.shared.stage) = Some(Stage { what, totals, began: Instant::now(), bar });
        self.report_regularly();
    }

    fn advance(&self, files: u64, bytes: u64) {
        self.shared.files.fetch_add(files, Ordering::Relaxed);
        self.shared.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn warn(&self, message: &str) {
        self.say(&format!("warning: {message}"));
    }

    fn note(&self, message: &str) {
        if !self.quiet {
            self.say(message);
        }
    }

    fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst)
    }
}
