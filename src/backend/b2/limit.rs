//! Bandwidth limits: a token bucket, with a schedule by the time of day.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A limit in bytes a second, by the time of day; 0 is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    spans: Vec<Span>,
    /// Whenever no span holds.
    else_bytes_per_sec: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Span {
    from_minute: u32,
    /// Not included; at or before `from_minute` it is of the next day.
    to_minute: u32,
    bytes_per_sec: u64,
}

impl Schedule {
    /// Reads `RATE`, or `FROM-TO=RATE` and `RATE` separated by commas: `08:00-22:00=1M,0`. The first span that fits holds.
    ///
    /// A rate is a number of bytes a second, with k, M or G for 1,000, 1,000,000, 1,000,000,000, or Ki, Mi, Gi for powers of 1,024; 0 is no limit.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut schedule = Self::default();
        let mut otherwise = None;
        for part in text.split(',').map(str::trim) {
            match part.split_once('=') {
                Some((times, rate)) => {
                    let (from, to) = times
                        .split_once('-')
                        .ok_or_else(|| format!("{times:?} is not FROM-TO, such as 08:00-22:00"))?;
                    let (from_minute, to_minute) = (minute(from.trim())?, minute(to.trim())?);
                    schedule.spans.push(Span { from_minute, to_minute, bytes_per_sec: rate_of(rate.trim())? });
                }
                None if otherwise.is_none() => otherwise = Some(rate_of(part)?),
                None => return Err(format!("{text:?} has more than one rate without a time")),
            }
        }
        schedule.else_bytes_per_sec = otherwise.unwrap_or(0);
        Ok(schedule)
    }

    /// The limit at a minute of the day.
    pub fn at(&self, minute: u32) -> Option<u64> {
        let holds = |span: &&Span| {
            let (from, to) = (span.from_minute, span.to_minute);
            if from < to { (from..to).contains(&minute) } else { minute >= from || minute < to }
        };
        let rate = self.spans.iter().find(holds).map_or(self.else_bytes_per_sec, |span| span.bytes_per_sec);
        Some(rate).filter(|rate| *rate > 0)
    }

    /// Whether there is never a limit.
    pub fn is_none(&self) -> bool {
        self.else_bytes_per_sec == 0 && self.spans.iter().all(|span| span.bytes_per_sec == 0)
    }
}

fn minute(text: &str) -> Result<u32, String> {
    let odd = || format!("{text:?} is no time of day, such as 08:00");
    let (hours, minutes) = text.split_once(':').ok_or_else(odd)?;
    let number = |text: &str, most: u32| {
        let is_good = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|n| is_good && *n <= most).ok_or_else(odd)
    };
    let (hours, minutes): (u32, u32) = (number(hours, 24)?, number(minutes, 59)?);
    if hours == 24 && minutes != 0 { Err(odd()) } else { Ok((hours * 60 + minutes) % (24 * 60)) }
}

fn rate_of(text: &str) -> Result<u64, String> {
    let odd = || format!("{text:?} is no rate: bytes a second, such as 500k, 1M, 2Mi, or 0 for no limit");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| odd())?;
    let unit = match &text[digits..] {
        "" => 1,
        "k" | "K" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        _ => return Err(odd()),
    };
    number.checked_mul(unit).ok_or_else(odd)
}

/// A point in time, as a limit needs it.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Since some fixed point, by a clock that never goes back.
    pub since: Duration,
    /// The minute of the day, by this machine's zone.
    pub minute: u32,
}

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Moment + Send + Sync>;

/// The clock of this machine.
pub fn system_clock() -> Clock {
    let began = std::time::Instant::now();
    Arc::new(move || {
        let now = jiff::ZonedDateTime::now();
        let minute = u32::try_from(now.hour()).unwrap_or(0) * 60 + u32::try_from(now.minute()).unwrap_or(0);
        Moment { since: began.elapsed(), minute }
    })
}

/// What may pass at once after a pause, as a time at full rate.
const BURST: Duration = Duration::from_millis(250);

