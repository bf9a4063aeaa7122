//! Keys that nobody knows. The schema is the list of those that are known.

use super::places::{Places, Step};
use super::{Problem, nearest};
use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

/// All unknown keys of a configuration.
pub(super) fn keys(places: &Places<'_>) -> Vec<Problem> {
    let schema = super::schema::of_config();
    let mut walk = Walk { schema: &schema, places, problems: Vec::new() };
    walk.table(&schema, places.root, &mut Vec::new());
    walk.problems.sort();
    walk.problems
}

struct Walk<'a> {
    schema: &'a Value,
    places: &'a Places<'a>,
    problems: Vec<Problem>,
}

impl<'a> Walk<'a> {
    /// The alternatives that a schema stands for, references followed.
    fn alternatives(&self, schema: &'a Value) -> Vec<&'a Value> {
        if let Some(target) = schema.get("$ref").and_then(Value::as_str).and_then(|r| self.schema.pointer(&r[1..])) {
            return self.alternatives(target);
        }
        let of = ["anyOf", "oneOf", "allOf"].iter().filter_map(|word| schema.get(word)?.as_array()).flatten();
        let inner: Vec<&Value> = of.flat_map(|one| self.alternatives(one)).collect();
        if inner.is_empty() { vec![schema] } else { inner }
    }

    fn value(&mut self, schema: &'a Value, value: &DeValue<'_>, path: &mut Vec<Step>) {
        match value {
            DeValue::Table(table) => self.table(schema, table, path),
            DeValue::Array(list) => {
                let Some(items) = self.alternatives(schema).iter().find_map(|s| s.get("items")) else { return };
                for (at, item) in list.iter().enumerate() {
                    path.push(at.into());
                    self.value(items, item.get_ref(), path);
                    path.pop();
                }
            }
            _ => {}
        }
    }

    fn table(&mut self, schema: &'a Value, table: &DeTable<'_>, path: &mut Vec<Step>) {
        let alternatives = self.alternatives(schema);
        let known: Vec<&'a Map<String, Value>> =
            alternatives.iter().filter_map(|s| s.get("properties")?.as_object()).collect();
        let others = alternatives.iter().find_map(|s| s.get("additionalProperties").filter(|s| s.is_object()));
        if known.is_empty() && others.is_none() {
            // It should be no table at all: the types say so.
            return;
        }
        for (name, value) in table {
            let name: &str = name.get_ref();
            path.push(name.into());
            match known.iter().find_map(|properties| properties.get(name)).or(others) {
                Some(schema) => self.value(schema, value.get_ref(), path),
                None => {
                    let what = self.what(name, known.iter().flat_map(|p| p.keys()).map(String::as_str).collect());
                    self.problems.push(self.places.problem(path, what));
                }
            }
            path.pop();
        }
    }

    fn what(&self, name: &str, known: Vec<&str>) -> String {
        if let Some(near) = nearest(name, known.iter().copied()) {
            return format!("unknown key; did you mean {near}?");
        }
        match self.elsewhere(name) {
            Some(table) => format!("unknown key here; it belongs into {table}"),
            None => format!("unknown key; known here are {}", known.join(", ")),
        }
    }

    /// The table of a profile that has a key of this name.
    fn elsewhere(&self, name: &str) -> Option<String> {
        let profile = self.schema.pointer("/$defs/Profile/properties")?.as_object()?;
        if profile.contains_key(name) {
            return Some("a profile itself".into());
        }
        profile.iter().find_map(|(table, schema)| {
            let items = self.alternatives(schema).iter().find_map(|s| s.get("items"));
            let has = |s: &&Value| s.get("properties").is_some_and(|p| p.get(name).is_some());
            let found = self.alternatives(items.unwrap_or(schema)).iter().any(has);
            found.then(|| format!("the profile's table {table}"))
        })
    }
}
