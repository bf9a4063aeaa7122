//! The oracle: two snapshots walked in full, and what a delta between them must know.

use panther::source::btrfs::{ChangedRanges, Delta, PhysicalKind, STUB_INO};
use panther::source::{Stat, kind_of, stat_at, xattrs_path};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{CString, OsStr};
use std::fs::{self, File};
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::{Path, PathBuf};

/// The size of a block of data.
const BLOCK: usize = 4096;

/// All there is to know of an inode but its content.
#[derive(Clone, PartialEq, Debug)]
pub struct Facts {
    pub stat: Stat,
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    pub target: Option<PathBuf>,
    /// Inode flags as lsattr shows them.
    pub flags: u32,
    /// Folder and name of each link.
    pub names: BTreeSet<(u64, Vec<u8>)>,
    /// Of a folder: names and inode numbers.
    pub children: BTreeSet<(Vec<u8>, u64)>,
    /// One of its paths.
    pub path: PathBuf,
}

impl Facts {
    /// Whether a later state of the same inode shows any change. Times of access do not count, nor where above it the path goes.
    fn is_like(&self, new: &Self) -> bool {
        let stat = |facts: &Self| Stat { dev: (0, 0), blocks: 0, ..facts.stat.clone() };
        stat(self) == stat(new)
            && (&self.xattrs, &self.target, self.flags) == (&new.xattrs, &new.target, new.flags)
            && (&self.names, &self.children) == (&new.names, &new.children)
    }

    fn is_file(&self) -> bool {
        self.stat.kind == panther::source::Kind::File
    }

    fn content(&self) -> Vec<u8> {
        fs::read(&self.path).unwrap()
    }
}

/// Everything in a snapshot, by inode number; nothing of what stands for nested subvolumes.
pub fn walk(root: &Path) -> BTreeMap<u64, Facts> {
    let mut found = BTreeMap::new();
    let stat = stat_at(rustix::fs::CWD, &CString::new(root.as_os_str().as_bytes()).unwrap()).unwrap();
    let ino = stat.ino;
    found.insert(ino, facts(root, stat));
    let mut todo = vec![(root.to_owned(), ino)];
    while let Some((folder, folder_ino)) = todo.pop() {
        let dir = File::open(&folder).unwrap();
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().as_bytes().to_vec();
            let stat = stat_at(dir.as_fd(), &CString::new(name.clone()).unwrap()).unwrap();
            found.get_mut(&folder_ino).unwrap().children.insert((name.clone(), stat.ino));
            if stat.ino == STUB_INO {
                continue;
            }
            let ino = stat.ino;
            if stat.kind == panther::source::Kind::Dir {
                todo.push((entry.path(), ino));
            }
            found.entry(ino).or_insert_with(|| facts(&entry.path(), stat)).names.insert((folder_ino, name));
        }
    }
    found
}

fn facts(path: &Path, stat: Stat) -> Facts {
    let parent = File::open(path.parent().unwrap()).unwrap();
    let name = CString::new(path.file_name().unwrap().as_bytes()).unwrap();
    let kind = fs::symlink_metadata(path).unwrap().file_type();
    let open =
        !kind.is_symlink() && !kind.is_fifo() && !kind.is_socket() && !kind.is_char_device() && !kind.is_block_device();
    let flags = || rustix::fs::ioctl_getflags(File::open(path).unwrap()).unwrap().bits();
    assert_eq!(kind_of(rustix::fs::FileType::from_raw_mode(u32::MAX)), None);
    Facts {
        xattrs: xattrs_path(parent.as_fd(), &name).unwrap().into_iter().collect(),
        target: kind.is_symlink().then(|| fs::read_link(path).unwrap()),
        flags: if open { flags() } else { 0 },
        names: BTreeSet::new(),
        children: BTreeSet::new(),
        path: path.to_owned(),
        stat,
    }
}

/// What a delta said too much, summed up.
#[derive(Default, Debug, Clone, Copy)]
pub struct Tally {
    pub inodes: usize,
    pub changed: usize,
    pub said_changed: usize,
    pub changed_bytes: u64,
    pub said_bytes: u64,
    pub files_compared: usize,
    /// So many could be compared in proportion to the change.
    pub proportional: usize,
}

