//! What a try took.

use crate::ops::try_it::TryReport;
use crate::report::{text, units};
use std::fmt::Write;

/// How many differences are shown.
const SHOWN: usize = 20;

/// A short table for people.
pub fn text(report: &TryReport) -> String {
    let rate = |secs: f64| units::rate(report.source_bytes, secs).map(|rate| format!(" ({rate})")).unwrap_or_default();
    let timed = |secs: f64| format!("{}{}", units::duration(secs), rate(secs));
    let source = format!(
        "{} in {}, {}",
        units::size(report.source_bytes),
        units::things(report.files, "file", "files"),
        units::things(report.dirs, "folder", "folders")
    );
    let ratio = units::ratio(report.source_bytes, report.stored_bytes).map(|r| format!(" ({r})")).unwrap_or_default();
    let second =
        format!("{}, {} new", units::duration(report.second_backup_secs), units::size(report.second_new_bytes));
    let cost = format!("${:.2} a month, by the prices of {}", report.b2_month_usd, report.b2_prices_of);
    let mut out = format!("{}\n", text::message(&report.path));
    out += &text::pairs(&[
        ("  source", source),
        ("  stored", format!("{}{ratio}", units::size(report.stored_bytes))),
        ("  first backup", timed(report.backup_secs)),
        ("  second backup", second),
        ("  restore", timed(report.restore_secs)),
        ("  comparison", comparison(report)),
        ("  Backblaze B2", cost),
    ]);
    for difference in report.comparison.differences.iter().take(SHOWN) {
        // Writing to a string does not fail.
        let _ = writeln!(out, "    {}: {}", text::message(&difference.path), difference.what.join(", "));
    }
    if report.comparison.different > SHOWN as u64 {
        let _ = writeln!(out, "    and {} more", units::count(report.comparison.different - SHOWN as u64));
    }
    match &report.kept {
        Some(kept) => out += &format!("the repository was kept in {}\n", text::message(kept)),
        None => out += "nothing of it was kept\n",
    }
    out
}

fn comparison(report: &TryReport) -> String {
    let found = &report.comparison;
    let mut parts = vec![match found.different {
        0 => format!("{} as before", units::things(found.objects, "object", "objects")),
        different => {
            format!("{} of {} differ", units::count(different), units::things(found.objects, "object", "objects"))
        }
    }];
    let asides = [
        (found.changed_meanwhile, "changed meanwhile"),
        (found.unreadable, "not readable"),
        (report.skipped_owners, "without their owner, which only root may set"),
    ];
    parts.extend(asides.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", units::count(*n))));
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::compare::{Comparison, Difference};

    #[test]
    fn table() {
        let difference = Difference { path: "/x/a".into(), what: vec!["mode", "time"] };
        let mut report = TryReport {
            path: "/x".into(),
            files: 2,
            dirs: 1,
            source_bytes: 64 << 20,
            stored_bytes: 16 << 20,
            backup_secs: 2.0,
            second_backup_secs: 0.1,
            second_new_bytes: 2048,
            restore_secs: 1.0,
            comparison: Comparison { objects: 1234, ..Comparison::default() },
            skipped_owners: 0,
            b2_month_usd: 0.0,
            b2_prices_of: "2026-05-01".into(),
            kept: None,
        };
        let want = "\
/x
  source         64.0 MiB in 2 files, 1 folder
  stored         16.0 MiB (4.0 : 1)
  first backup   2.0 s (32.0 MiB/s)
  second backup  100 ms, 2.0 KiB new
  restore        1.0 s (64.0 MiB/s)
  comparison     1,234 objects as before
  Backblaze B2   $0.00 a month, by the prices of 2026-05-01
nothing of it was kept
";
        assert_eq!(text(&report), want);
        report.comparison.different = 1;
        report.comparison.differences.push(difference);
        report.kept = Some("/k".into());
        let text = text(&report);
        assert!(text.contains("1 of 1,234 objects differ\n") && text.contains("    /x/a: mode, time\n"), "{text}");
        assert!(text.ends_with("the repository was kept in /k\n"));
    }
}
