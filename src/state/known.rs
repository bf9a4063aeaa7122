//! Which repository this machine has met at which place. A small text file in the folder of the states: a line for each, `REPOSITORY CONFIGURATION PLACE`.
//!
//! Who opens a repository with an age identity can be given a whole false one (spec 12.2); a state is found by the repository's id, so that would go
//! unnoticed without this.

use super::create_private;
use crate::error::{Error, Result};
use crate::id::{ObjectId, RepoId};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

const FILE: &str = "known-repositories";

/// The file.
pub struct Known {
    path: PathBuf,
}

/// A line of it.
struct Line {
    repo: RepoId,
    config_hash: ObjectId,
    place: String,
}

impl Line {
    fn parse(text: &str) -> Option<Self> {
        let (repo, rest) = text.split_once(' ')?;
        let (config_hash, place) = rest.split_once(' ')?;
        Some(Self { repo: repo.parse().ok()?, config_hash: config_hash.parse().ok()?, place: place.to_owned() })
    }

    fn text(&self) -> String {
        format!("{} {} {}\n", self.repo, self.config_hash, self.place)
    }
}

impl Known {
    /// The file in `folder`, which is made when something is to be remembered.
    pub fn new(folder: &Path) -> Self {
        Self { path: folder.join(FILE) }
    }

    fn lines(&self) -> Result<Vec<Line>> {
        match std::fs::read_to_string(&self.path) {
            Ok(text) => Ok(text.lines().filter_map(Line::parse).collect()),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(Error::io("read", &self.path, e)),
        }
    }

    /// Compares the repository at `place` with what is remembered. Nothing is remembered by that: see [`Known::accept`].
    ///
    /// # Errors
    /// [`Error::OtherRepository`] if another one was met at this place, or this one with another configuration anywhere; [`Error::Io`].
    pub fn recognise(&self, place: &str, repo: &RepoId, config_hash: &ObjectId) -> Result<()> {
        let lines = self.lines()?;
        let is_it = |line: &Line| line.repo == *repo && line.config_hash == *config_hash;
        let mut same_place = lines.iter().filter(|line| line.place == as_line(place)).peekable();
        let is_new_here = same_place.peek().is_none();
        let is_changed = lines.iter().any(|line| line.repo == *repo && line.config_hash != *config_hash);
        if same_place.any(is_it) || (is_new_here && !is_changed) {
            Ok(())
        } else {
            Err(Error::OtherRepository(place.to_owned()))
        }
    }

    /// Remembers the repository at `place` beside others that may be there at other times.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn accept(&self, place: &str, repo: &RepoId, config_hash: &ObjectId) -> Result<()> {
        let lines = self.lines()?;
        let is_it = |line: &Line| (line.repo, line.config_hash, &line.place) == (*repo, *config_hash, &as_line(place));
        if lines.iter().any(is_it) { Ok(()) } else { self.add(place, repo, config_hash) }
    }

    /// Remembers the repository at `place` instead of any other.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn replace(&self, place: &str, repo: &RepoId, config_hash: &ObjectId) -> Result<()> {
        let kept: String = self.lines()?.iter().filter(|line| line.place != as_line(place)).map(Line::text).collect();
        let line = Line { repo: *repo, config_hash: *config_hash, place: as_line(place) };
        self.make_folder()?;
        let new = self.path.with_extension(format!("new-{}", std::process::id()));
        std::fs::write(&new, kept + &line.text())
            .and_then(|()| std::fs::rename(&new, &self.path))
            .map_err(|e| Error::io("write", &self.path, e))
    }

    fn add(&self, place: &str, repo: &RepoId, config_hash: &ObjectId) -> Result<()> {
        let line = Line { repo: *repo, config_hash: *config_hash, place: as_line(place) };
        self.make_folder()?;
        // One write at the end of the file: runs side by side do not disturb each other.
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)
            .and_then(|mut file| file.write_all(line.text().as_bytes()))
            .map_err(|e| Error::io("write", &self.path, e))
    }

    fn make_folder(&self) -> Result<()> {
        self.path.parent().map_or(Ok(()), create_private)
    }
}

/// A place on one line.
fn as_line(place: &str) -> String {
    place.escape_debug().to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn another_repository_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let known = Known::new(&folder.path().join("deep/state"));
        let (a, b) = (RepoId([1; 32]), RepoId([2; 32]));
        let (x, y) = (ObjectId([3; 32]), ObjectId([4; 32]));
        let other = |result: Result<()>| matches!(result, Err(Error::OtherRepository(_)));
        for _ in 0..2 {
            known.recognise("/a b\nc", &b, &y).unwrap();
            assert!(!folder.path().join("deep").exists());
        }
        for place in ["/a b\nc", "/elsewhere"] {
            known.recognise(place, &a, &x).unwrap();
            known.accept(place, &a, &x).unwrap();
            known.accept(place, &a, &x).unwrap();
            known.recognise(place, &a, &x).unwrap();
        }
        // Another one, or the same with another configuration, there or anywhere.
        assert!(other(known.recognise("/a b\nc", &b, &y)));
        assert!(other(known.recognise("/a b\nc", &a, &y)));
        assert!(other(known.recognise("/new", &a, &y)));
        // Disks that take turns at one place.
        known.accept("/a b\nc", &b, &y).unwrap();
        known.recognise("/a b\nc", &b, &y).unwrap();
        known.recognise("/a b\nc", &a, &x).unwrap();
        known.replace("/a b\nc", &b, &x).unwrap();
        assert!(other(known.recognise("/a b\nc", &a, &x)));
        known.recognise("/elsewhere", &a, &x).unwrap();
        // What is no line is passed over.
        std::fs::write(folder.path().join("deep/state").join(FILE), "nonsense\n\n").unwrap();
        known.recognise("/a b\nc", &a, &x).unwrap();
    }
}
