//! Settings in force, and what is wrong with a configuration.

use crate::config::Problem;
use crate::report::{text, units};
use serde_json::Value;

/// Where a setting comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// An option.
    Flag,
    /// A variable.
    Environment,
    /// The profile.
    Profile,
    /// Nobody has said anything.
    Default,
}

impl Origin {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Environment => "environment",
            Self::Profile => "profile",
            Self::Default => "default",
        }
    }
}

/// A setting.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Setting {
    /// Its key in a profile, with dots between its parts.
    pub key: String,
    /// Its value; nothing where the program decides when it runs.
    pub value: Value,
    /// Where it comes from.
    pub origin: Origin,
}

/// What holds where nobody says anything, for the keys that a command asks for. A note in brackets is no value.
const DEFAULTS: [(&str, &str); 14] = [
    ("repository", "[none]"),
    ("state-dir", "[$XDG_CACHE_HOME/panther, else ~/.cache/panther]"),
    ("writer", "[with an admin's key the host's name, else the key's own]"),
    ("sources", "[none]"),
    ("backup.exclude-caches", "false"),
    ("backup.one-file-system", "false"),
    ("backup.skip-if-unchanged", "false"),
    ("backup.host", "[this host's name]"),
    ("backup.compression", "auto"),
    ("retention", "[none: forget needs options]"),
    ("limits.upload", "0"),
    ("limits.download", "0"),
    ("budget.stop-month-dollars", "[none]"),
    ("schedule", "[none]"),
];

/// Takes a table apart into settings with dotted keys. Lists of plain values stay whole.
pub fn flatten(key: &str, value: &Value, into: &mut Vec<Setting>) {
    let below = |name: &str| if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
    match value {
        Value::Object(table) => table.iter().for_each(|(name, value)| flatten(&below(name), value, into)),
        Value::Array(list) if list.iter().any(Value::is_object) => {
            list.iter().enumerate().for_each(|(at, value)| flatten(&format!("{key}[{at}]"), value, into));
        }
        value => into.push(Setting { key: key.to_owned(), value: value.clone(), origin: Origin::Profile }),
    }
}

/// Sets a value, whatever it was before.
pub fn set(settings: &mut Vec<Setting>, key: &str, value: Value, origin: Origin) {
    settings.retain(|setting| setting.key != key);
    settings.push(Setting { key: key.to_owned(), value, origin });
}

/// Adds the defaults of what is not set, and sorts.
pub fn add_defaults(settings: &mut Vec<Setting>) {
    for (key, value) in DEFAULTS {
        let is_set = settings
            .iter()
            .any(|s| s.key.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '['])));
        if !is_set {
            let value = match value {
                "false" => Value::from(false),
                note if note.starts_with('[') => Value::Null,
                text => Value::from(text),
            };
            settings.push(Setting { key: key.to_owned(), value, origin: Origin::Default });
        }
    }
    settings.sort_by(|a, b| a.key.cmp(&b.key));
}

/// For people: a line for each setting.
pub fn text(file: Option<&str>, profile: Option<&str>, settings: &[Setting], origins: bool) -> String {
    let mut out = format!("# configuration: {}\n", file.map_or("none".into(), text::message));
    if let Some(profile) = profile {
        out += &format!("# profile: {}\n", text::message(profile));
    }
    for setting in settings {
        let note = DEFAULTS.iter().find(|(key, _)| *key == setting.key).map_or("", |(_, note)| *note);
        let value = if setting.value.is_null() { note.to_owned() } else { setting.value.to_string() };
        let origin = if origins { format!("  # {}", setting.origin.as_str()) } else { String::new() };
        out += &format!("{} = {}{origin}\n", text::message(&setting.key), text::message(&value));
    }
    out
}

/// What a check of the file came to, for people.
pub fn checked(file: &str, profiles: &[&str], problems: &[Problem]) -> String {
    let file = text::message(file);
    if problems.is_empty() {
        let names: Vec<String> = profiles.iter().map(|name| text::message(name)).collect();
        let count = units::things(profiles.len() as u64, "profile", "profiles");
        return format!("{file}: nothing is wrong; {count}: {}\n", names.join(", "));
    }
    let lines = problems.iter().map(|problem| format!("{file}: {}\n", text::message(&problem.to_string())));
    let count = units::things(problems.len() as u64, "problem", "problems");
    lines.chain([format!("{count}\n")]).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings() {
        let mut all = Vec::new();
        let profile = json!({ "repository": "/r", "sources": [{ "path": "/a" }], "backup": { "tags": ["x", "y"] } });
        flatten("", &profile, &mut all);
        set(&mut all, "repository", json!("/other"), Origin::Flag);
        add_defaults(&mut all);
        let shown = text(Some("/f"), Some("p"), &all, true);
        for line in [
            "# configuration: /f\n# profile: p\n",
            "repository = \"/other\"  # flag\n",
            "sources[0].path = \"/a\"  # profile\n",
            "backup.tags = [\"x\",\"y\"]  # profile\n",
            "backup.exclude-caches = false  # default\n",
            "writer = [with an admin's key the host's name, else the key's own]  # default\n",
        ] {
            assert!(shown.contains(line), "{shown}");
        }
        assert!(!shown.contains("sources =") && shown.contains("schedule = [none]"), "{shown}");
        assert!(!text(None, None, &all, false).contains("# flag"));
    }

    #[test]
    fn checks() {
        assert_eq!(checked("f", &["a", "b"], &[]), "f: nothing is wrong; 2 profiles: a, b\n");
        let problem = Problem { line: Some(3), key: "a.b".into(), what: "bad\n".into() };
        assert_eq!(checked("f", &[], &[problem]), "f: line 3: a.b: bad\\n\n1 problem\n");
    }
}
