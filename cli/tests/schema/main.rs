//! `canaryctl schema` held against the reader of the configuration, place by place, and against every document there is.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod documents;
mod made;
mod walk;

use std::collections::BTreeSet;
use std::process::Command;

use canary_config::ConfigErrorKind;
use canary_config::{Config, ConfigError};
use jsonschema::Validator;
use serde_json::{Value, json};

use walk::{Schema, snake_case};

/// The schema as the command prints it.
fn printed() -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_canaryctl")).arg("schema").output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

fn schema() -> Value {
    serde_json::from_str(&printed()).unwrap()
}

fn validator(schema: &Value) -> Validator {
    jsonschema::options().should_validate_formats(true).build(schema).expect("the schema is one")
}

fn errors(document: &Value) -> Vec<ConfigError> {
    Config::read(document).err().iter().flat_map(|errors| errors.iter().cloned()).collect()
}

/// Errors of a document that are not known yet.
fn new_errors(known: &[ConfigError], document: &Value) -> Vec<ConfigError> {
    errors(document).into_iter().filter(|error| !known.contains(error)).collect()
}

#[test]
fn the_schema_is_one_of_its_draft() {
    jsonschema::draft7::meta::validate(&schema()).expect("draft-07");
}

/// Each object takes the fields that the reader asks for, in both spellings, and no other.
#[test]
fn every_object_has_the_fields_that_the_reader_knows() {
    let schema = schema();
    let validator = validator(&schema);
    let mut objects = 0_u32;
    Schema::new(&schema).visit_objects(|place, fields| {
        let planted = place.with_field("nobodyKnowsThis", json!(1));
        let at = format!("{}/nobodyKnowsThis", place.pointer);
        let unknown = errors(&planted).into_iter().find_map(|error| match error.kind {
            ConfigErrorKind::UnknownField(known) if error.at == at => Some(known),
            _ => None,
        });
        assert_eq!(validator.is_valid(&planted), unknown.is_none(), "{place}: an unknown field");
        let written = |name: &&String| !name.contains('_');
        let names: BTreeSet<&str> = fields.keys().filter(written).map(String::as_str).collect();
        if let Some(known) = unknown {
            assert_eq!(known.iter().copied().collect::<BTreeSet<_>>(), names, "{place}: the fields");
            objects += 1;
        }
        for name in fields.keys() {
            let planted = place.with_field(name, json!([[]]));
            let at = format!("{}/{name}", place.pointer);
            let is_unknown =
                |error: &ConfigError| error.at == at && matches!(error.kind, ConfigErrorKind::UnknownField(_));
            assert!(!errors(&planted).iter().any(is_unknown), "{place}: {name} is unknown to the reader");
        }
        let spelled: BTreeSet<String> = names.iter().map(|name| snake_case(name)).collect();
        assert!(spelled.iter().all(|name| fields.contains_key(name)), "{place}: {spelled:?}");
        assert!(fields.keys().all(|name| spelled.contains(name) || names.contains(name.as_str())), "{place}");
    });
    assert!(objects > 70, "only {objects} objects are strict");
}

/// What the schema requires is what the reader misses.
#[test]
fn every_object_requires_what_the_reader_requires() {
    let schema = schema();
    let validator = validator(&schema);
    let mut required = 0_u32;
    Schema::new(&schema).visit_objects(|place, fields| {
        // An object without its kind, or without kind and spec, is one of another form.
        let has_kind = place.document.pointer(&format!("{}/kind", place.pointer)).is_some();
        let is_told_by = |name: &str| name == "kind" || name == "spec" && !has_kind;
        for name in fields.keys().filter(|name| !name.contains('_') && !is_told_by(name)) {
            let planted = place.without_field(name);
            let misses = |error: &ConfigError| {
                error.at == place.pointer && matches!(error.kind, ConfigErrorKind::Missing(missing) if missing == name)
            };
            let is_missing = errors(&planted).iter().any(misses);
            assert_eq!(!validator.is_valid(&planted), is_missing, "{place}: without {name}");
            required += u32::from(is_missing);
        }
    });
    assert!(required > 30, "only {required} fields are required");
}

