//! Redis: all that was acknowledged is in its files before the snapshot is taken. Source: the Redis commands BGSAVE, LASTSAVE, INFO, CONFIG GET.

use super::command::{CommandLine, Limits};
use super::spec::Database;
use crate::error::{CommandError, Error, Result};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often it is asked whether it is done.
const POLL: Duration = Duration::from_millis(100);

/// What was found and done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Saved {
    /// Whether it keeps an append-only file.
    pub appends: bool,
    /// Where its files are.
    pub folder: PathBuf,
}

struct Client<'a> {
    command: CommandLine,
    what: String,
    limits: Limits<'a>,
    began: Instant,
}

impl Client<'_> {
    fn failed(&self, why: String) -> Error {
        Error::Command { what: self.what.clone(), source: CommandError::Failed(why) }
    }

    fn ask(&self, words: &[&str]) -> Result<String> {
        let left = self.limits.timeout.checked_sub(self.began.elapsed());
        let Some(timeout) = left.filter(|left| !left.is_zero()) else {
            return Err(Error::Command {
                what: self.what.clone(),
                source: CommandError::Timeout(self.limits.timeout.as_secs_f64()),
            });
        };
        let answer = self.command.with(words).run(&self.what, "", &Limits { timeout, ..self.limits })?;
        let refused = ["ERR ", "NOAUTH", "NOPERM", "WRONGPASS", "LOADING", "MISCONF", "BUSY", "DENIED"];
        if refused.iter().any(|start| answer.starts_with(start)) {
            return Err(self.failed(format!("{}: {}", words.join(" "), answer.trim())));
        }
        Ok(answer)
    }

    fn persistence(&self) -> Result<Persistence> {
        Persistence::parse(&self.ask(&["INFO", "persistence"])?)
            .ok_or_else(|| self.failed("INFO persistence does not say what it should".into()))
    }

    fn last_save(&self) -> Result<i64> {
        let text = self.ask(&["LASTSAVE"])?;
        text.trim().parse().map_err(|_| self.failed(format!("LASTSAVE: {}", text.trim())))
    }

    fn setting(&self, name: &str) -> Result<String> {
        let text = self.ask(&["CONFIG", "GET", name])?;
        let value = text.lines().nth(1).map(str::to_owned);
        value.ok_or_else(|| self.failed(format!("CONFIG GET {name}: {}", text.trim())))
    }

    /// Saves everything.
    fn save(&self) -> Result<()> {
        // A save that is under way began too early.
        while self.persistence()?.saving {
            self.wait()?;
        }
        let before = self.last_save()?;
        // Saves are told apart by the second in which they ended.
        while self.ask(&["TIME"])?.lines().next().and_then(|secs| secs.trim().parse::<i64>().ok()) <= Some(before) {
            self.wait()?;
        }
        loop {
            match self.ask(&["BGSAVE"]) {
                Ok(answer) if answer.contains("started") => break,
                Ok(answer) => return Err(self.failed(format!("BGSAVE: {}", answer.trim()))),
                // Somebody else was quicker.
                Err(Error::Command { source: CommandError::Failed(why), .. })
                    if why.contains("child process") || why.contains("in progress") => {}
                Err(error) => return Err(error),
            }
            self.wait()?;
        }
        loop {
            let (state, last) = (self.persistence()?, self.last_save()?);
            // Only a save that has succeeded moves this.
            if last != before {
                return Ok(());
            }
            if !state.saving {
                return Err(self.failed("BGSAVE has failed: its log says why".into()));
            }
            self.wait()?;
        }
    }

    /// Waits until all that was acknowledged is in the append-only file: that may wait for an fsync of what was before.
    fn written(&self) -> Result<()> {
        loop {
            let state = self.persistence()?;
            if !state.append_ok {
                return Err(self.failed("it could not write its append-only file: its log says why".into()));
            }
            if state.unwritten_bytes == 0 {
                return Ok(());
            }
            self.wait()?;
        }
    }

    fn wait(&self) -> Result<()> {
        if self.limits.progress.cancelled() {
            return Err(Error::Interrupted);
        }
        std::thread::sleep(POLL);
        Ok(())
    }
}

/// What `INFO persistence` says.
#[derive(PartialEq, Eq, Debug)]
struct Persistence {
    loading: bool,
    saving: bool,
    appends: bool,
    append_ok: bool,
    /// Bytes that were acknowledged and are not in the file.
    unwritten_bytes: u64,
}

impl Persistence {
    fn parse(text: &str) -> Option<Self> {
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':').map(str::trim));
        let appends = value("aof_enabled")? == "1";
        Some(Self {
            loading: value("loading")? != "0",
            saving: value("rdb_bgsave_in_progress")? != "0",
            appends,
            append_ok: value("aof_last_write_status")? == "ok",
            // Both are there only where there is such a file.
            unwritten_bytes: if appends { value("aof_buffer_length")?.parse().ok()? } else { 0 },
        })
    }
}

/// Has it write all that it holds, and waits for that: with an append-only file, what it still owes to that; otherwise a save of everything.
///
/// # Errors
/// [`Error::Command`]: it cannot be reached, keeps its files elsewhere, is loading, cannot save, or takes too long.
pub fn quiesce(database: &Database, folder: &Path, limits: Limits<'_>) -> Result<Saved> {
    let command = match &database.client {
        Some(client) => client.clone(),
        None => CommandLine::new(vec!["redis-cli".into()])?,
    };
    let client = Client { command, what: database.label(), limits, began: Instant::now() };
    let state = client.persistence()?;
    if state.loading {
        return Err(client.failed("it is still loading its data".into()));
    }
    let its = client.setting("dir")?;
    let at = Path::new(&its).canonicalize().ok().filter(|at| at.starts_with(folder));
    let Some(at) = at else {
        return Err(client.failed(format!("the one that answers keeps its files in {its}")));
    };
    if state.appends {
        client.written()?
    } else {
        client.save()?
    }
    Ok(Saved { appends: state.appends, folder: at })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_info_says() {
        let text = "# Persistence\r\nloading:0\r\nrdb_bgsave_in_progress:1\r\nrdb_last_bgsave_status:err\r\naof_enabled:0\r\naof_last_write_status:ok\r\n";
        let want = Persistence { loading: false, saving: true, appends: false, append_ok: true, unwritten_bytes: 0 };
        assert_eq!(Persistence::parse(text), Some(want));
        let with = text.replace("aof_enabled:0", "aof_enabled:1\r\naof_buffer_length:17");
        assert_eq!(Persistence::parse(&with).unwrap().unwritten_bytes, 17);
        assert_eq!(Persistence::parse(&text.replace("loading", "x")), None);
    }
}
