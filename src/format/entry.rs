//! Entries of directories (spec 8.1).

use super::cbor::{Dec, Enc, need};
use super::content::{ContentRoot, ListOf};
use super::limits;
use super::time::Time;
use crate::error::FormatError;
use minicbor::data::Type;
use std::sync::Arc;

/// What a file-system object is; the numbers are those of the format.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum FileKind {
    /// Regular file.
    File = 0,
    /// Directory.
    Dir = 1,
    /// Symbolic link.
    Symlink = 2,
    /// Named pipe.
    Fifo = 3,
    /// Unix socket.
    Socket = 4,
    /// Character device.
    Char = 5,
    /// Block device.
    Block = 6,
}

/// What an object is and what only that has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Node {
    /// A regular file whose content is in the entry: 1 to 65,536 bytes.
    Inline(Vec<u8>),
    /// A regular file.
    File(ContentRoot),
    /// A directory, with its stream.
    Dir(ContentRoot),
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
}

/// Where a directory begins another file system or subvolume.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Boundary {
    /// Another file system.
    FileSystem,
    /// A Btrfs subvolume.
    Subvolume,
}

/// Extended attributes: name and value, strictly ascending by name.
pub type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// One file-system object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Raw name; empty in the entry of a root.
    pub name: Vec<u8>,
    /// What it is.
    pub node: Node,
    /// Permission bits, 0 to 0o7777.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Owner's name.
    pub user: Option<Arc<str>>,
    /// Group's name.
    pub group: Option<Arc<str>>,
    /// Modification time.
    pub mtime: Time,
    /// Birth time.
    pub btime: Option<Time>,
    /// Extended attributes.
    pub xattrs: Xattrs,
    /// Hard-link group, if it has several links.
    pub link: Option<u64>,
    /// Inode flags, 0 if none.
    pub flags: u32,
    /// For directories.
    pub boundary: Option<Boundary>,
}

impl Entry {
    /// What the object is.
    pub fn kind(&self) -> FileKind {
        match self.node {
            Node::Inline(_) | Node::File(_) => FileKind::File,
            Node::Dir(_) => FileKind::Dir,
            Node::Symlink(_) => FileKind::Symlink,
            Node::Fifo => FileKind::Fifo,
            Node::Socket => FileKind::Socket,
            Node::Char(..) => FileKind::Char,
            Node::Block(..) => FileKind::Block,
        }
    }

    /// What an encoded entry is, without decoding the rest; nothing if that makes no sense.
    pub fn kind_of(encoded: &[u8]) -> Option<FileKind> {
        let mut d = minicbor::Decoder::new(encoded);
        d.map().ok()?;
        // The keys are in order: 0 is the name, 1 the type.
        (d.u8().ok()? == 0).then_some(())?;
        d.bytes().ok()?;
        (d.u8().ok()? == 1).then_some(())?;
        use FileKind::{Block, Char, Dir, Fifo, File, Socket, Symlink};
        [File, Dir, Symlink, Fifo, Socket, Char, Block].get(usize::from(d.u8().ok()?)).copied()
    }

    /// Bytes of content of a regular file, 0 for anything else.
    pub fn size_bytes(&self) -> u64 {
        match &self.node {
            Node::Inline(bytes) => bytes.len() as u64,
            Node::File(root) => root.len_bytes(),
            _ => 0,
        }
    }

    /// Appends the encoding to `out`.
    pub fn encode_onto(&self, out: Vec<u8>) -> Vec<u8> {
        let mut e = Enc::onto(out);
        self.encode(&mut e);
        e.done()
    }

    pub(crate) fn encode(&self, e: &mut Enc) {
        let own = !matches!(self.node, Node::Fifo | Node::Socket);
        let options = [
            self.user.is_some(),
            self.group.is_some(),
            self.btime.is_some(),
            !self.xattrs.is_empty(),
            own,
            self.link.is_some(),
            self.flags != 0,
            self.boundary.is_some(),
        ];
        e.map(6 + options.iter().filter(|o| **o).count());
        e.pair_bytes(0, &self.name);
        e.pair_uint(1, self.kind() as u64);
        e.pair_uint(2, self.mode.into());
        e.pair_uint(3, self.uid.into());
        e.pair_uint(4, self.gid.into());
        if let Some(user) = &self.user {
            e.pair_text(5, user);
        }
        if let Some(group) = &self.group {
            e.pair_text(6, group);
        }
        e.uint(7);
        self.mtime.encode(e);
        if let Some(btime) = self.btime {
            e.uint(8);
            btime.encode(e);
        }
        if !self.xattrs.is_empty() {
            e.uint(9);
            e.array(self.xattrs.len());
            for (name, value) in &self.xattrs {
                e.array(2);
                e.bytes(name);
                e.bytes(value);
            }
        }
        match &self.node {
            Node::Inline(bytes) => e.pair_bytes(10, bytes),
            Node::File(root) | Node::Dir(root) => {
                e.uint(10);
                root.encode(e);
            }
            Node::Symlink(target) => e.pair_bytes(11, target),
            Node::Char(major, minor) | Node::Block(major, minor) => {
                e.uint(12);
                e.array(2);
                e.uint((*major).into());
                e.uint((*minor).into());
            }
            Node::Fifo | Node::Socket => {}
        }
        if let Some(link) = self.link {
            e.pair_uint(13, link);
        }
        if self.flags != 0 {
            e.pair_uint(14, self.flags.into());
        }
        if let Some(boundary) = self.boundary {
            e.pair_uint(
                15,
                match boundary {
                    Boundary::FileSystem => 1,
                    Boundary::Subvolume => 2,
                },
            );
        }
    }

