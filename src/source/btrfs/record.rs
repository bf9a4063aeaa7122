//! What is remembered of a snapshot that was backed up, and whether it still is what it was.

use super::subvol::{SubvolInfo, Uuid, subvol_info};
use super::tree::subvolume_by_uuid;
use rustix::io::Errno;
use std::io;
use std::os::fd::BorrowedFd;

/// So many ancestors of a snapshot are looked at.
const ANCESTORS_MAX: usize = 64;
/// The layout of an encoded record.
const LAYOUT: u8 = 1;

/// What is remembered of a snapshot, so that it is known again: never by its path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParentRecord {
    /// The file system's id.
    pub fsid: Uuid,
    /// The snapshot's id.
    pub uuid: Uuid,
    /// The id of its tree.
    pub tree_id: u64,
    /// The transaction that made it.
    pub otransid: u64,
    /// The transaction in which something in it was last changed.
    pub ctransid: u64,
}

impl ParentRecord {
    /// Length of an encoded record.
    pub const ENCODED_BYTES: usize = 1 + 2 * 16 + 3 * 8;

    /// The record of the snapshot in which `fd` lies; what is still in memory of it is written first.
    ///
    /// # Errors
    /// Those of ioctl(2) and syncfs(2).
    pub fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Self::from(&settled(fd)?))
    }

    /// As bytes, for the local state.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![LAYOUT];
        out.extend_from_slice(&self.fsid.0);
        out.extend_from_slice(&self.uuid.0);
        for word in [self.tree_id, self.otransid, self.ctransid] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out
    }

    /// From bytes; nothing if another version wrote them, or they are damaged.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::ENCODED_BYTES] = bytes.try_into().ok()?;
        let word = |at: usize| bytes[at..].first_chunk().copied().map(u64::from_le_bytes);
        (bytes[0] == LAYOUT).then_some(())?;
        Some(Self {
            fsid: Uuid(*bytes[1..].first_chunk()?),
            uuid: Uuid(*bytes[17..].first_chunk()?),
            tree_id: word(33)?,
            otransid: word(41)?,
            ctransid: word(49)?,
        })
    }
}

impl From<&SubvolInfo> for ParentRecord {
    fn from(info: &SubvolInfo) -> Self {
        let SubvolInfo { fsid, uuid, tree_id, otransid, ctransid, .. } = *info;
        Self { fsid, uuid, tree_id, otransid, ctransid }
    }
}

/// What is known of a subvolume, after what may be in memory of it only was written. A snapshot that was made read-only is
/// on the disk as a whole; one that was written to and made read-only later need not be.
pub(super) fn settled(fd: BorrowedFd<'_>) -> io::Result<SubvolInfo> {
    let info = subvol_info(fd)?;
    if info.is_pristine() {
        return Ok(info);
    }
    rustix::fs::syncfs(fd)?;
    subvol_info(fd)
}

/// Which of the two snapshots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    /// The one that was backed up before.
    Parent,
    /// The one that is to be backed up.
    New,
}

impl std::fmt::Display for Which {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if *self == Self::Parent { "the parent snapshot" } else { "the new snapshot" })
    }
}

/// Why the changes cannot be had from the trees, so that everything must be walked. A sentence for the log each.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// It is not there any more.
    #[error("{0} is gone")]
    Missing(Which),
    /// It is no subvolume of a Btrfs.
    #[error("{0} is not the root of a Btrfs subvolume")]
    NotSubvolume(Which),
    /// It can be written to.
    #[error("{0} is not read-only")]
    NotReadOnly(Which),
    /// Something else lies where the parent was.
    #[error("where the parent snapshot {wanted} was there is another, {found}")]
    OtherIdentity {
        /// What is remembered.
        wanted: Uuid,
        /// What is there.
        found: Uuid,
    },
    /// Another file system.
    #[error("the snapshots lie on different file systems, {parent} and {new}")]
    OtherFileSystem {
        /// That of the parent, as remembered.
        parent: Uuid,
        /// That of the new one, or of what is in the parent's place.
        new: Uuid,
    },
    /// It is the same snapshot, but something in it was changed.
    #[error("the parent snapshot was changed after it was backed up (transaction {found}, not {wanted})")]
    Changed {
        /// What is remembered.
        wanted: u64,
        /// What is there.
        found: u64,
    },
    /// The new one does not descend from the parent.
    #[error("the new snapshot is not a later state of what the parent snapshot was made of: {0}")]
    Lineage(&'static str),
    /// The system does not allow it.
    #[error("searching Btrfs trees needs CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH, which this process does not have")]
    NoPermission,
    /// The system does not know how.
    #[error("this kernel cannot search Btrfs trees")]
    Unsupported,
}

