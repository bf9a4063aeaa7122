//! `browse`: snapshots and what is in them, on the whole terminal.

mod load;
mod model;
mod view;

use crate::commands::Outcome;
use crate::context::Context;
use crate::guide::{ask::Asker, choose};
use crate::open;
use model::{Do, Key, Model, Row};
use panther::ops::Progress as _;
use panther::ops::restore::{RestoreOptions, restore};
use panther::repo::Repository;
use panther::repo::snapshots::Snapshot;
use panther::report::restore as report;
use panther::state::State;
use panther::{Error, Result};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long it waits for a key before it looks whether somebody wants to stop.
const LOOK: Duration = Duration::from_millis(200);
/// Rows of a page.
const PAGE: isize = 15;

struct Browser<'a> {
    context: &'a Context,
    repo: &'a Repository,
    state: &'a State,
    snapshots: Vec<Snapshot>,
}

/// Shows it until somebody leaves.
///
/// # Errors
/// Whatever is wrong with the terminal; [`Error::Interrupted`].
pub fn browse(context: &Context, repo: &Repository, state: &State, snapshots: Vec<Snapshot>) -> Result<Outcome> {
    let location = repo.backend().location();
    let rows = snapshots.iter().map(|snapshot| Row {
        text: choose::described(snapshot, context),
        path: Vec::new(),
        is_dir: true,
    });
    let mut model = Model::new(rows.collect());
    let browser = Browser { context, repo, state, snapshots };
    let failed = |e| Error::io("draw on", "the terminal", e);
    let mut outcome = Outcome::Complete;
    context.ui.finish();
    loop {
        let mut terminal = ratatui::try_init().map_err(failed)?;
        let done = loop {
            if let Err(error) = terminal.draw(|frame| view::draw(frame, &model, &location)) {
                break Err(failed(error));
            }
            match pressed(context) {
                Ok(None) => {}
                Ok(Some(key)) => match model.press(key) {
                    Do::Nothing => {}
                    done @ (Do::Quit | Do::Restore(..)) => break Ok(done),
                    wish => browser.fulfil(&mut model, wish),
                },
                Err(error) => break Err(error),
            }
        };
        ratatui::try_restore().map_err(failed)?;
        match done? {
            Do::Restore(snapshot, paths, target) => {
                let asker = Asker { cancelled: &context.cancelled };
                match browser.restore(snapshot, &paths, Path::new(&target)) {
                    Ok(one) => outcome = if outcome == Outcome::Complete { one } else { outcome },
                    Err(Error::Interrupted) => return Err(Error::Interrupted),
                    Err(error) => asker.say(&format!("error: {}", open::with_causes(&error))),
                }
                asker.line("\nReturn goes back", "")?;
            }
            _ => return Ok(outcome),
        }
    }
}

/// The next key; nothing if something else happened after which all is drawn anew.
fn pressed(context: &Context) -> Result<Option<Key>> {
    let failed = |e| Error::io("read", "the terminal", e);
    while !event::poll(LOOK).map_err(failed)? {
        if context.ui.cancelled() {
            return Err(Error::Interrupted);
        }
    }
    let Event::Key(key) = event::read().map_err(failed)? else { return Ok(None) };
    if key.kind == KeyEventKind::Release {
        return Ok(None);
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
        return Err(Error::Interrupted);
    }
    Ok(match key.code {
        KeyCode::Up => Some(Key::Move(-1)),
        KeyCode::Down => Some(Key::Move(1)),
        KeyCode::PageUp => Some(Key::Move(-PAGE)),
        KeyCode::PageDown => Some(Key::Move(PAGE)),
        KeyCode::Home => Some(Key::Move(isize::MIN)),
        KeyCode::End => Some(Key::Move(isize::MAX)),
        KeyCode::Enter | KeyCode::Right => Some(Key::Enter),
        KeyCode::Esc | KeyCode::Left => Some(Key::Back),
        KeyCode::Backspace => Some(Key::Erase),
        KeyCode::Char(c) => Some(Key::Char(c)),
        _ => None,
    })
}

impl Browser<'_> {
    fn fulfil(&self, model: &mut Model, wish: Do) {
        let zone = &self.context.zone;
        let done = match wish {
            Do::Open(number, path) => self.snapshots.get(number).map(|snapshot| {
                load::folder(self.repo, self.state, snapshot, &path, zone).map(|rows| model.opened(number, path, rows))
            }),
            Do::Versions(path) => self.snapshots.get(model.snapshot()).map(|snapshot| {
                let host = &snapshot.head.cover.host;
                load::versions(self.repo, self.state, &self.snapshots, host, &path, zone)
                    .map(|rows| model.versions_found(path, rows))
            }),
            Do::Nothing | Do::Quit | Do::Restore(..) => None,
        };
        if let Some(Err(error)) = done {
            model.message = panther::report::text::message(&open::with_causes(&error));
        }
    }

    /// Each path below the target at its full path.
    fn restore(&self, number: usize, paths: &[Vec<u8>], target: &Path) -> Result<Outcome> {
        let Some(snapshot) = self.snapshots.get(number) else { return Ok(Outcome::Complete) };
        if !choose::is_free(target) {
            return Err(Error::Usage(format!("there is something in {} already", target.display())));
        }
        let mut outcome = Outcome::Complete;
        for path in paths {
            let is_dir = self.is_dir(snapshot, path)?;
            let below = if is_dir { &path[..] } else { parent(path) };
            let into: PathBuf = target.join(OsStr::from_bytes(below.strip_prefix(b"/").unwrap_or(below)));
            // What one of them brought may be there for the next.
            let options = RestoreOptions { overwrite: true, ..RestoreOptions::new(Some(path.clone()), into) };
            let done = restore(self.repo, self.state, snapshot, &options, &self.context.ui)?;
            self.context.ui.finish();
            Asker { cancelled: &self.context.cancelled }.say(&report::text(snapshot.head.id, &done));
            if done.incomplete {
                outcome = Outcome::Incomplete;
            }
        }
        Ok(outcome)
    }

    fn is_dir(&self, snapshot: &Snapshot, path: &[u8]) -> Result<bool> {
        let reader = panther::repo::reader::BlobReader::new(self.repo, self.state)?;
        let mut is_dir = true;
        panther::ops::list::list(&reader, &snapshot.manifest, Some(path), false, &mut |own, entry| {
            if own == path {
                is_dir = entry.kind() == panther::format::entry::FileKind::Dir;
            }
            Ok(())
        })?;
        Ok(is_dir)
    }
}

fn parent(path: &[u8]) -> &[u8] {
    path.iter().rposition(|byte| *byte == b'/').and_then(|at| path.get(..at)).unwrap_or_default()
}
