//! Points in time, to the nanosecond.

use super::cbor::{Dec, Enc};
use crate::error::FormatError;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time (spec 1.3): seconds since 1970-01-01T00:00:00Z and nanoseconds to add.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Time {
    /// Seconds since the epoch, negative before it.
    pub secs: i64,
    /// 0 to 999,999,999.
    pub nanos: u32,
}

impl Time {
    /// The time now, by the system's clock.
    pub fn now() -> Self {
        let (secs, nanos) = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => (i64::try_from(after.as_secs()).unwrap_or(i64::MAX), after.subsec_nanos()),
            Err(_) => (0, 0),
        };
        Self { secs, nanos }
    }

    /// The time that much later.
    pub fn plus(self, duration: Duration) -> Self {
        let nanos = self.nanos + duration.subsec_nanos();
        let secs = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        Self {
            secs: self.secs.saturating_add(secs).saturating_add(i64::from(nanos / 1_000_000_000)),
            nanos: nanos % 1_000_000_000,
        }
    }

    pub(crate) fn encode(self, e: &mut Enc) {
        e.array(2);
        e.int(self.secs);
        e.uint(u64::from(self.nanos));
    }

    pub(crate) fn decode(d: &mut Dec<'_>) -> Result<Self, FormatError> {
        let mut time = Self::default();
        d.tuple(2, |d| {
            time.secs = d.int()?;
            time.nanos = d.uint_max("nanoseconds", 999_999_999)? as u32;
            Ok(())
        })?;
        Ok(time)
    }
}

impl serde::Serialize for Time {
    /// RFC 3339 in UTC with nanoseconds; `[seconds, nanoseconds]` where the year has no four digits.
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match jiff::Timestamp::new(self.secs, self.nanos.cast_signed()) {
            Ok(stamp) => s.serialize_str(&stamp.to_string()),
            Err(_) => (self.secs, self.nanos).serialize(s),
        }
    }
}
