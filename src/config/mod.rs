//! The configuration file: one TOML file with profiles. Pure: text to typed values; who reads the file and overlays options is above.
//!
//! - [`values`]: texts with a rule: times, spans, rates, commands
//! - [`types`], [`money`]: the file's tables
//! - `unknown`: keys that nobody knows, and which was meant
//! - `rules`: what must hold between keys
//! - [`schema`]: JSON Schema of all that
//!
//! No secret is ever in the file: keys and passphrases are named by file or command.

mod keep;
pub mod money;
mod places;
mod rules;
pub mod schema;
pub mod types;
mod unknown;
pub mod values;

#[cfg(test)]
mod tests;

pub use types::{Config, Profile};

use std::fmt;

/// Something that is wrong in a configuration.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize)]
pub struct Problem {
    /// The line, from 1, where it is known.
    pub line: Option<usize>,
    /// The key, with dots between its parts; empty where the file is no TOML.
    pub key: String,
    /// What is wrong, in words.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.what)
    }
}

/// Reads a configuration.
///
/// # Errors
/// Everything that is wrong with it, by line. Where the text is no TOML, or a value of the wrong type, the first thing.
pub fn parse(text: &str) -> Result<Config, Vec<Problem>> {
    let table = toml::de::DeTable::parse(text).map_err(|e| vec![places::problem_of(text, &e)])?;
    let places = places::Places::new(text, table.get_ref());
    let problems = unknown::keys(&places);
    if !problems.is_empty() {
        return Err(problems);
    }
    let config: Config = toml::from_str(text).map_err(|e| vec![places.problem_of(&e)])?;
    let problems = rules::check(&config, &places);
    if problems.is_empty() { Ok(config) } else { Err(problems) }
}

impl Config {
    /// The profile `name`; where nobody names one, the file's default, or the only one there is. Returns its name, too.
    ///
    /// # Errors
    /// In words, when there is no such profile, or several and none is the default.
    pub fn pick(&self, name: Option<&str>) -> Result<(&str, &Profile), String> {
        let names = || self.profiles.keys().map(String::as_str).collect::<Vec<_>>();
        if let Some(name) = name.or(self.default_profile.as_deref()) {
            return self.profiles.get_key_value(name).map(|(name, profile)| (name.as_str(), profile)).ok_or_else(
                || match nearest(name, names()) {
                    Some(near) => format!("there is no profile {name:?}; did you mean {near:?}?"),
                    None => format!("there is no profile {name:?}; there are: {}", names().join(", ")),
                },
            );
        }
        let mut all = self.profiles.iter();
        match (all.next(), all.next()) {
            (Some((name, profile)), None) => Ok((name, profile)),
            (None, _) => Err("it has no profile".into()),
            (Some(_), Some(_)) => Err(format!(
                "it has several profiles: name one with -p/--profile or in PANTHER_PROFILE, or set default-profile; there are: {}",
                names().join(", ")
            )),
        }
    }
}

/// The one of `known` that `word` was most likely meant to be.
fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_ascii_lowercase().replace('_', "-");
    let word = plain(word);
    let most = (word.chars().count() / 3).max(2);
    let distance = |name: &str| {
        let name = plain(name);
        // An abbreviation, or a word too much.
        let short = word.chars().count().min(name.chars().count()) >= 3;
        let part = short && (name.starts_with(&word) || word.starts_with(&name));
        if part { 1 } else { strsim::damerau_levenshtein(&word, &name) }
    };
    let near = known.into_iter().map(|name| (distance(name), name));
    near.filter(|(distance, _)| *distance <= most).min().map(|(_, name)| name)
}
