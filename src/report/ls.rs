//! Entries of a snapshot, one a line.

use crate::format::entry::{Entry, FileKind, Node};
use crate::format::time::Time;
use crate::report::json::RawPath;
use crate::report::{text, time};
use jiff::tz::TimeZone;
use serde::Serialize;
use std::fmt::Write;

/// A line: the path, and with `long` what `ls -l` says, too.
pub fn line(path: &[u8], entry: &Entry, long: bool, zone: &TimeZone) -> String {
    if !long {
        return text::name(path);
    }
    let owner = |name: &Option<_>, id: u32| {
        name.as_ref().map_or_else(|| id.to_string(), |n: &std::sync::Arc<str>| text::message(n))
    };
    let size = match &entry.node {
        Node::Char(major, minor) | Node::Block(major, minor) => format!("{major},{minor}"),
        _ => entry.size_bytes().to_string(),
    };
    let mut line = format!(
        "{} {:<8} {:<8} {size:>12} {} {}",
        permissions(entry),
        owner(&entry.user, entry.uid),
        owner(&entry.group, entry.gid),
        time::local(entry.mtime, zone),
        text::name(path)
    );
    if let Node::Symlink(target) = &entry.node {
        // Writing to a string does not fail.
        let _ = write!(line, " -> {}", text::name(target));
    }
    line
}

/// The kind and the permission bits, as `ls -l` shows them: `drwxr-sr-x`.
pub fn permissions(entry: &Entry) -> String {
    let kind = match entry.kind() {
        FileKind::File => '-',
        FileKind::Dir => 'd',
        FileKind::Symlink => 'l',
        FileKind::Fifo => 'p',
        FileKind::Socket => 's',
        FileKind::Char => 'c',
        FileKind::Block => 'b',
    };
    let mut out = String::from(kind);
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = entry.mode >> shift;
        out.push(if bits & 4 == 0 { '-' } else { 'r' });
        out.push(if bits & 2 == 0 { '-' } else { 'w' });
        out.push(match (entry.mode & special != 0, bits & 1 != 0) {
            (true, true) => letter,
            (true, false) => letter.to_ascii_uppercase(),
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    out
}

/// An entry's JSON line.
#[derive(Debug, Serialize)]
pub struct EntryLine<'a> {
    kind: &'static str,
    #[serde(flatten)]
    path: RawPath,
    #[serde(rename = "type")]
    file_type: FileKind,
    size_bytes: u64,
    mode: u32,
    permissions: String,
    uid: u32,
    gid: u32,
    user: Option<&'a str>,
    group: Option<&'a str>,
    mtime: Time,
    btime: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<RawPath>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<[u32; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link_group: Option<u64>,
    xattrs: Vec<String>,
}

impl<'a> EntryLine<'a> {
    /// The line of `entry` at `path`.
    pub fn new(path: &[u8], entry: &'a Entry) -> Self {
        Self {
            kind: "entry",
            path: RawPath::new(path),
            file_type: entry.kind(),
            size_bytes: entry.size_bytes(),
            mode: entry.mode,
            permissions: permissions(entry),
            uid: entry.uid,
            gid: entry.gid,
            user: entry.user.as_deref(),
            group: entry.group.as_deref(),
            mtime: entry.mtime,
            btime: entry.btime,
            target: match &entry.node {
                Node::Symlink(target) => Some(RawPath::new(target)),
                _ => None,
            },
            device: match entry.node {
                Node::Char(major, minor) | Node::Block(major, minor) => Some([major, minor]),
                _ => None,
            },
            link_group: entry.link,
            xattrs: entry.xattrs.iter().map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect(),
        }
    }
}

/// The last JSON line: that nothing is missing above it.
#[derive(Debug, Serialize)]
pub struct EndLine {
    kind: &'static str,
    entries: u64,
}

impl EndLine {
    /// After so many entries.
    pub fn new(entries: u64) -> Self {
        Self { kind: "end", entries }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn entry(node: Node, mode: u32) -> Entry {
        Entry {
            name: b"x".to_vec(),
            node,
            mode,
            uid: 1,
            gid: 2,
            user: Some("root".into()),
            group: None,
            mtime: Time { secs: 0, nanos: 0 },
            btime: None,
            xattrs: vec![(b"user.a".to_vec(), b"secret".to_vec())],
            link: None,
            flags: 0,
            boundary: None,
        }
    }

    #[test]
    fn permission_bits() {
        for (mode, text) in
            [(0o755, "prwxr-xr-x"), (0o6755, "prwsr-sr-x"), (0o7000, "p--S--S--T"), (0o1777, "prwxrwxrwt")]
        {
            assert_eq!(permissions(&entry(Node::Fifo, mode)), text);
        }
    }

    #[test]
    fn lines() {
        let link = entry(Node::Symlink(b"a\nb".to_vec()), 0o777);
        assert_eq!(line(b"/x\xff", &link, false, &TimeZone::UTC), "/x\\xff");
        let want = "lrwxrwxrwx root     2                   0 1970-01-01 00:00:00 /x -> a\\nb";
        assert_eq!(line(b"/x", &link, true, &TimeZone::UTC), want);
        let json = serde_json::to_value(EntryLine::new(b"/x\xff", &link)).unwrap();
        assert_eq!((json["path_bytes"].as_str(), json["target"]["path"].as_str()), (Some("2f78ff"), Some("a\nb")));
        assert_eq!((json["type"].as_str(), json["xattrs"][0].as_str()), (Some("symlink"), Some("user.a")));
        assert!(line(b"/n", &entry(Node::Char(1, 3), 0o666), true, &TimeZone::UTC).contains(" 1,3 "));
    }
}
