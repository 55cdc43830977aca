//! Drills: the requests lost if a version is absent, comes, goes, fails or hangs. Each has a control
//! with native routes alone, which must lose requests.

pub(crate) mod absent;
pub(crate) mod accrual;
pub(crate) mod broken;
pub(crate) mod causes;
pub(crate) mod failover;
pub(crate) mod killed;
pub(crate) mod memory;
pub(crate) mod retries;
pub(crate) mod rollout;
mod tls;
pub(crate) mod version_header;

use e2e::{
    bootstrap::Surroundings,
    canary::{Backend, Canary, Delivery, cluster_name},
    client::{Protocol, Request},
    failover::Failover,
    load::{ANSWERED_BY, Kind, Outcome},
    prometheus::Samples,
    upstream::{ECHO, ECHOED, VERSION_HEADER},
};
use serde_json::{Value, json};

use crate::{Subject, documents::document};

/// More retries than any fallback order here has versions.
const RETRIES: u32 = 3;

/// With the filter and failover clusters, of the kind that `canaryctl run` takes.
async fn start(subject: &Subject, document: &Value, upstreams: &[&str]) -> Canary {
    start_as(subject, subject.failover(), document, upstreams).await
}

/// With the filter and failover clusters of a kind.
async fn start_as(subject: &Subject, failover: Failover, document: &Value, upstreams: &[&str]) -> Canary {
    let backends: Vec<_> = upstreams.iter().copied().map(Backend::of).collect();
    let around = Surroundings::failing_over(failover, RETRIES);
    Canary::start_in(&subject.binary, Delivery::Ecds, around, document, &backends).await
}

/// The control: native routes without the filter.
async fn start_native(subject: &Subject, routes: &Value, upstreams: &[&str]) -> Canary {
    let backends: Vec<_> = upstreams.iter().copied().map(Backend::of).collect();
    Canary::start_in(&subject.binary, Delivery::Native, Surroundings::default(), routes, &backends).await
}

/// Native routes that split all requests by weight.
fn native_split(shares: &[(&str, u32)]) -> Value {
    let clusters: Vec<_> =
        shares.iter().map(|(version, weight)| json!({"name": cluster_name(version), "weight": weight})).collect();
    json!([{"match": {"prefix": "/"}, "route": {"weighted_clusters": {"clusters": clusters}, "timeout": "0s"}}])
}

/// Native routes by the value of a header, without a catch-all.
fn native_by_header(name: &str, versions: &[&str]) -> Value {
    let route = |version: &&str| {
        json!({
            "match": {"prefix": "/", "headers": [{"name": name, "string_match": {"exact": version}}]},
            "route": {"cluster": cluster_name(version), "timeout": "0s"},
        })
    };
    versions.iter().map(route).collect()
}

/// A configuration with this fallback order for reviews.
pub(crate) fn with_fallback(mut document: Value, fallback: &[&str]) -> Value {
    document["policies"] = json!([{"hosts": ["reviews"], "fallback": fallback}]);
    document
}

/// All requests go to the first of these versions, with this fallback order. Each version names itself in the response.
fn reporting(versions: &[&str], fallback: &[&str]) -> Value {
    let to = |(place, version): (usize, &&str)| {
        json!({"destination": {"host": "reviews", "subset": version}, "weight": if place == 0 { 100 } else { 0 },
               "headers": {"response": {"set": {ANSWERED_BY: version}}}})
    };
    let targets: Vec<Value> = versions.iter().enumerate().map(to).collect();
    with_fallback(document(&[("reviews", json!([{"name": "all", "route": targets}]))]), fallback)
}

/// The response headers that name a version for [`kinds`] under [`reporting`]: the response's own, and the echo of the upstream's request.
const REPORTS: &[&str] = &[ANSWERED_BY, ECHOED];

/// Requests of every protocol, with and without a body. The upstreams echo the version header.
fn kinds() -> [(&'static str, Kind); 4] {
    let get = || Request::new("reviews", "/").header(ECHO, VERSION_HEADER);
    [
        ("HTTP/1.1", Kind::Http(Protocol::Http1, get())),
        ("HTTP/2, with a body", Kind::Http(Protocol::Http2, get().method("POST").body(vec![b'x'; 50_000]))),
        ("gRPC unary", Kind::Unary("reviews".to_owned())),
        ("gRPC server streaming", Kind::Stream("reviews".to_owned())),
    ]
}

/// Ejections so far for this reason.
async fn ejections(canary: &Canary, reason: &str) -> u64 {
    Samples::of(&canary.envoy).await.sum("canary_ejections_total", &[("reason", reason)])
}

fn assert_none_lost(row: &str, outcome: &Outcome) {
    let failures: Vec<_> = outcome.failures.iter().take(3).collect();
    eprintln!("{row}: {} requests, {} failed, {:?}", outcome.all(), outcome.failures.len(), outcome.served_by);
    assert!(failures.is_empty(), "{row}: {} of {} failed: {failures:?}", outcome.failures.len(), outcome.all());
}

fn assert_some_lost(row: &str, outcome: &Outcome) {
    eprintln!("{row} (control): {} requests, {} failed", outcome.all(), outcome.failures.len());
    assert!(!outcome.failures.is_empty(), "{row}: the control loses nothing, so the drill proves nothing");
}
