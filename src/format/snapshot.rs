//! Snapshot manifests (spec 9).

use super::cbor::{Dec, Enc, need};
use super::entry::Entry;
use super::index::join;
use super::limits;
use super::time::Time;
use crate::error::FormatError;
use crate::id::{ObjectId, RepoId};

/// What writers may see of a manifest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cover {
    /// 1 more than the greatest of the predecessors'.
    pub sequence: u64,
    /// The heads of the writer's chain when it was written.
    pub predecessors: Vec<ObjectId>,
    /// Start of the backup.
    pub started: Time,
    /// End of the backup.
    pub finished: Time,
    /// Host name.
    pub host: String,
}

impl Cover {
    /// The plaintext of the cover's box.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Enc::default();
        e.map(5);
        e.pair_uint(0, self.sequence);
        e.pair_bytes(1, &join(&self.predecessors));
        e.uint(2);
        self.started.encode(&mut e);
        e.uint(3);
        self.finished.encode(&mut e);
        e.pair_text(4, &self.host);
        e.done()
    }

    /// Decodes the plaintext of the cover's box.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn decode(plaintext: &[u8]) -> Result<Self, FormatError> {
        let (mut sequence, mut predecessors, mut started, mut finished, mut host) = (None, None, None, None, None);
        let mut d = Dec::new(plaintext);
        d.map(|d, key| {
            match key {
                0 => sequence = Some(d.uint()?),
                1 => predecessors = Some(d.ids("predecessors", limits::PREDECESSORS, ObjectId)?),
                2 => started = Some(Time::decode(d)?),
                3 => finished = Some(Time::decode(d)?),
                4 => host = Some(d.text("host name", limits::TEXT_BYTES)?.to_owned()),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        d.finish()?;
        let cover = Self {
            sequence: need(sequence)?,
            predecessors: need(predecessors)?,
            started: need(started)?,
            finished: need(finished)?,
            host: need(host)?,
        };
        if cover.sequence == 0 { Err(FormatError::Invalid("a snapshot's sequence number is 0")) } else { Ok(cover) }
    }
}

/// A path that was backed up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Root {
    /// Absolute path, raw.
    pub path: Vec<u8>,
    /// What is there; its name is empty.
    pub entry: Entry,
}

/// Figures of a snapshot; nothing depends on them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Summary {
    /// Regular files.
    pub files: u64,
    /// Directories.
    pub dirs: u64,
    /// Symlinks, pipes, sockets, devices.
    pub others: u64,
    /// Content, holes included.
    pub source_bytes: u64,
    /// Objects that could not be read and are missing.
    pub unreadable: u64,
    /// Files that the parent did not have.
    pub files_new: u64,
    /// Files that differ from the parent.
    pub files_changed: u64,
    /// Files as in the parent.
    pub files_unchanged: u64,
    /// Bytes read from the source.
    pub read_bytes: u64,
    /// New data blobs.
    pub data_blobs: u64,
    /// Their plaintext.
    pub data_bytes: u64,
    /// New tree blobs.
    pub tree_blobs: u64,
    /// Their plaintext.
    pub tree_bytes: u64,
    /// Bytes of new packs.
    pub stored_bytes: u64,
}

impl Summary {
    fn fields(&self) -> [u64; 14] {
        [
            self.files,
            self.dirs,
            self.others,
            self.source_bytes,
            self.unreadable,
            self.files_new,
            self.files_changed,
            self.files_unchanged,
            self.read_bytes,
            self.data_blobs,
            self.data_bytes,
            self.tree_blobs,
            self.tree_bytes,
            self.stored_bytes,
        ]
    }

    fn encode(&self, e: &mut Enc) {
        let fields = self.fields();
        e.map(fields.iter().filter(|v| **v != 0).count());
        for (key, value) in fields.into_iter().enumerate().filter(|(_, v)| *v != 0) {
            e.pair_uint(key as u64, value);
        }
    }

    fn decode(d: &mut Dec<'_>) -> Result<Self, FormatError> {
        let mut f = [0u64; 14];
        d.map(|d, key| {
            let Some(slot) = usize::try_from(key).ok().and_then(|i| f.get_mut(i)) else { return Ok(false) };
            *slot = d.uint()?;
            if *slot == 0 { Err(FormatError::Invalid("a figure of the summary is there and 0")) } else { Ok(true) }
        })?;
        Ok(Self {
            files: f[0],
            dirs: f[1],
            others: f[2],
            source_bytes: f[3],
            unreadable: f[4],
            files_new: f[5],
            files_changed: f[6],
            files_unchanged: f[7],
            read_bytes: f[8],
            data_blobs: f[9],
            data_bytes: f[10],
            tree_blobs: f[11],
            tree_bytes: f[12],
            stored_bytes: f[13],
        })
    }
}

/// What only readers may see of a manifest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manifest {
    /// Who ran the backup.
    pub user: String,
    /// Program and version.
    pub program: String,
    /// Tags, strictly ascending.
    pub tags: Vec<String>,
    /// Paths, strictly ascending, none below another.
    pub roots: Vec<Root>,
    /// Figures.
    pub summary: Summary,
    /// Exclude patterns as given.
    pub excludes: Vec<Vec<u8>>,
    /// The manifest compared with.
    pub parent: Option<ObjectId>,
    /// What this one was copied or rewritten from.
    pub origin: Option<Origin>,
}

