//! `report`: a page that shows how backups are.

use super::{Outcome, status};
use crate::context::Context;
use crate::sinks;
use panther::report::json::Document;
use panther::report::page::page;
use panther::{Error, Result};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Options of `report`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther -p nightly report --html /var/www/backups
  panther -p nightly report

Writes index.html and status.json into the folder: a page without a script that needs nothing from anywhere,
for any web server. Without --html, the files that the profile's [status] names.")]
pub struct Options {
    /// The folder, made if need be
    #[arg(long, value_name = "DIR")]
    html: Option<PathBuf>,
}

/// Writes the page.
pub fn run(options: &Options, context: &Context) -> Result<Outcome> {
    let named = context.profile().and_then(|profile| profile.status.as_ref());
    let (html, json) = match &options.html {
        Some(folder) => {
            std::fs::create_dir_all(folder).map_err(|e| Error::io("make", folder, e))?;
            (Some(folder.join("index.html")), Some(folder.join("status.json")))
        }
        None => {
            let file = |path: Option<&panther::config::values::AbsolutePath>| path.map(|path| path.get().clone());
            (file(named.and_then(|s| s.html_file.as_ref())), file(named.and_then(|s| s.json_file.as_ref())))
        }
    };
    if html.is_none() && json.is_none() {
        return Err(Error::Usage("where to? Name a folder with --html, or files in the profile's [status]".into()));
    }
    let found = status::look(context)?;
    let mut written = Vec::new();
    if let Some(path) = &html {
        write(path, &page(&found, &context.zone))?;
        written.push(path.display().to_string());
    }
    if let Some(path) = &json {
        let document = serde_json::to_string(&Document::new("status", &found)).unwrap_or_default();
        write(path, &(document + "\n"))?;
        written.push(path.display().to_string());
    }
    let lines = || written.iter().map(|path| format!("{path}\n")).collect::<String>();
    context.report(json!({ "files": written }), lines)?;
    Ok(Outcome::Complete)
}

fn write(path: &Path, text: &str) -> Result<()> {
    sinks::file(path, text).map_err(|e| Error::io("write", path, e))
}
