//! What a [`History`] does in a step.

use crate::btrfs_history::{FILE_BYTES, History};
use crate::btrfs_kit::{name_of, open_dir};
use crate::common::noise;
use crate::words;
use panther::source::btrfs;
use rand::RngExt;
use rustix::fs::{AtFlags, CWD, FallocateFlags, FileType, Mode, OFlags, RenameFlags, Timespec, Timestamps, XattrFlags};
use serde_json::json;
use std::fs::{self, File, Permissions};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, lchown, symlink};
use std::path::Path;

pub type Op = fn(&mut History);

/// Name, weight, what it does.
pub const OPS: &[(&str, u32, Op)] = &[
    ("create", 8, |h| if h.is_full() { unlink(h) } else { h.make_file() }),
    ("create large", 1, create_large),
    ("write", 10, write),
    ("append", 4, append),
    ("truncate", 5, truncate),
    ("truncate and regrow", 3, regrow),
    ("punch", 5, |h| fallocate(h, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE)),
    ("preallocate", 3, |h| fallocate(h, FallocateFlags::empty())),
    ("preallocate, same size", 2, |h| fallocate(h, FallocateFlags::KEEP_SIZE)),
    ("zero a range", 2, |h| fallocate(h, FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE)),
    ("preallocate and write", 3, preallocate_and_write),
    ("write mapped", 3, |h| write_mapped(h, false)),
    ("write mapped, kept", 2, |h| write_mapped(h, true)),
    ("write what is mapped", 3, write_held),
    ("write many pages", 3, write_many_pages),
    ("write back", 2, write_with_old_times),
    ("rename", 5, rename),
    ("rename folder", 2, rename_folder),
    ("exchange", 3, exchange),
    ("swap names", 2, swap_names),
    ("replace by rename", 3, replace),
    ("link", 4, link),
    ("many links", 1, many_links),
    ("unlink", 5, unlink),
    ("unlink, open", 2, unlink_open),
    ("close", 1, |h| h.removed.clear()),
    ("remove and recreate", 3, recreate),
    ("make folder", 3, |h| if h.is_full() { unlink(h) } else { h.make_dir() }),
    ("remove folder", 1, remove_folder),
    ("symlink", 1, |h| {
        let name = h.name();
        symlink(format!("to/{}", h.below(1000)), name).unwrap();
    }),
    ("special", 1, special),
    ("xattr", 4, xattr),
    ("acl", 2, acl),
    ("chmod", 3, chmod),
    ("chown", 3, chown),
    ("touch", 3, touch),
    ("clone", 3, clone),
    ("clone a range", 5, clone_range),
    ("dedupe", 3, dedupe),
    ("create nocow", 3, create_nocow),
    ("compression property", 2, compression),
    ("nested subvolume", 3, nested),
    ("nested snapshot", 1, nested_snapshot),
    ("without a name", 2, without_name),
    ("give a name", 2, give_name),
    ("defragment", 2, |h| {
        if let Some(file) = h.file() {
            h.defragment(&file);
        }
    }),
    ("large folder", 1, large_folder),
    ("fsync", 4, |h| {
        if let Some((file, ..)) = h.opened() {
            file.sync_all().unwrap();
        }
    }),
    ("sync", 1, |h| rustix::fs::syncfs(open_dir(&h.root)).unwrap()),
];

fn create_large(h: &mut History) {
    if h.objects().iter().filter(|(_, meta)| meta.len() > 4 << 20).count() < 3 {
        h.make_large_file();
    }
}

fn write(h: &mut History) {
    let Some((file, _, len)) = h.opened() else { return };
    let (at, part) = h.part(len);
    file.write_all_at(&h.content(part), at).unwrap();
}

fn append(h: &mut History) {
    let Some((file, _, len)) = h.opened().filter(|(_, _, len)| *len < FILE_BYTES as u64) else { return };
    let more = h.size();
    file.write_all_at(&h.content(more), len).unwrap();
}

fn truncate(h: &mut History) {
    let Some((file, _, len)) = h.opened() else { return };
    let mut to = h.below((len as usize * 3 / 2).clamp(8_192, FILE_BYTES)) as u64;
    if h.one_in(3) {
        to -= to % 4096;
    }
    file.set_len(to).unwrap();
}

