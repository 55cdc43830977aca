//! The rules of the configuration and of the decision. Each has a named row in `tests/data/*.json`.
//!
//! The same rows run natively and as wasm32 in Node (`make test-wasm`).

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use canary_config::Config;
use canary_routing::explain::Question;
use canary_routing::{AllHealthy, Draws, Outcome, Request, RouteTable};
use serde_json::Value;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Checks every group of a file: one configuration, and requests with the expected parts of their decisions.
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

#[test]
fn rewrite() {
    check_decisions(include_str!("data/rewrite.json"));
}

#[test]
fn answers() {
    check_decisions(include_str!("data/answers.json"));
}

#[test]
fn headers() {
    check_decisions(include_str!("data/headers.json"));
}

#[test]
fn faults() {
    check_decisions(include_str!("data/faults.json"));
}

#[test]
fn cors() {
    check_decisions(include_str!("data/cors.json"));
}

#[test]
fn claims() {
    check_decisions(include_str!("data/claims.json"));
}

#[test]
fn delegates() {
    check_decisions(include_str!("data/delegates.json"));
}

#[test]
fn version_mode() {
    check_decisions(include_str!("data/version_mode.json"));
}

#[test]
fn policies() {
    check_decisions(include_str!("data/policies.json"));
}

#[test]
fn sticky() {
    check_decisions(include_str!("data/sticky.json"));
}

#[test]
fn ramps() {
    check_decisions(include_str!("data/ramp.json"));
}

#[test]
fn precedence() {
    check_decisions(include_str!("data/precedence.json"));
}

#[test]
fn overrides() {
    check_decisions(include_str!("data/overrides.json"));
}

#[test]
fn candidate() {
    check_decisions(include_str!("data/candidate.json"));
}

/// Every message starts as expected, and there are no others. Their order does not count.
fn check_messages(name: &str, found: impl Iterator<Item = String>, expected: &Value) {
    let mut found: Vec<String> = found.collect();
    let mut expected: Vec<&str> =
        expected.as_array().unwrap().iter().map(|message| message.as_str().unwrap()).collect();
    found.sort();
    expected.sort_unstable();
    assert_eq!(found.len(), expected.len(), "{name}: {found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{name}: {found:?} does not start with {expected:?}");
    }
}

/// Each row is a configuration with at least one error, and the exact list of its messages.
#[test]
fn rejected_configurations() {
    for row in list(&parse(include_str!("data/refused.json")), "rows") {
        let name = row["name"].as_str().unwrap();
        let errors = Config::read(&row["config"]).expect_err(name);
        check_messages(name, errors.iter().map(ToString::to_string), &row["errors"]);
    }
}

/// Configurations that Istio accepts with a warning, or that cannot be applied in full.
#[test]
fn configurations_with_a_warning() {
    for row in list(&parse(include_str!("data/warnings.json")), "rows") {
        let name = row["name"].as_str().unwrap();
        let (_, warnings) = Config::read(&row["config"]).unwrap_or_else(|errors| panic!("{name}: {errors}"));
        check_messages(name, warnings.iter().map(ToString::to_string), &row["warnings"]);
    }
}

/// Istio's limits for the body of a direct response.
#[test]
fn large_direct_responses() {
    let read = |length: usize| {
        Config::read(&serde_json::json!({"virtualServices": [{"hosts": ["a.io"], "http": [
            {"directResponse": {"status": 200, "body": {"string": "x".repeat(length)}}}]}]}))
    };
    let at =
        "/virtualServices/0/http/0/directResponse/body: large direct_responses may impact control plane performance";
    for (name, length, warned) in [("100 KiB", 102_400, false), ("more", 102_401, true), ("1 MiB", 1_048_576, true)] {
        let (_, warnings) = read(length).unwrap_or_else(|errors| panic!("{name}: {errors}"));
        assert_eq!(warnings.first().map(ToString::to_string), warned.then(|| at.to_owned()), "{name}");
    }
    assert_eq!(read(1_048_577).expect_err("over 1 MiB").to_string(), format!("{at}, must be less than 1MB"));
}

#[test]
fn text_that_is_not_a_configuration() {
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

/// Values and paths are bytes, and need not be UTF-8.
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
        ("a prefix before other bytes", "user", b"jas\xff", "prefix"),
        ("a regex matches UTF-8", "agent", "ü".as_bytes(), "regex"),
        ("no regex matches other bytes", "agent", b"\xff", "present"),
        ("exact bytes elsewhere", "user", b"\xff", "default"),
    ];
    for (name, header, value, route) in rows {
        let request = Request::get("http://reviews/").with_header(header, value);
        let decision = request.decide(&table, &Draws::default(), &AllHealthy);
        assert_eq!(decision.route.map(|route| &*route.name), Some(route), "{name}");
    }
    let mut request = Request::get("http://reviews/");
    (request.authority, request.path) = (b"\xff\xfe:x".to_vec(), b"/\xff?\xff".to_vec());
    assert_eq!(request.decide(&table, &Draws::default(), &AllHealthy).outcome, Outcome::Untouched);
}
