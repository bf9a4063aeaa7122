//! `backup --stdin` and `--stdin-from-command`; lists of paths.

use crate::context::Context;
use panther::ops::Progress as _;
use panther::ops::database::CommandLine;
use panther::ops::list::absolute;
use panther::ops::stream::Input;
use panther::{Error, Result};
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Where `backup` takes its bytes or its paths from, if not from the command line.
#[derive(Debug, clap::Args)]
pub struct Streams {
    /// Back up the standard input as one file
    #[arg(long, conflicts_with_all = ["stdin_from_command", "paths", "files_from", "files_from0"])]
    stdin: bool,
    /// Back up what a command writes to its standard output as one file: the command follows after --; if it fails, there is no snapshot
    #[arg(long, requires = "paths", conflicts_with_all = ["files_from", "files_from0"])]
    stdin_from_command: bool,
    /// What that file is called in the snapshot
    #[arg(long, value_name = "NAME", default_value = "stdin")]
    stdin_filename: OsString,
    /// Back up what this file names, too: a path a line; - is the standard input
    #[arg(long, value_name = "FILE")]
    files_from: Vec<PathBuf>,
    /// As --files-from, with a NUL byte after each path
    #[arg(long, value_name = "FILE")]
    files_from0: Vec<PathBuf>,
}

impl Streams {
    /// The stream that is to be backed up, and its path in the snapshot; nothing if files are.
    ///
    /// # Errors
    /// [`Error::Usage`] for a command that makes no sense.
    pub fn input(&self, paths: &[PathBuf]) -> Result<Option<(Input, Vec<u8>)>> {
        let path = || absolute(self.stdin_filename.as_bytes());
        if self.stdin {
            return Ok(Some((Input::Stdin, path())));
        }
        if !self.stdin_from_command {
            return Ok(None);
        }
        let word = |path: &PathBuf| path.to_str().map(str::to_owned);
        let words: Option<Vec<String>> = paths.iter().map(word).collect();
        let words = words.ok_or_else(|| Error::Usage("the command's words are not all UTF-8".into()))?;
        Ok(Some((Input::Command(CommandLine::new(words)?), path())))
    }

    /// Whether paths come from files.
    pub fn has_lists(&self) -> bool {
        !(self.files_from.is_empty() && self.files_from0.is_empty())
    }

    /// The paths of those files.
    ///
    /// # Errors
    /// [`Error::Io`] when a list cannot be read; [`Error::Usage`] when all are empty.
    pub fn listed(&self, context: &Context) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        let lists = self.files_from.iter().map(|file| (file, b'\n'));
        for (file, end) in lists.chain(self.files_from0.iter().map(|file| (file, 0))) {
            let mut bytes = Vec::new();
            let failed = |e| Error::io("read", file, e);
            match file == Path::new("-") {
                true => std::io::stdin().lock().read_to_end(&mut bytes).map_err(failed)?,
                false => std::fs::File::open(file).and_then(|mut f| f.read_to_end(&mut bytes)).map_err(failed)?,
            };
            let paths = bytes.split(|byte| *byte == end).filter(|path| !path.is_empty());
            found.extend(paths.map(|path| PathBuf::from(OsStr::from_bytes(path))));
        }
        // What a program has found may be gone by now.
        let (there, gone): (Vec<PathBuf>, Vec<PathBuf>) =
            found.into_iter().partition(|path| path.symlink_metadata().is_ok());
        for path in gone {
            let shown = OsString::from_vec(path.into_os_string().into_vec());
            context.ui.warn(&format!("{} is not there and is left out", shown.display()));
        }
        Ok(there)
    }
}
