//! `import`: snapshots of another program's repository into this one.
//!
//! - `roots`: which path is what of a snapshot
//! - `content`: trees and files as entries, cut and named by this repository's secrets
//!
//! What was imported once is remembered (`ops::carried`), by the other repository's ids: trees that several snapshots share are read once, and a run after
//! one that was killed goes on. A snapshot that is there is known by its origin; with a writer's key, which cannot see that, by what the state remembers.

mod content;
mod roots;

use crate::error::{Error, Result};
use crate::format::entry::{Entry, Node};
use crate::format::keyfile::Role;
use crate::format::limits;
use crate::format::snapshot::{Manifest, Origin, Root, Summary};
use crate::id::{ObjectId, RepoId, WriterName};
use crate::import::restic::{Contents, Id, Restic, Snapshot};
use crate::ops::carried::{Foreign, Memory, origins};
use crate::ops::copy::{NotCopied, STACK_BYTES, Side};
use crate::ops::last_look::unusable;
use crate::ops::storing::Storing;
use crate::ops::{Progress, Totals};
use crate::repo::statements::Statements;
use crate::repo::writer::WriteStats;
use crate::state::dirs;
use content::Importer;
use roots::{What, roots};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A snapshot that was imported.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Imported {
    /// In the other repository.
    pub snapshot: ObjectId,
    /// Here; none with a dry run.
    pub new: Option<ObjectId>,
    /// When it was begun.
    pub started: crate::format::time::Time,
    /// Host name.
    pub host: String,
    /// Content that was read; the rest was imported before.
    pub read_bytes: u64,
    /// Bytes of packs written.
    pub stored_bytes: u64,
    /// Objects that panther has nothing like; warnings have named them when they were first met.
    pub left_out: u64,
}

/// What was imported.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct ImportReport {
    /// Snapshots that were imported, or would be.
    pub imported: Vec<Imported>,
    /// Snapshots that are here already.
    pub skipped: Vec<ObjectId>,
    /// Snapshots that could not be imported, because something of them is lost.
    pub failed: Vec<NotCopied>,
    /// Whether nothing was to be changed.
    pub dry_run: bool,
}

impl ImportReport {
    /// Whether all that was asked for is here.
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty() && self.imported.iter().all(|imported| imported.left_out == 0)
    }
}

