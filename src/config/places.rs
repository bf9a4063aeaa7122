//! Where things are in a configuration's text.

use super::Problem;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A part of the way to a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Key(String),
    At(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for Step {
    fn from(at: usize) -> Self {
        Self::At(at)
    }
}

/// A configuration's text and its tables.
pub(super) struct Places<'t> {
    text: &'t str,
    pub root: &'t DeTable<'t>,
}

impl<'t> Places<'t> {
    pub fn new(text: &'t str, root: &'t DeTable<'t>) -> Self {
        Self { text, root }
    }

    /// A problem with what is at `path`; the line is that of the innermost part that is there.
    pub fn problem(&self, path: &[Step], what: impl Into<String>) -> Problem {
        let line = self.span(path).map(|span| line_of(self.text, span.start));
        Problem { line, key: dotted(path), what: what.into() }
    }

    /// What a parser says, with the key at that place.
    pub fn problem_of(&self, error: &toml::de::Error) -> Problem {
        let key = error.span().map(|span| self.key_at(span.start)).unwrap_or_default();
        Problem { key, ..problem_of(self.text, error) }
    }

    fn span(&self, path: &[Step]) -> Option<Range<usize>> {
        let mut found = None;
        let mut table = Some(self.root);
        let mut value: Option<&Spanned<DeValue<'_>>> = None;
        for step in path {
            value = match step {
                Step::Key(key) => {
                    let Some((name, inner)) = table.and_then(|t| t.iter().find(|(name, _)| name.get_ref() == key))
                    else {
                        break;
                    };
                    found = Some(name.span());
                    Some(inner)
                }
                Step::At(at) => {
                    let inner = value.and_then(|v| v.get_ref().as_array()).and_then(|list| list.get(*at));
                    found = inner.map(Spanned::span).or(found);
                    inner
                }
            };
            table = value.and_then(|v| v.get_ref().as_table());
        }
        found
    }

    /// The key in whose value the text at `offset` is.
    fn key_at(&self, offset: usize) -> String {
        let mut path = Vec::new();
        descend(self.root, offset, &mut path);
        dotted(&path)
    }
}

fn descend(table: &DeTable<'_>, offset: usize, path: &mut Vec<Step>) {
    for (name, value) in table {
        // The span of a table that headers make up is not that of all its lines, so what is inside is looked at first.
        let len = path.len();
        path.push(name.get_ref().as_ref().into());
        match value.get_ref() {
            DeValue::Table(inner) => descend(inner, offset, path),
            DeValue::Array(list) => {
                for (at, item) in list.iter().enumerate() {
                    path.push(at.into());
                    let depth = path.len();
                    if let DeValue::Table(inner) = item.get_ref() {
                        descend(inner, offset, path);
                    }
                    if path.len() > depth || item.span().contains(&offset) {
                        return;
                    }
                    path.pop();
                }
            }
            _ => {}
        }
        if path.len() > len + 1 || value.span().contains(&offset) || name.span().contains(&offset) {
            return;
        }
        path.truncate(len);
    }
}

/// What a parser says.
pub(super) fn problem_of(text: &str, error: &toml::de::Error) -> Problem {
    let line = error.span().map(|span| line_of(text, span.start));
    // The message may go over several lines.
    let what = error.message().lines().map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join("; ");
    Problem { line, key: String::new(), what }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1
}

/// `profiles.laptop.sources[0].path`.
fn dotted(path: &[Step]) -> String {
    let mut out = String::new();
    for step in path {
        match step {
            Step::Key(key) => {
                if !out.is_empty() {
                    out.push('.');
                }
                let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
                out.push_str(&if bare { key.clone() } else { format!("{key:?}") });
            }
            Step::At(at) => out.push_str(&format!("[{at}]")),
        }
    }
    out
}
