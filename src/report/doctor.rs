//! What `doctor` found.

use crate::ops::doctor::{DoctorReport, Grade, Line};
use crate::report::{text, units};

/// For people: a line for each check, hints below.
pub fn text(report: &DoctorReport) -> String {
    let wide = report.lines.iter().map(|line| line.check.len()).max().unwrap_or(0);
    let mut out: String = report.lines.iter().map(|line| lines(line, wide)).collect();
    let count = |grade| report.lines.iter().filter(|line| line.grade == grade).count() as u64;
    let (errors, warnings) = (count(Grade::Error), count(Grade::Warning));
    out += &match (errors, warnings) {
        (0, 0) => "all is well\n".to_owned(),
        _ => format!(
            "{}, {}\n",
            units::things(errors, "error", "errors"),
            units::things(warnings, "warning", "warnings")
        ),
    };
    out
}

fn lines(line: &Line, wide: usize) -> String {
    let grade = match line.grade {
        Grade::Ok => "ok",
        Grade::Warning => "warning",
        Grade::Error => "error",
    };
    let gap = " ".repeat(wide.saturating_sub(line.check.len()));
    let mut out = format!("{grade:<7}  {}{gap}  {}\n", line.check, text::message(&line.what));
    if let Some(hint) = &line.hint {
        out += &format!("{:<7}  {:wide$}  hint: {}\n", "", "", text::message(hint));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report() {
        let found = vec![
            Line::ok("store", "it answers"),
            Line::warning("object lock", "cannot be seen\x1b", "look\nthere"),
            Line::error("clock", "20 min behind", "set it"),
        ];
        let report = DoctorReport::new(found, 1.0);
        let want = "\
ok       store        it answers
warning  object lock  cannot be seen\\x1b
                      hint: look\\nthere
error    clock        20 min behind
                      hint: set it
1 error, 1 warning
";
        assert_eq!(text(&report), want);
        assert_eq!(report.exit_code(), 1);
        let well = DoctorReport::new(vec![Line::ok("store", "x")], 1.0);
        assert_eq!((text(&well), well.exit_code()), ("ok       store  x\nall is well\n".to_owned(), 0));
        assert_eq!(DoctorReport::new(vec![Line::warning("a", "b", "c")], 0.0).exit_code(), 3);
    }
}