/// Imports snapshots, in the order given. A writer's key imports under its own name, an admin's as `writer`, or else under the names of the hosts.
///
/// # Errors
/// [`Error::Role`]; [`Error::Io`], [`Error::Store`], [`Error::State`], [`Error::Interrupted`]. A snapshot of which something is lost does not keep the
/// others from being imported.
pub fn import(
    from: &Restic,
    to: Side<'_>,
    snapshots: &[&Snapshot],
    writer: Option<&WriterName>,
    dry_run: bool,
    progress: &dyn Progress,
) -> Result<ImportReport> {
    let mut here = Here::of(from, to)?;
    let mut report = ImportReport { dry_run, ..ImportReport::default() };
    let (mut wanted, mut seen) = (Vec::new(), HashSet::new());
    for snapshot in snapshots.iter().filter(|snapshot| seen.insert(snapshot.id)) {
        match here.find(&snapshot.id)? {
            Some(_) => report.skipped.push(ObjectId(snapshot.id.0)),
            None => wanted.push(*snapshot),
        }
    }
    if dry_run {
        report.imported = wanted.into_iter().map(|snapshot| imported(snapshot, None)).collect();
        return Ok(report);
    }
    if wanted.is_empty() {
        return Ok(report);
    }
    if from.is_locked() {
        progress.warn("the other repository is locked: if restic prunes it now, this may miss what it removes");
    }
    progress.stage("read index", Totals { files: None, bytes: None });
    let contents = Contents::new(from, &to.state.path().with_file_name("spool"))?;
    for error in contents.odd() {
        progress.warn(&format!("{}; if something is missing for that, this names it", crate::ops::in_words(error)));
    }
    progress.stage("import", Totals { files: None, bytes: None });
    for snapshot in wanted {
        match one(&contents, to, snapshot, writer, &here, progress) {
            Ok(done) => {
                here.note(&snapshot.id, done.new)?;
                report.imported.push(done);
            }
            Err(error @ Error::Foreign { .. }) => {
                let why = crate::ops::in_words(&error);
                let snapshot = ObjectId(snapshot.id.0);
                progress.warn(&format!("snapshot {} is not imported: {why}", snapshot.short()));
                report.failed.push(NotCopied { snapshot, why });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(report)
}

fn imported(snapshot: &Snapshot, new: Option<ObjectId>) -> Imported {
    Imported {
        snapshot: ObjectId(snapshot.id.0),
        new,
        started: snapshot.time,
        host: host(snapshot).to_owned(),
        read_bytes: 0,
        stored_bytes: 0,
        left_out: 0,
    }
}

/// What is here of the other repository.
struct Here<'a> {
    to: Side<'a>,
    source: RepoId,
    statements: Statements,
    by_origin: HashMap<Foreign, ObjectId>,
    is_writer: bool,
    /// Of a writer, the snapshots that it has.
    own: HashSet<ObjectId>,
}

impl<'a> Here<'a> {
    fn of(from: &Restic, to: Side<'a>) -> Result<Self> {
        let statements = to.repo.statements()?;
        let (_, by_origin) = origins(to.repo, &statements)?;
        let is_writer = to.repo.keys().role() == Role::Writer;
        let mut own = HashSet::new();
        if is_writer {
            let names = to.repo.snapshot_names(Some(to.repo.keys().signer(None)?.writer()))?;
            own.extend(names.iter().filter_map(crate::format::name::Name::id));
        }
        Ok(Self { to, source: RepoId(from.id().0), statements, by_origin, is_writer, own })
    }

    fn name(&self, id: &Id) -> Vec<u8> {
        [b"imported ", &self.source.0[..], &id.0].concat()
    }

    fn find(&self, id: &Id) -> Result<Option<ObjectId>> {
        if !self.is_writer {
            return Ok(self.by_origin.get(&(self.source, ObjectId(id.0))).copied());
        }
        let noted = self.to.state.note(&self.name(id))?.and_then(|bytes| ObjectId::from_slice(&bytes));
        Ok(noted.filter(|new| self.own.contains(new) && !self.statements.forgotten.contains(new)))
    }

    fn note(&mut self, id: &Id, new: Option<ObjectId>) -> Result<()> {
        let Some(new) = new else { return Ok(()) };
        self.by_origin.insert((self.source, ObjectId(id.0)), new);
        if self.is_writer { self.to.state.set_notes(&[(self.name(id), new.0.to_vec())]) } else { Ok(()) }
    }
}

/// A host name, which no snapshot of panther's is without.
fn host(snapshot: &Snapshot) -> &str {
    if snapshot.host.is_empty() { "unknown" } else { &snapshot.host }
}

fn one(
    from: &Contents<'_>,
    to: Side<'_>,
    snapshot: &Snapshot,
    writer: Option<&WriterName>,
    here: &Here<'_>,
    progress: &dyn Progress,
) -> Result<Imported> {
    let of_host = WriterName::from_host(host(snapshot));
    let wanted = (!here.is_writer).then_some(writer.unwrap_or(&of_host));
    let signer = to.repo.keys().signer(writer.or(wanted))?;
    let statements = &here.statements;
    to.repo.sync(to.state, Some(signer.writer()), statements)?;
    let none = HashSet::new();
    let storing =
        Storing { repo: to.repo, state: to.state, signer: &signer, statements, unusable: &none, dry_run: false };
    let mut basis = storing.basis()?;
    let run = || {
        // After packs of killed runs that are lost were forgotten, and what rests on them.
        to.repo.leftovers(to.state, signer.writer(), statements)?;
        to.state.note_unusable(&unusable(to.state, statements, &none)?)?;
        let known = to.state.dir_view()?;
        let memory = Memory::new(&known, b"import restic", &here.source);
        let keys = to.repo.keys();
        let mut importer =
            Importer { from, keys, memory, progress, read_bytes: 0, path: Vec::new(), several: HashMap::new() };
        let found = roots(&snapshot.paths, snapshot.tree, &mut |tree| from.tree(tree))?;
        if !found.as_named {
            let short = ObjectId(snapshot.id.0).short();
            progress.warn(&format!("snapshot {short}: its paths do not fit what it holds, so it is imported as /"));
        }
        storing.run(|out| {
            let (mut all, mut totals) = (Vec::new(), dirs::Totals::default());
            for (path, what) in found.all {
                importer.path.clone_from(&path);
                let made = match &what {
                    What::Node(node) => importer.node(node, out)?,
                    What::Tree(tree) => {
                        let (content, of) = importer.directory(tree, 1, out)?;
                        Some((folder(snapshot, Node::Dir(content)), of))
                    }
                };
                let Some((entry, of)) = made else {
                    totals.unreadable += 1;
                    continue;
                };
                totals.add(&of);
                all.push(Root { path, entry: Entry { name: Vec::new(), ..entry } });
            }
            Ok((all, totals, importer.read_bytes))
        })
    };
    let ((roots, totals, read_bytes), stats) = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("import".into()).stack_size(STACK_BYTES);
        let handle = thread.spawn_scoped(scope, run).map_err(|e| Error::io("start a thread for", "the import", e))?;
        handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    let manifest = manifest(snapshot, here, roots, summary(&totals, read_bytes, &stats));
    let times = (snapshot.time, snapshot.finished);
    let new = storing.write_snapshot(&mut basis, times, host(snapshot), &manifest, progress)?;
    let (stored_bytes, left_out) = (stats.pack_bytes, totals.unreadable);
    Ok(Imported { read_bytes, stored_bytes, left_out, ..imported(snapshot, Some(new)) })
}

/// A folder of which nothing is known but what is in it.
fn folder(snapshot: &Snapshot, node: Node) -> Entry {
    Entry {
        name: Vec::new(),
        node,
        mode: 0o755,
        uid: snapshot.uid,
        gid: snapshot.gid,
        user: Some(&snapshot.user[..]).filter(|user| !user.is_empty()).map(Arc::from),
        group: None,
        mtime: snapshot.time,
        btime: None,
        xattrs: Vec::new(),
        link: None,
        flags: 0,
        boundary: None,
    }
}

fn summary(totals: &dirs::Totals, read_bytes: u64, stats: &WriteStats) -> Summary {
    Summary {
        files: totals.files,
        dirs: totals.dirs,
        others: totals.others,
        source_bytes: totals.bytes,
        unreadable: totals.unreadable,
        read_bytes,
        data_blobs: stats.data_blobs,
        data_bytes: stats.data_bytes,
        tree_blobs: stats.tree_blobs,
        tree_bytes: stats.tree_bytes,
        stored_bytes: stats.pack_bytes,
        ..Summary::default()
    }
}

fn manifest(snapshot: &Snapshot, here: &Here<'_>, roots: Vec<Root>, summary: Summary) -> Manifest {
    let fits = |text: &String, most: u64| !text.is_empty() && text.len() as u64 <= most;
    let mut tags: Vec<String> =
        snapshot.tags.iter().filter(|tag| fits(tag, limits::TAG_BYTES)).take(limits::TAGS as usize).cloned().collect();
    tags.sort();
    tags.dedup();
    let excludes = snapshot.excludes.iter().filter(|exclude| fits(exclude, limits::PATH_BYTES));
    Manifest {
        user: snapshot.user.clone(),
        program: snapshot.program.clone().unwrap_or_else(|| "restic".to_owned()),
        tags,
        roots,
        summary,
        excludes: excludes.take(limits::EXCLUDES as usize).map(|exclude| exclude.clone().into_bytes()).collect(),
        parent: snapshot.parent.and_then(|id| here.by_origin.get(&(here.source, ObjectId(id.0))).copied()),
        origin: Some(Origin { repo: here.source, snapshot: ObjectId(snapshot.id.0) }),
    }
}
