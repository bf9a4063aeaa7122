//! Points in time as people write them.

use jiff::civil;
use jiff::tz::TimeZone;
use panther::config::values::Span;
use panther::format::time::Time;
use panther::{Error, Result};

/// `2026-05-01`, `2026-05-01 12:30` (in `zone`), `2026-05-01T12:30:00Z`, or how long ago by the calendar: `12h`, `30d`, `6m`, `1y`.
///
/// # Errors
/// [`Error::Usage`] for anything else.
pub fn parse(text: &str, zone: &TimeZone) -> Result<Time> {
    let time = |stamp: jiff::Timestamp| Time { secs: stamp.as_second(), nanos: 0 };
    if let Ok(stamp) = text.parse::<jiff::Timestamp>() {
        return Ok(time(stamp));
    }
    let local = text.parse::<civil::DateTime>().or_else(|_| text.parse::<civil::Date>().map(|d| d.at(0, 0, 0, 0)));
    if let Some(stamp) = local.ok().and_then(|local| zone.to_timestamp(local).ok()) {
        return Ok(time(stamp));
    }
    if let Ok(span) = Span::parse(text) {
        return Ok(span.get().before(Time::now(), zone));
    }
    Err(Error::Usage(format!("{text:?} is no time: write a date such as 2026-05-01, or how long ago, such as 30d")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        for (text, secs) in [
            ("2026-05-01", 1_777_586_400),
            ("2026-05-01 12:30", 1_777_631_400),
            ("2026-05-01T12:30:00Z", 1_777_638_600),
        ] {
            assert_eq!(parse(text, &zone).unwrap().secs, secs, "{text}");
        }
        let ago = Time::now().secs - parse("2d", &zone).unwrap().secs;
        assert!((172_800..172_810).contains(&ago), "{ago}");
        assert!(matches!(parse("yesterday", &zone), Err(Error::Usage(_))));
    }
}