/// The snapshot from which another one was made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize)]
pub struct Origin {
    /// Its repository: another one for a copy, the same for one that was written anew.
    #[serde(rename = "repository")]
    pub repo: RepoId,
    /// Its manifest.
    pub snapshot: ObjectId,
}

impl Manifest {
    /// The plaintext to be sealed to readers.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Enc::default();
        let options = [!self.tags.is_empty(), !self.excludes.is_empty(), self.parent.is_some(), self.origin.is_some()];
        e.map(4 + options.iter().filter(|o| **o).count());
        e.pair_text(0, &self.user);
        e.pair_text(1, &self.program);
        if !self.tags.is_empty() {
            e.uint(2);
            e.array(self.tags.len());
            for tag in &self.tags {
                e.text(tag);
            }
        }
        e.uint(3);
        e.array(self.roots.len());
        for root in &self.roots {
            e.map(2);
            e.pair_bytes(0, &root.path);
            e.uint(1);
            root.entry.encode(&mut e);
        }
        e.uint(4);
        self.summary.encode(&mut e);
        if !self.excludes.is_empty() {
            e.uint(5);
            e.array(self.excludes.len());
            for exclude in &self.excludes {
                e.bytes(exclude);
            }
        }
        if let Some(parent) = self.parent {
            e.pair_bytes(6, &parent.0);
        }
        if let Some(origin) = self.origin {
            e.uint(8);
            e.array(2);
            e.bytes(&origin.repo.0);
            e.bytes(&origin.snapshot.0);
        }
        e.done()
    }

    /// Decodes the plaintext.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn decode(plaintext: &[u8]) -> Result<Self, FormatError> {
        let (mut user, mut program, mut tags, mut roots) = (None, None, None, None);
        let (mut summary, mut excludes, mut parent, mut origin) = (None, None, None, None);
        let mut d = Dec::new(plaintext);
        d.map(|d, key| {
            match key {
                0 => user = Some(d.text("user name", limits::TEXT_BYTES)?.to_owned()),
                1 => program = Some(d.text("program", limits::TEXT_BYTES)?.to_owned()),
                2 => tags = Some(d.list("tags", limits::TAGS, |d| Ok(d.text("tag", limits::TAG_BYTES)?.to_owned()))?),
                3 => roots = Some(d.list("roots", limits::ROOTS, decode_root)?),
                4 => summary = Some(Summary::decode(d)?),
                5 => {
                    excludes =
                        Some(d.list("excludes", limits::EXCLUDES, |d| {
                            Ok(d.bytes("exclude", limits::PATH_BYTES)?.to_vec())
                        })?)
                }
                6 => parent = Some(ObjectId(d.fixed("parent")?)),
                8 => origin = Some(decode_origin(d)?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        d.finish()?;
        let empty = tags.as_ref().is_some_and(Vec::is_empty) || excludes.as_ref().is_some_and(Vec::is_empty);
        let manifest = Self {
            user: need(user)?,
            program: need(program)?,
            tags: tags.unwrap_or_default(),
            roots: need(roots)?,
            summary: need(summary)?,
            excludes: excludes.unwrap_or_default(),
            parent,
            origin,
        };
        let blank = manifest.tags.iter().any(String::is_empty) || manifest.excludes.iter().any(Vec::is_empty);
        if empty || blank || !manifest.tags.windows(2).all(|pair| pair[0] < pair[1]) {
            return Err(FormatError::Invalid("tags or excludes are empty or out of order"));
        }
        check_roots(&manifest.roots)?;
        Ok(manifest)
    }
}

fn decode_origin(d: &mut Dec<'_>) -> Result<Origin, FormatError> {
    d.tuple(2, |d| {
        Ok(Origin { repo: RepoId(d.fixed("repository of the origin")?), snapshot: ObjectId(d.fixed("origin")?) })
    })
}

fn decode_root(d: &mut Dec<'_>) -> Result<Root, FormatError> {
    let (mut path, mut entry) = (None, None);
    d.map(|d, key| {
        match key {
            0 => path = Some(d.bytes("path", limits::PATH_BYTES)?.to_vec()),
            1 => entry = Some(Entry::decode(d, true)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(Root { path: need(path)?, entry: need(entry)? })
}

/// Whether `path` may be the path of a root (spec 9.2).
pub fn is_root_path(path: &[u8]) -> bool {
    if path == b"/" {
        return true;
    }
    let Some(rest) = path.strip_prefix(b"/") else { return false };
    !path.contains(&0) && rest.split(|b| *b == b'/').all(is_component)
}

fn is_component(part: &[u8]) -> bool {
    (1..=limits::NAME_BYTES).contains(&(part.len() as u64)) && part != b"." && part != b".."
}

fn check_roots(roots: &[Root]) -> Result<(), FormatError> {
    let proper = !roots.is_empty() && roots.iter().all(|r| is_root_path(&r.path));
    let ascending = roots.windows(2).all(|pair| pair[0].path < pair[1].path);
    if !proper || !ascending || roots.iter().any(|a| roots.iter().any(|b| is_below(&b.path, &a.path))) {
        return Err(FormatError::Invalid("the roots of a snapshot are not allowed"));
    }
    Ok(())
}

/// Whether `path` lies below `folder`.
pub fn is_below(path: &[u8], folder: &[u8]) -> bool {
    path != folder && (folder == b"/" || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with(b"/")))
}
