//! Directories: JSON with a node for each entry.

use super::Id;
use super::names::unquote;
use super::snapshot::time;
use crate::error::FormatError;
use crate::format::time::Time;
use data_encoding::BASE64;
use serde::Deserialize;
use std::borrow::Cow;

/// Bits of Go's `os.FileMode` beside the nine of permissions, and what they are in a Unix mode.
const MODE_BITS: [(u32, u32); 3] = [(1 << 23, 0o4000), (1 << 22, 0o2000), (1 << 20, 0o1000)];

/// What a node is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A regular file and its blobs.
    File(Vec<Id>),
    /// A directory and its tree.
    Dir(Id),
    /// A symbolic link and its target.
    Symlink(Vec<u8>),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character device: major, minor.
    Char(u32, u32),
    /// A block device: major, minor.
    Block(u32, u32),
    /// What restic did not understand, or this program does not: what it is called.
    Other(String),
}

/// An entry of a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// Raw name.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits, 0 to 0o7777.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Owner's name; may be empty.
    pub user: String,
    /// Group's name; may be empty.
    pub group: String,
    /// Modification time.
    pub mtime: Time,
    /// Extended attributes, ascending by name, each once.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// How many names it had.
    pub links: u64,
    /// Inode number.
    pub inode: u64,
    /// The device that it was on.
    pub device_id: u64,
}

#[derive(Deserialize)]
struct RawTree<'a> {
    #[serde(borrow)]
    nodes: Option<Vec<RawNode<'a>>>,
}

#[derive(Deserialize)]
struct RawNode<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
    #[serde(default)]
    mode: u32,
    #[serde(borrow, default)]
    mtime: Option<Cow<'a, str>>,
    #[serde(default)]
    uid: u32,
    #[serde(default)]
    gid: u32,
    #[serde(default)]
    user: String,
    #[serde(default)]
    group: String,
    #[serde(default)]
    inode: u64,
    #[serde(default)]
    device_id: u64,
    #[serde(default)]
    links: u64,
    #[serde(borrow, default)]
    linktarget: Cow<'a, str>,
    /// Base64, where the target is no UTF-8.
    #[serde(borrow, default)]
    linktarget_raw: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    extended_attributes: Option<Vec<RawXattr<'a>>>,
    #[serde(default)]
    device: u64,
    content: Option<Vec<Id>>,
    subtree: Option<Id>,
}

#[derive(Deserialize)]
struct RawXattr<'a> {
    name: String,
    #[serde(borrow, default)]
    value: Option<Cow<'a, str>>,
}

/// The nodes of a tree's JSON, by name; of equal names only the first.
pub(super) fn parse(json: &[u8]) -> Result<Vec<Node>, FormatError> {
    let tree: RawTree<'_> =
        serde_json::from_slice(json).map_err(|_| FormatError::Invalid("its JSON is not what it should be"))?;
    let mut nodes = tree.nodes.unwrap_or_default().into_iter().map(RawNode::node).collect::<Result<Vec<_>, _>>()?;
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    nodes.dedup_by(|a, b| a.name == b.name);
    Ok(nodes)
}