fn regrow(h: &mut History) {
    let Some((file, _, len)) = h.opened() else { return };
    file.set_len(h.below(len as usize) as u64).unwrap();
    if h.one_in(3) {
        file.sync_all().unwrap();
    }
    file.set_len(len).unwrap();
}

fn fallocate(h: &mut History, how: FallocateFlags) {
    let Some((file, _, len)) = h.opened() else { return };
    let (at, part) = h.part(len);
    rustix::fs::fallocate(&file, how, at, part as u64).unwrap();
}

fn preallocate_and_write(h: &mut History) {
    let name = h.name();
    let file = File::create(name).unwrap();
    rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, 400_000).unwrap();
    for _ in 0..h.below(4) {
        let (at, part) = h.part(400_000);
        file.write_all_at(&h.content(part), at).unwrap();
    }
}

fn write_mapped(h: &mut History, keep: bool) {
    let Some((file, path, len)) = h.opened().filter(|(_, _, len)| *len > 0) else { return };
    drop(file);
    let Some(path) = path.to_str().map(str::to_owned) else { return };
    let (at, part) = h.part(len);
    let text = "mapped ".repeat(part / 7 + 1);
    let part = part.min((len - at) as usize);
    let n = h.below(9);
    h.ask(&json!(["mmap", path, at, &text.replace('m', &n.to_string())[..part], keep]));
}

fn write_held(h: &mut History) {
    let which = h.below(8);
    let fraction = h.rng.random_range(0.0..1.0);
    let text = format!("{} is still mapped", h.below(1_000)).repeat(1 + h.below(300));
    h.ask(&json!(["held", which, fraction, text]));
}

fn write_many_pages(h: &mut History) {
    let Some((file, _, len)) = h.opened().filter(|(_, _, len)| *len > 100_000) else { return };
    for _ in 0..1 + h.below(20) {
        let page = h.below(len as usize / 4096) as u64;
        file.write_all_at(&noise(h.rng.random(), 4096), page * 4096).unwrap();
    }
}

/// As some programs do: other bytes, the same length, the same times.
fn write_with_old_times(h: &mut History) {
    let Some((file, path, len)) = h.opened().filter(|(_, _, len)| *len > 0) else { return };
    let meta = file.metadata().unwrap();
    let (at, part) = h.part(len);
    let part = part.min((len - at) as usize);
    file.write_all_at(&h.content(part), at).unwrap();
    set_times(&path, Timespec { tv_sec: meta.mtime(), tv_nsec: meta.mtime_nsec() });
}

fn rename(h: &mut History) {
    let Some(path) = h.pick(|meta| !meta.is_dir()) else { return };
    // Into a nested subvolume is another thing.
    let _ = fs::rename(path, h.name());
}

fn rename_folder(h: &mut History) {
    let Some(path) = h.pick(fs::Metadata::is_dir) else { return };
    let to = h.name();
    if !to.starts_with(&path) {
        let _ = fs::rename(path, to);
    }
}

fn exchange(h: &mut History) {
    let (Some(one), Some(other)) = (h.pick(|_| true), h.pick(|_| true)) else { return };
    if !one.starts_with(&other) && !other.starts_with(&one) {
        let _ = rustix::fs::renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE);
    }
}

fn swap_names(h: &mut History) {
    let (Some(one), Some(other)) = (h.pick(|meta| !meta.is_dir()), h.pick(|meta| !meta.is_dir())) else { return };
    let between = one.with_file_name("between");
    if one != other && History::same_subvolume(one.parent().unwrap(), other.parent().unwrap()) {
        fs::rename(&one, &between).unwrap();
        fs::rename(&other, &one).unwrap();
        fs::rename(&between, &other).unwrap();
    }
}

fn replace(h: &mut History) {
    let Some(path) = h.pick(fs::Metadata::is_file) else { return };
    let new = path.with_file_name("replacement");
    let len = h.size();
    fs::write(&new, h.content(len)).unwrap();
    fs::rename(new, path).unwrap();
}

fn link(h: &mut History) {
    let Some(path) = h.pick(|meta| !meta.is_dir()) else { return };
    let _ = fs::hard_link(path, h.name());
}