impl Refused {
    /// What an error of the kernel says about why it cannot be done, if it says that.
    pub(super) fn from_error(error: &io::Error, which: Which) -> Option<Self> {
        Some(match Errno::from_io_error(error)? {
            Errno::NOENT => Self::Missing(which),
            Errno::PERM | Errno::ACCESS => Self::NoPermission,
            Errno::NOTTY | Errno::NOSYS | Errno::OPNOTSUPP => Self::Unsupported,
            _ => return None,
        })
    }
}

/// From which transaction on blocks of `new` can differ from `parent`, if the one is a later state of the other.
///
/// The two have a state in common: that in which the line from which `new` comes left `parent`. A block of `new` that is
/// older than it was in that state, and is in `parent`, provided that `parent` was not changed since.
pub(super) fn branch(fd: BorrowedFd<'_>, parent: &SubvolInfo, new: &SubvolInfo) -> io::Result<Result<u64, Refused>> {
    branch_of(parent, new, |uuid| {
        let found = subvolume_by_uuid(fd, uuid)?;
        Ok(found.map(|root| Ancestor { parent_uuid: Uuid(root.parent_uuid).some(), otransid: root.otransid }))
    })
}

/// What counts of an ancestor.
struct Ancestor {
    parent_uuid: Option<Uuid>,
    otransid: u64,
}

