//! The JSON schema of `agents.toml`, for editors and for `standup config schema`.
//!
//! **Invariant:** it comes from the types that read the file. Must not know: the keys.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::document;
use super::raw::Raw;
use crate::model::settings::Settings;

/// The schema (JSON Schema 2020-12), with the defaults of the program in it.
#[must_use]
pub fn schema() -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Raw>().to_value();
    schema["title"] = "agents.toml".into();
    schema["required"] = serde_json::json!(["schema"]);
    let defaults = document::document(&Settings::default(), &|_| None).to_string();
    let defaults: toml::Table = toml::from_str(&defaults).expect("a document that was just written is TOML");
    put_defaults(&mut schema, &defaults);
    schema
}

/// Adds `default` to every property that has one.
fn put_defaults(schema: &mut Value, defaults: &toml::Table) {
    for (key, default) in defaults {
        let property = &mut schema["properties"][key];
        match default {
            toml::Value::Table(table) => put_defaults(property, table),
            value => property["default"] = serde_json::to_value(value).expect("TOML values are JSON values"),
        }
    }
}