/// So many that not all names fit one item.
fn many_links(h: &mut History) {
    let Some(path) = h.pick(fs::Metadata::is_file).filter(|_| !h.is_full()) else { return };
    let folder = path.parent().unwrap();
    for n in 0..30 {
        let name = format!("{:-<240}{n}-{}", "link", h.below(1_000_000));
        let _ = fs::hard_link(&path, folder.join(name));
    }
}

fn unlink(h: &mut History) {
    for _ in 0..1 + h.below(3) {
        if let Some(path) = h.pick(|meta| !meta.is_dir()) {
            fs::remove_file(path).unwrap();
        }
    }
}

fn unlink_open(h: &mut History) {
    let Some((file, path, _)) = h.opened() else { return };
    fs::remove_file(path).unwrap();
    h.removed.push(file);
}

fn recreate(h: &mut History) {
    let Some(path) = h.pick(|meta| !meta.is_dir()) else { return };
    fs::remove_file(&path).unwrap();
    if h.one_in(5) {
        fs::create_dir(&path).unwrap();
        return;
    }
    let len = h.size();
    fs::write(&path, h.content(len)).unwrap();
}

fn remove_folder(h: &mut History) {
    let Some(folder) = h.pick(fs::Metadata::is_dir) else { return };
    if h.objects().iter().filter(|(path, _)| path.starts_with(&folder)).count() < 15 {
        h.remove_all(&folder);
    }
}

fn special(h: &mut History) {
    let kinds = [FileType::Fifo, FileType::Socket, FileType::CharacterDevice, FileType::BlockDevice];
    let kind = kinds[h.below(4)];
    let device = rustix::fs::makedev(259, 70_000 + h.below(9) as u32);
    rustix::fs::mknodat(CWD, h.name(), kind, Mode::from_raw_mode(0o640), device).unwrap();
}

fn xattr(h: &mut History) {
    let Some(path) = h.pick(|meta| meta.is_file() || meta.is_dir()) else { return };
    let name = ["user.one", "user.two", "trusted.three"][h.below(3)];
    if h.one_in(3) {
        let _ = rustix::fs::lremovexattr(&path, name);
    } else {
        let len = [0, 1, 20, 500, 3_000][h.below(5)];
        let _ = rustix::fs::lsetxattr(&path, name, &noise(h.rng.random(), len), XattrFlags::empty());
    }
}

fn acl(h: &mut History) {
    let Some(path) = h.pick(|meta| meta.is_file() || meta.is_dir()) else { return };
    const NOBODY: u32 = u32::MAX;
    let may = h.below(8) as u16;
    let entries = [(1, 6, NOBODY), (2, may, 1234), (4, 4, NOBODY), (0x10, 7, NOBODY), (0x20, 0, NOBODY)];
    let mut value = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        value.extend(u16::to_le_bytes(tag));
        value.extend(u16::to_le_bytes(permissions));
        value.extend(u32::to_le_bytes(id));
    }
    let name = if path.is_dir() && h.one_in(2) { "system.posix_acl_default" } else { "system.posix_acl_access" };
    rustix::fs::lsetxattr(&path, name, &value, XattrFlags::empty()).unwrap();
}

