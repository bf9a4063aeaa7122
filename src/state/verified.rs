//! When each pack was last read whole and checked. A cache: what is not known counts as never verified.

use super::brief::Brief;
use super::{State, guarded, unguarded};
use crate::error::Result;
use crate::id::ObjectId;
use redb::{ReadableTable, TableDefinition};
use std::collections::HashMap;

const VERIFIED: TableDefinition<[u8; 32], &[u8]> = TableDefinition::new("verified packs");

/// The last reading of a pack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reading {
    /// When: seconds since 1970 in UTC.
    pub at_secs: i64,
    /// Whether everything in it was right. Readings that failed because the store did are not kept.
    pub sound: bool,
}

impl Reading {
    fn encode(self) -> Vec<u8> {
        [&self.at_secs.to_le_bytes()[..], &[u8::from(self.sound)]].concat()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first_chunk()? {
            (secs, [sound @ (0 | 1)]) => Some(Self { at_secs: i64::from_le_bytes(*secs), sound: *sound == 1 }),
            _ => None,
        }
    }
}

/// The readings of one repository's packs, shared by all runs of this machine.
pub struct Verified {
    file: Brief,
}

impl State {
    /// What is remembered of the packs of this state's repository.
    pub fn verified(&self) -> Verified {
        Verified { file: Brief::at(self.path().with_file_name("verified.redb")) }
    }
}

impl Verified {
    /// The last reading of each pack.
    ///
    /// # Errors
    /// [`crate::Error::Io`], [`crate::Error::State`].
    pub fn load(&self) -> Result<HashMap<ObjectId, Reading>> {
        let found = self.file.read(|read| {
            let mut found = HashMap::new();
            for item in read.open_table(VERIFIED)?.iter()? {
                let (id, value) = item?;
                let reading = unguarded(&id.value(), value.value()).and_then(Reading::decode);
                found.extend(reading.map(|reading| (ObjectId(id.value()), reading)));
            }
            Ok(found)
        })?;
        Ok(found.unwrap_or_default())
    }

    /// Notes readings; earlier ones are replaced.
    ///
    /// # Errors
    /// [`crate::Error::Io`], [`crate::Error::State`].
    pub fn note(&self, readings: &[(ObjectId, Reading)]) -> Result<()> {
        if readings.is_empty() {
            return Ok(());
        }
        self.file.write(|write| {
            let mut table = write.open_table(VERIFIED)?;
            for (id, reading) in readings {
                table.insert(id.0, &guarded(&id.0, &reading.encode())[..])?;
            }
            Ok(())
        })
    }

    /// Forgets packs that are no longer in the store.
    ///
    /// # Errors
    /// [`crate::Error::Io`], [`crate::Error::State`].
    pub fn forget(&self, gone: &[ObjectId]) -> Result<()> {
        if gone.is_empty() {
            return Ok(());
        }
        self.file.write(|write| {
            let mut table = write.open_table(VERIFIED)?;
            gone.iter().try_for_each(|id| table.remove(id.0).map(drop))?;
            Ok(())
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::id::RepoId;

    #[test]
    fn readings_are_shared_by_runs_side_by_side() {
        let folder = tempfile::tempdir().unwrap();
        let one = State::open(folder.path(), &RepoId([1; 32])).unwrap();
        let two = State::open(folder.path(), &RepoId([1; 32])).unwrap();
        let other = State::open(folder.path(), &RepoId([2; 32])).unwrap();
        assert!(one.path() != two.path() && one.verified().load().unwrap().is_empty());
        let (a, b) = (ObjectId([1; 32]), ObjectId([2; 32]));
        let reading = |at_secs, sound| Reading { at_secs, sound };
        one.verified().note(&[(a, reading(10, true)), (b, reading(11, false))]).unwrap();
        two.verified().note(&[(a, reading(-20, true))]).unwrap();
        let want = HashMap::from([(a, reading(-20, true)), (b, reading(11, false))]);
        assert_eq!(one.verified().load().unwrap(), want);
        assert!(other.verified().load().unwrap().is_empty());
        two.verified().forget(&[b]).unwrap();
        assert_eq!(one.verified().load().unwrap(), HashMap::from([(a, reading(-20, true))]));
    }

    #[test]
    fn records() {
        for reading in [Reading { at_secs: i64::MIN, sound: true }, Reading { at_secs: 5, sound: false }] {
            assert_eq!(Reading::decode(&reading.encode()), Some(reading));
        }
        assert_eq!(Reading::decode(&[0; 8]), None);
        assert_eq!(Reading::decode(&[2; 9]), None);
        assert_eq!(Reading::decode(&[0; 10]), None);
    }
}
