//! A snapshot as one tree: its roots, and the folders that lead to them, which are not in the snapshot themselves.

use crate::error::{Error, Result};
use crate::format::content::ContentRoot;
use crate::format::entry::{Entry, Node};
use crate::format::snapshot::Manifest;
use crate::repo::reader::BlobReader;
use crate::repo::tree::parts;
use std::collections::BTreeMap;

/// What is at a place of the tree.
#[derive(Clone, Debug)]
pub enum Item {
    /// An object of the snapshot.
    Entry(Box<Entry>),
    /// A folder that only leads to roots.
    Above(BTreeMap<Vec<u8>, Item>),
}

impl Item {
    /// The tree of a snapshot, from `/` on.
    pub fn top(manifest: &Manifest) -> Self {
        let mut top = Self::Above(BTreeMap::new());
        for root in &manifest.roots {
            let mut at = &mut top;
            for name in parts(&root.path) {
                // No root lies below another (spec 9.2): the decoder has seen to it.
                let Self::Above(children) = at else { break };
                at = children.entry(name.to_vec()).or_insert_with(|| Self::Above(BTreeMap::new()));
            }
            *at = Self::Entry(Box::new(root.entry.clone()));
        }
        top
    }

    /// What is at a path of this tree; nothing if there is nothing.
    ///
    /// # Errors
    /// What is wrong with the folders on the way.
    pub fn find(self, reader: &BlobReader<'_>, path: &[u8]) -> Result<Option<Self>> {
        let mut at = self;
        for name in parts(path) {
            let next = match at {
                Self::Above(mut children) => children.remove(name),
                Self::Entry(entry) => match &entry.node {
                    Node::Dir(root) => reader.child(root, name)?.map(|entry| Self::Entry(Box::new(entry))),
                    _ => None,
                },
            };
            match next {
                Some(next) => at = next,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// What a snapshot has at an absolute path.
    ///
    /// # Errors
    /// [`Error::Usage`] when there is nothing; what is wrong with the folders on the way.
    pub fn at(reader: &BlobReader<'_>, manifest: &Manifest, path: &[u8]) -> Result<Self> {
        let nothing = || Error::Usage(format!("the snapshot has no {}", String::from_utf8_lossy(path)));
        Self::top(manifest).find(reader, path)?.ok_or_else(nothing)
    }

    /// The object, if it is one.
    pub fn entry(&self) -> Option<&Entry> {
        match self {
            Self::Entry(entry) => Some(entry),
            Self::Above(_) => None,
        }
    }

    /// The content of a folder of the snapshot.
    pub fn content(&self) -> Option<&ContentRoot> {
        match &self.entry()?.node {
            Node::Dir(root) => Some(root),
            _ => None,
        }
    }

    /// Whether it has children.
    pub fn is_dir(&self) -> bool {
        matches!(self, Self::Above(_)) || self.content().is_some()
    }
}
