//! The standard cases.

use e2e::workload::{self, jobs, rules};
use serde_json::{Value, json};

/// A document, and a request under it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) document: Value,
    pub(crate) request: Vec<(String, Vec<u8>)>,
    /// The version that the request is for in the end; `None` where no header says it.
    pub(crate) version: Option<&'static str>,
    /// Whether its host calls are those of a floor.
    pub(crate) has_floor: bool,
}

/// The headers of a browser behind a gateway, without the pseudo-headers.
const USUAL: [(&str, &str); 6] = [
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0.0.0 Safari/537.36"),
    ("accept", "*/*"),
    ("x-forwarded-for", "10.1.2.3"),
    ("x-forwarded-proto", "http"),
    ("x-envoy-internal", "true"),
    ("x-request-id", "4f3e6f0a-3d0c-9f7a-8c43-0f1f6e1a2b3c"),
];

fn request(
    authority: &'static str,
    path: &'static str,
    more: &[(&'static str, &'static str)],
) -> Vec<(String, Vec<u8>)> {
    let pseudo = [(":authority", authority), (":path", path), (":method", "GET"), (":scheme", "http")];
    let all = pseudo.into_iter().chain(USUAL).chain(more.iter().copied());
    all.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).collect()
}

fn to(subset: &str) -> Value {
    json!([{"destination": {"host": "reviews", "subset": subset}}])
}

fn document(rules: Vec<Value>, more: Value) -> Value {
    let mut document = json!({
        "virtualServices": [{"metadata": {"name": "reviews", "namespace": "default"},
                             "spec": {"hosts": ["reviews"], "http": rules}}],
        "destinationRules": [{"host": "reviews", "subsets": [{"name": "v1"}, {"name": "v2"}]}],
        "services": [{"host": "reviews", "ports": [9080]}],
    });
    let fields = document.as_object_mut().expect("an object");
    fields.extend(more.as_object().cloned().unwrap_or_default());
    document
}

/// One header to a version, any other to the default: what the usual Lua script does.
fn header_to_version(more: Value) -> Value {
    let jason = json!({"match": [{"headers": {"end-user": {"exact": "jason"}}}], "route": to("v2")});
    document(vec![jason, json!({"route": to("v1")})], more)
}

/// Host, path, headers, a sticky split, two control headers.
fn bookinfo() -> Value {
    let split = json!([
        {"destination": {"host": "reviews", "subset": "v1"}, "weight": 10},
        {"destination": {"host": "reviews", "subset": "v2"}, "weight": 90},
    ]);
    let canary = json!({
        "match": [{"uri": {"prefix": "/reviews/"}, "headers": {"x-group": {"exact": "beta"}}}],
        "route": split,
    });
    let policy = json!({"hosts": ["reviews"], "defaultSubset": "v1", "sticky": {"keys": [{"header": "x-user-id"}]}});
    document(vec![canary, json!({"route": to("v1")})], json!({"policies": [policy]}))
}

/// A rule for each of so many users, and the default.
fn users(count: usize) -> Value {
    let user = |number| {
        let name = format!("user-{number}");
        json!({"match": [{"headers": {"end-user": {"exact": name}}}], "route": to("v2")})
    };
    let mut rules: Vec<_> = (0..count).map(user).collect();
    rules.push(json!({"route": to("v1")}));
    document(rules, Value::Null)
}

pub(crate) fn cases() -> Vec<Case> {
    let off = || json!({"metrics": {"enabled": false}});
    let jason = || request("reviews:9080", "/reviews/1", &[("end-user", "jason")]);
    let user = |name| request("reviews:9080", "/reviews/1", &[("end-user", name)]);
    let mut fallback = header_to_version(Value::Null);
    fallback["policies"] = json!([{"hosts": ["reviews"], "fallback": ["v2", "v1"]}]);
    let mut failover = fallback.clone();
    failover["clusters"]["failover"] = json!(true);
    let mut version = header_to_version(off());
    version["mode"] = json!("version");
    let row = |name, document, request, version| Case { name, document, request, version, has_floor: false };
    let jobs = jobs::all().into_iter().map(|job| Case {
        name: job.name,
        // The third article's job writes no version header.
        version: Some(job.version).filter(|_| job.document["headers"]["version"] != ""),
        document: job.document,
        request: workload::header_map(&workload::request("someone")),
        has_floor: true,
    });
    let many = workload::header_map(&workload::request("jason"));
    let mut cases = vec![
        row("unknown host", header_to_version(Value::Null), request("ratings:9080", "/ratings/1", &[]), None),
        row("one header to a version", header_to_version(Value::Null), jason(), Some("v2")),
        row("one header to a version, no metrics", header_to_version(off()), jason(), Some("v2")),
        row("no header to the default, no metrics", header_to_version(off()), request("reviews", "/", &[]), Some("v1")),
        row("one header to a version, version mode", version, jason(), Some("v2")),
        row("one header to a version, fallback", fallback, jason(), Some("v2")),
        row("one header to a version, failover cluster", failover, jason(), Some("v2")),
        row(
            "Bookinfo",
            bookinfo(),
            request("reviews:9080", "/reviews/1", &[("x-group", "beta"), ("x-user-id", "jason")]),
            Some("v2"),
        ),
        row("10 rules, the last", users(10), user("user-9"), Some("v2")),
        row("1,000 rules, the last", users(1_000), user("user-999"), Some("v2")),
        row("10,000 rules, the last", users(10_000), user("user-9999"), Some("v2")),
        row("10,000 rules of three kinds, the last", rules::document(&rules::mixed(10_000)), many, Some("v2")),
    ];
    cases.extend(jobs);
    cases
}
