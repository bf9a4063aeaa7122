//! What there is on a machine that could be worth a backup: mounted file systems, Btrfs subvolumes among them, folders of databases.

use std::path::{Path, PathBuf};

/// What something is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A source of the configuration.
    Source,
    /// A file system that is mounted, or a subvolume of one.
    Mount,
    /// The data folder of a PostgreSQL.
    Postgresql,
    /// The data folder of a Redis.
    Redis,
    /// The folder of a user.
    Home,
}

/// Something that was found.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Found {
    /// Where.
    pub path: PathBuf,
    /// What.
    pub kind: Kind,
    /// Whether a walk that stays in a subvolume or file system does not come there.
    pub is_apart: bool,
    /// Whether backups of what lies above go there all the same.
    pub is_followed: bool,
}

/// File systems that hold files for longer than until the next start (their types in `/proc/self/mountinfo`, proc_pid_mountinfo(5)).
const LASTING: [&str; 14] = [
    "btrfs", "ext2", "ext3", "ext4", "xfs", "zfs", "f2fs", "bcachefs", "jfs", "reiserfs", "ntfs3", "vfat", "exfat",
    "fuseblk",
];

/// Looks below `root`, which is `/` except in tests. `mountinfo` is the text of `/proc/self/mountinfo`. `follows`: whether backups go into other file systems.
pub fn look(root: &Path, mountinfo: &str, follows: bool) -> Vec<Found> {
    let mut found: Vec<Found> =
        mounts(mountinfo).map(|path| Found { path, kind: Kind::Mount, is_apart: true, is_followed: follows }).collect();
    let at = |path: &str| root.join(path.trim_start_matches('/'));
    let inside = |path: PathBuf| match path.strip_prefix(root) {
        Ok(below) => Path::new("/").join(below),
        Err(_) => path,
    };
    // PG_VERSION is in every data folder ("Database File Layout"); distributions have them one, two or three levels down.
    let mut folders = vec![(at("/var/lib/postgresql"), 0)];
    while let Some((folder, depth)) = folders.pop() {
        if folder.join("PG_VERSION").is_file() {
            let path = inside(folder);
            found.push(Found { path, kind: Kind::Postgresql, is_apart: false, is_followed: true });
        } else if depth < 3 {
            folders.extend(subfolders(&folder).map(|folder| (folder, depth + 1)));
        }
    }
    for folder in subfolders(&at("/var/lib")) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if (name.starts_with("redis") || name.starts_with("valkey")) && has_dump(&folder) {
            found.push(Found { path: inside(folder), kind: Kind::Redis, is_apart: false, is_followed: true });
        }
    }
    let homes = subfolders(&at("/home")).chain(Some(at("/root")).filter(|root| root.is_dir()));
    found.extend(homes.map(|home| Found { path: inside(home), kind: Kind::Home, is_apart: false, is_followed: true }));
    found.sort();
    found.dedup_by(|a, b| a.path == b.path);
    found
}

fn has_dump(folder: &Path) -> bool {
    folder.join("dump.rdb").exists() || folder.join("appendonlydir").is_dir() || folder.join("appendonly.aof").exists()
}

fn subfolders(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path())
}

/// The mount points of lasting file systems, each once, without those of panther's own snapshots and without what is mounted read-only.
fn mounts(mountinfo: &str) -> impl Iterator<Item = PathBuf> {
    mountinfo.lines().filter_map(|line| {
        // ID parent major:minor root mount-point options … - type source super-options
        let (before, after) = line.split_once(" - ")?;
        let fields: Vec<&str> = before.split(' ').collect();
        let kind = after.split(' ').next()?;
        let (point, options) = (fields.get(4)?, fields.get(5)?);
        let is_lasting = LASTING.contains(&kind) && !options.split(',').any(|option| option == "ro");
        let point = unescaped(point);
        (is_lasting && point.is_absolute() && point.is_dir()).then_some(point)
    })
}

/// Spaces and the like are octal there.
fn unescaped(text: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    let (bytes, mut out, mut at) = (text.as_bytes(), Vec::new(), 0);
    while at < bytes.len() {
        let octal = bytes.get(at + 1..at + 4).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(|_| bytes[at] == b'\\') {
            Some(byte) => {
                out.push(byte);
                at += 4;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(out))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_found() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path();
        for file in [
            "var/lib/postgresql/17/main/PG_VERSION",
            "var/lib/redis-cache/dump.rdb",
            "var/lib/redis-empty/x",
            "home/me/x",
            "root/x",
        ] {
            let path = root.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "17").unwrap();
        }
        let data = root.join("my data");
        std::fs::create_dir(&data).unwrap();
        let escaped = data.display().to_string().replace(' ', "\\040");
        let mountinfo = format!(
            "22 1 0:20 / / rw - overlay none rw\n36 22 0:31 / {escaped} rw,noatime - btrfs /dev/sda rw\n40 22 0:3 / /proc rw - proc proc rw\n41 22 0:9 / /usr ro - ext4 /dev/sdb ro\nnonsense\n"
        );
        let found = look(root, &mountinfo, false);
        let brief: Vec<(String, Kind, bool)> =
            found.iter().map(|f| (f.path.display().to_string(), f.kind, f.is_apart)).collect();
        let mut want = vec![
            ("/home/me".to_owned(), Kind::Home, false),
            ("/root".to_owned(), Kind::Home, false),
            (data.display().to_string(), Kind::Mount, true),
            ("/var/lib/postgresql/17/main".to_owned(), Kind::Postgresql, false),
            ("/var/lib/redis-cache".to_owned(), Kind::Redis, false),
        ];
        want.sort();
        assert_eq!(brief, want);
    }
}
