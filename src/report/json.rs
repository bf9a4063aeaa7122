//! The frame of every JSON output (`docs/json.md`).

use crate::backend::Usage;
use crate::error::Error;
use crate::report::text;
use serde::Serialize;

/// The number of the schema: raised when something is taken away or changes its meaning, not when something is added.
pub const SCHEMA: u32 = 1;

/// A document: what every command's output has in common, and its own.
#[derive(Debug, Serialize)]
pub struct Document<'a, T> {
    schema: u32,
    command: &'a str,
    #[serde(flatten)]
    body: T,
    #[serde(skip_serializing_if = "Usage::is_zero")]
    calls: Usage,
}

impl<'a, T: Serialize> Document<'a, T> {
    /// The document of `command`.
    pub fn new(command: &'a str, body: T) -> Self {
        Self { schema: SCHEMA, command, body, calls: Usage::default() }
    }

    /// With what was asked of a store that counts.
    pub fn with_calls(self, calls: Usage) -> Self {
        Self { calls, ..self }
    }
}

/// A raw path or name: as text, and if that is not all of it, as bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RawPath {
    /// As text; bytes that are no UTF-8 are replaced by U+FFFD.
    pub path: String,
    /// The bytes in hexadecimal, only if they are no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_bytes: Option<String>,
}

impl RawPath {
    /// The path of these bytes.
    pub fn new(raw: &[u8]) -> Self {
        match std::str::from_utf8(raw) {
            Ok(path) => Self { path: path.to_owned(), path_bytes: None },
            Err(_) => Self {
                path: String::from_utf8_lossy(raw).into_owned(),
                path_bytes: Some(data_encoding::HEXLOWER.encode(raw)),
            },
        }
    }
}

/// What went wrong, as JSON has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// What could not be done.
    pub message: String,
    /// Why, from the outside in.
    pub causes: Vec<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// The program's exit code.
    pub exit_code: u8,
}

impl Failure {
    /// What `error` says.
    pub fn new(error: &Error) -> Self {
        Self { message: error.to_string(), causes: causes(error), hint: error.hint(), exit_code: error.exit_code() }
    }

    /// For a terminal: `error: …`, `caused by: …`, `hint: …`, a line each.
    pub fn text(&self) -> String {
        let mut lines = vec![format!("error: {}", text::message(&self.message))];
        lines.extend(self.causes.iter().map(|cause| format!("caused by: {}", text::message(cause))));
        lines.extend(self.hint.iter().map(|hint| format!("hint: {}", text::message(hint))));
        lines.join("\n") + "\n"
    }
}

fn causes(error: &Error) -> Vec<String> {
    let first = std::error::Error::source(error);
    std::iter::successors(first, |error| error.source()).map(ToString::to_string).collect()
}

/// The body of a document that says what went wrong.
#[derive(Debug, Serialize)]
pub struct ErrorBody<'a> {
    /// What went wrong.
    pub error: &'a Failure,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::error::StoreError;

    #[test]
    fn paths() {
        let text = serde_json::to_string(&RawPath::new("é".as_bytes())).unwrap();
        assert_eq!(text, r#"{"path":"é"}"#);
        let raw = RawPath::new(b"a\xff");
        assert_eq!((raw.path.as_str(), raw.path_bytes.as_deref()), ("a\u{fffd}", Some("61ff")));
    }

    #[test]
    fn failures_have_causes_and_a_hint() {
        let full = std::io::Error::other("disc\nfull");
        let failure = Failure::new(&Error::store("store", "gc/x", StoreError::Full(full)));
        assert_eq!(failure.causes, ["the store is full", "disc\nfull"]);
        let text = failure.text();
        assert!(
            text.starts_with("error: cannot store gc/x\ncaused by: the store is full\ncaused by: disc\\nfull\nhint: ")
        );
        let json = serde_json::to_value(Document::new("backup", ErrorBody { error: &failure })).unwrap();
        assert_eq!((json["schema"].as_u64(), json["command"].as_str()), (Some(1), Some("backup")));
        assert_eq!(json["error"]["exit_code"], 5);
    }
}