fn branch_of(
    parent: &SubvolInfo,
    new: &SubvolInfo,
    find: impl Fn(Uuid) -> io::Result<Option<Ancestor>>,
) -> io::Result<Result<u64, Refused>> {
    let refuse = |why| Ok(Err(Refused::Lineage(why)));
    if new.uuid == parent.uuid {
        // The very same: nothing is as new as that.
        return Ok(Ok(parent.ctransid.max(parent.otransid).saturating_add(1)));
    }
    // The line upwards from `new`: each with the transaction in which the one below it was made as its snapshot.
    let mut uuid = new.uuid;
    let mut below: Option<u64> = None;
    let mut known = Some(Ancestor { parent_uuid: new.parent_uuid, otransid: new.otransid });
    for _ in 0..ANCESTORS_MAX {
        if uuid == parent.uuid {
            // The line begins at the parent. What was changed in the same transaction may have come after.
            return match below {
                Some(made) if parent.ctransid < made => Ok(Ok(made)),
                _ => refuse("the parent snapshot was changed after the line began"),
            };
        }
        if parent.parent_uuid == Some(uuid) {
            // The parent is a snapshot of this ancestor, made before the line left it.
            return match below {
                Some(made) if made < parent.otransid => refuse("it comes from an older state"),
                _ if !parent.is_pristine() => refuse("the parent snapshot was changed after it was made"),
                _ => Ok(Ok(parent.otransid)),
            };
        }
        let Some(ancestor) = (match known.take() {
            Some(ancestor) => Some(ancestor),
            None => find(uuid)?,
        }) else {
            return refuse("an ancestor of it was deleted");
        };
        let Some(above) = ancestor.parent_uuid else { break };
        below = Some(ancestor.otransid);
        uuid = above;
    }
    refuse("they have no ancestor in common")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::source::Time;

    fn uuid(n: u8) -> Uuid {
        Uuid([n; 16])
    }

    fn subvol(n: u8, parent: u8, otransid: u64, ctransid: u64) -> SubvolInfo {
        SubvolInfo {
            fsid: uuid(99),
            tree_id: 256 + u64::from(n),
            parent_tree_id: 5,
            dir_ino: 256,
            name: vec![n],
            uuid: uuid(n),
            parent_uuid: uuid(parent).some(),
            received_uuid: None,
            generation: 1_000,
            otransid,
            ctransid,
            otime: Time::default(),
            read_only: true,
        }
    }

    #[test]
    fn records_come_back() {
        let record = ParentRecord::from(&subvol(1, 2, 30, 29));
        let bytes = record.encode();
        assert_eq!(bytes.len(), ParentRecord::ENCODED_BYTES);
        assert_eq!(ParentRecord::decode(&bytes), Some(record));
        assert_eq!(ParentRecord::decode(&bytes[1..]), None);
        assert_eq!(ParentRecord::decode(&[&bytes[..], &[0]].concat()), None);
        let mut other = bytes;
        other[0] = 2;
        assert_eq!(ParentRecord::decode(&other), None);
    }

    /// Where the line of `new` leaves `parent`, in a world of others.
    fn at(parent: SubvolInfo, new: SubvolInfo, others: &[SubvolInfo]) -> Option<u64> {
        let find = |id| {
            let found = others.iter().find(|o| o.uuid == id);
            Ok(found.map(|o| Ancestor { parent_uuid: o.parent_uuid, otransid: o.otransid }))
        };
        branch_of(&parent, &new, find).unwrap().ok()
    }

    #[test]
    fn lines_of_descent() {
        // 1 is the source.
        let source = subvol(1, 0, 5, 100);
        assert_eq!(at(subvol(2, 1, 10, 9), subvol(3, 1, 20, 19), &[]), Some(10), "two snapshots of one source");
        assert_eq!(at(subvol(3, 1, 20, 19), subvol(2, 1, 10, 9), &[]), None, "the older of two");
        assert_eq!(at(subvol(2, 1, 10, 12), subvol(3, 1, 20, 19), &[]), None, "a parent that was written to");
        assert_eq!(at(subvol(2, 1, 10, 9), subvol(2, 1, 10, 9), &[]), Some(11), "itself");
        assert_eq!(at(subvol(2, 1, 10, 9), subvol(1, 0, 5, 100), &[]), Some(10), "the source itself");
        // 4 is a writable snapshot of the parent; 3 is one of 4.
        let back = subvol(4, 2, 15, 18);
        assert_eq!(at(subvol(2, 1, 10, 9), subvol(3, 4, 20, 19), &[back]), Some(15), "rolled back to the parent");
        let older = [subvol(4, 6, 15, 18), subvol(6, 1, 7, 7), source.clone()];
        assert_eq!(at(subvol(2, 1, 10, 9), subvol(3, 4, 20, 19), &older), None, "rolled back to an older one");
        let onward = [subvol(4, 1, 15, 18)];
        assert_eq!(at(subvol(2, 1, 10, 9), subvol(3, 4, 20, 19), &onward), Some(10), "a source replaced by its copy");
        assert_eq!(at(subvol(2, 1, 10, 9), subvol(3, 4, 20, 19), &[]), None, "a deleted ancestor");
        // Received: made, written to, made read-only; then a snapshot of it likewise.
        assert_eq!(at(subvol(2, 0, 10, 13), subvol(3, 2, 20, 25), &[]), Some(20), "a received pair");
        assert_eq!(at(subvol(2, 0, 10, 20), subvol(3, 2, 20, 25), &[]), None, "changed after the line began");
        assert_eq!(at(subvol(2, 0, 10, 9), subvol(3, 0, 20, 19), &[]), None, "nothing in common");
        assert_eq!(at(subvol(2, 8, 10, 9), subvol(3, 9, 20, 19), &[source]), None, "nothing in common");
        let round = [subvol(4, 5, 15, 18), subvol(5, 4, 16, 18)];
        assert_eq!(at(subvol(2, 1, 10, 9), subvol(3, 4, 20, 19), &round), None, "a circle");
    }
}
