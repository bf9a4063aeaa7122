//! Where a sparse file has data.

use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// So many regions are told apart; a file with more counts as data from there on. Bounds memory to 64 MiB.
pub const REGIONS_MAX: usize = 4 << 20;

/// Where the first `size_bytes` bytes of an open file have data, as ranges in bytes: ascending, not empty, with a
/// hole between each two. What is not in a range is a hole.
///
/// A file system that cannot tell has data everywhere. Meant for files that take less room than their size. The
/// file's position is at its beginning afterwards. It ends also if the file changes meanwhile; then the answer may
/// fit neither state.
///
/// # Errors
/// Those of lseek(2).
pub fn data_regions(fd: BorrowedFd<'_>, size_bytes: u64) -> io::Result<Vec<Range<u64>>> {
    let mut regions = find(size_bytes, |from| seek(fd, from))?;
    // What is left of an interrupted walk must not surprise a reader.
    seek(fd, SeekFrom::Start(0))?;
    regions.shrink_to_fit();
    Ok(regions)
}

fn find(size_bytes: u64, seek: impl Fn(SeekFrom) -> Result<u64, Errno>) -> io::Result<Vec<Range<u64>>> {
    let mut regions: Vec<Range<u64>> = Vec::new();
    let mut position = 0;
    while position < size_bytes {
        let start = match seek(SeekFrom::Data(position)) {
            Ok(start) => start.max(position),
            // A hole up to the end, or the file has become shorter.
            Err(Errno::NXIO) => break,
            Err(Errno::INVAL | Errno::OPNOTSUPP) => {
                return Ok(std::iter::once(0..size_bytes).collect());
            }
            Err(error) => return Err(error.into()),
        };
        if start >= size_bytes {
            break;
        }
        let end = match seek(SeekFrom::Hole(start)) {
            // No progress: what was data a moment ago is a hole now. Read the rest and be done.
            Ok(end) if end <= start => size_bytes,
            Ok(_) if regions.len() >= REGIONS_MAX => size_bytes,
            Ok(end) => end.min(size_bytes),
            Err(Errno::NXIO) => size_bytes,
            Err(error) => return Err(error.into()),
        };
        match regions.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => regions.push(start..end),
        }
        position = end;
    }
    Ok(regions)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::single_range_in_vec_init)]
mod tests {
    use std::cell::Cell;
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileExt;

    use super::*;

    const MIB: u64 = 1 << 20;

    /// A file with holes, or `None` if the file system makes none.
    fn sparse(size_bytes: u64, data: &[u64]) -> Option<(tempfile::TempDir, File)> {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("sparse");
        let file = File::options().read(true).write(true).create_new(true).open(path).unwrap();
        file.set_len(size_bytes).unwrap();
        for offset in data {
            file.write_all_at(&[1; 4096], *offset).unwrap();
        }
        file.sync_all().unwrap();
        if seek(&file, SeekFrom::Hole(0)).unwrap() == size_bytes {
            println!("skipped: this file system has no holes");
            return None;
        }
        Some((temp, file))
    }

    #[test]
    fn holes_at_both_ends_and_between() {
        let Some((_temp, mut file)) = sparse(10 * MIB, &[MIB, 4 * MIB, 4 * MIB + 4096]) else {
            return;
        };
        let regions = data_regions(file.as_fd(), 10 * MIB).unwrap();
        assert_eq!(regions, [MIB..MIB + 4096, 4 * MIB..4 * MIB + 8192]);
        let mut first = [1];
        file.read_exact(&mut first).unwrap();
        assert_eq!(first, [0], "the position is at the beginning");
    }

    #[test]
    fn all_hole_all_data_and_nothing() {
        let Some((_temp, file)) = sparse(3 * MIB, &[]) else {
            return;
        };
        assert!(data_regions(file.as_fd(), 3 * MIB).unwrap().is_empty());
        let temp = tempfile::tempfile().unwrap();
        temp.write_all_at(&[1; 10_000], 0).unwrap();
        assert_eq!(data_regions(temp.as_fd(), 10_000).unwrap(), [0..10_000]);
        assert!(data_regions(temp.as_fd(), 0).unwrap().is_empty());
        // It has grown since its size was read: only the size counts.
        assert_eq!(data_regions(temp.as_fd(), 5000).unwrap(), [0..5000]);
        // It has shrunk.
        assert_eq!(data_regions(temp.as_fd(), MIB).unwrap(), [0..10_000]);
        temp.set_len(0).unwrap();
        assert!(data_regions(temp.as_fd(), 10_000).unwrap().is_empty());
    }

    #[test]
    fn a_file_system_that_cannot_tell() {
        for errno in [Errno::INVAL, Errno::OPNOTSUPP] {
            assert_eq!(find(7, |_| Err(errno)).unwrap(), [0..7]);
        }
        assert!(find(7, |_| Err(Errno::IO)).is_err());
    }

    #[test]
    fn it_ends_whatever_the_kernel_says() {
        let calls = Cell::new(0_u64);
        let still = |_| {
            calls.set(calls.get() + 1);
            Ok(3)
        };
        assert_eq!(find(u64::MAX, still).unwrap(), [3..u64::MAX]);
        assert!(calls.get() < 10);
        // Data and a hole at every other byte of a huge file.
        let stripes = |from| match from {
            SeekFrom::Data(at) => Ok(at.next_multiple_of(2)),
            SeekFrom::Hole(at) => Ok(at + 1),
            _ => Err(Errno::INVAL),
        };
        let regions = find(1 << 60, stripes).unwrap();
        assert_eq!(regions.len(), REGIONS_MAX + 1);
        assert_eq!(regions.last().unwrap().end, 1 << 60);
        // Regions that touch are one.
        let touching = |from| match from {
            SeekFrom::Data(at) => Ok(at),
            SeekFrom::Hole(at) => Ok(at + 5),
            _ => Err(Errno::INVAL),
        };
        assert_eq!(find(12, touching).unwrap(), [0..12]);
    }
}
