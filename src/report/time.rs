//! Times as people read them.

use crate::format::time::Time;
use jiff::tz::TimeZone;

/// A time in `zone`, to the second: `2026-05-01 12:34:56`.
pub fn local(time: Time, zone: &TimeZone) -> String {
    match jiff::Timestamp::new(time.secs, time.nanos.cast_signed()) {
        Ok(stamp) => stamp.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        // Years that have not four digits.
        Err(_) => format!("{} s", time.secs),
    }
}

/// A day in `zone`: `2026-05-01`.
pub fn day(time: Time, zone: &TimeZone) -> String {
    local(time, zone).split(' ').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let time = Time { secs: 1_777_639_296, nanos: 999_999_999 };
        assert_eq!(local(time, &TimeZone::UTC), "2026-05-01 12:41:36");
        assert_eq!(day(time, &TimeZone::UTC), "2026-05-01");
        assert_eq!(local(Time { secs: i64::MAX, nanos: 0 }, &TimeZone::UTC), "9223372036854775807 s");
    }
}
