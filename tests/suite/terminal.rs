//! Programs in a pseudo-terminal.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

const ROWS: u16 = 40;
const COLUMNS: u16 = 150;

/// A program in a terminal, and whoever sits there.
pub struct Terminal {
    child: Child,
    keyboard: ChildStdin,
    screen: Receiver<Vec<u8>>,
    /// What was shown and not looked at yet.
    shown: String,
    all: String,
    /// What is seen of it.
    glass: vt100::Parser,
}

impl Terminal {
    /// Whether there can be one; if not, that is said.
    pub fn is_there() -> bool {
        let is_there = Command::new("script").arg("--version").output().is_ok();
        if !is_there {
            println!("skipped: there is no `script`, of util-linux, to make a terminal");
        }
        is_there
    }

    /// `script` makes the terminal.
    pub fn new(command: &Command) -> Self {
        let words: Vec<_> = [command.get_program()].into_iter().chain(command.get_args()).collect();
        let line = shell_words::join(words.iter().map(|word| word.to_str().unwrap()));
        // Of a terminal whose size is 0 nothing is drawn.
        let line = format!("stty rows {ROWS} cols {COLUMNS}; exec {line}");
        let mut script = Command::new("script");
        script.args(["-qfec", &line, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        script.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        script.env("TERM", "xterm").env("SHELL", "/bin/sh").current_dir(command.get_current_dir().unwrap());
        let mut child = script.spawn().unwrap();
        let (keyboard, mut out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (send, screen) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = out.read(&mut buffer) {
                if send.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            keyboard,
            screen,
            shown: String::new(),
            all: String::new(),
            glass: vt100::Parser::new(ROWS.try_into().unwrap(), COLUMNS.try_into().unwrap(), 0),
        }
    }

    /// Waits until it shows `text`.
    pub fn see(&mut self, text: &str) {
        self.wait(text, |terminal| terminal.shown.contains(text));
        let at = self.shown.find(text).unwrap() + text.len();
        self.shown.drain(..at);
    }

    /// Waits until `text` is on the screen, however it came there.
    pub fn see_on_screen(&mut self, text: &str) {
        self.wait(text, |terminal| terminal.glass.screen().contents().contains(text));
    }

    fn wait(&mut self, text: &str, is_there: impl Fn(&Self) -> bool) {
        let end = Instant::now() + Duration::from_secs(120);
        while !is_there(self) {
            match self.screen.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(bytes) => {
                    self.glass.process(&bytes);
                    let more = String::from_utf8_lossy(&bytes);
                    self.shown += &more;
                    self.all += &more;
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("“{text}” does not come:\n{}\n{}", self.all, self.glass.screen().contents())
                }
            }
        }
    }

    pub fn type_in(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    /// Waits for a question and answers it.
    pub fn answer(&mut self, question: &str, answer: &str) {
        self.see(question);
        self.type_in(&format!("{answer}\n"));
    }

    /// The exit code.
    pub fn end(mut self) -> (i32, String) {
        while let Ok(bytes) = self.screen.recv_timeout(Duration::from_secs(120)) {
            self.all += &String::from_utf8_lossy(&bytes);
        }
        (self.child.wait().unwrap().code().unwrap_or(-1), std::mem::take(&mut self.all))
    }
}

/// A test that fails leaves nobody waiting for a key.
impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
