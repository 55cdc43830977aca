//! Files that are made from the declarations of fields and flags. `make reference` writes them anew (`RECORD=1`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use canaryctl::schema::reference;
use canaryctl::{CODES, command_reference};
use serde_json::{Value, json};

use super::{printed, schema};

/// What a page holds around its made part.
const BEGIN: &str = "<!-- made by `make reference` -->\n";
const END: &str = "<!-- end -->\n";

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Compares a file with what it should be, or writes it where `RECORD` is set.
fn check(file: &str, made: impl FnOnce(&str) -> String) {
    let path = project().join(file);
    let shipped = fs::read_to_string(&path).unwrap();
    let made = made(&shipped);
    if env::var_os("RECORD").is_some_and(|record| !record.is_empty()) {
        fs::write(&path, made).unwrap();
        return;
    }
    assert!(shipped == made, "{file} is stale: `make reference` writes it anew");
}

/// A page with another made part.
fn with_made_part(page: &str, made: &str) -> String {
    let (before, rest) = page.split_once(BEGIN).expect("the page says where its made part begins");
    let (_, after) = rest.split_once(END).expect("the page says where its made part ends");
    format!("{before}{BEGIN}{made}{END}{after}")
}

#[test]
fn the_schema_is_what_the_command_prints() {
    check("envoy-configs/canary-filter.schema.json", |_| printed());
}

#[test]
fn the_page_of_the_configuration_has_every_field() {
    check("docs/reference/configuration.md", |page| with_made_part(page, &format!("{}\n", reference::sections())));
}

#[test]
fn the_page_of_the_tool_has_every_command_and_flag() {
    check("docs/reference/cli.md", |page| with_made_part(page, &format!("{}\n", command_reference::sections())));
}

#[test]
fn the_page_of_messages_has_every_code() {
    check("docs/reference/messages.md", |page| {
        let row = |(code, severity, meaning): (&str, &str, &str)| format!("| `{code}` | {severity} | {meaning} |\n");
        let rows: String = CODES.into_iter().map(row).collect();
        with_made_part(page, &format!("\n| code | severity | meaning |\n|---|---|---|\n{rows}\n"))
    });
}

/// The chart's values hold parts of the document: their schema has the same definitions.
#[test]
fn the_values_of_the_chart_have_the_same_definitions() {
    check("charts/canary-filter/values.schema.json", |shipped| {
        let shipped: Value = serde_json::from_str(shipped).unwrap();
        format!("{:#}\n", with_definitions(shipped, &schema()))
    });
}

/// The values' schema with fields and definitions of the document's.
fn with_definitions(mut values: Value, document: &Value) -> Value {
    for (section, definition) in [("policy", "Policy"), ("http", "HttpRoute"), ("config", "Configuration")] {
        let fields = document["definitions"][definition]["properties"].clone();
        for (name, field) in values["properties"][section]["properties"].as_object_mut().unwrap() {
            *field = fields[name].clone();
        }
    }
    let mut definitions = BTreeMap::new();
    let mut open = references(&values["properties"]);
    while let Some(name) = open.pop() {
        let definition = document["definitions"].get(&name).unwrap_or_else(|| panic!("{name} is no definition"));
        if definitions.insert(name, definition.clone()).is_none() {
            open.extend(references(definition));
        }
    }
    values["definitions"] = json!(definitions);
    values
}

/// The names of the definitions that a schema refers to.
fn references(schema: &Value) -> Vec<String> {
    let below: Vec<&Value> = match schema {
        Value::Object(fields) => fields.values().collect(),
        Value::Array(parts) => parts.iter().collect(),
        _ => Vec::new(),
    };
    let own = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.rsplit('/').next());
    own.map(str::to_owned).into_iter().chain(below.into_iter().flat_map(references)).collect()
}
