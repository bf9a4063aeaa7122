//! Programs that a backup runs: hooks, and the clients of databases. Without a shell, with a time limit for them and all that they start.

use crate::error::{CommandError, Error, Result};
use crate::ops::Progress;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// How long a program may take where nothing is said.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);
/// A program that was asked to end has so long to do it.
const GRACE: Duration = Duration::from_secs(2);
/// What a program has left running keeps its output open: after its end, so long is waited for more.
const DRAIN: Duration = Duration::from_millis(500);
/// How often it is looked whether it has ended.
const TICK: Duration = Duration::from_millis(20);
/// More of the output than this is not kept.
const KEPT_BYTES: usize = 1 << 20;
/// Secrets of this program that no other needs.
const OWN_SECRETS: [&str; 2] = ["PANTHER_PASSWORD", "B2_APPLICATION_KEY"];

/// A program and its arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommandLine(Vec<String>);

/// The user and group as whom a program runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RunAs {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl CommandLine {
    /// Splits a text as a shell would, without running one.
    ///
    /// # Errors
    /// [`Error::Usage`] for a quote without an end, or nothing at all.
    pub fn parse(text: &str) -> Result<Self> {
        let words =
            shell_words::split(text).map_err(|_| Error::Usage("a command has a quote without an end".into()))?;
        Self::new(words)
    }

    /// These words.
    ///
    /// # Errors
    /// [`Error::Usage`] when there are none.
    pub fn new(words: Vec<String>) -> Result<Self> {
        match words.first() {
            Some(program) if !program.is_empty() => Ok(Self(words)),
            _ => Err(Error::Usage("a command is empty".into())),
        }
    }

    /// The program's name. Arguments may be secrets; this is not.
    pub fn program(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    /// The same with more arguments.
    #[must_use]
    pub fn with(&self, more: &[&str]) -> Self {
        Self(self.0.iter().cloned().chain(more.iter().map(|word| (*word).to_owned())).collect())
    }

    fn command(&self, run_as: Option<RunAs>) -> Command {
        let mut command = Command::new(self.program());
        command.args(self.0.get(1..).unwrap_or_default()).process_group(0);
        for name in OWN_SECRETS {
            command.env_remove(name);
        }
        if let Some(RunAs { uid, gid }) = run_as {
            command.uid(uid).gid(gid).current_dir("/");
        }
        command
    }

    /// Runs it to its end with `input` on its standard input. Returns its standard output; the standard error goes to the log.
    ///
    /// # Errors
    /// [`Error::Command`] when it cannot be started, fails, or takes too long: then it is killed with all that it has started (its process group).
    /// [`Error::Interrupted`].
    pub fn run(&self, what: &str, input: &str, limits: &Limits<'_>) -> Result<String> {
        let failed = |source| Error::Command { what: what.to_owned(), source };
        let mut command = self.command(limits.run_as);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().map_err(|e| failed(CommandError::Start(self.program().to_owned(), e)))?;
        let mut group = Group { child, ended: false };
        let (sender, receiver) = sync_channel(16);
        if let Some(pipe) = group.child.stdout.take() {
            follow(pipe, Stream::Out, sender.clone());
        }
        if let Some(pipe) = group.child.stderr.take() {
            follow(pipe, Stream::Err, sender.clone());
        }
        drop(sender);
        if let Some(mut pipe) = group.child.stdin.take() {
            let input = input.to_owned();
            // Who reads nothing must not stop this thread.
            std::thread::spawn(move || drop(pipe.write_all(input.as_bytes())));
        }
        let mut heard = Heard::default();
        let began = Instant::now();
        loop {
            heard.listen(&receiver, TICK);
            let status =
                group.child.try_wait().map_err(|e| failed(CommandError::Start(self.program().to_owned(), e)))?;
            if let Some(status) = status {
                group.ended = true;
                let until = Instant::now() + DRAIN;
                while !heard.is_over && Instant::now() < until {
                    heard.listen(&receiver, TICK);
                }
                heard.log(what, limits);
                if status.success() {
                    return Ok(String::from_utf8_lossy(&heard.out).into_owned());
                }
                return Err(failed(CommandError::Failed(how(status) + &heard.last_words())));
            }
            if limits.progress.cancelled() && !limits.finishes {
                return Err(Error::Interrupted);
            }
            if began.elapsed() >= limits.timeout {
                heard.log(what, limits);
                return Err(failed(CommandError::Timeout(limits.timeout.as_secs_f64())));
            }
        }
    }
}