    /// Decodes the next entry. In a directory stream the name is 1 to 4,096 bytes; in a root (`is_root`) it is empty.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn decode(d: &mut Dec<'_>, is_root: bool) -> Result<Self, FormatError> {
        let start = d.position();
        let mut raw = Raw::default();
        d.map(|d, key| raw.field(d, key))?;
        let actual = (d.position() - start) as u64;
        if actual > limits::ENTRY_BYTES {
            return Err(FormatError::Limit { what: "entry", actual, limit: limits::ENTRY_BYTES });
        }
        let entry = raw.entry()?;
        if if is_root { entry.name.is_empty() } else { is_name(&entry.name) } { Ok(entry) } else { Err(BAD_NAME) }
    }
}

/// The fields of an entry as they come.
#[derive(Default)]
struct Raw {
    name: Option<Vec<u8>>,
    kind: Option<u64>,
    mode: Option<u32>,
    uid: Option<u32>,
    gid: Option<u32>,
    user: Option<Arc<str>>,
    group: Option<Arc<str>>,
    mtime: Option<Time>,
    btime: Option<Time>,
    xattrs: Option<Xattrs>,
    inline: Option<Vec<u8>>,
    content: Option<ContentRoot>,
    target: Option<Vec<u8>>,
    device: Option<(u32, u32)>,
    link: Option<u64>,
    flags: Option<u32>,
    boundary: Option<Boundary>,
}

