//! `global/pg_control` of a PostgreSQL data directory, as far as its beginning goes, which has not changed from PostgreSQL 11 to 18
//! (`src/include/catalog/pg_control.h` there: `ControlFileData`, then `CheckPoint`). In the byte order of the machine.

use std::fmt;

/// Versions of the file whose beginning is known: PostgreSQL 11 to 18.
const KNOWN_VERSIONS: std::ops::RangeInclusive<u32> = 1100..=1899;

/// A place in the write-ahead log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Lsn(pub u64);

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

/// What a data directory says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ControlFile {
    /// Which cluster it is, for ever.
    pub system: u64,
    /// Where recovery begins to read the write-ahead log.
    pub redo: Lsn,
    /// On which timeline.
    pub timeline: u32,
}

impl ControlFile {
    /// From the file's bytes; nothing if they are none, or of a version that is not known.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let long = |at: usize| bytes.get(at..at + 8)?.first_chunk().map(|b| u64::from_ne_bytes(*b));
        let word = |at: usize| bytes.get(at..at + 4)?.first_chunk().map(|b| u32::from_ne_bytes(*b));
        KNOWN_VERSIONS.contains(&word(8)?).then_some(())?;
        let found = Self { system: long(0)?, redo: Lsn(long(40)?), timeline: word(48)? };
        (found.system != 0 && found.timeline != 0).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        let mut bytes = vec![0; 8192];
        assert_eq!(ControlFile::parse(&bytes), None);
        bytes[..8].copy_from_slice(&7_301_234_567_890_123_456_u64.to_ne_bytes());
        bytes[8..12].copy_from_slice(&1300_u32.to_ne_bytes());
        bytes[40..48].copy_from_slice(&0x1_02a3_b4c8_u64.to_ne_bytes());
        bytes[48..52].copy_from_slice(&3_u32.to_ne_bytes());
        let found = ControlFile::parse(&bytes);
        let wanted = ControlFile { system: 7_301_234_567_890_123_456, redo: Lsn(0x1_02a3_b4c8), timeline: 3 };
        assert_eq!(found, Some(wanted));
        assert_eq!(wanted.redo.to_string(), "1/2A3B4C8");
        assert_eq!(ControlFile::parse(&bytes[..51]), None);
        bytes[8..12].copy_from_slice(&942_u32.to_ne_bytes());
        assert_eq!(ControlFile::parse(&bytes), None);
    }
}
