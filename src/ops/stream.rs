//! A backup of what a stream gives: one file, made of the standard input or of a program's output.

use crate::error::{Error, Result};
use crate::format::entry::{Entry, Node};
use crate::format::snapshot::{Manifest, Root, Summary, is_root_path};
use crate::format::time::Time;
use crate::id::WriterName;
use crate::ops::backup::BackupReport;
use crate::ops::cutting::Cut;
use crate::ops::database::CommandLine;
use crate::ops::last_look::unusable;
use crate::ops::storing::Storing;
use crate::ops::{Progress, Totals};
use crate::repo::Repository;
use crate::source::OwnerNames;
use crate::state::State;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Instant;

/// So much is read at a time.
const PART_BYTES: usize = 1 << 20;
/// How long is waited before it is looked whether to stop.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Where the bytes come from.
#[derive(Clone, Debug)]
pub enum Input {
    /// The standard input.
    Stdin,
    /// What this program writes to its standard output. If it fails, no snapshot is made.
    Command(CommandLine),
}

/// What to make of it.
#[derive(Clone, Debug)]
pub struct StreamOptions {
    /// The absolute path that the file gets in the snapshot.
    pub path: Vec<u8>,
    /// Tags of the snapshot.
    pub tags: Vec<String>,
    /// Host name of the snapshot.
    pub host: String,
    /// As which writer; a writer's key has its own name.
    pub writer: Option<WriterName>,
    /// Store nothing, only count.
    pub dry_run: bool,
}

/// Backs up.
///
/// # Errors
/// When the snapshot could not be made: then there is none, also if the stream broke or the program failed at its very end. What was stored until then is
/// not stored twice by the next run.
pub fn backup_stream(
    repo: &Repository,
    state: &State,
    input: &Input,
    options: &StreamOptions,
    progress: &dyn Progress,
) -> Result<BackupReport> {
    let (began, started) = (Instant::now(), Time::now());
    if !is_root_path(&options.path) || options.path == b"/" {
        let path = String::from_utf8_lossy(&options.path).into_owned();
        return Err(Error::Usage(format!("{path} is no name for a file in a snapshot")));
    }
    let host_writer = WriterName::from_host(&options.host);
    let wanted = match repo.keys().role() {
        crate::format::keyfile::Role::Admin => Some(options.writer.as_ref().unwrap_or(&host_writer)),
        _ => options.writer.as_ref(),
    };
    let signer = repo.keys().signer(wanted)?;
    progress.stage("prepare", Totals::default());
    let statements = repo.statements()?;
    repo.sync(state, Some(signer.writer()), &statements)?;
    let (_, lost) = repo.vanished_packs(state, &statements, signer.writer())?;
    let unusable = unusable(state, &statements, &lost)?;
    let storing = Storing {
        repo,
        state,
        signer: &signer,
        statements: &statements,
        unusable: &unusable,
        dry_run: options.dry_run,
    };
    progress.stage("back up", Totals::default());
    let mut basis = storing.basis()?;
    let (entry, stats) = storing.run(|out| {
        let mut cut = Cut::new(repo.keys(), Vec::new());
        let mut size_bytes = 0_u64;
        let mut take = |from: &mut dyn ReadFd| -> Result<()> {
            let mut part = vec![0; PART_BYTES];
            loop {
                let read = wait_and_read(from, &mut part, progress)?;
                if read == 0 {
                    return Ok(());
                }
                size_bytes += read as u64;
                cut.data.extend_from_slice(part.get(..read).unwrap_or_default());
                cut.go_on(out)?;
                progress.advance(0, read as u64);
            }
        };
        match input {
            Input::Stdin => take(&mut std::io::stdin().lock())?,
            Input::Command(command) => {
                let (running, mut pipe) = command.start("the command")?;
                take(&mut pipe)?;
                running.wait()?;
            }
        }
        let inline_max_bytes = u64::from(repo.keys().chunker().params().inline_max_bytes);
        let node = match size_bytes {
            1.. if size_bytes <= inline_max_bytes => Node::Inline(std::mem::take(&mut cut.data)),
            _ => Node::File(cut.finish(out)?),
        };
        progress.advance(1, 0);
        Ok(entry(node))
    })?;
    let summary = Summary {
        files: 1,
        source_bytes: entry.size_bytes(),
        files_new: 1,
        read_bytes: entry.size_bytes(),
        data_blobs: stats.data_blobs,
        data_bytes: stats.data_bytes,
        tree_blobs: stats.tree_blobs,
        tree_bytes: stats.tree_bytes,
        stored_bytes: stats.pack_bytes,
        ..Summary::default()
    };
    let mut report = BackupReport {
        snapshot: None,
        parent: None,
        writer: signer.writer().clone(),
        summary,
        unreadable: Vec::new(),
        warnings: Vec::new(),
        databases: Vec::new(),
        failed_hooks: Vec::new(),
        vanished: Vec::new(),
        packs: stats.packs,
        resumed_packs: 0,
        uploaded_bytes: stats.pack_bytes,
        dry_run: options.dry_run,
        elapsed_secs: 0.0,
    };
    if !options.dry_run {
        progress.stage("write the snapshot", Totals::default());
        let mut tags = options.tags.clone();
        tags.sort();
        tags.dedup();
        let manifest = Manifest {
            user: std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_default(),
            program: format!("panther {}", env!("CARGO_PKG_VERSION")),
            tags,
            roots: vec![Root { path: options.path.clone(), entry }],
            summary,
            excludes: Vec::new(),
            parent: None,
            origin: None,
        };
        // The reader's rules are the writer's: what could not be read back must not be written.
        Manifest::decode(&manifest.encode()).map_err(|e| Error::Usage(format!("no such snapshot can be made: {e}")))?;
        report.snapshot =
            Some(storing.write_snapshot(&mut basis, (started, Time::now()), &options.host, &manifest, progress)?);
    }
    report.elapsed_secs = began.elapsed().as_secs_f64();
    Ok(report)
}

/// Something to read that can be waited for.
trait ReadFd: Read + AsFd {}
impl<T: Read + AsFd> ReadFd for T {}

/// Reads what there is; 0 at the end. A signal ends the waiting.
fn wait_and_read(from: &mut dyn ReadFd, part: &mut [u8], progress: &dyn Progress) -> Result<usize> {
    let failed = |e| Error::io("read", Path::new("the stream"), e);
    loop {
        if progress.cancelled() {
            return Err(Error::Interrupted);
        }
        let ready = {
            let mut fds = [PollFd::from_borrowed_fd(from.as_fd(), PollFlags::IN)];
            poll(&mut fds, Some(&TICK))
        };
        match ready {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(failed(error.into())),
        }
        match from.read(part) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            other => return other.map_err(failed),
        }
    }
}

/// A file that belongs to whoever runs this, of now.
fn entry(node: Node) -> Entry {
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let owners = OwnerNames::new();
    Entry {
        name: Vec::new(),
        node,
        mode: 0o600,
        uid,
        gid,
        user: owners.user(uid),
        group: owners.group(gid),
        mtime: Time::now(),
        btime: None,
        xattrs: Vec::new(),
        link: None,
        flags: 0,
        boundary: None,
    }
}