/// Values of every type, and texts of every form that some field takes.
fn pool() -> Vec<Value> {
    let texts = [
        "",
        "x",
        "v1",
        "X-Y",
        "a b",
        "ü",
        "{",
        "{port}",
        "/x",
        "1s",
        "1.5h30m",
        ".5h",
        "5",
        "s",
        "30d",
        "5xx",
        "503",
        "6xx",
        "5xx,503",
        "reset,nothing",
        "GET",
        "NOT_FOUND",
        "not-found",
        "OK",
        "Lax",
        "grpc",
        "version",
        "https",
        "ftp",
        "2026-11-21T08:00:00Z",
        "2026-11-21",
        "10.0.0.0/8",
        "VirtualService",
    ];
    let numbers = [json!(-1), json!(0), json!(1), json!(16), json!(17), json!(33), json!(100), json!(129), json!(199)];
    let larger = [json!(200), json!(399), json!(400), json!(599), json!(600), json!(65_536), json!(1_000_001)];
    let others =
        [json!(4_294_967_296_u64), json!(0.5), json!(101.5), json!(true), json!(null), json!([]), json!([null])];
    let digests = [json!("ab".repeat(32)), json!("x".repeat(64))];
    let objects = [json!({}), json!({"nobodyKnowsThis": 1})];
    texts
        .into_iter()
        .map(Value::from)
        .chain(numbers)
        .chain(larger)
        .chain(others)
        .chain(digests)
        .chain(objects)
        .collect()
}

/// What the schema refuses the reader refuses; what the reader calls a wrong type or a number out of range, or excludes
/// where the schema has a pattern or an enumeration, the schema refuses.
#[test]
fn every_value_is_judged_alike() {
    let schema = schema();
    let validator = validator(&schema);
    let pool = pool();
    let (mut places, mut refused) = (0_u32, 0_u32);
    Schema::new(&schema).visit_values(|place, value_schema| {
        places += 1;
        assert!(validator.is_valid(&place.document), "{place}: {}", place.document);
        let known = errors(&place.document);
        for value in pool.iter().cloned().chain(walk::beyond(value_schema)) {
            let planted = place.with_value(value.clone());
            let brought = new_errors(&known, &planted);
            let is_valid = validator.is_valid(&planted);
            assert!(is_valid || !brought.is_empty(), "{place}: the schema refuses {value}, the reader takes it");
            refused += u32::from(!is_valid);
            let here = brought.iter().filter(|error| error.at == place.pointer);
            for error in here.filter(|error| is_for_the_schema(error, &value, value_schema)) {
                assert!(!is_valid, "{place}: the schema takes {value}; the reader says {error}");
            }
        }
        for value in walk::bounds_and_words(value_schema) {
            let brought = new_errors(&known, &place.with_value(value.clone()));
            let here = brought.iter().find(|error| error.at == place.pointer && !is_beyond_form(error));
            assert!(here.is_none(), "{place}: the schema offers {value}; the reader says {here:?}");
        }
    });
    assert!(places > 400 && refused > 10_000, "{places} places, {refused} refusals");
}

/// What the reader says of a value that has the right form.
const BEYOND_FORM: [&str; 4] = ["shorter than", "window must be", "beyond the fallback order", "is for gRPC"];

fn is_for_the_schema(error: &ConfigError, value: &Value, schema: &Value) -> bool {
    match &error.kind {
        ConfigErrorKind::WrongType { .. } | ConfigErrorKind::UnknownField(_) => true,
        ConfigErrorKind::Invalid(_) if is_beyond_form(error) => false,
        ConfigErrorKind::Invalid(_) if value.is_string() => {
            ["pattern", "enum"].iter().any(|keyword| schema.get(keyword).is_some())
        }
        ConfigErrorKind::Invalid(_) => value.is_number(),
        _ => false,
    }
}

fn is_beyond_form(error: &ConfigError) -> bool {
    matches!(&error.kind, ConfigErrorKind::Invalid(message) if BEYOND_FORM.iter().any(|part| message.contains(part)))
}

/// A default that the schema names means what its absence means.
#[test]
fn defaults_are_what_absence_means() {
    let schema = schema();
    let (mut told, mut unasked) = (0_u32, BTreeSet::new());
    Schema::new(&schema).visit_objects(|place, fields| {
        for (name, field) in fields.iter().filter(|(name, _)| !name.contains('_')) {
            let Some(default) = field.get("default") else { continue };
            let read = |document: &Value| Config::read(document).ok();
            let absent = read(&place.without_field(name));
            match absent {
                Some(absent) => {
                    let said = read(&place.with_field(name, default.clone()));
                    assert_eq!(said.map(|(config, _)| config), Some(absent.0), "{place}: {name}");
                    told += 1;
                }
                None => drop(unasked.insert(name.as_str())),
            }
        }
    });
    assert!(told > 35, "only {told} defaults are compared");
    assert_eq!(unasked, BTreeSet::new(), "defaults in documents that the reader refuses");
}