/// A token bucket.
pub struct Limit {
    schedule: Schedule,
    clock: Clock,
    /// When all that was taken so far has passed.
    paid: Mutex<Duration>,
}

impl Limit {
    /// A limit by `schedule`.
    pub fn new(schedule: Schedule, clock: Clock) -> Self {
        Self { schedule, clock, paid: Mutex::default() }
    }

    /// The limit that holds now.
    pub fn rate_bytes_per_sec(&self) -> Option<u64> {
        if self.schedule.is_none() { None } else { self.schedule.at((self.clock)().minute) }
    }

    /// Takes `bytes`; how long to wait before they may pass.
    pub fn take(&self, bytes: u64) -> Duration {
        if self.schedule.is_none() {
            return Duration::ZERO;
        }
        let now = (self.clock)();
        let Some(rate) = self.schedule.at(now.minute) else { return Duration::ZERO };
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        let from = (*paid).max(now.since.saturating_sub(BURST));
        *paid = from + Duration::from_secs_f64(bytes as f64 / rate as f64);
        paid.saturating_sub(now.since)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn schedules() {
        let s = Schedule::parse("08:00-22:00=1M,0").unwrap();
        assert_eq!((s.at(8 * 60), s.at(22 * 60 - 1)), (Some(1_000_000), Some(1_000_000)));
        assert_eq!((s.at(8 * 60 - 1), s.at(22 * 60)), (None, None));
        let night = Schedule::parse("22:30-6:00=0, 12:00-13:00=2Mi, 500k").unwrap();
        assert_eq!((night.at(23 * 60), night.at(0), night.at(359)), (None, None, None));
        assert_eq!((night.at(360), night.at(720)), (Some(500_000), Some(2 << 20)));
        assert_eq!(Schedule::parse("1234").unwrap().at(7), Some(1234));
        assert!(Schedule::parse("0").unwrap().is_none() && Schedule::default().is_none() && !s.is_none());
        assert_eq!(Schedule::parse("20:00-24:00=1").unwrap().at(23 * 60 + 59), Some(1));
        for text in
            ["", "x", "1X", "1,2", "8-9=1", "08:00=1", "25:00-26:00=1", "08:60-09:00=1", "-1", "1.5M", "99999999999G"]
        {
            Schedule::parse(text).unwrap_err();
        }
    }

    /// A clock that is set by hand: milliseconds since some point, and the minute of the day.
    fn by_hand() -> (Arc<Mutex<(u64, u32)>>, Clock) {
        let time = Arc::new(Mutex::new((1_000_000, 0)));
        let read = Arc::clone(&time);
        let clock: Clock = Arc::new(move || {
            let (ms, minute) = *read.lock().unwrap();
            Moment { since: Duration::from_millis(ms), minute }
        });
        (time, clock)
    }

    #[test]
    fn bytes_pass_at_the_rate() {
        let (time, clock) = by_hand();
        let limit = Limit::new(Schedule::parse("1000").unwrap(), clock);
        // A quarter of a second's worth passes at once.
        assert_eq!(limit.take(250), Duration::ZERO);
        assert_eq!(limit.take(1000), Duration::from_secs(1));
        assert_eq!(limit.take(500), Duration::from_millis(1500));
        time.lock().unwrap().0 += 1500;
        assert_eq!(limit.take(100), Duration::from_millis(100));
        // A long pause saves up no more than the burst.
        time.lock().unwrap().0 += 3_600_000;
        assert_eq!(limit.take(1250), Duration::from_secs(1));
    }

    #[test]
    fn the_schedule_switches_at_its_minute() {
        let (time, clock) = by_hand();
        let limit = Limit::new(Schedule::parse("08:00-22:00=1000,0").unwrap(), clock);
        assert_eq!(limit.take(1 << 40), Duration::ZERO);
        time.lock().unwrap().1 = 8 * 60;
        assert!(limit.take(10_000) > Duration::from_secs(9));
        time.lock().unwrap().1 = 22 * 60;
        assert_eq!(limit.take(10_000), Duration::ZERO);
    }
}
