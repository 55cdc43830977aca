//! Rules on the claims of a JWT, read from the metadata of Envoy's JWT filter.

use std::collections::{BTreeMap, HashMap};

use crate::fixture::{document, get, start};
use prost::Message;
use sdk_shims::host::LogLevel;
use serde_json::{Value, json};

/// `envoy.config.core.v3.Metadata`, as far as it is of interest.
#[derive(Message)]
struct Metadata {
    #[prost(map = "string, message", tag = "1")]
    filter_metadata: HashMap<String, prost_types::Struct>,
    #[prost(map = "string, message", tag = "2")]
    typed_filter_metadata: HashMap<String, prost_types::Any>,
}

fn value(json: &Value) -> prost_types::Value {
    use prost_types::value::Kind;
    let kind = match json {
        Value::Null => Kind::NullValue(0),
        Value::Bool(bool) => Kind::BoolValue(*bool),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(list) => Kind::ListValue(prost_types::ListValue { values: list.iter().map(value).collect() }),
        Value::Object(_) => Kind::StructValue(structure(json)),
    };
    prost_types::Value { kind: Some(kind) }
}

fn structure(json: &Value) -> prost_types::Struct {
    let fields = json.as_object().unwrap().iter().map(|(key, json)| (key.clone(), value(json)));
    prost_types::Struct { fields: fields.collect::<BTreeMap<_, _>>() }
}

fn metadata(filter_metadata: &Value) -> Vec<u8> {
    let any = prost_types::Any { type_url: "type.googleapis.com/x".to_owned(), value: b"\x0a\x01x".to_vec() };
    let filters = filter_metadata.as_object().unwrap().iter();
    Metadata {
        filter_metadata: filters.map(|(name, json)| (name.clone(), structure(json))).collect(),
        typed_filter_metadata: [("envoy.filters.http.jwt_authn".to_owned(), any)].into(),
    }
    .encode_to_vec()
}

fn jwt(payload: Value) -> Vec<u8> {
    metadata(&json!({
        "a.filter.before": {"payload": {"groups": "beta"}},
        "envoy.filters.http.jwt_authn": {"header": {"alg": "RS256"}, "payload": payload}}))
}

/// A gateway whose rule matches the claim. Other requests get 404.
fn with_claim(key: &str, wanted: Value) -> String {
    let more = json!({"proxy": {"namespace": "default", "gateways": ["gw"]}});
    let rule = json!({"match": [{"headers": {key: wanted}}]});
    let mut document: Value = serde_json::from_str(&document(rule, more)).unwrap();
    document["virtualServices"][0]["spec"]["gateways"] = json!(["gw"]);
    document["virtualServices"][0]["spec"]["hosts"] = json!(["reviews.io"]);
    document.to_string()
}

/// Name, key of the rule, its match, the stream's metadata, and whether the rule takes the request.
type Row = (&'static str, &'static str, Value, Option<Vec<u8>>, bool);

