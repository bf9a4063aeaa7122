//! `snapshots` and `ls`: which snapshots there are, and what is in one.

use crate::error::{Error, FormatError, Result};
use crate::format::content::ContentRoot;
use crate::format::entry::{Entry, Node};
use crate::format::limits;
use crate::format::snapshot::{Manifest, is_below};
use crate::repo::reader::BlobReader;
use crate::repo::snapshots::Snapshot;
use crate::repo::tree::{Found, parts};

/// Which snapshots are meant. What is empty does not matter.
#[derive(Clone, Debug, Default)]
pub struct SnapshotFilter {
    /// Of one of these hosts.
    pub hosts: Vec<String>,
    /// With all tags of one of these lists.
    pub tags: Vec<Vec<String>>,
    /// With all these absolute paths among its roots.
    pub paths: Vec<Vec<u8>>,
}

impl SnapshotFilter {
    /// Whether the snapshot is meant.
    pub fn matches(&self, snapshot: &Snapshot) -> bool {
        let manifest = &snapshot.manifest;
        let has_path = |wanted: &[u8]| manifest.roots.iter().any(|root| root.path == wanted);
        self.matches_parts(&snapshot.head.cover.host, &manifest.tags, has_path)
    }

    /// Whether a snapshot of this host with these tags is meant, which tells which paths it has.
    pub fn matches_parts(&self, host: &str, tags: &[String], has_path: impl Fn(&[u8]) -> bool) -> bool {
        let has = |tag: &String| tags.contains(tag);
        self.matches_host(host)
            && (self.tags.is_empty() || self.tags.iter().any(|all| all.iter().all(has)))
            && self.paths.iter().all(|path| has_path(path))
    }

    /// Whether a snapshot of this host can be meant.
    pub fn matches_host(&self, host: &str) -> bool {
        self.hosts.is_empty() || self.hosts.iter().any(|wanted| wanted == host)
    }

    /// Whether it asks for what only a reader can see.
    pub fn needs_reader(&self) -> bool {
        !self.tags.is_empty() || !self.paths.is_empty()
    }
}

/// Stack for a walk: a few functions for each of up to 4,096 levels. Only what is used of it costs memory.
const STACK_BYTES: usize = 256 << 20;

/// A visitor of entries with their absolute paths.
pub type Visit<'v> = dyn FnMut(&[u8], &Entry) -> Result<()> + Send + 'v;

/// Visits what a snapshot has at `path`, or all its roots, in depth-first order; below that everything if `recursive`, else what is directly in it.
/// Memory: one blob of a directory's stream for each level.
///
/// # Errors
/// [`Error::Usage`] when there is no such path; what is wrong with the trees; what `visit` says.
pub fn list(
    reader: &BlobReader<'_>,
    manifest: &Manifest,
    path: Option<&[u8]>,
    recursive: bool,
    visit: &mut Visit<'_>,
) -> Result<()> {
    let mut walk = Walk { reader, recursive, visit };
    std::thread::scope(|scope| {
        let run = move || walk.roots(manifest, path);
        let thread = std::thread::Builder::new().name("list".into()).stack_size(STACK_BYTES);
        let handle = thread.spawn_scoped(scope, run).map_err(|e| Error::io("start a thread for", "the listing", e))?;
        handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

struct Walk<'w, 'r, 'v> {
    reader: &'w BlobReader<'r>,
    recursive: bool,
    visit: &'w mut Visit<'v>,
}

impl Walk<'_, '_, '_> {
    fn roots(&mut self, manifest: &Manifest, path: Option<&[u8]>) -> Result<()> {
        let Some(path) = path else {
            return manifest.roots.iter().try_for_each(|root| self.top(&root.path, &root.entry));
        };
        let path = absolute(path);
        match self.reader.find(manifest, &path)? {
            Found::Entry(entry) => self.top(&path, &entry),
            Found::Above => {
                let below = manifest.roots.iter().filter(|root| is_below(&root.path, &path));
                below.into_iter().try_for_each(|root| self.top(&root.path, &root.entry))
            }
        }
    }

    fn top(&mut self, path: &[u8], entry: &Entry) -> Result<()> {
        (self.visit)(path, entry)?;
        match &entry.node {
            Node::Dir(content) => self.below(&mut path.to_vec(), content, 1),
            _ => Ok(()),
        }
    }

    fn below(&mut self, path: &mut Vec<u8>, content: &ContentRoot, depth: usize) -> Result<()> {
        if depth > limits::DIRECTORY_DEPTH {
            let object = String::from_utf8_lossy(path).into_owned();
            return Err(Error::format(object, FormatError::Invalid("its folders are nested too deep")));
        }
        let len = path.len();
        let reader = self.reader;
        reader.each_entry(content, &mut |entry| {
            if !path.ends_with(b"/") {
                path.push(b'/');
            }
            path.extend_from_slice(&entry.name);
            (self.visit)(path, &entry)?;
            if let (true, Node::Dir(content)) = (self.recursive, &entry.node) {
                self.below(path, content, depth + 1)?;
            }
            path.truncate(len);
            Ok(())
        })
    }
}

/// A path as snapshots have them: beginning with `/`, without empty parts.
pub fn absolute(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len() + 1);
    for part in parts(path) {
        out.push(b'/');
        out.extend_from_slice(part);
    }
    if out.is_empty() { b"/".to_vec() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_absolute() {
        for (path, want) in [("", "/"), ("/", "/"), ("a//b/", "/a/b"), ("/a", "/a")] {
            assert_eq!(absolute(path.as_bytes()), want.as_bytes());
        }
    }
}
