//! JSON Schema of the configuration.

use super::Config;
use serde_json::Value;

/// The schema as `docs/config.schema.json` has it (JSON Schema 2020-12).
pub fn of_config() -> Value {
    let mut schema = schemars::schema_for!(Config).to_value();
    // The order of a map's keys depends on a feature of serde_json that any dependency may switch on.
    schema.sort_all_objects();
    schema
}

/// The schema as text, ending in a line feed.
pub fn text() -> String {
    // A value always has a text.
    serde_json::to_string_pretty(&of_config()).unwrap_or_default() + "\n"
}
