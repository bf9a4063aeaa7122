//! Trees and files of another repository as entries of this one.

use crate::error::{Error, FormatError, Result};
use crate::format::cbor::Dec;
use crate::format::content::{ContentRoot, Record};
use crate::format::entry::{Entry, Node};
use crate::format::limits;
use crate::id::BlobId;
use crate::import::restic::{Contents, Id, Kind, Node as Foreign, as_go_text};
use crate::keys::Keyring;
use crate::ops::Progress;
use crate::ops::carried::{Made, Memory, small};
use crate::ops::cutting::Cut;
use crate::repo::directory::DirectoryBuilder;
use crate::repo::writer::BlobWriter;
use crate::state::dirs::Totals;
use std::collections::HashMap;
use std::sync::Arc;

/// So much of a file is read at a time, on all cores, or one blob if that is longer; …
const WINDOW_BYTES: u64 = 32 << 20;
/// … and so much of small files that follow each other in a folder, …
const BATCH_BYTES: u64 = 16 << 20;
/// … or so many.
const BATCH_FILES: usize = 4_096;
/// A blob of zeros of this length becomes a hole. Others have no holes, but long runs of zeros where there were some.
const HOLE_BYTES: usize = 512 << 10;
/// Content of so many files with several names is remembered; that of others is read for each name, and stored once all the same.
const SEVERAL_MOST: usize = 1 << 14;

/// Makes entries of nodes.
pub(super) struct Importer<'a> {
    pub from: &'a Contents<'a>,
    pub keys: &'a Keyring,
    /// What was imported before, by the other repository's ids.
    pub memory: Memory<'a>,
    pub progress: &'a dyn Progress,
    /// Bytes of content that were read.
    pub read_bytes: u64,
    /// Where the walk is, for messages.
    pub path: Vec<u8>,
    /// Content of files with several names, which is read once.
    pub several: HashMap<Made, Node>,
}

/// Blobs that were read ahead.
type Ready = HashMap<Id, Vec<u8>>;

