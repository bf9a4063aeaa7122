//! A tree that somebody works in: made at random, changed at random, the same for a seed.

use crate::common::noise;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustix::fs::{CWD, FallocateFlags, FileType, Mode, RenameFlags, Timespec, Timestamps, XattrFlags};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

/// A folder of so many names, to have directories in several parts.
const MANY: usize = 3_000;

/// Sizes around which something changes: content in the entry, cut points, parts, large files.
const SIZES: [usize; 9] = [0, 1, 512, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 2 << 20];

pub struct Field {
    rng: ChaCha8Rng,
    root: PathBuf,
    made: u32,
    is_root: bool,
}

impl Field {
    /// A tree in the empty folder `root`.
    pub fn new(seed: u64, root: &Path) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        let mut field = Self { rng, root: root.to_owned(), made: 0, is_root: rustix::process::geteuid().is_root() };
        for _ in 0..70 {
            field.make();
        }
        let many = root.join("many");
        fs::create_dir(&many).unwrap();
        for n in 0..MANY {
            fs::write(many.join(format!("{n:x}-of-many")), &noise(n as u64, 40)[..n % 40]).unwrap();
        }
        field
    }

    /// Changes so many things.
    pub fn edit(&mut self, times: usize) {
        for _ in 0..times {
            self.change();
        }
    }

    fn below(&mut self, end: usize) -> usize {
        self.rng.random_range(0..end.max(1))
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    fn size(&mut self) -> usize {
        let size = SIZES[self.below(SIZES.len())];
        match self.below(6) {
            0 => size.saturating_sub(1),
            1 => size + 1,
            2 => self.below(3 << 20),
            3 => self.below(20_000),
            _ => size,
        }
    }

    /// Noise, text, zeros, and what other files have, too.
    fn content(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = match self.below(5) {
            0 => b"the same line again and again\n".iter().copied().cycle().take(len).collect(),
            1 => noise(self.below(3) as u64, len),
            2 => vec![0; len],
            _ => noise(self.rng.random(), len),
        };
        if len > 10_000 && self.one_in(3) {
            let at = self.below(len - 5_000);
            bytes[at..at + 5_000].fill(0);
        }
        bytes
    }

    fn objects(&self) -> Vec<(PathBuf, fs::Metadata)> {
        let mut found = Vec::new();
        let mut todo = vec![self.root.clone()];
        while let Some(folder) = todo.pop() {
            let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
            paths.sort();
            for path in paths {
                let meta = fs::symlink_metadata(&path).unwrap();
                if meta.is_dir() {
                    todo.push(path.clone());
                }
                found.push((path, meta));
            }
        }
        found
    }

    /// One of those that `wanted` says; seldom one of the many.
    fn pick(&mut self, wanted: impl Fn(&fs::Metadata) -> bool) -> Option<PathBuf> {
        let of_many = self.one_in(6);
        let mut paths = self.objects();
        paths.retain(|(path, meta)| {
            wanted(meta) && path.file_name().unwrap().as_bytes().ends_with(b"-of-many") == of_many
        });
        if paths.is_empty() { None } else { Some(paths.swap_remove(self.below(paths.len())).0) }
    }

    fn file(&mut self) -> Option<PathBuf> {
        self.pick(|meta| meta.is_file())
    }

    fn folder(&mut self) -> PathBuf {
        self.pick(|meta| meta.is_dir()).filter(|_| self.rng.random_range(0..5) > 0).unwrap_or_else(|| self.root.clone())
    }

    /// A name that is not there yet.
    fn name(&mut self) -> PathBuf {
        self.made += 1;
        let n = self.made;
        let name = match self.below(8) {
            0 => [b"\xff\xfe not UTF-8 \x80".to_vec(), n.to_string().into_bytes()].concat(),
            1 => format!("line\nfeed {n}").into_bytes(),
            2 => format!("{n:x<255}").into_bytes(),
            3 => format!("-{n} *?[\\]").into_bytes(),
            4 => format!("\u{e9}\u{1F43E}{n}").into_bytes(),
            _ => format!("name{n}").into_bytes(),
        };
        let folder = self.folder();
        // Paths are handed to the kernel whole.
        let folder = if folder.as_os_str().len() > 3_000 { self.root.clone() } else { folder };
        folder.join(OsString::from_vec(name))
    }

    fn make(&mut self) {
        let path = self.name();
        match self.below(12) {
            0..3 => fs::create_dir(&path).unwrap(),
            3 => symlink(OsString::from_vec(b"some\xffwhere/else".to_vec()), &path).unwrap(),
            4 => self.special(&path),
            5 => self.sparse(&path),
            _ => {
                let len = self.size();
                fs::write(&path, self.content(len)).unwrap();
            }
        }
    }

    fn special(&mut self, path: &Path) {
        let mode = Mode::from_raw_mode(0o640);
        let (kind, device) = match self.below(if self.is_root { 4 } else { 2 }) {
            0 => (FileType::Fifo, 0),
            1 => (FileType::Socket, 0),
            2 => (FileType::CharacterDevice, rustix::fs::makedev(1, 3)),
            _ => (FileType::BlockDevice, rustix::fs::makedev(259, 70_000)),
        };
        rustix::fs::mknodat(CWD, path, kind, mode, device).unwrap();
    }

    fn sparse(&mut self, path: &Path) {
        let file = File::create(path).unwrap();
        let len = self.below(40 << 20) as u64;
        for _ in 0..self.below(4) {
            let (at, part) = (self.below(len as usize) as u64, self.below(50_000));
            file.write_all_at(&self.content(part), at).unwrap();
        }
        if self.one_in(2) {
            file.set_len(len).unwrap();
        }
    }

    fn change(&mut self) {
        let Some(file) = self.file() else { return self.make() };
        let meta = fs::symlink_metadata(&file).unwrap();
        let len = meta.len();
        let opened = || OpenOptions::new().read(true).write(true).open(&file).unwrap();
        match self.below(22) {
            0 => self.write(&opened(), len),
            1 => {
                let more = self.size();
                opened().write_all_at(&self.content(more), len).unwrap();
            }
            2 => opened().set_len(self.below((len as usize * 3 / 2).clamp(10_000, 4 << 20)) as u64).unwrap(),
            3 if len > 0 => {
                let (at, part) = (self.below(len as usize) as u64, 1 + self.below(len as usize) as u64);
                let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                rustix::fs::fallocate(opened(), how, at, part).unwrap();
            }
            4 => fs::rename(&file, self.name()).unwrap(),
            5 => self.exchange(&file),
            6 => fs::hard_link(&file, self.name()).unwrap(),
            7 => fs::remove_file(&file).unwrap(),
            8 => self.chmod(),
            9 => self.chown(),
            10 | 11 => self.xattr(),
            12 => self.touch(),
            13 => {
                fs::remove_file(&file).unwrap();
                fs::create_dir(&file).unwrap();
                fs::write(file.join("in place of a file"), self.content(600)).unwrap();
            }
            14 => self.folder_to_file(),
            15 => {
                // As some programs do: other bytes, the same size and time.
                self.write(&opened(), len);
                let mtime = Timespec { tv_sec: meta.mtime(), tv_nsec: meta.mtime_nsec() };
                set_times(&file, mtime);
            }
            16 => self.move_folder(),
            17 => {
                let new = self.name();
                fs::write(&new, self.content(len as usize)).unwrap();
                fs::rename(new, &file).unwrap();
            }
            18 => self.remove_other(),
            _ => self.make(),
        }
    }

    /// Other bytes somewhere in the file, whose length stays.
    fn write(&mut self, file: &File, len: u64) {
        let at = self.below(len as usize) as u64;
        let part = self.below((len - at) as usize + 1);
        file.write_all_at(&self.content(part), at).unwrap();
    }

    fn exchange(&mut self, one: &Path) {
        let Some(other) = self.pick(|_| true) else { return };
        if !one.starts_with(&other) {
            rustix::fs::renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
        }
    }

    fn chmod(&mut self) {
        let Some(path) = self.pick(|meta| !meta.is_symlink()) else { return };
        let mode = self.rng.random_range(0..0o10000);
        // Others than root must still be able to read it.
        let least = if self.is_root { 0 } else { 0o700 };
        fs::set_permissions(path, Permissions::from_mode(mode | least)).unwrap();
    }

    fn chown(&mut self) {
        let Some(path) = self.pick(|_| true).filter(|_| self.is_root) else { return };
        let ids = [0, 1, 1000, 65_534, 70_000, 4_000_000_000];
        lchown(path, Some(ids[self.below(6)]), Some(ids[self.below(6)])).unwrap();
    }

    fn xattr(&mut self) {
        let Some(path) = self.pick(|meta| meta.is_file() || meta.is_dir()) else { return };
        let is_dir = path.is_dir();
        let set = |name: &str, value: &[u8]| {
            // A full inode is the file system's business.
            let _ = rustix::fs::lsetxattr(&path, name, value, XattrFlags::empty());
        };
        let len = [0, 1, 20, 500, 2_000][self.below(5)];
        let value = noise(self.rng.random(), len);
        match self.below(7) {
            0 => set("user.two", &value),
            1 => drop(rustix::fs::lremovexattr(&path, "user.one")),
            2 => set("system.posix_acl_access", &acl(self.below(8) as u16)),
            3 if is_dir => set("system.posix_acl_default", &acl(self.below(8) as u16)),
            4 if self.is_root && !is_dir => {
                set("security.capability", &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            }
            5 if self.is_root => set("trusted.one", &value),
            _ => set("user.one", &value),
        }
    }

    fn touch(&mut self) {
        let Some(path) = self.pick(|_| true) else { return };
        let tv_sec = self.rng.random_range(-2_000_000_000..10_000_000_000);
        set_times(&path, Timespec { tv_sec, tv_nsec: self.rng.random_range(0..1_000_000_000) });
    }

    fn folder_to_file(&mut self) {
        let many = self.root.join("many");
        let Some(folder) = self.pick(|meta| meta.is_dir()).filter(|path| *path != many) else { return };
        if many.starts_with(&folder) || self.objects().iter().filter(|(p, _)| p.starts_with(&folder)).count() > 20 {
            return;
        }
        fs::remove_dir_all(&folder).unwrap();
        fs::write(&folder, self.content(700)).unwrap();
    }

    fn move_folder(&mut self) {
        let Some(folder) = self.pick(|meta| meta.is_dir()) else { return };
        let to = self.name();
        if !to.starts_with(&folder) && folder != self.root.join("many") {
            fs::rename(folder, to).unwrap();
        }
    }

    fn remove_other(&mut self) {
        if let Some(path) = self.pick(|meta| !meta.is_dir() && !meta.is_file()) {
            fs::remove_file(path).unwrap();
        }
    }
}

fn set_times(path: &Path, mtime: Timespec) {
    let times = Timestamps { last_access: mtime, last_modification: mtime };
    rustix::fs::utimensat(CWD, path, &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// A POSIX ACL as the kernel has it: one more user, who may do this.
fn acl(may: u16) -> Vec<u8> {
    const NOBODY: u32 = u32::MAX;
    let entries = [(1, 6, NOBODY), (2, may, 1234), (4, 4, NOBODY), (0x10, 7, NOBODY), (0x20, 0, NOBODY)];
    let mut acl = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        acl.extend(u16::to_le_bytes(tag));
        acl.extend(u16::to_le_bytes(permissions));
        acl.extend(u32::to_le_bytes(id));
    }
    acl
}