impl Raw {
    fn field(&mut self, d: &mut Dec<'_>, key: i64) -> Result<bool, FormatError> {
        match key {
            0 => self.name = Some(d.bytes("name", limits::NAME_BYTES)?.to_vec()),
            1 => {
                let kind = d.uint()?;
                if kind > 6 {
                    return Err(FormatError::Feature {
                        what: "type of entry",
                        number: i64::try_from(kind).unwrap_or(i64::MAX),
                    });
                }
                self.kind = Some(kind);
            }
            2 => self.mode = Some(d.uint_max("mode", 0o7777)? as u32),
            3 => self.uid = Some(d.uint32("uid")?),
            4 => self.gid = Some(d.uint32("gid")?),
            5 => self.user = Some(decode_owner(d, "user name")?),
            6 => self.group = Some(decode_owner(d, "group name")?),
            7 => self.mtime = Some(Time::decode(d)?),
            8 => self.btime = Some(Time::decode(d)?),
            9 => self.xattrs = Some(decode_xattrs(d)?),
            10 => self.content(d)?,
            11 => self.target = Some(d.bytes("symlink target", limits::PATH_BYTES)?.to_vec()),
            12 => self.device = Some(d.tuple(2, |d| Ok((d.uint32("major")?, d.uint32("minor")?)))?),
            13 => self.link = Some(d.uint()?),
            14 => {
                let flags = d.uint()?;
                if flags == 0 {
                    return Err(FormatError::Invalid("inode flags are there and 0"));
                }
                // Bits that this program does not know are ignored; none that it knows is above 32.
                self.flags = Some(u32::try_from(flags & u64::from(u32::MAX)).unwrap_or_default());
            }
            15 => {
                self.boundary = Some(match d.uint()? {
                    1 => Boundary::FileSystem,
                    2 => Boundary::Subvolume,
                    other => {
                        return Err(FormatError::Feature {
                            what: "boundary",
                            number: i64::try_from(other).unwrap_or(i64::MAX),
                        });
                    }
                });
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Keys are in order, so the type is known before the content.
    fn content(&mut self, d: &mut Dec<'_>) -> Result<(), FormatError> {
        let of = if self.kind == Some(1) { ListOf::Directory } else { ListOf::File };
        if d.peek()? == Type::Bytes {
            let bytes = d.bytes("inline content", limits::INLINE_BYTES)?;
            if bytes.is_empty() {
                return Err(FormatError::Invalid("inline content is empty"));
            }
            self.inline = Some(bytes.to_vec());
        } else {
            self.content = Some(ContentRoot::decode(d, of)?);
        }
        Ok(())
    }

    fn entry(self) -> Result<Entry, FormatError> {
        let kind = need(self.kind)?;
        let has = [self.inline.is_some() || self.content.is_some(), self.target.is_some(), self.device.is_some()];
        let may = [kind <= 1, kind == 2, kind >= 5];
        let odd = (self.link.is_some() && kind == 1)
            || (self.flags.is_some() && kind > 1)
            || (self.boundary.is_some() && kind != 1)
            || (self.inline.is_some() && kind == 1);
        if has != may || odd {
            return Err(FormatError::Invalid("an entry has a key that its type does not allow, or lacks one"));
        }
        let node = match kind {
            0 => match self.inline {
                Some(bytes) => Node::Inline(bytes),
                None => Node::File(need(self.content)?),
            },
            1 => Node::Dir(need(self.content)?),
            2 => Node::Symlink(need(self.target)?),
            3 => Node::Fifo,
            4 => Node::Socket,
            5 => need(self.device).map(|(major, minor)| Node::Char(major, minor))?,
            _ => need(self.device).map(|(major, minor)| Node::Block(major, minor))?,
        };
        if let Node::Symlink(target) = &node
            && (target.is_empty() || target.contains(&0))
        {
            return Err(FormatError::Invalid("a symlink's target is not allowed"));
        }
        Ok(Entry {
            name: need(self.name)?,
            node,
            mode: need(self.mode)?,
            uid: need(self.uid)?,
            gid: need(self.gid)?,
            user: self.user,
            group: self.group,
            mtime: need(self.mtime)?,
            btime: self.btime,
            xattrs: self.xattrs.unwrap_or_default(),
            link: self.link,
            flags: self.flags.unwrap_or(0),
            boundary: self.boundary,
        })
    }
}

/// The name of a user or group: where there is none, the key is left out.
fn decode_owner(d: &mut Dec<'_>, what: &'static str) -> Result<Arc<str>, FormatError> {
    let name = d.text(what, limits::TEXT_BYTES)?;
    if name.is_empty() { Err(FormatError::Invalid("the name of a user or group is empty")) } else { Ok(name.into()) }
}

fn decode_xattrs(d: &mut Dec<'_>) -> Result<Xattrs, FormatError> {
    let xattrs = d.list("xattrs", limits::XATTRS, |d| {
        d.tuple(2, |d| {
            let name = d.bytes("xattr name", limits::XATTR_NAME_BYTES)?;
            if name.is_empty() || name.contains(&0) {
                return Err(FormatError::Invalid("an xattr's name is not allowed"));
            }
            Ok((name.to_vec(), d.bytes("xattr value", limits::XATTR_VALUE_BYTES)?.to_vec()))
        })
    })?;
    if xattrs.is_empty() || !xattrs.windows(2).all(|pair| pair[0].0 < pair[1].0) {
        return Err(FormatError::Invalid("xattrs are empty or out of order"));
    }
    Ok(xattrs)
}

/// Decodes a blob of a directory stream: whole entries, at least one, strictly ascending. `last` is the last name of the blob before, or empty; it
/// becomes the last name of this one.
///
/// An entry that needs a newer program is left out and does not keep `each` from the others (spec 13.1); its error is returned at the end.
///
/// # Errors
/// [`FormatError`].
pub fn decode_stream(blob: &[u8], last: &mut Vec<u8>, mut each: impl FnMut(Entry)) -> Result<(), FormatError> {
    let mut newer = None;
    decode_stream_raw(blob, last, |_, _, entry| match entry {
        Ok(entry) => each(entry),
        Err(error) => drop(newer.get_or_insert(error)),
    })?;
    newer.map_or(Ok(()), Err)
}

/// As [`decode_stream`]: `each` gets the name and the encoding of each entry, and the entry or why it needs a newer program.
///
/// # Errors
/// [`FormatError`].
pub fn decode_stream_raw(
    blob: &[u8],
    last: &mut Vec<u8>,
    mut each: impl FnMut(&[u8], &[u8], Result<Entry, FormatError>),
) -> Result<(), FormatError> {
    let mut rest = if blob.is_empty() { return Err(FormatError::Truncated) } else { blob };
    while !rest.is_empty() {
        let mut d = Dec::new(rest);
        let (name, entry) = match Entry::decode(&mut d, false) {
            Ok(entry) => (entry.name.clone(), Ok(entry)),
            Err(error) if error.is_newer() => {
                d = Dec::new(rest);
                (decode_name_only(&mut d)?, Err(error))
            }
            Err(error) => return Err(error),
        };
        if name <= *last {
            return Err(FormatError::Invalid("a directory's entries are out of order"));
        }
        *last = name;
        let (encoded, after) = rest.split_at_checked(d.position()).ok_or(FormatError::Truncated)?;
        each(last, encoded, entry);
        rest = after;
    }
    Ok(())
}

const BAD_NAME: FormatError = FormatError::Invalid("an entry's name is not allowed");

/// Whether a child of a directory may be called this.
fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name != b"." && name != b".." && !name.iter().any(|b| matches!(b, 0 | b'/'))
}

/// The name of an entry of which nothing else can be understood.
fn decode_name_only(d: &mut Dec<'_>) -> Result<Vec<u8>, FormatError> {
    let mut name = None;
    d.map(|d, key| {
        if key == 0 {
            name = Some(d.bytes("name", limits::NAME_BYTES)?.to_vec());
        } else {
            d.skip()?;
        }
        Ok(true)
    })?;
    need(name).and_then(|name| if is_name(&name) { Ok(name) } else { Err(BAD_NAME) })
}
