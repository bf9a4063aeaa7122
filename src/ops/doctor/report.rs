//! What `doctor` finds.

use crate::error::Error;

/// How something is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// As it should be.
    Ok,
    /// It works, but somebody should look at it.
    Warning,
    /// Backups or restores fail because of it, or what protects them is missing.
    Error,
}

/// What a check came to.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Line {
    /// What was looked at: one word or two, always the same.
    pub check: &'static str,
    /// How it is.
    pub grade: Grade,
    /// What was found.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Line {
    /// As it should be.
    pub fn ok(check: &'static str, what: impl Into<String>) -> Self {
        Self { check, grade: Grade::Ok, what: what.into(), hint: None }
    }

    /// Somebody should look at it.
    pub fn warning(check: &'static str, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { check, grade: Grade::Warning, what: what.into(), hint: Some(hint.into()) }
    }

    /// Something must be done.
    pub fn error(check: &'static str, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { check, grade: Grade::Error, what: what.into(), hint: Some(hint.into()) }
    }

    /// What was looked at could not be done.
    pub fn failed(check: &'static str, error: &Error) -> Self {
        let hint = error.hint().unwrap_or_else(|| "put that right, then run `panther doctor` again".to_owned());
        Self::error(check, with_causes(error), hint)
    }
}

/// An error and its causes in a sentence.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Everything that was found.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct DoctorReport {
    /// The worst of all lines.
    pub grade: Grade,
    /// One after the other.
    pub lines: Vec<Line>,
    /// How long it took.
    pub elapsed_secs: f64,
}

impl DoctorReport {
    /// Of these lines.
    pub fn new(lines: Vec<Line>, elapsed_secs: f64) -> Self {
        let grade = lines.iter().map(|line| line.grade).max().unwrap_or(Grade::Ok);
        Self { grade, lines, elapsed_secs }
    }

    /// The exit code of a program that ends with this report: 0, 3 for warnings, 1 for errors.
    pub fn exit_code(&self) -> u8 {
        match self.grade {
            Grade::Ok => 0,
            Grade::Warning => 3,
            Grade::Error => 1,
        }
    }
}