impl Importer<'_> {
    /// A directory and what is in it.
    ///
    /// # Errors
    /// [`Error::Foreign`] if something of it is lost; why it could not be stored.
    pub fn directory(&mut self, tree: &Id, depth: usize, out: &mut BlobWriter<'_>) -> Result<(ContentRoot, Totals)> {
        if self.progress.cancelled() {
            return Err(Error::Interrupted);
        }
        let made = made_of(b"tree", &[*tree]);
        if let Some((Node::Dir(known), totals)) = self.memory.recall(&made, out)? {
            self.progress.advance(totals.files + totals.others, totals.bytes);
            return Ok((known, totals));
        }
        if depth > limits::DIRECTORY_DEPTH {
            let source = FormatError::Invalid("its folders are nested too deep");
            return Err(Error::Foreign { object: self.where_it_is(), source });
        }
        let nodes = self.from.tree(tree)?;
        let (mut builder, mut totals) = (DirectoryBuilder::default(), Totals { dirs: 1, ..Totals::default() });
        let (mut ready, mut ready_to) = (Ready::new(), 0);
        for (at, node) in nodes.iter().enumerate() {
            if at >= ready_to {
                (ready, ready_to) = self.read_ahead(&nodes, at)?;
            }
            let len = self.path.len();
            self.path.push(b'/');
            self.path.extend_from_slice(&node.name);
            match self.entry(node, depth, &ready, out)? {
                Some((entry, of)) => {
                    totals.add(&of);
                    builder.push(&entry.name, &entry.encode_onto(Vec::new()), self.keys, out)?;
                }
                None => totals.unreadable += 1,
            }
            self.path.truncate(len);
        }
        let new = builder.finish(self.keys, out)?;
        self.memory.remember(&made, Node::Dir(new.clone()), Some(&totals), out)?;
        Ok((new, totals))
    }

    /// The entry for a node, and what is in it; nothing, after a warning, if panther has nothing like it.
    ///
    /// # Errors
    /// As [`Importer::directory`].
    pub fn node(&mut self, node: &Foreign, out: &mut BlobWriter<'_>) -> Result<Option<(Entry, Totals)>> {
        self.entry(node, 0, &Ready::new(), out)
    }

    fn entry(
        &mut self,
        from: &Foreign,
        depth: usize,
        ready: &Ready,
        out: &mut BlobWriter<'_>,
    ) -> Result<Option<(Entry, Totals)>> {
        let others = Totals { others: 1, ..Totals::default() };
        let (node, totals) = match &from.kind {
            Kind::Dir(tree) => {
                let (root, totals) = self.directory(tree, depth + 1, out)?;
                (Node::Dir(root), totals)
            }
            Kind::File(ids) if from.links > 1 => (self.one_of_several(ids, ready, out)?, Totals::default()),
            Kind::File(ids) => (self.file(ids, ready, out)?, Totals::default()),
            Kind::Symlink(target) => (Node::Symlink(target.clone()), others),
            Kind::Fifo => (Node::Fifo, others),
            Kind::Socket => (Node::Socket, others),
            Kind::Char(major, minor) => (Node::Char(*major, *minor), others),
            Kind::Block(major, minor) => (Node::Block(*major, *minor), others),
            Kind::Other(kind) => {
                let what = if kind.is_empty() { "of no known kind" } else { kind };
                self.progress.warn(&format!("{} is left out: it is {what}", self.where_it_is()));
                return Ok(None);
            }
        };
        let mut entry = entry_of(from, node);
        let totals = match entry.node {
            Node::File(_) | Node::Inline(_) => Totals::of_file(entry.size_bytes(), from.links),
            _ => totals,
        };
        entry.link = link(from, &entry);
        // What the format does not allow (an empty target, a name of a million bytes) must not get into a tree.
        if let Err(error) = Entry::decode(&mut Dec::new(&entry.encode_onto(Vec::new())), false) {
            self.progress.warn(&format!("{} is left out: {error}", self.where_it_is()));
            return Ok(None);
        }
        if !totals.is_dir() {
            self.progress.advance(1, totals.bytes);
        }
        Ok(Some((entry, totals)))
    }

    fn where_it_is(&self) -> String {
        as_go_text(&self.path)
    }

    fn one_of_several(&mut self, ids: &[Id], ready: &Ready, out: &mut BlobWriter<'_>) -> Result<Node> {
        let made = made_of(b"file", ids);
        if let Some(known) = self.several.get(&made) {
            return Ok(known.clone());
        }
        let node = self.file(ids, ready, out)?;
        if self.several.len() < SEVERAL_MOST && matches!(node, Node::File(_)) {
            self.several.insert(made, node.clone());
        }
        Ok(node)
    }

    fn file(&mut self, ids: &[Id], ready: &Ready, out: &mut BlobWriter<'_>) -> Result<Node> {
        let made = made_of(b"file", ids);
        if ids.is_empty() {
            return Ok(Node::File(ContentRoot::default()));
        }
        if let Some((known, _)) = self.memory.recall(&made, out)? {
            return Ok(known);
        }
        if let [id] = ids
            && let Some(bytes) = ready.get(id).filter(|bytes| !is_hole(bytes))
        {
            self.read_bytes += bytes.len() as u64;
            let node = small(bytes.clone(), self.keys, out)?;
            return self.noted(&made, node, out);
        }
        let mut cut = Cut::new(self.keys, Vec::new());
        let (mut rest, mut first, mut hole_bytes) = (ids, true, 0);
        while !rest.is_empty() {
            if self.progress.cancelled() {
                return Err(Error::Interrupted);
            }
            let (window, after) = rest.split_at(self.window(rest)?);
            rest = after;
            let blobs = self.from.data(window)?;
            self.read_bytes += blobs.iter().map(|blob| blob.len() as u64).sum::<u64>();
            // Several short blobs may be a file that is kept in its entry.
            let whole: usize = blobs.iter().map(Vec::len).sum();
            if first && rest.is_empty() && whole <= self.keys.chunker().params().inline_max_bytes as usize {
                return small(blobs.concat(), self.keys, out);
            }
            first = false;
            for blob in &blobs {
                if is_hole(blob) {
                    hole_bytes += blob.len() as u64;
                    continue;
                }
                end_hole(&mut hole_bytes, &mut cut, out)?;
                cut.data.extend_from_slice(blob);
                cut.go_on(out)?;
            }
        }
        end_hole(&mut hole_bytes, &mut cut, out)?;
        let node = Node::File(cut.finish(out)?);
        self.noted(&made, node, out)
    }

    /// Remembers content that is more than its entry holds.
    fn noted(&self, made: &Made, node: Node, out: &BlobWriter<'_>) -> Result<Node> {
        if matches!(node, Node::File(_)) {
            self.memory.remember(made, node.clone(), None, out)?;
        }
        Ok(node)
    }

    /// How many of these blobs are read together.
    fn window(&self, ids: &[Id]) -> Result<usize> {
        let (mut count, mut bytes) = (0, 0);
        while let Some(id) = ids.get(count) {
            bytes += self.from.data_bytes(id)?;
            if count > 0 && bytes > WINDOW_BYTES {
                break;
            }
            count += 1;
        }
        Ok(count)
    }

    /// Reads the files of one blob among `nodes` from `at` on, up to the next folder, as far as memory is for that. Returns them, and where it stopped.
    fn read_ahead(&self, nodes: &[Foreign], at: usize) -> Result<(Ready, usize)> {
        let (mut wanted, mut bytes, mut to) = (Vec::new(), 0, at);
        while let Some(node) = nodes.get(to) {
            match &node.kind {
                Kind::Dir(_) if to > at => break,
                Kind::File(ids) => {
                    if let [id] = ids[..]
                        && !self.memory.has(&made_of(b"file", ids))?
                    {
                        let more = self.from.data_bytes(&id)?;
                        if wanted.len() >= BATCH_FILES || (!wanted.is_empty() && bytes + more > BATCH_BYTES) {
                            break;
                        }
                        wanted.push(id);
                        bytes += more;
                    }
                }
                _ => {}
            }
            to += 1;
            if matches!(node.kind, Kind::Dir(_)) {
                break;
            }
        }
        wanted.sort();
        wanted.dedup();
        let blobs = self.from.data(&wanted)?;
        Ok((wanted.into_iter().zip(blobs).collect(), to))
    }
}