impl CommandLine {
    /// Starts it: what it writes to its standard output is to be read, its standard error is this program's.
    ///
    /// # Errors
    /// [`Error::Command`] when it cannot be started.
    pub fn start(&self, what: &str) -> Result<(Running, ChildStdout)> {
        let failed =
            |e| Error::Command { what: what.to_owned(), source: CommandError::Start(self.program().to_owned(), e) };
        let mut command = self.command(None);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut group = Group { child: command.spawn().map_err(failed)?, ended: false };
        let out = group.child.stdout.take().ok_or_else(|| failed(std::io::ErrorKind::BrokenPipe.into()))?;
        Ok((Running { group, what: what.to_owned() }, out))
    }
}

/// A program that was started; killed with all that it has started when this is dropped.
pub struct Running {
    group: Group,
    what: String,
}

impl Running {
    /// Waits for its end, once it has closed its output.
    ///
    /// # Errors
    /// [`Error::Command`] when it has failed.
    pub fn wait(mut self) -> Result<()> {
        let failed = |source| Error::Command { what: self.what.clone(), source };
        let status = self.group.child.wait().map_err(|e| failed(CommandError::Start(self.what.clone(), e)))?;
        self.group.ended = true;
        if status.success() { Ok(()) } else { Err(failed(CommandError::Failed(how(status)))) }
    }
}

/// How a program has failed.
fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("it ended with exit code {code}"),
        (None, Some(signal)) => format!("it was killed by signal {signal}"),
        (None, None) => "it ended in an unknown way".to_owned(),
    }
}

/// Within which limits a program runs, and who hears of it.
pub struct Limits<'a> {
    /// How long it may take.
    pub timeout: Duration,
    /// As whom it runs; as this process where nothing is said.
    pub run_as: Option<RunAs>,
    /// Whether it is to run to its end even when the backup is interrupted: it puts something right again.
    pub finishes: bool,
    /// Whether what it writes to the standard output goes to the log, too.
    pub logs_output: bool,
    /// Where that is.
    pub progress: &'a dyn Progress,
}

/// A child and its process group: killed unless it has ended.
struct Group {
    child: Child,
    ended: bool,
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let Ok(raw) = i32::try_from(self.child.id()) else { return };
        let Some(group) = Pid::from_raw(raw) else { return };
        // Until it has been waited for, nobody else can have this number.
        let _ = kill_process_group(group, Signal::TERM);
        let until = Instant::now() + GRACE;
        while Instant::now() < until {
            // What it started may live on: the group gets the last signal as long as the number is taken.
            if is_gone(&self.child) {
                break;
            }
            std::thread::sleep(TICK);
        }
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Whether a child has ended; it stays to be waited for.
fn is_gone(child: &Child) -> bool {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else { return true };
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(pid), options), Ok(None))
}

#[derive(Clone, Copy)]
enum Stream {
    Out,
    Err,
}

fn follow(mut pipe: impl Read + Send + 'static, stream: Stream, sender: SyncSender<(Stream, Vec<u8>)>) {
    std::thread::spawn(move || {
        let mut buffer = vec![0; 8 << 10];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            let Some(read) = buffer.get(..count) else { return };
            if sender.send((stream, read.to_vec())).is_err() {
                return;
            }
        }
    });
}

/// What a program has said.
#[derive(Default)]
struct Heard {
    out: Vec<u8>,
    err: Vec<u8>,
    is_over: bool,
}

