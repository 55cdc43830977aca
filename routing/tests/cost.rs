//! The inputs that a decision asks for besides the headers: only what a rule needs, and each once.

#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::unwrap_used, clippy::panic, reason = "test code")]

use std::cell::RefCell;

use canary_config::format::Property;
use canary_config::{Config, Timestamp};
use canary_routing::{
    Chance, Claim, DecisionInput, Draw, FallbackReason, Fraction, Health, Request, RequestContext, RouteTable,
};
use serde_json::{Value, json};

/// Records what a decision asks for.
#[derive(Default)]
struct Counted(RefCell<Vec<String>>);

impl Counted {
    fn note(&self, what: impl Into<String>) {
        self.0.borrow_mut().push(what.into());
    }
}

impl RequestContext for Counted {
    fn property(&self, property: Property) -> Option<Vec<u8>> {
        self.note(format!("property {property:?}"));
        Some(b"10.0.0.1:80".to_vec())
    }

    fn now(&self) -> Option<Timestamp> {
        self.note("time");
        None
    }

    fn claim(&self, path: &[String]) -> Claim {
        self.note(format!("claim {}", path.join(".")));
        Claim::Text(b"beta".to_vec())
    }
}

impl Chance for Counted {
    fn draw(&self, purpose: Draw) -> Fraction {
        self.note(format!("draw {purpose:?}"));
        Fraction::default()
    }

    fn identity(&self) -> Option<u128> {
        self.note("identity");
        Some(1)
    }
}

impl Health for Counted {
    fn unavailable(&self, cluster: &str) -> Option<FallbackReason> {
        self.note(format!("health {}", cluster.split('|').nth(2).unwrap()));
        None
    }
}

/// What the decision for a request asks for.
fn asked(document: &Value, request: &Request) -> Vec<String> {
    let (config, _) = Config::read(document).unwrap_or_else(|errors| panic!("{errors}"));
    let table = RouteTable::compile(&config);
    let (head, counted) = (table.read_head(request.pairs()), Counted::default());
    let (context, chance, health) = (&counted, &counted, &counted);
    let _decision = table.decide(&DecisionInput { head: &head, context, chance, health });
    counted.0.into_inner()
}

fn to(subset: &str) -> Value {
    json!([{"destination": {"host": "reviews", "subset": subset}}])
}

fn split() -> Value {
    json!([{"destination": {"host": "reviews", "subset": "v1"}, "weight": 1}, {"destination": {"host": "reviews", "subset": "v2"}, "weight": 1}])
}

#[test]
fn a_decision_asks_for_what_its_rule_needs() {
    let claim = |value: &str| json!({"headers": {"@request.auth.claims.group": {"exact": value}}});
    let rows: [(&str, Value, Value, &[&str]); 9] = [
        ("one destination", json!([{"route": to("v1")}]), json!({}), &[]),
        ("a split", json!([{"route": split()}]), json!({}), &["draw Split"]),
        (
            "a mirror and a fault",
            json!([{"route": to("v1"), "mirror": {"host": "m"}, "fault": {"delay": {"fixedDelay": "1s", "percentage": {"value": 0}}}}]),
            json!({}),
            &["draw Delay", "draw Mirror(0)"],
        ),
        (
            "many rules on one claim",
            json!(
                (0..20)
                    .map(|n| json!({"match": [claim(&n.to_string())], "route": to("v1")}))
                    .chain([json!({"route": to("v1")})])
                    .collect::<Vec<_>>()
            ),
            json!({}),
            &["claim group"],
        ),
        (
            "a claim before a path that does not match",
            json!([{"match": [{"uri": {"exact": "/x"}, "headers": {"@request.auth.claims.group": {"exact": "beta"}}}], "route": to("v1")}, {"route": to("v1")}]),
            json!({}),
            &[],
        ),
        (
            "a known user",
            json!([{"route": split()}]),
            json!({"sticky": {"keys": [{"header": "user"}, {"sourceIp": {}}]}}),
            &["health v2"],
        ),
        (
            "a new user",
            json!([{"route": split()}]),
            json!({"sticky": {"keys": [{"cookie": "c"}], "issueCookie": {"name": "c"}}}),
            &["identity", "health v1"],
        ),
        (
            "a ramp",
            json!([{"route": split()}]),
            json!({"ramp": {"subset": "v2", "start": "2026-11-21T08:00:00Z", "duration": "1h"}}),
            &["time", "draw Split", "health v1"],
        ),
        ("a fallback order", json!([{"route": to("v2")}]), json!({"fallback": ["v3"]}), &["health v2"]),
    ];
    for (name, http, policy, expected) in rows {
        let gateway = if name.contains("claim") { "gateway" } else { "mesh" };
        let mut document = json!({"virtualServices": [{"hosts": ["reviews"], "gateways": [gateway], "http": http}],
            "proxy": {"gateways": [gateway]}});
        if let (Some(fields), Some(policy)) =
            (document.as_object_mut(), policy.as_object().filter(|map| !map.is_empty()))
        {
            let mut policy = policy.clone();
            policy.insert("hosts".to_owned(), json!(["reviews"]));
            policy.insert("defaultSubset".to_owned(), json!("v1"));
            if let Some(order) = policy.get_mut("fallback").and_then(Value::as_array_mut) {
                order.push(json!("v1"));
            }
            fields.insert("policies".to_owned(), json!([policy]));
        }
        let host = if gateway == "mesh" { "reviews" } else { "reviews.default.svc.cluster.local" };
        let request = Request::get(&format!("http://{host}:9080/a?b=c")).with_header("user", "jason");
        assert_eq!(asked(&document, &request), expected, "{name}");
    }
}

#[test]
fn an_unknown_host_needs_no_input() {
    let overrides = json!({"from": [{"cidr": "10.0.0.0/8"}]});
    let document =
        json!({"virtualServices": [{"hosts": ["reviews"], "http": [{"route": split()}]}], "overrides": overrides});
    let request = Request::get("http://ratings/a?b=c").with_header("end-user", "1");
    assert_eq!(asked(&document, &request), [""; 0]);
    let overriding = request.with_header("x-canary-version", "v2");
    assert_eq!(asked(&document, &overriding), ["property RemoteAddress"], "permissions are judged for every host");
}