/// Checks every answer of the delta against two full walks. `what` is for the message.
pub fn check(delta: &Delta, parent: &Path, new: &Path, what: &str) -> Tally {
    check_walks(delta, &walk(parent), &walk(new), what)
}

pub fn check_walks(delta: &Delta, old: &BTreeMap<u64, Facts>, new: &BTreeMap<u64, Facts>, what: &str) -> Tally {
    let mut tally = Tally { inodes: new.len(), said_changed: delta.changed_count(), ..Tally::default() };
    for (ino, now) in new {
        let path = now.path.display();
        let was = old.get(ino).filter(|was| was.stat.btime == now.stat.btime && was.stat.kind == now.stat.kind);
        assert_eq!(delta.was_there(*ino).unwrap(), was.is_some(), "was_there {ino} {path}; {what}");
        let names: BTreeSet<_> = delta.old_names(*ino).unwrap().into_iter().collect();
        if *ino != 256 && old.contains_key(ino) {
            assert_eq!(names, old[ino].names, "old names of {ino} {path}; {what}");
        }
        let differs = was.is_none_or(|was| !was.is_like(now));
        if differs {
            assert!(delta.is_changed(*ino), "{ino} {path} has changed; {what}\n{was:#?}\n{now:#?}");
        }
        if now.is_file() {
            check_content(delta, *ino, was, now, what, &mut tally);
        } else if !delta.is_changed(*ino) {
            assert_eq!(delta.changed_ranges(*ino).unwrap(), ChangedRanges::Same);
        }
        if delta.is_changed(*ino) {
            tally.changed += usize::from(differs);
            check_above(delta, *ino, new, what);
        }
    }
    check_physical(delta, new, what);
    tally
}

/// All folders above something changed must be opened, and a changed folder itself.
fn check_above(delta: &Delta, ino: u64, new: &BTreeMap<u64, Facts>, what: &str) {
    let mut todo = vec![ino];
    while let Some(ino) = todo.pop() {
        let facts = &new[&ino];
        if facts.stat.kind == panther::source::Kind::Dir {
            assert!(delta.is_dirty_dir(ino), "{ino} {} is dirty; {what}", facts.path.display());
        }
        todo.extend(facts.names.iter().map(|(dir, _)| *dir));
    }
}

fn check_content(delta: &Delta, ino: u64, was: Option<&Facts>, now: &Facts, what: &str, tally: &mut Tally) {
    let path = now.path.display();
    let content = now.content();
    let Some(was) = was else {
        assert_eq!(delta.changed_ranges(ino).unwrap(), ChangedRanges::Whole, "{ino} {path}; {what}");
        return;
    };
    let old = was.content();
    let exact = differing(&old, &content);
    if !delta.is_changed(ino) {
        assert!(exact.is_empty(), "{ino} {path} has other content; {what}");
        assert_eq!(delta.changed_ranges(ino).unwrap(), ChangedRanges::Same);
        return;
    }
    tally.files_compared += 1;
    tally.changed_bytes += exact.iter().map(|r| r.end - r.start).sum::<u64>();
    let said = delta.changed_ranges(ino).unwrap();
    tally.said_bytes += bytes_of(&said, content.len());
    let (whole, proportional) = delta.changed_ranges_both_ways(ino).unwrap();
    tally.proportional += usize::from(proportional.is_some());
    let methods = [("own", Some(said)), ("whole", Some(whole)), ("proportional", proportional)];
    for (method, said) in methods.into_iter().filter_map(|(method, said)| Some((method, said?))) {
        let ranges = match said {
            ChangedRanges::Same => Vec::new(),
            ChangedRanges::Ranges(ranges) => ranges,
            ChangedRanges::Whole => panic!("{ino} {path} was there; {what}"),
        };
        let ascending = ranges.windows(2).all(|pair| pair[0].end < pair[1].start);
        let fits = ranges.iter().all(|r| r.start < r.end && r.end <= content.len() as u64);
        assert!(ascending && fits, "{ino} {path} {method}: {ranges:?}; {what}");
        for part in &exact {
            let covered = ranges.iter().any(|r| r.start <= part.start && part.end <= r.end);
            assert!(covered, "{ino} {path} {method}: {part:?} not in {ranges:?}; {what}");
        }
    }
}

