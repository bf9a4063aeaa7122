//! Numbers as people read them.

const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// A size: `512 B`, `1.2 GiB`. Units are powers of 1,024.
#[allow(clippy::cast_precision_loss)]
pub fn size(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64;
    let mut name = "B";
    for unit in UNITS {
        // Not 1,024: what rounds to "1024.0" is 1.0 of the next unit.
        if value < 1023.95 {
            break;
        }
        value /= 1024.0;
        name = unit;
    }
    format!("{value:.1} {name}")
}

/// A whole number with a comma before every three digits.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 file`, `1,200 files`.
pub fn things(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// How long something took: `850 ms`, `4.2 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn duration(secs: f64) -> String {
    if !secs.is_finite() || secs < 0.0 {
        return "?".into();
    }
    if secs < 0.9995 {
        return format!("{:.0} ms", secs * 1000.0);
    }
    if secs < 59.95 {
        return format!("{secs:.1} s");
    }
    let whole = secs.round() as u64;
    let (minutes, hours, days) = (whole / 60, whole / 3_600, whole / 86_400);
    match (days, hours, minutes) {
        (0, 0, _) => format!("{minutes} min {} s", whole % 60),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// Bytes in a time, as a rate: `45.0 MiB/s`. Nothing for no time.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn rate(bytes: u64, secs: f64) -> Option<String> {
    (secs > 0.0).then(|| format!("{}/s", size((bytes as f64 / secs) as u64)))
}

/// How many times smaller `stored_bytes` is than `source_bytes`: `3.2 : 1`. Nothing if either is 0.
#[allow(clippy::cast_precision_loss)]
pub fn ratio(source_bytes: u64, stored_bytes: u64) -> Option<String> {
    (source_bytes > 0 && stored_bytes > 0).then(|| format!("{:.1} : 1", source_bytes as f64 / stored_bytes as f64))
}

/// `part` of `whole` in per cent; nothing if there is no whole.
#[allow(clippy::cast_possible_truncation)]
pub fn percent(part: u64, whole: u64) -> Option<u64> {
    (whole > 0).then(|| (u128::from(part.min(whole)) * 100 / u128::from(whole)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (1 << 20, "1.0 MiB"),
            (1_288_490_189, "1.2 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn counts() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), text);
        }
        assert_eq!(things(1, "file", "files"), "1 file");
        assert_eq!(things(0, "file", "files"), "0 files");
    }

    #[test]
    fn durations() {
        for (secs, text) in [
            (0.0, "0 ms"),
            (0.85, "850 ms"),
            (0.9999, "1.0 s"),
            (4.21, "4.2 s"),
            (59.99, "1 min 0 s"),
            (200.0, "3 min 20 s"),
            (3_599.7, "1 h 0 min"),
            (7_500.0, "2 h 5 min"),
            (273_600.0, "3 d 4 h"),
            (f64::NAN, "?"),
        ] {
            assert_eq!(duration(secs), text);
        }
    }

    #[test]
    fn rates_ratios_and_shares() {
        assert_eq!(rate(90 << 20, 2.0).as_deref(), Some("45.0 MiB/s"));
        assert_eq!(rate(1, 0.0), None);
        assert_eq!(ratio(320, 100).as_deref(), Some("3.2 : 1"));
        assert_eq!(ratio(0, 100), None);
        assert_eq!(percent(1, 3), Some(33));
        assert_eq!(percent(u64::MAX, u64::MAX), Some(100));
        assert_eq!(percent(1, 0), None);
    }
}
