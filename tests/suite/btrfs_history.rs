//! A subvolume that somebody works in: everything that a Btrfs can be made to do to files, at random, the same for a seed.
//!
//! [`History::step`] does one thing. What it leaves open across steps (mapped files, files without a name, removed files
//! that are still open) is there to be caught by snapshots; [`History::release`] closes it, for an unmount.

use crate::btrfs_history_ops::{OPS, Op};
use crate::btrfs_kit::{name_of, open_dir, try_run};
use crate::common::noise;
use crate::words;
use panther::source::btrfs;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A tree keeps to about so many objects …
const OBJECTS: usize = 160;
/// … and a file to so many bytes.
pub const FILE_BYTES: usize = 12 << 20;

/// A folder at the top with this name is left alone: for snapshots of the subvolume within itself, say.
pub const KEPT: &str = "kept";

/// A subvolume being worked in.
pub struct History {
    pub(crate) rng: ChaCha8Rng,
    pub(crate) root: PathBuf,
    /// Made with `O_TMPFILE`, without a name as yet.
    pub(crate) nameless: Vec<File>,
    /// Removed, but open.
    pub(crate) removed: Vec<File>,
    helper: Option<Helper>,
    made: u32,
    log: Vec<String>,
}

/// The Python program that maps files.
struct Helper {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Helper {
    fn start() -> Option<Self> {
        let program = include_str!("btrfs_helper.py");
        let mut command = Command::new("python3");
        command.args(["-c", program]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let Ok(mut child) = command.spawn() else {
            println!("without python3 nothing is mapped or deduplicated");
            return None;
        };
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Some(Self { child, input, output })
    }

    fn ask(&mut self, request: &serde_json::Value) -> bool {
        writeln!(self.input, "{request}").unwrap();
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        assert!(!answer.is_empty(), "the helper died over {request}");
        answer.trim() == "ok"
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // It ends with its input.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl History {
    /// A history in `root`, the root of an empty subvolume, with a tree to begin with.
    pub fn new(seed: u64, root: &Path) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        let mut history = Self {
            rng,
            root: root.to_owned(),
            nameless: Vec::new(),
            removed: Vec::new(),
            helper: Helper::start(),
            made: 0,
            log: Vec::new(),
        };
        for _ in 0..12 {
            history.make_dir();
        }
        for _ in 0..40 {
            history.make_file();
        }
        history.make_large_file();
        history
    }

    /// Does one thing; returns its name. Not everything can be done at any time: then nothing happens.
    pub fn step(&mut self) -> &'static str {
        let total: u32 = OPS.iter().map(|(_, weight, _)| weight).sum();
        let mut at = self.rng.random_range(0..total);
        let &(name, _, op): &(&str, u32, Op) = OPS
            .iter()
            .find(|(_, weight, _)| match at.checked_sub(*weight) {
                Some(rest) => {
                    at = rest;
                    false
                }
                None => true,
            })
            .unwrap();
        self.log.push(name.to_owned());
        op(self);
        name
    }

    /// Closes all that is open. Then something else may take the place of the subvolume, under its path.
    pub fn release(&mut self) {
        self.nameless.clear();
        self.removed.clear();
        self.ask(&serde_json::json!(["release"]));
    }

    /// What was done since this was asked last, for the message of a failing test.
    pub fn take_log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    pub(crate) fn note(&mut self, what: impl Into<String>) {
        if let Some(last) = self.log.last_mut() {
            *last = format!("{last} {}", what.into());
        }
    }

    pub(crate) fn ask(&mut self, request: &serde_json::Value) -> bool {
        self.helper.as_mut().is_some_and(|helper| helper.ask(request))
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.rng.random_range(0..end.max(1))
    }

    pub(crate) fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    /// Objects with what lstat(2) says, in order of their paths; without nested subvolumes and what is in them.
    pub(crate) fn objects(&self) -> Vec<(PathBuf, fs::Metadata)> {
        let mut found = Vec::new();
        let mut todo = vec![self.root.clone()];
        let dev = fs::metadata(&self.root).unwrap().dev();
        while let Some(folder) = todo.pop() {
            // The large folder has its own operation.
            if folder.file_name().is_some_and(|name| name == "large") {
                continue;
            }
            let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
            paths.sort();
            for path in paths {
                if path == self.root.join(KEPT) {
                    continue;
                }
                let meta = fs::symlink_metadata(&path).unwrap();
                // Nor the empty folders that stand for them in a snapshot, in which nothing can be made.
                let is_panthers = path.file_name().is_some_and(|name| name == ".panther");
                if meta.dev() != dev || meta.ino() == btrfs::STUB_INO || is_panthers {
                    continue;
                }
                if meta.is_dir() {
                    todo.push(path.clone());
                }
                found.push((path, meta));
            }
        }
        found
    }

    pub(crate) fn pick(&mut self, wanted: impl Fn(&fs::Metadata) -> bool) -> Option<PathBuf> {
        let mut objects = self.objects();
        objects.retain(|(_, meta)| wanted(meta));
        if objects.is_empty() { None } else { Some(objects.swap_remove(self.below(objects.len())).0) }
    }

    /// A regular file; seldom the same kind of size twice.
    pub(crate) fn file(&mut self) -> Option<PathBuf> {
        match self.below(4) {
            0 => self.pick(|meta| meta.is_file() && meta.len() > 1 << 20),
            1 => self.pick(|meta| meta.is_file() && meta.len() < 2048),
            _ => None,
        }
        .or_else(|| self.pick(fs::Metadata::is_file))
    }