impl Heard {
    fn listen(&mut self, receiver: &Receiver<(Stream, Vec<u8>)>, most: Duration) {
        if self.is_over {
            return std::thread::sleep(most);
        }
        let until = Instant::now() + most;
        loop {
            match receiver.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok((stream, bytes)) => {
                    let kept = match stream {
                        Stream::Out => &mut self.out,
                        Stream::Err => &mut self.err,
                    };
                    kept.extend_from_slice(bytes.get(..KEPT_BYTES.saturating_sub(kept.len())).unwrap_or(&bytes));
                    if Instant::now() >= until {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout) => return,
                Err(RecvTimeoutError::Disconnected) => {
                    self.is_over = true;
                    return;
                }
            }
        }
    }

    fn log(&self, what: &str, limits: &Limits<'_>) {
        let out = if limits.logs_output { self.out.as_slice() } else { &[] };
        for text in [out, &self.err] {
            let text = String::from_utf8_lossy(text);
            text.lines().filter(|line| !line.trim().is_empty()).for_each(|line| {
                limits.progress.note(&format!("{what}: {line}"));
            });
        }
    }

    /// The end of what it said of its failure.
    fn last_words(&self) -> String {
        let text = String::from_utf8_lossy(&self.err);
        let last = text.lines().rev().find(|line| !line.trim().is_empty());
        last.map_or_else(String::new, |line| format!(": {}", line.trim()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ops::Silent;

    fn limits(timeout: Duration) -> Limits<'static> {
        Limits { timeout, run_as: None, finishes: false, logs_output: true, progress: &Silent }
    }

    const LONG: Duration = Duration::from_secs(60);

    fn run(words: &[&str], input: &str, timeout: Duration) -> Result<String> {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        CommandLine::new(words)?.run("the hook", input, &limits(timeout))
    }

    #[test]
    fn output_and_failures() {
        assert_eq!(run(&["cat"], "a\nb", LONG).unwrap(), "a\nb");
        assert_eq!(run(&["echo", "$HOME; x"], "", LONG).unwrap(), "$HOME; x\n");
        let error = run(&["sh", "-c", "echo no >&2; exit 7"], "", LONG).unwrap_err();
        assert_eq!(error.exit_code(), 8);
        let Error::Command { source, .. } = error else { panic!() };
        assert_eq!(source.to_string(), "it ended with exit code 7: no");
        assert!(matches!(
            run(&["/nowhere/at all"], "", LONG),
            Err(Error::Command { source: CommandError::Start(..), .. })
        ));
        assert!(CommandLine::parse("").is_err() && CommandLine::parse("a 'b").is_err());
        assert_eq!(
            CommandLine::parse("a 'b c' \"d\"").unwrap(),
            CommandLine(vec!["a".into(), "b c".into(), "d".into()])
        );
    }

    #[test]
    fn long_input_that_nobody_reads() {
        assert_eq!(run(&["true"], &"x".repeat(1 << 20), LONG).unwrap(), "");
    }

    /// What it has started is killed with it, even what does not listen to the first signal.
    #[test]
    fn a_timeout_kills_all() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script = format!(
            "(trap '' TERM; echo $$ > {0}.tmp; mv {0}.tmp {0}; sleep 1000 & wait; sleep 1000) & wait",
            file.display()
        );
        let script = script.replace("echo $$", "sh -c 'echo $PPID'");
        let error = run(&["sh", "-c", &script], "", Duration::from_secs(3)).unwrap_err();
        assert!(matches!(error, Error::Command { source: CommandError::Timeout(_), .. }), "{error:?}");
        let pid = std::fs::read_to_string(file).unwrap();
        // A signal takes a moment to arrive; a killed child of nobody may stay as a zombie where no init looks after it.
        let state = || std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        let is_dead = || state().is_empty() || state().contains(") Z ");
        for _ in 0..500 {
            if is_dead() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{}", state());
    }

    /// A hook may leave something running, such as a session that the other hook ends.
    #[test]
    fn what_is_left_running_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {}; echo done", file.display());
        assert_eq!(run(&["sh", "-c", &script], "", LONG).unwrap(), "done\n");
        let pid: i32 = std::fs::read_to_string(file).unwrap().trim().parse().unwrap();
        let pid = Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, Signal::KILL).unwrap();
    }
}
