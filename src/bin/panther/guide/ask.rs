//! Questions on a terminal, and their answers.

use panther::report::text;
use panther::{Error, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use zeroize::Zeroizing;

/// How long a question waits before it looks whether somebody wants to stop.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// More than a terminal gives at a time (termios(3), `ICANON`).
const LINE_BYTES: usize = 8 << 10;

/// Whether somebody sits there who can be asked.
pub fn is_possible() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Whoever sits at the terminal.
pub struct Asker<'a> {
    /// Set when they want to stop.
    pub cancelled: &'a AtomicBool,
}

impl Asker<'_> {
    /// Says something.
    pub fn say(&self, words: &str) {
        let _ = writeln!(std::io::stderr(), "{words}");
    }

    /// A line, without blanks around it; `default` if it is empty.
    ///
    /// # Errors
    /// [`Error::Interrupted`] by a signal, or when the terminal goes away; [`Error::Io`].
    pub fn line(&self, question: &str, default: &str) -> Result<String> {
        let shown = if default.is_empty() { String::new() } else { format!(" [{}]", text::message(default)) };
        self.put(&format!("{question}{shown}: "))?;
        let answer = self.typed()?;
        let answer = answer.trim();
        Ok(if answer.is_empty() { default.to_owned() } else { answer.to_owned() })
    }

    fn put(&self, words: &str) -> Result<()> {
        let mut error = std::io::stderr();
        error.write_all(words.as_bytes()).and_then(|()| error.flush()).map_err(failed)
    }

    /// What is typed, up to Return: a terminal gives no more at a time.
    fn typed(&self) -> Result<Zeroizing<String>> {
        let stdin = std::io::stdin();
        loop {
            let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
            let ready = match poll(&mut fds, Some(&LOOK)) {
                Err(Errno::INTR) => 0,
                other => other.map_err(failed)?,
            };
            if self.cancelled.load(Ordering::Relaxed) {
                self.say("");
                return Err(Error::Interrupted);
            }
            if ready > 0 {
                break;
            }
        }
        // Not through the standard library's buffer, in which a secret would stay.
        let mut bytes = Zeroizing::new(vec![0; LINE_BYTES]);
        let read = retry_on_intr(|| rustix::io::read(&stdin, bytes.as_mut_slice())).map_err(failed)?;
        if read == 0 {
            self.say("");
            return Err(Error::Interrupted);
        }
        bytes.truncate(read);
        let text = std::str::from_utf8(&bytes).map_err(|_| Error::Usage("what was typed is no UTF-8".into()))?;
        Ok(Zeroizing::new(text.trim_end_matches(['\n', '\r']).to_owned()))
    }

    /// Whether they say yes. Anything but y and yes is no.
    ///
    /// # Errors
    /// As [`Asker::line`].
    pub fn yes(&self, question: &str) -> Result<bool> {
        let answer = self.line(&format!("{question} [y/N]"), "")?;
        Ok(["y", "yes"].contains(&answer.to_ascii_lowercase().as_str()))
    }

    /// A number from 1 to `most`, or what `other` makes of the answer. Asks until it is one of them.
    ///
    /// # Errors
    /// As [`Asker::line`].
    pub fn choice(
        &self,
        question: &str,
        default: &str,
        most: usize,
        other: impl Fn(&str) -> Option<usize>,
    ) -> Result<usize> {
        loop {
            let answer = self.line(question, default)?;
            let number =
                answer.parse().ok().filter(|number| (1..=most).contains(number)).map(|number: usize| number - 1);
            match number.or_else(|| other(&answer)) {
                Some(chosen) => return Ok(chosen),
                None => self.say(&format!("“{}” is none of these.", text::message(&answer))),
            }
        }
    }

    /// A secret, without showing it.
    ///
    /// # Errors
    /// As [`Asker::line`].
    pub fn secret(&self, question: &str) -> Result<Zeroizing<String>> {
        let hidden = Hidden::new()?;
        self.put(&format!("{question}: "))?;
        let answer = self.typed();
        drop(hidden);
        self.say("");
        answer
    }
}

/// The terminal, while it does not show what is typed.
struct Hidden(Termios);

impl Hidden {
    /// Before the question, so that nobody is too quick for it.
    fn new() -> Result<Self> {
        let before = tcgetattr(std::io::stdin()).map_err(failed)?;
        let mut silent = before.clone();
        silent.local_modes -= LocalModes::ECHO;
        tcsetattr(std::io::stdin(), OptionalActions::Now, &silent).map_err(failed)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}

fn failed(error: impl Into<std::io::Error>) -> Error {
    Error::io("ask on", "the terminal", error.into())
}