    /// A file opened for writing, with its path and length.
    pub(crate) fn opened(&mut self) -> Option<(File, PathBuf, u64)> {
        let path = self.file()?;
        let file = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let len = file.metadata().unwrap().len();
        Some((file, path, len))
    }

    pub(crate) fn folder(&mut self) -> PathBuf {
        let root = self.root.clone();
        if self.one_in(5) { root } else { self.pick(fs::Metadata::is_dir).unwrap_or(root) }
    }

    /// A path that is not there yet.
    pub(crate) fn name(&mut self) -> PathBuf {
        use std::os::unix::ffi::OsStringExt;
        self.made += 1;
        let n = self.made;
        let folder = match self.folder() {
            deep if deep.as_os_str().len() > 2_000 => self.root.clone(),
            folder => folder,
        };
        match self.below(12) {
            0 => folder.join(std::ffi::OsString::from_vec([b"\xff\xfe", n.to_string().as_bytes()].concat())),
            1 => folder.join(format!("{n:x<255}")),
            _ => folder.join(format!("n{n}")),
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.objects().len() >= OBJECTS
    }

    /// Noise, text, zeros, or what other files have, too.
    pub(crate) fn content(&mut self, len: usize) -> Vec<u8> {
        match self.below(6) {
            0 => b"the same line again and again\n".iter().copied().cycle().take(len).collect(),
            1 => noise(self.below(3) as u64, len),
            2 => vec![0; len],
            _ => noise(self.rng.random(), len),
        }
    }

    /// Small ones are in the tree, others have extents of all lengths.
    pub(crate) fn size(&mut self) -> usize {
        match self.below(8) {
            0 => 0,
            1 => self.below(100),
            2 | 3 => self.below(4_000),
            4 => 4096 * (1 + self.below(20)),
            5 => self.below(400_000),
            _ => self.below(40_000),
        }
    }

    /// A part of a file: often at the edges of blocks.
    pub(crate) fn part(&mut self, len: u64) -> (u64, usize) {
        let len = (len as usize).max(1);
        let mut at = self.below(len);
        let mut part = 1 + match self.below(4) {
            0 => self.below(len - at),
            1 => self.below(100),
            _ => self.below(20_000),
        };
        if self.one_in(2) {
            at -= at % 4096;
            part = part.next_multiple_of(4096);
        }
        (at as u64, part)
    }

    pub(crate) fn make_dir(&mut self) {
        let path = self.name();
        fs::create_dir(path).unwrap();
    }

    pub(crate) fn make_file(&mut self) {
        let (path, len) = (self.name(), self.size());
        fs::write(path, self.content(len)).unwrap();
    }

    /// One with so many extents that its list of them fills several blocks of the tree.
    pub(crate) fn make_large_file(&mut self) {
        use std::os::unix::fs::FileExt;
        let path = self.name();
        let file = File::create(path).unwrap();
        for at in (0..FILE_BYTES as u64).step_by(16 << 10) {
            if !self.one_in(12) {
                file.write_all_at(&noise(self.rng.random(), 16 << 10), at).unwrap();
                if self.one_in(4) {
                    // What is written together becomes one extent.
                    file.sync_data().unwrap();
                }
            }
        }
    }

    /// Subvolumes in this one, the innermost first; without those that are kept.
    pub(crate) fn nested(&self) -> Vec<PathBuf> {
        let mut paths = self.all_nested();
        paths.retain(|path| {
            !path.starts_with(self.root.join(KEPT)) && !path.components().any(|part| part.as_os_str() == ".panther")
        });
        paths
    }

    fn all_nested(&self) -> Vec<PathBuf> {
        use std::os::unix::ffi::OsStrExt;
        let found = btrfs::nested_subvolumes(open_dir(&self.root).as_fd()).unwrap();
        found.iter().rev().map(|n| self.root.join(std::ffi::OsStr::from_bytes(&n.path))).collect()
    }

    /// Removes a folder, or all of the subvolume, with all that is in it, subvolumes too.
    pub(crate) fn remove_all(&mut self, folder: &Path) {
        let mut doomed = self.all_nested();
        if folder == self.root {
            doomed.push(folder.to_owned());
        }
        for subvolume in doomed.iter().filter(|path| path.starts_with(folder)) {
            btrfs::delete_subvolume(open_dir(subvolume.parent().unwrap()).as_fd(), &name_of(subvolume)).unwrap();
        }
        if folder.exists() {
            fs::remove_dir_all(folder).unwrap();
        }
    }

    pub(crate) fn command(&mut self, program: &str, arguments: &[&std::ffi::OsStr]) {
        let done = try_run(program, arguments);
        self.note(format!("{program}: {done}"));
    }

    /// Whether two paths are in the same subvolume, as a rename wants it.
    pub(crate) fn same_subvolume(one: &Path, other: &Path) -> bool {
        let dev = |path: &Path| fs::symlink_metadata(path).map(|meta| meta.dev()).ok();
        dev(one) == dev(other)
    }

    pub(crate) fn defragment(&mut self, path: &Path) {
        match self.below(3) {
            0 => self.command("btrfs", words!["filesystem", "defragment", "-czstd", path]),
            1 => self.command("btrfs", words!["filesystem", "defragment", "-t", "64K", path]),
            _ => self.command("btrfs", words!["filesystem", "defragment", path]),
        }
    }
}