fn is_hole(blob: &[u8]) -> bool {
    blob.len() >= HOLE_BYTES && blob.iter().all(|byte| *byte == 0)
}

/// Adds the hole that ends here, if there is one. What follows it is cut by itself (spec 5.1).
fn end_hole(hole_bytes: &mut u64, cut: &mut Cut<'_>, out: &mut BlobWriter<'_>) -> Result<()> {
    match std::mem::take(hole_bytes) {
        0 => Ok(()),
        len_bytes => {
            cut.end(out)?;
            cut.push(Record { id: BlobId::HOLE, len_bytes }, out)
        }
    }
}

fn made_of(kind: &[u8], ids: &[Id]) -> Made {
    let mut hasher = blake3::Hasher::new();
    hasher.update(kind);
    for id in ids {
        hasher.update(&id.0);
    }
    *hasher.finalize().as_bytes()
}

fn entry_of(from: &Foreign, node: Node) -> Entry {
    let name = |name: &str| Some(name).filter(|name| !name.is_empty()).map(Arc::from);
    Entry {
        name: from.name.clone(),
        node,
        mode: from.mode,
        uid: from.uid,
        gid: from.gid,
        user: name(&from.user),
        group: name(&from.group),
        mtime: from.mtime,
        btime: None,
        xattrs: from.xattrs.clone(),
        link: None,
        flags: 0,
        boundary: None,
    }
}

/// The group of names of one inode. Names that differ in anything else are in different ones: the file was changed between the two, and the format does
/// not allow that (spec 8.1).
fn link(from: &Foreign, entry: &Entry) -> Option<u64> {
    if from.links < 2 || from.inode == 0 || matches!(entry.node, Node::Dir(_)) {
        return None;
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(&from.device_id.to_le_bytes()).update(&from.inode.to_le_bytes());
    hasher.update(&Entry { name: vec![b'x'], ..entry.clone() }.encode_onto(Vec::new()));
    hasher.finalize().as_bytes().first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes))
}