fn bytes_of(said: &ChangedRanges, len: usize) -> u64 {
    match said {
        ChangedRanges::Same => 0,
        ChangedRanges::Ranges(ranges) => ranges.iter().map(|r| r.end - r.start).sum(),
        ChangedRanges::Whole => len as u64,
    }
}

/// Where the new bytes differ from the old, byte for byte where blocks differ; what is beyond the old ones differs.
fn differing(old: &[u8], new: &[u8]) -> Vec<Range<u64>> {
    let least = old.len().min(new.len());
    let mut found: Vec<Range<u64>> = Vec::new();
    for at in (0..least).step_by(BLOCK) {
        let end = (at + BLOCK).min(least);
        let (a, b) = (&old[at..end], &new[at..end]);
        let Some(first) = a.iter().zip(b).position(|(a, b)| a != b) else { continue };
        let last = a.iter().zip(b).rposition(|(a, b)| a != b).unwrap_or(first);
        found.push((at + first) as u64..(at + last + 1) as u64);
    }
    if new.len() > least {
        found.push(least as u64..new.len() as u64);
    }
    found
}

/// Runs cover files without gaps, and runs of one identity have one content, in whatever file and snapshot.
fn check_physical(delta: &Delta, new: &BTreeMap<u64, Facts>, what: &str) {
    let mut seen: HashMap<(u64, u64, u64, u8), blake3::Hash> = HashMap::new();
    for (ino, facts) in new.iter().filter(|(_, facts)| facts.is_file() && facts.stat.size_bytes > 0) {
        let file = File::open(&facts.path).unwrap();
        let len = facts.stat.size_bytes;
        // From somewhere in the middle, too, which must agree with the whole.
        let runs = delta.physical(*ino, 0..len).unwrap();
        let mut at = 0;
        for run in &runs {
            assert_eq!(run.file_offset, at, "{ino} {}: {runs:?}; {what}", facts.path.display());
            at += run.len_bytes;
            let mut bytes = vec![0; run.len_bytes as usize];
            file.read_exact_at(&mut bytes, run.file_offset).unwrap();
            match run.kind {
                PhysicalKind::Hole | PhysicalKind::Prealloc => assert!(bytes.iter().all(|b| *b == 0)),
                PhysicalKind::Data { disk_bytenr, offset, compression, .. } => {
                    for (n, block) in bytes.chunks_exact(BLOCK).enumerate() {
                        let key = (disk_bytenr, offset + (n * BLOCK) as u64, 0, compression);
                        let hash = blake3::hash(block);
                        assert_eq!(*seen.entry(key).or_insert(hash), hash, "{ino} {}", facts.path.display());
                    }
                }
                PhysicalKind::Inline => assert!(run.len_bytes <= BLOCK as u64 && runs[0].kind == run.kind),
                PhysicalKind::Unknown => panic!("{}: {run:?}", facts.path.display()),
            }
        }
        assert_eq!(at, len, "{ino} {}; {what}", facts.path.display());
        let from = len / 2;
        let half = delta.physical(*ino, from..len).unwrap();
        assert_eq!(half.iter().map(|run| run.len_bytes).sum::<u64>(), len - from);
        let tail = half.last().unwrap();
        assert_eq!(
            (tail.file_offset + tail.len_bytes, kind_name(tail.kind)),
            (len, kind_name(runs.last().unwrap().kind))
        );
    }
}

fn kind_name(kind: PhysicalKind) -> String {
    format!("{kind:?}").split(' ').next().unwrap_or_default().to_owned()
}

/// A path below a folder, for tests that look at one file.
pub fn ino_of(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    fs::symlink_metadata(path).unwrap_or_else(|e| panic!("{}: {e}", OsStr::new(path).display())).ino()
}
