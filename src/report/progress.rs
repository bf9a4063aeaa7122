//! How far an operation is.

use crate::ops::Totals;
use crate::report::units;

/// What is done of a stage.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Done {
    /// Files or objects.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
    /// Since the stage began.
    pub secs: f64,
}

/// `1,234 of 2,000 files, 1.2 GiB of 3.4 GiB, 45.0 MiB/s, 50 s left`.
#[allow(clippy::cast_precision_loss)]
pub fn line(done: Done, totals: Totals) -> String {
    let mut parts = Vec::new();
    match totals.files {
        Some(total) => parts.push(format!("{} of {}", units::count(done.files), units::things(total, "file", "files"))),
        None if done.files > 0 => parts.push(units::things(done.files, "file", "files")),
        None => {}
    }
    match totals.bytes {
        Some(total) => parts.push(format!("{} of {}", units::size(done.bytes), units::size(total))),
        None if done.bytes > 0 => parts.push(units::size(done.bytes)),
        None => {}
    }
    if done.bytes > 0 && done.secs >= 1.0 {
        parts.extend(units::rate(done.bytes, done.secs));
        // The first seconds say little about the rest.
        if let Some(left) = totals.bytes.and_then(|total| total.checked_sub(done.bytes)).filter(|_| done.secs >= 3.0) {
            let secs_left = left as f64 * done.secs / done.bytes as f64;
            parts.push(format!("{} left", units::duration(secs_left.round())));
        }
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let done = Done { files: 1234, bytes: 10 << 20, secs: 10.0 };
        let totals = Totals { files: Some(2000), bytes: Some(60 << 20) };
        assert_eq!(line(done, totals), "1,234 of 2,000 files, 10.0 MiB of 60.0 MiB, 1.0 MiB/s, 50.0 s left");
        assert_eq!(line(done, Totals::default()), "1,234 files, 10.0 MiB, 1.0 MiB/s");
        assert_eq!(line(Done::default(), Totals::default()), "");
    }
}
