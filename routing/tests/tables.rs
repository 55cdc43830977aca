//! The rules of the configuration and of the decision, one named row each (`tests/data/*.json`).
//!
//! The same rows run natively and as wasm32 in Node (`make test-wasm`).

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use canary_routing::explain::Question;
use canary_routing::{Config, RouteTable};
use serde_json::Value;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Every group of a file: one configuration, and rows of requests with what the decision must contain.
fn check_decisions(file: &str) {
    for group in list(&parse(file), "groups") {
        let group_name = group["name"].as_str().unwrap();
        let (config, _) = Config::read(&group["config"]).unwrap_or_else(|errors| panic!("{group_name}: {errors}"));
        let questions = Question::read_all(&group["rows"]).unwrap_or_else(|errors| panic!("{group_name}: {errors}"));
        assert!(!questions.is_empty(), "{group_name}: a group without rows");
        for question in questions {
            let table = RouteTable::compile(&question.config(&config));
            let answer = question.answer(&table);
            let expected = question.expect.as_ref().unwrap_or_else(|| panic!("{group_name}: a row expects nothing"));
            let row = question.name.as_deref().expect("a row has a name");
            for (key, value) in expected.as_object().expect("expect is an object") {
                assert_eq!(answer[key], *value, "{group_name}: {row}: {key}");
            }
        }
    }
}

fn parse(file: &str) -> Value {
    serde_json::from_str(file).expect("the table is JSON")
}

fn list(value: &Value, key: &str) -> Vec<Value> {
    value[key].as_array().unwrap_or_else(|| panic!("{key} is a list")).clone()
}

#[test]
fn matching() {
    check_decisions(include_str!("data/matching.json"));
}

#[test]
fn hosts() {
    check_decisions(include_str!("data/hosts.json"));
}

#[test]
fn selectors() {
    check_decisions(include_str!("data/selectors.json"));
}

#[test]
fn destinations_and_weights() {
    check_decisions(include_str!("data/destinations.json"));
}

/// Every row is a document with one fault or more, and the messages that must come, all of them and no other.
#[test]
fn refused_documents() {
    for row in list(&parse(include_str!("data/refused.json")), "rows") {
        let name = row["name"].as_str().unwrap();
        let errors = Config::read(&row["config"]).expect_err(name);
        let found: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let expected: Vec<&str> =
            row["errors"].as_array().unwrap().iter().map(|error| error.as_str().unwrap()).collect();
        assert_eq!(found.len(), expected.len(), "{name}: {found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{name}: {found:?} does not start with {expected:?}");
        }
    }
}

/// Documents that Istio accepts with a warning or that cannot be carried out in full.
#[test]
fn accepted_with_a_warning() {
    for row in list(&parse(include_str!("data/warnings.json")), "rows") {
        let name = row["name"].as_str().unwrap();
        let (_, warnings) = Config::read(&row["config"]).unwrap_or_else(|errors| panic!("{name}: {errors}"));
        let found: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        let expected: Vec<&str> =
            row["warnings"].as_array().unwrap().iter().map(|error| error.as_str().unwrap()).collect();
        assert_eq!(found.len(), expected.len(), "{name}: {found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{name}: {found:?} does not start with {expected:?}");
        }
    }
}

#[test]
fn text_that_is_no_document() {
    for (name, text) in
        [("no JSON", &b"{"[..]), ("not UTF-8", b"\xff\xfe"), ("trailing text", b"{} x"), ("nesting", &[b'['; 1000])]
    {
        let errors = Config::from_json(text).expect_err(name);
        assert!(errors.to_string().starts_with("/: not valid JSON: "), "{name}: {errors}");
    }
    for (name, text) in [("empty", &b""[..]), ("blank", b" \n"), ("empty object", b"{}")] {
        let (config, warnings) = Config::from_json(text).unwrap_or_else(|errors| panic!("{name}: {errors}"));
        assert_eq!((config, warnings), (Config::default(), Vec::new()), "{name}");
    }
}

/// Values and paths are bytes: nothing needs to be UTF-8.
#[test]
fn bytes_that_are_not_utf8() {
    let document = serde_json::json!({"virtualServices": [{"hosts": ["reviews"], "http": [
        {"name": "prefix", "match": [{"headers": {"user": {"prefix": "jas"}}}], "route": [{"destination": {"host": "reviews"}}]},
        {"name": "regex", "match": [{"headers": {"agent": {"regex": ".*"}}}], "route": [{"destination": {"host": "reviews"}}]},
        {"name": "present", "match": [{"headers": {"agent": {}}}], "route": [{"destination": {"host": "reviews"}}]},
        {"name": "default", "route": [{"destination": {"host": "reviews"}}]}]}]});
    let (config, _) = Config::read(&document).unwrap();
    let table = RouteTable::compile(&config);
    let rows: [(&str, &str, &[u8], &str); 4] = [
        ("a prefix before foreign bytes", "user", b"jas\xff", "prefix"),
        ("a regex takes UTF-8", "agent", "ü".as_bytes(), "regex"),
        ("no regex takes other bytes", "agent", b"\xff", "present"),
        ("exact bytes elsewhere", "user", b"\xff", "default"),
    ];
    for (name, header, value, route) in rows {
        let request = canary_routing::Request::get("http://reviews/").with_header(header, value);
        let decision = table.decide(&request, &canary_routing::Draws::default());
        assert_eq!(decision.route.map(|route| route.name.as_str()), Some(route), "{name}");
    }
    let mut request = canary_routing::Request::get("http://reviews/");
    (request.authority, request.path) = (b"\xff\xfe:x".to_vec(), b"/\xff?\xff".to_vec());
    assert_eq!(table.decide(&request, &canary_routing::Draws::default()).outcome, canary_routing::Outcome::Untouched);
}
