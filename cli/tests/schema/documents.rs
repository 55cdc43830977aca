//! Whole documents: every example, every row of the reader's tables, and manifests.

use std::fs;
use std::path::{Path, PathBuf};

use canary_config::Config;
use canary_config::ConfigErrorKind;
use serde_json::{Value, json};

use super::{schema, validator};

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn files_below(folder: &Path, name: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = entries
        .flat_map(|path| match path.is_dir() {
            true => files_below(&path, name),
            false if path.ends_with(name) => vec![path],
            false => Vec::new(),
        })
        .collect();
    found.sort();
    found
}

fn yaml(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

#[test]
fn every_example_is_valid_and_names_the_schema() {
    let validator = validator(&schema());
    let examples = files_below(&project().join("envoy-configs/examples"), "config.yaml");
    assert!(examples.len() > 15, "{examples:?}");
    let shipped = project().join("envoy-configs/canary-filter.schema.json").canonicalize().unwrap();
    for path in examples {
        let text = fs::read_to_string(&path).unwrap();
        for document in yaml(&text) {
            assert!(validator.is_valid(&document), "{}: {:?}", path.display(), validator.validate(&document));
        }
        let named = text.lines().next().and_then(|line| line.strip_prefix("# yaml-language-server: $schema="));
        let named = named.unwrap_or_else(|| panic!("{}: its first line names no schema", path.display()));
        assert_eq!(path.with_file_name(named).canonicalize().unwrap(), shipped, "{}", path.display());
    }
}

/// Configurations in the tables of `routing`: every object under the key `config`.
fn rows() -> Vec<(String, Value)> {
    let folder = project().join("routing/tests/data");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .flat_map(|path| {
            let table: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
            let rows = table.get("groups").or_else(|| table.get("rows")).unwrap().as_array().unwrap().clone();
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            rows.into_iter().map(move |row| (format!("{file}: {}", row["name"]), row["config"].clone()))
        })
        .collect()
}

#[test]
fn every_row_is_judged_alike() {
    let validator = validator(&schema());
    let (mut accepted, mut refused) = (0_u32, 0_u32);
    for (name, document) in rows() {
        let is_valid = validator.is_valid(&document);
        match Config::read(&document) {
            Ok(_) => {
                assert!(is_valid, "{name}: {:?}", validator.validate(&document));
                accepted += 1;
            }
            Err(errors) => {
                let is_of_form = |kind: &ConfigErrorKind| {
                    matches!(
                        kind,
                        ConfigErrorKind::UnknownField(_)
                            | ConfigErrorKind::WrongType { .. }
                            | ConfigErrorKind::Missing(_)
                    )
                };
                if errors.iter().any(|error| is_of_form(&error.kind)) {
                    assert!(!is_valid, "{name}: the reader says {errors}");
                    refused += 1;
                }
            }
        }
    }
    assert!(accepted > 60 && refused > 20, "{accepted} accepted, {refused} refused");
}

/// A file may hold Kubernetes manifests in place of a configuration, or beside it.
#[test]
fn manifests_are_told_by_their_kind() {
    let validator = validator(&schema());
    let service = |spec: Value| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": spec});
    let rule = |spec: Value| json!({"kind": "DestinationRule", "spec": spec});
    let rules = |http: Value| json!({"kind": "VirtualService", "spec": {"hosts": ["a"], "http": http}});
    let good = json!([{"route": [{"destination": {"host": "a"}}]}]);
    for (name, document, is_valid) in [
        ("a VirtualService", rules(good.clone()), true),
        ("an unknown field in one", rules(json!([{"rout": []}])), false),
        ("a wrong type in one", rules(json!({})), false),
        ("one without a spec", json!({"kind": "VirtualService"}), false),
        ("a DestinationRule", rule(json!({"host": "a"})), true),
        ("one without a host", rule(json!({})), false),
        (
            "a Service with what only Kubernetes reads",
            service(json!({"type": "ClusterIP", "ports": [{"port": 80, "name": "http"}]})),
            true,
        ),
        ("a Service without a number", service(json!({"ports": [{"name": "http"}]})), false),
        (
            "a ServiceEntry",
            json!({"kind": "ServiceEntry", "spec": {"hosts": ["a.io"], "ports": [{"number": 80}], "resolution": "DNS"}}),
            true,
        ),
        ("another kind", json!({"kind": "Deployment", "spec": {"replicas": "three"}}), true),
        ("a list", json!({"kind": "List", "items": [rules(good), {"kind": "Deployment"}]}), true),
        ("a list with an unknown field", json!({"kind": "List", "items": [rules(json!([{"rout": []}]))]}), false),
        ("a configuration", json!({"mode": "version"}), true),
        ("a configuration with a kind of no name", json!({"mode": "version", "kind": ""}), false),
        ("no object", json!([]), false),
        ("the guard of the first release", json!({"role": "guard", "guard": {"endpoints": "trusted"}}), false),
        ("failover clusters", json!({"clusters": {"failover": true}}), true),
    ] {
        assert_eq!(validator.is_valid(&document), is_valid, "{name}: {:?}", validator.validate(&document));
    }
}
