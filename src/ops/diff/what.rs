//! In what two objects differ.

use crate::format::entry::{Entry, Node};

/// A part of what is known of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// What sort of object it is.
    Type,
    /// Content of a file; what is in a folder.
    Content,
    /// Permissions.
    Mode,
    /// User or group, by number.
    Owner,
    /// Time of modification.
    Time,
    /// Extended attributes, ACLs among them.
    Attributes,
    /// Where a symlink points.
    Target,
    /// Numbers of a device.
    Device,
    /// Inode flags.
    Flags,
}

impl What {
    /// As text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Content => "content",
            Self::Mode => "mode",
            Self::Owner => "owner",
            Self::Time => "time",
            Self::Attributes => "attributes",
            Self::Target => "target",
            Self::Device => "device",
            Self::Flags => "flags",
        }
    }
}

/// In what two entries differ. Names, times of birth, and how hard links are numbered do not count: they differ between equal files.
pub fn what_differs(a: &Entry, b: &Entry) -> Vec<What> {
    let node = match (&a.node, &b.node) {
        (Node::Symlink(a), Node::Symlink(b)) => (a != b).then_some(What::Target),
        (Node::Char(..), Node::Char(..)) | (Node::Block(..), Node::Block(..)) => {
            (a.node != b.node).then_some(What::Device)
        }
        _ if a.kind() != b.kind() => Some(What::Type),
        (a, b) => (a != b).then_some(What::Content),
    };
    let rest = [
        // A symlink has no mode of its own.
        (a.mode != b.mode && !matches!(a.node, Node::Symlink(_)), What::Mode),
        ((a.uid, a.gid) != (b.uid, b.gid), What::Owner),
        (a.mtime != b.mtime, What::Time),
        (a.xattrs != b.xattrs, What::Attributes),
        (a.flags != b.flags, What::Flags),
    ];
    node.into_iter().chain(rest.into_iter().filter_map(|(differs, what)| differs.then_some(what))).collect()
}
