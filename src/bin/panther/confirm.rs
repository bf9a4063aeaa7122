//! Asking before something is changed.

use crate::context::Context;
use panther::report::text;
use panther::{Error, Result};
use std::io::{BufRead, IsTerminal, Write};

/// Whether to go on: if `yes` is given; else, on a terminal, if whoever sits there types `word` (or y, if there is none). Elsewhere nobody can be asked.
///
/// # Errors
/// [`Error::Io`] when the terminal cannot be read.
pub fn confirm(context: &Context, yes: bool, plan: &str, question: &str, word: Option<&str>) -> Result<bool> {
    if yes {
        return Ok(true);
    }
    if context.globals.json || !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Ok(false);
    }
    context.ui.finish();
    let how = word.map_or_else(|| "y/N".to_owned(), |word| format!("type {word} to go on"));
    let mut error = std::io::stderr();
    let io = |e| Error::io("ask on", "the terminal", e);
    write!(error, "{plan}{} [{how}] ", text::message(question)).and_then(|()| error.flush()).map_err(io)?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(io)?;
    let answer = answer.trim();
    Ok(match word {
        Some(word) => answer == word,
        None => ["y", "yes"].contains(&answer.to_ascii_lowercase().as_str()),
    })
}
