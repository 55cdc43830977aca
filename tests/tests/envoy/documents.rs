//! Configurations of the filter.

use serde_json::{Value, json};

use crate::{actions, faults, grpc};

/// Host whose requests are split 90/10 over v1 and v2.
pub(crate) const NINETY_TEN: &str = "ninety-ten.example";
/// Host whose requests are split 50/30/20 over v1, v2 and v3.
pub(crate) const THREE_VERSIONS: &str = "three-versions.example";
/// Host with a rule for `/reviews` only.
pub(crate) const REVIEWS_ONLY: &str = "reviews-only.example";
/// A host without a VirtualService.
pub(crate) const UNKNOWN: &str = "unknown.example";

/// The shared configuration: the hosts above, and those of other modules.
pub(crate) fn shared() -> Value {
    let mut hosts = bookinfo();
    hosts.extend(actions::hosts());
    hosts.extend([faults::host(), grpc::host()]);
    let mut document = document(&hosts);
    document["faults"] = json!({"maxActive": 1000});
    document
}

/// By header, cookie, weight and default.
fn bookinfo() -> Vec<(&'static str, Value)> {
    let by_user =
        |name: &str, matches: Value, subset: &str| json!({"name": name, "match": matches, "route": to(subset)});
    vec![
        (
            "reviews",
            json!([
                by_user("jason", json!([{"headers": {"end-user": {"exact": "jason"}}}]), "v2"),
                by_user("testers", json!([{"headers": {"end-user": {"prefix": "test-"}}}]), "v3"),
                by_user("cookie", json!([{"headers": {"cookie": {"regex": "(.*; )?group=beta(;.*)?"}}}]), "v3"),
                {"name": "everybody", "route": to("v1")},
            ]),
        ),
        (NINETY_TEN, json!([{"route": split(&[("v1", 90), ("v2", 10)])}])),
        (THREE_VERSIONS, json!([{"route": split(&[("v1", 50), ("v2", 30), ("v3", 20)])}])),
        (REVIEWS_ONLY, json!([{"match": [{"uri": {"prefix": "/reviews"}}], "route": to("v1")}])),
    ]
}

/// All requests for `reviews` go to one version.
pub(crate) fn all_to(subset: &str) -> Value {
    document(&[("reviews", json!([{"route": to(subset)}]))])
}

/// One VirtualService for each host, with its rules.
pub(crate) fn document(hosts: &[(&str, Value)]) -> Value {
    let virtual_services = hosts.iter().map(|(host, http)| {
        json!({"metadata": {"name": host, "namespace": "default"}, "spec": {"hosts": [host], "http": http}})
    });
    json!({
        "mode": "cluster",
        "virtualServices": virtual_services.collect::<Vec<_>>(),
        "destinationRules": [{
            "metadata": {"name": "reviews", "namespace": "default"},
            "spec": {"host": "reviews", "subsets": [
                {"name": "v1", "labels": {"version": "v1"}},
                {"name": "v2", "labels": {"version": "v2"}},
                {"name": "v3", "labels": {"version": "v3"}},
            ]},
        }],
        "services": [{"host": "reviews", "ports": [9080]}],
        "proxy": {"namespace": "default"},
    })
}

/// The route to one version of reviews.
pub(crate) fn to(subset: &str) -> Value {
    json!([{"destination": {"host": "reviews", "subset": subset}}])
}

/// The route to several versions by weight.
pub(crate) fn split(shares: &[(&str, u32)]) -> Value {
    let one = |(subset, weight): &(&str, u32)| json!({"destination": {"host": "reviews", "subset": subset}, "weight": weight});
    shares.iter().map(one).collect()
}
