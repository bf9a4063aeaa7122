//! This machine's clock against the store's: manifests carry its time, and keys of stores expire by theirs.

use super::report::Line;
use crate::backend::b2::{B2Backend, Which};

/// A minute or two is common and harmless.
const WARNING_SECS: u64 = 5 * 60;
/// Retention and the order of snapshots go wrong.
const ERROR_SECS: u64 = 15 * 60;

pub(super) fn lines(b2: &B2Backend) -> Vec<Line> {
    // Asked before: no further call.
    let Ok(account) = b2.account(Which::Own) else { return Vec::new() };
    vec![match account.clock_skew_secs {
        Some(skew_secs) => line(skew_secs),
        None => Line::warning(
            "clock",
            "the service did not say what time it is, so this machine's clock is not checked",
            "compare the clock with another one",
        ),
    }]
}

/// `skew_secs`: the service's clock less this machine's.
fn line(skew_secs: i64) -> Line {
    let off_secs = skew_secs.unsigned_abs();
    // This machine is behind if the service is ahead.
    let which = if skew_secs > 0 { "behind" } else { "ahead of" };
    let what = match off_secs {
        0..120 => format!("this machine's clock is {off_secs} s {which} the service's"),
        _ => format!("this machine's clock is {} min {which} the service's", off_secs / 60),
    };
    let hint = "set the clock, and have it kept by NTP (timedatectl set-ntp true)";
    match off_secs {
        0..=WARNING_SECS => Line::ok("clock", what),
        _ if off_secs <= ERROR_SECS => Line::warning("clock", what, hint),
        _ => Line::error("clock", what, hint),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Grade;
    use super::*;

    #[test]
    fn clocks() {
        for (skew_secs, grade, what) in [
            (0, Grade::Ok, "0 s ahead of"),
            (-3, Grade::Ok, "3 s ahead of"),
            (300, Grade::Ok, "5 min behind"),
            (301, Grade::Warning, "5 min behind"),
            (-900, Grade::Warning, "15 min ahead of"),
            (901, Grade::Error, "15 min behind"),
            (i64::MIN, Grade::Error, "min ahead of"),
        ] {
            let line = line(skew_secs);
            assert_eq!(line.grade, grade, "{skew_secs}");
            assert!(line.what.contains(what), "{line:?}");
            assert_eq!(line.hint.is_some(), grade != Grade::Ok);
        }
    }
}