#[test]
fn claims() {
    let beta = || json!({"exact": "beta"});
    let any = || json!({"regex": ".*"});
    const GROUPS: &str = "@request.auth.claims.groups";
    const NESTED: &str = "@request.auth.claims[org][team]";
    let rows: Vec<Row> = vec![
        ("a string", GROUPS, beta(), Some(jwt(json!({"groups": "beta"}))), true),
        ("another string", GROUPS, beta(), Some(jwt(json!({"groups": "beta2"}))), false),
        ("the empty string", GROUPS, any(), Some(jwt(json!({"groups": ""}))), true),
        ("a list", GROUPS, beta(), Some(jwt(json!({"groups": ["dev", "beta"]}))), true),
        ("a list without it", GROUPS, beta(), Some(jwt(json!({"groups": ["dev"]}))), false),
        ("an empty list", GROUPS, any(), Some(jwt(json!({"groups": []}))), false),
        ("a list of other kinds", GROUPS, any(), Some(jwt(json!({"groups": [1, null, true, ["beta"], {}]}))), false),
        ("a null in the list", GROUPS, beta(), Some(jwt(json!({"groups": [null, "beta", null]}))), true),
        ("a null elsewhere", GROUPS, beta(), Some(jwt(json!({"a": null, "groups": "beta", "z": {"y": [null]}}))), true),
        ("null", GROUPS, any(), Some(jwt(json!({"groups": null}))), false),
        ("a number", GROUPS, any(), Some(jwt(json!({"groups": 7}))), false),
        // Eight bytes that look like a string if the host returns the claim alone.
        ("a number of letters", GROUPS, any(), Some(jwt(json!({"groups": f64::from_le_bytes(*b"betabeta")}))), false),
        (
            "a string like a number",
            GROUPS,
            json!({"exact": "betabeta"}),
            Some(jwt(json!({"groups": "betabeta"}))),
            true,
        ),
        ("a boolean", GROUPS, any(), Some(jwt(json!({"groups": true}))), false),
        ("an object", GROUPS, any(), Some(jwt(json!({"groups": {"beta": "beta"}}))), false),
        ("a string like an object", GROUPS, any(), Some(jwt(json!({"groups": "\u{1}\0\0\0"}))), true),
        ("nested", NESTED, beta(), Some(jwt(json!({"org": {"team": "beta"}}))), true),
        (
            "nested, by dots",
            "@request.auth.claims.org.team",
            beta(),
            Some(jwt(json!({"org": {"team": ["beta"]}}))),
            true,
        ),
        ("nested beside a null", NESTED, beta(), Some(jwt(json!({"org": {"a": null, "team": "beta"}}))), true),
        ("a path through a string", NESTED, any(), Some(jwt(json!({"org": "team"}))), false),
        ("a path through a list", NESTED, any(), Some(jwt(json!({"org": [{"team": "beta"}]}))), false),
        ("a path that ends early", NESTED, any(), Some(jwt(json!({"org": {}}))), false),
        ("a dot in the key", "@request.auth.claims[a.io/b]", beta(), Some(jwt(json!({"a.io/b": "beta"}))), true),
        ("scope, by blanks", "@request.auth.claims.scope", beta(), Some(jwt(json!({"scope": "dev beta"}))), true),
        ("the claim is missing", GROUPS, any(), Some(jwt(json!({"sub": "beta"}))), false),
        ("the payload is not an object", GROUPS, any(), Some(jwt(json!("groups"))), false),
        (
            "the key of Envoy's documentation",
            GROUPS,
            beta(),
            Some(metadata(&json!({"envoy.filters.http.jwt_authn": {"jwt_payload": {"groups": "beta"}}}))),
            true,
        ),
        ("another filter's", GROUPS, any(), Some(metadata(&json!({"other": {"payload": {"groups": "beta"}}}))), false),
        ("empty metadata", GROUPS, any(), Some(Vec::new()), false),
        ("no metadata", GROUPS, any(), None, false),
        ("not metadata", GROUPS, any(), Some(b"\xff\x0a\xff\xff\xff\xff\xff".to_vec()), false),
    ];
    for (row, key, wanted, metadata, matches) in rows {
        let vm = start();
        let plugin = vm.plugin(with_claim(key, wanted)).unwrap();
        let mut stream = plugin.stream();
        if let Some(metadata) = metadata {
            stream.set_property(&["metadata"], metadata);
        }
        stream.request_headers(get("reviews.io", "/", &[]), true);
        assert_eq!(stream.request_values("x-canary-version").len(), usize::from(matches), "{row}: {:?}", vm.log());
        assert_eq!(stream.local_response().is_none(), matches, "{row}");
        assert!(vm.logged(LogLevel::Error).is_empty(), "{row}: {:?}", vm.log());
    }
}

#[test]
fn truncated_metadata_is_safe() {
    let vm = start();
    let plugin = vm.plugin(with_claim("@request.auth.claims[org][team]", json!({"exact": "beta"}))).unwrap();
    let whole = jwt(json!({"org": {"team": ["dev", "beta"], "n": 7, "z": null}}));
    for end in 0..=whole.len() {
        for damage in [None, Some(0x80), Some(0xff)] {
            let mut bytes = whole[..end].to_vec();
            if let (Some(damage), Some(last)) = (damage, bytes.last_mut()) {
                *last ^= damage;
            }
            let mut stream = plugin.stream();
            stream.set_property(&["metadata"], bytes);
            stream.request_headers(get("reviews.io", "/", &[]), true);
        }
    }
    assert!(vm.logged(LogLevel::Error).is_empty());
}

#[test]
fn the_metadata_is_read_once_and_only_for_rules_on_claims() {
    let vm = start();
    let mut two_rules: Value =
        serde_json::from_str(&with_claim("@request.auth.claims.groups", json!({"exact": "beta"}))).unwrap();
    let rules = two_rules["virtualServices"][0]["spec"]["http"].as_array_mut().unwrap();
    rules.push(rules[0].clone());
    rules.push(
        json!({"match": [{"withoutHeaders": {"@request.auth.claims.sub": {"exact": "a"}}}], "redirect": {"uri": "/"}}),
    );
    let plugin = vm.plugin(two_rules.to_string()).unwrap();
    let configured = vm.calls("proxy_get_property");
    plugin.stream().request_headers(get("elsewhere.io", "/", &[]), true);
    assert_eq!(vm.calls("proxy_get_property") - configured, 0);
    let mut stream = plugin.stream();
    stream.request_headers(get("reviews.io", "/", &[]), true);
    assert_eq!(stream.local_response().unwrap().status, 301);
    assert_eq!(vm.calls("proxy_get_property") - configured, 1);
    vm.fail("proxy_get_property", 3);
    let mut refused = plugin.stream();
    refused.request_headers(get("reviews.io", "/", &[]), true);
    assert_eq!(refused.local_response().unwrap().status, 301, "as without a token");
    let expected =
        "proxy_get_property: the host returned SerializationFailure: the request counts as one without metadata";
    assert_eq!(vm.logged(LogLevel::Error), [expected]);
}