fn chmod(h: &mut History) {
    let root = h.root.clone();
    let path = h.pick(|meta| !meta.is_symlink()).filter(|_| !h.one_in(10)).unwrap_or(root);
    let mode = h.rng.random_range(0..0o10000);
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn chown(h: &mut History) {
    let Some(path) = h.pick(|_| true) else { return };
    let ids = [0, 1, 1000, 65_534, 4_000_000_000];
    lchown(path, Some(ids[h.below(5)]), Some(ids[h.below(5)])).unwrap();
}

fn touch(h: &mut History) {
    let Some(path) = h.pick(|_| true) else { return };
    let tv_sec = h.rng.random_range(-2_000_000_000..10_000_000_000);
    set_times(&path, Timespec { tv_sec, tv_nsec: h.rng.random_range(0..1_000_000_000) });
}

fn set_times(path: &Path, mtime: Timespec) {
    let times = Timestamps { last_access: mtime, last_modification: mtime };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn clone(h: &mut History) {
    let Some((from, ..)) = h.opened() else { return };
    let to = File::create(h.name()).unwrap();
    // Not from a file without copy-on-write to one with it.
    let _ = btrfs::clone_range(from.as_fd(), 0, 0, to.as_fd(), 0);
}

/// From one file into another, or within one.
fn clone_range(h: &mut History) {
    let Some((from, path, len)) = h.opened().filter(|(_, _, len)| *len >= 4096) else { return };
    let (to, to_len) = match h.opened() {
        Some((file, _, len)) if h.one_in(2) => (file, len),
        _ => (File::options().write(true).open(path).unwrap(), len),
    };
    let blocks = len as usize / 4096;
    let at = h.below(blocks);
    let count = 1 + h.below((blocks - at).min(40));
    let target = h.below(to_len as usize / 4096 + 2);
    let bytes = |blocks: usize| blocks as u64 * 4096;
    let _ = btrfs::clone_range(from.as_fd(), bytes(at), bytes(count), to.as_fd(), bytes(target));
}

fn dedupe(h: &mut History) {
    let Some((file, path, len)) = h.opened().filter(|(_, _, len)| *len >= 8192) else { return };
    let Some(from) = path.to_str() else { return };
    // A copy with bytes of its own, which afterwards shares them.
    let name = h.name();
    let Some(to) = name.to_str() else { return };
    let mut bytes = vec![0; len.min(200_000) as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    fs::write(&name, &bytes).unwrap();
    let part = bytes.len() / 4096 * 4096;
    let done = h.ask(&json!(["dedupe", from, 0, part, to, 0]));
    h.note(done.to_string());
}

fn create_nocow(h: &mut History) {
    let name = h.name();
    let file = File::create(&name).unwrap();
    h.command("chattr", words!["+C", &name]);
    let len = 1 + h.below(300_000);
    file.write_all_at(&h.content(len), 0).unwrap();
}

fn compression(h: &mut History) {
    let Some(path) = h.pick(|meta| meta.is_file() || meta.is_dir()) else { return };
    let kind = ["zstd", "lzo", "none", ""][h.below(4)];
    h.command("btrfs", words!["property", "set", &path, "compression", kind]);
}

fn nested(h: &mut History) {
    let nested = h.nested();
    if nested.len() < 3 {
        let path = h.name();
        btrfs::create_subvolume(open_dir(path.parent().unwrap()).as_fd(), &name_of(&path)).unwrap();
        fs::write(path.join("within"), b"a nested subvolume").unwrap();
        return;
    }
    let one = &nested[h.below(nested.len())];
    match h.below(3) {
        0 => h.remove_all(one),
        1 => {
            // Another in its place.
            h.remove_all(one);
            btrfs::create_subvolume(open_dir(one.parent().unwrap()).as_fd(), &name_of(one)).unwrap();
        }
        _ => {
            let to = h.name();
            if !to.starts_with(one) {
                let _ = fs::rename(one, to);
            }
        }
    }
}

/// A snapshot of the subvolume within itself.
fn nested_snapshot(h: &mut History) {
    if h.nested().len() < 4 {
        let path = h.name();
        let into = open_dir(path.parent().unwrap());
        btrfs::create_snapshot(open_dir(&h.root).as_fd(), into.as_fd(), &name_of(&path), h.one_in(2)).unwrap();
    }
}

fn without_name(h: &mut History) {
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(&h.root, flags, Mode::from_raw_mode(0o600)).unwrap());
    let len = h.size();
    file.write_all_at(&h.content(len), 0).unwrap();
    h.nameless.push(file);
}

fn give_name(h: &mut History) {
    let Some(file) = h.nameless.pop() else { return };
    rustix::fs::linkat(&file, c"", CWD, h.name(), AtFlags::EMPTY_PATH).unwrap();
}

/// One of thousands of entries, which fills many blocks of the tree.
fn large_folder(h: &mut History) {
    let folder = h.root.join("large");
    let _ = fs::create_dir(&folder);
    if !folder.is_dir() {
        return;
    }
    for _ in 0..200 {
        let path = folder.join(format!("one-of-many-{}", h.below(2_000)));
        if path.exists() {
            fs::remove_file(path).unwrap();
        } else {
            fs::write(path, b"small").unwrap();
        }
    }
}