impl RawNode<'_> {
    fn node(self) -> Result<Node, FormatError> {
        let name = unquote(&self.name)?;
        if name.is_empty() || name == b"." || name == b".." || name.iter().any(|byte| matches!(byte, 0 | b'/')) {
            return Err(FormatError::Invalid("a name in it is not allowed"));
        }
        let base64 = |text: &str| {
            BASE64.decode(text.as_bytes()).map_err(|_| FormatError::Invalid("its base64 is not what it should be"))
        };
        let device = || (rustix::fs::major(self.device), rustix::fs::minor(self.device));
        let kind = match &*self.kind {
            "file" => Kind::File(self.content.unwrap_or_default()),
            "dir" => Kind::Dir(self.subtree.ok_or(FormatError::Invalid("a directory in it has no tree"))?),
            "symlink" => Kind::Symlink(match self.linktarget_raw.as_deref().filter(|raw| !raw.is_empty()) {
                Some(raw) => base64(raw)?,
                None => self.linktarget.into_owned().into_bytes(),
            }),
            "fifo" => Kind::Fifo,
            "socket" => Kind::Socket,
            "chardev" => Kind::Char(device().0, device().1),
            "dev" => Kind::Block(device().0, device().1),
            other => Kind::Other(other.to_owned()),
        };
        let special = MODE_BITS.iter().filter(|(go, _)| self.mode & go != 0).fold(0, |all, (_, unix)| all | unix);
        let mtime = match self.mtime.as_deref() {
            None => Time::default(),
            Some(text) => time(text).ok_or(FormatError::Invalid("a time in it makes no sense"))?,
        };
        let mut xattrs = Vec::new();
        for xattr in self.extended_attributes.unwrap_or_default() {
            xattrs.push((xattr.name.into_bytes(), base64(xattr.value.as_deref().unwrap_or_default())?));
        }
        xattrs.sort();
        xattrs.dedup_by(|a, b| a.0 == b.0);
        Ok(Node {
            name,
            kind,
            mode: self.mode & 0o777 | special,
            uid: self.uid,
            gid: self.gid,
            user: self.user,
            group: self.group,
            mtime,
            xattrs,
            links: self.links,
            inode: self.inode,
            device_id: self.device_id,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_what_restic_writes() {
        let id = "ab".repeat(32);
        let json = format!(
            r#"{{"nodes":[
            {{"name":"z\\xff","type":"symlink","mode":134218239,"mtime":"2020-01-01T00:00:00.5Z","linktarget":"�","linktarget_raw":"/w=="}},
            {{"name":"a","type":"file","mode":9437677,"mtime":"2020-01-01T00:00:00Z","uid":1,"gid":2,"user":"me","group":"us","inode":7,
              "device_id":9,"size":5,"links":2,"extended_attributes":[{{"name":"user.b","value":"AAE="}},{{"name":"user.a","value":null}}],
              "content":["{id}"]}},
            {{"name":"d","type":"dir","mode":2147484141,"mtime":"2020-01-01T00:00:00Z","subtree":"{id}","content":null}},
            {{"name":"n","type":"chardev","mode":69206454,"mtime":"2020-01-01T00:00:00Z","device":259}},
            {{"name":"o","type":"irregular"}}]}}"#
        );
        let nodes = parse(json.as_bytes()).unwrap();
        let names: Vec<_> = nodes.iter().map(|node| &node.name[..]).collect();
        assert_eq!(names, [&b"a"[..], b"d", b"n", b"o", b"z\xff"]);
        let a = &nodes[0];
        assert_eq!((a.mode, a.links, a.inode, a.device_id, a.uid, a.gid), (0o5755, 2, 7, 9, 1, 2));
        assert_eq!(a.xattrs, [(b"user.a".to_vec(), vec![]), (b"user.b".to_vec(), vec![0, 1])]);
        assert_eq!(a.kind, Kind::File(vec![Id([0xab; 32])]));
        assert_eq!((&nodes[1].kind, nodes[1].mode), (&Kind::Dir(Id([0xab; 32])), 0o755));
        assert_eq!(nodes[2].kind, Kind::Char(1, 3));
        assert_eq!(nodes[3].kind, Kind::Other("irregular".into()));
        assert_eq!(nodes[4].kind, Kind::Symlink(vec![0xff]));
        assert_eq!(nodes[4].mtime, Time { secs: 1_577_836_800, nanos: 500_000_000 });
        assert!(parse(br#"{"nodes":null}"#).unwrap().is_empty());
    }

    #[test]
    fn nonsense_is_refused() {
        for node in [
            r#"{"name":"","type":"fifo"}"#,
            r#"{"name":"..","type":"fifo"}"#,
            r#"{"name":"a/b","type":"fifo"}"#,
            r#"{"name":"\\x00","type":"fifo"}"#,
            r#"{"name":"a","type":"dir"}"#,
            r#"{"name":"a","type":"fifo","mtime":"noon"}"#,
            r#"{"name":"a","type":"file","content":["abcd"]}"#,
        ] {
            assert!(parse(format!("{{\"nodes\":[{node}]}}").as_bytes()).is_err(), "{node}");
        }
    }
}
